//! Who calls: the token of a request, its proof of possession, and the app's attestation beside it.

use crate::cloudflare::http::context::Call;
use crate::cloudflare::http::key_sets;
use crate::cloudflare::runtime::deployment::with_tokens;
use crate::constants::PROVIDER_RETRY_SECS;
use crate::messages::ProofUse;
use crate::token::{
    self, BadProof, Grant, Possession, Proof, ProofTarget, Purpose, Refusal, SignedToken, VerifiedToken,
};
use crate::wire::headers::{self, Credentials};
use crate::wire::rejection::{Challenge, Code, Rejection};

/// The grant of a request's token. One that was verified before is not verified again; its times and its proof are.
///
/// 1. the header
/// 2. the token: form, issuer, signature, claims
/// 3. the proof of possession of a token that comes with one, never before: its key is the sender's own choice
/// 4. the attestation, where the deployment asks for one and the token is not our own
///
/// All 401, but 503 where an issuer's keys cannot be had.
pub async fn verify_token(call: &Call<'_>) -> Result<Grant, Rejection> {
    // 1
    let (text, is_bound) = match headers::parse_authorization(call.head.authorization.as_deref()) {
        Credentials::Bearer(text) => (text, false),
        // A proof names the URL that it is for: without PUBLIC_URL none could be good.
        Credentials::Bound(_) if call.deployment.config.public_url.is_none() => {
            return Err(call.unauthorized(Code::InvalidToken, "authorization_scheme"));
        }
        Credentials::Bound(text) => (text, true),
        Credentials::Missing => return Err(call.unauthorized(Code::MissingToken, "token_missing")),
        Credentials::Unusable(reason) => return Err(call.unauthorized(Code::InvalidToken, reason)),
    };
    if is_bound {
        call.challenge.set(Challenge::Proof);
    }
    // 2
    let issuers = &call.deployment.config.issuers;
    let known = with_tokens(|tokens| tokens.get_signed(text, issuers, Purpose::Access, call.now.seconds()));
    let (signed, is_new) = match known {
        Some(signed) => (signed, false),
        None => (verify_signed(call, text, Purpose::Access).await.map_err(|refusal| refused(call, refusal))?, true),
    };
    // 3
    let bad_proof = |bad: BadProof| Rejection::new(Code::InvalidToken, bad.as_str()).challenge(Challenge::NewProof);
    let proof = is_bound.then(|| read_proof(call).map_err(bad_proof)).transpose()?;
    let possession = proof.as_ref().map_or(Possession::None, Possession::Proved);
    let verified = signed.verify_possession(possession).map_err(|refusal| refused(call, refusal))?;
    if is_new {
        with_tokens(|tokens| tokens.insert(text, &verified));
    }
    // 4
    let grant = verified.grant;
    if !grant.is_own {
        check_attestation(call).await.map_err(|bad| match bad {
            BadAttestation::Unavailable => keys_unavailable(),
            _ => call.unauthorized(Code::InvalidToken, bad.as_str()),
        })?;
    }
    call.proof.replace(proof.map(|proof| proof_use(call, &proof)));
    Ok(grant)
}

/// Verifies a token that this isolate does not remember, with its issuer's keys: all but its possession.
pub async fn verify_signed(call: &Call<'_>, text: &str, purpose: Purpose) -> Result<SignedToken, Refusal> {
    let issuers = &call.deployment.config.issuers;
    if let Some((keys, kid)) = token::find_remote_keys(text, issuers, purpose) {
        key_sets::have(call, keys, kid).await;
    }
    token::verify_signed(text, issuers, purpose, call.now.seconds())
}

/// The same for a token whose possession needs no proof of this request, or is waived.
pub async fn verify_new(
    call: &Call<'_>,
    text: &str,
    purpose: Purpose,
    possession: Possession<'_>,
) -> Result<VerifiedToken, Refusal> {
    verify_signed(call, text, purpose).await?.verify_possession(possession)
}

/// The proof of possession of this request. There can be none without `PUBLIC_URL`, which it must name.
pub fn read_proof(call: &Call<'_>) -> Result<Proof, BadProof> {
    let origin = call.deployment.config.public_url.as_deref().ok_or(BadProof::Url)?;
    let target = ProofTarget { method: &call.head.method, origin, path: call.url.path };
    Proof::verify(call.head.proof.as_deref(), target, call.now.seconds())
}

/// The use of a proof by this request.
pub fn proof_use(call: &Call<'_>, proof: &Proof) -> ProofUse {
    ProofUse { id: proof.id().to_owned(), request: call.request_id.clone(), ends_at: proof.expires_at() }
}

/// What is wrong with an attestation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadAttestation {
    /// None, and the deployment has an issuer of attestations.
    Missing,
    /// It has ended.
    Expired,
    /// It is not good.
    Refused,
    /// Its issuer's keys cannot be had.
    Unavailable,
}

impl BadAttestation {
    /// The word in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "attestation_missing",
            Self::Expired => "attestation_expired",
            Self::Refused => "attestation_refused",
            Self::Unavailable => "attestation_keys_unavailable",
        }
    }
}

/// Where an issuer of attestations is configured, whoever does not come with a token of our own shows one: the same on
/// every phone, it says that the app is genuine and not who uses it, so that it is never enough alone.
pub async fn check_attestation(call: &Call<'_>) -> Result<(), BadAttestation> {
    let issuers = &call.deployment.config.issuers;
    if !issuers.iter().any(|issuer| issuer.is_accepted_for(Purpose::Attest)) {
        return Ok(());
    }
    let text = call.head.attestation.as_deref().ok_or(BadAttestation::Missing)?;
    let now = call.now.seconds();
    let known = with_tokens(|tokens| tokens.get(text, issuers, Purpose::Attest, Possession::None, now));
    if known.is_some() {
        return Ok(());
    }
    match verify_new(call, text, Purpose::Attest, Possession::None).await {
        Ok(verified) => {
            with_tokens(|tokens| tokens.insert(text, &verified));
            Ok(())
        }
        Err(Refusal::KeysUnavailable) => Err(BadAttestation::Unavailable),
        Err(Refusal::Expired) => Err(BadAttestation::Expired),
        Err(_) => Err(BadAttestation::Refused),
    }
}

/// The one answer to every token that is refused.
pub fn refused(call: &Call<'_>, refusal: Refusal) -> Rejection {
    match refusal {
        // The token may be good: its holder is to come back with it, not to sign in again.
        Refusal::KeysUnavailable => keys_unavailable(),
        // The proof is somebody else's, or of another request: the token may be good with the right one.
        Refusal::ProofOfAnotherToken => {
            Rejection::new(Code::InvalidToken, refusal.as_str()).challenge(Challenge::NewProof)
        }
        _ => call.unauthorized(Code::InvalidToken, refusal.as_str()),
    }
}

fn keys_unavailable() -> Rejection {
    Rejection::new(Code::UpstreamUnavailable, Refusal::KeysUnavailable.as_str()).retry_after(PROVIDER_RETRY_SECS)
}
