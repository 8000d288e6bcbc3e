use serde_json::json;

use super::super::issuer::loopback_problems;
use super::super::refusal::Refusal;
use super::super::testing::{Fixture, NAME};
use super::*;

const SECRET: &str = "test-only-0123456789abcdef0123456789abcdef";

fn good() -> Value {
    json!({"issuer": NAME, "audience": ["test"], "keys": {"secret": "TEST_SECRET"}, "algorithms": ["HS256"]})
}

/// Returns the texts of problems, without the list of known members.
fn texts(problems: Vec<SettingProblem>) -> Vec<String> {
    let known = |text: String| text.split("; known are").next().unwrap().to_owned();
    problems.into_iter().map(|problem| known(problem.text)).collect()
}

fn parse(list: &Value) -> Result<Vec<Issuer>, Vec<String>> {
    parse_issuers(&list.to_string(), &|name| (name == "TEST_SECRET").then(|| SECRET.to_owned())).map_err(texts)
}

/// Returns the problems of a valid issuer with one member changed. `null` removes the member.
fn with(member: &str, value: Value) -> Vec<String> {
    let mut issuer = good();
    if value.is_null() {
        issuer.as_object_mut().unwrap().remove(member);
    } else {
        issuer[member] = value;
    }
    parse(&json!([issuer])).err().unwrap_or_default()
}

fn with_use(purposes: Value, lifetime: i64) -> Vec<String> {
    let mut issuer = good();
    issuer["use"] = purposes;
    issuer["max_lifetime_secs"] = json!(lifetime);
    parse(&json!([issuer])).err().unwrap_or_default()
}

#[test]
fn defaults_are_the_contracts() {
    let issuer = parse(&json!([good()])).unwrap().remove(0);
    assert_eq!((issuer.name(), issuer.algorithms()), (NAME, &[Algorithm::Hs256][..]));
    assert_eq!((issuer.max_lifetime_secs, issuer.leeway_secs), (900, 5));
    assert_eq!(issuer.purposes, [Purpose::Access]);
    assert_eq!(issuer.token_types, TokenTypes::new(&["jwt".into(), "AT+JWT".into()]));
    assert_eq!((issuer.audience_claim, issuer.plan_claim.as_str()), (AudienceClaim::Aud, "plan"));
    assert_eq!(issuer.proof, ProofRule::Allowed);
    assert!(issuer.extra_header_members.is_empty() && issuer.admins.is_empty() && !issuer.is_loopback());
    assert!(!issuer.email_trusted);
}

#[test]
fn what_is_required_is_missed_by_name() {
    for member in ["issuer", "audience", "keys", "algorithms"] {
        assert_eq!(with(member, Value::Null), [format!("[0].{member} is missing")]);
    }
}

#[test]
fn every_problem_is_reported_at_once() {
    let list = json!([{"leeway_secs": 61, "color": 1, "dpop": "maybe"}, 7, good(), good()]);
    let problems = parse(&list).unwrap_err();
    for expected in [
        "[0].color is not a setting",
        "[0].issuer is missing",
        "[0].audience is missing",
        "[0].keys is missing",
        "[0].algorithms is missing",
        "[0].leeway_secs is not an integer from 0 to 60",
        "[0].dpop is not one of allowed, required",
        "[1] is not an object",
        "[3].issuer is listed twice",
    ] {
        assert!(problems.iter().any(|problem| problem == expected), "{expected}: {problems:?}");
    }
    assert_eq!(problems.len(), 9, "{problems:?}");
}

#[test]
fn the_text_is_a_list_of_issuers() {
    for text in ["", "{}", "[]", "null", "[", "[{\"issuer\":1,\"issuer\":2}]", "[[[[[[[[[1]]]]]]]]]"] {
        assert_eq!(parse_issuers(text, &|_| None).unwrap_err().len(), 1, "{text}");
    }
}

