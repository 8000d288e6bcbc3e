//! The only folder that names the platform, Cloudflare Workers.
//!
//! `entry.js` is the module that Cloudflare loads. Through worker.js it calls the Rust functions in [`entry`].

mod entry;
pub mod http;
pub mod objects;
pub mod runtime;
#[cfg(feature = "test-exports")]
pub mod test_exports;
