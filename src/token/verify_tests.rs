use serde_json::json;

use super::super::testing::{Fixture, NAME, NOW, PROOF_TARGET, Prover, encode};
use super::*;
use crate::constants::TOKEN_HEADER_MAX_BYTES;
use crate::token::Scope;
use crate::types::ids::UserKey;

/// Returns the refusal of a valid token after `change`.
fn changed(change: impl FnOnce(&mut Fixture)) -> Option<Refusal> {
    let mut fixture = Fixture::new();
    change(&mut fixture);
    fixture.verify().err()
}

#[test]
fn a_good_token_grants_what_it_says() {
    let mut fixture = Fixture::new();
    fixture.claims["plan"] = json!("pro");
    fixture.claims["jti"] = json!("j1");
    let verified = fixture.verify().unwrap();
    assert_eq!(verified.grant.user, UserKey::new(NAME, "u1"));
    assert_eq!((verified.grant.plan.as_deref(), verified.grant.jti.as_deref()), (Some("pro"), Some("j1")));
    assert_eq!(verified.grant.expires_at, UnixSeconds(NOW + 300));
    assert_eq!((verified.issuer(), verified.kid()), (NAME, Some("k1")));
}

#[test]
fn a_subject_is_the_issuers_own() {
    let mut other = Fixture::new();
    other.settings["issuer"] = json!("https://other.example");
    other.claims["iss"] = json!("https://other.example");
    assert_ne!(other.verify().unwrap().grant.user, Fixture::new().verify().unwrap().grant.user);
}

#[test]
fn an_issuers_token_is_verified_with_that_issuers_key_alone() {
    let (one, mut two) = (Fixture::new(), Fixture::new());
    two.settings["issuer"] = json!("https://other.example");
    let issuers = [one.issuers(), two.issuers()].concat();
    // Signed with the second issuer's key, in the first issuer's name.
    let token = two.sign(&two.header.to_string(), &one.claims.to_string());
    let refusal = verify(&token, &issuers, Purpose::Access, Possession::None, UnixSeconds(NOW)).unwrap_err();
    assert_eq!(refusal, Refusal::BadSignature);
}

#[test]
fn a_token_is_for_the_uses_of_its_issuer() {
    let fixture = Fixture::new();
    for purpose in [Purpose::Exchange, Purpose::Admin, Purpose::Attest] {
        let refusal =
            verify(&fixture.token(), &fixture.issuers(), purpose, Possession::None, UnixSeconds(NOW)).unwrap_err();
        assert_eq!(refusal, Refusal::WrongUse);
    }
}

#[test]
fn times_have_a_leeway_and_no_more() {
    for (name, delta, refusal) in [
        ("iat", 5, None),
        ("iat", 6, Some(Refusal::IssuedInFuture)),
        ("nbf", 5, None),
        ("nbf", 6, Some(Refusal::NotYetValid)),
    ] {
        assert_eq!(changed(|fixture| fixture.claims[name] = json!(NOW + delta)), refusal, "{name} {delta}");
    }
    let fixture = Fixture::new();
    assert!(fixture.verify_at(NOW + 304).is_ok());
    assert_eq!(fixture.verify_at(NOW + 305).unwrap_err(), Refusal::Expired);
    assert_eq!(fixture.verify_at(i64::MAX).unwrap_err(), Refusal::Expired);
    assert_eq!(fixture.verify_at(i64::MIN).unwrap_err(), Refusal::IssuedInFuture);
}

#[test]
fn a_lifetime_is_positive_and_bounded() {
    for (lifetime, refusal) in [
        (900, None),
        (901, Some(Refusal::BadLifetime)),
        (1, None),
        (0, Some(Refusal::BadLifetime)),
        (-1, Some(Refusal::BadLifetime)),
    ] {
        assert_eq!(changed(|fixture| fixture.claims["exp"] = json!(NOW + lifetime)), refusal, "{lifetime}");
    }
}

