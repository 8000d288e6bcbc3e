//! What a route's handler returns to the pipeline.

use crate::cloudflare::http::response::Response;
use crate::messages::Rate;
use crate::oauth::OAuthRefusal;
use crate::types::ids::RequestId;
use crate::wire::rejection::Rejection;

/// A response to write, or a stream that is open already.
pub enum Reply {
    /// To be written.
    Complete(Response),
    /// Written by its handler.
    Open(web_sys::Response),
}

/// A value from the caller's Ledger, with the caller's requests of this minute, which the response must show.
pub struct Counted<T> {
    /// The value.
    pub value: T,
    /// `X-RateLimit-*`.
    pub rate: Option<Rate>,
}

impl<T> Counted<T> {
    /// Completes the response of a request that was counted.
    pub fn complete(&self, response: Response) -> RouteResult {
        Ok(Reply::Complete(Response { rate: self.rate, ..response }))
    }

    /// Refuses a request that was counted.
    pub fn reject(&self, rejection: Rejection) -> RouteError {
        RouteError { rejection, rate: self.rate }
    }
}

/// A refused request, with the caller's requests of this minute if it was counted.
pub struct RouteError {
    /// The refusal.
    pub rejection: Rejection,
    /// `X-RateLimit-*`.
    pub rate: Option<Rate>,
}

impl From<Rejection> for RouteError {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, rate: None }
    }
}

/// What a handler returns.
pub type RouteResult = Result<Reply, RouteError>;

/// A handled request: its reply, and what the log line says of it.
pub struct Handled {
    /// What the client gets.
    pub reply: Reply,
    /// The error code that the client is told, and its cause, which only the log holds.
    pub refused: Option<(&'static str, &'static str)>,
    /// The caller's log pseudonym, once known.
    pub subject: Option<String>,
}

impl Handled {
    /// A response that refuses nothing.
    pub const fn complete(response: Response) -> Self {
        Self { reply: Reply::Complete(response), refused: None, subject: None }
    }

    /// A refusal in the API's error format (contract 3).
    pub fn refused(error: RouteError, request_id: &RequestId) -> Self {
        let RouteError { rejection, rate } = error;
        let response = Response { rate, ..Response::rejection(&rejection, request_id) };
        Self { refused: Some((rejection.code.wire().code, rejection.reason)), ..Self::complete(response) }
    }

    /// A refusal of the token endpoint (RFC 6749 section 5.2).
    pub fn oauth_refused(refusal: &OAuthRefusal) -> Self {
        let wire = refusal.error.wire();
        let response =
            Response { retry_after_secs: refusal.retry_after_secs, ..Response::json_text(wire.status, refusal.body()) };
        Self { refused: Some((wire.error, refusal.reason)), ..Self::complete(response) }
    }

    /// The same, of a caller with this log pseudonym.
    pub fn of(self, pseudonym: &str) -> Self {
        Self { subject: Some(pseudonym.to_owned()), ..self }
    }
}
