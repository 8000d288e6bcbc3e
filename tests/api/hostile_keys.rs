//! Hostile keys over HTTP, wherever a key can come from: an identity provider's key set, `ISSUERS`, a proof of possession,
//! a secret. One that the shipped module fails to parse used to end its wasm instance, with every request in flight.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::{AUDIENCE, MODEL, Options, Stack, issuers, now, token, token_with, user};
use crate::hostile::keys::encode;
use crate::hostile::public_keys::{BAD_KID, HostileKey, Pair, hostile_keys, with_unknown_member};
use crate::http::Request;
use crate::identity::{
    PUBLIC_URL, Prover, SigningKey, bad_proof, bad_token, settings as identity_settings, token_hash,
};
use crate::steps::assert_refused;
use crate::vectors;

const LIST: &str = "/v1/predictions";

/// Returns the hostile keys, and the vectors' RSA keys that no issuer may have.
fn all_keys(pair: &Pair) -> Vec<HostileKey> {
    let groups = vectors::rsa_pkcs1().into_iter().flat_map(|set| set.groups);
    let refused = groups.filter(|group| group.is_key_refused).enumerate().map(|(index, group)| {
        let mut jwk = group.jwk;
        jwk["kid"] = json!(BAD_KID);
        HostileKey { name: format!("Wycheproof RSA {index}"), jwk, algorithm: "RS256" }
    });
    let all: Vec<HostileKey> = hostile_keys(pair).into_iter().chain(refused).collect();
    assert!(all.len() > 150, "{}", all.len());
    all
}

fn issuer_name(number: usize) -> String {
    format!("https://issuer-{number}.example")
}

/// Returns the settings of an issuer with one algorithm for each kind of key.
fn issuer(number: usize, keys: Value) -> Value {
    json!({"issuer": issuer_name(number), "audience": [AUDIENCE], "keys": keys,
        "algorithms": ["ES256", "ES384", "EdDSA", "RS256"]})
}

