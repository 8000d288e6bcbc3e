//! `/auth/token` and `/auth/revoke`: tokens of our own, and their end.

use serde_json::json;

use crate::cloudflare::http::authentication::{self, BadAttestation};
use crate::cloudflare::http::context::Call;
use crate::cloudflare::http::response::Response;
use crate::cloudflare::http::routes::create::is_encoded;
use crate::cloudflare::objects::client::{check, revoked_by_now, tell_ledger};
use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::constants::{
    OTHER_BODY_MAX_BYTES, PROVIDER_RETRY_SECS, TURNSTILE_RESPONSE_MAX_BYTES, TURNSTILE_TIMEOUT_MILLIS,
};
use crate::messages::{LedgerRefusal, LedgerReply, LedgerRequest, Revocation};
use crate::oauth::{
    ACCESS_TOKEN_TYPE, Form, IssuedToken, OAuthError, OAuthRefusal, RequestedRestrictions, SubjectToken,
    TURNSTILE_SECRET_REFUSED, TokenRequest, check_siteverify_response, is_form, issue_for_subject, issue_to_new_guest,
    parse_revocation, siteverify_form,
};
use crate::token::{Possession, Proof, Purpose, Refusal, SigningKeys, VerifiedToken};
use crate::types::ids::{GuestId, TokenId};

/// What a refusal of the platform or of a Ledger is here.
const UNAVAILABLE: OAuthRefusal = OAuthRefusal::new(OAuthError::Unavailable, "limiter_unavailable").retry_after(1);

/// `POST /auth/token` (RFC 8693).
///
/// 1. the form 413, 415, 400
/// 2. the subject: a provider's token with the app's attestation 400, 503
/// 3. the proof of possession, if there is one 400
/// 4. the token that is asked for 400
/// 5. the user's Ledger: revoked 400, requests 429, proof used before 400
///
/// A guest has no token: steps 3 and 4 come before Turnstile is asked (2), whose token counts once. No token is
/// returned before all of it.
pub async fn token(call: &Call<'_>) -> Result<Response, OAuthRefusal> {
    let config = &call.deployment.config;
    let (Some(keys), Some(public_url)) = (&config.signing_keys, &config.public_url) else { return Err(UNAVAILABLE) };
    // 1
    let request = TokenRequest::parse(&read_form(call).await?, public_url)?;
    let issued = match request.subject {
        SubjectToken::Jwt(text) => exchange(call, keys, text.expose(), &request.restrictions).await?,
        SubjectToken::Turnstile(text) => issue_to_guest(call, keys, text.expose(), &request.restrictions).await?,
    };
    Ok(Response::json(
        200,
        &json!({
            "access_token": issued.token.expose(), "issued_token_type": ACCESS_TOKEN_TYPE,
            "token_type": if issued.is_bound { "DPoP" } else { "Bearer" },
            "expires_in": issued.expires_in, "scope": issued.scope,
        }),
    ))
}

async fn exchange(
    call: &Call<'_>,
    keys: &SigningKeys,
    text: &str,
    wanted: &RequestedRestrictions,
) -> Result<IssuedToken, OAuthRefusal> {
    // 2
    authentication::check_attestation(call).await.map_err(|bad| match bad {
        BadAttestation::Unavailable => unavailable(bad.as_str()),
        _ => OAuthRefusal::new(OAuthError::InvalidClient, bad.as_str()),
    })?;
    let signed = authentication::verify_signed(call, text, Purpose::Exchange).await.map_err(refuse_subject)?;
    // 3
    let proof = read_proof_if_sent(call)?;
    let proof = proof.as_ref();
    let subject =
        signed.verify_possession(proof.map_or(Possession::None, Possession::Proved)).map_err(refuse_subject)?;
    call.subject.replace(Some(subject.grant.user.log_pseudonym().to_owned()));
    // 4
    let id = TokenId::new(call.now, platform::random());
    let lifetime = call.deployment.config.token_lifetime_secs;
    let issued = issue_for_subject(&subject, wanted, proof, keys, lifetime, &id, call.now.seconds())?;
    // 5
    admit(call, &subject, proof).await?;
    Ok(issued)
}

/// The request's proof of possession; none where it has no `DPoP` header.
fn read_proof_if_sent(call: &Call<'_>) -> Result<Option<Proof>, OAuthRefusal> {
    let proof = call.head.proof.is_some().then(|| authentication::read_proof(call)).transpose();
    proof.map_err(|bad| OAuthRefusal::new(OAuthError::InvalidProof, bad.as_str()))
}

fn refuse_subject(refusal: Refusal) -> OAuthRefusal {
    match refusal {
        Refusal::KeysUnavailable => unavailable(refusal.as_str()),
        Refusal::ProofRequired | Refusal::BoundTokenWithoutProof | Refusal::ProofOfAnotherKey => {
            OAuthRefusal::new(OAuthError::InvalidProof, refusal.as_str())
        }
        _ => OAuthRefusal::new(OAuthError::InvalidRequest, refusal.as_str()),
    }
}

