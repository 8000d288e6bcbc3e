//! The parameters of a form (`application/x-www-form-urlencoded`, parsed as the WHATWG URL standard says), by the rules
//! of RFC 6749.

use std::fmt;

use super::oauth_error::{OAuthError, OAuthRefusal};
use crate::constants::FORM_PARAMETERS_MAX;

/// The parameters of a form.
pub struct Form(Vec<(String, String)>);

impl fmt::Debug for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The parameters contain tokens: show nothing.
        formatter.write_str("Form(…)")
    }
}

impl Form {
    /// Parses a request body. By RFC 6749 section 3.2 no parameter may be repeated, a parameter without a value counts
    /// as missing, and unknown parameters are ignored.
    ///
    /// # Errors
    /// [`OAuthError::InvalidRequest`] if the body is not UTF-8, repeats a parameter, or has too many parameters.
    pub fn parse(body: &[u8]) -> Result<Self, OAuthRefusal> {
        let refuse = |reason| OAuthRefusal::new(OAuthError::InvalidRequest, reason);
        // The parser replaces invalid UTF-8 with U+FFFD. Refuse that character, or two bodies could mean the same.
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
                return Err(refuse("form_encoding"));
            }
            if parameters.len() >= FORM_PARAMETERS_MAX {
                return Err(refuse("form_size"));
            }
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(refuse("form_repeated"));
            }
            parameters.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(parameters))
    }

    /// Returns the value of a parameter that is present and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// Returns whether the `Content-Type` `value` is that of a form. Parameters such as `charset` are ignored.
#[must_use]
pub fn is_form(value: &str) -> bool {
    let essence = value.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_found_by_name() {
        let form = Form::parse(b"a=1&b=x+y%26z&c=&d").unwrap();
        assert_eq!((form.get("a"), form.get("b")), (Some("1"), Some("x y&z")));
        assert_eq!((form.get("c"), form.get("d"), form.get("e")), (None, None, None));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for (body, reason) in [
            (&b"a=1&a=1"[..], "form_repeated"),
            (b"a=1&%61=2", "form_repeated"),
            (b"a=%ff", "form_encoding"),
            (b"\xff=1", "form_encoding"),
        ] {
            assert_eq!(Form::parse(body).unwrap_err().reason, reason, "{body:?}");
        }
        let many: String = (0..=FORM_PARAMETERS_MAX).map(|index| format!("p{index}=1&")).collect();
        assert_eq!(Form::parse(many.as_bytes()).unwrap_err().reason, "form_size");
    }

    #[test]
    fn only_a_form_is_a_form() {
        assert!(is_form("application/x-www-form-urlencoded"));
        assert!(is_form("Application/X-WWW-Form-Urlencoded; charset=UTF-8"));
        for other in ["", "application/json", "multipart/form-data; boundary=x", "text/plain"] {
            assert!(!is_form(other), "{other}");
        }
    }
}
