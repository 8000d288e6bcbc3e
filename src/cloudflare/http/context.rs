//! A request and its deployment, as every step reads them. Nothing is written into it: a step returns what it learns.

use std::rc::Rc;

use worker::{Context, Env};

use crate::cloudflare::runtime::deployment::Deployment;
use crate::messages::ProofUse;
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
    /// `ctx` of the platform's handler, for work that goes on after the response.
    pub execution: &'a Context,
    /// The parsed settings.
    pub deployment: &'a Rc<Deployment>,
    /// The platform's request, for its body.
    pub request: &'a web_sys::Request,
    /// Method, URL and the headers that the core reads.
    pub head: &'a RequestHead,
    /// The parts of its URL.
    pub url: UrlParts<'a>,
    /// When it arrived.
    pub now: UnixMillis,
    /// Where links in the response point: `PUBLIC_URL`, else the request's origin.
    pub base_url: &'a str,
    /// `X-Request-Id` of the response.
    pub request_id: &'a RequestId,
    /// Whether a page may read the response, for its CORS headers.
    pub origin: OriginCheck<'a>,
}

impl RequestContext<'_> {
    /// Returns what a caller without credentials is asked for: proofs of possession need `PUBLIC_URL`.
    pub fn challenge(&self) -> Challenge {
        match self.deployment.config.public_url {
            Some(_) => Challenge::BearerOrProof,
            None => Challenge::Bearer,
        }
    }

    /// Returns whether the response has no body.
    pub fn is_head(&self) -> bool {
        self.head.method == "HEAD"
    }
}

/// The caller of a request whose token and proof are good. Its Ledger still checks whether the token is revoked and the
/// proof new.
pub struct AuthenticatedCaller {
    /// What the token grants.
    pub grant: Grant,
    /// The proof of possession, which the caller's Ledger accepts once.
    pub proof: Option<ProofUse>,
    /// What the caller is asked for if it is refused after all.
    pub challenge: Challenge,
}

impl AuthenticatedCaller {
    /// Returns a 401 or 403 with the caller's challenge.
    pub fn reject(&self, code: Code, reason: &'static str) -> Rejection {
        Rejection::new(code, reason).challenge(self.challenge)
    }
}
