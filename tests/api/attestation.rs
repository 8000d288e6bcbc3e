//! App attestation (Firebase App Check): required beside a user's token or at `/auth/token`, never accepted alone.

use serde_json::{Value, json};

use crate::harness::{Options, Stack, token, user};
use crate::http::{Request, Response};
use crate::identity::{LOGIN, SigningKey, assert_oauth_error, exchange_of, settings, token_of};
use crate::steps::assert_refused;

const LIST: &str = "/v1/predictions";
const HEADER: &str = "X-Firebase-AppCheck";

/// Returns the settings of docs/identity.md, with the URL of the simulator's key set.
fn app_check() -> Value {
    let text = std::fs::read_to_string(crate::harness::root().join("docs/identity.md")).unwrap();
    let section = text.split("\n## ").find(|part| part.starts_with("Firebase App Check")).expect("a section");
    let block = section.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("its settings");
    let mut issuer: Value = serde_json::from_str(block).unwrap();
    assert!(issuer["keys"]["jwks_url"].as_str().unwrap().starts_with("https://firebaseappcheck.googleapis.com/"));
    issuer["keys"]["jwks_url"] = json!("http://{vendor}/idp/app_check/keys");
    issuer
}

fn stack() -> Stack {
    let mut all = settings(&[&SigningKey::new("k1")]);
    for (name, value) in &mut all {
        if *name == "ISSUERS" {
            let mut list: Value = serde_json::from_str(value.as_ref().unwrap()).unwrap();
            list.as_array_mut().unwrap().push(app_check());
            *value = Some(list.to_string());
        }
    }
    Stack::start(&Options { settings: all, ..Options::default() })
}

impl Stack {
    /// Returns an attestation as App Check issues it, with the changes in `wanted`.
    fn attestation(&self, wanted: &Value) -> String {
        let mut all = json!({"sub": "1:123456789012:android:0a1b2c3d4e5f"});
        all.as_object_mut().unwrap().extend(wanted.as_object().unwrap().clone());
        let answer = Request::post("/identity/app_check/token").json(&all).send(&self.control);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["token"].as_str().unwrap().to_owned()
    }
}

#[track_caller]
fn refused(answer: &Response) {
    assert_refused(answer, 401, "authentication_error", "invalid_token");
}

#[test]
fn a_users_token_is_accepted_only_with_an_attestation() {
    let stack = stack();
    let token = token(&user("phone"));
    let with = |attestation: &str| stack.send(&Request::get(LIST).bearer(&token).header(HEADER, attestation));
    let good = stack.attestation(&json!({}));
    assert_eq!(with(&good).status, 200);
    assert_eq!(with(&good).status, 200, "it is remembered");
    refused(&stack.get(&token, LIST));
    refused(&stack.create(&token));
    assert!(stack.sent().is_empty(), "nothing went upstream");
    stack.assert_logged("attestation_missing");
    refused(&with(""));
    refused(&with("a.b.c"));
    refused(&with(&token));
    refused(&with(&format!("{good}x")));
    refused(&with(&stack.attestation(&json!({"claims": {"aud": ["projects/999"]}}))));
    refused(&with(&stack.attestation(&json!({"claims": {"iss": "https://firebaseappcheck.googleapis.com/999"}}))));
    stack.assert_logged("attestation_refused");
    refused(&with(&stack.attestation(&json!({"claims": {"iat": 1_700_000_000, "exp": 1_700_003_600}}))));
    stack.assert_logged("attestation_expired");
}

#[test]
fn an_attestation_identifies_no_user() {
    let stack = stack();
    let good = stack.attestation(&json!({}));
    refused(&stack.get(&good, LIST));
    refused(&stack.send(&Request::get(LIST).bearer(&good).header(HEADER, &good)));
    assert_oauth_error(&stack.send(&exchange_of(&good, &[]).header(HEADER, &good)), 400, "invalid_request");
    assert_refused(
        &stack.send(&Request::get(LIST).header(HEADER, &good)),
        401,
        "authentication_error",
        "missing_token",
    );
}

#[test]
fn an_exchange_needs_an_attestation_and_the_new_token_does_not() {
    let stack = stack();
    let provided = token_of(LOGIN, &user("exchange"), &json!({}));
    assert_oauth_error(&stack.exchange(&provided, &[]), 400, "invalid_client");
    let answer = stack.send(&exchange_of(&provided, &[]).header(HEADER, &stack.attestation(&json!({}))));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let ours = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(stack.get(&ours, LIST).status, 200);
    // A guest needs no attestation: Turnstile has checked the browser.
    let guest =
        stack.exchange("guest:app.example:guest:1", &[("subject_token_type", "urn:valetkey:token-type:turnstile")]);
    assert_eq!(guest.status, 200, "{}", guest.text());
}

#[test]
fn while_the_attestation_keys_are_unavailable_the_refusal_is_a_503() {
    let stack = stack();
    stack.fault("keys", 10, &json!({"status": 500}));
    let good = stack.attestation(&json!({}));
    let answer = stack.send(&Request::get(LIST).bearer(&token(&user("down"))).header(HEADER, &good));
    assert_refused(&answer, 503, "api_error", "upstream_unavailable");
    let provided = token_of(LOGIN, &user("down"), &json!({}));
    let answer = stack.send(&exchange_of(&provided, &[]).header(HEADER, &good));
    assert_oauth_error(&answer, 503, "temporarily_unavailable");
}
