//! Requests to the vendor, and the meaning of its responses.
//!
//! Invariant: both directions are built anew from validated parts. No client header goes out, and no vendor header or
//! vendor text comes back. The vendor's documentation contradicts itself in places (vendor-api 2): [`reply`] says what
//! is read, [`verdict`] what it means.

mod key_forms;
pub mod key_scan;
pub mod models;
pub mod output;
pub mod reply;
pub mod request;
pub mod verdict;
pub mod webhook;
