//! What the platform offers, with Rust's types on this side.

pub mod deployment;
pub mod driver;
pub mod event_stream;
pub mod log;
pub mod platform;
pub mod sql;
pub mod vendor_http;
