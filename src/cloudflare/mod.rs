//! The one folder that names the platform.
//!
//! `entry.js` is the module that Cloudflare loads; [`entry`] is what it calls in Rust.

mod entry;
pub mod http;
pub mod objects;
pub mod runtime;
#[cfg(feature = "test-exports")]
pub mod test_exports;
