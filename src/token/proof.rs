//! DPoP proofs of possession ([RFC 9449]): a JWT for one request, signed with the key that a token is bound to.
//!
//! A proof does not authenticate anybody: it brings its own key in its header. It counts only beside a token that is
//! bound to this key, and only once. The user's Ledger refuses an id that was used before.
//!
//! [RFC 9449]: https://www.rfc-editor.org/rfc/rfc9449

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::compact::{Compact, decode_base64url};
use super::jwk::{Key, KeySource};
use super::signature::verify_signature;
use super::subject::is_plain_text;
use super::thumbprint::JwkThumbprint;
use super::token_hash::TokenHash;
use crate::constants::{
    PROOF_AGE_MAX_SECS, PROOF_AHEAD_MAX_SECS, PROOF_MAX_BYTES, PROOF_MAX_DEPTH, TOKEN_ID_MAX_CHARS,
};
use crate::parse::json::parse_strict_object;
use crate::types::ids::hex_digest;
use crate::types::time::UnixSeconds;
use crate::wire::headers::split_url;

/// The algorithms of proofs, in the order in which a challenge and the server metadata list them.
pub const PROOF_ALGORITHMS: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Ed25519];

/// The request that a proof has to name.
#[derive(Clone, Copy, Debug)]
pub struct ProofTarget<'a> {
    /// The request's method.
    pub method: &'a str,
    /// Scheme, host and port of `PUBLIC_URL`. The request's own `Host` is not used: the client chooses it.
    pub origin: &'a str,
    /// The request's path, not decoded.
    pub path: &'a str,
}

/// A verified proof. Only [`Proof::verify`] makes one.
#[derive(Clone, Debug)]
pub struct Proof {
    pub(super) key: JwkThumbprint,
    /// `ath`: the hash of the token that the proof was made for.
    pub(super) token_hash: Option<TokenHash>,
    id: String,
    issued_at: i64,
}

/// Why a proof is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "proof_")]
pub enum BadProof {
    /// The request has no proof although it needs one, or more than one.
    Missing,
    /// The proof is not a compact JWT with a JSON header and JSON claims.
    Form,
    /// The header does not have exactly `typ`, `alg` and `jwk`, or `typ` is not `dpop+jwt`.
    Header,
    /// `alg` is not one of [`PROOF_ALGORITHMS`].
    Algorithm,
    /// `jwk` is not a valid public key for `alg`.
    Key,
    /// The signature does not verify with the key.
    Signature,
    /// `jti` is missing or not of the allowed form.
    Id,
    /// `htm` is another method.
    Method,
    /// `htu` is another URL.
    Url,
    /// `iat` is missing, malformed, too old, or too far in the future.
    Time,
    /// `ath` is not a SHA-256 hash in base64url.
    TokenHash,
}

