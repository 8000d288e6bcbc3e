//! Settings: one valid configuration and one mutation per case. Also: how a policy judges a client's request.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use valetkey::config::{self, Config, Jurisdiction, Location, LogLevel, Problem, StorageSettings};
use valetkey::parse::problem::{Place, SettingProblem};
use valetkey::policy::{Policy, check_batch, check_create, check_named_create, parse_policy};
use valetkey::token::Grant;
use valetkey::types::credits::MicroCredits;
use valetkey::types::model::ModelId;
use valetkey::types::retention::Retention;
use valetkey::wire::rejection::{Code, Rejection};

use crate::policy::grant;

const KEY: &str = "sk_live_Test0Test1Test2Test3";

fn policy() -> Value {
    json!({
        "plans": {"default": {"requests_per_minute": 60, "predictions_per_minute": 10, "concurrent_predictions": 2, "daily_credits": "50"}},
        "models": {"acme/model-x": {"credits": "2.5", "max_image_count": 4, "input": {
            "prompt": {"type": "string", "required": true, "max_length": 10},
            "seed": {"type": "integer", "min": 0, "max": 9},
            "strength": {"type": "number", "min": 0, "max": 1, "default": 0.5},
            "fast": {"type": "boolean"},
            "shape": {"type": "string", "enum": ["1:1", "16:9"]},
            "image": {"type": "string", "format": "https-url"},
            "tags": {"type": "array", "items": {"type": "string", "max_length": 3}, "max_items": 2},
        }}},
    })
}

fn good() -> BTreeMap<String, String> {
    let issuers = json!([{"issuer": "https://idp.example/", "audience": ["app"], "keys": {"secret": "APP_SECRET"}, "algorithms": ["HS256"]}]);
    let settings = [
        ("DEEPCREATIVE_API_KEY", KEY.to_owned()),
        ("ALLOWED_ORIGINS", "https://app.example, http://localhost:3000, capacitor://localhost".to_owned()),
        ("ISSUERS", issuers.to_string()),
        ("APP_SECRET", "0123456789abcdef0123456789abcdef".to_owned()),
        ("POLICY", policy().to_string()),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).into()
}

fn parse(settings: &BTreeMap<String, String>) -> Result<Config, Vec<Problem>> {
    config::parse(&|name| settings.get(name).cloned())
}

fn with(name: &str, value: Option<&str>) -> Result<Config, Vec<Problem>> {
    let mut settings = good();
    match value {
        Some(value) => drop(settings.insert(name.to_owned(), value.to_owned())),
        None => drop(settings.remove(name)),
    }
    parse(&settings)
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let config = parse(&good()).unwrap();
    assert_eq!(config.upstream_url.as_str(), "https://api.deepcreativelabs.com/v1");
    assert_eq!((config.demo, config.docs_url, config.token_lifetime_secs), (None, None, 300));
    assert_eq!(config.log_level, LogLevel::Info);
    assert_eq!((config.storage.jurisdiction, config.storage.dispatcher_location), (None, None));
    assert_eq!(config.storage.retention, Retention::from_days(7));
    assert_eq!((config.public_url, config.vendor_key_next.is_none()), (None, true));
    let plan = &config.policy.plans["default"];
    assert_eq!((plan.weight, plan.max_waiting, plan.models.is_none(), plan.pool_daily_credits), (1, 20, true, None));
    assert_eq!((plan.max_files, plan.max_file_bytes), (100, 1_000_000_000));
    assert_eq!((plan.pool_weight, plan.pool_concurrent_predictions), (None, None));
    assert!((plan.pool_waiting_share - 1.0).abs() < f64::EPSILON);
    let key = &config.policy.key;
    assert_eq!((key.requests_per_minute, key.concurrent_predictions, key.daily_credits), (60, 5, None));
    assert_eq!((key.expected_other_requests_per_minute, key.max_waiting, key.max_wait_secs), (0, 500, 600));
    assert_eq!(config.policy.models[&ModelId::parse("acme/model-x").unwrap()].max_seconds, 600);
}

