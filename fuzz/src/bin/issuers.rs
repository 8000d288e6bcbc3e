//! Input: the setting `ISSUERS`.
//!
//! - Accepted issuers have different names, and each has either symmetric or asymmetric algorithms.
//! - Written again, the setting has the same meaning.
//! - A problem contains no value and no secret.

#![cfg_attr(fuzzing, no_main)]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value, json};
use valetkey::parse::problem::SettingProblem;
use valetkey::token::{Issuer, Purpose, loopback_problems, parse_issuers};
use valetkey_fuzz::json;
use valetkey_fuzz::settings::SECRET;
use valetkey_fuzz::tokens::public_set;

valetkey_fuzz::target!(check);

static BASES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let secret = json!({"issuer": "https://app.example.com", "audience": ["valetkey"], "keys": {"secret": "APP_SECRET"},
        "algorithms": ["HS256"]});
    let written = json!({"issuer": "https://idp.example/", "audience": ["a", "b"], "keys": {"jwks": public_set()},
        "algorithms": ["ES256", "ES384", "EdDSA"], "use": ["exchange", "admin"], "max_lifetime_secs": 86400,
        "leeway_secs": 60, "token_types": ["absent", "JWT"], "extra_header_members": ["cat"], "audience_claim": "azp",
        "plan_claim": "https://x.example/plan", "dpop": "required", "admins": {"ops@example.com": ["read", "write"]}});
    let remote = json!({"issuer": "http://127.0.0.1:8789", "audience": ["a"], "algorithms": ["RS256"],
        "keys": {"jwks_url": "http://localhost:8789/keys?v=1"}, "use": ["attest"]});
    let named = json!({"issuer": "stytch.com/project-live-0", "audience": ["project-live-0"], "algorithms": ["RS256"],
        "keys": {"jwks_url": "https://api.example/v1/sessions/jwks/project-live-0"}, "use": ["admin"],
        "admins": {"ops@example.com": ["read"]}, "email_trusted": true});
    let all = json!([secret, written, remote, named]);
    vec![json!([secret]), json!([written]), json!([remote]), json!([named]), all]
});

fn parse(text: &str) -> Result<Vec<Issuer>, Vec<SettingProblem>> {
    parse_issuers(text, &|name| (name == "APP_SECRET").then(|| SECRET.to_owned()))
}

fn check(data: &[u8]) {
    let text = json::text(data, &BASES);
    let Ok(text) = std::str::from_utf8(&text) else { return };
    let value = serde_json::from_str::<Value>(text).unwrap_or_default();
    match parse(text) {
        Ok(issuers) => check_issuers(&issuers, &value),
        Err(problems) => {
            assert!(!problems.is_empty());
            assert!(!problems.iter().any(|problem| problem.text.contains(SECRET)), "{problems:?}");
        }
    }
    if let Err(problems) = parse(&json::with_marker(&value, data).to_string()) {
        assert!(!problems.iter().any(|problem| problem.text.contains(json::MARKER)), "{problems:?}");
    }
}

fn check_issuers(issuers: &[Issuer], value: &Value) {
    let values = value.as_array().expect("a list");
    assert!(!issuers.is_empty() && issuers.len() == values.len());
    let names: BTreeSet<&str> = issuers.iter().map(Issuer::name).collect();
    assert_eq!(names.len(), issuers.len(), "two issuers of one name");
    for (issuer, value) in issuers.iter().zip(values) {
        assert_eq!(value["issuer"].as_str(), Some(issuer.name()));
        assert!(issuer.name().bytes().all(|byte| byte.is_ascii_graphic()));
        let algorithms = issuer.algorithms();
        assert!(!algorithms.is_empty());
        let is_symmetric = algorithms[0].is_symmetric();
        assert!(algorithms.iter().all(|algorithm| algorithm.is_symmetric() == is_symmetric));
        assert_eq!(is_symmetric, value["keys"].get("secret").is_some());
        assert!(Purpose::ALL.iter().any(|purpose| issuer.is_accepted_for(*purpose)));
        assert!(!(issuer.is_accepted_for(Purpose::Attest) && issuer.is_accepted_for(Purpose::Access)));
        assert!((1..=512).contains(&issuer.name().len()) && issuer.name() != "guest");
        let name = Some(issuer.name()).filter(|name| name.contains("://"));
        for url in [name, issuer.remote_keys().map(|remote| remote.url())].into_iter().flatten() {
            let url = url::Url::parse(url).expect("a URL");
            assert!(url.scheme() == "https" || (url.scheme() == "http" && issuer.is_loopback()), "{url}");
            assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
        }
    }
    let on_loopback = issuers.iter().filter(|issuer| issuer.is_loopback()).count();
    assert_eq!((loopback_problems(issuers, false).len(), loopback_problems(issuers, true).len()), (on_loopback, 0));
    let again = parse(&value.to_string()).expect("the setting written again is accepted");
    let debug = |issuers: &[Issuer]| format!("{issuers:?}");
    if issuers.iter().all(|issuer| issuer.remote_keys().is_none()) {
        assert_eq!(debug(&again), debug(issuers));
    }
}
