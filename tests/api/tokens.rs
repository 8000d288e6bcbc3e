//! `/auth/token`: exchange of identity providers' tokens for our own, guests, and rotation of the signing keys.

use serde_json::{Value, json};

use crate::harness::{Options, Stack, now, token, token_with, user};
use crate::http::Request;
use crate::identity::{
    EXCHANGE, JWT_TYPE, LOGIN, PUBLIC_URL, SigningKey, assert_oauth_error, claims_of, exchange_of, form, header_of,
    settings, start, token_of,
};
use crate::steps::{assert_refused, at_once};

const LIST: &str = "/v1/predictions";
const GUEST_TYPE: &str = "urn:valetkey:token-type:turnstile";

#[test]
fn a_providers_twelve_hour_token_becomes_a_five_minute_token_of_the_same_user() {
    let stack = start(&[&SigningKey::new("k1")]);
    let name = user("exchange");
    let provided = token_of(LOGIN, &name, &json!({"plan": "poor", "email": "a@b.example"}));
    // The login issuer's token is never accepted as an access token.
    assert_refused(&stack.get(&provided, LIST), 401, "authentication_error", "invalid_token");
    let answer = stack.exchange(&provided, &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    assert_eq!(body["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(300)));
    assert_eq!(body["scope"], "create read cancel files");
    let ours = body["access_token"].as_str().unwrap();
    assert_eq!(header_of(ours), json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "k1"}));
    let claims = claims_of(ours);
    assert_eq!(
        (&claims["iss"], &claims["aud"], &claims["sub"]),
        (&json!(PUBLIC_URL), &json!(PUBLIC_URL), &json!(name))
    );
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    assert_eq!(claims["vk"], json!({"iss": LOGIN, "scope": ["create", "read", "cancel", "files"]}));
    assert_eq!(claims["client_id"], "app", "the audience, since the provider's token names no client");
    assert!(claims["jti"].is_string());
    assert!(claims.get("email").is_none(), "nothing else of the provider's token");
    for (named, client) in [
        (json!({"azp": "web"}), "web"),
        (json!({"azp": "web", "client_id": "phone"}), "phone"),
        (json!({"azp": 1}), "app"),
    ] {
        let exchanged = stack.own_token(&name, &named, &[]);
        assert_eq!(claims_of(&exchanged)["client_id"], client, "{named}");
        assert_eq!(stack.get(&exchanged, "/v1/predictions").status, 200);
    }

    // Another token of the same user can read the prediction, because the Ledger belongs to the user.
    let created = stack.create(ours);
    assert_eq!(created.status, 201, "{}", created.text());
    let id = created.json()["job_id"].as_str().unwrap().to_owned();
    let later = stack.own_token(&name, &json!({"plan": "poor"}), &[]);
    stack.ended(&later, &id);
    let account = stack.get(&later, "/v1/account").json();
    assert_eq!((&account["plan"], &account["usage"]["predictions"]), (&json!("poor"), &json!(1)));
    // The same subject at another issuer is another user.
    assert_refused(&stack.get(&token(&name), &format!("/v1/predictions/{id}")), 404, "not_found_error", "not_found");
}

#[test]
fn each_malformed_exchange_gets_the_error_of_the_rfcs() {
    let stack = start(&[&SigningKey::new("k1")]);
    let good = token_of(LOGIN, &user("forms"), &json!({}));
    for (more, status, error) in [
        (&[("grant_type", "client_credentials")][..], 400, "unsupported_grant_type"),
        (&[("grant_type", "")], 400, "invalid_request"),
        (&[("subject_token", "")], 400, "invalid_request"),
        (&[("subject_token", "a.b.c")], 400, "invalid_request"),
        (&[("subject_token_type", "urn:ietf:params:oauth:token-type:saml2")], 400, "invalid_request"),
        (&[("actor_token", "a.b.c")], 400, "invalid_request"),
        (&[("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")], 400, "invalid_request"),
        (&[("audience", "https://other.example")], 400, "invalid_target"),
        (&[("scope", "admin")], 400, "invalid_scope"),
        (&[("max_predictions", "0")], 400, "invalid_request"),
    ] {
        assert_oauth_error(&stack.exchange(&good, more), status, error);
    }
    let fields = [("grant_type", EXCHANGE), ("subject_token", good.as_str()), ("subject_token_type", JWT_TYPE)];
    let body = String::from_utf8(form("/auth/token", &fields).body).unwrap();
    let post =
        |kind: &str, body: String| stack.send(&Request::post("/auth/token").header("Content-Type", kind).body(body));
    let kind = "application/x-www-form-urlencoded";
    assert_eq!(post(kind, body.clone()).status, 200);
    assert_oauth_error(&post("application/json", json!({"subject_token": good}).to_string()), 415, "invalid_request");
    assert_oauth_error(&post(kind, format!("{body}&scope=read&scope=create")), 400, "invalid_request");
    assert_oauth_error(&post(kind, format!("{body}&scope=%ff")), 400, "invalid_request");
    assert_oauth_error(&post(kind, format!("{body}&x={}", "a".repeat(17_000))), 413, "invalid_request");
    // Parameters in the URL do not count.
    let query = stack.send(&Request::post(&format!("/auth/token?{body}")).header("Content-Type", kind));
    assert_oauth_error(&query, 400, "invalid_request");
    assert_eq!(stack.send(&Request::get("/auth/token")).status, 405);
    assert!(stack.vendor_requests().is_empty(), "nothing went upstream");
}

#[test]
fn every_refused_subject_token_gets_the_same_response() {
    let stack = start(&[&SigningKey::new("k1")]);
    let name = user("refused");
    let now = now();
    let mut bodies = Vec::new();
    for bad in [
        token_of(LOGIN, &name, &json!({"aud": "other"})),
        token_of(LOGIN, &name, &json!({"exp": now - 100, "iat": now - 200})),
        token_of(LOGIN, &name, &json!({"exp": now + 90_000})),
        token_of("https://unknown.example", &name, &json!({})),
        format!("{}x", token_of(LOGIN, &name, &json!({}))),
        // This issuer's tokens are for access only.
        token(&name),
    ] {
        let answer = stack.exchange(&bad, &[]);
        assert_oauth_error(&answer, 400, "invalid_request");
        bodies.push(answer.text());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    stack.assert_logged("wrong_audience");
}

#[test]
fn an_own_token_cannot_be_exchanged() {
    let stack = start(&[&SigningKey::new("k1")]);
    let ours = stack.own_token(&user("again"), &json!({}), &[]);
    for kind in [JWT_TYPE, "urn:ietf:params:oauth:token-type:access_token"] {
        assert_oauth_error(&stack.exchange(&ours, &[("subject_token_type", kind)]), 400, "invalid_request");
    }
    stack.assert_logged("wrong_use");
}

#[test]
fn an_issuer_cannot_claim_a_user_of_another_issuer() {
    let key = SigningKey::new("k1");
    let stack = start(&[&key]);
    let victim = user("victim");
    let created = stack.create(&stack.own_token(&victim, &json!({}), &[]));
    let target = format!("/v1/predictions/{}", created.json()["job_id"].as_str().unwrap());
    // `vk.iss` in a token of another issuer has no effect.
    let forged = token_with(&victim, json!({"vk": {"iss": LOGIN}}));
    assert_refused(&stack.get(&forged, &target), 404, "not_found_error", "not_found");
    // Our own tokens must name an issuer that is configured for exchange.
    let now = now();
    for origin in [json!({}), json!({"iss": "https://issuer.example"}), json!({"iss": PUBLIC_URL}), json!({"iss": 1})] {
        let claims =
            json!({"iss": PUBLIC_URL, "aud": PUBLIC_URL, "sub": victim, "iat": now, "exp": now + 60, "vk": origin});
        assert_refused(&stack.get(&key.sign(&claims), &target), 401, "authentication_error", "invalid_token");
    }
    let claims =
        json!({"iss": PUBLIC_URL, "aud": PUBLIC_URL, "sub": victim, "iat": now, "exp": now + 60, "vk": {"iss": LOGIN}});
    assert_eq!(stack.get(&key.sign(&claims), &target).status, 200);
}

#[test]
fn an_exchange_can_restrict_a_token_and_never_extend_it() {
    let stack = start(&[&SigningKey::new("k1")]);
    let name = user("narrow");
    let less = [("scope", "read"), ("models", "acme/model-y")];
    let reader = stack.own_token(&name, &json!({}), &less);
    assert_eq!(stack.get(&reader, LIST).status, 200);
    assert_refused(&stack.create(&reader), 403, "permission_error", "insufficient_permissions");
    let other = stack.own_token(&name, &json!({}), &[("models", "acme/model-y")]);
    assert_refused(&stack.create(&other), 403, "permission_error", "model_not_allowed");

    let capped = json!({"jti": "card-1", "vk": {"scope": ["create", "read"], "max_predictions": 2}});
    let provided = token_of(LOGIN, &name, &capped);
    assert_oauth_error(&stack.exchange(&provided, &[("scope", "read files")]), 400, "invalid_scope");
    assert_oauth_error(&stack.exchange(&provided, &[("max_predictions", "3")]), 400, "invalid_request");
    let wider = token_of(LOGIN, &name, &json!({"jti": "card-2", "vk": {"models": ["acme/model-y"]}}));
    assert_oauth_error(&stack.exchange(&wider, &[("models", "acme/model-x")]), 400, "invalid_request");

    // The cap of two holds over all exchanges of the token and over concurrent creates.
    let tokens: Vec<String> = (0..6).map(|_| stack.own_token(&name, &capped, &[])).collect();
    let mut statuses: Vec<u16> = at_once(6, |index| stack.create(&tokens[index]).status);
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 402, 402, 402, 402]);
    assert_eq!(stack.sent().len(), 2, "nothing else went upstream");
}

