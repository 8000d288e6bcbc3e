//! Input: lines `NAME=value`, which override valid settings.
//!
//! - An accepted setting has its documented format, and is the same when it is parsed again.
//! - A problem names a setting, and contains neither the vendor key nor a secret.

#![cfg_attr(fuzzing, no_main)]

use std::collections::BTreeMap;

use serde_json::json;
use url::Url;
use valetkey::config::{self, Config};
use valetkey::parse::url::{BaseUrl, LocalHosts};
use valetkey_fuzz::settings::{SECRET, VENDOR_KEY, policy};

valetkey_fuzz::target!(check);

const NAMES: [&str; 17] = [
    "DEEPCREATIVE_API_KEY",
    "DEEPCREATIVE_API_KEY_NEXT",
    "UPSTREAM_URL",
    "PUBLIC_URL",
    "ALLOWED_ORIGINS",
    "ISSUERS",
    "POLICY",
    "DEMO",
    "LOG_LEVEL",
    "TOKEN_LIFETIME_SECS",
    "TOKEN_SIGNING_KEYS",
    "TURNSTILE_URL",
    "ALERT_WEBHOOK_URL",
    "ALERT_WEBHOOK_SECRET",
    "EVENTS_WEBHOOK_URL",
    "EVENTS_WEBHOOK_SECRET",
    "DEV_LAN",
];

fn good() -> BTreeMap<String, String> {
    let issuers = json!([{"issuer": "https://idp.example/", "audience": ["app"], "keys": {"secret": "APP_SECRET"},
        "algorithms": ["HS256"]}]);
    let settings = [
        ("DEEPCREATIVE_API_KEY", VENDOR_KEY.to_owned()),
        ("ALLOWED_ORIGINS", "https://app.example".to_owned()),
        ("ISSUERS", issuers.to_string()),
        ("APP_SECRET", SECRET.to_owned()),
        ("POLICY", policy().to_string()),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).into()
}

fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut settings = good();
    for line in text.split('\n').take(32) {
        if let Some((name, value)) = line.split_once('=') {
            settings.insert(name.to_owned(), value.to_owned());
        }
    }
    match config::parse(&|name| settings.get(name).cloned()) {
        Ok(config) => check_config(&config, &settings),
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(NAMES.contains(&problem.name.as_str()));
                for secret in [VENDOR_KEY, SECRET].into_iter().chain(secrets(&settings)) {
                    assert!(!problem.problem.contains(secret), "{}: {}", problem.name, problem.problem);
                }
            }
        }
    }
}

/// Returns the values that the lines give to secrets, if they are long enough to be secrets.
fn secrets(settings: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    ["DEEPCREATIVE_API_KEY", "DEEPCREATIVE_API_KEY_NEXT", "TOKEN_SIGNING_KEYS", "APP_SECRET", "ALERT_WEBHOOK_SECRET"]
        .into_iter()
        .filter_map(|name| settings.get(name))
        .map(String::as_str)
        .filter(|secret| secret.len() >= 16 && !secret.contains(' '))
}

fn has_local_public_url(config: &Config) -> bool {
    let url = config.public_url.as_deref().and_then(|url| Url::parse(url).ok());
    url.is_some_and(|url| url.host_str().is_some_and(|host| config.local_hosts.include_name(host)))
}

fn check_config(config: &Config, settings: &BTreeMap<String, String>) {
    assert_eq!(settings["DEEPCREATIVE_API_KEY"], config.vendor_key.expose());
    let shown = format!("{config:?}");
    assert!(!shown.contains(config.vendor_key.expose_tail()) && !shown.contains(SECRET), "{shown}");

    let upstream = config.upstream_url.as_str();
    assert!(!upstream.ends_with('/'));
    assert_eq!(BaseUrl::try_new(upstream, config.local_hosts), Ok(config.upstream_url.clone()));
    let url = Url::parse(upstream).unwrap();
    let host = url.host_str().unwrap();
    assert!(url.scheme() == "https" || (url.scheme() == "http" && config.local_hosts.include_name(host)), "{upstream}");
    assert!(url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none());
    // A vendor on loopback is accepted only if the Worker itself is on loopback.
    assert!(config.check_host("localhost").is_ok());
    assert_eq!(
        config.check_host("api.example.com").is_err(),
        config.local_hosts.include_name(host)
            || has_local_public_url(config)
            || config.issuers[0].is_loopback()
            || config.local_hosts != LocalHosts::Loopback
    );

    for (index, origin) in config.allowed_origins.iter().enumerate() {
        assert!(!config.allowed_origins[..index].contains(origin), "an origin occurs twice");
        let is_app = ["capacitor://localhost", "ionic://localhost", "tauri://localhost"].contains(&origin.as_str());
        assert!(
            is_app || Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin),
            "{origin}"
        );
        assert!(!origin.contains(['*', ',', ' ']) && origin != "null");
    }
    if let Some(public) = &config.public_url {
        assert_eq!(
            BaseUrl::try_new(public, config.local_hosts).map(|url| url.origin().to_owned()).as_ref(),
            Ok(public)
        );
    }
    assert!((60..=900).contains(&config.token_lifetime_secs));
}
