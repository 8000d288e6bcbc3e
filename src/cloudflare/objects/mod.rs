//! The Durable Objects: shells around the pure state machines, and the client that sends them messages.

pub mod alarm;
pub mod client;
pub mod dispatcher;
pub mod handle;
pub mod ledger;
pub mod migrations;
pub mod namespaces;
