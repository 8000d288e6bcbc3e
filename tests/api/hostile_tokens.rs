//! Every hostile token and proof over HTTP: the same 401 for every reason, nothing sent to the vendor, no token in the log.

use std::net::TcpListener;

use jwt_simple::prelude::Ed25519KeyPair;
use serde_json::{Value, json};

use crate::harness::{MODEL, Options, Stack, now, token_with, user};
use crate::hostile::keys::{Keys, encode};
use crate::hostile::{build_jwt, lines, settings};
use crate::http::{Request, Response};
use crate::identity::{PUBLIC_URL, Prover, bad_proof, token_hash};

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
            assert!([201, 202].contains(&answer.status) || narrow, "{}: {}", line.id, answer.text());
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

/// The largest age of a proof, and how far in the future it may be dated, with a margin for the time of the test.
const PROOF_AGE_SECS: (i64, i64) = (300, 60);
const MARGIN_SECS: i64 = 10;

/// Returns the header and the claims of a good proof for a create with `token`.
fn good_proof(prover: &Prover, token: &str) -> (Value, Value) {
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": prover.jwk()});
    let claims = json!({"htm": "POST", "htu": format!("{PUBLIC_URL}{MODEL}"), "iat": now(), "jti": user("proof"),
        "ath": token_hash(token)});
    (header, claims)
}

/// Replaces a member; removes it for null.
fn changed(object: &Value, name: &str, value: &Value) -> Value {
    let mut object = object.clone();
    match value {
        Value::Null => drop(object.as_object_mut().unwrap().remove(name)),
        value => object[name] = value.clone(),
    }
    object
}

/// Returns the changes to the header and to the claims of a proof that make it hostile: those of src/token/proof_tests.rs.
fn hostile_changes(prover: &Prover) -> Vec<(&'static str, &'static str, Value)> {
    let with_private_part = changed(&prover.jwk(), "d", &json!("AA"));
    let header = [
        ("typ", json!(null)),
        ("typ", json!("JWT")),
        ("typ", json!("application/dpop+jwt")),
        ("typ", json!(1)),
        ("alg", json!(null)),
        ("alg", json!("HS256")),
        ("alg", json!("RS256")),
        ("alg", json!("none")),
        ("alg", json!("ES384")),
        ("alg", json!("EdDSA")),
        ("kid", json!("k1")),
        ("crit", json!(["exp"])),
        ("jwk", json!(null)),
        ("jwk", with_private_part),
        ("jwk", json!({"kty": "oct", "k": "AAAA"})),
        ("jwk", json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"})),
        ("jwk", Prover::new().jwk()),
        ("jwk", json!("a")),
        ("jwk", json!([])),
    ];
    let url = |url: &str| ("htu", json!(url));
    let (oldest, newest) = (now() - PROOF_AGE_SECS.0 - MARGIN_SECS, now() + PROOF_AGE_SECS.1 + MARGIN_SECS);
    let claims = [
        ("htm", json!("GET")),
        ("htm", json!("post")),
        ("htm", json!(null)),
        ("htm", json!(1)),
        ("htu", json!(null)),
        url(&format!("{PUBLIC_URL}/v1/acme/model-y/predictions")),
        url(&format!("{PUBLIC_URL}{MODEL}/")),
        url(&format!("{PUBLIC_URL}/v1/x/../acme/model-x/predictions")),
        url(&format!("https://127.0.0.1:9{MODEL}")),
        url(&format!("http://evil.example{MODEL}")),
        url(&format!("http://127.0.0.1.evil.example:9{MODEL}")),
        url(&format!("{PUBLIC_URL}@evil.example{MODEL}")),
        url(&format!("http://evil@127.0.0.1:9{MODEL}")),
        url(&format!("http://:evil@127.0.0.1:9{MODEL}")),
        url(&format!("http://127.0.\t0.1:9{MODEL}")),
        url(&format!("http://127.0.0.1:9\\{}", &MODEL[1..])),
        url(&format!("http://127.0.0.1:10{MODEL}")),
        url(&format!("http://127.0.0.1{MODEL}")),
        url(MODEL),
        url(&"h".repeat(2_000)),
        ("iat", json!(null)),
        ("iat", json!(oldest)),
        ("iat", json!(newest)),
        ("iat", json!(now().to_string())),
        ("iat", json!(1.5)),
        ("iat", json!(-1)),
        ("iat", json!(u64::MAX)),
        ("iat", json!(1e300)),
        ("jti", json!(null)),
        ("jti", json!("")),
        ("jti", json!(1)),
        ("jti", json!("a\u{0}b")),
        ("jti", json!("a".repeat(256))),
        ("ath", json!(null)),
        ("ath", json!("AAAA")),
        ("ath", json!(1)),
        ("ath", json!(encode([0; 32]))),
        ("deep", json!([[[[1]]]])),
    ];
    let header = header.map(|(name, value)| ("header", name, value));
    header.into_iter().chain(claims.map(|(name, value)| ("claims", name, value))).collect()
}

/// Returns proofs that are no longer what was signed, or were never signed so.
fn broken_proofs(prover: &Prover, token: &str) -> Vec<String> {
    let (header, claims) = good_proof(prover, token);
    let proof = prover.sign(&header, &claims);
    let (input, signature) = proof.rsplit_once('.').unwrap();
    let (head, body) = input.split_once('.').unwrap();
    let other = Prover::new().sign(&header, &claims);
    let raw = |header: &str, claims: &str| format!("{}.{}.{signature}", encode(header), encode(claims));
    let deep = format!("{}1{}", "[".repeat(2_000), "]".repeat(2_000));
    let ed25519 = Ed25519KeyPair::generate();
    let ed25519_header = json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk":
        {"kty": "OKP", "crv": "Ed25519", "x": encode(ed25519.public_key().to_bytes())}});
    vec![
        format!("{input}.{}", other.rsplit_once('.').unwrap().1),
        format!("{input}.{}", encode([0; 64])),
        format!("{input}.{}", encode([0xff; 64])),
        format!("{input}.{}", encode([1; 63])),
        format!("{input}.{}", encode([1; 65])),
        format!("{input}.{}", encode([1; 72])),
        format!("{input}."),
        format!("{input}x.{signature}"),
        format!("{proof}="),
        format!("{proof}.{signature}"),
        format!("{proof}, {proof}"),
        format!("{head}..{signature}"),
        format!(".{body}.{signature}"),
        raw("{}", "{}"),
        raw("[]", "[]"),
        raw("{", "{"),
        raw(&header.to_string().replacen("\"typ\"", "\"typ\":\"JWT\",\"typ\"", 1), &claims.to_string()),
        raw(&header.to_string(), &claims.to_string().replacen("\"htm\"", "\"htm\":\"GET\",\"htm\"", 1)),
        raw(&format!("{{\"jwk\":{}}}", &deep[1_600..2_401]), "{}"),
        raw(&header.to_string(), &deep[500..3_501]),
        "a".repeat(4_097),
        "..".to_owned(),
        ".".repeat(4_000),
        String::new(),
        // Signed by one key, with another's in the header.
        prover.sign(&ed25519_header, &claims),
        // A good proof of another key than the token's.
        Prover::new().proof("POST", MODEL, &json!({"ath": "AAAA"})),
    ]
}

