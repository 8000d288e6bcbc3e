//! Helpers of the token tests: a deployment that issues its own tokens, forms, and proofs of possession.

use jwt_simple::algorithms::{ECDSAP256KeyPairLike, ES256KeyPair};
use jwt_simple::prelude::{Ed25519KeyPair, EdDSAKeyPairLike};
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};

use crate::harness::{Options, Stack, issuers, now, policy, sign};
use crate::hostile::keys::encode;
use crate::http::{Request, Response};

/// The setting `PUBLIC_URL`. Nothing listens at it.
pub const PUBLIC_URL: &str = "http://127.0.0.1:9";
/// An issuer whose tokens can only be exchanged, not used as access tokens.
pub const LOGIN: &str = "https://login.example";
/// The issuer of operators' tokens.
pub const STAFF: &str = "https://staff.example";
pub const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A key that signs the deployment's own tokens.
pub struct SigningKey {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    pub fn new(kid: &'static str) -> Self {
        Self { kid, pair: Ed25519KeyPair::generate() }
    }

    fn jwk(&self) -> Value {
        // 32 bytes of seed, then 32 bytes of public key.
        let bytes = self.pair.to_bytes();
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "d": encode(&bytes[..32]), "x": encode(&bytes[32..64])})
    }

    pub fn set(keys: &[&Self]) -> String {
        json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()}).to_string()
    }

    /// Signs claims as the deployment signs its own tokens.
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid});
        let input = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = self.pair.key_pair().as_ref().sk.sign(input.as_bytes(), None);
        format!("{input}.{}", encode(signature.as_ref()))
    }
}

/// Returns the settings of a deployment that issues its own tokens and has a plan for guests.
pub fn settings(keys: &[&SigningKey]) -> Vec<(&'static str, Option<String>)> {
    let mut all = issuers();
    let login = |name: &str, purpose: &str| {
        json!({"issuer": name, "audience": ["app"], "keys": {"secret": "TEST_SECRET"}, "algorithms": ["HS256"],
            "use": [purpose], "max_lifetime_secs": 86_400})
    };
    let mut staff = login(STAFF, "admin");
    staff["admins"] = json!({"boss": ["read", "write"], "viewer": ["read"], "boss@staff.example": ["write"]});
    all.as_array_mut().unwrap().extend([login(LOGIN, "exchange"), staff]);
    let mut policy = policy();
    policy["plans"]["guest"] = json!({"requests_per_minute": 60, "predictions_per_minute": 10,
        "concurrent_predictions": 1, "daily_credits": "5", "pool_daily_credits": "7.5", "pool_waiting_share": 0.5});
    vec![
        ("PUBLIC_URL", Some(PUBLIC_URL.to_owned())),
        ("ISSUERS", Some(all.to_string())),
        ("POLICY", Some(policy.to_string())),
        ("TOKEN_SIGNING_KEYS", Some(SigningKey::set(keys))),
        ("TURNSTILE_SECRET", Some("turnstile-secret-of-the-simulator".to_owned())),
        ("TURNSTILE_URL", Some("http://{vendor}/turnstile/v0/siteverify".to_owned())),
    ]
}

pub fn start(keys: &[&SigningKey]) -> Stack {
    Stack::start(&Options { settings: settings(keys), ..Options::default() })
}

/// Returns a token of one of the issuers of [`settings`], valid for 12 hours unless `claims` say otherwise.
pub fn token_of(issuer: &str, subject: &str, claims: &Value) -> String {
    let now = now();
    let mut all = json!({"iss": issuer, "aud": "app", "sub": subject, "iat": now, "exp": now + 43_200});
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    sign(&json!({"alg": "HS256", "typ": "JWT"}), &all)
}

/// Returns a POST of an `application/x-www-form-urlencoded` form.
pub fn form(target: &str, fields: &[(&str, &str)]) -> Request {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Request::post(target).header("Content-Type", "application/x-www-form-urlencoded").body(body)
}

