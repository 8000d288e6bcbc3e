//! What an operator may do: for now, to end tokens.

use serde_json::{Map, Value};

use crate::cloudflare::http::authentication;
use crate::cloudflare::http::context::Call;
use crate::cloudflare::http::response::Response;
use crate::cloudflare::http::routes::create;
use crate::cloudflare::objects::client::{
    ask_dispatcher, check, forget_revoked, limiter_unavailable, revoked_by_now, tell_ledger,
};
use crate::constants::{
    ACK_TIMEOUT_MILLIS, BODY_MAX_DEPTH, ISSUER_LEEWAY_MAX_SECS, OTHER_BODY_MAX_BYTES, TOKEN_ID_MAX_CHARS,
};
use crate::messages::{DispatcherReply, DispatcherRequest, LedgerRefusal, LedgerReply, LedgerRequest, Revocation};
use crate::oauth::GUEST_ISSUER;
use crate::token::{AdminRight, Issuer, Possession, Purpose, VerifiedToken, is_plain_text};
use crate::types::ids::UserKey;
use crate::types::time::UnixSeconds;
use crate::wire::headers::{self, Credentials};
use crate::wire::rejection::{Code, Rejection};

/// `POST /admin/api/revocations`: 1 an operator who may write 401, 403 · 2 the body 415, 413, 400 · 3 Ledger or Dispatcher
/// 503.
///
/// The body is `{"issuer":"…","subject":"…"}` (every token of that user that was issued by now), the same with `"jti":"…"`
/// (that one token), or `{"issued_by":1768473000}` (every token of everybody, in Unix seconds).
pub async fn revoke(call: &Call<'_>) -> Result<Response, Rejection> {
    // 1
    check_operator(call, AdminRight::Write).await?;
    // 2
    let (body, _) = create::read_json(call, OTHER_BODY_MAX_BYTES, BODY_MAX_DEPTH).await?;
    let wanted = Wanted::parse(call, &body)?;
    // 3
    let is_done = match wanted {
        Wanted::Of(user, revocation) => {
            matches!(tell_ledger(call.env, &user, LedgerRequest::Revoke(revocation)).await, Ok(LedgerReply::Done))
        }
        Wanted::Everybody(issued_by) => {
            let request = DispatcherRequest::RevokeAll { issued_by };
            let reply = ask_dispatcher(call.env, &request, ACK_TIMEOUT_MILLIS).await;
            forget_revoked();
            matches!(reply, Ok(DispatcherReply::Done))
        }
    };
    if is_done { Ok(Response::empty(204)) } else { Err(limiter_unavailable("revocation")) }
}

/// Whose tokens end.
enum Wanted {
    Of(UserKey, Revocation),
    Everybody(UnixSeconds),
}

impl Wanted {
    fn parse(call: &Call<'_>, body: &Map<String, Value>) -> Result<Self, Rejection> {
        let now = call.now.seconds();
        let wrong = |name: &str| Rejection::parameter(Code::InvalidParameter, "revocation", name);
        if let Some(name) = body.keys().find(|name| !["issuer", "subject", "jti", "issued_by"].contains(&name.as_str()))
        {
            return Err(Rejection::parameter(Code::UnsupportedParameter, "revocation", name.as_str()));
        }
        let text = |name: &str| match body.get(name) {
            None => Ok(None),
            // The rule for both in a token: anything else is in none.
            Some(Value::String(text)) if is_plain_text(text, TOKEN_ID_MAX_CHARS) => Ok(Some(text)),
            Some(_) => Err(wrong(name)),
        };
        if let Some(time) = body.get("issued_by") {
            // A time to come would refuse tokens that nobody has made yet, and everybody with them.
            let latest = now.0.saturating_add(ISSUER_LEEWAY_MAX_SECS);
            let time = time.as_i64().filter(|time| (0..=latest).contains(time) && body.len() == 1);
            return time.map(|time| Self::Everybody(UnixSeconds(time))).ok_or_else(|| wrong("issued_by"));
        }
        let (issuer, subject, jti) = (text("issuer")?, text("subject")?, text("jti")?);
        // A name with a slip would revoke nobody's tokens, and say so to nobody.
        // Users are of the issuer that their tokens came from at first: never of this deployment.
        let has_users = |issuer: &&Issuer| {
            !issuer.is_own()
                && [Purpose::Access, Purpose::Exchange, Purpose::Admin].iter().any(|use_| issuer.is_accepted_for(*use_))
        };
        let mut names = call.deployment.config.issuers.iter().filter(has_users).map(Issuer::name);
        let mut is_known = |name: &str| name == GUEST_ISSUER || names.any(|known| known == name);
        let issuer = issuer.filter(|name| is_known(name)).ok_or_else(|| wrong("issuer"))?;
        let user = UserKey::new(issuer, subject.ok_or_else(|| wrong("subject"))?);
        Ok(match jti {
            Some(jti) => Self::Of(user, Revocation::Token { jti: jti.clone(), expires_at: call.now }),
            None => Self::Of(user, Revocation::Subject { issued_by: now }),
        })
    }
}

/// An operator's token ends like a user's, and at once: 401, or 503 where nobody can tell.
async fn check_not_revoked(call: &Call<'_>, verified: &VerifiedToken) -> Result<(), Rejection> {
    let revoked = || Rejection::new(Code::InvalidToken, "revoked");
    let everybody =
        revoked_by_now(call.env, call.now).await.map_err(|_| limiter_unavailable("dispatcher_unavailable"))?;
    if everybody >= Some(verified.grant.issued_at) {
        return Err(revoked());
    }
    match check(call.env, &verified.grant, None, None).await? {
        LedgerReply::Done => Ok(()),
        LedgerReply::Refused(LedgerRefusal::Revoked) => Err(revoked()),
        _ => Err(limiter_unavailable("ledger_unavailable")),
    }
}

/// Whether the caller is an operator with this right: by the `admins` of an issuer whose tokens may operate.
async fn check_operator(call: &Call<'_>, right: AdminRight) -> Result<(), Rejection> {
    let text = match headers::parse_authorization(call.head.authorization.as_deref()) {
        Credentials::Bearer(text) => text,
        Credentials::Missing => return Err(Rejection::new(Code::MissingToken, "token_missing")),
        Credentials::Bound(_) => return Err(Rejection::new(Code::InvalidToken, "authorization_scheme")),
        Credentials::Unusable(reason) => return Err(Rejection::new(Code::InvalidToken, reason)),
    };
    let verified = authentication::verify_new(call, text, Purpose::Admin, Possession::None).await;
    let verified = verified.map_err(|refusal| authentication::refused(call, refusal))?;
    call.subject.replace(Some(verified.grant.user.log_pseudonym().to_owned()));
    check_not_revoked(call, &verified).await?;
    let issuers = &call.deployment.config.issuers;
    let issuer = issuers.iter().find(|issuer| issuer.name() == verified.issuer());
    let names = std::iter::once(verified.subject()).chain(verified.email());
    let may = |name: &str| issuer.is_some_and(|issuer| issuer.admin_rights(name).contains(&right));
    let is_operator = names.into_iter().any(may);
    if is_operator { Ok(()) } else { Err(Rejection::new(Code::InsufficientPermissions, "operator")) }
}