#[test]
fn an_issuer_that_is_a_url_is_a_plain_https_url() {
    for good in [
        "https://a.example/",
        "https://a.example/t/v2.0",
        "http://localhost:8788",
        "http://127.0.0.1:1",
        "https://[::1]",
    ] {
        assert_eq!(with("issuer", json!(good)), [""; 0], "{good}");
    }
    for bad in [
        "http://a.example",
        "ftp://a.example",
        "https://",
        "://",
        "a.example://",
        "https://u:p@a.example",
        "https://a.example?x",
        "https://a.example#x",
        " https://a.example",
        "https://a.example\n",
        "https://a.exa\tmple",
        "http://localhost.example",
        "http://10.0.0.1",
        "HTTPS://a.example",
    ] {
        let problems = with("issuer", json!(bad));
        assert!(problems.len() == 1 && problems[0].starts_with("[0].issuer is a URL, and not an https one"), "{bad:?}");
    }
    let url = |length: usize| json!(format!("https://a.example/{}", "p".repeat(length - "https://a.example/".len())));
    assert_eq!(with("issuer", url(512)), [""; 0]);
    assert_eq!(with("issuer", url(513)).len(), 1);
}

#[test]
fn an_issuer_need_not_be_a_url() {
    let longest = "n".repeat(512);
    for good in ["accounts.google.com", "stytch.com/project-live-0", "a", "urn:example:idp", "Guest", "gues", &longest]
    {
        assert_eq!(with("issuer", json!(good)), [""; 0], "{good}");
        let mut fixture = Fixture::new();
        fixture.settings["issuer"] = json!(good);
        assert!(!fixture.issuers()[0].is_loopback());
        fixture.claims["iss"] = json!(good);
        assert_eq!(fixture.verify().unwrap().issuer(), good);
        fixture.claims["iss"] = json!(format!("{good}/"));
        assert_eq!(fixture.verify().unwrap_err(), Refusal::UnknownIssuer, "the exact text and no other");
    }
    let rule = "[0].issuer is not 1 to 512 printable ASCII characters without blanks";
    for bad in ["", " ", "a b", "a\n", "\ta", "a\u{7f}", "é.example", &"n".repeat(513)] {
        assert_eq!(with("issuer", json!(bad)), [rule], "{bad:?}");
    }
    assert_eq!(with("issuer", json!(7)), [rule]);
    assert_eq!(with("issuer", json!("guest")), ["[0].issuer is guest, the issuer of guests' tokens"]);
}

#[test]
fn a_loopback_issuer_is_for_a_loopback_worker() {
    let mut issuer = good();
    issuer["issuer"] = json!("http://localhost:8788");
    let issuers = parse(&json!([good(), issuer])).unwrap();
    assert_eq!(issuers.iter().map(Issuer::is_loopback).collect::<Vec<_>>(), [false, true]);
    assert!(loopback_problems(&issuers, true).is_empty());
    assert_eq!(texts(loopback_problems(&issuers, false)), ["[1] is on a loopback host, and this Worker is not"]);
}

#[test]
fn keys_at_a_url_are_public_and_on_https() {
    let at = |url: Value| {
        let mut issuer = good();
        issuer["algorithms"] = json!(["RS256"]);
        issuer["keys"] = json!({ "jwks_url": url });
        parse(&json!([issuer]))
    };
    for url in ["https://a.example/keys?b=c", "https://a.example:8443/keys/", "https://[2001:db8::1]/"] {
        let issuers = at(json!(url)).unwrap();
        assert_eq!(issuers[0].remote_keys().map(|keys| keys.url()), Some(url));
        assert!(!issuers[0].is_loopback());
    }
    for bad in [
        json!("http://a.example/keys"),
        json!("https://u:p@a.example/"),
        json!("https://a.example/#b"),
        json!(""),
        json!(1),
    ] {
        assert!(at(bad.clone()).unwrap_err()[0].starts_with("[0].keys.jwks_url is not an https URL"), "{bad}");
    }
    let local = at(json!("http://127.0.0.1:8788/keys")).unwrap();
    assert_eq!(texts(loopback_problems(&local, false)), ["[0] is on a loopback host, and this Worker is not"]);
}

#[test]
fn algorithms_are_known_and_of_one_kind() {
    for bad in [json!([]), json!("HS256"), json!(["none"]), json!(["hs256"]), json!(["HS256", "HS256"]), json!([1])] {
        assert_eq!(with("algorithms", bad.clone()).len(), 1, "{bad}");
    }
    assert!(with("algorithms", json!(["HS256", "RS256"]))[0].starts_with("[0].algorithms mixes"));
    assert!(with("algorithms", json!(["RS256"]))[0].contains("not HS"));
}

