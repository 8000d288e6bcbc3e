//! Valetkey keeps a prediction API's key and lends it, token by token, to browsers and phones.
//!
//! # Trust boundaries
//!
//! ```text
//!  browser / phone ──JWT──▶ edge (stateless) ──▶ Ledger (one per user) ──▶ Dispatcher (one) ──▶ vendor
//! ```
//!
//! Nothing a client sends is trusted until [`token::verify`] accepted its token, and nothing the vendor
//! answers is relayed: [`vendor`] reads it into a [`types::prediction::PredictionRecord`] and `cloudflare` writes that anew.
//! The vendor's key lives in [`types::secret::VendorKey`] and leaves it only for the vendor's `Authorization` header.
//!
//! # Where state lives
//!
//! The edge keeps caches that may be lost at any time: the parsed configuration and tokens already verified.
//! A user's predictions live in that user's Ledger; what is submitted and polled lives in the Dispatcher.
//! Both are Durable Objects, shells around the pure [`ledger`] and [`dispatcher`].
//!
//! Everything outside `cloudflare` is pure: the time, randomness and settings are arguments.

#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::string_slice, reason = "a test may fail loudly"))]

pub mod config;
pub mod constants;
pub mod dispatcher;
pub mod ledger;
pub mod limit;
pub mod messages;
pub mod oauth;
pub mod parse;
pub mod policy;
pub mod token;
pub mod types;
pub mod vendor;
pub mod wire;

#[cfg(target_arch = "wasm32")]
mod cloudflare;
#[cfg(test)]
mod testing;
