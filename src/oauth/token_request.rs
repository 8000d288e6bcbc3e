//! What the token endpoint is asked for (RFC 8693 section 2.1), and the revocation endpoint (RFC 7009 section 2.1).

use super::form::Form;
use super::oauth_error::{OAuthError, Refused};
use crate::constants::{FORM_LIST_MAX, TOKEN_MAX_BYTES, TURNSTILE_TOKEN_MAX_BYTES};
use crate::parse::digits::parse_digits;
use crate::token::Scope;
use crate::types::credits::MicroCredits;
use crate::types::model::ModelId;
use crate::types::secret::Secret;

/// RFC 8693 section 2.1.
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// RFC 8693 section 3.
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
/// Types of a provider's token: to us they are all JWTs.
const JWT_TYPES: [&str; 3] =
    ["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token", ACCESS_TOKEN_TYPE];
/// A guest's Turnstile token. RFC 8693 section 3 lets a deployment name types of its own.
const TURNSTILE_TYPE: &str = "urn:valetkey:token-type:turnstile";

/// What shows who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectToken {
    /// A provider's token.
    Jwt(Secret),
    /// What Turnstile gave to a visitor's browser.
    Turnstile(Secret),
}

/// What the new token is to be: less than the subject token, where anything is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `scope`: words with spaces between them.
    pub scopes: Option<Vec<Scope>>,
    /// `models`: names with spaces between them. A parameter of ours.
    pub models: Option<Vec<ModelId>>,
    /// `max_predictions`. A parameter of ours.
    pub max_predictions: Option<u32>,
    /// `max_credits`, a decimal number. A parameter of ours.
    pub max_credits: Option<MicroCredits>,
}

/// A request for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// What shows who asks.
    pub subject: SubjectToken,
    /// What is asked for.
    pub wanted: Wanted,
}

impl TokenRequest {
    /// Reads a form. `public_url` is whom our tokens are for.
    ///
    /// # Errors
    /// [`Refused`], as RFC 6749 and RFC 8693 name it.
    pub fn parse(form: &Form, public_url: &str) -> Result<Self, Refused> {
        let refuse = |error, reason| Err(Refused::new(error, reason));
        match form.get("grant_type") {
            Some(GRANT_TYPE) => {}
            Some(_) => return refuse(OAuthError::UnsupportedGrantType, "grant_type"),
            None => return refuse(OAuthError::InvalidRequest, "grant_type"),
        }
        // Nobody acts for anybody else here.
        if form.get("actor_token").is_some() || form.get("actor_token_type").is_some() {
            return refuse(OAuthError::InvalidRequest, "actor_token");
        }
        if form.get("requested_token_type").is_some_and(|wanted| wanted != ACCESS_TOKEN_TYPE) {
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
        Ok(Self { subject, wanted: Wanted::parse(form)? })
    }
}

impl Wanted {
    fn parse(form: &Form) -> Result<Self, Refused> {
        let invalid = |reason| Refused::new(OAuthError::InvalidRequest, reason);
        let invalid_scope = Refused::new(OAuthError::InvalidScope, "scope");
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

/// RFC 6749 section 3.3: words with one space between them; each means something, none twice.
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

/// The token of a revocation request. `token_type_hint` is a hint, and not needed.
///
/// # Errors
/// [`OAuthError::InvalidRequest`] where there is none.
pub fn parse_revocation(form: &Form) -> Result<&str, Refused> {
    let token = form.get("token").filter(|token| is_printable(token, TOKEN_MAX_BYTES));
    token.ok_or(Refused::new(OAuthError::InvalidRequest, "token"))
}

#[cfg(test)]
#[path = "token_request_tests.rs"]
mod tests;
