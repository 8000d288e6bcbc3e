use jwt_simple::algorithms::{ES256KeyPair, ES384KeyPair, Ed25519KeyPair, RS256KeyPair};
use serde_json::json;

use super::super::testing::encode;
use super::*;

fn object(text: &str) -> Value {
    let mut value: Value = serde_json::from_str(text).unwrap();
    value.as_object_mut().unwrap().remove("alg");
    value
}

fn es256() -> Value {
    object(&ES256KeyPair::generate().public_key().to_jwk())
}

fn public(value: &Value, algorithms: &[Algorithm]) -> Result<Key, KeyProblem> {
    Key::parse(value, KeySource::Inline, algorithms)
}

/// Parses a valid P-256 key after `change`.
fn changed(change: impl FnOnce(&mut Map<String, Value>)) -> Result<Key, KeyProblem> {
    let mut value = es256();
    change(value.as_object_mut().unwrap());
    public(&value, &[Algorithm::Es256])
}

#[test]
fn a_key_of_each_kind_is_read_with_its_algorithm() {
    let rsa = object(&RS256KeyPair::generate(2048).unwrap().public_key().to_jwk());
    for (value, algorithm) in [
        (es256(), Algorithm::Es256),
        (object(&ES384KeyPair::generate().public_key().to_jwk()), Algorithm::Es384),
        (object(&Ed25519KeyPair::generate().public_key().to_jwk()), Algorithm::EdDsa),
        (object(&Ed25519KeyPair::generate().public_key().to_jwk()), Algorithm::Ed25519),
        (rsa.clone(), Algorithm::Rs384),
        (rsa, Algorithm::Ps512),
    ] {
        assert_eq!(public(&value, &[algorithm]).unwrap().verifying.algorithm(), algorithm);
    }
}

#[test]
fn the_only_algorithm_that_fits_is_taken_and_two_need_an_alg() {
    let mut value = es256();
    assert_eq!(public(&value, &[Algorithm::Rs256, Algorithm::Es256]).unwrap().verifying.algorithm(), Algorithm::Es256);
    assert_eq!(public(&value, &[Algorithm::Rs256]).unwrap_err(), KeyProblem::NoAlgorithm);
    value["alg"] = json!("RS256");
    assert_eq!(public(&value, &[Algorithm::Rs256, Algorithm::Es256]).unwrap_err(), KeyProblem::WrongAlgorithm);
    let ed25519 = object(&Ed25519KeyPair::generate().public_key().to_jwk());
    let both = [Algorithm::EdDsa, Algorithm::Ed25519];
    assert_eq!(public(&ed25519, &both).unwrap_err(), KeyProblem::AmbiguousAlgorithm);
    let mut named = ed25519;
    named["alg"] = json!("Ed25519");
    assert_eq!(public(&named, &both).unwrap().verifying.algorithm(), Algorithm::Ed25519);
}

#[test]
fn the_purpose_must_be_signatures_where_it_is_given() {
    assert!(changed(|jwk| drop(jwk.insert("use".into(), json!("sig")))).is_ok());
    assert!(changed(|jwk| drop(jwk.insert("key_ops".into(), json!(["verify"])))).is_ok());
    for value in [json!("enc"), json!("SIG"), json!(null), json!(["sig"])] {
        let result = changed(|jwk| drop(jwk.insert("use".into(), value)));
        assert_eq!(result.unwrap_err(), KeyProblem::WrongUse);
    }
    for value in [json!([]), json!(["sign"]), json!("verify"), json!(null)] {
        let result = changed(|jwk| drop(jwk.insert("key_ops".into(), value)));
        assert_eq!(result.unwrap_err(), KeyProblem::WrongOperations);
    }
}

#[test]
fn a_private_key_or_a_secret_is_refused_in_a_public_place() {
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        let result = changed(|jwk| drop(jwk.insert(name.into(), json!("AA"))));
        assert_eq!(result.unwrap_err(), KeyProblem::Private, "{name}");
    }
    let secret = json!({"kty": "oct", "k": encode([7; 32])});
    assert_eq!(public(&secret, &[Algorithm::Hs256]).unwrap_err(), KeyProblem::Private);
    assert_eq!(public(&json!({"kty": "oct"}), &[Algorithm::Hs256]).unwrap_err(), KeyProblem::WrongKind);
}

#[test]
fn a_public_key_is_refused_in_a_secret() {
    let result = Key::parse(&es256(), KeySource::Secret, &[Algorithm::Hs256]);
    assert_eq!(result.unwrap_err(), KeyProblem::WrongKind);
}