fn stack_with(settings: Vec<(&'static str, Option<String>)>) -> Stack {
    Stack::start(&Options { settings, ..Options::default() })
}

/// Returns a stack with one issuer for each key set. The simulator serves the sets, as identity providers do.
fn stack_of_providers(sets: &[String]) -> Stack {
    let keys = |number| json!({"jwks_url": format!("http://{{vendor}}/idp/set-{number}-/keys")});
    let list: Vec<Value> = (0..sets.len()).map(|number| issuer(number, keys(number))).collect();
    let stack = stack_with(vec![("ISSUERS", Some(json!(list).to_string()))]);
    for (number, set) in sets.iter().enumerate() {
        let fault = json!({"status": 200, "body": set});
        let path = format!("/idp/set-{number}-/");
        let rule = json!({"route": "keys", "path_contains": path, "times": null, "fault": fault});
        stack.control_post("/faults", &rule);
    }
    stack
}

fn claims(number: usize) -> Value {
    json!({"iss": issuer_name(number), "aud": AUDIENCE, "sub": user("keys"), "iat": now(), "exp": now() + 300})
}

fn token_of(number: usize, kid: &Value, algorithm: &str, pair: &Pair) -> String {
    pair.sign(&json!({"alg": algorithm, "typ": "JWT", "kid": kid}), &claims(number))
}

fn assert_nothing_was_sent(stack: &Stack) {
    let routes = stack.vendor_requests();
    assert!(routes.iter().all(|request| request["route"] == "keys"), "{routes:?}");
}

#[test]
fn a_hostile_key_in_a_providers_set_harms_no_user_of_its_other_keys() {
    let (good, pair) = (Pair::generate(), Pair::generate());
    let keys = all_keys(&pair);
    let sets: Vec<String> = keys
        .iter()
        .enumerate()
        .map(|(number, key)| {
            // Before and after the good key, in turn.
            let mut keys = vec![key.jwk.clone(), good.jwk("good")];
            keys.rotate_left(number % 2);
            json!({"keys": keys, "more": {"members": ["of a provider"]}}).to_string()
        })
        .collect();
    let stack = stack_of_providers(&sets);
    for (number, HostileKey { name, jwk, algorithm }) in keys.iter().enumerate() {
        let kid = jwk.get("kid").cloned().unwrap_or(json!(BAD_KID));
        assert_refused(
            &stack.get(&token_of(number, &kid, algorithm, &pair), LIST),
            401,
            "authentication_error",
            "invalid_token",
        );
        let answer = stack.get(&token_of(number, &json!("good"), "ES256", &good), LIST);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        // The wrong pair under the good name.
        assert_eq!(stack.get(&token_of(number, &json!("good"), "ES256", &pair), LIST).status, 401, "{name}");
    }
    println!("{} sets with a hostile key", sets.len());
    assert_nothing_was_sent(&stack);
}

#[test]
fn duplicate_kids_are_skipped_and_a_providers_own_members_are_not() {
    let (good, first, second) = (Pair::generate(), Pair::generate(), Pair::generate());
    let sets = [
        json!({"keys": [first.jwk("twice"), good.jwk("good"), second.jwk("twice")]}),
        json!({"keys": [with_unknown_member(first.jwk("more")), good.jwk("good")]}),
        json!({"keys": (0..300).map(|_| first.jwk("many")).chain([good.jwk("good")]).collect::<Vec<_>>()}),
    ];
    let stack = stack_of_providers(&sets.map(|set| set.to_string()));
    for (number, kid, pair, status) in [
        (0, "twice", &first, 401),
        (0, "twice", &second, 401),
        (0, "good", &good, 200),
        (1, "more", &first, 200),
        (1, "good", &good, 200),
        (2, "many", &first, 401),
        (2, "good", &good, 200),
    ] {
        assert_eq!(stack.get(&token_of(number, &json!(kid), "ES256", pair), LIST).status, status, "{number} {kid}");
    }
    assert_nothing_was_sent(&stack);
}

#[test]
fn a_set_without_a_usable_key_is_no_set() {
    let (good, pair) = (Pair::generate(), Pair::generate());
    let good_set = json!({"keys": [good.jwk("good")]}).to_string();
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let mut sets: Vec<String> = vec![
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"keys":[]}"#.to_owned(),
        r#"{"keys":{}}"#.to_owned(),
        r#"{"keys":[[],{},1,null,"a"]}"#.to_owned(),
        // A member twice, of the set and of a key.
        good_set.replacen("{\"keys\"", "{\"keys\":[],\"keys\"", 1),
        good_set.replacen("\"kty\"", "\"kty\":\"RSA\",\"kty\"", 1),
        good_set.replacen("\"kty\"", &format!("\"z\":{},\"kty\"", deep(6)), 1),
        good_set.replacen("\"kty\"", &format!("\"z\":{},\"kty\"", deep(20_000)), 1),
        // Longer than a set may be.
        good_set.replacen("\"kty\"", &format!("\"z\":\"{}\",\"kty\"", "z".repeat(300_000)), 1),
        good_set.replacen("EC", "E\\ud800C", 1),
        format!("{good_set}x"),
        format!("\u{feff}{good_set}"),
    ];
    // A single key needs no kid: every hostile one is alone in a set, too.
    let first_alone = sets.len();
    let keys = all_keys(&pair);
    sets.extend(keys.iter().map(|key| {
        let mut jwk = key.jwk.clone();
        if let Some(members) = jwk.as_object_mut().filter(|members| members.get("kid") == Some(&json!(BAD_KID))) {
            members.remove("kid");
        }
        json!({"keys": [jwk]}).to_string()
    }));
    let stack = stack_of_providers(&sets);
    for number in 0..sets.len() {
        let (kid, signer) = if number < first_alone { (Some("good"), &good) } else { (None, &pair) };
        let algorithm = if number < first_alone { "ES256" } else { keys[number - first_alone].algorithm };
        let mut header = json!({"alg": algorithm, "typ": "JWT"});
        if let Some(kid) = kid {
            header["kid"] = json!(kid);
        }
        let answer = stack.get(&signer.sign(&header, &claims(number)), LIST);
        let set: String = sets[number].chars().take(200).collect();
        // The provider may be repaired, and the token good: the caller should come back with it.
        assert_eq!(answer.error(), (503, "api_error".into(), "upstream_unavailable".into()), "{number} {set}");
    }
    assert_nothing_was_sent(&stack);
}

