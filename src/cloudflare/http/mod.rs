//! The edge: stateless request handling.
//!
//! [`pipeline`] takes a request through the numbered checks, [`authentication`] says who calls, [`routes`] answer.

pub mod admission;
pub mod authentication;
pub mod body;
pub mod context;
pub mod key_sets;
pub mod ledger_client;
pub mod outcome;
pub mod pipeline;
pub mod query;
pub mod response;
pub mod routes;
