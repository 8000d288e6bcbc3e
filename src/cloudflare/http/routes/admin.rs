//! The operator's API: for now, revoking tokens.

use serde_json::{Map, Value};

use crate::cloudflare::http::authentication;
use crate::cloudflare::http::body::{BodyKind, read_json};
use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::http::ledger_client::{ask_as, caller_of, limiter_unavailable, tell_ledger};
use crate::cloudflare::http::outcome::Handled;
use crate::cloudflare::http::response::Response;
use crate::cloudflare::objects::client::{ask_dispatcher, known_revoked_by, remember_revoked, revoked_by_now};
use crate::constants::{ACK_TIMEOUT_MILLIS, ISSUER_LEEWAY_MAX_SECS, OPERATOR_REQUESTS_PER_MINUTE, TOKEN_ID_MAX_CHARS};
use crate::messages::{DispatcherReply, DispatcherRequest, LedgerRefusal, LedgerReply, LedgerRequest, Revocation};
use crate::parse::number::parse_whole;
use crate::token::{AdminRight, GUEST_ISSUER, Issuer, Possession, Purpose, VerifiedToken, is_plain_text};
use crate::types::ids::UserKey;
use crate::types::time::UnixSeconds;
use crate::wire::headers::{self, Credentials};
use crate::wire::rejection::{Code, Rejection};
use crate::wire::violation::{Rule, Violation};

/// `POST /admin/api/revocations`:
///
/// 1. Verify the operator's token: 401, 503.
/// 2. Check the operator's right to write: 403. Before any object is called, because anybody may have a token of an
///    issuer of operators.
/// 3. Ask the operator's Ledger: 401 if the token is revoked, 429 for the requests of the minute, 503. Then ask the
///    Dispatcher: 401 if the token is revoked, 503.
/// 4. Read the body: 415, 413, 400.
/// 5. Tell the user's Ledger or the Dispatcher: 503.
///
/// The body is one of these:
///
/// - `{"issuer":"…","subject":"…"}`: revokes every token of that user issued until now
/// - the same with `"jti":"…"`: revokes that one token
/// - `{"issued_by":1768473000}`: revokes every token of every user issued until that time, in Unix seconds
pub async fn revoke(context: &RequestContext<'_>) -> Handled {
    // 1
    let operator = match verify_operator_token(context).await {
        Ok(operator) => operator,
        Err(rejection) => return Handled::refused(rejection.into()),
    };
    // 2 to 5
    let handled = match revoke_as(context, &operator).await {
        Ok(()) => Handled::complete(Response::empty(204)),
        Err(rejection) => Handled::refused(rejection.into()),
    };
    handled.of(operator.grant.user.log_pseudonym())
}

async fn revoke_as(context: &RequestContext<'_>, operator: &VerifiedToken) -> Result<(), Rejection> {
    // 2
    check_right(context, operator, AdminRight::Write)?;
    // 3
    check_not_revoked(context, operator).await?;
    // 4
    let body = read_json(context, BodyKind::Other).await?;
    let target = Target::parse(&context.at(body.read_at), &body.members)?;
    // 5
    let is_done = match target {
        Target::User(user, revocation) => {
            matches!(tell_ledger(context.env, &user, LedgerRequest::Revoke(revocation)).await, Ok(LedgerReply::Done))
        }
        Target::Everybody(issued_by) => {
            let request = DispatcherRequest::RevokeAll { issued_by };
            let is_done =
                matches!(ask_dispatcher(context.env, &request, ACK_TIMEOUT_MILLIS).await, Ok(DispatcherReply::Done));
            if is_done {
                remember_revoked(issued_by);
            }
            is_done
        }
    };
    if is_done { Ok(()) } else { Err(limiter_unavailable("revocation")) }
}

/// The tokens to revoke.
enum Target {
    User(UserKey, Revocation),
    Everybody(UnixSeconds),
}

