//! The server metadata at `/.well-known/oauth-authorization-server` (RFC 8414).

use serde_json::{Value, json};

use super::token_request::GRANT_TYPE;
use crate::token::{PROOF_ALGORITHMS, Scope};

/// Returns the metadata: the endpoints and what they support. The authentication method is `none`, because clients are
/// not registered.
#[must_use]
pub fn server_metadata(public_url: &str) -> Value {
    let at = |path: &str| format!("{public_url}{path}");
    json!({
        "issuer": public_url,
        "token_endpoint": at("/auth/token"),
        "revocation_endpoint": at("/auth/revoke"),
        "jwks_uri": at("/.well-known/jwks.json"),
        "grant_types_supported": [GRANT_TYPE],
        "response_types_supported": [],
        "scopes_supported": Scope::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "dpop_signing_alg_values_supported": PROOF_ALGORITHMS.map(|algorithm| algorithm.as_str()),
    })
}
