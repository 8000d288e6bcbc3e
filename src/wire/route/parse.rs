//! Finds the route of a request by its method and path (contract 1).

use crate::wire::route::routes::Route;
use crate::wire::route::table::find_resource;

/// Why a request has no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// Nothing has this path.
    NotFound,
    /// The path exists with the methods of this `Allow` value.
    Method(&'static str),
    /// `OPTIONS` on a path that exists, with the methods of this `Allow` value.
    Options(&'static str),
}

impl Route {
    /// Finds the route of a request. `path` is the raw path without the query. `HEAD` is handled as `GET`.
    ///
    /// # Errors
    /// [`NoRoute`]. Methods are case-sensitive (RFC 9110 section 9.1).
    pub fn parse(method: &str, path: &str) -> Result<Self, NoRoute> {
        let resource = find_resource(path).ok_or(NoRoute::NotFound)?;
        let allow = resource.allow();
        match method {
            "GET" | "HEAD" => resource.get.ok_or(NoRoute::Method(allow)),
            "POST" => resource.post.ok_or(NoRoute::Method(allow)),
            "PUT" => resource.put.ok_or(NoRoute::Method(allow)),
            "DELETE" => resource.delete.ok_or(NoRoute::Method(allow)),
            "OPTIONS" => Err(NoRoute::Options(allow)),
            _ => Err(NoRoute::Method(allow)),
        }
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
