use jwt_simple::algorithms::ES256KeyPair;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: UnixMillis = UnixMillis(1_768_473_000_000);
const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;

fn key(kid: &str) -> Value {
    let mut jwk = serde_json::from_str::<Value>(&ES256KeyPair::generate().public_key().to_jwk()).unwrap();
    jwk["kid"] = json!(kid);
    jwk
}

fn set(keys: &[Value]) -> Vec<u8> {
    json!({"keys": keys, "public_certs": []}).to_string().into_bytes()
}

fn remote() -> RemoteKeys {
    RemoteKeys::new("https://idp.example/keys".into(), vec![Algorithm::Es256])
}

fn loaded(kid: &str) -> RemoteKeys {
    let keys = remote();
    keys.start_fetch(NOW);
    assert!(keys.replace_keys(&set(&[key(kid)]), NOW));
    keys.finish_fetch();
    keys
}

fn after(millis: i64) -> UnixMillis {
    NOW.plus_millis(millis)
}

#[test]
fn keys_are_asked_for_once_and_again_after_ten_minutes() {
    let keys = remote();
    assert_eq!(keys.decide_fetch(Some("a"), NOW), FetchDecision::Fetch);
    assert!(keys.usable_keys(NOW).is_none());
    let keys = loaded("a");
    for (millis, need) in
        [(0, FetchDecision::Proceed), (10 * MINUTE - 1, FetchDecision::Proceed), (10 * MINUTE, FetchDecision::Fetch)]
    {
        assert_eq!(keys.decide_fetch(Some("a"), after(millis)), need, "{millis}");
        assert_eq!(keys.is_fetch_due(after(millis)), need == FetchDecision::Fetch);
    }
}

#[test]
fn a_copy_is_stale_from_ten_minutes_on() {
    assert!(remote().is_stale(NOW));
    let keys = loaded("a");
    assert!(!keys.is_stale(after(10 * MINUTE - 1)) && keys.is_stale(after(10 * MINUTE)));
}

#[test]
fn nobody_waits_for_an_answer_longer_than_it_can_take() {
    let keys = remote();
    keys.start_fetch(NOW);
    for (millis, need) in [(1_999, FetchDecision::Wait), (2_000, FetchDecision::Proceed), (5_000, FetchDecision::Fetch)]
    {
        assert_eq!(keys.decide_fetch(Some("a"), after(millis)), need, "{millis}");
    }
}

#[test]
fn others_wait_for_the_first_keys_and_use_old_ones_while_new_ones_come() {
    let keys = remote();
    keys.start_fetch(NOW);
    assert_eq!(keys.decide_fetch(Some("a"), after(SECOND)), FetchDecision::Wait);
    let keys = loaded("a");
    keys.start_fetch(after(10 * MINUTE));
    assert_eq!(keys.decide_fetch(Some("a"), after(10 * MINUTE + 1)), FetchDecision::Proceed);
    assert_eq!(keys.decide_fetch(Some("b"), after(10 * MINUTE + 1)), FetchDecision::Wait);
    // The fetch never finished, because the platform ended its request.
    assert_eq!(keys.decide_fetch(Some("b"), after(10 * MINUTE + 30 * SECOND)), FetchDecision::Fetch);
}

#[test]
fn an_unknown_name_makes_a_look_but_no_flood() {
    let keys = loaded("a");
    assert_eq!(keys.decide_fetch(Some("b"), after(29 * SECOND)), FetchDecision::Proceed, "asked just now");
    assert_eq!(keys.decide_fetch(Some("b"), after(30 * SECOND)), FetchDecision::Fetch);
    keys.start_fetch(after(30 * SECOND));
    assert!(keys.replace_keys(&set(&[key("a"), key("b")]), after(30 * SECOND)));
    keys.finish_fetch();
    assert_eq!(keys.decide_fetch(Some("b"), after(31 * SECOND)), FetchDecision::Proceed);
    assert_eq!(keys.decide_fetch(Some("c"), after(59 * SECOND)), FetchDecision::Proceed);
    assert_eq!(keys.decide_fetch(Some("c"), after(60 * SECOND)), FetchDecision::Fetch);
}

#[test]
fn a_first_look_that_failed_is_repeated_sooner_and_once_a_minute() {
    let keys = remote();
    for (millis, need) in [
        (0, FetchDecision::Fetch),
        (4_999, FetchDecision::Proceed),
        (5_000, FetchDecision::Fetch),
        (59_999, FetchDecision::Proceed),
    ] {
        assert_eq!(keys.decide_fetch(Some("a"), after(millis)), need, "{millis}");
        if need == FetchDecision::Fetch {
            keys.start_fetch(after(millis));
            keys.finish_fetch();
        }
    }
    assert_eq!(keys.decide_fetch(Some("a"), after(60_000)), FetchDecision::Fetch);
}

