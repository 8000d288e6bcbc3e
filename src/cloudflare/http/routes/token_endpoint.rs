//! `/auth/token` and `/auth/revoke`: issues Valetkey's own tokens in exchange for others, and revokes tokens.

use serde_json::json;

use crate::cloudflare::http::authentication::{self, BadAttestation};
use crate::cloudflare::http::body::is_encoded;
use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::http::ledger_client::{ask_as, caller_of};
use crate::cloudflare::http::outcome::Handled;
use crate::cloudflare::http::response::Response;
use crate::cloudflare::objects::client::{known_revoked_by, revoked_by_now};
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::constants::{
    ADDRESS_RETRY_SECS, OTHER_BODY_MAX_BYTES, PROVIDER_RETRY_SECS, TURNSTILE_RESPONSE_MAX_BYTES,
    TURNSTILE_TIMEOUT_MILLIS,
};
use crate::messages::{Caller, LedgerRefusal, LedgerReply, LedgerRequest, ProofUse, Revocation};
use crate::oauth::{
    ACCESS_TOKEN_TYPE, Form, IssuedToken, OAuthError, OAuthRefusal, RequestedRestrictions, SubjectToken,
    TURNSTILE_SECRET_REFUSED, TokenRequest, check_siteverify_response, client_network, is_form, issue_for_subject,
    issue_to_new_guest, parse_revocation, siteverify_form,
};
use crate::token::{Grant, Possession, Proof, Purpose, Refusal, SigningKeys, VerifiedToken};
use crate::types::alert::Alert;
use crate::types::ids::{GuestId, TokenId};

/// The name of the platform's rate-limit binding (wrangler.toml).
const ADDRESS_RATE_LIMIT: &str = "ADDRESS_RATE_LIMIT";

/// The refusal if the platform or an object does not reply.
const UNAVAILABLE: OAuthRefusal = OAuthRefusal::new(OAuthError::Unavailable, "limiter_unavailable").retry_after(1);

/// `POST /auth/token` (RFC 8693):
///
/// 1. Read the form: 413, 415, 400.
/// 2. Verify the subject, an identity provider's token with the app's attestation: 400, 503.
/// 3. Verify the proof of possession, if there is one: 400.
/// 4. Check the requested token: 400.
/// 5. Ask the user's Ledger: 400 if the subject is revoked or the proof was used before, 429 for the repeats of the
///    minute. Then ask the Dispatcher: 400 if the subject is revoked, 503.
///
/// A guest has a Turnstile token instead, which is valid once. So steps 3 and 4 come before step 2, and a request that
/// they refuse does not use it up. Nobody counts a guest's requests in step 5, so that before step 2 the platform counts
/// those of its address: 429. No token is returned before every step has passed.
pub async fn issue(context: &RequestContext<'_>) -> Handled {
    // 1
    let request = match read_token_request(context).await {
        Ok(request) => request,
        Err(refusal) => return Handled::oauth_refused(&refusal),
    };
    let context = &context.at(platform::now());
    match &request.subject {
        SubjectToken::Turnstile(text) => respond(issue_to_guest(context, text.expose(), &request.restrictions).await),
        SubjectToken::Jwt(text) => {
            // 2, 3
            let (subject, proof) = match authenticate_subject(context, text.expose()).await {
                Ok(subject) => subject,
                Err(refusal) => return Handled::oauth_refused(&refusal),
            };
            // 4, 5
            let issued = issue_to_subject(context, &subject, &request.restrictions, proof.as_ref()).await;
            respond(issued).of(subject.grant.user.log_pseudonym())
        }
    }
}

fn respond(issued: Result<IssuedToken, OAuthRefusal>) -> Handled {
    match issued {
        Ok(issued) => Handled::complete(Response::json(
            200,
            &json!({
                "access_token": issued.token.expose(), "issued_token_type": ACCESS_TOKEN_TYPE,
                "token_type": if issued.is_bound { "DPoP" } else { "Bearer" },
                "expires_in": issued.expires_in, "scope": issued.scope,
            }),
        )),
        Err(refusal) => Handled::oauth_refused(&refusal),
    }
}

async fn read_token_request(context: &RequestContext<'_>) -> Result<TokenRequest, OAuthRefusal> {
    let public_url = context.deployment.config.public_url.as_ref().ok_or(UNAVAILABLE)?;
    TokenRequest::parse(&read_form(context).await?, public_url)
}

/// Verifies an identity provider's token (step 2), then the proof of possession (step 3).
async fn authenticate_subject(
    context: &RequestContext<'_>,
    text: &str,
) -> Result<(VerifiedToken, Option<Proof>), OAuthRefusal> {
    // 2
    authentication::check_attestation(context).await.map_err(|bad| match bad {
        BadAttestation::Unavailable => keys_unavailable(bad.as_str()),
        _ => OAuthRefusal::new(OAuthError::InvalidClient, bad.as_str()),
    })?;
    let signed = authentication::verify_signed(context, text, Purpose::Exchange).await.map_err(refuse_subject)?;
    // 3
    let proof = read_proof_if_sent(context)?;
    let possession = proof.as_ref().map_or(Possession::None, Possession::Proved);
    let subject = signed.verify_possession(possession).map_err(refuse_subject)?;
    Ok((subject, proof))
}

