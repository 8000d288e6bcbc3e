//! Black-box tests over HTTP: the built Worker on real workerd, with the simulator as the vendor.
//!
//! Run `make build simulator` first; `make test` does so itself. All topics share one test binary, one module each.
//! Every test has its own users; a test that sets faults has its own stack.

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

#[path = "../hostile/mod.rs"]
mod hostile;
#[path = "../vectors/mod.rs"]
mod vectors;

mod accounts;
mod alerts;
mod attestation;
mod batch;
mod bodies;
mod budgets;
mod configuration;
mod cors;
mod creates;
mod documented;
mod end_events;
mod errors;
mod etas;
mod events;
mod evictions;
mod files;
mod fixtures;
mod harness;
mod hooks;
mod hostile_http;
mod hostile_keys;
mod hostile_tokens;
mod http;
mod idempotency;
mod identity;
mod key_leak;
mod kills;
mod lifecycle;
mod limits;
mod log_schema;
mod logs;
mod minting;
mod object_messages;
mod objects;
mod odd_vendor;
mod openapi;
mod operators;
mod panics;
mod pauses;
mod places;
mod proofs;
mod providers;
mod query_plans;
mod queue;
mod receiver;
mod restarts;
mod revocation;
mod rotation;
mod secrecy;
mod shares;
mod signature_vectors;
mod skew;
mod spend;
mod sse;
mod steps;
mod stored;
mod stored_ledger;
mod storm;
mod tokens;
mod upstream_answers;
mod users;
mod vendor_stream;
mod waiting;
