//! Verifies a token's text and returns its grant.

use std::hint::black_box;
use std::sync::Arc;

use super::claims::{CheckedClaims, Claims, TokenTimes};
use super::compact::Compact;
use super::grant::Grant;
use super::header::Header;
use super::issuer::{Issuer, ProofRule, Purpose};
use super::proof::Proof;
use super::refusal::Refusal;
use super::remote_keys::RemoteKeys;
use super::signature::verify_signature;
use super::thumbprint::{JwkThumbprint, KeyThumbprint};
use super::token_hash::{TokenHash, hash_token};
use crate::types::time::UnixSeconds;

/// A token whose form, issuer, signature and claims are valid, but whose proof of possession is not checked yet.
///
/// [`SignedToken::verify_possession`] is the only way to the grant, so that no caller can forget the proof of a bound
/// token.
#[derive(Clone, Debug)]
pub struct SignedToken {
    verified: VerifiedToken,
    proof_rule: ProofRule,
}

impl SignedToken {
    /// Checks the token's binding against `possession` (step 8 of [`verify`]).
    ///
    /// # Errors
    /// A [`Refusal`] if the token needs a proof and there is none, or if the proof does not belong to the token.
    pub fn verify_possession(self, possession: Possession<'_>) -> Result<VerifiedToken, Refusal> {
        let Self { verified, proof_rule } = self;
        possession.check(&verified, proof_rule)?;
        Ok(verified)
    }
}

/// A token that passed every check. Only [`verify`] and [`SignedToken::verify_possession`] make one.
#[derive(Clone, Debug)]
pub struct VerifiedToken {
    /// The rights that the token grants.
    pub grant: Grant,
    issuer: String,
    subject: String,
    email: Option<String>,
    client_id: String,
    kid: Option<String>,
    pub(super) binding: Option<JwkThumbprint>,
    pub(super) purpose: Purpose,
    pub(super) times: TokenTimes,
    pub(super) thumbprint: KeyThumbprint,
    pub(super) settings_hash: [u8; 32],
    pub(super) token_hash: TokenHash,
    pub(super) verified_at: UnixSeconds,
}

impl VerifiedToken {
    /// Turns a cached token back into one whose proof of possession has to be checked.
    pub(super) fn into_signed(self, issuer: &Issuer) -> SignedToken {
        SignedToken { verified: self, proof_rule: issuer.proof }
    }

    /// Returns the issuer of the token: `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the issuer's name for the user: `sub`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns the user's email address, if the issuer vouches for it.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    /// Returns the client that the token was issued to: its `client_id` or `azp`, else the accepted audience.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns the thumbprint of the key that the token is bound to.
    #[must_use]
    pub const fn binding(&self) -> Option<&JwkThumbprint> {
        self.binding.as_ref()
    }

    /// Returns the `kid` of the token.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }
}

/// The caller's evidence that the token was issued to the caller.
#[derive(Clone, Copy, Debug)]
pub enum Possession<'a> {
    /// No proof: the token is used as a bearer token.
    None,
    /// A verified proof for this request.
    Proved(&'a Proof),
    /// No proof is needed, because the token is only revoked: anyone who found it may do that.
    Waived,
}

impl Possession<'_> {
    /// Checks a token against its binding (`cnf.jkt`, RFC 7800 and RFC 9449 section 7.1).
    ///
    /// A bound token without a proof of its key is refused, even if everything else is valid. A proof for the API names
    /// the token (`ath`). A proof for an exchange may come with an unbound token, and then binds the new token.
    fn check(self, verified: &VerifiedToken, proof_rule: ProofRule) -> Result<(), Refusal> {
        let is_exchange = verified.purpose == Purpose::Exchange;
        match (self, verified.binding.as_ref()) {
            (Self::Waived, _) => Ok(()),
            (Self::None, Some(_)) => Err(Refusal::BoundTokenWithoutProof),
            (Self::None, None) if proof_rule == ProofRule::Required => Err(Refusal::ProofRequired),
            (Self::None, None) => Ok(()),
            (Self::Proved(_), None) if is_exchange => Ok(()),
            (Self::Proved(_), None) => Err(Refusal::ProofForUnboundToken),
            (Self::Proved(proof), Some(key)) if proof.key != *key => Err(Refusal::ProofOfAnotherKey),
            (Self::Proved(_), Some(_)) if is_exchange => Ok(()),
            (Self::Proved(proof), Some(_)) if proof.token_hash.as_ref() == Some(&verified.token_hash) => Ok(()),
            (Self::Proved(_), Some(_)) => Err(Refusal::ProofOfAnotherToken),
        }
    }
}

