//! `POST /admin/api/revocations`: revokes tokens.

use serde_json::{Map, Value};

use super::audit::audited;
use super::operator::Operator;
use crate::cloudflare::http::body::{BodyKind, check_members, read_json};
use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::http::ledger_client::{limiter_unavailable, tell_ledger};
use crate::cloudflare::http::response::Response;
use crate::cloudflare::objects::client::{ask_dispatcher, remember_revoked};
use crate::constants::{ACK_TIMEOUT_MILLIS, ISSUER_LEEWAY_MAX_SECS, TOKEN_ID_MAX_CHARS};
use crate::messages::{DispatcherReply, DispatcherRequest, LedgerReply, LedgerRequest, Revocation};
use crate::parse::number::parse_whole;
use crate::token::{GUEST_ISSUER, Issuer, Purpose, is_plain_text};
use crate::types::ids::UserKey;
use crate::types::time::UnixSeconds;
use crate::wire::rejection::{Code, Rejection};
use crate::wire::violation::{Rule, Violation};

/// Revokes tokens. The body is one of these:
///
/// - `{"issuer":"…","subject":"…"}`: revokes every token of that user issued until now
/// - the same with `"jti":"…"`: revokes that one token
/// - `{"issued_by":1768473000}`: revokes every token of every user issued until that time, in Unix seconds
pub async fn revoke(context: &RequestContext<'_>, operator: &Operator) -> Result<Response, Rejection> {
    let body = read_json(context, BodyKind::Other).await?;
    let target = Target::parse(&context.at(body.read_at), &body.members)?;
    audited(context, operator, target.subject(), async {
        let is_done = match &target {
            Target::User(user, revocation) => {
                let request = LedgerRequest::Revoke(revocation.clone());
                matches!(tell_ledger(context.env, user, request).await, Ok(LedgerReply::Done))
            }
            Target::Everybody(issued_by) => revoke_all(context, *issued_by).await,
        };
        if is_done { Ok(Response::empty(204)) } else { Err(limiter_unavailable("revocation")) }
    })
    .await
}

async fn revoke_all(context: &RequestContext<'_>, issued_by: UnixSeconds) -> bool {
    let request = DispatcherRequest::RevokeAll { issued_by };
    let reply = ask_dispatcher(context.env, &request, ACK_TIMEOUT_MILLIS).await;
    let is_done = matches!(reply, Ok(DispatcherReply::Done));
    if is_done {
        remember_revoked(issued_by);
    }
    is_done
}

/// The tokens to revoke.
enum Target {
    User(UserKey, Revocation),
    Everybody(UnixSeconds),
}

impl Target {
    fn parse(context: &RequestContext<'_>, body: &Map<String, Value>) -> Result<Self, Rejection> {
        let now = context.now.seconds();
        check_members(body, &["issuer", "subject", "jti", "issued_by"], "revocation")?;
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
        let jti = text(body, "jti")?;
        let user = parse_user(context, body)?;
        Ok(match jti {
            Some(jti) => Self::User(user, Revocation::Token { jti: jti.to_owned(), expires_at: context.now }),
            None => Self::User(user, Revocation::Subject { issued_by: now }),
        })
    }

    /// Returns the action and its target for the audit log.
    fn subject(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::User(user, Revocation::Token { .. }) => ("revoke_token", Some(user.as_str())),
            Self::User(user, Revocation::Subject { .. }) => ("revoke_user", Some(user.as_str())),
            Self::Everybody(_) => ("revoke_all", None),
        }
    }
}

/// Reads `issuer` and `subject` of a body.
pub fn parse_user(context: &RequestContext<'_>, body: &Map<String, Value>) -> Result<UserKey, Rejection> {
    let missing = |name: &str| wrong(name).because(Violation::plain(Rule::Required));
    // A configured name may be longer than a claim.
    let issuer = body.get("issuer").and_then(Value::as_str);
    let subject = text(body, "subject")?;
    // Only known issuers: a misspelled one would find nobody, without an error. Users belong to the issuer of their first
    // token, never to this deployment.
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
    Ok(UserKey::new(issuer, subject.ok_or_else(|| missing("subject"))?))
}

/// Reads a text that a token may have as `sub` or `jti`. Any other text could match no token.
fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Rejection> {
    match body.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if is_plain_text(text, TOKEN_ID_MAX_CHARS) => Ok(Some(text)),
        Some(Value::String(_)) => Err(wrong(name).because(Violation::plain(Rule::Format))),
        Some(_) => Err(wrong(name).because(Violation::new(Rule::Type, "string"))),
    }
}

fn wrong(name: &str) -> Rejection {
    Rejection::parameter(Code::InvalidParameter, "admin_body", name)
}
