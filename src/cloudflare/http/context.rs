//! What the steps of one request share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use worker::{Context, Env};

use crate::cloudflare::runtime::deployment::Deployment;
use crate::messages::{ProofUse, Rate};
use crate::types::ids::RequestId;
use crate::types::time::UnixMillis;
use crate::wire::cors::OriginCheck;
use crate::wire::headers::{RequestHead, UrlParts};
use crate::wire::rejection::{Challenge, Code, Rejection};

/// What the steps of one request share.
pub struct Call<'a> {
    /// The platform's bindings.
    pub env: &'a Env,
    /// To go on after the answer.
    pub context: &'a Context,
    /// The settings.
    pub deployment: &'a Rc<Deployment>,
    /// The request itself, for its body.
    pub request: &'a web_sys::Request,
    /// Its head.
    pub head: &'a RequestHead,
    /// Its URL.
    pub url: UrlParts<'a>,
    /// When it arrived.
    pub now: UnixMillis,
    /// What the answer's links start with: `PUBLIC_URL`, else the request's origin.
    pub base: &'a str,
    /// The answer's id.
    pub request_id: &'a RequestId,
    /// Who may read the answer.
    pub origin: OriginCheck<'a>,
    /// What the Ledger said of the caller's requests of this minute.
    pub rate: Cell<Option<Rate>>,
    /// The proof of possession that the caller's Ledger is to take, once.
    pub proof: RefCell<Option<ProofUse>>,
    /// What a caller without a good token is asked for.
    pub challenge: Cell<Challenge>,
    /// Who calls, for the log, where that is known before or without a grant.
    pub subject: RefCell<Option<String>>,
}

impl Call<'_> {
    /// A 401, with what this caller is asked for.
    pub fn unauthorized(&self, code: Code, reason: &'static str) -> Rejection {
        Rejection::new(code, reason).challenge(self.challenge.get())
    }
}
