//! The HTTP contract (docs/contract.md), pure: routes, headers, CORS and error responses.

pub mod cors;
pub mod headers;
pub mod rejection;
pub mod route;
pub mod violation;
