//! What we send to the vendor and what we understand of its answers.
//!
//! Both directions are made anew from validated parts: no client header goes out, no vendor header or body
//! comes back. The vendor's documentation contradicts itself; what is read leniently and what is refused stands
//! in [`reply`] and [`verdict`].

pub mod key_scan;
pub mod models;
pub mod output;
pub mod reply;
pub mod request;
pub mod verdict;
pub mod webhook;