#[test]
fn unknown_kinds_members_and_shapes_are_refused() {
    for (name, value) in
        [("kty", json!("RSA")), ("kty", json!(1)), ("crv", json!("P-521")), ("crv", json!("secp256k1"))]
    {
        let result = changed(|jwk| drop(jwk.insert(name.into(), value)));
        assert_eq!(result.unwrap_err(), KeyProblem::WrongKind, "{name}");
    }
    let result = changed(|jwk| drop(jwk.insert("issuer".into(), json!("x"))));
    assert_eq!(result.unwrap_err(), KeyProblem::UnknownMember);
    assert_eq!(public(&json!([]), &[Algorithm::Es256]).unwrap_err(), KeyProblem::NotAnObject);
}

#[test]
fn a_kid_is_short_and_plain() {
    for kid in [json!(""), json!("a b"), json!("a\n"), json!("é"), json!(1), json!(null), json!("a".repeat(129))] {
        let result = changed(|jwk| drop(jwk.insert("kid".into(), kid)));
        assert_eq!(result.unwrap_err(), KeyProblem::BadKeyId);
    }
    assert!(changed(|jwk| drop(jwk.insert("kid".into(), json!("aB3+/=._:-")))).is_ok());
}

#[test]
fn a_point_must_be_on_its_curve_and_of_full_length() {
    let other = es256()["x"].clone();
    for (name, value) in [
        ("x", other),
        ("x", json!(encode([0; 32]))),
        ("y", json!(encode([1; 31]))),
        ("y", json!(encode([1; 33]))),
        ("y", json!("AB")),
        ("y", json!(1)),
    ] {
        let result = changed(|jwk| drop(jwk.insert(name.into(), value)));
        assert_eq!(result.unwrap_err(), KeyProblem::BadMaterial, "{name}");
    }
    assert_eq!(changed(|jwk| drop(jwk.remove("y"))).unwrap_err(), KeyProblem::BadMaterial);
}

#[test]
fn the_halves_of_a_point_are_not_cut_elsewhere() {
    for (value, algorithm) in
        [(es256(), Algorithm::Es256), (object(&ES384KeyPair::generate().public_key().to_jwk()), Algorithm::Es384)]
    {
        let half = |name: &str| decode_base64url(value[name].as_str().unwrap()).unwrap();
        let point = [half("x"), half("y")].concat();
        for (cut, good) in [(point.len() / 2, true), (point.len() / 2 - 1, false), (point.len() / 2 + 1, false)] {
            let mut value = value.clone();
            (value["x"], value["y"]) = (json!(encode(&point[..cut])), json!(encode(&point[cut..])));
            assert_eq!(public(&value, &[algorithm]).err(), (!good).then_some(KeyProblem::BadMaterial), "{cut}");
        }
    }
}

#[test]
fn an_ed25519_point_of_small_order_or_without_canonical_form_is_refused() {
    let mut small = [0; 32];
    small[0] = 1;
    let mut beyond = [0xff; 32];
    (beyond[0], beyond[31]) = (0xee, 0x7f);
    for x in [[0; 32], small, beyond] {
        let value = json!({"kty": "OKP", "crv": "Ed25519", "x": encode(x)});
        assert_eq!(public(&value, &[Algorithm::EdDsa]).unwrap_err(), KeyProblem::BadMaterial, "{x:?}");
    }
}

#[test]
fn an_rsa_key_is_neither_small_nor_large_and_has_the_usual_exponent() {
    // Any odd number of the right length will do: telling it from a real modulus would need its factors.
    let modulus = |bits: usize| {
        let mut bytes = vec![0xc3; bits / 8];
        bytes[bits / 8 - 1] = 0x01;
        bytes
    };
    let jwk = |n: Vec<u8>, e: &str| json!({"kty": "RSA", "n": encode(n), "e": e});
    for (value, good) in [
        (jwk(modulus(2048), "AQAB"), true),
        (jwk(modulus(4096), "AQAB"), true),
        (jwk(modulus(1024), "AQAB"), false),
        (jwk(modulus(2040), "AQAB"), false),
        (jwk(modulus(8192), "AQAB"), false),
        (jwk(modulus(2048), "Aw"), false),
        (jwk(modulus(2048), "AQ"), false),
        (jwk(modulus(2048), "AAEAAQ"), false),
        (jwk([vec![0], modulus(2048)].concat(), "AQAB"), false),
        (jwk(vec![0xc2; 256], "AQAB"), false),
    ] {
        assert_eq!(public(&value, &[Algorithm::Rs256]).err(), (!good).then_some(KeyProblem::BadMaterial));
    }
}

#[test]
fn no_text_about_a_key_shows_the_key() {
    let key = Key::raw_secret(b"0123456789abcdef0123456789abcdef", Algorithm::Hs256).unwrap();
    let shown = format!("{key:?}");
    assert!(!shown.contains("0123") && !shown.contains("48, 49"), "{shown}");
}
