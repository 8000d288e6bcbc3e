//! Faults: errors of the vendor, or of the network path to it, that the control API injects into some requests.

mod content_coding;
mod fault;
mod oddity;
mod raw_response;
mod rules;
mod script;
mod template;

pub use fault::Fault;
pub use raw_response::RawResponse;
pub use rules::{FaultList, FaultRule};
pub use script::Script;
