//! Properties of tokens: only a signed token, byte for byte, is accepted, and no input causes a panic.

use std::sync::LazyLock;

use crate::hostile::keys::{Keys, encode};
use crate::hostile::{AUDIENCE, HS_ISSUER, Line, build_jwt, issuers, lines, secret};
use proptest::prelude::*;
use serde_json::{Value, json};
use valetkey::token::{Issuer, Possession, Purpose, TokenCache, parse_issuers, verify};
use valetkey::types::time::UnixSeconds;

const NOW: i64 = 1_768_473_000;

struct World {
    keys: Keys,
    issuers: Vec<Issuer>,
    /// Valid tokens: the lines of `hostile/jwt.jsonl` in category `good`, at least one per algorithm.
    good: Vec<String>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let keys = Keys::generate();
    let issuers = parse_issuers(&issuers(&keys).to_string(), &|name| secret(&keys, name)).unwrap();
    let is_good = |line: &Line| line.category == "good";
    let good = lines().iter().filter(|line| is_good(line)).map(|line| build_jwt(line, &keys, NOW)).collect();
    World { issuers, good, keys }
});

fn accepted(token: &str) -> bool {
    verify(token, &WORLD.issuers, Purpose::Access, Possession::None, UnixSeconds(NOW)).is_ok()
}

/// Returns a token with this header and these claims, signed with `k1` (HS256).
fn signed(header: &str, claims: &str) -> String {
    let input = format!("{}.{}", encode(header), encode(claims));
    format!("{input}.{}", encode(WORLD.keys.sign("k1", input.as_bytes())))
}

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT","kid":"k1"}"#;

fn claims() -> Value {
    json!({"iss": HS_ISSUER, "aud": AUDIENCE, "sub": "u1", "iat": NOW, "exp": NOW + 300, "jti": "j1"})
}

/// Generates any JSON value, up to three levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,300}".prop_map(Value::from),
        Just(json!(AUDIENCE)),
        Just(json!(HS_ISSUER)),
        (-1_000..1_000_i64).prop_map(|offset| json!(NOW + offset)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z_]{1,15}", inner, 0..4)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_token_with_one_changed_byte_is_refused(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f) {
        let token = which.get(&WORLD.good);
        prop_assert!(accepted(token));
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        prop_assert!(!accepted(&String::from_utf8(bytes).unwrap()));
    }

    #[test]
    fn a_token_with_one_byte_inserted_or_removed_is_refused(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f) {
        let token = which.get(&WORLD.good);
        let at = at.index(token.len());
        let mut longer = token.clone();
        longer.insert(at, byte.into());
        prop_assert!(!accepted(&longer));
        let mut shorter = token.clone();
        shorter.remove(at);
        prop_assert!(!accepted(&shorter));
    }

    #[test]
    fn segments_of_two_tokens_do_not_combine(one in any::<prop::sample::Index>(), two in any::<prop::sample::Index>(), place in 0..3_usize) {
        let (one, two) = (one.get(&WORLD.good), two.get(&WORLD.good));
        let mut parts: Vec<&str> = one.split('.').collect();
        parts[place] = two.split('.').nth(place).unwrap();
        let mixed = parts.join(".");
        prop_assert_eq!(accepted(&mixed), WORLD.good.contains(&mixed));
    }

    #[test]
    fn arbitrary_text_is_refused_without_a_panic(text in "\\PC{0,200}") {
        prop_assert!(!accepted(&text));
    }

    #[test]
    fn three_arbitrary_segments_are_refused_without_a_panic(header in any::<Vec<u8>>(), claims in any::<Vec<u8>>(), signature in any::<Vec<u8>>()) {
        let token = format!("{}.{}.{}", encode(header), encode(claims), encode(signature));
        prop_assert!(!accepted(&token));
    }

    #[test]
    fn signed_arbitrary_claims_are_refused_without_a_panic(claims in ".{0,200}") {
        prop_assert!(!accepted(&signed(HEADER, &claims)));
    }

    #[test]
    fn a_signed_arbitrary_header_is_refused_without_a_panic(header in ".{0,200}") {
        prop_assert!(!accepted(&signed(&header, &claims().to_string())));
    }

    #[test]
    fn an_accepted_grant_keeps_its_invariants_for_any_claim(name in "iss|aud|sub|iat|exp|nbf|jti|vk|cnf|plan", value in any_json()) {
        let mut claims = claims();
        claims[&name] = value;
        let token = signed(HEADER, &claims.to_string());
        if let Ok(verified) = verify(&token, &WORLD.issuers, Purpose::Access, Possession::None, UnixSeconds(NOW)) {
            let grant = verified.grant;
            let lifetime = grant.expires_at.0 - grant.issued_at.0;
            prop_assert!((1..=900).contains(&lifetime));
            prop_assert!(NOW < grant.expires_at.0 + 5 && grant.issued_at.0 <= NOW + 5);
            prop_assert!(!grant.scopes.is_empty());
            prop_assert!(grant.caps.is_none() || grant.jti.is_some());
            prop_assert!(claims.get("cnf").is_none());
        }
    }

    #[test]
    fn an_unknown_header_member_is_refused(name in "[a-zA-Z0-9#_]{1,20}", value in any_json()) {
        prop_assume!(!["alg", "typ", "kid"].contains(&name.as_str()));
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": "k1", name: value});
        prop_assert!(!accepted(&signed(&header.to_string(), &claims().to_string())));
    }

    #[test]
    fn the_cache_returns_only_the_stored_token(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f, now in NOW - 1_000..NOW + 2_000) {
        let token = which.get(&WORLD.good);
        let verified = verify(token, &WORLD.issuers, Purpose::Access, Possession::None, UnixSeconds(NOW)).unwrap();
        let mut cache = TokenCache::new();
        cache.insert(token, &verified);
        // At any time, the cache returns what a fresh verification would.
        let fresh = verify(token, &WORLD.issuers, Purpose::Access, Possession::None, UnixSeconds(now)).ok().map(|verified| verified.grant);
        prop_assert_eq!(cache.get(token, &WORLD.issuers, Purpose::Access, Possession::None, UnixSeconds(now)), fresh);
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let other = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(cache.get(&other, &WORLD.issuers, Purpose::Access, Possession::None, UnixSeconds(NOW)), None);
    }

    #[test]
    fn issuer_settings_never_panic_or_show_a_secret(value in any_json(), name in "issuer|audience|keys|algorithms|use|max_lifetime_secs|leeway_secs|token_types|extra_header_members|audience_claim|plan_claim|dpop|admins") {
        let secret = "test-only-secret-0123456789abcdef0123456789";
        let mut issuer = json!({"issuer": HS_ISSUER, "audience": [AUDIENCE], "algorithms": ["HS256"], "keys": {"secret": "S"}});
        issuer[&name] = value;
        if let Err(problems) = parse_issuers(&json!([issuer]).to_string(), &|_| Some(secret.to_owned())) {
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.iter().all(|problem| problem.text.starts_with("[0]") && !problem.text.contains(secret)));
        }
    }
}
