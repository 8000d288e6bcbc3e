//! Finds the route of a request by its method and path (contract 1).
//!
//! - `routes`: every route, grouped by how it authenticates its caller
//! - `table`: which paths exist, and their routes by method
//! - `parse`: the search
//! - `operations`: the list that docs/openapi.json must agree with
//! - `feature`: which paths a setting switches off

mod feature;
mod operations;
mod parse;
mod routes;
mod table;

pub use feature::Feature;
pub use operations::OPERATIONS;
pub use parse::NoRoute;
pub use routes::{AccountView, AdminRoute, PublicRoute, Route, TokenRoute, UserRoute};
pub use table::PATHS;
