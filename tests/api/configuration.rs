//! An invalid configuration serves nothing, and `/readyz` names the invalid settings.

use serde_json::{Value, json};

use crate::harness::{MODEL, Options, Stack, VENDOR_KEY, issuers, token, user};
use crate::http::{Request, Response};

fn stack_with(name: &'static str, value: Option<&str>) -> Stack {
    Stack::start(&Options { settings: vec![(name, value.map(str::to_owned))], ..Options::default() })
}

fn changed_issuer(change: impl Fn(&mut Value)) -> String {
    let mut issuers = issuers();
    change(&mut issuers[0]);
    issuers.to_string()
}

#[test]
fn each_invalid_setting_is_named_at_readyz_and_nothing_is_served() {
    let rsa_1024 = json!({"keys": [{"kty": "RSA", "alg": "RS256", "e": "AQAB", "n": "r".repeat(171)}]});
    let with_keys = |keys: &Value, algorithm: &str| {
        let (keys, algorithm) = (keys.clone(), algorithm.to_owned());
        changed_issuer(move |issuer| {
            issuer["keys"] = json!({"jwks": keys});
            issuer["algorithms"] = json!([algorithm]);
        })
    };
    let ec = json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let mut ec_for_encryption = ec.clone();
    ec_for_encryption["use"] = json!("enc");
    let mut ec_private = ec.clone();
    ec_private["d"] = json!("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
    let cases: Vec<(&'static str, Option<String>)> = vec![
        ("DEEPCREATIVE_API_KEY", None),
        ("DEEPCREATIVE_API_KEY", Some(format!("{VENDOR_KEY}\n"))),
        ("DEEPCREATIVE_API_KEY", Some("sk_live_replace_with_your_key".into())),
        ("UPSTREAM_URL", Some("https://u:p@vendor.example/v1".into())),
        ("UPSTREAM_URL", Some("http://vendor.example/v1".into())),
        ("ALLOWED_ORIGINS", None),
        ("ALLOWED_ORIGINS", Some("*".into())),
        ("ALLOWED_ORIGINS", Some("https://app.example/".into())),
        ("ISSUERS", None),
        ("ISSUERS", Some("[]".into())),
        ("ISSUERS", Some(changed_issuer(|issuer| issuer["max_lifetime_secs"] = json!(0)))),
        ("ISSUERS", Some(changed_issuer(|issuer| drop(issuer.as_object_mut().unwrap().remove("audience"))))),
        ("ISSUERS", Some(changed_issuer(|issuer| issuer["algorithms"] = json!(["none"])))),
        ("ISSUERS", Some(with_keys(&rsa_1024, "RS256"))),
        ("ISSUERS", Some(with_keys(&json!({"keys": [ec_for_encryption]}), "ES256"))),
        ("ISSUERS", Some(with_keys(&json!({"keys": [ec_private]}), "ES256"))),
        ("TEST_SECRET", Some("short".into())),
        ("TEST_SECRET", Some("-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A".into())),
        ("POLICY", Some("{}".into())),
        ("DEMO", Some("yes".into())),
        ("LOG_LEVEL", Some("verbose".into())),
        ("TOKEN_LIFETIME_SECS", Some("59".into())),
        ("JURISDICTION", Some("EU".into())),
        ("DISPATCHER_LOCATION", Some("europe".into())),
        ("RETENTION_DAYS", Some("0".into())),
    ];
    for (name, value) in cases {
        let stack = stack_with(name, value.as_deref());
        let ready = stack.send(&Request::get("/readyz"));
        assert_eq!(ready.status, 503, "{name}");
        let body = ready.json();
        assert_eq!(body["status"], "misconfigured");
        let reported = if name == "TEST_SECRET" { "ISSUERS" } else { name };
        assert!(body["errors"].as_array().unwrap().iter().any(|error| error["name"] == reported), "{name}: {body}");
        if let Some(value) = value.filter(|value| value.len() > 12) {
            assert!(!ready.text().contains(value.trim()), "{name}: {body}");
        }
        let refused = stack.create(&token(&user("config")));
        assert_eq!(refused.error(), (503, "api_error".into(), "misconfigured".into()), "{name}");
        assert_eq!(stack.send(&Request::get("/")).status, 503);
        assert_eq!(stack.send(&Request::get("/healthz")).json(), json!({"status": "ok"}));
        assert!(stack.vendor_requests().is_empty());
    }
}

#[test]
fn a_valid_configuration_is_ready() {
    let stack = Stack::start(&Options::default());
    let ready = stack.send(&Request::get("/readyz"));
    assert_eq!((ready.status, ready.json()), (200, json!({"status": "ready"})));
    assert_eq!(stack.send(&Request::post("/healthz")).status, 405);
}

#[test]
fn settings_for_development_are_an_error_on_a_public_host() {
    let stack = Stack::start(&Options::default());
    let public = stack.send(&Request::get("/readyz").header("Host", "api.example"));
    assert_eq!(public.status, 503);
    assert_eq!(public.json()["errors"][0]["name"], "UPSTREAM_URL");
    let create =
        Request::post(MODEL).header("Host", "api.example").bearer(&token(&user("host"))).json(&json!({"input": {}}));
    assert_eq!(stack.send(&create).error().2, "misconfigured");
}

#[test]
fn issuers_and_policy_may_be_json_bindings() {
    let stack = Stack::start(&Options { binds_json: true, ..Options::default() });
    assert_eq!(stack.send(&Request::get("/readyz")).status, 200);
    assert_eq!(stack.create(&token(&user("json"))).status, 201);
}

#[test]
fn a_phone_on_the_same_network_may_call_only_with_dev_lan() {
    let ready = |stack: &Stack, host: &str| stack.send(&Request::get("/readyz").header("Host", host));
    let stack = Stack::start(&Options::default());
    assert_eq!(ready(&stack, "192.168.1.20:8787").status, 503);
    let stack = stack_with("DEV_LAN", Some("on"));
    assert_eq!(ready(&stack, "192.168.1.20:8787").status, 200);
    let public = ready(&stack, "api.example");
    assert_eq!(public.status, 503);
    let errors = public.json()["errors"].clone();
    assert!(errors.as_array().unwrap().iter().any(|error| error["name"] == "DEV_LAN"), "{errors}");
}

#[test]
fn without_demo_no_page_is_served() {
    let stack = Stack::start(&Options::default());
    for path in ["/", "/demo/demo.js", "/demo/settings.json"] {
        assert_eq!(stack.send(&Request::get(path)).error().2, "not_found");
    }
    let demo = stack_with("DEMO", Some("on"));
    let page = demo.send(&Request::get("/"));
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(demo.send(&Request::get("/demo/index.html")).status, 404);
    let document = demo.send(&Request::get("/demo/settings.json"));
    let expected = json!({"session_url": null, "turnstile_site_key": null, "is_stand_in": true});
    assert_eq!((document.status, document.json()), (200, expected));
}

#[test]
fn errors_link_to_the_page_about_errors() {
    let stack = stack_with("DOCS_URL", Some("https://docs.example/errors"));
    let links = |response: &Response| response.json()["error"]["doc_url"].clone();
    assert_eq!(links(&stack.send(&Request::get("/nothing"))), "https://docs.example/errors#not_found");
    assert_eq!(links(&stack.get("x", "/v1/account")), "https://docs.example/errors#invalid_token");
    let public = stack.send(&Request::get("/v1/account").header("Host", "api.example"));
    assert_eq!((public.error().2.as_str(), links(&public)), ("misconfigured", json!(null)));
}
