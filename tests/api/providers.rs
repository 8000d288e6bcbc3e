//! Issuers that publish their key set at a URL: common identity providers, each configured as in docs/identity.md.

use serde_json::{Value, json};

use crate::harness::{Options, Stack, default_settings, now, root, sign_with};
use crate::hostile::keys::encode;
use crate::http::{Request, Response};
use crate::steps::{assert_refused, at_once, wait_until};

const LIST: &str = "/v1/predictions";

/// Returns the issuer settings of docs/identity.md with their headings, in the order of the page.
fn documented() -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(root().join("docs/identity.md")).unwrap();
    let mut name = String::new();
    let mut found = Vec::new();
    for part in text.split("\n### ").skip(1) {
        name.clear();
        name.push_str(part.lines().next().unwrap());
        if let Some(json) = part.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()) {
            found.push((name.clone(), serde_json::from_str(json).unwrap_or_else(|error| panic!("{name}: {error}"))));
        }
    }
    found
}

const PROVIDERS: [(&str, &str); 9] = [
    ("Auth0", "auth0"),
    ("Firebase Authentication", "firebase"),
    ("Supabase", "supabase"),
    ("Amazon Cognito", "cognito"),
    ("Clerk", "clerk"),
    ("Microsoft Entra ID", "entra"),
    ("Cloudflare Access", "access"),
    ("Google", "google"),
    ("Stytch", "stytch"),
];

/// Returns a provider's documented settings, with the URL of the simulator's key set.
fn issuer_of(name: &str) -> Value {
    let (_, mut issuer) = documented().into_iter().find(|(other, _)| other == name).unwrap();
    let path = PROVIDERS.iter().find(|(other, _)| *other == name).unwrap().1;
    assert!(issuer["keys"]["jwks_url"].as_str().unwrap().starts_with("https://"), "{name}");
    issuer["keys"]["jwks_url"] = json!(format!("http://{{vendor}}/idp/{path}/keys"));
    issuer
}

fn stack() -> Stack {
    let issuers: Vec<Value> = PROVIDERS.iter().map(|(name, _)| issuer_of(name)).collect();
    let settings = vec![("ISSUERS", Some(json!(issuers).to_string()))];
    Stack::start(&Options { settings, ..Options::default() })
}

fn token_of(stack: &Stack, provider: &str, wanted: &Value) -> String {
    let answer = Request::post(&format!("/identity/{provider}/token")).json(wanted).send(&stack.control);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["token"].as_str().unwrap().to_owned()
}

fn key_requests(stack: &Stack) -> usize {
    stack.vendor_requests().iter().filter(|request| request["path"].as_str().unwrap().starts_with("/idp/")).count()
}

fn refused(answer: &Response) {
    assert_refused(answer, 401, "authentication_error", "invalid_token");
}

#[test]
fn a_token_of_each_provider_is_accepted_and_wrong_claims_are_not() {
    let stack = stack();
    for (name, provider) in PROVIDERS {
        let token = token_of(&stack, provider, &json!({"sub": "user-1"}));
        assert_eq!(stack.get(&token, LIST).status, 200, "{name}");
        let audience = if provider == "cognito" {
            "client_id"
        } else if provider == "clerk" {
            "azp"
        } else {
            "aud"
        };
        for claims in
            [json!({ audience: "another" }), json!({ audience: null }), json!({"iss": "https://evil.example/"})]
        {
            refused(&stack.get(&token_of(&stack, provider, &json!({"sub": "user-1", "claims": claims})), LIST));
        }
        refused(&stack.get(&format!("{}x", &token[..token.len() - 2]), LIST));
    }
    assert_eq!(key_requests(&stack), PROVIDERS.len(), "one request for each");
}

/// Supabase's tokens have a `kid` for the shared secret, although its text cannot contain a name.
#[test]
fn supabases_token_that_is_signed_with_the_shared_secret_is_accepted() {
    let secret = "the-JWT-secret-of-a-Supabase-project-0123456789==";
    let (_, issuer) = documented().into_iter().find(|(name, _)| name == "Supabase with a shared secret").unwrap();
    let settings =
        vec![("ISSUERS", Some(json!([issuer.clone()]).to_string())), ("SUPABASE_JWT_SECRET", Some(secret.to_owned()))];
    assert_eq!(issuer["keys"], json!({"secret": "SUPABASE_JWT_SECRET"}));
    let stack = Stack::start(&Options { settings, ..Options::default() });
    let token = |kid: &Value, key: &str, changes: Value| {
        let now = now();
        let header = json!({"alg": "HS256", "kid": kid, "typ": "JWT"});
        let mut claims = json!({"iss": issuer["issuer"], "sub": "5f2c1a52-8a4b-4c57-9d1e-3c3f2ce0a001", "iat": now,
            "aud": "authenticated", "exp": now + 3_600, "email": "a@example.com", "phone": "", "role": "authenticated",
            "app_metadata": {"provider": "email"}, "user_metadata": {}, "aal": "aal1", "session_id": "s",
            "amr": [{"method": "password", "timestamp": now}], "is_anonymous": false});
        claims.as_object_mut().unwrap().extend(changes.as_object().cloned().unwrap());
        sign_with(key, &header, &claims)
    };
    for kid in [json!("4ZXLmBq7ArxFaTZw"), json!("another/one+=")] {
        assert_eq!(stack.get(&token(&kid, secret, json!({})), LIST).status, 200, "{kid}");
    }
    let kid = json!("4ZXLmBq7ArxFaTZw");
    let accepted = token(&kid, secret, json!({"nbf": null, "jti": null}));
    assert_eq!(stack.get(&accepted, LIST).status, 200, "null counts as absent");
    for bad in [
        token(&kid, "another secret of at least 32 bytes, not Supabase's", json!({})),
        token(&json!("a b"), secret, json!({})),
        token(&json!(null), secret, json!({})),
        token(&kid, secret, json!({"aud": "anon"})),
        token(&kid, secret, json!({"nbf": "null"})),
        token(&kid, secret, json!({"jti": 1})),
        token(&kid, secret, json!({"cnf": null})),
    ] {
        refused(&stack.get(&bad, LIST));
    }
    assert!(stack.sent().is_empty(), "nothing went upstream");
}