async fn admit(call: &Call<'_>, subject: &VerifiedToken, proof: Option<&Proof>) -> Result<(), OAuthRefusal> {
    let plan = call.deployment.config.policy.limits_for(&subject.grant).map_err(|_| UNAVAILABLE)?;
    // As it is now: a new token would not be among those that were revoked with the old one.
    let revoked_by = revoked_by_now(call.env, call.now).await.map_err(|PlatformError| UNAVAILABLE)?;
    if revoked_by >= Some(subject.grant.issued_at) {
        return Err(OAuthRefusal::new(OAuthError::InvalidRequest, "revoked"));
    }
    let proof = proof.map(|proof| authentication::proof_use(call, proof));
    let reply = check(call.env, &subject.grant, Some(plan.requests_per_minute), proof).await;
    match reply.map_err(|_| UNAVAILABLE)? {
        LedgerReply::Done => Ok(()),
        LedgerReply::Refused(LedgerRefusal::Revoked) => Err(OAuthRefusal::new(OAuthError::InvalidRequest, "revoked")),
        LedgerReply::Refused(LedgerRefusal::ProofUsed) => {
            Err(OAuthRefusal::new(OAuthError::InvalidProof, "proof_used"))
        }
        LedgerReply::Refused(LedgerRefusal::RateLimited { retry_after_secs }) => {
            Err(OAuthRefusal::new(OAuthError::TooManyRequests, "rate").retry_after(retry_after_secs))
        }
        _ => Err(UNAVAILABLE),
    }
}

/// A guest: somebody whom Turnstile takes for a person, on one of our pages. The token counts once, at Turnstile, so that a
/// proof beside it needs no memory of its own.
async fn issue_to_guest(
    call: &Call<'_>,
    keys: &SigningKeys,
    text: &str,
    wanted: &RequestedRestrictions,
) -> Result<IssuedToken, OAuthRefusal> {
    let config = &call.deployment.config;
    let turnstile = config.turnstile.as_ref().ok_or(OAuthRefusal::new(OAuthError::InvalidRequest, "guests_off"))?;
    // 3
    let proof = read_proof_if_sent(call)?;
    // 4
    let (name, id) = (GuestId::new(call.now, platform::random()), TokenId::new(call.now, platform::random()));
    let issued =
        issue_to_new_guest(&name, wanted, proof.as_ref(), keys, config.token_lifetime_secs, &id, call.now.seconds())?;
    // 2
    let form = siteverify_form(turnstile, text);
    let answer =
        platform::post_form(turnstile.url.as_str(), &form, TURNSTILE_TIMEOUT_MILLIS, TURNSTILE_RESPONSE_MAX_BYTES)
            .await;
    check_siteverify_response(turnstile, &answer.ok_or(unavailable("turnstile_silent"))?).inspect_err(|refused| {
        if refused.reason == TURNSTILE_SECRET_REFUSED {
            log::alert(TURNSTILE_SECRET_REFUSED);
        }
    })?;
    Ok(issued)
}

/// `POST /auth/revoke` (RFC 7009): its holder gives a token up. One that is refused anyway is as good as revoked: 200.
///
/// 1 the form 413, 415, 400 · 2 a good token without a `jti` 400 · 3 the user's Ledger 503.
pub async fn revoke(call: &Call<'_>) -> Result<Response, OAuthRefusal> {
    // 1
    let form = read_form(call).await?;
    let text = parse_revocation(&form)?;
    // 2
    let mut verified = authentication::verify_new(call, text, Purpose::Access, Possession::Waived).await;
    if matches!(verified, Err(Refusal::WrongUse)) {
        // Its user's Ledger is asked at each exchange.
        verified = authentication::verify_new(call, text, Purpose::Exchange, Possession::Waived).await;
    }
    let verified = match verified {
        Ok(verified) => verified,
        Err(refusal @ Refusal::KeysUnavailable) => return Err(unavailable(refusal.as_str())),
        Err(_) => return Ok(Response::empty(200)),
    };
    let grant = verified.grant;
    call.subject.replace(Some(grant.user.log_pseudonym().to_owned()));
    let jti = grant.jti.ok_or(OAuthRefusal::new(OAuthError::UnsupportedTokenType, "no_token_id"))?;
    // 3
    let revocation = Revocation::Token { jti, expires_at: grant.expires_at.millis() };
    match tell_ledger(call.env, &grant.user, LedgerRequest::Revoke(revocation)).await {
        Ok(LedgerReply::Done) => Ok(Response::empty(200)),
        _ => Err(UNAVAILABLE),
    }
}

async fn read_form(call: &Call<'_>) -> Result<Form, OAuthRefusal> {
    if is_encoded(call) || !call.head.content_type.as_deref().is_some_and(is_form) {
        return Err(OAuthRefusal::new(OAuthError::NotAForm, "media_type"));
    }
    match platform::read_body(call.request, OTHER_BODY_MAX_BYTES).await {
        Ok(Some(body)) => Form::parse(&body),
        Ok(None) => Err(OAuthRefusal::new(OAuthError::BodyTooLarge, "body")),
        Err(PlatformError) => Err(OAuthRefusal::new(OAuthError::InvalidRequest, "body_unreadable")),
    }
}

fn unavailable(reason: &'static str) -> OAuthRefusal {
    OAuthRefusal::new(OAuthError::Unavailable, reason).retry_after(PROVIDER_RETRY_SECS)
}