#[test]
fn lifetimes_and_leeway_have_bounds_by_use() {
    assert_eq!(with_use(json!(["access"]), 3_600), [""; 0]);
    assert_eq!(with_use(json!(["access"]), 3_601), ["[0].max_lifetime_secs is not an integer from 1 to 3600"]);
    assert_eq!(with_use(json!(["access", "exchange"]), 3_601).len(), 1);
    assert_eq!(with_use(json!(["exchange", "admin"]), 86_400), [""; 0]);
    assert_eq!(with_use(json!(["exchange"]), 86_401).len(), 1);
    for bad in [json!(0), json!(-1), json!(1.5), json!("900")] {
        assert_eq!(with("max_lifetime_secs", bad.clone()).len(), 1, "{bad}");
    }
    assert_eq!(with("leeway_secs", json!(0)), [""; 0]);
    assert_eq!(with("leeway_secs", json!(60)), [""; 0]);
    assert_eq!(with("leeway_secs", json!(-1)).len(), 1);
}

#[test]
fn an_attestation_never_calls_the_api() {
    assert_eq!(with_use(json!(["attest"]), 900), [""; 0]);
    assert_eq!(with_use(json!(["attest", "access"]), 900), ["[0].use has attest together with another use"]);
    for other in ["exchange", "admin"] {
        assert_eq!(with_use(json!(["attest", other]), 900), ["[0].use has attest together with another use"]);
    }
    for bad in [json!([]), json!(["all"]), json!("access"), json!(["access", "access"])] {
        assert_eq!(with("use", bad.clone()).len(), 1, "{bad}");
    }
}

#[test]
fn the_audience_claim_is_named_like_the_claim() {
    for (name, claim) in
        [("aud", AudienceClaim::Aud), ("azp", AudienceClaim::Azp), ("client_id", AudienceClaim::ClientId)]
    {
        let mut issuer = good();
        issuer["audience_claim"] = json!(name);
        assert_eq!(parse(&json!([issuer])).unwrap()[0].audience_claim, claim);
    }
}

#[test]
fn lists_and_words_are_checked() {
    for (member, bad) in [
        ("audience", json!([])),
        ("audience", json!("test")),
        ("audience", json!([""])),
        ("audience", json!(["a", 1])),
        ("token_types", json!([])),
        ("token_types", json!(["a b"])),
        ("audience_claim", json!("sub")),
        ("audience_claim", json!(1)),
        ("plan_claim", json!("")),
        ("dpop", json!("on")),
        ("admins", json!([])),
        ("admins", json!({"a": ["root"]})),
        ("admins", json!({"a": "read"})),
        ("email_trusted", json!("true")),
        ("email_trusted", json!(1)),
        ("extra_header_members", json!(["crit"])),
        ("extra_header_members", json!(["b64"])),
        ("extra_header_members", json!(["enc"])),
        ("extra_header_members", json!("x5t")),
    ] {
        assert_eq!(with(member, bad.clone()).len(), 1, "{member} {bad}");
    }
    assert_eq!(with("audience", json!(["a", "b", "a"])), ["[0].audience[2] is listed twice"]);
    assert_eq!(with("extra_header_members", json!(["x5t", "cat"])), [""; 0]);
    assert_eq!(with("token_types", json!(["absent"])), [""; 0]);
    assert_eq!(with("audience_claim", json!("azp")), [""; 0]);
}

#[test]
fn operators_have_the_rights_that_are_written_down() {
    let mut issuer = good();
    issuer["admins"] = json!({"op@a.example": ["read", "write"], "viewer": ["read"]});
    let issuer = parse(&json!([issuer])).unwrap().remove(0);
    assert_eq!(issuer.admin_rights("op@a.example"), [AdminRight::Read, AdminRight::Write]);
    assert_eq!(issuer.admin_rights("viewer"), [AdminRight::Read]);
    assert_eq!(issuer.admin_rights("VIEWER"), []);
}

