//! The edge: stateless request handling.
//!
//! [`pipeline`] takes a request through the numbered checks, [`authentication`] says who calls, [`routes`] answer.

pub mod authentication;
pub mod context;
pub mod key_sets;
pub mod pipeline;
pub mod response;
pub mod routes;
