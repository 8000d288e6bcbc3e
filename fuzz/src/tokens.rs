//! Issuers, keys and signed tokens. They are the same in every run, so that a crashing input stays reproducible.

use std::sync::LazyLock;

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};
use valetkey::token::{Issuer, Possession, Purpose, Refusal, TokenCache, parse_issuers, verify};
use valetkey::types::ids::UserKey;
use valetkey::types::time::UnixSeconds;

/// The current time in every run, in Unix seconds.
pub const NOW: i64 = 1_768_473_000;
/// The audience of every issuer.
pub const AUDIENCE: &str = "hostile-test";
/// The issuer whose keys are HMAC secrets, `k1` (HS256) and `k512` (HS512).
pub const HS_ISSUER: &str = "https://hs.issuer.example";
/// The issuer whose keys are public, `ec1` (ES256), `ec2` (ES384) and `ed1` (EdDSA).
pub const PUBLIC_ISSUER: &str = "https://public.issuer.example";

/// The issuer whose only key has no name, because its secret is plain text. The issuer's own name is not a URL.
pub const RAW_ISSUER: &str = "raw.issuer.example";

const K1: [u8; 32] = [1; 32];
/// The text of the secret of [`RAW_ISSUER`].
const RAW: &str = "a secret of the fuzz targets, 32 bytes at least";
const K512: [u8; 64] = [2; 64];

/// Encodes bytes as base64url without padding.
///
/// # Panics
/// Never: every byte string can be encoded.
#[must_use]
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
}

fn ec1() -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[3; 32]).unwrap()
}

fn ec2() -> p384::ecdsa::SigningKey {
    p384::ecdsa::SigningKey::from_slice(&[4; 48]).unwrap()
}

fn ed1() -> ed25519_compact::KeyPair {
    ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([5; 32]))
}

/// Returns the public keys as a JWK set.
#[must_use]
pub fn public_set() -> Value {
    let ec = |kid: &str, alg: &str, crv: &str, point: &[u8]| {
        let (x, y) = point[1..].split_at(point.len() / 2);
        json!({"kty": "EC", "kid": kid, "alg": alg, "crv": crv, "x": encode(x), "y": encode(y)})
    };
    json!({"keys": [
        ec("ec1", "ES256", "P-256", ec1().verifying_key().to_sec1_point(false).as_bytes()),
        ec("ec2", "ES384", "P-384", ec2().verifying_key().to_sec1_point(false).as_bytes()),
        {"kty": "OKP", "kid": "ed1", "alg": "EdDSA", "crv": "Ed25519", "x": encode(*ed1().pk)},
    ]})
}

/// Signs `input` with the key `kid`.
///
/// # Panics
/// If no key has this name.
#[must_use]
pub fn signature(kid: &str, input: &[u8]) -> Vec<u8> {
    match kid {
        "k1" => hmac_sha256::HMAC::mac(input, K1).to_vec(),
        "raw" => hmac_sha256::HMAC::mac(input, RAW).to_vec(),
        "k512" => hmac_sha512::HMAC::mac(input, K512).to_vec(),
        "ec1" => {
            let signature: p256::ecdsa::Signature = ec1().sign(input);
            signature.to_bytes().to_vec()
        }
        "ec2" => {
            let signature: p384::ecdsa::Signature = ec2().sign(input);
            signature.to_bytes().to_vec()
        }
        "ed1" => ed1().sk.sign(input, None).to_vec(),
        _ => panic!("no key is named {kid}"),
    }
}

/// Returns a token signed with the key `kid`. Header and claims may be any bytes.
#[must_use]
pub fn sign(kid: &str, header: &[u8], claims: &[u8]) -> String {
    let input = format!("{}.{}", encode(header), encode(claims));
    format!("{input}.{}", encode(signature(kid, input.as_bytes())))
}

/// The `kid`, algorithm and issuer of each key.
pub const KEYS: [(&str, &str, &str); 6] = [
    ("k1", "HS256", HS_ISSUER),
    ("raw", "HS256", RAW_ISSUER),
    ("k512", "HS512", HS_ISSUER),
    ("ec1", "ES256", PUBLIC_ISSUER),
    ("ec2", "ES384", PUBLIC_ISSUER),
    ("ed1", "EdDSA", PUBLIC_ISSUER),
];

/// Returns a valid header for the key `kid`.
#[must_use]
pub fn good_header(kid: &str, alg: &str) -> Value {
    json!({"alg": alg, "typ": "JWT", "kid": kid})
}

/// Returns valid claims of an issuer.
#[must_use]
pub fn good_claims(issuer: &str) -> Value {
    json!({"iss": issuer, "aud": AUDIENCE, "sub": "u1", "iat": NOW, "exp": NOW + 300, "jti": "j1"})
}