impl BadProof {
    /// Returns the word in the log, such as `proof_missing`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Proof {
    /// Verifies the value of a `DPoP` header by the steps of RFC 9449 section 4.3:
    ///
    /// 1. one compact JWT ([`BadProof::Missing`], [`BadProof::Form`])
    /// 2. the header: `typ`, `alg`, a public `jwk`, and nothing else ([`BadProof::Header`], [`BadProof::Algorithm`],
    ///    [`BadProof::Key`])
    /// 3. the signature with that key ([`BadProof::Signature`])
    /// 4. the claims `htm`, `htu`, `iat`, `jti`, `ath` ([`BadProof::Method`], [`BadProof::Url`], [`BadProof::Time`],
    ///    [`BadProof::Id`], [`BadProof::TokenHash`])
    ///
    /// Two checks are made elsewhere: [`verify`](super::verify()) compares the key and `ath` with the token, and the
    /// Ledger refuses a `jti` that was used before.
    ///
    /// # Errors
    /// The first [`BadProof`].
    pub fn verify(text: Option<&str>, target: ProofTarget<'_>, now: UnixSeconds) -> Result<Self, BadProof> {
        // 1
        let text = text.ok_or(BadProof::Missing)?;
        if text.len() > PROOF_MAX_BYTES {
            return Err(BadProof::Form);
        }
        let compact = Compact::parse(text).map_err(|_| BadProof::Form)?;
        let header = parse_strict_object(&compact.header, PROOF_MAX_DEPTH).map_err(|_| BadProof::Form)?;
        let claims = parse_strict_object(&compact.claims, PROOF_MAX_DEPTH).map_err(|_| BadProof::Form)?;
        // 2
        let (verifying, key) = read_header(&header)?;
        // 3
        verify_signature(&verifying.verifying, compact.signing_input, &compact.signature)
            .map_err(|_| BadProof::Signature)?;
        // 4
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("htm") != Some(target.method) {
            return Err(BadProof::Method);
        }
        if !text("htu").is_some_and(|url| is_url_of(url, target)) {
            return Err(BadProof::Url);
        }
        let issued_at = claims.get("iat").and_then(Value::as_i64).ok_or(BadProof::Time)?;
        let window = now.0.saturating_sub(PROOF_AGE_MAX_SECS)..=now.0.saturating_add(PROOF_AHEAD_MAX_SECS);
        if !window.contains(&issued_at) {
            return Err(BadProof::Time);
        }
        let id = text("jti").filter(|id| is_plain_text(id, TOKEN_ID_MAX_CHARS)).ok_or(BadProof::Id)?;
        let token_hash = claims.get("ath").map(read_token_hash).transpose()?;
        let id = hex_digest(&[key.as_str().as_bytes(), b"\0", id.as_bytes()]);
        Ok(Self { key, token_hash, id, issued_at })
    }

    /// Returns the proof's unique id: SHA-256 of its key's thumbprint and its `jti`, in hexadecimal.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the first second at which the proof is too old. From then on its id need not be remembered.
    #[must_use]
    pub fn expires_at(&self) -> UnixSeconds {
        UnixSeconds(self.issued_at.saturating_add(PROOF_AGE_MAX_SECS).saturating_add(1))
    }

    /// Returns the thumbprint of the key that signed the proof.
    #[must_use]
    pub const fn key(&self) -> &JwkThumbprint {
        &self.key
    }
}

/// Reads the key in a proof's header, and returns it with its thumbprint.
fn read_header(header: &Map<String, Value>) -> Result<(Key, JwkThumbprint), BadProof> {
    let is_typed = header.get("typ").and_then(Value::as_str).is_some_and(|typ| typ.eq_ignore_ascii_case("dpop+jwt"));
    if header.len() != 3 || !is_typed {
        return Err(BadProof::Header);
    }
    let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::parse);
    let algorithm = algorithm.filter(|found| PROOF_ALGORITHMS.contains(found)).ok_or(BadProof::Algorithm)?;
    let jwk = header.get("jwk").ok_or(BadProof::Header)?;
    let key = Key::parse(jwk, KeySource::Inline, &[algorithm]).map_err(|_| BadProof::Key)?;
    let thumbprint = JwkThumbprint::of(jwk).ok_or(BadProof::Key)?;
    Ok((key, thumbprint))
}

/// Returns whether `url` (`htu`) is the URL of the request by RFC 9449 section 4.3. Query and fragment are ignored,
/// scheme and host are normalized, and the path is compared byte for byte.
fn is_url_of(url: &str, target: ProofTarget<'_>) -> bool {
    // Some parsers, WHATWG's among them, treat a backslash as a slash.
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let Some(parts) = split_url(url).filter(|_| plain) else { return false };
    let origin = url::Url::parse(parts.origin).ok().filter(|url| url.username().is_empty() && url.password().is_none());
    origin.is_some_and(|origin| origin.origin().ascii_serialization() == target.origin) && parts.path == target.path
}

fn read_token_hash(value: &Value) -> Result<TokenHash, BadProof> {
    let bytes = value.as_str().and_then(decode_base64url).ok_or(BadProof::TokenHash)?;
    bytes.try_into().map_err(|_| BadProof::TokenHash)
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