#[test]
fn requested_caps_are_spent_exactly() {
    let stack = start(&[&SigningKey::new("k1")]);
    let name = user("caps");
    let token = stack.own_token(&name, &json!({}), &[("max_credits", "5")]);
    let mut statuses: Vec<u16> = at_once(5, |_| stack.create(&token).status);
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 402, 402, 402]);
}

#[test]
fn signing_keys_rotate_without_a_refused_token() {
    let (old, new) = (SigningKey::new("2026-01"), SigningKey::new("2026-02"));
    let name = user("rotation");
    // One deployment for each step of a rotation of the signing keys: publish the new key, sign with it, remove the old
    // key.
    let (first, second, third) = (start(&[&old, &new]), start(&[&new, &old]), start(&[&new]));
    let before = first.own_token(&name, &json!({}), &[]);
    assert_eq!(header_of(&before)["kid"], "2026-01");
    let after = second.own_token(&name, &json!({}), &[]);
    assert_eq!(header_of(&after)["kid"], "2026-02");
    for (stack, token) in [(&first, &before), (&first, &after), (&second, &before), (&second, &after), (&third, &after)]
    {
        assert_eq!(stack.get(token, LIST).status, 200);
    }
    assert_refused(&third.get(&before, LIST), 401, "authentication_error", "invalid_token");
    let kids = |stack: &Stack| -> Vec<Value> {
        let answer = stack.send(&Request::get("/.well-known/jwks.json"));
        let keys = answer.json()["keys"].as_array().unwrap().clone();
        for key in &keys {
            let names: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x"], "no private member");
        }
        keys.into_iter().map(|key| key["kid"].clone()).collect()
    };
    assert_eq!(kids(&first), ["2026-01", "2026-02"]);
    assert_eq!(kids(&third), ["2026-02"]);
}