/// Returns valid claims with every optional claim.
#[must_use]
pub fn rich_claims() -> Value {
    json!({
        "iss": HS_ISSUER, "aud": ["other", AUDIENCE], "sub": "auth0|5f7c8ec7", "iat": NOW - 10, "nbf": NOW - 10,
        "exp": NOW + 890, "jti": "01jh", "plan": "pro", "email": "a@b.example",
        "vk": {"scope": ["create", "read"], "models": ["acme/model-x"], "max_predictions": 3, "max_credits": "2.5",
               "iss": "https://x.example"},
    })
}

/// The issuers of all tokens in this module.
///
/// # Panics
/// If their configuration is refused.
pub static ISSUERS: LazyLock<Vec<Issuer>> = LazyLock::new(|| {
    let oct = |kid: &str, alg: &str, bytes: &[u8]| json!({"kty": "oct", "kid": kid, "alg": alg, "k": encode(bytes)});
    let secret = json!({"keys": [oct("k1", "HS256", &K1), oct("k512", "HS512", &K512)]}).to_string();
    let issuers = json!([
        {"issuer": HS_ISSUER, "audience": [AUDIENCE], "algorithms": ["HS256", "HS512"], "keys": {"secret": "S"}},
        {"issuer": PUBLIC_ISSUER, "audience": [AUDIENCE], "algorithms": ["ES256", "ES384", "EdDSA"],
         "keys": {"jwks": public_set()}},
        {"issuer": RAW_ISSUER, "audience": [AUDIENCE], "algorithms": ["HS256"], "keys": {"secret": "RAW"}},
    ]);
    let secret_of = |name: &str| match name {
        "S" => Some(secret.clone()),
        "RAW" => Some(RAW.to_owned()),
        _ => None,
    };
    parse_issuers(&issuers.to_string(), &secret_of).unwrap()
});

/// Signs header and claims with the key `kid`. If the token is accepted, asserts that
///
/// - header and claims, read by another parser, satisfy every rule of [`valetkey::token::verify`]
/// - the grant agrees with the claims
/// - the cache returns the same grant
/// - a token with one changed character is refused
///
/// # Panics
/// If one of these does not hold.
pub fn check_signed(kid: &str, header: &[u8], claims: &[u8]) {
    let now = UnixSeconds(NOW);
    let token = sign(kid, header, claims);
    let verified = match verify(&token, &ISSUERS, Purpose::Access, Possession::None, now) {
        Ok(verified) => verified,
        Err(refusal) => {
            let named = serde_json::from_slice::<Value>(header).ok();
            let named = named.as_ref().and_then(|header| header.get("kid")).and_then(Value::as_str);
            // An issuer with one unnamed key verifies with that key, whatever `kid` the header has.
            let claims = serde_json::from_slice::<Value>(claims).ok();
            let is_foreign = kid != "raw" && claims.is_some_and(|claims| claims["iss"] == RAW_ISSUER);
            let is_real = named == Some(kid) && !is_foreign;
            assert!(refusal != Refusal::BadSignature || !is_real, "the real signature is refused");
            return;
        }
    };
    let (_, alg, issuer) = KEYS.into_iter().find(|(name, ..)| *name == kid).unwrap();
    let header_value: Value = serde_json::from_slice(header).expect("the header is JSON");
    check_header(&header_value, kid, alg);
    let claims_value: Value = serde_json::from_slice(claims).expect("the claims are JSON");
    for text in [header, claims] {
        let any: crate::json::Any = serde_json::from_slice(text).unwrap();
        assert!(!any.has_duplicate_members() && any.depth() <= 8);
    }
    // For an unnamed key, the `kid` may be any name, or missing.
    let named = header_value.get("kid").and_then(Value::as_str);
    assert_eq!((verified.issuer(), verified.kid()), (issuer, if kid == "raw" { named } else { Some(kid) }));
    check_claims(&claims_value, issuer, &verified.grant);

    // Equal JSON in different bytes gives an equal grant, but is accepted only with a signature over those bytes.
    let again = sign(kid, header_value.to_string().as_bytes(), claims_value.to_string().as_bytes());
    let again_verified =
        verify(&again, &ISSUERS, Purpose::Access, Possession::None, now).expect("the token rendered again is accepted");
    assert_eq!(again_verified.grant, verified.grant);
    for purpose in [Purpose::Exchange, Purpose::Admin, Purpose::Attest] {
        assert_eq!(verify(&token, &ISSUERS, purpose, Possession::None, now).unwrap_err(), Refusal::WrongUse);
    }
    let mut cache = TokenCache::new();
    cache.insert(&token, &verified);
    assert_eq!(cache.get(&token, &ISSUERS, Purpose::Access, Possession::None, now), Some(verified.grant.clone()));
    if again != token {
        assert_eq!(cache.get(&again, &ISSUERS, Purpose::Access, Possession::None, now), None);
    }
    let after = UnixSeconds(verified.grant.expires_at.0 + 5);
    assert_eq!(verify(&token, &ISSUERS, Purpose::Access, Possession::None, after).unwrap_err(), Refusal::Expired);
    assert_eq!(cache.get(&token, &ISSUERS, Purpose::Access, Possession::None, after), None);

    // Change one character, at a position that the claims determine.
    let at = usize::from(claims.iter().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte)));
    let mut other = token.into_bytes();
    let at = at * 7919 % other.len();
    other[at] = if other[at] == b'A' { b'B' } else { b'A' };
    assert!(
        verify(&String::from_utf8(other).unwrap(), &ISSUERS, Purpose::Access, Possession::None, now).is_err(),
        "character {at}"
    );
}

