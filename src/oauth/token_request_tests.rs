use super::*;

const URL: &str = "https://api.example";

fn fields() -> Vec<(&'static str, String)> {
    vec![
        ("grant_type", GRANT_TYPE.to_owned()),
        ("subject_token", "a.b.c".to_owned()),
        ("subject_token_type", JWT_TYPES[0].to_owned()),
    ]
}

fn parse(changes: &[(&'static str, &str)]) -> Result<TokenRequest, OAuthRefusal> {
    let mut fields = fields();
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        fields.push((name, (*value).to_owned()));
    }
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    TokenRequest::parse(&Form::parse(body.as_bytes()).unwrap(), URL)
}

#[test]
fn a_providers_token_is_asked_about_under_each_of_its_types() {
    for kind in JWT_TYPES {
        let request = parse(&[("subject_token_type", kind)]).unwrap();
        assert_eq!(request.subject, SubjectToken::Jwt(Secret::new("a.b.c".to_owned())));
        assert_eq!(request.restrictions, RequestedRestrictions::default());
    }
    let guest = parse(&[("subject_token_type", TURNSTILE_TYPE), ("subject_token", "0.x_-y")]).unwrap();
    assert_eq!(guest.subject, SubjectToken::Turnstile(Secret::new("0.x_-y".to_owned())));
}

#[test]
fn what_is_wanted_is_read() {
    let request = parse(&[
        ("scope", "read create"),
        ("models", "a/b c/d"),
        ("max_predictions", "3"),
        ("max_credits", "7.5"),
        ("audience", URL),
        ("resource", URL),
        ("requested_token_type", ACCESS_TOKEN_TYPE),
        ("client_id", "ignored"),
    ]);
    let requested = request.unwrap().restrictions;
    assert_eq!(requested.scopes, Some(vec![Scope::Read, Scope::Create]));
    assert_eq!(requested.models, Some(vec![ModelId::parse("a/b").unwrap(), ModelId::parse("c/d").unwrap()]));
    assert_eq!((requested.max_predictions, requested.max_credits), (Some(3), MicroCredits::parse("7.5")));
}

#[test]
fn each_mistake_has_its_error() {
    let long = "a".repeat(TOKEN_MAX_BYTES + 1);
    let many: Vec<String> = (0..=FORM_LIST_MAX).map(|number| format!("a/m{number}")).collect();
    let many = many.join(" ");
    let long_guest = "a".repeat(TURNSTILE_TOKEN_MAX_BYTES + 1);
    for (changes, error, reason) in [
        (&[("grant_type", "")][..], OAuthError::InvalidRequest, "grant_type"),
        (&[("grant_type", "password")], OAuthError::UnsupportedGrantType, "grant_type"),
        (&[("actor_token", "a.b.c")], OAuthError::InvalidRequest, "actor_token"),
        (&[("actor_token_type", "x")], OAuthError::InvalidRequest, "actor_token"),
        (&[("requested_token_type", JWT_TYPES[1])], OAuthError::InvalidRequest, "requested_token_type"),
        (&[("audience", "https://other.example")], OAuthError::InvalidTarget, "target"),
        (&[("resource", "https://api.example/")], OAuthError::InvalidTarget, "target"),
        (&[("subject_token", "")], OAuthError::InvalidRequest, "subject_token"),
        (&[("subject_token", "a b")], OAuthError::InvalidRequest, "subject_token"),
        (&[("subject_token", &long)], OAuthError::InvalidRequest, "subject_token"),
        (&[("subject_token_type", "")], OAuthError::InvalidRequest, "subject_token"),
        (&[("subject_token_type", "urn:x")], OAuthError::InvalidRequest, "subject_token"),
        (
            &[("subject_token_type", TURNSTILE_TYPE), ("subject_token", &long_guest)],
            OAuthError::InvalidRequest,
            "subject_token",
        ),
        (&[("scope", "read admin")], OAuthError::InvalidScope, "scope"),
        (&[("scope", "read  create")], OAuthError::InvalidScope, "scope"),
        (&[("scope", "read read")], OAuthError::InvalidScope, "scope"),
        (&[("models", "*")], OAuthError::InvalidRequest, "models"),
        (&[("models", &many)], OAuthError::InvalidRequest, "models"),
        (&[("models", "a/b,c/d")], OAuthError::InvalidRequest, "models"),
        (&[("max_predictions", "0")], OAuthError::InvalidRequest, "max_predictions"),
        (&[("max_predictions", "+1")], OAuthError::InvalidRequest, "max_predictions"),
        (&[("max_predictions", "1.0")], OAuthError::InvalidRequest, "max_predictions"),
        (&[("max_credits", "-1")], OAuthError::InvalidRequest, "max_credits"),
        (&[("max_credits", "1e3")], OAuthError::InvalidRequest, "max_credits"),
    ] {
        let refused = parse(changes).unwrap_err();
        assert_eq!((refused.error, refused.reason), (error, reason), "{changes:?}");
    }
}

#[test]
fn a_revocation_names_a_token() {
    let form = |body: &str| Form::parse(body.as_bytes()).unwrap();
    assert_eq!(parse_revocation(&form("token=a.b.c&token_type_hint=access_token")), Ok("a.b.c"));
    for body in ["", "token=", "token=a+b", "tokens=a"] {
        assert!(parse_revocation(&form(body)).is_err(), "{body}");
    }
}
