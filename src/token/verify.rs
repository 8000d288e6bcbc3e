//! From a token's text to a grant.

use std::sync::Arc;

use super::claims::{Claims, Times};
use super::compact::Compact;
use super::grant::Grant;
use super::header::Header;
use super::issuer::{Issuer, Purpose};
use super::refusal::Refusal;
use super::remote_keys::RemoteKeys;
use super::signature::verify_signature;
use super::thumbprint::KeyThumbprint;
use crate::time::UnixSeconds;

/// SHA-256 over a whole token, signature included.
pub(super) type TokenHash = [u8; 32];

pub(super) fn hash_token(token: &str) -> TokenHash {
    hmac_sha256::Hash::hash(token.as_bytes())
}

/// A token that passed every check, and by whom and what it did. Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What the token grants.
    pub grant: Grant,
    issuer: String,
    kid: Option<String>,
    pub(super) purpose: Purpose,
    pub(super) times: Times,
    pub(super) thumbprint: KeyThumbprint,
    pub(super) settings_hash: [u8; 32],
    pub(super) token_hash: TokenHash,
    pub(super) verified_at: UnixSeconds,
}

impl Verified {
    /// The configured issuer that made it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The key that it names.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }
}

/// Verifies `token` for `purpose` at `now`. The steps, and what each can refuse:
///
/// 1. compact form: size, three segments, canonical base64url ([`Refusal::TooLong`], [`Refusal::NotCompact`],
///    [`Refusal::HeaderTooLong`], [`Refusal::BadEncoding`])
/// 2. header: a JSON object, a known `alg`, a well-formed `kid` ([`Refusal::BadHeader`],
///    [`Refusal::UnknownAlgorithm`], [`Refusal::BadKeyId`])
/// 3. claims: a JSON object, of which only `iss` is looked at, and only to choose an issuer
///    ([`Refusal::BadClaims`], [`Refusal::UnknownIssuer`], [`Refusal::WrongUse`])
/// 4. the header against the issuer: members, `typ` ([`Refusal::UnexpectedHeaderMember`], [`Refusal::WrongType`])
/// 5. the key that `kid` names, and its one algorithm ([`Refusal::KeysUnavailable`], [`Refusal::UnknownKey`],
///    [`Refusal::MissingKeyId`], [`Refusal::WrongAlgorithm`])
/// 6. the signature ([`Refusal::BadSignature`])
/// 7. the claims: times, audience, binding, subject, id, narrowing (every other [`Refusal`])
///
/// Nothing of the token is believed before step 6, and nothing in it can choose an algorithm, a key from outside
/// the configuration, or a way around a step.
///
/// # Errors
/// The first [`Refusal`]. Callers answer all of them alike and log [`Refusal::as_str`].
pub fn verify(token: &str, issuers: &[Issuer], purpose: Purpose, now: UnixSeconds) -> Result<Verified, Refusal> {
    // 1
    let compact = Compact::parse(token)?;
    // 2
    let header = Header::parse(&compact.header)?;
    // 3
    let claims = Claims::parse(&compact.claims)?;
    let name = claims.unverified_issuer().ok_or(Refusal::UnknownIssuer)?;
    let issuer = issuers.iter().find(|issuer| issuer.name == name).ok_or(Refusal::UnknownIssuer)?;
    if !issuer.serves(purpose) {
        return Err(Refusal::WrongUse);
    }
    // 4
    header.check(issuer)?;
    // 5
    let keys = issuer.keys.current(now)?;
    let key = keys.find(header.kid())?;
    if header.algorithm != key.verifying.algorithm() {
        return Err(Refusal::WrongAlgorithm);
    }
    // 6
    verify_signature(&key.verifying, compact.signing_input, &compact.signature).map_err(|_| Refusal::BadSignature)?;
    // 7
    let (grant, times) = claims.check(issuer, now)?;
    Ok(Verified {
        grant,
        issuer: issuer.name.clone(),
        kid: header.kid().map(str::to_owned),
        purpose,
        times,
        thumbprint: key.thumbprint,
        settings_hash: issuer.settings_hash,
        token_hash: hash_token(token),
        verified_at: now,
    })
}

/// The keys at a URL that `token` names one of, and that one's `kid`: what to have before [`verify`] is asked. Nothing of
/// the token is believed; a token that is refused in any case names none.
#[must_use]
pub fn remote_keys_of<'a>(
    token: &str,
    issuers: &'a [Issuer],
    purpose: Purpose,
) -> Option<(&'a Arc<RemoteKeys>, Option<String>)> {
    let compact = Compact::parse(token).ok()?;
    let header = Header::parse(&compact.header).ok()?;
    let claims = Claims::parse(&compact.claims).ok()?;
    let name = claims.unverified_issuer()?;
    let issuer = issuers.iter().find(|issuer| issuer.name == name && issuer.serves(purpose))?;
    header.check(issuer).ok()?;
    Some((issuer.remote_keys()?, header.kid().map(str::to_owned)))
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