/// Reads the request's proof of possession; `None` without a `DPoP` header.
fn read_proof_if_sent(context: &RequestContext<'_>) -> Result<Option<Proof>, OAuthRefusal> {
    let proof = context.head.proof.is_some().then(|| authentication::read_proof(context)).transpose();
    proof.map_err(|bad| OAuthRefusal::new(OAuthError::InvalidProof, bad.as_str()))
}

fn refuse_subject(refusal: Refusal) -> OAuthRefusal {
    match refusal {
        Refusal::KeysUnavailable => keys_unavailable(refusal.as_str()),
        Refusal::ProofRequired | Refusal::BoundTokenWithoutProof | Refusal::ProofOfAnotherKey => {
            OAuthRefusal::new(OAuthError::InvalidProof, refusal.as_str())
        }
        _ => OAuthRefusal::new(OAuthError::InvalidRequest, refusal.as_str()),
    }
}

async fn issue_to_subject(
    context: &RequestContext<'_>,
    subject: &VerifiedToken,
    restrictions: &RequestedRestrictions,
    proof: Option<&Proof>,
) -> Result<IssuedToken, OAuthRefusal> {
    // 4
    let (keys, lifetime) = (signing_keys(context)?, context.deployment.config.token_lifetime_secs);
    let id = TokenId::new(context.now, platform::random());
    let issued = issue_for_subject(subject, restrictions, proof, keys, lifetime, &id, context.now.seconds())?;
    // 5
    admit(context, subject, proof).await?;
    Ok(issued)
}

fn signing_keys<'a>(context: &RequestContext<'a>) -> Result<&'a SigningKeys, OAuthRefusal> {
    context.deployment.config.signing_keys.as_deref().ok_or(UNAVAILABLE)
}

async fn admit(
    context: &RequestContext<'_>,
    subject: &VerifiedToken,
    proof: Option<&Proof>,
) -> Result<(), OAuthRefusal> {
    let revoked = Err(OAuthRefusal::new(OAuthError::InvalidRequest, "revoked"));
    let issued_at = Some(subject.grant.issued_at);
    if known_revoked_by() >= issued_at {
        return revoked;
    }
    let proof = proof.map(|proof| authentication::proof_use(context, proof));
    match ask_as_repeat(context, &subject.grant, proof, LedgerRequest::Check).await? {
        LedgerReply::Done => {}
        LedgerReply::Refused(LedgerRefusal::Revoked) => return revoked,
        LedgerReply::Refused(LedgerRefusal::ProofUsed) => {
            return Err(OAuthRefusal::new(OAuthError::InvalidProof, "proof_used"));
        }
        reply => return Err(refusal_of(&reply)),
    }
    // Asks the Dispatcher now instead of using the cached time: a revocation of the old token would not apply to the
    // new one, which is issued later. After the Ledger has counted the request, because the one Dispatcher serves
    // everybody and must not be asked for free.
    let revoked_by = revoked_by_now(context.env, context.now).await.map_err(|PlatformError| UNAVAILABLE)?;
    if revoked_by >= issued_at { revoked } else { Ok(()) }
}

/// Sends a request to the user's Ledger. It counts as a repeat, so that a client without requests left still gets a new
/// token, or revokes one.
async fn ask_as_repeat(
    context: &RequestContext<'_>,
    grant: &Grant,
    proof: Option<ProofUse>,
    request: LedgerRequest,
) -> Result<LedgerReply, OAuthRefusal> {
    let plan = context.deployment.config.policy.limits_for(grant).map_err(|_| UNAVAILABLE)?;
    let sender = Caller { is_repeat: true, ..caller_of(grant, Some(plan.requests_per_minute), proof) };
    ask_as(context.env, grant, sender, request).await.map_err(|_| UNAVAILABLE)
}

/// Returns the refusal for a Ledger's reply that is no success.
fn refusal_of(reply: &LedgerReply) -> OAuthRefusal {
    match reply {
        LedgerReply::Refused(LedgerRefusal::RateLimited { retry_after_secs }) => {
            OAuthRefusal::new(OAuthError::TooManyRequests, "rate").retry_after(*retry_after_secs)
        }
        _ => UNAVAILABLE,
    }
}

