//! Input: a body of `/auth/token` or `/auth/revoke`.
//!
//! - Another form parser reads the same members from an accepted body.
//! - The body rendered again is the same request.
//! - `Debug` output never contains the token.

#![cfg_attr(fuzzing, no_main)]

use valetkey::oauth::{Form, TokenRequest, parse_revocation};

valetkey_fuzz::target!(check);

const URL: &str = "https://api.example";

fn check(data: &[u8]) {
    let Ok(form) = Form::parse(data) else { return };
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(data).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    for (name, value) in &pairs {
        assert_eq!(form.get(name), Some(value.as_str()).filter(|value| !value.is_empty()));
        assert_eq!(pairs.iter().filter(|(other, _)| other == name).count(), 1, "{name} occurs twice");
    }
    let anew = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
    let again = Form::parse(anew.as_bytes()).unwrap();
    let request = TokenRequest::parse(&form, URL);
    assert_eq!(request, TokenRequest::parse(&again, URL));
    if let Ok(request) = &request {
        let token = form.get("subject_token").unwrap();
        assert!(token.len() < 8 || !format!("{request:?}{form:?}").contains(token), "Debug contains a token");
        assert!(form.get("audience").is_none_or(|audience| audience == URL));
        assert!(form.get("actor_token").is_none());
        let words = |name: &str| form.get(name).map(|text| text.split(' ').count());
        assert_eq!(request.restrictions.scopes.as_ref().map(Vec::len), words("scope"));
        assert_eq!(request.restrictions.models.as_ref().map(Vec::len), words("models"));
    }
    if let Ok(token) = parse_revocation(&form) {
        assert!(token.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}
