//! From a token's text to a grant.

use std::hint::black_box;
use std::sync::Arc;

use super::claims::{Checked, Claims, Times};
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

/// A token whose form, issuer, signature and claims are good. It grants nothing yet: [`SignedToken::held_with`] is the
/// only way to its grant, so that nobody can forget a bound token's proof of possession.
#[derive(Clone, Debug)]
pub struct SignedToken {
    verified: Verified,
    proof_rule: ProofRule,
}

impl SignedToken {
    /// Accepts the token from a caller that shows `possession` of its key (step 8 of [`verify`]).
    ///
    /// # Errors
    /// The [`Refusal`] of a bound token without its key's proof, and of a proof that does not belong to the token.
    pub fn held_with(self, possession: Possession<'_>) -> Result<Verified, Refusal> {
        let Self { verified, proof_rule } = self;
        possession.check(&verified, proof_rule)?;
        Ok(verified)
    }
}

/// A token that passed every check. Only [`verify`] and [`SignedToken::held_with`] make one.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What the token grants.
    pub grant: Grant,
    issuer: String,
    subject: String,
    email: Option<String>,
    kid: Option<String>,
    pub(super) binding: Option<JwkThumbprint>,
    pub(super) purpose: Purpose,
    pub(super) times: Times,
    pub(super) thumbprint: KeyThumbprint,
    pub(super) settings_hash: [u8; 32],
    pub(super) token_hash: TokenHash,
    pub(super) verified_at: UnixSeconds,
}

impl Verified {
    /// A verified token again as one whose possession is to be shown: what the cache hands out.
    pub(super) fn without_possession(self, issuer: &Issuer) -> SignedToken {
        SignedToken { verified: self, proof_rule: issuer.proof }
    }

    /// The configured issuer that made it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The issuer's name for the user: `sub`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The user's address, as far as the issuer vouches for it.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    /// The key that the token is bound to.
    #[must_use]
    pub const fn binding(&self) -> Option<&JwkThumbprint> {
        self.binding.as_ref()
    }

    /// The key that it names.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }
}

/// What comes with a token to show that its bearer is the one to whom it was given.
#[derive(Clone, Copy, Debug)]
pub enum Possession<'a> {
    /// Nothing: the token is a bearer token.
    None,
    /// A good proof for this request.
    Proved(&'a Proof),
    /// It does not matter, because the token is given up: whoever found it may do that.
    Waived,
}

impl Possession<'_> {
    /// Checks a token against its binding (`cnf.jkt`, RFC 7800 and RFC 9449 section 7.1).
    ///
    /// A bound token without its key's proof is worth nothing, whatever else is right about it. A proof for the API names
    /// the token (`ath`); one for an exchange may come with a token that is not bound, and then binds the new one.
    fn check(self, verified: &Verified, proof_rule: ProofRule) -> Result<(), Refusal> {
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
/// 7. the claims: times, audience, subject, id, narrowing (every other [`Refusal`], but those of step 8)
/// 8. the binding against `possession` ([`SignedToken::held_with`])
///
/// Nothing of the token is believed before step 6, and nothing in it can choose an algorithm, a key from outside
/// the configuration, or a way around a step.
///
/// # Errors
/// The first [`Refusal`]. Callers answer all of them alike and log [`Refusal::as_str`].
pub fn verify(
    token: &str,
    issuers: &[Issuer],
    purpose: Purpose,
    possession: Possession<'_>,
    now: UnixSeconds,
) -> Result<Verified, Refusal> {
    verify_signed(token, issuers, purpose, now)?.held_with(possession)
}

/// Steps 1 to 7 of [`verify`], for a caller that reads a proof of possession only beside a good token: a proof's key is
/// the sender's own choice, and reading it costs a signature.
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
    if !issuer.serves(purpose) {
        return Err(Refusal::WrongUse);
    }
    // 4
    header.check(issuer)?;
    // 5
    let keys = issuer.keys.current(now)?;
    let key = keys.find(header.kid()).inspect_err(|_| {
        // As much work as for a key that is there: the time of the answer does not tell which names exist.
        if let Some(decoy) = keys.of_algorithm(header.algorithm) {
            let _ = black_box(verify_signature(&decoy.verifying, compact.signing_input, &compact.signature));
        }
    })?;
    if header.algorithm != key.verifying.algorithm() {
        return Err(Refusal::WrongAlgorithm);
    }
    // 6
    verify_signature(&key.verifying, compact.signing_input, &compact.signature).map_err(|_| Refusal::BadSignature)?;
    // 7
    let Checked { grant, times, subject, email, binding } = claims.check(issuer, now)?;
    let verified = Verified {
        grant,
        issuer: issuer.name.clone(),
        subject,
        email,
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
