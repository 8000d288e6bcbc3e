//! Tests of the pure core and of what several files must agree on, in one binary.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test may fail loudly"
)]
#![allow(clippy::too_many_lines, reason = "a table of cases is one list")]

mod alerts;
mod config;
mod dispatcher;
mod dispatcher_alerts;
mod dispatcher_clock;
mod dispatcher_pauses;
mod dispatcher_rotation;
mod dispatcher_rows;
mod dispatcher_vendor;
mod drift;
#[path = "../hostile/mod.rs"]
mod hostile;
mod log_schema;
mod openapi;
mod policy;
#[path = "../vectors/mod.rs"]
mod signature_vectors;
mod structure;
mod token_hostile;
mod token_properties;
mod vectors;
mod vendor_replies;
