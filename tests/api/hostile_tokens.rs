//! Every hostile token over HTTP: the same 401 for every reason, nothing sent to the vendor, no token in the log.

use std::net::TcpListener;

use serde_json::json;

use crate::harness::{MODEL, Options, Stack, now};
use crate::hostile::{build_jwt, keys::Keys, lines, settings};
use crate::http::{Request, Response};

/// Returns a response as text, without its request id and date.
fn without_id_and_date(answer: &Response) -> String {
    let own = ["x-request-id", "date"];
    let mask = |(name, value): &(String, String)| {
        let own = own.contains(&name.to_ascii_lowercase().as_str());
        format!("{name}: {}\n", if own { "…" } else { value })
    };
    let id = answer.header("x-request-id").unwrap();
    let headers: String = answer.headers.iter().map(mask).collect();
    format!("{}\n{headers}\n{}", answer.status, answer.text().replace(id, "…"))
}

#[test]
fn all_hostile_tokens_get_the_same_response() {
    let keys = Keys::generate();
    let stack = Stack::start(&Options { settings: settings(&keys), ..Options::default() });
    stack.control_put("/settings", &json!({"requests_per_minute": 100_000, "concurrent_limit": 1_000}));
    let (mut sent, mut accepted) = (0, 0);
    let mut generic = None;
    for line in lines() {
        let token = build_jwt(&line, &keys, now());
        // A header field cannot carry these: the platform refuses them before they are read as a token.
        if token.bytes().any(|byte| !(b' '..=b'~').contains(&byte)) || token != token.trim() || token.len() > 12_000 {
            continue;
        }
        sent += 1;
        let answer = stack.create(&token);
        if line.expect == "accepted" {
            // The restrictions of some valid tokens exclude creates.
            let narrow = answer.status == 403 && answer.error().2 == "insufficient_permissions";
            assert!(answer.status == 201 || narrow, "{}: {}", line.id, answer.text());
            accepted += usize::from(!narrow);
            continue;
        }
        assert_eq!(answer.error(), (401, "authentication_error".into(), "invalid_token".into()), "{}", line.id);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{}", line.id);
        let seen = without_id_and_date(&answer);
        assert_eq!(generic.get_or_insert_with(|| seen.clone()), &seen, "{}", line.id);
        if token.len() > 20 {
            assert!(!stack.worker_log().contains(&token), "{}", line.id);
        }
    }
    assert!(sent > 300, "{sent}");
    let caused = stack.vendor_requests().into_iter().filter(|request| request["route"] != "get").count();
    assert_eq!(caused, accepted, "one create for each good token, and nothing for the others");
}

#[test]
fn no_url_from_a_client_is_fetched() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("http://{}/keys", listener.local_addr().unwrap());
    let keys = Keys::generate();
    let stack = Stack::start(&Options { settings: settings(&keys), ..Options::default() });
    let token = |header: serde_json::Value, claims: serde_json::Value| {
        let line = json!({"id": "", "category": "", "why": "", "expect": "", "header": header, "claims": claims});
        build_jwt(&serde_json::from_value(line).unwrap(), &keys, now())
    };
    let quoted = json!(address).to_string();
    for member in ["jku", "x5u", "kid", "x5c", "jwk", "iss"] {
        let answer = stack.create(&token(json!({member: quoted}), json!({})));
        assert_eq!(answer.error().2, "invalid_token", "{member}");
    }
    assert_eq!(stack.create(&token(json!({}), json!({"iss": quoted}))).error().2, "invalid_token");
    let good = token(json!({}), json!({}));
    let create = |body: serde_json::Value| stack.send(&Request::post(MODEL).bearer(&good).json(&body));
    for (body, status) in [
        (json!({"input": {"prompt": address}}), 201),
        (json!({"input": {"prompt": "p", "image": address}}), 400),
        (json!({"input": {"prompt": "p"}, "webhook": address}), 400),
        (json!({"input": {"prompt": "p"}, "upstream": address}), 400),
    ] {
        assert_eq!(create(body.clone()).status, status, "{body}");
    }
    let called = listener.accept().map(|(_, caller)| caller);
    assert_eq!(called.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn an_unknown_key_a_bad_signature_and_an_expired_token_get_the_same_bytes_on_every_route() {
    let keys = Keys::generate();
    let stack = Stack::start(&Options { settings: settings(&keys), ..Options::default() });
    // Each reason, once with a shared secret and once with a public key.
    let wrong = [
        ("hs", json!({"header": {"kid": "\"nobody\""}})),
        ("hs", json!({"sign": "hmac:secret"})),
        ("hs", json!({"claims": {"iat": "{{now-900}}", "exp": "{{now-600}}"}})),
        ("public", json!({"header": {"kid": "\"nobody\""}, "sign": "ec1"})),
        ("public", json!({"sign": "evil-ec"})),
        ("public", json!({"claims": {"iat": "{{now-900}}", "exp": "{{now-600}}"}})),
    ];
    let tokens = wrong.map(|(issuer, mut line)| {
        for (member, value) in [("id", ""), ("category", ""), ("why", ""), ("expect", ""), ("issuer", issuer)] {
            line[member] = json!(value);
        }
        build_jwt(&serde_json::from_value(line).unwrap(), &keys, now())
    });
    let id = "pred_01jh0000000000000000000000";
    for (method, target) in [
        ("GET", "/v1/account".to_owned()),
        ("HEAD", "/v1/account".to_owned()),
        ("POST", MODEL.to_owned()),
        ("POST", "/v1/predictions/batch".to_owned()),
        ("POST", "/v1/files".to_owned()),
        ("POST", format!("/v1/predictions/{id}/cancel")),
        ("GET", format!("/v1/predictions/{id}")),
        ("GET", format!("/v1/predictions/{id}/events")),
        ("GET", "/v1/models".to_owned()),
    ] {
        for origin in [None, Some("https://app.example")] {
            let mut generic = None;
            for (which, token) in tokens.iter().enumerate() {
                let mut request = Request::new(method, &target).bearer(token);
                if let Some(origin) = origin {
                    request = request.header("Origin", origin);
                }
                let answer = stack.send(&request);
                assert_eq!(answer.status, 401, "{method} {target}");
                let seen = without_id_and_date(&answer);
                assert_eq!(generic.get_or_insert_with(|| seen.clone()), &seen, "{method} {target}: {which}");
            }
        }
    }
    for reason in ["unknown_key", "bad_signature", "expired"] {
        stack.assert_logged(reason);
    }
}