#[test]
fn each_invalid_setting_is_reported_by_name_and_never_by_value() {
    let cases: [(&str, &[Option<&str>]); 16] = [
        (
            "DEEPCREATIVE_API_KEY",
            &[
                None,
                Some(""),
                Some("sk_live_short"),
                Some("sk_test_0123456789abcdef0123"),
                Some("sk_live_your_key_goes_right_here"),
                Some("sk_live_0123456789abcdef0123\n"),
            ],
        ),
        ("DEEPCREATIVE_API_KEY_NEXT", &[Some(""), Some("sk_live_replace_me_0123456789")]),
        (
            "UPSTREAM_URL",
            &[
                Some(""),
                Some("vendor.example"),
                Some("http://vendor.example/v1"),
                Some("https://u:p@vendor.example/v1"),
                Some("https://vendor.example/v1?x=1"),
                Some("https://vendor.example/v1#f"),
                Some("ftp://vendor.example"),
            ],
        ),
        ("PUBLIC_URL", &[Some("http://api.example"), Some("https://api.example/path"), Some("https://u@api.example")]),
        (
            "ALLOWED_ORIGINS",
            &[
                None,
                Some(""),
                Some(" "),
                Some("*"),
                Some("https://*.example"),
                Some("https://app.example/"),
                Some("https://APP.example"),
                Some("https://app.example:443"),
                Some("http://app.example"),
                Some("null"),
                Some("https://a.example,,https://b.example"),
                Some("https://a.example,https://a.example"),
                Some("capacitor://other"),
            ],
        ),
        ("ISSUERS", &[None, Some(""), Some("[]"), Some("{}"), Some("[{}]"), Some("x")]),
        ("APP_SECRET", &[None, Some("too-short-a-secret")]),
        (
            "POLICY",
            &[
                None,
                Some(""),
                Some("{}"),
                Some("[]"),
                Some("{\"plans\":{},\"models\":{}}"),
                Some("{\"plans\":{},\"plans\":{}}"),
            ],
        ),
        ("DEMO", &[Some(""), Some("true"), Some("ON")]),
        ("TOKEN_LIFETIME_SECS", &[Some("59"), Some("901"), Some("5m"), Some("-60"), Some("+300"), Some("")]),
        ("LOG_LEVEL", &[Some("warn"), Some("")]),
        ("JURISDICTION", &[Some("EU"), Some("de"), Some("")]),
        ("DISPATCHER_LOCATION", &[Some("europe"), Some("WEUR"), Some("")]),
        ("RETENTION_DAYS", &[Some("0"), Some("31"), Some("7d"), Some("1.5"), Some("-1"), Some("")]),
        ("DEV_LAN", &[Some(""), Some("true")]),
        (
            "TOKEN_SIGNING_KEYS",
            &[Some(""), Some("{\"keys\":[]}"), Some("{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}")],
        ),
    ];
    for (name, values) in cases {
        for value in values {
            let problems = with(name, *value).err().unwrap_or_else(|| panic!("{name} accepts {value:?}"));
            let reported = if name == "APP_SECRET" { "ISSUERS" } else { name };
            assert!(problems.iter().any(|problem| problem.name == reported), "{name} {value:?}: {problems:?}");
            if let Some(value) = value.filter(|value| value.len() > 10) {
                assert!(!format!("{problems:?}").contains(value), "{problems:?}");
            }
        }
    }
    for name in ["TURNSTILE_URL", "DOCS_URL"] {
        assert_eq!(with(name, Some("http://hooks.example")).unwrap_err()[0].name, name);
        for good in ["https://hooks.example/a", "https://hooks.example/a/?token=x"] {
            assert!(with(name, Some(good)).is_ok(), "{name} {good}");
        }
    }
}

/// Returns the settings with the receiver of one kind of notifications: `ALERT` or `EVENTS`.
fn with_receiver(kind: &str, url: &str, secret: Option<&str>) -> Result<Config, Vec<Problem>> {
    let mut settings = good();
    settings.insert(format!("{kind}_WEBHOOK_URL"), url.to_owned());
    settings.extend(secret.map(|secret| (format!("{kind}_WEBHOOK_SECRET"), secret.to_owned())));
    parse(&settings)
}

#[test]
fn a_receiver_of_notifications_has_an_https_url_and_a_secret() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for kind in ["ALERT", "EVENTS"] {
        for good in ["https://hooks.example/a", "https://hooks.example/a/?token=x"] {
            assert!(with_receiver(kind, good, Some(secret)).is_ok(), "{kind} {good}");
        }
        for (bad, name) in [("http://hooks.example", "URL"), ("https://u:p@hooks.example", "URL"), ("", "URL")] {
            let problems = with_receiver(kind, bad, Some(secret)).unwrap_err();
            assert_eq!(problems[0].name, format!("{kind}_WEBHOOK_{name}"), "{bad}");
        }
        for bad in [None, Some(""), Some("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Some("whsec_c2hvcnQ=")] {
            let problems = with_receiver(kind, "https://hooks.example", bad).unwrap_err();
            assert_eq!(problems[0].name, format!("{kind}_WEBHOOK_SECRET"), "{bad:?}");
        }
        assert!(with(&format!("{kind}_WEBHOOK_SECRET"), Some(secret)).is_ok(), "a secret alone does no harm");
        let local = with_receiver(kind, "http://127.0.0.1:1/", Some(secret)).unwrap();
        assert_eq!(local.check_host("localhost"), Ok(()));
        assert_eq!(local.check_host("api.example").unwrap_err()[0].name, format!("{kind}_WEBHOOK_URL"));
    }
}

