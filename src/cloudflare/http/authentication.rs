//! Authenticates a caller: the token of a request, its proof of possession, and the app's attestation beside it.

use crate::cloudflare::http::context::{AuthenticatedCaller, RequestContext};
use crate::cloudflare::http::key_sets;
use crate::cloudflare::runtime::deployment::with_tokens;
use crate::constants::PROVIDER_RETRY_SECS;
use crate::messages::ProofUse;
use crate::token::{self, BadProof, Possession, Proof, ProofTarget, Purpose, Refusal, SignedToken, VerifiedToken};
use crate::wire::headers::{self, Credentials};
use crate::wire::rejection::{Challenge, Code, Rejection};

/// Authenticates the caller of a request. A token that this isolate has verified before is not verified again; its times
/// and its proof are.
///
/// 1. the `Authorization` header 401
/// 2. the token: form, issuer, signature, claims 401; 503 if its issuer's keys could not be fetched
/// 3. the proof of possession 401. Never before the token: its key is the sender's own choice, so without a good token
///    anybody could make the Worker read any key
/// 4. the app's attestation 401, 503, where an issuer of attestations is configured and the token is not our own
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

/// Returns the token of the `Authorization` header, and whether it must come with a proof of possession.
fn read_credentials<'a>(context: &RequestContext<'a>) -> Result<(&'a str, bool), Rejection> {
    let refuse = |code, reason| Err(Rejection::new(code, reason).challenge(context.challenge()));
    match headers::parse_authorization(context.head.authorization.as_deref()) {
        Credentials::Bearer(text) => Ok((text, false)),
        // A proof names the URL that it is for: without PUBLIC_URL none could be valid.
        Credentials::Bound(_) if context.deployment.config.public_url.is_none() => {
            refuse(Code::InvalidToken, "authorization_scheme")
        }
        Credentials::Bound(text) => Ok((text, true)),
        Credentials::Missing => refuse(Code::MissingToken, "token_missing"),
        Credentials::Unusable(reason) => refuse(Code::InvalidToken, reason),
    }
}

/// Verifies a token with its issuer's keys, without the cache and without its possession.
pub async fn verify_signed(context: &RequestContext<'_>, text: &str, purpose: Purpose) -> Result<SignedToken, Refusal> {
    let issuers = &context.deployment.config.issuers;
    if let Some((keys, kid)) = token::find_remote_keys(text, issuers, purpose) {
        key_sets::ensure_fresh(context, keys, kid).await;
    }
    token::verify_signed(text, issuers, purpose, context.now.seconds())
}

/// Verifies a token whose possession needs no proof of this request, or is waived.
pub async fn verify(
    context: &RequestContext<'_>,
    text: &str,
    purpose: Purpose,
    possession: Possession<'_>,
) -> Result<VerifiedToken, Refusal> {
    verify_signed(context, text, purpose).await?.verify_possession(possession)
}

/// Reads the proof of possession of this request. It must name `PUBLIC_URL`: what a request says of its own host is the
/// sender's word.
pub fn read_proof(context: &RequestContext<'_>) -> Result<Proof, BadProof> {
    let origin = context.deployment.config.public_url.as_deref().ok_or(BadProof::Url)?;
    let target = ProofTarget { method: &context.head.method, origin, path: context.url.path };
    Proof::verify(context.head.proof.as_deref(), target, context.now.seconds())
}

/// Returns the one use of a proof, which the caller's Ledger accepts once.
pub fn proof_use(context: &RequestContext<'_>, proof: &Proof) -> ProofUse {
    ProofUse { id: proof.id().to_owned(), request: context.request_id.clone(), expires_at: proof.expires_at() }
}

/// What is wrong with an attestation: a word for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "attestation_", const_into_str)]
pub enum BadAttestation {
    /// The request has none.
    Missing,
    /// It has expired.
    Expired,
    /// It is invalid in any other way.
    Refused,
    /// The keys of its issuer could not be fetched.
    #[strum(serialize = "keys_unavailable")]
    Unavailable,
}

impl BadAttestation {
    /// The word in the log.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// Checks the app's attestation, where an issuer of attestations is configured. An attestation is the same on every
/// phone: it says that the app is genuine and not who uses it, so it is never enough alone.
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

/// Returns the response to a refused token: the same bytes for every reason, but for the two whose token may be good.
pub fn refused(challenge: Challenge, refusal: Refusal) -> Rejection {
    match refusal {
        // The caller should come back with the same token, not sign in again.
        Refusal::KeysUnavailable => keys_unavailable(),
        // The proof is of another request or another token: this token may be good with a proof of its own.
        Refusal::ProofOfAnotherToken => {
            Rejection::new(Code::InvalidToken, refusal.as_str()).challenge(Challenge::NewProof)
        }
        _ => Rejection::new(Code::InvalidToken, refusal.as_str()).challenge(challenge),
    }
}

fn keys_unavailable() -> Rejection {
    Rejection::new(Code::UpstreamUnavailable, Refusal::KeysUnavailable.as_str()).retry_after(PROVIDER_RETRY_SECS)
}
