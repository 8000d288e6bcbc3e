//! Requests to the token endpoint (RFC 8693 section 2.1) and to the revocation endpoint (RFC 7009 section 2.1).

use super::form::Form;
use super::oauth_error::{OAuthError, OAuthRefusal};
use crate::constants::{FORM_LIST_MAX, TOKEN_MAX_BYTES, TURNSTILE_TOKEN_MAX_BYTES};
use crate::parse::digits::parse_digits;
use crate::token::Scope;
use crate::types::credits::MicroCredits;
use crate::types::model::ModelId;
use crate::types::secret::Secret;

/// The only supported `grant_type` (RFC 8693 section 2.1).
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The `issued_token_type` of every new token (RFC 8693 section 3).
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The accepted types of an identity provider's token. All of them are handled as JWTs.
const JWT_TYPES: [&str; 3] =
    ["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token", ACCESS_TOKEN_TYPE];
/// The type of a guest's Turnstile token. RFC 8693 section 3 lets a deployment define types of its own.
const TURNSTILE_TYPE: &str = "urn:valetkey:token-type:turnstile";

/// The subject token of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectToken {
    /// An identity provider's token.
    Jwt(Secret),
    /// A token that Turnstile gave to a guest's browser.
    Turnstile(Secret),
}

/// The restrictions that the client requests for the new token. A missing one is taken from the subject token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestedRestrictions {
    /// `scope`, separated by spaces.
    pub scopes: Option<Vec<Scope>>,
    /// `models`, separated by spaces. Not a standard parameter.
    pub models: Option<Vec<ModelId>>,
    /// `max_predictions`. Not a standard parameter.
    pub max_predictions: Option<u32>,
    /// `max_credits`, a decimal number. Not a standard parameter.
    pub max_credits: Option<MicroCredits>,
}

/// A request for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// The subject token.
    pub subject: SubjectToken,
    /// The requested restrictions.
    pub restrictions: RequestedRestrictions,
}

impl TokenRequest {
    /// Parses a form. `public_url` is the only accepted audience of new tokens.
    ///
    /// # Errors
    /// The first wrong parameter, with the error code of RFC 6749 and RFC 8693.
    pub fn parse(form: &Form, public_url: &str) -> Result<Self, OAuthRefusal> {
        let refuse = |error, reason| Err(OAuthRefusal::new(error, reason));
        match form.get("grant_type") {
            Some(GRANT_TYPE) => {}
            Some(_) => return refuse(OAuthError::UnsupportedGrantType, "grant_type"),
            None => return refuse(OAuthError::InvalidRequest, "grant_type"),
        }
        // Delegation is not supported: a token has no actor.
        if form.get("actor_token").is_some() || form.get("actor_token_type").is_some() {
            return refuse(OAuthError::InvalidRequest, "actor_token");
        }
        if form.get("requested_token_type").is_some_and(|requested| requested != ACCESS_TOKEN_TYPE) {
            return refuse(OAuthError::InvalidRequest, "requested_token_type");
        }
        if ["audience", "resource"].into_iter().filter_map(|name| form.get(name)).any(|target| target != public_url) {
            return refuse(OAuthError::InvalidTarget, "target");
        }
        let token = form.get("subject_token").unwrap_or_default();
        let subject = match form.get("subject_token_type") {
            Some(TURNSTILE_TYPE) if is_printable(token, TURNSTILE_TOKEN_MAX_BYTES) => {
                SubjectToken::Turnstile(Secret::new(token.to_owned()))
            }
            Some(kind) if JWT_TYPES.contains(&kind) && is_printable(token, TOKEN_MAX_BYTES) => {
                SubjectToken::Jwt(Secret::new(token.to_owned()))
            }
            Some(_) | None => return refuse(OAuthError::InvalidRequest, "subject_token"),
        };
        Ok(Self { subject, restrictions: RequestedRestrictions::parse(form)? })
    }
}

impl RequestedRestrictions {
    fn parse(form: &Form) -> Result<Self, OAuthRefusal> {
        let invalid = |reason| OAuthRefusal::new(OAuthError::InvalidRequest, reason);
        let invalid_scope = OAuthRefusal::new(OAuthError::InvalidScope, "scope");
        let count = |text: &str| parse_digits(text).filter(|count| *count >= 1_u32);
        Ok(Self {
            scopes: form.get("scope").map(|text| words(text, Scope::parse).ok_or(invalid_scope)).transpose()?,
            models: form.get("models").map(|text| words(text, ModelId::parse).ok_or(invalid("models"))).transpose()?,
            max_predictions: form
                .get("max_predictions")
                .map(|text| count(text).ok_or(invalid("max_predictions")))
                .transpose()?,
            max_credits: form
                .get("max_credits")
                .map(|text| MicroCredits::parse(text).ok_or(invalid("max_credits")))
                .transpose()?,
        })
    }
}

/// Parses a list of different words that are separated by one space each (RFC 6749 section 3.3).
fn words<T: PartialEq>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let mut items = Vec::new();
    for word in text.split(' ') {
        let item = parse(word).filter(|item| !items.contains(item) && items.len() < FORM_LIST_MAX)?;
        items.push(item);
    }
    Some(items)
}

fn is_printable(text: &str, max_bytes: usize) -> bool {
    (1..=max_bytes).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Returns the token of a revocation request. Ignores `token_type_hint`, which is only a hint.
///
/// # Errors
/// [`OAuthError::InvalidRequest`] if there is no token.
pub fn parse_revocation(form: &Form) -> Result<&str, OAuthRefusal> {
    let token = form.get("token").filter(|token| is_printable(token, TOKEN_MAX_BYTES));
    token.ok_or(OAuthRefusal::new(OAuthError::InvalidRequest, "token"))
}

#[cfg(test)]
#[path = "token_request_tests.rs"]
mod tests;
