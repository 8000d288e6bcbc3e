//! What we send to the vendor and what we understand of its answers.
//!
//! Both directions are made anew from validated parts: no client header goes out, no vendor header or body
//! comes back. The vendor's documentation contradicts itself; what is read leniently and what is refused stands
//! in [`answer`] and [`verdict`].

pub mod answer;
pub mod key_scan;
pub mod models;
pub mod output;
pub mod request;
pub mod verdict;
pub mod webhook;