#[test]
fn another_audience_claim_stands_in_and_aud_is_checked_too() {
    let azp = |aud: Option<&str>, azp: Option<&str>| {
        changed(|fixture| {
            fixture.settings["audience_claim"] = json!("azp");
            let claims = fixture.claims.as_object_mut().unwrap();
            claims.remove("aud");
            claims.extend(aud.map(|name| ("aud".to_owned(), json!(name))));
            claims.extend(azp.map(|name| ("azp".to_owned(), json!(name))));
        })
    };
    assert_eq!(azp(None, Some("test")), None);
    assert_eq!(azp(Some("test"), Some("test")), None);
    for (aud, stand_in) in [(Some("other"), Some("test")), (Some("test"), None), (None, Some("other")), (None, None)] {
        assert_eq!(azp(aud, stand_in), Some(Refusal::WrongAudience), "{aud:?} {stand_in:?}");
    }
}

#[test]
fn types_are_media_types() {
    for (typ, good) in [
        ("JWT", true),
        ("jwt", true),
        ("at+jwt", true),
        ("AT+JWT", true),
        ("application/at+jwt", true),
        ("APPLICATION/JWT", true),
        ("application/application/jwt", false),
        ("absent", false),
        ("", false),
        ("jwt ", false),
        ("id+jwt", false),
        ("dpop+jwt", false),
        ("text/jwt", false),
    ] {
        let refusal = changed(|fixture| fixture.header["typ"] = json!(typ));
        assert_eq!(refusal, (!good).then_some(Refusal::WrongType), "{typ}");
    }
}