/// Issues a token to a guest: a visitor of the app's page whom Turnstile considers human. The Turnstile token is valid
/// once, so a proof that comes with it is not marked as used.
async fn issue_to_guest(
    context: &RequestContext<'_>,
    text: &str,
    restrictions: &RequestedRestrictions,
) -> Result<IssuedToken, OAuthRefusal> {
    let (config, keys) = (&context.deployment.config, signing_keys(context)?);
    let turnstile = config.turnstile.as_ref().ok_or(OAuthRefusal::new(OAuthError::InvalidRequest, "guests_off"))?;
    // 3
    let proof = read_proof_if_sent(context)?;
    // 4
    let (now, lifetime) = (context.now.seconds(), config.token_lifetime_secs);
    let guest = GuestId::new(context.now, platform::random());
    let id = TokenId::new(context.now, platform::random());
    let issued = issue_to_new_guest(&guest, restrictions, proof.as_ref(), keys, lifetime, &id, now)?;
    // 2
    check_address_rate(context).await?;
    let (url, form) = (turnstile.url.as_str(), siteverify_form(turnstile, text));
    let response = platform::post_form(url, &form, TURNSTILE_TIMEOUT_MILLIS, TURNSTILE_RESPONSE_MAX_BYTES).await;
    let response = response.ok_or(keys_unavailable("turnstile_silent"))?;
    check_siteverify_response(turnstile, &response).inspect_err(|refusal| {
        if refusal.reason == TURNSTILE_SECRET_REFUSED {
            alerts::raise(Alert::TurnstileSecretRefused);
        }
    })?;
    Ok(issued)
}

/// Checks the rate of a caller that has no identity yet, by its address, with the platform's rate-limit binding.
async fn check_address_rate(context: &RequestContext<'_>) -> Result<(), OAuthRefusal> {
    let Some(network) = platform::client_address(context.request).as_deref().and_then(client_network) else {
        return Ok(());
    };
    if platform::is_within_rate(context.env, ADDRESS_RATE_LIMIT, &network).await {
        return Ok(());
    }
    Err(OAuthRefusal::new(OAuthError::TooManyRequests, "address_rate").retry_after(ADDRESS_RETRY_SECS))
}

/// `POST /auth/revoke` (RFC 7009): revokes a token for its holder. 200 also for a token that is invalid anyway.
///
/// 1. Read the form: 413, 415, 400.
/// 2. Verify the token: 503 if its issuer's keys could not be fetched, 400 if it is valid but has no `jti`.
/// 3. Tell the user's Ledger: 429, 503.
pub async fn revoke(context: &RequestContext<'_>) -> Handled {
    // 1, 2
    let verified = match read_revoked_token(context).await {
        Ok(Some(verified)) => verified,
        Ok(None) => return Handled::complete(Response::empty(200)),
        Err(refusal) => return Handled::oauth_refused(&refusal),
    };
    // 3
    let handled = match revoke_token(context, &verified).await {
        Ok(()) => Handled::complete(Response::empty(200)),
        Err(refusal) => Handled::oauth_refused(&refusal),
    };
    handled.of(verified.grant.user.log_pseudonym())
}

/// Returns the token to revoke, or `None` if it is not valid.
async fn read_revoked_token(context: &RequestContext<'_>) -> Result<Option<VerifiedToken>, OAuthRefusal> {
    let form = read_form(context).await?;
    let context = &context.at(platform::now());
    let text = parse_revocation(&form)?;
    // No proof of possession is needed: anyone who finds a token may revoke it.
    let mut verified = authentication::verify(context, text, Purpose::Access, Possession::Waived).await;
    // Each exchange and each request of an operator checks revocation in the Ledger too.
    for purpose in [Purpose::Exchange, Purpose::Admin] {
        if matches!(verified, Err(Refusal::WrongUse)) {
            verified = authentication::verify(context, text, purpose, Possession::Waived).await;
        }
    }
    match verified {
        Ok(verified) => Ok(Some(verified)),
        Err(refusal @ Refusal::KeysUnavailable) => Err(keys_unavailable(refusal.as_str())),
        Err(_) => Ok(None),
    }
}

async fn revoke_token(context: &RequestContext<'_>, verified: &VerifiedToken) -> Result<(), OAuthRefusal> {
    let grant = &verified.grant;
    let jti = grant.jti.clone().ok_or(OAuthRefusal::new(OAuthError::UnsupportedTokenType, "no_token_id"))?;
    let revocation = Revocation::Token { jti, expires_at: grant.expires_at.millis() };
    match ask_as_repeat(context, grant, None, LedgerRequest::Revoke(revocation)).await? {
        // A token that was revoked before stays revoked.
        LedgerReply::Done | LedgerReply::Refused(LedgerRefusal::Revoked) => Ok(()),
        reply => Err(refusal_of(&reply)),
    }
}

async fn read_form(context: &RequestContext<'_>) -> Result<Form, OAuthRefusal> {
    if is_encoded(context) || !context.head.content_type.as_deref().is_some_and(is_form) {
        return Err(OAuthRefusal::new(OAuthError::NotAForm, "media_type"));
    }
    match platform::read_body(context.request, OTHER_BODY_MAX_BYTES).await {
        Ok(Some(body)) => Form::parse(&body),
        Ok(None) => Err(OAuthRefusal::new(OAuthError::BodyTooLarge, "body")),
        Err(PlatformError) => Err(OAuthRefusal::new(OAuthError::InvalidRequest, "body_unreadable")),
    }
}

fn keys_unavailable(reason: &'static str) -> OAuthRefusal {
    OAuthRefusal::new(OAuthError::Unavailable, reason).retry_after(PROVIDER_RETRY_SECS)
}