/// Verifies `token` for `purpose` at `now`. The steps, and the refusals of each:
///
/// 1. compact form: size, three segments, canonical base64url ([`Refusal::TooLong`], [`Refusal::NotCompact`],
///    [`Refusal::HeaderTooLong`], [`Refusal::BadEncoding`])
/// 2. header: a JSON object, a known `alg`, a well-formed `kid` ([`Refusal::BadHeader`],
///    [`Refusal::UnknownAlgorithm`], [`Refusal::BadKeyId`])
/// 3. claims: a JSON object, of which only `iss` is read, and only to choose an issuer
///    ([`Refusal::BadClaims`], [`Refusal::UnknownIssuer`], [`Refusal::WrongUse`])
/// 4. the header against the issuer: members, `typ` ([`Refusal::UnexpectedHeaderMember`], [`Refusal::WrongType`])
/// 5. the key that `kid` names, and its one algorithm ([`Refusal::KeysUnavailable`], [`Refusal::UnknownKey`],
///    [`Refusal::MissingKeyId`], [`Refusal::WrongAlgorithm`])
/// 6. the signature ([`Refusal::BadSignature`])
/// 7. the claims: times, audience, subject, id, restrictions (all other refusals, except those of step 8)
/// 8. the binding against `possession` ([`SignedToken::verify_possession`])
///
/// Nothing in the token is trusted before step 6. Nothing in it can choose an algorithm, bring a key from outside the
/// configuration, or skip a step.
///
/// # Errors
/// The first [`Refusal`], whose word ([`Refusal::as_str`]) goes to the log.
pub fn verify(
    token: &str,
    issuers: &[Issuer],
    purpose: Purpose,
    possession: Possession<'_>,
    now: UnixSeconds,
) -> Result<VerifiedToken, Refusal> {
    verify_signed(token, issuers, purpose, now)?.verify_possession(possession)
}

/// Runs steps 1 to 7 of [`verify`]. For callers that verify a proof of possession only after the token: anybody can
/// sign a valid proof with a key of their own, and verifying it costs a signature.
///
/// # Errors
/// The first [`Refusal`].
pub fn verify_signed(
    token: &str,
    issuers: &[Issuer],
    purpose: Purpose,
    now: UnixSeconds,
) -> Result<SignedToken, Refusal> {
    // 1
    let compact = Compact::parse(token)?;
    // 2
    let header = Header::parse(&compact.header)?;
    // 3
    let claims = Claims::parse(&compact.claims)?;
    let name = claims.unverified_issuer().ok_or(Refusal::UnknownIssuer)?;
    let issuer = issuers.iter().find(|issuer| issuer.name == name).ok_or(Refusal::UnknownIssuer)?;
    if !issuer.is_accepted_for(purpose) {
        return Err(Refusal::WrongUse);
    }
    // 4
    header.check(issuer)?;
    // 5
    let keys = issuer.keys.usable_keys(now)?;
    let key = keys.find(header.kid()).inspect_err(|_| {
        // Do as much work as for a known `kid`, so that the response time does not reveal which `kid`s exist.
        if let Some(decoy) = keys.find_by_algorithm(header.algorithm) {
            let _ = black_box(verify_signature(&decoy.verifying, compact.signing_input, &compact.signature));
        }
    })?;
    if header.algorithm != key.verifying.algorithm() {
        return Err(Refusal::WrongAlgorithm);
    }
    // 6
    verify_signature(&key.verifying, compact.signing_input, &compact.signature).map_err(|_| Refusal::BadSignature)?;
    // 7
    let CheckedClaims { grant, times, subject, email, client_id, binding } = claims.check(issuer, now)?;
    let verified = VerifiedToken {
        grant,
        issuer: issuer.name.clone(),
        subject,
        email,
        client_id,
        kid: header.kid().map(str::to_owned),
        binding,
        purpose,
        times,
        thumbprint: key.thumbprint,
        settings_hash: issuer.settings_hash,
        token_hash: hash_token(token),
        verified_at: now,
    };
    Ok(SignedToken { verified, proof_rule: issuer.proof })
}

/// Returns the remote key set and the `kid` that `token` needs, so that the caller can fetch them before [`verify`].
/// Nothing in the token is trusted. Returns `None` if the issuer's keys are not at a URL, and for a token that
/// [`verify`] refuses before step 5.
#[must_use]
pub fn find_remote_keys<'a>(
    token: &str,
    issuers: &'a [Issuer],
    purpose: Purpose,
) -> Option<(&'a Arc<RemoteKeys>, Option<String>)> {
    let compact = Compact::parse(token).ok()?;
    let header = Header::parse(&compact.header).ok()?;
    let claims = Claims::parse(&compact.claims).ok()?;
    let name = claims.unverified_issuer()?;
    let issuer = issuers.iter().find(|issuer| issuer.name == name && issuer.is_accepted_for(purpose))?;
    header.check(issuer).ok()?;
    Some((issuer.remote_keys()?, header.kid().map(str::to_owned)))
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
