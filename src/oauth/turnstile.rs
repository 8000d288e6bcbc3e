//! Checks guests with Cloudflare Turnstile: the request to siteverify and its response. See ["Validate the token"] in
//! Turnstile's documentation.
//!
//! ["Validate the token"]: https://developers.cloudflare.com/turnstile/get-started/server-side-validation/

use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::oauth_error::{OAuthError, OAuthRefusal};
use crate::constants::PROVIDER_RETRY_SECS;
use crate::parse::url::ResourceUrl;
use crate::types::secret::Secret;

/// The widget's `action` on pages that request guest tokens. A Turnstile token of another form is refused.
pub const GUEST_ACTION: &str = "guest";

/// The reason, and the alert, if Turnstile does not accept `TURNSTILE_SECRET`.
pub const TURNSTILE_SECRET_REFUSED: &str = "turnstile_secret_refused";

/// The settings for checking guests.
#[derive(Clone, Debug)]
pub struct Turnstile {
    /// `TURNSTILE_SECRET`.
    pub secret: Secret,
    /// `TURNSTILE_URL`: the siteverify endpoint.
    pub url: ResourceUrl,
    /// The hosts of pages that may have guests: those of `ALLOWED_ORIGINS` and `PUBLIC_URL`.
    pub hosts: Vec<String>,
}

/// The response of siteverify, without the members that are not needed.
#[derive(Deserialize)]
struct SiteverifyResponse {
    success: bool,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    action: String,
    #[serde(default, rename = "error-codes")]
    error_codes: Vec<String>,
}

/// Returns the body of the siteverify request for `token`.
#[must_use]
pub fn siteverify_form(turnstile: &Turnstile, token: &str) -> String {
    Serializer::new(String::new())
        .append_pair("secret", turnstile.secret.expose())
        .append_pair("response", token)
        .finish()
}

/// Checks that the siteverify response is about a guest on one of the deployment's pages.
///
/// # Errors
/// - [`OAuthError::InvalidRequest`]: the token is refused, or is for another page or another form.
/// - [`OAuthError::Unavailable`]: the response cannot be parsed, or Turnstile does not accept the secret.
pub fn check_siteverify_response(turnstile: &Turnstile, response: &[u8]) -> Result<(), OAuthRefusal> {
    let refuse = |reason| Err(OAuthRefusal::new(OAuthError::InvalidRequest, reason));
    let unavailable = |reason| Err(OAuthRefusal::new(OAuthError::Unavailable, reason).retry_after(PROVIDER_RETRY_SECS));
    // From text, as all other JSON: `from_slice` would link serde_json's parser of bytes too. Empty text is no answer.
    let text = std::str::from_utf8(response).unwrap_or_default();
    let Ok(verdict) = serde_json::from_str::<SiteverifyResponse>(text) else {
        return unavailable("turnstile_answer");
    };
    if verdict.error_codes.iter().any(|code| code.ends_with("-input-secret")) {
        return unavailable(TURNSTILE_SECRET_REFUSED);
    }
    if !verdict.success {
        return refuse("turnstile_refused");
    }
    if !turnstile.hosts.contains(&verdict.hostname) {
        return refuse("turnstile_host");
    }
    if verdict.action != GUEST_ACTION {
        return refuse("turnstile_action");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turnstile() -> Turnstile {
        let hosts = vec!["app.example".to_owned()];
        Turnstile {
            secret: Secret::new("a&b=c".to_owned()),
            url: ResourceUrl::try_new("https://t.example").unwrap(),
            hosts,
        }
    }

    #[test]
    fn secret_and_token_cannot_add_parameters() {
        assert_eq!(siteverify_form(&turnstile(), "x&secret=y"), "secret=a%26b%3Dc&response=x%26secret%3Dy");
    }

    #[test]
    fn an_answer_that_decides_nothing_says_when_to_come_again() {
        for answer in ["", r#"{"success":false,"error-codes":["invalid-input-secret"]}"#] {
            let refused = check_siteverify_response(&turnstile(), answer.as_bytes()).unwrap_err();
            assert_eq!(refused.retry_after_secs, Some(PROVIDER_RETRY_SECS), "{answer}");
        }
    }

    #[test]
    fn a_guest_is_on_our_page_and_asked_for_a_token() {
        let said =
            |text: &str| check_siteverify_response(&turnstile(), text.as_bytes()).map_err(|refused| refused.reason);
        assert_eq!(said(r#"{"success":true,"hostname":"app.example","action":"guest","cdata":"x"}"#), Ok(()));
        for (text, reason) in [
            (r#"{"success":false,"error-codes":["timeout-or-duplicate"]}"#, "turnstile_refused"),
            (r#"{"success":false,"hostname":"app.example","action":"guest"}"#, "turnstile_refused"),
            (r#"{"success":false,"error-codes":["invalid-input-secret"]}"#, TURNSTILE_SECRET_REFUSED),
            (r#"{"success":false,"error-codes":["missing-input-secret"]}"#, TURNSTILE_SECRET_REFUSED),
            (r#"{"success":true,"hostname":"evil.example","action":"guest"}"#, "turnstile_host"),
            (r#"{"success":true,"hostname":"sub.app.example","action":"guest"}"#, "turnstile_host"),
            (r#"{"success":true,"action":"guest"}"#, "turnstile_host"),
            (r#"{"success":true,"hostname":"app.example","action":"login"}"#, "turnstile_action"),
            (r#"{"success":true,"hostname":"app.example"}"#, "turnstile_action"),
            (r#"{"success":"true","hostname":"app.example","action":"guest"}"#, "turnstile_answer"),
            ("", "turnstile_answer"),
            ("[]", "turnstile_answer"),
        ] {
            assert_eq!(said(text), Err(reason), "{text}");
        }
    }
}
