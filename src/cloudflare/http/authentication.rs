//! Authenticates the caller of a request: verifies the token, its proof of possession, and the app's attestation.

use std::cell::Cell;

use crate::cloudflare::http::context::{AuthenticatedCaller, RequestContext};
use crate::cloudflare::http::key_sets;
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::deployment::with_tokens;
use crate::constants::PROVIDER_RETRY_SECS;
use crate::limit::bad_tokens::BadTokens;
use crate::messages::ProofUse;
use crate::token::{self, BadProof, Possession, Proof, ProofTarget, Purpose, Refusal, SignedToken, VerifiedToken};
use crate::types::alert::Alert;
use crate::types::time::UnixMillis;
use crate::wire::headers::{self, Credentials};
use crate::wire::rejection::{Challenge, Code, Rejection};

/// Authenticates the caller of a request. A token in this isolate's cache is not verified again, but its times and its
/// proof are checked.
///
/// 1. Read the `Authorization` header: 401.
/// 2. Verify the token's form, issuer, signature and claims: 401; 503 if its issuer's keys could not be fetched.
/// 3. Verify the proof of possession: 401. Never before the token: a proof brings its own key, so without a valid token
///    anyone could make the Worker parse any key.
/// 4. Check the app's attestation, if an issuer of attestations is configured and Valetkey did not issue the token:
///    401, 503.
pub async fn authenticate(context: &RequestContext<'_>) -> Result<AuthenticatedCaller, Rejection> {
    // 1
    let (text, is_bound) = read_credentials(context)?;
    let challenge = if is_bound { Challenge::Proof } else { context.challenge() };
    let refuse = |refusal| refused(challenge, refusal);
    // 2
    let issuers = &context.deployment.config.issuers;
    let cached = with_tokens(|tokens| tokens.get_signed(text, issuers, Purpose::Access, context.now.seconds()));
    let (signed, is_new) = match cached {
        Some(signed) => (signed, false),
        None => (verify_signed(context, text, Purpose::Access).await.map_err(refuse)?, true),
    };
    // 3
    let bad_proof = |bad: BadProof| Rejection::new(Code::InvalidToken, bad.as_str()).challenge(Challenge::NewProof);
    let proof = is_bound.then(|| read_proof(context).map_err(bad_proof)).transpose()?;
    let possession = proof.as_ref().map_or(Possession::None, Possession::Proved);
    let verified = signed.verify_possession(possession).map_err(refuse)?;
    if is_new {
        with_tokens(|tokens| tokens.insert(text, &verified));
    }
    // 4
    let grant = verified.grant;
    if !grant.is_own {
        check_attestation(context).await.map_err(|bad| match bad {
            BadAttestation::Unavailable => keys_unavailable(),
            _ => Rejection::new(Code::InvalidToken, bad.as_str()).challenge(challenge),
        })?;
    }
    Ok(AuthenticatedCaller { grant, proof: proof.map(|proof| proof_use(context, &proof)), challenge })
}

thread_local! {
    static BAD_TOKENS: Cell<BadTokens> = const { Cell::new(BadTokens::NEW) };
}

/// Counts a refused token. Very many in a minute are an alert: somebody tries tokens. One that has expired was good once.
pub fn count_bad_token(rejection: &Rejection, now: UnixMillis) {
    let was_good = [Refusal::Expired.as_str(), BadAttestation::Expired.as_str()].contains(&rejection.reason);
    if rejection.code != Code::InvalidToken || was_good {
        return;
    }
    let mut tokens = BAD_TOKENS.get();
    if tokens.add(now) {
        alerts::raise(Alert::BadTokens);
    }
    BAD_TOKENS.set(tokens);
}

/// Returns the token of the `Authorization` header, and whether it must come with a proof of possession.
fn read_credentials<'a>(context: &RequestContext<'a>) -> Result<(&'a str, bool), Rejection> {
    let refuse = |code, reason| Err(Rejection::new(code, reason).challenge(context.challenge()));
    match headers::parse_authorization(context.head.authorization.as_deref()) {
        Credentials::Bearer(text) => Ok((text, false)),
        // A proof names the URL of its request, which is compared with PUBLIC_URL. Without PUBLIC_URL no proof can be
        // valid.
        Credentials::Bound(_) if context.deployment.config.public_url.is_none() => {
            refuse(Code::InvalidToken, "authorization_scheme")
        }
        Credentials::Bound(text) => Ok((text, true)),
        Credentials::Missing => refuse(Code::MissingToken, "token_missing"),
        Credentials::Unusable(reason) => refuse(Code::InvalidToken, reason),
    }
}

