//! A simulator of the vendor, for development and tests only.
//!
//! One process with two ports, both on 127.0.0.1. The main port serves:
//!
//! - the **vendor's API** under `/v1` (`vendor`) and the pictures of its predictions under `/outputs` (`picture`)
//! - the **demo app's backend**, which signs session tokens, under `/session` (`session`)
//! - the key sets of **identity providers** under `/idp`, and Turnstile (`identity`)
//!
//! The control port serves the **control API**, which sets faults and reads the recorded requests (`control`).
//!
//! Almost all state is in one `world::World` behind a mutex that is never held across an `await`. A request on the main
//! port passes `main_port` first, which records it. A fault may then take over its socket (`faults`, `connection`);
//! otherwise the real handler responds.
//!
//! The simulator is not a security boundary: it accepts made-up keys and signs a token for every request.

mod accounts;
mod app;
mod catalog;
mod clock;
mod config;
mod connection;
mod control;
mod credits;
mod faults;
mod files;
mod gauge;
mod identity;
mod ids;
mod loopback;
mod main_port;
mod picture;
mod prediction;
mod predictions;
mod rate_window;
mod recorder;
mod response;
mod route_name;
mod server;
mod session;
mod settings;
mod vendor;
mod webhook;
mod world;

pub use config::{Config, SessionConfig};
pub use server::{Simulator, start};