#[test]
fn a_header_has_a_greatest_length() {
    let header = |length: usize| format!("{:length$}", r#"{"alg":"HS256"}"#);
    assert!(Header::parse(header(TOKEN_HEADER_MAX_BYTES).as_bytes()).is_ok());
    let refusal = Header::parse(header(TOKEN_HEADER_MAX_BYTES + 1).as_bytes()).unwrap_err();
    assert_eq!(refusal, Refusal::HeaderTooLong);
}

#[test]
fn a_header_without_type_needs_to_be_allowed() {
    let without = |fixture: &mut Fixture| drop(fixture.header.as_object_mut().unwrap().remove("typ"));
    assert_eq!(changed(without), Some(Refusal::WrongType));
    let allow = |fixture: &mut Fixture| fixture.settings["token_types"] = json!(["absent"]);
    assert_eq!(changed(|fixture| (without(fixture), allow(fixture)).0), None);
    // `absent` is a word of the configuration, not a media type.
    assert_eq!(
        changed(|fixture| (allow(fixture), fixture.header["typ"] = json!("absent")).0),
        Some(Refusal::WrongType)
    );
}

#[test]
fn extra_header_members_are_allowed_by_name_and_ignored() {
    assert_eq!(changed(|fixture| fixture.header["x5t"] = json!("AA")), Some(Refusal::UnexpectedHeaderMember));
    let refusal = changed(|fixture| {
        fixture.settings["extra_header_members"] = json!(["x5t"]);
        fixture.header["x5t"] = json!({"any": ["thing"]});
    });
    assert_eq!(refusal, None);
}

#[test]
fn without_its_issuers_keys_a_token_is_neither_good_nor_bad() {
    let mut fixture = Fixture::new();
    fixture.settings["algorithms"] = json!(["ES256"]);
    fixture.settings["keys"] = json!({"jwks_url": "https://issuer.example/keys"});
    fixture.header["alg"] = json!("ES256");
    assert_eq!(fixture.verify().err(), Some(Refusal::KeysUnavailable));
    let issuers = fixture.issuers();
    let (keys, kid) = find_remote_keys(&fixture.token(), &issuers, Purpose::Access).unwrap();
    assert_eq!((keys.url(), kid.as_deref()), ("https://issuer.example/keys", Some("k1")));
    assert!(find_remote_keys(&fixture.token(), &issuers, Purpose::Admin).is_none());
    assert!(find_remote_keys("a.b.c", &issuers, Purpose::Access).is_none());
}

#[test]
fn a_binding_that_is_not_understood_is_refused() {
    let jkt = encode([1; 32]);
    for value in [
        json!({"jkt": "x"}),
        json!({"jkt": 1}),
        json!({"jkt": encode([1; 31])}),
        json!({"x5t#S256": jkt}),
        json!({"jkt": jkt, "kid": "k1"}),
        json!(null),
        json!({}),
        json!([]),
        json!(jkt),
    ] {
        let refusal = changed(|fixture| fixture.claims["cnf"] = value.clone());
        assert_eq!(refusal, Some(Refusal::BadBinding), "{value}");
    }
}

/// Verifies a token with the proof that `proof` makes for it. The token is bound to the key of `bound`, if there is
/// one.
fn held(
    rule: &str,
    bound: Option<&Prover>,
    purpose: Purpose,
    proof: impl Fn(&str) -> Option<Proof>,
) -> Result<(), Refusal> {
    let mut fixture = Fixture::new();
    fixture.settings["dpop"] = json!(rule);
    fixture.settings["use"] = json!([<&str>::from(purpose)]);
    if let Some(prover) = bound {
        fixture.claims["cnf"] = prover.cnf();
    }
    let token = fixture.token();
    let proof = proof(&token);
    let possession = proof.as_ref().map_or(Possession::None, Possession::Proved);
    verify(&token, &fixture.issuers(), purpose, possession, UnixSeconds(NOW)).map(|_| ())
}

#[test]
fn a_bound_token_is_worth_nothing_without_its_keys_proof_for_it() {
    let (prover, thief) = (Prover::new("ES256"), Prover::new("EdDSA"));
    let access = |proof: &dyn Fn(&str) -> Option<Proof>| held("allowed", Some(&prover), Purpose::Access, proof);
    assert_eq!(access(&|token| Some(prover.proof_for(token))), Ok(()));
    assert_eq!(access(&|_| None), Err(Refusal::BoundTokenWithoutProof));
    assert_eq!(access(&|token| Some(thief.proof_for(token))), Err(Refusal::ProofOfAnotherKey));
    assert_eq!(access(&|_| Some(prover.proof_for("another"))), Err(Refusal::ProofOfAnotherToken));
    let without_hash = |_: &str| Some(Proof::verify(Some(&prover.proof()), PROOF_TARGET, UnixSeconds(NOW)).unwrap());
    assert_eq!(access(&without_hash), Err(Refusal::ProofOfAnotherToken));
}

#[test]
fn a_token_that_is_not_bound_takes_no_proof() {
    let prover = Prover::new("ES256");
    let proof = |token: &str| Some(prover.proof_for(token));
    assert_eq!(held("allowed", None, Purpose::Access, proof), Err(Refusal::ProofForUnboundToken));
    assert_eq!(held("required", None, Purpose::Access, proof), Err(Refusal::ProofForUnboundToken));
    assert_eq!(held("required", None, Purpose::Access, |_| None), Err(Refusal::ProofRequired));
    assert_eq!(held("allowed", None, Purpose::Access, |_| None), Ok(()));
}

#[test]
fn an_exchange_takes_a_proof_with_any_token_and_needs_the_right_one_for_a_bound_token() {
    let (prover, thief) = (Prover::new("ES256"), Prover::new("ES256"));
    let without_hash =
        |prover: &Prover| Some(Proof::verify(Some(&prover.proof()), PROOF_TARGET, UnixSeconds(NOW)).unwrap());
    let exchange =
        |rule, bound, proof: Option<&Prover>| held(rule, bound, Purpose::Exchange, |_| proof.and_then(without_hash));
    assert_eq!(exchange("allowed", None, None), Ok(()));
    assert_eq!(exchange("allowed", None, Some(&prover)), Ok(()));
    assert_eq!(exchange("required", None, Some(&prover)), Ok(()));
    assert_eq!(exchange("required", None, None), Err(Refusal::ProofRequired));
    assert_eq!(exchange("allowed", Some(&prover), Some(&prover)), Ok(()));
    assert_eq!(exchange("allowed", Some(&prover), Some(&thief)), Err(Refusal::ProofOfAnotherKey));
    assert_eq!(exchange("allowed", Some(&prover), None), Err(Refusal::BoundTokenWithoutProof));
}

#[test]
fn a_plan_is_the_configured_claim_where_that_is_a_short_string() {
    for (value, plan) in
        [(json!("pro"), Some("pro")), (json!(1), None), (json!("p".repeat(65)), None), (json!(null), None)]
    {
        let mut fixture = Fixture::new();
        fixture.settings["plan_claim"] = json!("https://a.example/tier");
        fixture.claims["https://a.example/tier"] = value;
        fixture.claims["plan"] = json!("ignored");
        assert_eq!(fixture.verify().unwrap().grant.plan.as_deref(), plan);
    }
}

#[test]
fn an_address_counts_only_if_its_issuer_vouches_for_it() {
    for (claims, by_claim, by_setting) in [
        (json!({"email": "a@b.example", "email_verified": true}), true, true),
        (json!({"email": "a@b.example", "email_verified": "true"}), true, true),
        (json!({"email": "a@b.example"}), false, true),
        (json!({"email": "a@b.example", "email_verified": null}), false, true),
        (json!({"email": "a@b.example", "email_verified": false}), false, false),
        (json!({"email": "a@b.example", "email_verified": "false"}), false, false),
        (json!({"email": "a@b.example", "email_verified": "True"}), false, false),
        (json!({"email": "a@b.example", "email_verified": ""}), false, false),
        (json!({"email": "a@b.example", "email_verified": 1}), false, false),
        (json!({"email": "a@b.example", "email_verified": [true]}), false, false),
        (json!({"email": ["a@b.example"], "email_verified": true}), false, false),
        (json!({"email": null, "email_verified": true}), false, false),
        // No name for the audit log: empty, hidden, or as long as a token.
        (json!({"email": "", "email_verified": true}), false, false),
        (json!({"email": "a@b.example\u{202e}", "email_verified": true}), false, false),
        (json!({"email": format!("a@{}", "b".repeat(253)), "email_verified": true}), false, false),
        (json!({}), false, false),
    ] {
        for (trusted, counts) in [(json!(null), by_claim), (json!(false), by_claim), (json!(true), by_setting)] {
            let mut fixture = Fixture::new();
            fixture.claims.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
            if !trusted.is_null() {
                fixture.settings["email_trusted"] = trusted.clone();
            }
            let email = counts.then_some("a@b.example");
            assert_eq!(fixture.verify().unwrap().email(), email, "{claims} {trusted}");
        }
    }
}

#[test]
fn null_is_an_absent_claim_but_lifts_no_restriction() {
    let with = |name: &str| changed(|fixture| fixture.claims[name] = json!(null));
    for optional in ["nbf", "jti", "plan", "email", "email_verified", "azp", "client_id"] {
        assert_eq!(with(optional), None, "{optional}");
    }
    let mut fixture = Fixture::new();
    fixture.claims["jti"] = json!(null);
    assert_eq!(fixture.verify().unwrap().grant.jti, None);
    for (needed, refusal) in [
        ("iss", Refusal::UnknownIssuer),
        ("aud", Refusal::WrongAudience),
        ("sub", Refusal::BadSubject),
        ("iat", Refusal::BadTime),
        ("exp", Refusal::BadTime),
        ("cnf", Refusal::BadBinding),
        ("vk", Refusal::BadRestrictions),
    ] {
        assert_eq!(with(needed), Some(refusal), "{needed}");
    }
    let by_azp = |aud, azp| {
        changed(|fixture| {
            fixture.settings["audience_claim"] = json!("azp");
            fixture.claims["aud"] = aud;
            fixture.claims["azp"] = azp;
        })
    };
    assert_eq!(by_azp(json!(null), json!("test")), None, "another claim stands in for an audience that is absent");
    assert_eq!(by_azp(json!("test"), json!(null)), Some(Refusal::WrongAudience));
}

#[test]
fn the_client_is_the_one_that_the_token_names_else_its_audience() {
    let long = "c".repeat(255);
    for (claims, client) in [
        (json!({}), "test"),
        (json!({"aud": ["other", "test"]}), "test"),
        (json!({"azp": "app-a"}), "app-a"),
        (json!({"azp": "app-a", "client_id": "app-c"}), "app-c"),
        (json!({"azp": "app-a", "client_id": null}), "app-a"),
        (json!({"azp": "app-a", "client_id": ""}), "app-a"),
        (json!({"azp": ["app-a"], "client_id": "a\u{202e}b"}), "test"),
        (json!({"client_id": long}), &long),
        (json!({"client_id": format!("{long}c")}), "test"),
    ] {
        let mut fixture = Fixture::new();
        fixture.claims.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        assert_eq!(fixture.verify().unwrap().client_id(), client, "{claims}");
    }
    let mut clerk = Fixture::new();
    clerk.settings["audience_claim"] = json!("azp");
    clerk.claims["azp"] = json!("test");
    clerk.claims.as_object_mut().unwrap().remove("aud");
    assert_eq!(clerk.verify().unwrap().client_id(), "test");
}

#[test]
fn a_kid_is_ignored_where_the_only_key_has_no_name() {
    let mut fixture = Fixture::new();
    let secret = "a-raw-secret-of-more-than-32-bytes";
    fixture.key = jwt_simple::algorithms::HS256Key::from_bytes(secret.as_bytes());
    let issuers = [fixture.settings.clone()];
    let issuers = crate::token::parse_issuers(&json!(issuers).to_string(), &|_| Some(secret.to_owned())).unwrap();
    let verify = |fixture: &Fixture| {
        verify(&fixture.token(), &issuers, Purpose::Access, Possession::None, UnixSeconds(NOW)).map(|token| token.grant)
    };
    // The header of Supabase's tokens for a project with a shared secret.
    for kid in [json!("4ZXLmBq7ArxFaTZw"), json!("k1"), json!("../../dev/null")] {
        fixture.header["kid"] = kid;
        assert!(verify(&fixture).is_ok());
    }
    fixture.header["kid"] = json!("a b");
    assert_eq!(verify(&fixture).unwrap_err(), Refusal::BadKeyId, "its form is checked all the same");
    fixture.header["kid"] = json!("k1");
    fixture.key = jwt_simple::algorithms::HS256Key::from_bytes(b"another secret of more than 32 bytes");
    assert_eq!(verify(&fixture).unwrap_err(), Refusal::BadSignature);
}

#[test]
fn other_claims_are_the_providers_business() {
    assert_eq!(changed(|fixture| fixture.claims["https://a.example/roles"] = json!(["a", {"b": 1}])), None);
}

#[test]
fn a_grant_allows_the_scopes_of_its_token_and_no_other() {
    let mut fixture = Fixture::new();
    fixture.claims["vk"] = json!({"scope": ["read", "files"]});
    let grant = fixture.verify().unwrap().grant;
    let allowed: Vec<bool> = Scope::ALL.iter().map(|scope| grant.has_scope(*scope)).collect();
    assert_eq!(allowed, [false, true, false, true]);
}

#[test]
fn the_issuer_in_vk_changes_nobody() {
    let mut fixture = Fixture::new();
    fixture.claims["vk"] = json!({"iss": "https://other.example"});
    assert_eq!(fixture.verify().unwrap().grant.user, UserKey::new(NAME, "u1"));
}