#[test]
fn a_provider_cannot_sign_tokens_of_another() {
    let stack = stack();
    // The simulator's providers share keys; after a rotation, this one signs with a different key.
    stack.control_post("/identity/auth0/rotate", &json!({}));
    let claims = json!({"iss": "https://securetoken.google.com/example-app", "aud": "example-app"});
    for kid in ["auth0-1", "firebase-0"] {
        let wanted = json!({"sub": "u", "claims": claims, "header": {"kid": kid, "typ": "JWT"}});
        refused(&stack.get(&token_of(&stack, "auth0", &wanted), LIST));
    }
}

#[test]
fn a_new_key_is_fetched_and_a_cached_token_stays_valid() {
    let stack = stack();
    let old = token_of(&stack, "auth0", &json!({"sub": "u"}));
    assert_eq!(stack.get(&old, LIST).status, 200);
    stack.control_post("/identity/auth0/rotate", &json!({}));
    let new = token_of(&stack, "auth0", &json!({"sub": "u"}));
    // The Worker has just fetched the key set, and fetches it again after half a minute at the earliest.
    wait_until("the new key", || (stack.get(&new, LIST).status == 200).then_some(()));
    assert_eq!(stack.get(&old, LIST).status, 200);
    assert_eq!(key_requests(&stack), 2);
}

#[test]
fn random_kids_cause_no_flood_of_fetches() {
    let stack = stack();
    let good = token_of(&stack, "firebase", &json!({"sub": "u"}));
    let rest = good.split_once('.').unwrap().1;
    let start = std::time::Instant::now();
    let answers = at_once(8, |thread| {
        (0..1_250)
            .map(|number| {
                let header = json!({"alg": "RS256", "typ": "JWT", "kid": format!("k{thread}-{number}")}).to_string();
                let token = format!("{}.{rest}", encode(header));
                stack.get(&token, LIST).status
            })
            .collect::<Vec<_>>()
    })
    .concat();
    assert!(answers.iter().all(|status| *status == 401));
    // workerd logs "hung" for a request whose future is never woken again.
    assert!(!stack.worker_log().contains("hung"));
    assert_eq!(answers.len(), 10_000);
    let minutes = usize::try_from(start.elapsed().as_secs() / 60 + 1).unwrap();
    assert!((1..=2 * minutes).contains(&key_requests(&stack)), "{} in {minutes} min", key_requests(&stack));
    assert_eq!(stack.get(&good, LIST).status, 200, "a good one still passes");
}

#[test]
fn without_a_key_set_the_client_is_told_to_retry() {
    for fault in [
        json!({"status": 500, "body": ""}),
        json!({"status": 200, "body": "<html>"}),
        json!({"status": 200, "body": "{\"keys\":[]}"}),
        json!({"status": 302, "headers": {"Location": "https://evil.example/keys"}, "body": ""}),
        json!({"delay_ms": 4_000}),
    ] {
        let stack = stack();
        stack.fault("keys", 1, &fault);
        let token = token_of(&stack, "supabase", &json!({"sub": "u"}));
        let answer = stack.get(&token, LIST);
        assert_refused(&answer, 503, "api_error", "upstream_unavailable");
        assert_eq!(answer.header("retry-after").unwrap(), "5");
        stack.assert_logged("key_set_unavailable");
        assert!(!stack.worker_log().contains(&token));
        wait_until("the next try", || (stack.get(&token, LIST).status == 200).then_some(()));
        assert_eq!(key_requests(&stack), 2);
        assert!(stack.sent().is_empty());
    }
}

#[test]
fn an_oversized_key_set_is_not_read_to_its_end() {
    let stack = stack();
    let body = format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(300_000));
    stack.fault("keys", 1, &json!({"status": 200, "body": body}));
    let token = token_of(&stack, "clerk", &json!({"sub": "u"}));
    assert_refused(&stack.get(&token, LIST), 503, "api_error", "upstream_unavailable");
}

#[test]
fn concurrent_requests_share_one_key_set_fetch() {
    let stack = stack();
    stack.fault("keys", 1, &json!({"delay_ms": 500}));
    let token = token_of(&stack, "entra", &json!({"sub": "u"}));
    let statuses = at_once(20, |_| stack.get(&token, LIST).status);
    assert_eq!(statuses, [200; 20]);
    assert_eq!(key_requests(&stack), 1);
}

#[test]
fn a_loopback_key_set_url_is_for_a_loopback_worker_only() {
    let vendor = "127.0.0.1:1";
    let mut issuers: Value = serde_json::from_str(&default_settings(vendor)["ISSUERS"]).unwrap();
    issuers[0] = issuer_of("Auth0");
    let stack = Stack::start(&Options { settings: vec![("ISSUERS", Some(issuers.to_string()))], ..Options::default() });
    let request = Request::get("/readyz").header("Host", "app.example");
    let answer = stack.send(&request);
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("is on a loopback host"), "{}", answer.text());
}
