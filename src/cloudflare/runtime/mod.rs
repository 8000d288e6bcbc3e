//! Rust types for the platform's APIs: settings, requests that JavaScript drives, HTTP, streams, sockets, SQLite and the
//! log.

pub mod alerts;
pub mod deployment;
pub mod driver;
pub mod event_stream;
pub mod log;
pub mod platform;
pub mod sockets;
pub mod sql;
pub mod vendor_http;
pub mod version;
pub mod webhook_http;
