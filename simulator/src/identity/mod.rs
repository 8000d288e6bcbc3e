//! Identity providers: each publishes its key set on the main port, and signs tokens of its own shape on the control
//! port. **For tests only**: every request gets a token.

mod handlers;
mod provider;
pub mod signing_keys;
mod turnstile;
pub mod used_tokens;

pub use handlers::{control_router, router};
