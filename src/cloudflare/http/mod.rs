//! The edge: stateless request handling.
//!
//! [`pipeline`] runs the numbered checks of a request, [`authentication`] identifies the caller, and [`routes`] has the
//! handlers.

pub mod admission;
pub mod authentication;
pub mod body;
pub mod context;
mod follower;
pub mod key_sets;
pub mod ledger_client;
pub mod lost;
pub mod outcome;
pub mod pipeline;
pub mod query;
mod refusals;
pub mod response;
pub mod routes;