/// Verifies a token with its issuer's keys. Neither uses the token cache nor checks the proof of possession.
pub async fn verify_signed(context: &RequestContext<'_>, text: &str, purpose: Purpose) -> Result<SignedToken, Refusal> {
    let issuers = &context.deployment.config.issuers;
    if let Some((keys, kid)) = token::find_remote_keys(text, issuers, purpose) {
        key_sets::ensure_fresh(context, keys, kid).await;
    }
    token::verify_signed(text, issuers, purpose, context.now.seconds())
}

/// Verifies a token on a route that reads no `DPoP` header.
pub async fn verify(
    context: &RequestContext<'_>,
    text: &str,
    purpose: Purpose,
    possession: Possession<'_>,
) -> Result<VerifiedToken, Refusal> {
    verify_signed(context, text, purpose).await?.verify_possession(possession)
}

/// Verifies the proof of possession of this request. It must name `PUBLIC_URL`, not the host in the request, which the
/// sender chooses.
pub fn read_proof(context: &RequestContext<'_>) -> Result<Proof, BadProof> {
    let origin = context.deployment.config.public_url.as_deref().ok_or(BadProof::Url)?;
    let target = ProofTarget { method: &context.head.method, origin, path: context.url.path };
    Proof::verify(context.head.proof.as_deref(), target, context.now.seconds())
}

/// Returns the message that marks a proof as used. The caller's Ledger accepts each proof once.
pub fn proof_use(context: &RequestContext<'_>, proof: &Proof) -> ProofUse {
    ProofUse { id: proof.id().to_owned(), request: context.request_id.clone(), expires_at: proof.expires_at() }
}

/// Why an attestation is refused: a word for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "attestation_", const_into_str)]
pub enum BadAttestation {
    /// The request has no attestation.
    Missing,
    /// The attestation has expired.
    Expired,
    /// The attestation is invalid in any other way.
    Refused,
    /// The keys of the attestation's issuer could not be fetched.
    #[strum(serialize = "keys_unavailable")]
    Unavailable,
}

impl BadAttestation {
    /// Returns the word for the log.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// Checks the app's attestation, if an issuer of attestations is configured. An attestation never replaces a token: it
/// is the same on every phone, and says that the app is genuine, not who uses it.
pub async fn check_attestation(context: &RequestContext<'_>) -> Result<(), BadAttestation> {
    let issuers = &context.deployment.config.issuers;
    if !issuers.iter().any(|issuer| issuer.is_accepted_for(Purpose::Attest)) {
        return Ok(());
    }
    let text = context.head.attestation.as_deref().ok_or(BadAttestation::Missing)?;
    let now = context.now.seconds();
    let cached = with_tokens(|tokens| tokens.get(text, issuers, Purpose::Attest, Possession::None, now));
    if cached.is_some() {
        return Ok(());
    }
    match verify(context, text, Purpose::Attest, Possession::None).await {
        Ok(verified) => {
            with_tokens(|tokens| tokens.insert(text, &verified));
            Ok(())
        }
        Err(Refusal::KeysUnavailable) => Err(BadAttestation::Unavailable),
        Err(Refusal::Expired) => Err(BadAttestation::Expired),
        Err(_) => Err(BadAttestation::Refused),
    }
}

/// Returns the refusal of a token: the same response for every reason, except for two in which the token may be valid.
pub fn refused(challenge: Challenge, refusal: Refusal) -> Rejection {
    match refusal {
        // 503, so that the client retries with the same token instead of signing in again.
        Refusal::KeysUnavailable => keys_unavailable(),
        // The proof belongs to another request or token. This token may be valid with a proof of its own.
        Refusal::ProofOfAnotherToken => {
            Rejection::new(Code::InvalidToken, refusal.as_str()).challenge(Challenge::NewProof)
        }
        _ => Rejection::new(Code::InvalidToken, refusal.as_str()).challenge(challenge),
    }
}

fn keys_unavailable() -> Rejection {
    Rejection::new(Code::UpstreamUnavailable, Refusal::KeysUnavailable.as_str()).retry_after(PROVIDER_RETRY_SECS)
}
