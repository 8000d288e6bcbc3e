//! The names of routes, by which faults are set and requests are counted.

use axum::http::Method;
use serde::{Deserialize, Serialize};

/// A kind of request on the main port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteName {
    /// `POST /v1/:owner/:model/predictions`, `POST /v1/models/:owner/:model/predictions`.
    Create,
    /// `GET /v1/predictions/:id`, `GET /v1/status/:id`.
    Get,
    /// `POST /v1/predictions/:id/cancel`, `POST /v1/cancel/:id`.
    Cancel,
    /// `GET /v1/predictions/:id/stream`.
    Stream,
    /// `GET /v1/predictions`.
    List,
    /// `/v1/predictions/batch…`.
    Batch,
    /// `GET /v1/models…`.
    Models,
    /// `/v1/files…`.
    Files,
    /// `/v1/account…`.
    Account,
    /// `/outputs/…`.
    Outputs,
    /// `/session`.
    Session,
    /// `/idp/:provider/keys`.
    Keys,
    /// `/turnstile/v0/siteverify`.
    Turnstile,
    /// Everything else, `/v1/estimate` and `/v1/health` included.
    Other,
}

impl RouteName {
    /// Returns the name of a request's route.
    pub fn of(method: &Method, path: &str) -> Self {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method.as_str(), segments.as_slice()) {
            (_, ["outputs", ..]) => Self::Outputs,
            (_, ["session"]) => Self::Session,
            (_, ["idp", _, "keys"]) => Self::Keys,
            (_, ["turnstile", ..]) => Self::Turnstile,
            (_, ["v1", "predictions", "batch", ..]) => Self::Batch,
            ("POST", ["v1", "predictions", _, "cancel"] | ["v1", "cancel", _]) => Self::Cancel,
            ("GET", ["v1", "predictions", _, "stream"]) => Self::Stream,
            ("POST", ["v1", "models", _, _, "predictions"] | ["v1", _, _, "predictions"]) => Self::Create,
            ("GET" | "HEAD", ["v1", "predictions", _] | ["v1", "status", _]) => Self::Get,
            ("GET" | "HEAD", ["v1", "predictions"]) => Self::List,
            (_, ["v1", "models", ..]) => Self::Models,
            (_, ["v1", "files", ..]) => Self::Files,
            (_, ["v1", "account", ..]) => Self::Account,
            _ => Self::Other,
        }
    }

    /// Returns whether a path belongs to the vendor's API, whose requests count against the rate limit.
    pub fn is_vendor(path: &str) -> bool {
        path == "/v1" || path.starts_with("/v1/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_paths_of_a_route_have_one_name() {
        for (method, path, name) in [
            (Method::POST, "/v1/acme/model-x/predictions", RouteName::Create),
            (Method::POST, "/v1/models/acme/model-x/predictions", RouteName::Create),
            (Method::GET, "/v1/predictions/pred_1", RouteName::Get),
            (Method::GET, "/v1/status/pred_1", RouteName::Get),
            (Method::POST, "/v1/predictions/pred_1/cancel", RouteName::Cancel),
            (Method::POST, "/v1/cancel/pred_1", RouteName::Cancel),
            (Method::POST, "/v1/predictions/batch", RouteName::Batch),
            (Method::GET, "/v1/predictions", RouteName::List),
            (Method::GET, "/v1/health", RouteName::Other),
        ] {
            assert_eq!(RouteName::of(&method, path), name, "{path}");
        }
    }
}