impl Target {
    fn parse(context: &RequestContext<'_>, body: &Map<String, Value>) -> Result<Self, Rejection> {
        let now = context.now.seconds();
        let wrong = |name: &str| Rejection::parameter(Code::InvalidParameter, "revocation", name);
        if let Some(name) = body.keys().find(|name| !["issuer", "subject", "jti", "issued_by"].contains(&name.as_str()))
        {
            return Err(Rejection::parameter(Code::UnsupportedParameter, "revocation", name.as_str()));
        }
        let text = |name: &str| match body.get(name) {
            None => Ok(None),
            // The rule for `sub` and `jti` in a token. Any other text could match no token.
            Some(Value::String(text)) if is_plain_text(text, TOKEN_ID_MAX_CHARS) => Ok(Some(text)),
            Some(Value::String(_)) => Err(wrong(name).because(Violation::plain(Rule::Format))),
            Some(_) => Err(wrong(name).because(Violation::new(Rule::Type, "string"))),
        };
        let missing = |name: &str| wrong(name).because(Violation::plain(Rule::Required));
        if let Some(time) = body.get("issued_by") {
            // A time in the future would also refuse tokens that are not issued yet: until then no user could get in.
            let latest = now.0.saturating_add(ISSUER_LEEWAY_MAX_SECS);
            let violation = match parse_whole::<i64>(time) {
                None => Violation::new(Rule::Type, "integer"),
                Some(..0) => Violation::new(Rule::Min, 0),
                Some(time) if time > latest => Violation::new(Rule::Max, latest),
                Some(time) if body.len() == 1 => return Ok(Self::Everybody(UnixSeconds(time))),
                // Beside it there is a user, whom it would not be about.
                Some(_) => return Err(wrong("issued_by")),
            };
            return Err(wrong("issued_by").because(violation));
        }
        // A configured name may be longer than a claim.
        let issuer = body.get("issuer").and_then(Value::as_str);
        let (subject, jti) = (text("subject")?, text("jti")?);
        // Only known issuers: a misspelled one would revoke nothing, without an error. Users belong to the issuer of
        // their first token, never to this deployment.
        let has_users = |issuer: &&Issuer| {
            !issuer.is_own()
                && [Purpose::Access, Purpose::Exchange, Purpose::Admin].iter().any(|use_| issuer.is_accepted_for(*use_))
        };
        let mut names = context.deployment.config.issuers.iter().filter(has_users).map(Issuer::name);
        let mut is_known = |name: &str| name == GUEST_ISSUER || names.any(|known| known == name);
        let issuer = issuer.ok_or_else(|| missing("issuer"))?;
        if !is_known(issuer) {
            return Err(wrong("issuer").because(Violation::plain(Rule::Enum)));
        }
        let user = UserKey::new(issuer, subject.ok_or_else(|| missing("subject"))?);
        Ok(match jti {
            Some(jti) => Self::User(user, Revocation::Token { jti: jti.clone(), expires_at: context.now }),
            None => Self::User(user, Revocation::Subject { issued_by: now }),
        })
    }
}

/// Verifies the operator's token. Its issuer must have `use: admin`, and it comes without a proof of possession.
async fn verify_operator_token(context: &RequestContext<'_>) -> Result<VerifiedToken, Rejection> {
    let text = match headers::parse_authorization(context.head.authorization.as_deref()) {
        Credentials::Bearer(text) => text,
        Credentials::Missing => return Err(Rejection::new(Code::MissingToken, "token_missing")),
        Credentials::Bound(_) => return Err(Rejection::new(Code::InvalidToken, "authorization_scheme")),
        Credentials::Unusable(reason) => return Err(Rejection::new(Code::InvalidToken, reason)),
    };
    let verified = authentication::verify(context, text, Purpose::Admin, Possession::None).await;
    verified.map_err(|refusal| authentication::refused(context.challenge(), refusal))
}

/// Checks that an operator's token is not revoked: in the Ledger, like a user's token, and against the revoked-before
/// time that the Dispatcher has now. 429 if the operator has no request of the minute left, 503 if the Dispatcher or the
/// Ledger does not reply.
///
/// The Dispatcher is asked last: a token that this isolate or the Ledger knows as revoked is refused uncounted and
/// without it, and every other request is counted before.
async fn check_not_revoked(context: &RequestContext<'_>, verified: &VerifiedToken) -> Result<(), Rejection> {
    let revoked = || Rejection::new(Code::InvalidToken, "revoked");
    let issued_at = Some(verified.grant.issued_at);
    if known_revoked_by() >= issued_at {
        return Err(revoked());
    }
    let sender = caller_of(&verified.grant, Some(OPERATOR_REQUESTS_PER_MINUTE), None);
    match ask_as(context.env, &verified.grant, sender, LedgerRequest::Check).await? {
        LedgerReply::Done => {}
        LedgerReply::Refused(LedgerRefusal::Revoked) => return Err(revoked()),
        LedgerReply::Refused(LedgerRefusal::RateLimited { retry_after_secs }) => {
            return Err(Rejection::new(Code::RateLimited, "rate").retry_after(retry_after_secs));
        }
        _ => return Err(limiter_unavailable("ledger_unavailable")),
    }
    let all_until =
        revoked_by_now(context.env, context.now).await.map_err(|_| limiter_unavailable("dispatcher_unavailable"))?;
    if all_until >= issued_at { Err(revoked()) } else { Ok(()) }
}

/// Checks that the token's subject or e-mail address has this right in the `admins` of its issuer.
fn check_right(context: &RequestContext<'_>, verified: &VerifiedToken, right: AdminRight) -> Result<(), Rejection> {
    let issuers = &context.deployment.config.issuers;
    let issuer = issuers.iter().find(|issuer| issuer.name() == verified.issuer());
    let mut names = std::iter::once(verified.subject()).chain(verified.email());
    let is_operator = names.any(|name| issuer.is_some_and(|issuer| issuer.admin_rights(name).contains(&right)));
    if is_operator { Ok(()) } else { Err(Rejection::new(Code::InsufficientPermissions, "operator")) }
}
