//! The vendor's stand-in, for development and tests only.
//!
//! Three servers in one process, all on 127.0.0.1:
//!
//! - the **vendor's API** under `/v1` and the pictures it makes under `/outputs` (`vendor`);
//! - on the same port, the **demo app's own backend**, which signs session tokens (`session`);
//! - and the key sets of **identity providers** (`identity`);
//! - on its own port, the **control API** that sets faults and reads what was received (`control`).
//!
//! All state lives in one `world::World` behind a mutex that is never held across an `await`. A request on
//! the main port passes `observe` first: it is recorded, then a fault may take over its socket
//! (`connection`, `faults`), otherwise the real handler answers.
//!
//! Nothing here is a security boundary: it accepts made-up keys and gives a token to whoever asks.

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
