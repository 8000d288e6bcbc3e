//! The signature vectors of tests/vectors in the compiled module, which tests/core/vectors.rs verifies natively. No
//! request can carry a signature without its token, so they go to the second build (tests/shipped/entry.js). The RFCs'
//! tokens go to the shipped Worker.

use serde_json::json;

use crate::harness::{Options, Stack};
use crate::hostile::keys::encode;
use crate::http::Request;
use crate::vectors::{self, Group, RFC_SECRET, Set, rfc, rfc_issuers};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Verifies a group's signatures in one request. Returns `None` if the key is refused.
fn verify_group(stack: &Stack, group: &Group) -> Option<Vec<bool>> {
    let pair = |vector: &vectors::Vector| [hex(&vector.message), hex(&vector.signature)];
    let signatures: Vec<_> = group.vectors.iter().map(pair).collect();
    let body = json!({"jwk": group.jwk, "algorithm": group.algorithm, "signatures": signatures});
    let answer = stack.send(&Request::post("/test/signatures").json(&body));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    if answer == "key_refused" {
        return None;
    }
    Some(answer.as_array().unwrap().iter().map(|verdict| verdict.as_bool().unwrap()).collect())
}

fn check(sets: impl IntoIterator<Item = Set>) {
    let stack = Stack::start(&Options { test_exports: true, ..Options::default() });
    sets.into_iter().for_each(|set| set.check(|group| verify_group(&stack, group)));
}

#[test]
fn the_shipped_build_has_no_exports_for_tests() {
    let stack = Stack::start(&Options::default());
    for target in ["/test/signatures", "/test/panic?at=edge", "/test/memory"] {
        assert_eq!(stack.send(&Request::post(target).json(&json!({}))).status, 404, "{target}");
    }
    let module = std::fs::read(stack.directory.join("core.wasm")).unwrap();
    for name in ["panicAt", "verifySignatures", "memoryBytes", "a test asked for it"] {
        assert!(!module.windows(name.len()).any(|bytes| bytes == name.as_bytes()), "{name}");
    }
}

#[test]
fn rfc_examples_and_wycheproof_ecdsa_ed25519_and_hmac() {
    check([vectors::rfc_signatures(), vectors::ecdsa_in_der(), vectors::ed25519()]);
    check(vectors::ecdsa().into_iter().chain(vectors::hmac()));
}

#[test]
fn wycheproof_rsa_pkcs1() {
    check(vectors::rsa_pkcs1());
}

#[test]
fn wycheproof_rsa_pss() {
    check(vectors::rsa_pss().into_iter().chain(vectors::rsa_pss_with_another_salt_or_mask()));
}

#[test]
fn the_rfc_example_tokens_are_refused() {
    let settings = vec![
        ("ISSUERS", Some(rfc_issuers("RFC_TEST_SECRET").to_string())),
        ("RFC_TEST_SECRET", Some(RFC_SECRET.to_owned())),
    ];
    let stack = Stack::start(&Options { settings, ..Options::default() });
    let rfc = rfc();
    let unsecured = rfc.unsecured.token.clone();
    for token in rfc.signed.into_iter().map(|signed| signed.token).chain([unsecured]) {
        let answer = stack.create(&token);
        assert_eq!(answer.error(), (401, "authentication_error".into(), "invalid_token".into()), "{token}");
    }
    // The claims of the examples, in a token of the configured issuer's own secret.
    let input = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(r#"{"iss":"joe","exp":1300819380}"#));
    let tag = hmac_sha256::HMAC::mac(input.as_bytes(), RFC_SECRET.as_bytes());
    assert_eq!(stack.create(&format!("{input}.{}", encode(tag))).status, 401);
    for reason in ["unknown_issuer", "bad_claims", "not_compact"] {
        stack.assert_logged(reason);
    }
    assert!(stack.vendor_requests().is_empty());
}