#[test]
fn keys_have_exactly_one_source() {
    for bad in
        [json!({}), json!({"secret": "TEST_SECRET", "jwks": {"keys": []}}), json!("TEST_SECRET"), json!({"pem": "x"})]
    {
        assert_eq!(with("keys", bad), ["[0].keys does not have exactly one of jwks_url, jwks and secret"]);
    }
    assert!(with("keys", json!({"jwks_url": "https://a.example/jwks"}))[0].contains("these need keys.secret"));
    assert!(with("keys", json!({"jwks": {"keys": []}}))[0].contains("these need keys.secret"));
}

#[test]
fn a_secret_that_is_missing_is_named_and_one_at_the_wrong_place_is_not_shown() {
    assert_eq!(with("keys", json!({"secret": "OTHER"})), ["[0].keys.secret names OTHER, which is not set"]);
    for name in [SECRET, "", "1A", "a", "DEEPCREATIVE_API_KEY", "TOKEN_SIGNING_KEYS"] {
        let problems = with("keys", json!({"secret": name}));
        assert!(problems.len() == 1 && problems[0].starts_with("[0].keys.secret is not the name"), "{name}");
        assert!(name.len() < 2 || !problems[0].contains(name), "{name}");
    }
}

#[test]
fn problems_of_keys_have_their_place_and_no_value() {
    let short = parse_issuers(&json!([good()]).to_string(), &|_| Some(String::from("hunter2")));
    let short = texts(short.unwrap_err());
    assert_eq!(short.len(), 1);
    assert!(short[0].starts_with("[0].keys.secret names TEST_SECRET, which is too short"), "{short:?}");
    assert!(!short[0].contains("hunter2"));
    let mut issuer = good();
    issuer["algorithms"] = json!(["ES256"]);
    issuer["keys"] = json!({"jwks": {"keys": [{"kty": "EC", "crv": "P-256", "kid": "a", "use": "enc"}]}});
    assert_eq!(parse(&json!([issuer])).unwrap_err(), ["[0].keys.jwks.keys[0] has a use other than sig"]);
}

#[test]
fn an_unknown_member_is_shown_only_where_it_looks_like_a_name() {
    assert_eq!(with("color", json!(1)), ["[0].color is not a setting"]);
    assert_eq!(with("max_lifetime", json!(1)), ["[0].max_lifetime is not a setting"]);
    let (longest, longer) = ("n".repeat(32), "n".repeat(33));
    assert_eq!(with(&longer, json!(1)), ["[0](entry 4) is not a setting"]);
    assert_eq!(with(&longest, json!(1)), [format!("[0].{longest} is not a setting")]);
    // Uppercase letters and digits sort before the other members, so the entry is the first one.
    for name in ["SK_live_SECRET", "Color", "9color "] {
        assert_eq!(with(name, json!(1)), ["[0](entry 0) is not a setting"], "{name}");
    }
}

#[test]
fn every_operator_and_every_key_is_checked_even_if_another_is_wrong() {
    let mut issuer = good();
    issuer["admins"] = json!({"a@x.example": ["rule"], "b": ["read", "write", "own"], "c": 1});
    issuer["algorithms"] = json!(["none"]);
    issuer["keys"] = json!({"secret": "OTHER"});
    let problems = parse_issuers(&json!([issuer]).to_string(), &|_| None).unwrap_err();
    let shown = texts(problems.clone());
    assert_eq!(shown[0].split(" HS").next(), Some("[0].algorithms[0] is not one of"));
    assert_eq!(
        shown[1..],
        [
            "[0].keys.secret names OTHER, which is not set",
            "[0].admins(entry 0)[0] is not read or write",
            "[0].admins(entry 1)[2] is not read or write",
            "[0].admins(entry 2) is not a list of strings",
        ]
    );
    let place = Place::default().item(0).member("admins").hidden_member("a@x.example", 0).item(0);
    assert_eq!(problems[2].at, place);
}

#[test]
fn settings_hashes_tell_settings_apart_and_leave_out_the_keys() {
    let hash = |settings: &Value| settings_hash(settings.as_object().unwrap());
    let fixture = Fixture::new();
    let (mut audience, mut keys) = (fixture.settings.clone(), fixture.settings.clone());
    audience["audience"] = json!(["other"]);
    keys["keys"] = json!({"secret": "OTHER"});
    assert_ne!(hash(&fixture.settings), hash(&audience));
    assert_eq!(hash(&fixture.settings), hash(&keys));
}
