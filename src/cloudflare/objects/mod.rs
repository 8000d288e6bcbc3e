//! The Durable Objects: shells around the pure state machines, and the client that sends them messages.

pub mod client;
pub mod dispatcher;
pub mod ledger;
