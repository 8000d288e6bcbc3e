use serde_json::json;

use super::super::testing::{Fixture, NOW, Prover};
use super::*;
use crate::token::verify;

fn at(now: i64) -> UnixSeconds {
    UnixSeconds(now)
}

/// Returns a cache with the fixture's token.
fn filled(fixture: &Fixture) -> TokenCache {
    let mut cache = TokenCache::new();
    cache.insert(&fixture.token(), &fixture.verify().unwrap());
    cache
}

fn get(cache: &mut TokenCache, fixture: &Fixture) -> Option<Grant> {
    cache.get(&fixture.token(), &fixture.issuers(), Purpose::Access, Possession::None, at(NOW))
}

#[test]
fn a_verified_token_is_found_with_its_grant() {
    let fixture = Fixture::new();
    assert_eq!(get(&mut filled(&fixture), &fixture), Some(fixture.verify().unwrap().grant));
    assert_eq!(get(&mut TokenCache::new(), &fixture), None);
}

#[test]
fn a_token_with_another_signature_is_another_token() {
    let fixture = Fixture::new();
    let mut cache = filled(&fixture);
    let token = fixture.token();
    let (input, _) = token.rsplit_once('.').unwrap();
    for other in [format!("{input}.AA"), format!("{input}."), format!("{token}A"), format!("{token} "), String::new()] {
        assert_eq!(cache.get(&other, &fixture.issuers(), Purpose::Access, Possession::None, at(NOW)), None);
    }
    assert_eq!(cache.get(&"a".repeat(100_000), &fixture.issuers(), Purpose::Access, Possession::None, at(NOW)), None);
}

#[test]
fn the_longest_token_is_remembered_like_any_other() {
    let mut fixture = Fixture::new();
    fixture.claims["pad"] = json!("");
    let room = TOKEN_MAX_BYTES - fixture.token().len();
    fixture.claims["pad"] = json!("p".repeat(room * 3 / 4));
    assert_eq!(fixture.token().len(), TOKEN_MAX_BYTES);
    assert!(get(&mut filled(&fixture), &fixture).is_some());
}

#[test]
fn times_are_checked_at_every_hit() {
    let mut fixture = Fixture::new();
    fixture.claims["nbf"] = json!(NOW - 5);
    let (mut cache, token, issuers) = (filled(&fixture), fixture.token(), fixture.issuers());
    for (now, good) in
        [(NOW, true), (NOW + 304, true), (NOW + 305, false), (NOW - 5, true), (NOW - 6, false), (i64::MAX, false)]
    {
        assert_eq!(cache.get(&token, &issuers, Purpose::Access, Possession::None, at(now)).is_some(), good, "{now}");
    }
}

#[test]
fn a_hit_is_for_the_same_purpose() {
    let mut fixture = Fixture::new();
    fixture.settings["use"] = json!(["access", "exchange"]);
    let mut cache = filled(&fixture);
    assert_eq!(cache.get(&fixture.token(), &fixture.issuers(), Purpose::Exchange, Possession::None, at(NOW)), None);
    assert!(get(&mut cache, &fixture).is_some());
}

#[test]
fn a_hit_ends_with_its_key() {
    let mut fixture = Fixture::new();
    let (mut cache, token) = (filled(&fixture), fixture.token());
    // The same `kid` for another key: a rotation that reuses the name.
    fixture.key = Fixture::new().key;
    assert_eq!(cache.get(&token, &fixture.issuers(), Purpose::Access, Possession::None, at(NOW)), None);
    assert_eq!(cache.get(&token, &[], Purpose::Access, Possession::None, at(NOW)), None);
}

#[test]
fn a_hit_ends_with_its_settings() {
    let mut fixture = Fixture::new();
    let (mut cache, token) = (filled(&fixture), fixture.token());
    for (member, value) in
        [("audience", json!(["other"])), ("max_lifetime_secs", json!(60)), ("dpop", json!("required"))]
    {
        let before = fixture.settings.clone();
        fixture.settings[member] = value;
        assert_eq!(cache.get(&token, &fixture.issuers(), Purpose::Access, Possession::None, at(NOW)), None, "{member}");
        fixture.settings = before;
    }
    assert!(get(&mut cache, &fixture).is_some());
}