/// Returns the settings' problems that `/readyz` tells, after it checked that the Worker lives and serves nothing.
fn problems_of(stack: &Stack) -> Vec<String> {
    let health = stack.send(&Request::get("/healthz"));
    assert_eq!((health.status, health.json()), (200, json!({"status": "ok"})));
    let ready = stack.send(&Request::get("/readyz"));
    let body = ready.json();
    assert_eq!((ready.status, &body["status"]), (503, &json!("misconfigured")), "{body}");
    assert_refused(&stack.create(&token(&user("config"))), 503, "api_error", "misconfigured");
    assert!(stack.vendor_requests().is_empty());
    let text = |error: &Value| format!("{} {}", error["name"].as_str().unwrap(), error["problem"].as_str().unwrap());
    body["errors"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn each_hostile_key_in_issuers_is_named_at_readyz() {
    let (good, pair) = (Pair::generate(), Pair::generate());
    let keys = all_keys(&pair);
    let list: Vec<Value> = keys
        .iter()
        .enumerate()
        .map(|(number, key)| issuer(number, json!({"jwks": {"keys": [good.jwk("good"), key.jwk]}})))
        .collect();
    let problems = problems_of(&stack_with(vec![("ISSUERS", Some(json!(list).to_string()))]));
    for (number, HostileKey { name, .. }) in keys.iter().enumerate() {
        let place = format!("ISSUERS [{number}].keys.jwks.keys[1] ");
        assert!(problems.iter().any(|problem| problem.starts_with(&place)), "{name}: {problems:#?}");
    }
    assert_eq!(problems.len(), keys.len(), "{problems:#?}");
    // The three that ended the instance of an earlier version, alone.
    let of_kind = |start: &str| keys.iter().find(|key| key.name.starts_with(start)).unwrap();
    for key in [of_kind("RSA of 1024"), of_kind("ES256 x of another"), of_kind("Ed25519 x empty")] {
        let list = json!([issuers()[0], issuer(1, json!({"jwks": {"keys": [key.jwk]}}))]);
        let problems = problems_of(&stack_with(vec![("ISSUERS", Some(list.to_string()))]));
        assert!(problems[0].starts_with("ISSUERS [1].keys.jwks.keys[0] "), "{problems:?}");
    }
}

#[test]
fn a_proof_with_a_hostile_key_is_refused_with_and_without_a_token() {
    let stack = stack_with(vec![("PUBLIC_URL", Some(PUBLIC_URL.to_owned()))]);
    let (prover, pair) = (Prover::new(), Pair::generate());
    let token = token_with(&user("proved"), json!({"cnf": {"jkt": prover.thumbprint()}}));
    let send = |token: &str, proof: &str| {
        let request = Request::post(MODEL).json(&json!({"input": {"prompt": "a test"}}));
        stack.send(&request.header("Authorization", &format!("DPoP {token}")).header("DPoP", proof))
    };
    let mut keys = all_keys(&pair);
    keys.push(HostileKey {
        name: "an unknown member".to_owned(),
        jwk: with_unknown_member(pair.jwk("k")),
        algorithm: "ES256",
    });
    for HostileKey { name, jwk, algorithm } in &keys {
        // Each name of Ed25519 for its keys, and ES256 for all keys of other kinds.
        let algorithms = if *algorithm == "EdDSA" { vec!["EdDSA", "Ed25519"] } else { vec![*algorithm, "ES256"] };
        for algorithm in algorithms {
            let claims = json!({"htm": "POST", "htu": format!("{PUBLIC_URL}{MODEL}"), "iat": now(), "jti": user("proof"),
                "ath": token_hash(&token)});
            let proof = pair.sign(&json!({"typ": "dpop+jwt", "alg": algorithm, "jwk": jwk}), &claims);
            for (token, challenge) in [("x", bad_token()), (&*token, bad_proof())] {
                let answer = send(token, &proof);
                assert_eq!(
                    (answer.error(), answer.header("www-authenticate")),
                    ((401, "authentication_error".into(), "invalid_token".into()), Some(&*challenge)),
                    "{name}, {algorithm}: {}",
                    answer.text()
                );
            }
        }
    }
    println!("{} hostile keys in proofs", keys.len());
    assert!(stack.vendor_requests().is_empty());
    // The token is good all the same.
    assert_eq!(stack.send(&prover.prove(Request::get(LIST), &token)).status, 200);
}

#[test]
fn a_proof_with_an_empty_ed25519_key_is_refused_on_any_route() {
    let stack = stack_with(vec![("PUBLIC_URL", Some(PUBLIC_URL.to_owned()))]);
    let prover = Prover::new();
    let token = token_with(&user("no-key"), json!({"cnf": {"jkt": prover.thumbprint()}}));
    // The request that ended the instance of an earlier version, without a token.
    let proof =
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVkRFNBIiwiandrIjp7Imt0eSI6Ik9LUCIsImNydiI6IkVkMjU1MTkiLCJ4IjoiIn19.e30.AA";
    for target in ["/v1/models", LIST, "/v1/account", "/v1/files"] {
        for (token, challenge) in [("x", bad_token()), (&*token, bad_proof())] {
            let request = Request::get(target).header("Authorization", &format!("DPoP {token}"));
            let answer = stack.send(&request.header("DPoP", proof));
            assert_refused(&answer, 401, "authentication_error", "invalid_token");
            assert_eq!(answer.header("www-authenticate"), Some(&*challenge), "{target}");
        }
    }
    stack.assert_logged("proof_key");
}

#[test]
fn each_hostile_secret_of_an_issuer_is_named_at_readyz() {
    let oct = |length: usize| json!({"kty": "oct", "kid": "k", "k": encode(vec![7; length])});
    let set = |key: Value| json!({"keys": [key]}).to_string();
    let with = |name: &str, value: Value| {
        let mut key = oct(32);
        key[name] = value;
        set(key)
    };
    let pem = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----";
    let mut secrets: Vec<String> = vec![
        "short".to_owned(),
        "k".repeat(31),
        format!("{}\n", "k".repeat(40)),
        pem.to_owned(),
        format!("\u{feff}{pem}"),
        "{".to_owned(),
        "{}".to_owned(),
        r#"{"keys":[]}"#.to_owned(),
        r#"{"keys":{}}"#.to_owned(),
        r#"{"keys":[],"keys":[]}"#.to_owned(),
        r#"{"keys":[[],1,null,"a",{}]}"#.to_owned(),
        format!("{}{}", "{\"keys\":".repeat(20_000), "}".repeat(20_000)),
        json!({"keys": [oct(32), oct(33)]}).to_string(),
        json!({"keys": [oct(32), {"kty": "oct", "k": encode([8; 32])}]}).to_string(),
        set(oct(0)),
        set(oct(31)),
        set(json!({"kty": "oct", "k": encode(pem)})),
        set(json!({"kty": "oct", "k": pem})),
        set(json!({"kty": "oct"})),
        with("k", json!(1)),
        with("k", json!("A=")),
        with("d", json!("AA")),
        with("crv", json!("P-256")),
        with("kty", json!("RSA")),
        with("use", json!("enc")),
        with("key_ops", json!(["sign"])),
        with("alg", json!("HS512")),
        with("alg", json!("none")),
        with("kid", json!("a b")),
        with("more", json!(1)),
    ];
    let pair = Pair::generate();
    // Among the public keys that are none is a secret, which is a good one here.
    let keys = all_keys(&pair).into_iter().filter(|key| key.name != "a secret");
    secrets.extend(keys.map(|key| set(key.jwk)));
    // One setting for each secret, and one issuer for each setting.
    let names: Vec<&'static str> = (0..secrets.len()).map(|number| &*format!("SECRET_{number}").leak()).collect();
    let list: Vec<Value> = (0..secrets.len())
        .map(|number| {
            json!({"issuer": issuer_name(number), "audience": [AUDIENCE], "algorithms": ["HS256"],
                "keys": {"secret": names[number]}})
        })
        .collect();
    let mut settings: Vec<_> = names.iter().zip(&secrets).map(|(name, secret)| (*name, Some(secret.clone()))).collect();
    settings.push(("ISSUERS", Some(json!(list).to_string())));
    let problems = problems_of(&stack_with(settings));
    for (number, secret) in secrets.iter().enumerate() {
        let place = format!("ISSUERS [{number}].keys.secret ");
        let keys_place = format!("{} names SECRET_{number}, whose keys[", place.trim_end());
        let found = problems.iter().any(|text| text.starts_with(&place) || text.starts_with(&keys_place));
        assert!(found, "{secret:.200}: {problems:#?}");
    }
}

#[test]
fn each_hostile_signing_key_is_named_at_readyz() {
    let jwk = |change: &dyn Fn(&mut Value)| {
        let set: Value = serde_json::from_str(&SigningKey::set(&[&SigningKey::new("k1")])).unwrap();
        let mut jwk = set["keys"][0].clone();
        change(&mut jwk);
        jwk
    };
    let with = |name: &'static str, value: Value| jwk(&|jwk| jwk[name] = value.clone());
    let mut keys = vec![
        with("kty", json!("EC")),
        with("crv", json!("X25519")),
        with("crv", json!(1)),
        with("kid", json!("")),
        with("kid", json!("a b")),
        with("kid", json!(null)),
        with("alg", json!("ES256")),
        with("alg", json!(1)),
        with("use", json!("enc")),
        with("more", json!(1)),
        with("d", json!("")),
        with("d", json!(encode([7; 31]))),
        with("d", json!(encode([7; 33]))),
        with("d", json!(encode([7; 64]))),
        with("d", json!(encode([0; 32]))),
        with("d", json!("+")),
        with("d", json!(null)),
        with("x", json!("")),
        with("x", json!(encode([7; 31]))),
        with("x", json!(encode([0; 32]))),
        with("x", json!(encode([0xff; 32]))),
        with("x", json!(null)),
        json!([]),
        json!(1),
        json!(null),
        json!({}),
    ];
    let pair = Pair::generate();
    keys.extend(all_keys(&pair).into_iter().map(|key| key.jwk));
    let with_keys = |text: String| {
        let mut settings = identity_settings(&[&SigningKey::new("k1")]);
        settings.push(("TOKEN_SIGNING_KEYS", Some(text)));
        stack_with(settings)
    };
    let problems = problems_of(&with_keys(json!({"keys": keys}).to_string()));
    for (number, key) in keys.iter().enumerate() {
        let place = format!("TOKEN_SIGNING_KEYS keys[{number}] ");
        assert!(problems.iter().any(|text| text.starts_with(&place)), "{key}: {problems:#?}");
    }
    // Sets that are none, and two keys of one name: each needs a stack of its own.
    let twice = [jwk(&|_| ()), jwk(&|_| ())];
    let mut deep = String::new();
    write!(deep, "{}1{}", "[".repeat(20_000), "]".repeat(20_000)).unwrap();
    for text in [
        "{".to_owned(),
        r#"{"keys":[],"keys":[]}"#.to_owned(),
        deep,
        json!({"keys": twice}).to_string(),
        "é".to_owned(),
    ] {
        let problems = problems_of(&with_keys(text));
        assert!(problems.iter().any(|text| text.starts_with("TOKEN_SIGNING_KEYS ")), "{problems:?}");
    }
}
