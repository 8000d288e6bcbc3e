//! Guests: what Cloudflare's Turnstile says of a visitor (its documentation, "Validate the token").

use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::oauth_error::{OAuthError, Refused};
use crate::constants::PROVIDER_RETRY_SECS;
use crate::parse::url::ResourceUrl;
use crate::types::secret::Secret;

/// The widget's `action` on pages that ask for a guest's token: a token that was made for another form is refused.
pub const GUEST_ACTION: &str = "guest";

/// The reason, and the alert, of a `TURNSTILE_SECRET` that Turnstile does not know.
pub const SECRET_REFUSED: &str = "turnstile_secret_refused";

/// How guests are checked.
#[derive(Clone, Debug)]
pub struct Turnstile {
    /// `TURNSTILE_SECRET`.
    pub secret: Secret,
    /// `TURNSTILE_URL`: where tokens are validated.
    pub url: ResourceUrl,
    /// Hosts of the pages that may have guests: those of `ALLOWED_ORIGINS` and `PUBLIC_URL`.
    pub hosts: Vec<String>,
}

/// The answer of siteverify; members that are not needed are left out.
#[derive(Deserialize)]
struct Verdict {
    success: bool,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    action: String,
    #[serde(default, rename = "error-codes")]
    error_codes: Vec<String>,
}

/// The form that asks Turnstile about `token`.
#[must_use]
pub fn turnstile_form(turnstile: &Turnstile, token: &str) -> String {
    Serializer::new(String::new())
        .append_pair("secret", turnstile.secret.expose())
        .append_pair("response", token)
        .finish()
}

/// Whether Turnstile's answer is that of a guest on one of our pages.
///
/// # Errors
/// [`OAuthError::InvalidRequest`] for anything else; [`OAuthError::Unavailable`] for an answer that nobody can read.
pub fn check_guest(turnstile: &Turnstile, answer: &[u8]) -> Result<(), Refused> {
    let refuse = |reason| Err(Refused::new(OAuthError::InvalidRequest, reason));
    let unavailable = |reason| Err(Refused::new(OAuthError::Unavailable, reason).retry_after(PROVIDER_RETRY_SECS));
    let Ok(verdict) = serde_json::from_slice::<Verdict>(answer) else { return unavailable("turnstile_answer") };
    if verdict.error_codes.iter().any(|code| code.ends_with("-input-secret")) {
        return unavailable(SECRET_REFUSED);
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
        assert_eq!(turnstile_form(&turnstile(), "x&secret=y"), "secret=a%26b%3Dc&response=x%26secret%3Dy");
    }

    #[test]
    fn an_answer_that_decides_nothing_says_when_to_come_again() {
        for answer in ["", r#"{"success":false,"error-codes":["invalid-input-secret"]}"#] {
            let refused = check_guest(&turnstile(), answer.as_bytes()).unwrap_err();
            assert_eq!(refused.retry_after_secs, Some(PROVIDER_RETRY_SECS), "{answer}");
        }
    }

    #[test]
    fn a_guest_is_on_our_page_and_asked_for_a_token() {
        let said = |text: &str| check_guest(&turnstile(), text.as_bytes()).map_err(|refused| refused.reason);
        assert_eq!(said(r#"{"success":true,"hostname":"app.example","action":"guest","cdata":"x"}"#), Ok(()));
        for (text, reason) in [
            (r#"{"success":false,"error-codes":["timeout-or-duplicate"]}"#, "turnstile_refused"),
            (r#"{"success":false,"hostname":"app.example","action":"guest"}"#, "turnstile_refused"),
            (r#"{"success":false,"error-codes":["invalid-input-secret"]}"#, SECRET_REFUSED),
            (r#"{"success":false,"error-codes":["missing-input-secret"]}"#, SECRET_REFUSED),
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
