use super::*;
use crate::token::testing::NOW;
use crate::token::{Possession, Refusal, VerifiedToken, verify};
use crate::types::credits::MicroCredits;
use crate::types::ids::UserKey;

const URL: &str = "https://api.example";

fn jwk(kid: &str, seed: u8) -> Value {
    let key = KeyPair::from_seed(Seed::new([seed; 32]));
    json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": encode(key.pk.as_ref()), "d": encode(&[seed; 32])})
}

fn keys(list: &[Value]) -> Result<SigningKeys, Vec<String>> {
    SigningKeys::parse(&json!({"keys": list}).to_string(), URL)
}

fn token<'a>() -> NewToken<'a> {
    NewToken {
        origin: "https://idp.example",
        subject: "u1",
        client_id: "app",
        plan: Some("pro"),
        jti: "tok_1",
        issued_at: UnixSeconds(NOW),
        expires_at: UnixSeconds(NOW + 300),
        scopes: &[Scope::Read],
        models: None,
        caps: None,
        binding: None,
    }
}

fn read(keys: &SigningKeys, token: &str, purpose: Purpose) -> Result<VerifiedToken, Refusal> {
    let issuers = [keys.to_issuer(vec!["https://idp.example".to_owned()])];
    verify(token, &issuers, purpose, Possession::None, UnixSeconds(NOW))
}

#[test]
fn what_is_signed_is_verified_and_says_the_same() {
    let models = [ModelId::parse("acme/model-x").unwrap()];
    let caps = TokenCaps { jti: "tok_1".into(), max_predictions: Some(3), max_credits: MicroCredits::parse("7.5") };
    for name in ["EdDSA", "Ed25519"] {
        let mut key = jwk("k1", 1);
        key["alg"] = json!(name);
        let keys = keys(&[key]).unwrap();
        let verified =
            read(&keys, &keys.sign(&NewToken { models: Some(&models), caps: Some(&caps), ..token() }), Purpose::Access);
        let verified = verified.unwrap();
        let grant = &verified.grant;
        assert_eq!(grant.user, UserKey::new("https://idp.example", "u1"), "the user is the origin's");
        assert_eq!((grant.plan.as_deref(), grant.jti.as_deref()), (Some("pro"), Some("tok_1")));
        assert_eq!((grant.scopes.as_slice(), grant.models.as_deref()), (&[Scope::Read][..], Some(&models[..])));
        assert_eq!(grant.caps.as_ref(), Some(&caps));
        assert_eq!((grant.issued_at, grant.expires_at), (UnixSeconds(NOW), UnixSeconds(NOW + 300)));
        assert_eq!((verified.issuer(), verified.subject(), verified.binding()), (URL, "u1", None));
    }
}

