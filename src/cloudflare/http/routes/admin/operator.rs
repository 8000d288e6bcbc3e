//! The operator behind a request: a token of an issuer with `use: admin`, as a bearer or from Cloudflare Access.

use crate::cloudflare::http::authentication;
use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::http::ledger_client::{ask_as, caller_of, limiter_unavailable};
use crate::cloudflare::objects::client::{known_revoked_by, revoked_by_now};
use crate::constants::OPERATOR_REQUESTS_PER_MINUTE;
use crate::messages::{LedgerRefusal, LedgerReply, LedgerRequest};
use crate::token::{AdminRight, Possession, Purpose, VerifiedToken};
use crate::wire::headers::{self, OperatorCredentials};
use crate::wire::rejection::{Code, Rejection};

/// An operator whose token is verified. The rights are not checked yet.
pub struct Operator {
    token: VerifiedToken,
    /// True if Cloudflare Access sent the token with the request. A browser then sends it by itself, as it sends cookies.
    is_ambient: bool,
}

impl Operator {
    /// Verifies the operator's token. Its issuer must have `use: admin`, and it comes without a proof of possession. A
    /// bearer wins: Access adds its assertion to every request behind it.
    pub async fn verify(context: &RequestContext<'_>) -> Result<Self, Rejection> {
        let (text, is_ambient) = match headers::parse_operator_credentials(context.head) {
            OperatorCredentials::Bearer(text) => (text, false),
            OperatorCredentials::Assertion(text) => (text, true),
            OperatorCredentials::Missing => return Err(Rejection::new(Code::MissingToken, "token_missing")),
            OperatorCredentials::Unusable(reason) => return Err(Rejection::new(Code::InvalidToken, reason)),
        };
        let verified = authentication::verify(context, text, Purpose::Admin, Possession::None).await;
        let token = verified.map_err(|refusal| authentication::refused(context.challenge(), refusal))?;
        Ok(Self { token, is_ambient })
    }

    /// Returns the first 16 characters of the operator's user key, for the log.
    pub fn log_pseudonym(&self) -> &str {
        self.token.grant.user.log_pseudonym()
    }

    /// Returns the issuer of the operator's token.
    pub fn issuer(&self) -> &str {
        self.token.issuer()
    }

    /// Returns the operator's name for the audit log: the address that the issuer vouches for, else the subject.
    pub fn name(&self) -> &str {
        self.token.email().unwrap_or_else(|| self.token.subject())
    }

    /// Checks that the token's subject or e-mail address has this right in the `admins` of its issuer.
    ///
    /// A browser sends Access's assertion with a request of any page. So a write with an assertion must also come from our
    /// own page: it has our `Origin` (the pipeline has refused every other one) and a header that a form cannot send.
    pub fn check_right(&self, context: &RequestContext<'_>, right: AdminRight) -> Result<(), Rejection> {
        let is_own_page = context.head.origin.is_some() && context.head.admin_marker.as_deref() == Some("1");
        if self.is_ambient && right == AdminRight::Write && !is_own_page {
            return Err(Rejection::new(Code::OriginNotAllowed, "admin_page"));
        }
        if self.has_right(context, right) {
            Ok(())
        } else {
            Err(Rejection::new(Code::InsufficientPermissions, "operator"))
        }
    }

    /// Returns the rights of the operator.
    pub fn rights(&self, context: &RequestContext<'_>) -> impl Iterator<Item = &'static str> {
        let has_right = |right: &AdminRight| self.has_right(context, *right);
        [AdminRight::Read, AdminRight::Write].into_iter().filter(has_right).map(<&'static str>::from)
    }

    fn has_right(&self, context: &RequestContext<'_>, right: AdminRight) -> bool {
        let issuers = &context.deployment.config.issuers;
        let issuer = issuers.iter().find(|issuer| issuer.name() == self.token.issuer());
        let mut names = std::iter::once(self.token.subject()).chain(self.token.email());
        names.any(|name| issuer.is_some_and(|issuer| issuer.admin_rights(name).contains(&right)))
    }

    /// Checks that the token is not revoked: in the Ledger, like a user's token, and against the revoked-before time that
    /// the Dispatcher has now. 429 if the operator has no request of the minute left, 503 if the Dispatcher or the Ledger
    /// does not reply.
    ///
    /// The Dispatcher is asked last: a token that this isolate or the Ledger knows as revoked is refused uncounted and
    /// without it, and every other request is counted before.
    pub async fn check_not_revoked(&self, context: &RequestContext<'_>) -> Result<(), Rejection> {
        let revoked = || Rejection::new(Code::InvalidToken, "revoked");
        let grant = &self.token.grant;
        let issued_at = Some(grant.issued_at);
        if known_revoked_by() >= issued_at {
            return Err(revoked());
        }
        let sender = caller_of(grant, Some(OPERATOR_REQUESTS_PER_MINUTE), None);
        match ask_as(context.env, grant, sender, LedgerRequest::Check).await? {
            LedgerReply::Done => {}
            LedgerReply::Refused(LedgerRefusal::Revoked) => return Err(revoked()),
            LedgerReply::Refused(LedgerRefusal::RateLimited { retry_after_secs }) => {
                return Err(Rejection::new(Code::RateLimited, "rate").retry_after(retry_after_secs));
            }
            _ => return Err(limiter_unavailable("ledger_unavailable")),
        }
        let all_until = revoked_by_now(context.env, context.now)
            .await
            .map_err(|_| limiter_unavailable("dispatcher_unavailable"))?;
        if all_until >= issued_at { Err(revoked()) } else { Ok(()) }
    }
}