#[test]
fn without_an_answer_the_old_keys_count_for_an_hour_more() {
    let keys = loaded("a");
    for bad in [b"".as_slice(), b"{}", b"<html>", br#"{"keys":[]}"#, br#"{"keys":[],"keys":[]}"#] {
        assert!(!keys.replace_keys(bad, after(10 * MINUTE)));
    }
    assert!(!keys.replace_keys(&[b' '; KEY_SET_MAX_BYTES + 1], after(10 * MINUTE)));
    assert!(keys.usable_keys(after(70 * MINUTE - 1)).is_some_and(|keys| keys.find(Some("a")).is_ok()));
    assert!(keys.usable_keys(after(70 * MINUTE)).is_none());
}

#[test]
fn a_key_that_is_withdrawn_is_gone_with_the_next_look() {
    let keys = loaded("a");
    assert!(keys.replace_keys(&set(&[key("b")]), after(10 * MINUTE)));
    assert!(!keys.has_key(Some("a")) && keys.has_key(Some("b")));
}

#[test]
fn keys_that_no_rule_allows_are_left_out() {
    let with = |member: &str, value: Value| {
        let mut key = key("x");
        key[member] = value;
        key
    };
    for bad in [
        with("use", json!("enc")),
        with("key_ops", json!(["encrypt"])),
        with("alg", json!("ES384")),
        with("alg", json!("none")),
        with("d", json!("AAAA")),
        with("k", json!("AAAA")),
        with("x", json!("AAAA")),
        with("kid", json!("")),
        with("kid", json!(1)),
        json!({"kty": "oct", "kid": "x", "k": "A".repeat(43)}),
        json!("x"),
    ] {
        assert!(
            parse_published_keys(&set(std::slice::from_ref(&bad)), &[Algorithm::Es256])
                .is_none_or(|keys| keys.find(Some("x")).is_err())
        );
        let keys = parse_published_keys(&set(&[bad.clone(), key("good")]), &[Algorithm::Es256]).unwrap();
        assert!(keys.find(Some("good")).is_ok() && keys.find(Some("x")).is_err(), "{bad}");
        assert!(keys.find(None).is_ok(), "one is left");
    }
}

#[test]
fn an_unnamed_key_is_used_alone_and_left_out_beside_others() {
    let mut unnamed = key("x");
    unnamed.as_object_mut().unwrap().remove("kid");
    let alone = parse_published_keys(&set(std::slice::from_ref(&unnamed)), &[Algorithm::Es256]).unwrap();
    assert!(alone.find(None).is_ok() && alone.find(Some("x")).is_ok());
    let keys = parse_published_keys(&set(&[unnamed, key("good")]), &[Algorithm::Es256]).unwrap();
    assert!(keys.find(Some("good")).is_ok() && keys.find(Some("x")).is_err());
}

#[test]
fn keys_that_share_a_name_are_both_left_out() {
    let keys = parse_published_keys(&set(&[key("a"), key("a"), key("b")]), &[Algorithm::Es256]).unwrap();
    assert!(keys.find(Some("a")).is_err() && keys.find(Some("b")).is_ok());
    assert!(parse_published_keys(&set(&[key("a"), key("a")]), &[Algorithm::Es256]).is_none());
}

#[test]
fn members_that_a_provider_adds_do_no_harm() {
    let mut key = key("a");
    key["issuer"] = json!("https://login.example/{tenantid}/v2.0");
    key["x5c"] = json!(["AAAA"]);
    assert!(parse_published_keys(&set(&[key]), &[Algorithm::Es256]).is_some());
}

proptest! {
    #![proptest_config(crate::testing::property_config())]

    /// Holds for any `kid`s in tokens and any behavior of the provider.
    #[test]
    fn never_more_than_two_requests_in_a_minute(
        steps in proptest::collection::vec((0_i64..20_000, 0_u8..4, any::<bool>()), 1..300)
    ) {
        let (keys, mut now, mut asked) = (loaded("0"), NOW, vec![NOW]);
        for (wait, kid, answers) in steps {
            now = now.plus_millis(wait);
            if keys.decide_fetch(Some(&kid.to_string()), now) == FetchDecision::Fetch {
                keys.start_fetch(now);
                asked.push(now);
                if answers {
                    keys.replace_keys(&set(&[key("0")]), now);
                }
                keys.finish_fetch();
            }
        }
        for three in asked.windows(3) {
            prop_assert!(three[2].millis_since(three[0]) >= 60_000);
        }
    }
}
