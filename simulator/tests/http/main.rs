//! Tests of the simulator over HTTP. Each test starts its own simulator; each module is a topic.

// Clippy allows these in `#[test]` functions, but not in the helpers that the tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod client;
mod control;
mod faults;
mod harness;
mod identity;
mod limits;
mod predictions;
mod resources;
mod session;
mod shapes;
mod streams;