#[test]
fn the_server_metadata_names_the_endpoints() {
    let stack = start(&[&SigningKey::new("k1")]);
    let page = Request::get("/.well-known/oauth-authorization-server").header("Origin", "https://app.example");
    let answer = stack.send(&page);
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("public, max-age=300")));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    let body = answer.json();
    assert_eq!(body["issuer"], PUBLIC_URL);
    assert_eq!(body["token_endpoint"], format!("{PUBLIC_URL}/auth/token"));
    assert_eq!(body["revocation_endpoint"], format!("{PUBLIC_URL}/auth/revoke"));
    assert_eq!(body["jwks_uri"], format!("{PUBLIC_URL}/.well-known/jwks.json"));
    assert_eq!(body["grant_types_supported"], json!([EXCHANGE]));
    assert_eq!(body["dpop_signing_alg_values_supported"], json!(["ES256", "EdDSA", "Ed25519"]));
}

#[test]
fn without_signing_keys_there_is_no_token_endpoint() {
    let stack = crate::harness::shared();
    for (method, target) in [
        ("POST", "/auth/token"),
        ("GET", "/auth/token"),
        ("OPTIONS", "/auth/token"),
        ("GET", "/.well-known/jwks.json"),
        ("GET", "/.well-known/oauth-authorization-server"),
        ("POST", "/.well-known/jwks.json"),
    ] {
        assert_refused(&stack.send(&Request::new(method, target)), 404, "not_found_error", "not_found");
    }
}