#[test]
fn a_grant_is_stored_only_under_the_token_that_it_is_of() {
    let fixture = Fixture::new();
    let mut cache = TokenCache::new();
    cache.insert("another", &fixture.verify().unwrap());
    assert!(cache.is_empty());
    assert!(!filled(&fixture).is_empty());
}

#[test]
fn a_bound_token_is_found_only_with_a_proof_of_its_key_for_it() {
    let (prover, thief) = (Prover::new("ES256"), Prover::new("ES256"));
    let mut fixture = Fixture::new();
    fixture.claims["cnf"] = prover.cnf();
    let (token, issuers) = (fixture.token(), fixture.issuers());
    let proof = prover.proof_for(&token);
    let (stolen, other) = (thief.proof_for(&token), prover.proof_for("another token"));
    let mut cache = TokenCache::new();
    cache.insert(&token, &verify(&token, &issuers, Purpose::Access, Possession::Proved(&proof), at(NOW)).unwrap());
    let mut hit = |possession| cache.get(&token, &issuers, Purpose::Access, possession, at(NOW)).is_some();
    assert!(hit(Possession::Proved(&proof)));
    assert!(!hit(Possession::None));
    assert!(!hit(Possession::Proved(&stolen)));
    assert!(!hit(Possession::Proved(&other)));
}

/// Inserts the tokens of these users and returns them.
fn fill(cache: &mut TokenCache, fixture: &mut Fixture, users: std::ops::Range<usize>) -> Vec<String> {
    let issuers = fixture.issuers();
    let insert = |user: usize| {
        fixture.claims["sub"] = json!(format!("u{user}"));
        let token = fixture.token();
        cache.insert(&token, &verify(&token, &issuers, Purpose::Access, Possession::None, at(NOW)).unwrap());
        token
    };
    users.map(insert).collect()
}

#[test]
fn the_oldest_goes_first_and_a_busy_one_stays() {
    let (mut cache, mut fixture) = (TokenCache::new(), Fixture::new());
    let issuers = fixture.issuers();
    let tokens = fill(&mut cache, &mut fixture, 0..TOKEN_CACHE_ENTRIES);
    assert_eq!(cache.len(), TOKEN_CACHE_ENTRIES);
    assert!(cache.get(&tokens[0], &issuers, Purpose::Access, Possession::None, at(NOW)).is_some());
    fill(&mut cache, &mut fixture, 5_000..5_010);
    assert_eq!((cache.len(), cache.order.len()), (TOKEN_CACHE_ENTRIES, TOKEN_CACHE_ENTRIES));
    assert!(cache.get(&tokens[0], &issuers, Purpose::Access, Possession::None, at(NOW)).is_some());
    for token in &tokens[1..=10] {
        assert_eq!(cache.get(token, &issuers, Purpose::Access, Possession::None, at(NOW)), None);
    }
    assert!(cache.get(&tokens[11], &issuers, Purpose::Access, Possession::None, at(NOW)).is_some());
}

#[test]
fn a_cache_of_busy_tokens_stays_within_its_bound() {
    let (mut cache, mut fixture) = (TokenCache::new(), Fixture::new());
    let issuers = fixture.issuers();
    for token in fill(&mut cache, &mut fixture, 0..TOKEN_CACHE_ENTRIES) {
        assert!(cache.get(&token, &issuers, Purpose::Access, Possession::None, at(NOW)).is_some());
    }
    fill(&mut cache, &mut fixture, 5_000..5_100);
    assert_eq!((cache.len(), cache.order.len()), (TOKEN_CACHE_ENTRIES, TOKEN_CACHE_ENTRIES));
}

#[test]
fn the_same_token_again_takes_no_more_room() {
    let fixture = Fixture::new();
    let mut cache = filled(&fixture);
    cache.insert(&fixture.token(), &fixture.verify().unwrap());
    assert_eq!((cache.len(), cache.order.len()), (1, 1));
}
