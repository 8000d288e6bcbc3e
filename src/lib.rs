//! Valetkey keeps a prediction API's key and lends it, token by token, to browsers and phones.
//!
//! # Trust boundaries
//!
//! ```text
//!  browser / phone ──JWT──▶ edge (stateless) ──▶ Ledger (one per user) ──▶ Dispatcher (one) ──▶ vendor
//! ```
//!
//! Nothing a client sends is trusted until [`token::verify`] accepted its token, and nothing the vendor
//! answers is relayed: [`upstream`] reads it into a [`prediction::Prediction`] and `edge` writes that anew.
//! The vendor's key lives in [`secret::VendorKey`] and leaves it only for the vendor's `Authorization` header.
//!
//! # Where state lives
//!
//! The edge keeps caches that may be lost at any time: the parsed configuration and tokens already verified.
//! A user's predictions live in that user's Ledger; what is submitted and polled lives in the Dispatcher.
//! Both are Durable Objects, shells around the pure [`ledger`] and [`dispatch`].
//!
//! Everything outside `edge` is pure: the time, randomness and settings are arguments.

#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::string_slice, reason = "a test may fail loudly"))]

pub mod auth;
pub mod config;
pub mod constants;
pub mod cors;
pub mod credits;
pub mod digits;
pub mod dispatch;
pub mod file;
pub mod headers;
pub mod hook;
pub mod ids;
pub mod json;
pub mod ledger;
pub mod limit;
pub mod loopback;
pub mod messages;
pub mod model;
pub mod policy;
pub mod prediction;
pub mod rejection;
pub mod route;
pub mod secret;
pub mod setting_url;
pub mod time;
pub mod token;
pub mod upstream;
mod vocabulary;

#[cfg(target_arch = "wasm32")]
mod edge;