#[test]
fn all_errors_are_reported_at_once() {
    let problems = parse(&BTreeMap::new()).unwrap_err();
    let mut names: Vec<&str> = problems.iter().map(|problem| problem.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["ALLOWED_ORIGINS", "DEEPCREATIVE_API_KEY", "ISSUERS", "POLICY"]);
}

#[test]
fn valid_variants_are_accepted() {
    for (name, value) in [
        ("DEV_LAN", "off"),
        ("UPSTREAM_URL", "http://127.0.0.1:8788/v1/"),
        ("UPSTREAM_URL", "http://[::1]:1/v1"),
        ("PUBLIC_URL", "https://api.example"),
        ("PUBLIC_URL", "http://localhost:8787"),
        ("ALLOWED_ORIGINS", "none"),
        ("ALLOWED_ORIGINS", "ionic://localhost"),
        ("DEMO", "on"),
        ("DEMO", "off"),
        ("TOKEN_LIFETIME_SECS", "900"),
        ("LOG_LEVEL", "error"),
        ("JURISDICTION", "fedramp"),
        ("DISPATCHER_LOCATION", "weur"),
        ("RETENTION_DAYS", "30"),
        ("DEEPCREATIVE_API_KEY_NEXT", "sk_live_Next0Next1Next2Next3"),
    ] {
        assert!(with(name, Some(value)).is_ok(), "{name} {value}");
    }
}

/// Parses the settings of [`own_tokens`], with one setting replaced or removed.
fn with_own_tokens(name: &str, value: Option<&str>) -> Result<Config, Vec<Problem>> {
    let mut settings = own_tokens();
    match value {
        Some(value) => drop(settings.insert(name.to_owned(), value.to_owned())),
        None => drop(settings.remove(name)),
    }
    parse(&settings)
}

/// Returns the settings of a deployment that issues its own tokens and admits guests. The private key is the example of
/// RFC 8037, appendix A.1.
fn own_tokens() -> BTreeMap<String, String> {
    let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]});
    let mut policy = policy();
    policy["plans"]["guest"] = policy["plans"]["default"].clone();
    policy["plans"]["guest"]["pool_daily_credits"] = json!("10");
    policy["plans"]["guest"]["pool_waiting_share"] = json!(0.2);
    let mut settings = good();
    let own = [
        ("PUBLIC_URL", "https://api.example".to_owned()),
        ("TOKEN_SIGNING_KEYS", keys.to_string()),
        ("TURNSTILE_SECRET", "a-secret-of-turnstile".to_owned()),
        ("POLICY", policy.to_string()),
    ];
    settings.extend(own.map(|(name, value)| (name.to_owned(), value)));
    settings
}

#[test]
fn a_public_url_on_loopback_is_an_error_on_any_other_host() {
    let problem = |config: Config, host: &str| {
        let problems = config.check_host(host).err().unwrap_or_default();
        problems.into_iter().map(|problem| problem.name).collect::<Vec<_>>()
    };
    for local in ["http://localhost:8787", "https://127.0.0.1", "http://app.localhost", "http://[::ffff:127.0.0.1]:1"] {
        for config in [with("PUBLIC_URL", Some(local)), with_own_tokens("PUBLIC_URL", Some(local))] {
            let config = config.unwrap();
            assert_eq!(problem(config.clone(), "api.example"), ["PUBLIC_URL"], "{local}");
            assert_eq!(problem(config, "localhost."), [""; 0], "{local}");
        }
    }
    assert_eq!(problem(with_own_tokens("", None).unwrap(), "api.example"), [""; 0]);
}

#[test]
fn private_addresses_are_local_with_dev_lan_which_is_an_error_on_a_public_host() {
    let lan = [
        ("ALLOWED_ORIGINS", "http://192.168.1.20:5173"),
        ("UPSTREAM_URL", "http://192.168.1.20:8788/v1"),
        ("PUBLIC_URL", "http://192.168.1.20:8787"),
    ];
    let parse_with = |changes: &[(&str, &str)]| {
        let mut settings = good();
        settings.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        parse(&settings)
    };
    for change in lan {
        assert_eq!(parse_with(&[change]).unwrap_err()[0].name, change.0);
        let config = parse_with(&[change, ("DEV_LAN", "on")]).unwrap();
        for host in ["192.168.1.20", "10.1.2.3", "localhost"] {
            assert!(config.check_host(host).is_ok(), "{host}");
        }
        for host in ["api.example.com", "8.8.8.8"] {
            let names: Vec<String> = config.check_host(host).unwrap_err().into_iter().map(|one| one.name).collect();
            assert!(names.contains(&"DEV_LAN".to_owned()), "{names:?}");
        }
    }
    let config = parse_with(&[("DEV_LAN", "on")]).unwrap();
    assert_eq!(config.check_host("api.example.com").unwrap_err().len(), 1);
    // Without the setting a private address is a public host.
    let config = parse_with(&[("UPSTREAM_URL", "http://127.0.0.1:8788/v1")]).unwrap();
    assert!(config.check_host("192.168.1.20").is_err());
}

