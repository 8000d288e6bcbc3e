//! What the simulator promises, each promise over HTTP against a simulator of its own. One binary; a module a topic.

// Clippy allows these in `#[test]` functions only, not in the helpers that they share.
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
