//! The results that a route's handler returns to the pipeline.

use crate::cloudflare::http::response::Response;
use crate::messages::Rate;
use crate::oauth::OAuthRefusal;
use crate::wire::rejection::Rejection;

/// A response that the pipeline still has to write, or one that its handler has written.
pub enum Reply {
    /// The pipeline writes it.
    Complete(Response),
    /// The handler has written it: a stream or an asset.
    Open(web_sys::Response),
}

/// A value from the caller's Ledger, with the caller's rate-limit numbers for the response.
pub struct Counted<T> {
    /// The value.
    pub value: T,
    /// `X-RateLimit-*`.
    pub rate: Option<Rate>,
}

impl<T> Counted<T> {
    /// Adds the rate-limit numbers to a response.
    pub fn complete(&self, response: Response) -> RouteResult {
        Ok(Reply::Complete(Response { rate: self.rate, ..response }))
    }

    /// Adds the rate-limit numbers to a refusal.
    pub fn reject(&self, rejection: Rejection) -> RouteError {
        RouteError { rejection, rate: self.rate }
    }
}

/// A refusal, with the caller's rate-limit numbers if the Ledger counted the request.
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

/// The result of a route's handler.
pub type RouteResult = Result<Reply, RouteError>;

/// A handled request: its response, and the facts for its log line.
pub struct Handled {
    /// The response to the client.
    pub reply: Reply,
    /// The error code in the response, and its cause, which only the log shows.
    pub refused: Option<(&'static str, &'static str)>,
    /// The caller's log pseudonym, if the caller is known.
    pub subject: Option<String>,
}

impl Handled {
    /// Returns a handled request without a refusal in its log line.
    pub const fn complete(response: Response) -> Self {
        Self { reply: Reply::Complete(response), refused: None, subject: None }
    }

    /// Returns a refusal in the API's error format (contract 3).
    pub fn refused(error: RouteError) -> Self {
        let RouteError { rejection, rate } = error;
        let refused = Some((rejection.code.wire().code, rejection.reason));
        Self { refused, ..Self::complete(Response { rate, ..Response::rejection(rejection) }) }
    }

    /// Returns a refusal of the token endpoint (RFC 6749 section 5.2).
    pub fn oauth_refused(refusal: &OAuthRefusal) -> Self {
        let wire = refusal.error.wire();
        let response =
            Response { retry_after_secs: refusal.retry_after_secs, ..Response::json_text(wire.status, refusal.body()) };
        Self { refused: Some((wire.error, refusal.reason)), ..Self::complete(response) }
    }

    /// Adds the caller's log pseudonym.
    pub fn of(self, pseudonym: &str) -> Self {
        Self { subject: Some(pseudonym.to_owned()), ..self }
    }
}
