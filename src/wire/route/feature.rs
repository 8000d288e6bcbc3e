//! Parts of the API that a deployment may switch off.

/// A part of the API that exists only with some settings. If it is off, its paths respond with 404 to every method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// The demo page: on with `DEMO`.
    Demo,
    /// Tokens that this deployment issues: on with `TOKEN_SIGNING_KEYS`. Revoking (`/auth/revoke`) is not part of it:
    /// it works for any issuer's tokens.
    OwnTokens,
    /// The operator's page and API: on with an issuer that has `use: admin`.
    Admin,
}

impl Feature {
    /// Returns the feature that a path belongs to, with any method.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Demo),
            "/auth/token" => Some(Self::OwnTokens),
            "/admin" => Some(Self::Admin),
            _ if path.starts_with("/demo/") => Some(Self::Demo),
            _ if path.starts_with("/.well-known/") => Some(Self::OwnTokens),
            _ if path.starts_with("/admin/") => Some(Self::Admin),
            _ => None,
        }
    }
}
