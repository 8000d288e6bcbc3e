//! The shapes of the tokens and key sets of known providers, as their own documentation describes them. The values are
//! made up.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::signing_keys::{Signing, SigningKeys};

/// A simulated provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Access tokens for an API, in the profile of RFC 9068.
    Auth0,
    /// ID tokens of Firebase Authentication.
    Firebase,
    /// Access tokens, signed with asymmetric keys.
    Supabase,
    /// Access tokens of a user pool: no `aud`, no `typ`.
    Cognito,
    /// Session tokens: no `aud`, a header member `cat`.
    Clerk,
    /// Access tokens v2.0 of Microsoft Entra ID.
    Entra,
    /// Application tokens of Cloudflare Access.
    Access,
    /// Google ID tokens with the issuer that has no scheme.
    Google,
    /// Stytch session tokens, whose issuer is a host and a path.
    Stytch,
    /// Tokens of Firebase App Check, which attest an app instead of a user.
    AppCheck,
}

impl Provider {
    /// Returns the name in paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth0 => "auth0",
            Self::Firebase => "firebase",
            Self::Supabase => "supabase",
            Self::Cognito => "cognito",
            Self::Clerk => "clerk",
            Self::Entra => "entra",
            Self::Access => "access",
            Self::Google => "google",
            Self::Stytch => "stytch",
            Self::AppCheck => "app_check",
        }
    }

    /// Returns the signature algorithm.
    pub fn algorithm(self) -> Signing {
        if self == Self::Supabase { Signing::Es256 } else { Signing::Rs256 }
    }

    /// Renders the key set, with the extra members that the provider publishes.
    pub fn key_set(self, keys: &SigningKeys) -> Value {
        let mut set = keys.published(self.as_str(), self.algorithm());
        for jwk in &mut set {
            jwk.extend(match self {
                Self::Auth0 => members(json!({"x5c": ["MIIC"], "x5t": "x"})),
                Self::Supabase => members(json!({"key_ops": ["verify"], "ext": true})),
                Self::Entra => members(json!({"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"})),
                _ => Map::new(),
            });
        }
        match self {
            Self::Access => json!({"keys": set, "public_cert": {"kid": "x", "cert": "x"}, "public_certs": []}),
            _ => json!({ "keys": set }),
        }
    }

    /// Returns the token header without `alg` and `kid`.
    pub fn header(self) -> Map<String, Value> {
        let header = match self {
            Self::Auth0 => json!({"typ": "at+jwt"}),
            Self::Cognito => json!({}),
            Self::Clerk => json!({"typ": "JWT", "cat": "cl_B7d4PD111AAA"}),
            _ => json!({"typ": "JWT"}),
        };
        members(header)
    }

    /// Returns the claims of a token for `sub`, issued at `now` in Unix seconds.
    pub fn claims(self, sub: &str, now: u64) -> Map<String, Value> {
        let hour = now + 3_600;
        members(match self {
            Self::Auth0 => json!({
                "iss": "https://example-app.eu.auth0.com/", "sub": sub,
                "aud": ["https://pictures.example", "https://example-app.eu.auth0.com/userinfo"],
                "iat": now, "exp": hour, "scope": "openid profile", "jti": "x1", "client_id": "app", "permissions": [],
            }),
            Self::Firebase => json!({
                "iss": "https://securetoken.google.com/example-app", "aud": "example-app", "auth_time": now,
                "user_id": sub, "sub": sub, "iat": now, "exp": hour, "email": "a@example.com", "email_verified": false,
                "firebase": {"identities": {"email": ["a@example.com"]}, "sign_in_provider": "password"},
            }),
            Self::Supabase => json!({
                "iss": "https://example-app.supabase.co/auth/v1", "sub": sub, "aud": "authenticated", "exp": hour,
                "iat": now, "email": "a@example.com", "phone": "", "role": "authenticated", "aal": "aal1",
                "app_metadata": {"provider": "email", "providers": ["email"]}, "user_metadata": {},
                "amr": [{"method": "password", "timestamp": now}], "session_id": "s", "is_anonymous": false,
            }),
            Self::Cognito => json!({
                "sub": sub, "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Example", "version": 2,
                "client_id": "example-client", "origin_jti": "o", "event_id": "e", "token_use": "access",
                "scope": "openid", "auth_time": now, "exp": hour, "iat": now, "jti": "j", "username": sub,
            }),
            Self::Clerk => json!({
                "azp": "https://app.example", "exp": now + 60, "fva": [0, -1], "iat": now,
                "iss": "https://clerk.app.example", "nbf": now - 10, "sid": "sess_1", "sts": "active", "sub": sub,
                "v": 2,
            }),
            Self::Entra => json!({
                "aud": "11111111-2222-3333-4444-555555555555",
                "iss": "https://login.microsoftonline.com/99999999-8888-7777-6666-555555555555/v2.0",
                "iat": now, "nbf": now, "exp": hour, "aio": "x", "azp": "client", "azpacr": "0", "name": "A",
                "oid": "o", "preferred_username": "a@example.com", "rh": "r", "scp": "pictures", "sub": sub,
                "tid": "99999999-8888-7777-6666-555555555555", "uti": "u", "ver": "2.0",
            }),
            Self::Access => json!({
                "aud": ["32eafc7626e737904ba4b77b6d9d3a3c16fc3b44f0f8e4ef3ee1f2d6c4f4e2d1"], "email": "a@example.com",
                "exp": hour, "iat": now, "nbf": now, "iss": "https://example-app.cloudflareaccess.com", "type": "app",
                "identity_nonce": "n", "sub": sub, "country": "DE",
            }),
            Self::Google => json!({
                "iss": "accounts.google.com", "azp": "1234-app.apps.googleusercontent.com", "sub": sub, "exp": hour,
                "aud": "1234-web.apps.googleusercontent.com", "email": "a@example.com", "email_verified": true,
                "name": "A", "picture": "https://example.com/a.png", "iat": now,
            }),
            Self::Stytch => json!({
                "aud": ["project-live-00000000-0000-4000-8000-000000000000"], "exp": now + 300, "iat": now,
                "iss": "stytch.com/project-live-00000000-0000-4000-8000-000000000000", "nbf": now, "sub": sub,
                "https://stytch.com/session": {"id": "session-live-1", "authentication_factors": []},
            }),
            Self::AppCheck => json!({
                "sub": sub, "aud": ["projects/1234567890", "projects/example-app"], "provider": "recaptcha_v3",
                "iss": "https://firebaseappcheck.googleapis.com/1234567890", "exp": hour, "iat": now, "jti": "j",
            }),
        })
    }
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