/// Returns a request to exchange `token`, with additional or replaced fields.
pub fn exchange_of(token: &str, more: &[(&str, &str)]) -> Request {
    let mut fields = vec![("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", JWT_TYPE)];
    fields.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    fields.extend(more);
    form("/auth/token", &fields)
}

impl Stack {
    pub fn exchange(&self, token: &str, more: &[(&str, &str)]) -> Response {
        self.send(&exchange_of(token, more))
    }

    /// Exchanges a token of the login issuer for an access token, which it returns.
    pub fn own_token(&self, subject: &str, claims: &Value, more: &[(&str, &str)]) -> String {
        let answer = self.exchange(&token_of(LOGIN, subject, claims), more);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }
}

/// Checks for an error response of RFC 6749 section 5.2 with this status and `error`.
#[track_caller]
pub fn assert_oauth_error(answer: &Response, status: u16, error: &str) {
    assert_eq!((answer.status, answer.json()["error"].as_str()), (status, Some(error)), "{}", answer.text());
    let body = answer.json();
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(names, ["error", "error_description"]);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

/// Decodes the claims of a token without verifying it.
pub fn claims_of(token: &str) -> Value {
    serde_json::from_slice(&segment(token, 1)).unwrap()
}

/// Decodes the header of a token without verifying it.
pub fn header_of(token: &str) -> Value {
    serde_json::from_slice(&segment(token, 0)).unwrap()
}

fn segment(token: &str, index: usize) -> Vec<u8> {
    use ct_codecs::{Base64UrlSafeNoPadding, Decoder};
    Base64UrlSafeNoPadding::decode_to_vec(token.split('.').nth(index).unwrap(), None).unwrap()
}

/// A client that proves possession of its private key (DPoP, RFC 9449).
pub struct Prover {
    key: ES256KeyPair,
}

impl Prover {
    pub fn new() -> Self {
        Self { key: ES256KeyPair::generate() }
    }

    pub fn jwk(&self) -> Value {
        let point = self.key.key_pair().public_key().to_bytes_uncompressed();
        json!({"kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..])})
    }

    /// Returns the key's thumbprint (RFC 7638), the value of `cnf.jkt`.
    pub fn thumbprint(&self) -> String {
        encode(hmac_sha256::Hash::hash(self.jwk().to_string().as_bytes()))
    }

    /// Returns a proof for a request, with additional or replaced claims.
    pub fn proof(&self, method: &str, path: &str, more: &Value) -> String {
        let mut claims = json!({"htm": method, "htu": format!("{PUBLIC_URL}{path}"), "iat": now(), "jti": new_id()});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.sign(&json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk()}), &claims)
    }

    /// Signs any header and claims.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature: p256::ecdsa::Signature = self.key.key_pair().as_ref().sign(input.as_bytes());
        format!("{input}.{}", encode(signature.to_bytes()))
    }

    /// Adds the token to the request, with a new proof for both.
    pub fn prove(&self, request: Request, token: &str) -> Request {
        let path = request.target.split('?').next().unwrap().to_owned();
        let proof = self.proof(&request.method, &path, &json!({"ath": token_hash(token)}));
        request.header("Authorization", &format!("DPoP {token}")).header("DPoP", &proof)
    }
}

/// The algorithms in a challenge for a proof.
pub const ALGS: &str = "algs=\"ES256 EdDSA Ed25519\"";

/// Returns the challenge of a refused token that came with a proof.
pub fn bad_token() -> String {
    format!("DPoP error=\"invalid_token\", {ALGS}")
}

/// Returns the challenge of a refused proof.
pub fn bad_proof() -> String {
    format!("DPoP error=\"invalid_dpop_proof\", {ALGS}")
}

/// Returns the `ath` claim of a proof: the hash of the access token (RFC 9449 section 4.2).
pub fn token_hash(token: &str) -> String {
    encode(hmac_sha256::Hash::hash(token.as_bytes()))
}

fn new_id() -> String {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("proof-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
