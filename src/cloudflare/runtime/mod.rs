//! What the platform offers, with Rust's types on this side.

pub mod deployment;
pub mod driver;
pub mod log;
pub mod platform;
