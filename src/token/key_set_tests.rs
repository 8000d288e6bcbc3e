use serde_json::json;

use super::super::testing::encode;
use super::*;

const HS256: [Algorithm; 1] = [Algorithm::Hs256];

fn secret_problems(text: &str, algorithms: &[Algorithm]) -> Vec<KeyProblem> {
    KeySet::parse_secret(text, algorithms).unwrap_err().into_iter().map(|problem| problem.problem).collect()
}

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

fn oct(kid: Option<&str>, length: usize) -> Value {
    let mut jwk = json!({"kty": "oct", "k": encode(vec![7; length])});
    if let Some(kid) = kid {
        jwk["kid"] = json!(kid);
    }
    jwk
}

#[test]
fn a_raw_secret_is_as_long_as_its_algorithms_digest() {
    for (algorithm, length) in [(Algorithm::Hs256, 32), (Algorithm::Hs384, 48), (Algorithm::Hs512, 64)] {
        assert!(KeySet::parse_secret(&"k".repeat(length), &[algorithm]).is_ok());
        assert_eq!(secret_problems(&"k".repeat(length - 1), &[algorithm]), [KeyProblem::TooShort]);
        let jwk = |length| set(&[oct(None, length)]);
        assert!(KeySet::parse_secret(&jwk(length), &[algorithm]).is_ok());
        assert_eq!(secret_problems(&jwk(length - 1), &[algorithm]), [KeyProblem::TooShort]);
    }
}

#[test]
fn a_raw_secret_has_one_algorithm() {
    let algorithms = [Algorithm::Hs256, Algorithm::Hs512];
    assert_eq!(secret_problems(&"k".repeat(64), &algorithms), [KeyProblem::AmbiguousAlgorithm]);
    assert_eq!(secret_problems(&"k".repeat(64), &[Algorithm::Rs256]), [KeyProblem::WrongAlgorithm]);
}

#[test]
fn a_pem_block_is_no_secret_wherever_it_starts() {
    let pem = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----";
    for text in [pem.to_owned(), format!(" {pem}"), format!("\n\n{pem}\n"), format!("x{pem}"), format!("\u{feff}{pem}")]
    {
        assert_eq!(secret_problems(&text, &HS256), [KeyProblem::Pem]);
    }
    let in_jwk = json!({"keys": [{"kty": "oct", "k": pem}]}).to_string();
    assert_eq!(secret_problems(&in_jwk, &HS256), [KeyProblem::Pem]);
    for text in [pem.to_owned(), format!("\n{pem}")] {
        let encoded = set(&[json!({"kty": "oct", "k": encode(text)})]);
        assert_eq!(secret_problems(&encoded, &HS256), [KeyProblem::Pem], "behind base64url");
    }
}

#[test]
fn white_space_around_a_secret_is_pointed_out() {
    for text in [format!("{}\n", "k".repeat(40)), format!(" {}", "k".repeat(40))] {
        assert_eq!(secret_problems(&text, &HS256), [KeyProblem::WhiteSpace]);
    }
    assert!(KeySet::parse_secret(&format!("{}\n", set(&[oct(None, 32)])), &HS256).is_ok());
}

#[test]
fn what_is_not_a_key_set_is_refused() {
    for text in
        ["{}", "{\"keys\":{}}", "{\"keys\":[],\"more\":1}", "{\"keys\":[],\"keys\":[]}", "{", "{\"kty\":\"oct\"}"]
    {
        assert_eq!(secret_problems(text, &HS256), [KeyProblem::NotAKeySet], "{text}");
    }
    assert_eq!(secret_problems("{\"keys\":[]}", &HS256), [KeyProblem::NoKeys]);
}

#[test]
fn several_keys_each_have_a_name_of_their_own() {
    let two = |first: Value, second: Value| KeySet::parse_secret(&set(&[first, second]), &HS256);
    assert!(two(oct(Some("a"), 32), oct(Some("b"), 33)).is_ok());
    let at = |index, problem| vec![KeySetProblem { index: Some(index), problem }];
    assert_eq!(two(oct(Some("a"), 32), oct(None, 33)).unwrap_err(), at(1, KeyProblem::MissingKeyId));
    assert_eq!(two(oct(Some("a"), 32), oct(Some("a"), 33)).unwrap_err(), at(1, KeyProblem::RepeatedKeyId));
}

#[test]
fn every_problem_is_reported_with_its_place() {
    let problems = KeySet::parse_secret(&set(&[oct(Some("a"), 1), oct(Some("b"), 32), json!(1)]), &HS256).unwrap_err();
    let expected = [(Some(0), KeyProblem::TooShort), (Some(2), KeyProblem::NotAnObject)];
    assert_eq!(problems, expected.map(|(index, problem)| KeySetProblem { index, problem }));
}

#[test]
fn a_key_is_found_by_its_exact_name_only() {
    let keys = KeySet::parse_secret(&set(&[oct(Some("a"), 32), oct(Some("b"), 33)]), &HS256).unwrap();
    assert_eq!(keys.find(Some("b")).unwrap().kid.as_deref(), Some("b"));
    for kid in ["A", "a ", "", "c", "ab"] {
        assert_eq!(keys.find(Some(kid)).unwrap_err(), Refusal::UnknownKey);
    }
    assert_eq!(keys.find(None).unwrap_err(), Refusal::MissingKeyId);
}

#[test]
fn a_single_key_needs_no_name_in_the_token() {
    let named = KeySet::parse_secret(&set(&[oct(Some("a"), 32)]), &HS256).unwrap();
    assert!(named.find(None).is_ok() && named.find(Some("a")).is_ok());
    assert_eq!(named.find(Some("b")).unwrap_err(), Refusal::UnknownKey, "a key with a name has that name");
}

#[test]
fn a_kid_is_ignored_where_the_only_key_has_no_name() {
    let raw = KeySet::parse_secret(&"k".repeat(32), &HS256).unwrap();
    let unnamed = KeySet::parse_secret(&set(&[oct(None, 32)]), &HS256).unwrap();
    let ec = json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let inline = KeySet::parse_public(&json!({"keys": [ec.clone()]}), &[Algorithm::Es256]).unwrap();
    let published = KeySet::parse_published(&json!({"keys": [ec.clone()]}), &[Algorithm::Es256]).unwrap();
    for keys in [raw, unnamed, inline, published] {
        assert!(keys.find(None).is_ok() && keys.find(Some("anything")).is_ok());
    }
    // An unnamed key next to another key, even of a different kind, is left out. The named key keeps its name.
    let mut named = ec.clone();
    named["kid"] = json!("a");
    let two = KeySet::parse_published(&json!({"keys": [ec, named]}), &[Algorithm::Es256]).unwrap();
    assert_eq!(two.find(Some("b")).unwrap_err(), Refusal::UnknownKey);
}

#[test]
fn a_key_of_an_algorithm_is_one_of_that_algorithm() {
    let keys = [("k1", "HS256", 32), ("k2", "HS512", 64)].map(|(kid, alg, length)| {
        let mut key = oct(Some(kid), length);
        key["alg"] = json!(alg);
        key
    });
    let keys = KeySet::parse_secret(&set(&keys), &[Algorithm::Hs256, Algorithm::Hs512]).unwrap();
    let kid = |algorithm| keys.find_by_algorithm(algorithm).and_then(|key| key.kid.as_deref());
    assert_eq!((kid(Algorithm::Hs512), kid(Algorithm::Hs256)), (Some("k2"), Some("k1")));
    assert_eq!(kid(Algorithm::Es256), None);
}