fn check_header(header: &Value, kid: &str, alg: &str) {
    let members = header.as_object().expect("an object");
    assert!(members.keys().all(|name| ["alg", "typ", "kid"].contains(&name.as_str())), "{header}");
    assert_eq!(header["alg"].as_str(), Some(alg));
    if kid == "raw" {
        let form = |kid: &str| kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:=+/-".contains(&byte));
        assert!(members.get("kid").is_none_or(|kid| kid.as_str().is_some_and(|kid| !kid.is_empty() && form(kid))));
    } else {
        assert_eq!(header["kid"].as_str(), Some(kid));
    }
    let typ = header["typ"].as_str().expect("a type").to_ascii_lowercase();
    assert!(["jwt", "at+jwt", "application/jwt", "application/at+jwt"].contains(&typ.as_str()), "{typ}");
}

fn check_claims(claims: &Value, issuer: &str, grant: &valetkey::token::Grant) {
    let number = |name: &str| claims[name].as_i64().unwrap_or_else(|| panic!("{name} is an integer"));
    // `null` counts as absent.
    let member = |name: &str| claims.get(name).filter(|value| !value.is_null());
    let text = |name: &str| member(name).map(|value| value.as_str().unwrap_or_else(|| panic!("{name} is a string")));
    assert_eq!(text("iss"), Some(issuer));
    let is_ours = match &claims["aud"] {
        Value::String(name) => name == AUDIENCE,
        Value::Array(names) => names.len() <= 32 && names.contains(&json!(AUDIENCE)),
        _ => false,
    };
    assert!(is_ours, "the audience");
    let (issued_at, expires_at) = (number("iat"), number("exp"));
    assert_eq!((grant.issued_at.0, grant.expires_at.0), (issued_at, expires_at));
    assert!(issued_at >= 0 && (1..=900).contains(&(expires_at - issued_at)));
    assert!(NOW < expires_at + 5 && issued_at <= NOW + 5);
    assert!(member("nbf").is_none() || (0..=NOW + 5).contains(&number("nbf")));
    assert!(claims.get("cnf").is_none(), "bound to a key, but verified without a proof");

    let subject = text("sub").expect("a subject");
    assert_eq!(grant.user, UserKey::new(issuer, subject));
    for name in [Some(subject), text("jti")].into_iter().flatten() {
        assert!((1..=255).contains(&name.chars().count()) && name.trim() == name, "{name:?}");
        assert!(!name.chars().any(char::is_control), "{name:?}");
    }
    assert_eq!(grant.jti.as_deref(), text("jti"));
    assert_eq!(grant.plan.as_deref(), claims["plan"].as_str().filter(|plan| plan.len() <= 64));
    check_restrictions(claims.get("vk"), grant);
}

fn check_restrictions(vk: Option<&Value>, grant: &valetkey::token::Grant) {
    let list = |name: &str| {
        let list = vk?.get(name)?;
        Some(list.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect::<Vec<_>>())
    };
    let scopes: Vec<String> = grant.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    assert_eq!(
        scopes,
        list("scope").unwrap_or_else(|| ["create", "read", "cancel", "files"].map(str::to_owned).into())
    );
    let models = grant.models.as_ref().map(|models| models.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(models, list("models"));
    assert!(!scopes.is_empty() && models.is_none_or(|models| !models.is_empty()), "an empty list grants nothing");
    let member = |name: &str| vk.and_then(|vk| vk.get(name));
    let (count, credits) = (member("max_predictions"), member("max_credits"));
    assert_eq!(grant.caps.is_some(), count.is_some() || credits.is_some());
    if let Some(caps) = &grant.caps {
        assert_eq!(Some(&caps.jti), grant.jti.as_ref());
        assert_eq!(caps.max_predictions.map(u64::from), count.map(|count| count.as_u64().unwrap()));
        // Compared as numbers: 2.50 and 2.5 are the same amount.
        let decimal = |text: &str| text.parse::<f64>().unwrap();
        assert_eq!(
            caps.max_credits.map(|credits| decimal(&credits.to_string())),
            credits.map(|credits| decimal(credits.as_str().unwrap()))
        );
    }
    if let Some(vk) = vk {
        let known = ["scope", "models", "max_predictions", "max_credits", "iss"];
        assert!(
            vk.as_object().unwrap().keys().all(|name| known.contains(&name.as_str())),
            "a restriction that nothing enforces"
        );
    }
}
