//! Valetkey keeps a prediction API's key on the server and lets browsers and phones call the API with tokens of their own.
//!
//! # Trust boundaries
//!
//! ```text
//!  browser / phone ──JWT──▶ edge (stateless) ──▶ Ledger (one per user) ──▶ Dispatcher (one) ──▶ vendor
//! ```
//!
//! - A client's request is not trusted until [`token::verify`] has accepted its token.
//! - The vendor's responses are not relayed: [`vendor`] parses them, and `cloudflare` writes a new response from the
//!   [`types::prediction::PredictionRecord`]. The one exception is a vendor stream, which passes through the key scan.
//! - The vendor key is held in [`types::secret::VendorKey`]. It leaves the Worker only in the `Authorization` header of
//!   requests to the vendor.
//!
//! # Where state lives
//!
//! - The edge has only caches, such as the parsed settings and the verified tokens. They may be lost at any time.
//! - A user's predictions are stored in that user's Ledger.
//! - The queue, and what is submitted to the vendor and polled, is stored in the Dispatcher.
//!
//! Ledger and Dispatcher are Durable Objects: shells around the pure [`ledger`] and [`dispatcher`]. Everything outside
//! `cloudflare` is pure: time, randomness and settings are arguments.

#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::string_slice, reason = "a test may fail loudly"))]

pub mod config;
pub mod constants;
pub mod dispatcher;
pub mod ledger;
pub mod limit;
pub mod messages;
pub mod migration;
pub mod notification;
pub mod oauth;
pub mod operator;
pub mod parse;
pub mod policy;
pub mod token;
pub mod types;
pub mod vendor;
pub mod wire;

#[cfg(all(target_arch = "wasm32", feature = "platform"))]
mod cloudflare;
#[cfg(test)]
mod testing;