#[test]
fn each_guest_is_a_new_user_and_all_guests_share_a_pool() {
    let stack = start(&[&SigningKey::new("k1")]);
    let visit = |widget: &str| stack.exchange(widget, &[("subject_token_type", GUEST_TYPE)]);
    let tokens: Vec<String> = (0..4)
        .map(|number| {
            let answer = visit(&format!("guest:app.example:guest:{number}"));
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.json()["access_token"].as_str().unwrap().to_owned()
        })
        .collect();
    let claims: Vec<Value> = tokens.iter().map(|token| claims_of(token)).collect();
    assert_ne!(claims[0]["sub"], claims[1]["sub"]);
    assert_eq!((&claims[0]["plan"], &claims[0]["vk"]["iss"]), (&json!("guest"), &json!("guest")));
    assert_eq!(claims[0]["client_id"], "guest");
    let created = stack.create(&tokens[0]);
    assert_eq!(created.status, 201, "{}", created.text());
    let target = format!("/v1/predictions/{}", created.json()["job_id"].as_str().unwrap());
    assert_refused(&stack.get(&tokens[1], &target), 404, "not_found_error", "not_found");
    // All guests share 7.5 credits: enough for three images.
    assert_eq!(stack.create(&tokens[1]).status, 201);
    assert_eq!(stack.create(&tokens[2]).status, 201);
    assert_refused(&stack.create(&tokens[3]), 402, "payment_error", "insufficient_credits");
    assert_eq!(stack.sent().len(), 3);
}

#[test]
fn a_visitor_that_turnstile_refuses_gets_no_token() {
    let stack = start(&[&SigningKey::new("k1")]);
    let visit = |widget: &str| stack.exchange(widget, &[("subject_token_type", GUEST_TYPE)]);
    assert_eq!(visit("guest:app.example:guest:once").status, 200);
    for (widget, reason) in [
        ("guest:app.example:guest:once", "turnstile_refused"),
        ("forged", "turnstile_refused"),
        ("guest:evil.example:guest:1", "turnstile_host"),
        ("guest:app.example:login:1", "turnstile_action"),
    ] {
        assert_oauth_error(&visit(widget), 400, "invalid_request");
        stack.assert_logged(reason);
    }
    let log = stack.worker_log();
    assert!(
        !log.contains("turnstile-secret") && !log.contains("guest:app.example"),
        "no token and no secret in the log"
    );
    for fault in [json!({"status": 500}), json!({"close_before": true}), json!({"body": "not JSON"})] {
        stack.fault("turnstile", 1, &fault);
        assert_oauth_error(&visit("guest:app.example:guest:2"), 503, "temporarily_unavailable");
    }
    // A request that is refused for its scope does not use the Turnstile token up.
    let wanted = [("subject_token_type", GUEST_TYPE), ("scope", "admin")];
    assert_oauth_error(&stack.exchange("guest:app.example:guest:3", &wanted), 400, "invalid_scope");
    assert_eq!(visit("guest:app.example:guest:3").status, 200);
}