#[test]
fn the_settings_of_the_storage_are_the_same_alone_and_with_all_others() {
    let text = [("JURISDICTION", "eu"), ("DISPATCHER_LOCATION", "weur"), ("RETENTION_DAYS", "1")];
    let mut settings = good();
    settings.extend(text.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let lookup = |name: &str| settings.get(name).cloned();
    let storage = StorageSettings {
        jurisdiction: Some(Jurisdiction::Eu),
        dispatcher_location: Some(Location::Weur),
        retention: Retention::from_days(1),
    };
    assert_eq!((config::parse(&lookup).unwrap().storage, StorageSettings::read(&lookup)), (storage, Ok(storage)));
    // They are read also where others are wrong, and not where one of them is.
    settings.insert("POLICY".to_owned(), "{}".to_owned());
    assert_eq!(StorageSettings::read(&|name| settings.get(name).cloned()), Ok(storage));
    for (name, _) in text {
        let mutated = |asked: &str| if asked == name { Some("x".to_owned()) } else { settings.get(asked).cloned() };
        assert_eq!(StorageSettings::read(&mutated).unwrap_err()[0].name, name);
    }
}

#[test]
fn a_jurisdiction_may_be_ignored_on_a_local_host_alone() {
    let config = with("JURISDICTION", Some("eu")).unwrap();
    assert!(config.check_host("api.example").is_ok() && config.check_ignored_jurisdiction("localhost").is_ok());
    assert_eq!(config.check_ignored_jurisdiction("api.example").unwrap_err()[0].name, "JURISDICTION");
    assert!(parse(&good()).unwrap().check_ignored_jurisdiction("api.example").is_ok());
}

#[test]
fn text_that_is_not_json_says_line_and_column() {
    for name in ["ISSUERS", "POLICY"] {
        for (text, expected) in [
            ("[\n  {\"a\": 1,}\n]", "not JSON at line 2, column 11"),
            ("{\"a\": 1,\n \"a\": 2}", "repeated member at line 2, column 4"),
            ("[1", "unexpected end at line 1, column 2"),
        ] {
            let problems = with(name, Some(text)).unwrap_err();
            let found: Vec<&str> = problems.iter().map(|problem| problem.problem.as_str()).collect();
            assert_eq!(found, [format!("is not acceptable JSON: {expected}")], "{name} {text}");
        }
    }
}

#[test]
fn a_problem_carries_the_place_of_its_value() {
    let place = Place::default();
    let mut policy = policy();
    policy["plans"]["default"]["models"] = json!(["acme/model-x", "acme/model-y"]);
    let problems = with("POLICY", Some(&policy.to_string())).unwrap_err();
    assert_eq!(problems[0].at, place.member("plans").member("default").member("models").item(1));
    let problems = with("ALLOWED_ORIGINS", Some("https://a.example,http://b.example")).unwrap_err();
    assert_eq!(problems[0].at, place.item(1));
    let problems = with("LOG_LEVEL", Some("loud")).unwrap_err();
    assert_eq!(problems[0].at, place);
}

#[test]
fn the_turnstile_url_is_used_as_written() {
    let url = "https://turnstile.example/siteverify/?region=eu";
    let config = with_own_tokens("TURNSTILE_URL", Some(url)).unwrap();
    assert_eq!(config.turnstile.unwrap().url.as_str(), url);
}

/// Returns the demo page's policy and document, with the settings of a deployment that admits guests and `changes`.
fn demo_with(changes: &[(&str, &str)]) -> (String, Value) {
    let mut settings = own_tokens();
    settings.insert("DEMO".to_owned(), "on".to_owned());
    settings.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let config = parse(&settings).unwrap();
    (config.demo_security_policy(), config.demo_document())
}

#[test]
fn the_demo_page_may_load_only_what_its_way_to_a_token_needs() {
    let site_key = ("TURNSTILE_SITE_KEY", "0x4AAAAAAA_demo-key");
    let session = ("DEMO_SESSION_URL", "https://app.example:8443/valetkey-token");
    let turnstile = "https://challenges.cloudflare.com";
    for (changes, scripts, calls, frames, session_url, key) in [
        (&[][..], "'self' ", "'self' ", "'none'", Value::Null, Value::Null),
        (&[site_key], &format!("'self' {turnstile}"), "'self' ", turnstile, Value::Null, json!(site_key.1)),
        (&[session], "'self' ", "'self' https://app.example:8443", "'none'", json!(session.1), Value::Null),
        (&[session, site_key], "'self' ", "'self' https://app.example:8443", "'none'", json!(session.1), Value::Null),
    ] {
        let (policy, document) = demo_with(changes);
        let expected = format!(
            "default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' blob: https: ; connect-src \
             {calls}; frame-src {frames}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        assert_eq!(policy, expected);
        assert_eq!(document, json!({"session_url": session_url, "turnstile_site_key": key, "is_stand_in": false}));
    }
}

#[test]
fn only_a_vendor_on_this_machine_is_called_a_stand_in() {
    for (url, is_stand_in) in
        [("http://127.0.0.1:8788/v1", true), ("https://localhost/v1", true), ("https://vendor.example/v1", false)]
    {
        let (policy, document) = demo_with(&[("UPSTREAM_URL", url)]);
        assert_eq!(document["is_stand_in"], is_stand_in, "{url}");
        assert_eq!(policy.contains("http://127.0.0.1:8788;"), url.starts_with("http:"), "{policy}");
    }
}

#[test]
fn settings_of_the_demo_page_are_checked_also_while_it_is_off() {
    for (name, value, reported) in [
        ("TURNSTILE_SITE_KEY", "", true),
        ("TURNSTILE_SITE_KEY", "a key; script-src *", true),
        ("TURNSTILE_SITE_KEY", "0x4AAAAAAAB", true),
        ("TURNSTILE_SITE_KEY", "0x4AAAAAAA_demo-key", false),
        ("DEMO_SESSION_URL", "/session", true),
        ("DEMO_SESSION_URL", "http://app.example/session", true),
    ] {
        let problems = with_own_tokens(name, Some(value)).err().unwrap_or_default();
        assert_eq!(problems.iter().any(|problem| problem.name == name), reported, "{name}={value}: {problems:?}");
    }
    assert_eq!(with("TURNSTILE_SITE_KEY", Some("0x4AAAAAAA_demo-key")).unwrap_err()[0].name, "TURNSTILE_SITE_KEY");
    let mut settings = good();
    settings.insert("DEMO".into(), "on".into());
    settings.insert("DEMO_SESSION_URL".into(), "http://127.0.0.1:8788/session".into());
    let local = parse(&settings).unwrap();
    assert_eq!(local.check_host("api.example").unwrap_err()[0].name, "DEMO_SESSION_URL");
    assert!(local.check_host("127.0.0.1").is_ok());
}

#[test]
fn an_issuer_secret_cannot_have_the_name_of_a_setting() {
    let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let settings = good();
    let get = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        settings.get(name).cloned()
    };
    assert!(config::parse(&get).is_ok());
    // Reserved names too: the webhook secrets, a binding, and the part after the last part of ISSUERS.
    asked.borrow_mut().extend(
        ["ALERT_WEBHOOK_SECRET", "EVENTS_WEBHOOK_SECRET", "TURNSTILE_SECRET", "ISSUERS_10", "LEDGER"]
            .map(str::to_owned),
    );
    let asked: Vec<String> = asked.into_inner().into_iter().filter(|name| name != "APP_SECRET").collect();
    assert!(asked.contains(&"POLICY_40".to_owned()) && asked.contains(&"ISSUERS_9".to_owned()), "{asked:?}");
    for name in asked {
        let issuers = json!([{"issuer": "https://idp.example/", "audience": ["app"], "keys": {"secret": name},
            "algorithms": ["HS256"]}]);
        let problems = with("ISSUERS", Some(&issuers.to_string())).unwrap_err();
        assert!(problems[0].problem.contains("is not the name of a secret"), "{name}: {problems:?}");
    }
}

#[test]
fn signing_keys_make_the_deployment_an_issuer() {
    let config = with_own_tokens("DEMO", Some("off")).unwrap();
    assert!(config.signing_keys.is_some() && config.issuers.last().unwrap().is_own());
    assert_eq!(config.issuers.last().unwrap().name(), "https://api.example");
    let turnstile = config.turnstile.unwrap();
    assert_eq!(turnstile.url.as_str(), "https://challenges.cloudflare.com/turnstile/v0/siteverify");
    assert_eq!(turnstile.hosts, ["app.example", "localhost", "localhost", "api.example"]);
    assert!(!parse(&good()).unwrap().issuers.iter().any(valetkey::token::Issuer::is_own));
}

#[test]
fn missing_settings_for_own_tokens_and_guests_are_reported() {
    let issuers = |issuer: Value| json!([issuer]).to_string();
    let own_name = json!({"issuer": "https://api.example", "audience": ["app"], "keys": {"secret": "APP_SECRET"}, "algorithms": ["HS256"]});
    for (name, value, reported) in [
        ("PUBLIC_URL", None, "PUBLIC_URL"),
        ("TOKEN_SIGNING_KEYS", None, "TURNSTILE_SECRET"),
        ("TOKEN_SIGNING_KEYS", Some("{}".to_owned()), "TOKEN_SIGNING_KEYS"),
        ("POLICY", Some(policy().to_string()), "TURNSTILE_SECRET"),
        ("TURNSTILE_SECRET", Some(String::new()), "TURNSTILE_SECRET"),
        ("TURNSTILE_URL", Some("http://turnstile.example".to_owned()), "TURNSTILE_URL"),
        ("ISSUERS", Some(issuers(own_name)), "ISSUERS"),
    ] {
        let problems = with_own_tokens(name, value.as_deref()).unwrap_err();
        assert!(problems.iter().any(|problem| problem.name == reported), "{name}: {problems:?}");
    }
    // Without a Turnstile secret there are no guests, so nothing is reported.
    assert!(with_own_tokens("TURNSTILE_SECRET", None).unwrap().turnstile.is_none());
    let local = with_own_tokens("TURNSTILE_URL", Some("http://127.0.0.1:1/verify")).unwrap();
    assert_eq!(local.check_host("api.example").unwrap_err()[0].name, "TURNSTILE_URL");
    assert!(local.check_host("127.0.0.1").is_ok());
}

#[test]
fn proofs_of_possession_need_a_public_url() {
    let issuer = json!([{"issuer": "https://idp.example/", "audience": ["app"], "keys": {"secret": "APP_SECRET"},
        "algorithms": ["HS256"], "dpop": "required"}]);
    assert_eq!(with("ISSUERS", Some(&issuer.to_string())).unwrap_err()[0].name, "PUBLIC_URL");
    let mut settings = good();
    settings.insert("ISSUERS".into(), issuer.to_string());
    settings.insert("PUBLIC_URL".into(), "https://api.example".into());
    assert!(parse(&settings).is_ok());
}

#[test]
fn a_long_setting_continues_in_numbered_parts_without_a_gap() {
    let text = policy().to_string();
    let (first, rest) = text.split_at(40);
    let mut settings = good();
    settings.insert("POLICY".into(), first.into());
    settings.insert("POLICY_2".into(), rest.into());
    assert!(parse(&settings).is_ok());
    let second = settings.remove("POLICY_2").unwrap();
    settings.insert("POLICY_3".into(), second);
    assert_eq!(parse(&settings).unwrap_err()[0].name, "POLICY");
}

#[test]
fn settings_for_development_need_a_loopback_host() {
    let config = with("UPSTREAM_URL", Some("http://127.0.0.1:8788/v1")).unwrap();
    for host in ["127.0.0.1", "localhost", "[::1]", "127.9.9.9"] {
        assert!(config.check_host(host).is_ok(), "{host}");
    }
    for host in ["api.example", "localhost.evil.example", "10.0.0.1", "", "[::2]"] {
        assert_eq!(config.check_host(host).unwrap_err()[0].name, "UPSTREAM_URL", "{host}");
    }
    assert!(parse(&good()).unwrap().check_host("api.example").is_ok());
}

/// Parses POLICY with the member at `pointer` set to `value`.
fn policy_with(pointer: &str, value: Value) -> Result<Policy, Vec<SettingProblem>> {
    let mut policy = policy();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    policy.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
    parse_policy(&policy.to_string())
}

#[test]
fn each_invalid_policy_rule_is_refused() {
    let model = "/models/acme~1model-x";
    let prompt = format!("{model}/input/prompt");
    let cases = [
        ("/extra".to_owned(), json!(1)),
        ("/plans/default/requests_per_minute".into(), json!(0)),
        ("/plans/default/daily_credits".into(), json!(50)),
        ("/plans/default/weigth".into(), json!(1)),
        ("/plans/default/models".into(), json!(["acme/unknown"])),
        ("/plans/default/models".into(), json!([])),
        ("/plans/default/pool_waiting_share".into(), json!(0)),
        ("/plans/UPPER".into(), json!({})),
        ("/plans/guest".into(), policy()["plans"]["default"].clone()),
        ("/models/acme".into(), json!({})),
        (format!("{model}/credits"), json!("-1")),
        (format!("{model}/max_image_count"), json!(0)),
        (format!("{model}/max_seconds"), json!(1.5)),
        (format!("{prompt}/type"), json!("text")),
        (format!("{prompt}/min"), json!(1)),
        (format!("{prompt}/enum"), json!([1])),
        (format!("{prompt}/default"), json!("d")),
        (format!("{prompt}/format"), json!("uuid")),
        (format!("{prompt}/pattern"), json!(".*")),
        (format!("{model}/input/list"), json!({"type": "array"})),
        (format!("{model}/input/n"), json!({"type": "integer", "min": 2, "max": 1})),
        (format!("{model}/input/n"), json!({"type": "integer", "default": 1.5})),
        ("/key".into(), json!({"requests_per_minute": 10, "expected_other_requests_per_minute": 10})),
        ("/key".into(), json!({"queue": {"max_wait_secs": 0}})),
    ];
    for (pointer, value) in cases {
        assert!(policy_with(&pointer, value.clone()).is_err(), "{pointer} accepts {value}");
    }
}

fn check(body: Value) -> Result<valetkey::policy::CheckedCreate, Rejection> {
    let policy = parse_policy(&policy().to_string()).unwrap();
    let Value::Object(body) = body else { panic!("an object") };
    check_create(&policy, &grant(), &ModelId::parse("acme/model-x").unwrap(), body)
}

#[test]
fn a_valid_create_gets_its_defaults_and_its_price() {
    let spec = check(json!({"input": {"prompt": "p", "seed": 9, "tags": ["a"]}, "image_count": 4, "model": "acme/model-x", "provider": "acme"})).unwrap();
    assert_eq!(spec.credits, MicroCredits::parse("10").unwrap());
    assert_eq!(Value::Object(spec.input), json!({"prompt": "p", "seed": 9, "tags": ["a"], "strength": 0.5}));
}

#[test]
fn each_invalid_input_is_refused_by_name() {
    for (input, param) in [
        (json!({}), "input.prompt"),
        (json!({"prompt": "12345678901"}), "input.prompt"),
        (json!({"prompt": "a\u{0}"}), "input.prompt"),
        (json!({"prompt": "p", "seed": 10}), "input.seed"),
        (json!({"prompt": "p", "seed": 1.5}), "input.seed"),
        (json!({"prompt": "p", "seed": "1"}), "input.seed"),
        (json!({"prompt": "p", "strength": 1.1}), "input.strength"),
        (json!({"prompt": "p", "fast": 1}), "input.fast"),
        (json!({"prompt": "p", "shape": "2:1"}), "input.shape"),
        (json!({"prompt": "p", "image": "http://a.example/"}), "input.image"),
        (json!({"prompt": "p", "image": "https://127.0.0.1/"}), "input.image"),
        (json!({"prompt": "p", "image": "https://cdn.\u{e9}A.example/"}), "input.image"),
        (json!({"prompt": "p", "tags": ["a", "b", "c"]}), "input.tags"),
        (json!({"prompt": "p", "tags": ["long"]}), "input.tags"),
        (json!({"prompt": "p", "tags": [["a"]]}), "input.tags"),
    ] {
        let refused = check(json!({"input": input})).unwrap_err();
        assert_eq!((refused.code, refused.param.as_deref()), (Code::InvalidParameter, Some(param)), "{input}");
    }
    assert_eq!(
        check(json!({"input": {"prompt": "12345678\u{e9}\u{1f600}"}})).err(),
        None,
        "characters are counted, not bytes"
    );
}

#[test]
fn plans_and_tokens_restrict_the_models() {
    let mut narrow = policy();
    narrow["models"]["acme/model-y"] = narrow["models"]["acme/model-x"].clone();
    narrow["plans"]["small"] = narrow["plans"]["default"].clone();
    narrow["plans"]["small"]["models"] = json!(["acme/model-y"]);
    let policy = parse_policy(&narrow.to_string()).unwrap();
    let (x, y) = (ModelId::parse("acme/model-x").unwrap(), ModelId::parse("acme/model-y").unwrap());
    let small = Grant { plan: Some("small".into()), ..grant() };
    assert!(policy.allows(&small, &y) && !policy.allows(&small, &x));
    let unknown = Grant { plan: Some("unknown".into()), ..grant() };
    assert!(policy.allows(&unknown, &x), "an unknown plan is the default one");
    let by_token = Grant { models: Some(vec![x.clone()]), ..small };
    assert!(policy.models_for(&by_token).is_empty());
    let refused = check_create(&policy, &by_token, &x, Map::new()).unwrap_err();
    assert_eq!(refused.code, Code::ModelNotAllowed);
}

const FILE: &str = "file_01jh0000000000000000000000";

/// Returns the policy with two more inputs: `mask`, a file, and `layers`, a list of files.
fn with_files() -> Value {
    let mut policy = policy();
    let input = &mut policy["models"]["acme/model-x"]["input"];
    input["mask"] = json!({"type": "string", "format": "file"});
    input["layers"] = json!({"type": "array", "max_items": 3, "items": {"type": "string", "format": "file"}});
    policy
}

#[test]
fn files_in_an_input_are_listed_by_json_pointer() {
    let policy = parse_policy(&with_files().to_string()).unwrap();
    let check = |input: Value| {
        let body = json!({"input": input}).as_object().cloned().unwrap();
        check_create(&policy, &grant(), &ModelId::parse("acme/model-x").unwrap(), body)
    };
    let spec = check(json!({"prompt": FILE.get(..5), "mask": FILE, "layers": [FILE, FILE]})).unwrap();
    let places: Vec<&str> = spec.files.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(places, ["/layers/0", "/layers/1", "/mask"]);
    for (input, param) in [
        (json!({"prompt": "p", "mask": "vendor-file-1"}), "input.mask"),
        (json!({"prompt": "p", "mask": FILE.to_uppercase()}), "input.mask"),
        (json!({"prompt": "p", "layers": [FILE, "x"]}), "input.layers"),
    ] {
        assert_eq!(check(input).unwrap_err().param.as_deref(), Some(param));
    }
}

#[test]
fn a_file_cannot_be_a_default_or_an_enum_value() {
    for (member, value) in [("default", json!(FILE)), ("enum", json!([FILE]))] {
        let mut policy = with_files();
        policy["models"]["acme/model-x"]["input"]["mask"][member] = value;
        let problems = parse_policy(&policy.to_string()).unwrap_err();
        assert!(problems.iter().any(|problem| problem.text.contains("mask.format")), "{problems:?}");
    }
}

#[test]
fn a_batch_error_names_the_invalid_member() {
    let policy = parse_policy(&policy().to_string()).unwrap();
    let good = json!({"model": "acme/model-x", "input": {"prompt": "p"}});
    let check = |body: Value| check_batch(&policy, &grant(), body.as_object().cloned().unwrap());
    assert_eq!(check(json!({"predictions": [good, good]})).unwrap().len(), 2);
    let twenty_one: Vec<Value> = std::iter::repeat_n(good.clone(), 21).collect();
    for (body, code, param) in [
        (json!({}), Code::InvalidParameter, Some("predictions")),
        (json!({"predictions": []}), Code::InvalidParameter, Some("predictions")),
        (json!({"predictions": twenty_one}), Code::InvalidParameter, Some("predictions")),
        (json!({"predictions": [good], "webhook": "x"}), Code::UnsupportedParameter, Some("webhook")),
        (json!({"predictions": [good, 1]}), Code::InvalidParameter, Some("predictions[1]")),
        (json!({"predictions": [{"input": {"prompt": "p"}}]}), Code::InvalidParameter, Some("predictions[0].model")),
        (json!({"predictions": [{"model": "model-x"}]}), Code::InvalidParameter, Some("predictions[0].model")),
        (
            json!({"predictions": [good, {"model": "acme/model-x", "input": {}}]}),
            Code::InvalidParameter,
            Some("predictions[1].input.prompt"),
        ),
        (json!({"predictions": [good, {"model": "acme/none", "input": {}}]}), Code::ModelNotAllowed, None),
        // Every model is checked before any input (contract 1, step 8).
        (
            json!({"predictions": [{"model": "acme/model-x", "input": {}}, {"model": "acme/none", "input": {}}]}),
            Code::ModelNotAllowed,
            None,
        ),
        (
            json!({"predictions": [{"model": "acme/model-x", "webhook": "x"}, {"model": "x"}]}),
            Code::InvalidParameter,
            Some("predictions[1].model"),
        ),
    ] {
        let refused = check(body.clone()).unwrap_err();
        assert_eq!((refused.code, refused.param.as_deref()), (code, param), "{body}");
    }
}

#[test]
fn an_estimate_is_the_price_of_all_images() {
    let policy = parse_policy(&policy().to_string()).unwrap();
    let body = json!({"model": "acme/model-x", "input": {"prompt": "p"}, "image_count": 3});
    let spec = check_named_create(&policy, &grant(), body.as_object().cloned().unwrap()).unwrap();
    assert_eq!(spec.credits, MicroCredits::parse("7.5").unwrap());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("(prompt|seed|tags|input|image_count|[a-z]{1,3})", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_accepted_input_satisfies_its_rules(prompt in any_json(), seed in any_json(), extra in any_json()) {
        if let Ok(spec) = check(json!({"input": {"prompt": prompt, "seed": seed}})) {
            prop_assert!(spec.input["prompt"].as_str().is_some_and(|text| text.chars().count() <= 10));
            prop_assert!(spec.input["seed"].as_u64().is_some_and(|seed| seed <= 9));
        }
        if let Value::Object(body) = extra {
            let _ = check(Value::Object(body));
        }
    }
}
