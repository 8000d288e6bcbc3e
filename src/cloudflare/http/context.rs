//! A request and its deployment, for every step after the common checks. Read-only: a step returns its result instead
//! of storing it here.

use std::rc::Rc;

use worker::{Context, Env};

use crate::cloudflare::runtime::deployment::Deployment;
use crate::constants::ISSUER_LEEWAY_MAX_SECS;
use crate::messages::ProofUse;
use crate::policy::Plan;
use crate::token::Grant;
use crate::types::ids::RequestId;
use crate::types::time::UnixMillis;
use crate::wire::cors::OriginCheck;
use crate::wire::headers::{RequestHead, UrlParts};
use crate::wire::rejection::{Challenge, Code, Rejection};

/// A request that has passed steps 1 to 4 of contract 1.
pub struct RequestContext<'a> {
    /// The platform's bindings.
    pub env: &'a Env,
    /// `ctx` of the platform's handler, for work that continues after the response.
    pub execution: &'a Context,
    /// The parsed settings.
    pub deployment: &'a Rc<Deployment>,
    /// The platform's request, for its body.
    pub request: &'a web_sys::Request,
    /// Method, URL and the headers that the core reads.
    pub head: &'a RequestHead,
    /// The parts of the request's URL.
    pub url: UrlParts<'a>,
    /// Time at which the request arrived. After the body is read: time at which the body was complete ([`Self::at`]).
    pub now: UnixMillis,
    /// Base of the links in the response: `PUBLIC_URL`, else the request's origin.
    pub base_url: &'a str,
    /// `X-Request-Id` of the response.
    pub request_id: &'a RequestId,
    /// The verdict on the request's `Origin`, for the CORS headers of the response.
    pub origin: OriginCheck<'a>,
}

impl RequestContext<'_> {
    /// Returns the same request at a later time, for the steps after its body was read. A client on a slow connection
    /// sends for minutes; deadlines, ids and token expiry count from the end of the body.
    pub fn at(&self, now: UnixMillis) -> Self {
        Self { now, ..*self }
    }

    /// Returns the `WWW-Authenticate` challenge for a caller without credentials. It offers proofs of possession only
    /// if `PUBLIC_URL` is set, which they need.
    pub fn challenge(&self) -> Challenge {
        match self.deployment.config.public_url {
            Some(_) => Challenge::BearerOrProof,
            None => Challenge::Bearer,
        }
    }

    /// Returns the caller's plan.
    ///
    /// # Errors
    /// Never with parsed settings: `POLICY` always has the plan `default`.
    pub fn plan_of(&self, caller: &AuthenticatedCaller) -> Result<&Plan, Rejection> {
        self.deployment.config.policy.limits_for(&caller.grant)
    }

    /// Returns whether this is a `HEAD` request, whose response has no body.
    pub fn is_head(&self) -> bool {
        self.head.method == "HEAD"
    }
}

/// The caller of a request with a valid token and proof. The caller's Ledger still checks that the token is not revoked
/// and that the proof is new.
pub struct AuthenticatedCaller {
    /// The rights that the token grants.
    pub grant: Grant,
    /// The proof of possession, which the caller's Ledger accepts once.
    pub proof: Option<ProofUse>,
    /// The `WWW-Authenticate` challenge if a later step refuses the token.
    pub challenge: Challenge,
}

impl AuthenticatedCaller {
    /// Returns a 401 or 403 with the caller's challenge.
    pub fn reject(&self, code: Code, reason: &'static str) -> Rejection {
        Rejection::new(code, reason).challenge(self.challenge)
    }

    /// Checks that the token did not expire while the body arrived. Otherwise an attacker could extend the use of a
    /// stolen token by sending a body slowly. The Ledger refuses a proof of possession that is too old.
    ///
    /// # Errors 401 if the token has expired. The issuer's leeway does not apply here.
    pub fn check_not_expired(&self, now: UnixMillis) -> Result<(), Rejection> {
        let is_expired = now.seconds().0 >= self.grant.expires_at.0.saturating_add(ISSUER_LEEWAY_MAX_SECS);
        if is_expired { Err(self.reject(Code::InvalidToken, "expired_while_sending")) } else { Ok(()) }
    }
}