#[test]
fn an_invalid_turnstile_secret_is_a_503_and_is_logged() {
    let mut settings = settings(&[&SigningKey::new("k1")]);
    settings.retain(|(name, _)| *name != "TURNSTILE_SECRET");
    settings.push(("TURNSTILE_SECRET", Some("another-secret".to_owned())));
    let stack = Stack::start(&Options { settings, ..Options::default() });
    let answer = stack.exchange("guest:app.example:guest:1", &[("subject_token_type", GUEST_TYPE)]);
    assert_oauth_error(&answer, 503, "temporarily_unavailable");
    stack.assert_logged("turnstile_secret_refused");
}

#[test]
fn guests_are_refused_unless_turnstile_is_configured() {
    let key = SigningKey::new("k1");
    let mut settings = settings(&[&key]);
    settings.retain(|(name, _)| *name != "TURNSTILE_SECRET");
    let stack = Stack::start(&Options { settings, ..Options::default() });
    let answer = stack.exchange("guest:app.example:guest:1", &[("subject_token_type", GUEST_TYPE)]);
    assert_oauth_error(&answer, 400, "invalid_request");
    let now = now();
    let claims =
        json!({"iss": PUBLIC_URL, "aud": PUBLIC_URL, "sub": "g", "iat": now, "exp": now + 60, "vk": {"iss": "guest"}});
    assert_refused(&stack.get(&key.sign(&claims), LIST), 401, "authentication_error", "invalid_token");
    assert!(stack.vendor_requests().is_empty(), "Turnstile was not asked");
}

#[test]
fn exchanges_count_as_repeats_and_do_not_use_up_requests() {
    let key = SigningKey::new("k1");
    let mut settings = settings(&[&key]);
    let mut policy = crate::harness::policy();
    policy["plans"]["default"]["requests_per_minute"] = json!(10);
    settings.retain(|(name, _)| !["POLICY", "TURNSTILE_SECRET"].contains(name));
    settings.push(("POLICY", Some(policy.to_string())));
    let stack = Stack::start(&Options { settings, ..Options::default() });
    let provided = token_of(LOGIN, &user("often"), &json!({}));
    let answers: Vec<_> = (0..42).map(|_| stack.exchange(&provided, &[])).collect();
    assert!(answers[..40].iter().all(|answer| answer.status == 200));
    assert_oauth_error(&answers[40], 429, "temporarily_unavailable");
    assert!(answers[41].header("retry-after").is_some());
    let own = answers[0].json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(stack.get(&own, "/v1/account").header("x-ratelimit-remaining"), Some("9"));
}

#[test]
fn without_the_ledger_no_token_is_issued() {
    let settings = settings(&[&SigningKey::new("k1")]);
    let stack = Stack::start(&Options { settings, unbound: Some("LEDGER"), ..Options::default() });
    let answer = stack.send(&exchange_of(&token_of(LOGIN, &user("down"), &json!({})), &[]));
    assert_oauth_error(&answer, 503, "temporarily_unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[test]
fn a_page_of_an_unlisted_origin_gets_no_token() {
    let stack = start(&[&SigningKey::new("k1")]);
    let provided = token_of(LOGIN, &user("cors"), &json!({}));
    let from = |origin: &str| stack.send(&exchange_of(&provided, &[]).header("Origin", origin));
    assert_refused(&from("https://evil.example"), 403, "permission_error", "origin_not_allowed");
    let good = from("https://app.example");
    assert_eq!((good.status, good.header("access-control-allow-origin")), (200, Some("https://app.example")));
    let preflight = Request::new("OPTIONS", "/auth/token")
        .header("Origin", "https://app.example")
        .header("Access-Control-Request-Method", "POST");
    assert_eq!(stack.send(&preflight).status, 204);
}