#[test]
fn all_hostile_proofs_are_refused_and_use_nothing_up() {
    let settings = vec![("PUBLIC_URL", Some(PUBLIC_URL.to_owned()))];
    let stack = Stack::start(&Options { settings, ..Options::default() });
    let prover = Prover::new();
    let token = token_with(&user("proved"), json!({"cnf": {"jkt": prover.thumbprint()}}));
    let send = |proof: &str| {
        let request = Request::post(MODEL).json(&json!({"input": {"prompt": "a test"}}));
        stack.send(&request.header("Authorization", &format!("DPoP {token}")).header("DPoP", proof))
    };
    let changes = hostile_changes(&prover);
    let changed_proof = |(part, name, value): &(&str, &str, Value)| {
        let (mut header, mut claims) = good_proof(&prover, &token);
        let object = if *part == "header" { &mut header } else { &mut claims };
        *object = changed(object, name, value);
        prover.sign(&header, &claims)
    };
    let proofs: Vec<String> = changes.iter().map(changed_proof).chain(broken_proofs(&prover, &token)).collect();
    let challenge = bad_proof();
    for (index, proof) in proofs.iter().enumerate() {
        let answer = send(proof);
        let what = format!("{:?}: {:.300}", changes.get(index), answer.text());
        assert_eq!(answer.error(), (401, "authentication_error".into(), "invalid_token".into()), "{what}");
        assert_eq!(answer.header("www-authenticate"), Some(&*challenge), "{what}");
        if proof.len() > 20 {
            assert!(!stack.worker_log().contains(proof), "{what}");
        }
    }
    println!("{} hostile proofs", proofs.len());
    assert!(stack.vendor_requests().is_empty());
    for word in "form header algorithm key signature id method url time token_hash".split(' ') {
        stack.assert_logged(&format!("proof_{word}"));
    }
    // The good ones among the unit tests' cases.
    for (name, value) in [
        ("htu", json!(format!("{PUBLIC_URL}{MODEL}?a=1#b"))),
        ("htu", json!(format!("HTTP://127.0.0.1:9{MODEL}"))),
        ("iat", json!(now() - PROOF_AGE_SECS.0 + MARGIN_SECS)),
        ("iat", json!(now() + PROOF_AGE_SECS.1 - MARGIN_SECS)),
        ("nonce", json!("unused")),
    ] {
        let answer = send(&changed_proof(&("claims", name, value.clone())));
        assert_eq!(answer.status, 201, "{name} {value}: {}", answer.text());
    }
}