/// RFC 9068 section 2: the type and the claims that a validator of JWT access tokens requires.
#[test]
fn signed_tokens_format_unchanged() {
    let keys = keys(&[jwk("k1", 1)]).unwrap();
    let token = keys.sign(&token());
    let part =
        |index: usize| String::from_utf8(decode_base64url(token.split('.').nth(index).unwrap()).unwrap()).unwrap();
    assert_eq!(part(0), r#"{"alg":"EdDSA","kid":"k1","typ":"at+jwt"}"#);
    let claims = concat!(
        r#"{"aud":"https://api.example","client_id":"app","exp":1768473300,"iat":1768473000,"#,
        r#""iss":"https://api.example","jti":"tok_1","plan":"pro","sub":"u1","#,
        r#""vk":{"iss":"https://idp.example","scope":["read"]}}"#
    );
    assert_eq!(part(1), claims);
}

#[test]
fn a_token_of_ours_is_good_for_access_alone() {
    let keys = keys(&[jwk("k1", 1)]).unwrap();
    for purpose in [Purpose::Exchange, Purpose::Admin, Purpose::Attest] {
        assert_eq!(read(&keys, &keys.sign(&token()), purpose).unwrap_err(), Refusal::WrongUse);
    }
}

#[test]
fn an_origin_that_is_not_configured_any_more_is_refused() {
    let keys = keys(&[jwk("k1", 1)]).unwrap();
    let signed = keys.sign(&NewToken { origin: "https://gone.example", ..token() });
    assert_eq!(read(&keys, &signed, Purpose::Access).unwrap_err(), Refusal::UnknownOrigin);
}

#[test]
fn a_bound_token_needs_its_proof() {
    let keys = keys(&[jwk("k1", 1)]).unwrap();
    let key = JwkThumbprint::of(&jwk("k1", 2)).unwrap();
    let signed = keys.sign(&NewToken { binding: Some(&key), ..token() });
    assert_eq!(read(&keys, &signed, Purpose::Access).unwrap_err(), Refusal::BoundTokenWithoutProof);
    let waived = verify(
        &signed,
        &[keys.to_issuer(vec!["https://idp.example".to_owned()])],
        Purpose::Access,
        Possession::Waived,
        UnixSeconds(NOW),
    );
    assert_eq!(waived.unwrap().binding(), Some(&key));
}

#[test]
fn keys_rotate_without_a_refused_token() {
    let (old, new, next) = (jwk("old", 1), jwk("new", 2), jwk("next", 3));
    let sets: Vec<SigningKeys> = [
        vec![old.clone()],
        // The new key is published before it signs. The old key stays until its last token has expired.
        vec![old.clone(), new.clone()],
        vec![new.clone(), old],
        vec![new, next],
    ]
    .iter()
    .map(|list| keys(list).unwrap())
    .collect();
    for (index, set) in sets.iter().enumerate() {
        let signed = set.sign(&token());
        // While a deployment spreads, isolates of the step before and the step after verify the token as well.
        for other in &sets[index.saturating_sub(1)..=(index + 1).min(sets.len() - 1)] {
            assert!(read(other, &signed, Purpose::Access).is_ok(), "step {index}");
        }
    }
    let removed = read(&sets[3], &sets[0].sign(&token()), Purpose::Access);
    assert_eq!(removed.unwrap_err(), Refusal::UnknownKey);
}

#[test]
fn what_is_published_has_no_private_part() {
    let mut key = jwk("k1", 1);
    key["key_ops"] = json!(["sign"]);
    let keys = keys(&[key, jwk("k2", 2)]).unwrap();
    let published = keys.public_key_set();
    assert_eq!(published["keys"].as_array().unwrap().len(), 2);
    for key in published["keys"].as_array().unwrap() {
        let names: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x"]);
    }
    assert_eq!(format!("{keys:?}"), "SigningKeys(…)");
}

#[test]
fn a_set_with_anything_wrong_is_refused_with_the_place() {
    let with = |name: &str, value: Value| {
        let mut key = jwk("k1", 1);
        key[name] = value;
        keys(&[jwk("k0", 9), key]).unwrap_err()
    };
    for (name, value) in [
        ("kty", json!("EC")),
        ("crv", json!("X25519")),
        ("kid", json!("")),
        ("kid", json!("a b")),
        ("kid", json!("k0")),
        ("alg", json!("ES256")),
        ("use", json!("enc")),
        ("d", json!("AAAA")),
        ("d", json!(encode(&[0; 32]))),
        ("x", json!(encode(&[1; 32]))),
        ("extra", json!(1)),
    ] {
        let problems = with(name, value.clone());
        assert!(problems.len() == 1 && problems[0].starts_with("keys[1] "), "{name} {value}: {problems:?}");
        assert!(!problems[0].contains(&encode(&[1; 32])), "a value is shown");
    }
    for text in ["", "[]", "{}", r#"{"keys":[]}"#, r#"{"keys":[],"keys":[]}"#, r#"{"keys":[1]}"#] {
        assert!(SigningKeys::parse(text, URL).is_err(), "{text}");
    }
}
