//! The deployment's settings (contract 4): parse everything, then report every error. Names, never values.

use std::sync::Arc;

use serde::Serialize;
use url::Url;

use crate::constants::TOKEN_LIFETIME_SECS;
use crate::oauth::{GUEST_ISSUER, GUEST_PLAN, Turnstile};
use crate::parse::digits::parse_digits;
use crate::parse::url::{BaseUrl, ResourceUrl};
use crate::parse::url::{is_loopback, is_loopback_host};
use crate::policy::{Policy, parse_policy};
use crate::token::{Issuer, ProofRule, Purpose, SigningKeys, loopback_problems, parse_issuers};
use crate::types::secret::{Secret, VendorKey, VendorKeyProblem};

/// One thing that is wrong: which variable, and what about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The variable's name.
    pub name: String,
    /// What is wrong, without any value.
    pub problem: String,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Alerts.
    Error,
    /// Alerts and a line for each request.
    Info,
    /// The same; room for more.
    Debug,
}

/// Complete settings. Made by [`parse`], so that a value that exists is right.
#[derive(Clone, Debug)]
pub struct Config {
    /// The vendor's key.
    pub vendor_key: VendorKey,
    /// The key to come, while keys are rotated.
    pub vendor_key_next: Option<VendorKey>,
    /// Where the vendor is.
    pub upstream_url: BaseUrl,
    /// The Worker's own origin, where it is known.
    pub public_url: Option<String>,
    /// Whether that is on a loopback host.
    public_is_loopback: bool,
    /// Pages that may call, besides those of our own origin.
    pub allowed_origins: Vec<String>,
    /// Who may sign tokens; with signing keys, this deployment too.
    pub issuers: Vec<Issuer>,
    /// What users may do.
    pub policy: Policy,
    /// Whether `/` is the demo.
    pub demo: bool,
    /// How long a token of ours lives, seconds.
    pub token_lifetime_secs: u32,
    /// What signs tokens of ours: turns `/auth/token` on.
    pub signing_keys: Option<Arc<SigningKeys>>,
    /// How guests are checked: turns them on.
    pub turnstile: Option<Turnstile>,
    /// What is logged.
    pub log_level: LogLevel,
}

impl Config {
    /// Checks the settings against the host that the Worker is called by: a vendor, an issuer or a `PUBLIC_URL` on a
    /// loopback host is for development, and an error anywhere else.
    ///
    /// # Errors
    /// The settings that are for development.
    pub fn check_host(&self, host: &str) -> Result<(), Vec<Problem>> {
        let guests_are_local = self.turnstile.as_ref().is_some_and(|turnstile| turnstile.url.is_loopback);
        let is_loopback_only = self.upstream_url.is_loopback
            || self.public_is_loopback
            || guests_are_local
            || self.issuers.iter().any(Issuer::is_loopback);
        if !is_loopback_only || is_loopback_host(host) {
            return Ok(());
        }
        let mut problems: Vec<_> =
            loopback_problems(&self.issuers, false).into_iter().map(|text| problem("ISSUERS", text)).collect();
        if self.upstream_url.is_loopback {
            problems.push(problem("UPSTREAM_URL", "is on a loopback host, and this Worker is not"));
        }
        if self.public_is_loopback {
            problems.push(problem("PUBLIC_URL", "is on a loopback host, and this Worker is not"));
        }
        if guests_are_local {
            problems.push(problem("TURNSTILE_URL", "is on a loopback host, and this Worker is not"));
        }
        Err(problems)
    }
}

fn problem(name: &str, text: impl Into<String>) -> Problem {
    Problem { name: name.to_owned(), problem: text.into() }
}

/// Reads every setting with `get`.
///
/// # Errors
/// Every problem of every setting.
pub fn parse(get: &dyn Fn(&str) -> Option<String>) -> Result<Config, Vec<Problem>> {
    let mut reader = Reader { get, problems: Vec::new() };
    let vendor_key = reader.vendor_key("DEEPCREATIVE_API_KEY");
    if vendor_key.is_none() && get("DEEPCREATIVE_API_KEY").is_none() {
        reader.problem("DEEPCREATIVE_API_KEY", "is missing");
    }
    let vendor_key_next = reader.vendor_key("DEEPCREATIVE_API_KEY_NEXT");
    let upstream_url = reader
        .setting("UPSTREAM_URL", BaseUrl::try_new)
        .or_else(|| BaseUrl::try_new("https://api.deepcreativelabs.com/v1").ok());
    let (public_url, public_is_loopback) = reader.public_url().unzip();
    let allowed_origins = reader.allowed_origins();
    let issuers = reader.json_setting("ISSUERS", 9, |text| parse_issuers(text, get));
    let policy = reader.json_setting("POLICY", 40, parse_policy);
    let demo = reader.word("DEMO", false, &[("off", false), ("on", true)]);
    let log_level = reader.word(
        "LOG_LEVEL",
        LogLevel::Info,
        &[("error", LogLevel::Error), ("info", LogLevel::Info), ("debug", LogLevel::Debug)],
    );
    let token_lifetime_secs = reader.token_lifetime();
    for name in ["ALERT_WEBHOOK_URL", "EVENTS_WEBHOOK_URL"] {
        reader.setting(name, ResourceUrl::try_new);
    }
    let signing_keys = reader.signing_keys(public_url.as_deref());
    let turnstile = reader.turnstile(signing_keys.is_some(), policy.as_ref(), &allowed_origins, public_url.as_deref());
    let issuers = issuers.map(|issuers| {
        reader.check_public_url(&issuers, public_url.as_deref());
        with_own_issuer(issuers, signing_keys.as_ref(), turnstile.is_some())
    });
    let problems = reader.problems;
    match (vendor_key, upstream_url, issuers, policy) {
        (Some(vendor_key), Some(upstream_url), Some(issuers), Some(policy)) if problems.is_empty() => Ok(Config {
            vendor_key,
            vendor_key_next,
            upstream_url,
            public_url,
            public_is_loopback: public_is_loopback.unwrap_or_default(),
            allowed_origins,
            issuers,
            policy,
            demo,
            token_lifetime_secs,
            signing_keys: signing_keys.map(Arc::new),
            turnstile,
            log_level,
        }),
        _ => Err(problems),
    }
}

struct Reader<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, name: &str, text: impl Into<String>) {
        self.problems.push(problem(name, text));
    }

    fn vendor_key(&mut self, name: &str) -> Option<VendorKey> {
        let text = (self.get)(name)?;
        match VendorKey::try_new(&text) {
            Ok(key) => Some(key),
            Err(VendorKeyProblem::Form) => {
                self.problem(name, "is not sk_live_ and 16 to 200 of A-Z, a-z, 0-9, _ and -");
                None
            }
            Err(VendorKeyProblem::Placeholder) => {
                self.problem(name, "is a placeholder: put the vendor's key there");
                None
            }
        }
    }

    fn setting<T>(&mut self, name: &str, parse: fn(&str) -> Result<T, &'static str>) -> Option<T> {
        let text = (self.get)(name)?;
        parse(&text).map_err(|wrong| self.problem(name, wrong)).ok()
    }

    /// The Worker's own URL is its origin: every route has its fixed path below it. And whether it is on loopback.
    fn public_url(&mut self) -> Option<(String, bool)> {
        let url = self.setting("PUBLIC_URL", BaseUrl::try_new)?;
        if url.text == url.origin {
            return Some((url.origin, url.is_loopback));
        }
        self.problem("PUBLIC_URL", "has a path: it must be scheme, host and port alone");
        None
    }

    fn allowed_origins(&mut self) -> Vec<String> {
        let Some(text) = (self.get)("ALLOWED_ORIGINS").filter(|text| !text.trim().is_empty()) else {
            self.problem("ALLOWED_ORIGINS", "is missing: list exact origins, or say none");
            return Vec::new();
        };
        if text.trim() == "none" {
            return Vec::new();
        }
        let mut origins: Vec<String> = Vec::new();
        for (index, origin) in text.split(',').map(str::trim).enumerate() {
            let wrong = match check_origin(origin) {
                Ok(()) if origins.iter().any(|known| known == origin) => "is there twice",
                Ok(()) => {
                    origins.push(origin.to_owned());
                    continue;
                }
                Err(wrong) => wrong,
            };
            self.problem("ALLOWED_ORIGINS", format!("entry {} {wrong}", index.saturating_add(1)));
        }
        origins
    }

    /// A JSON setting that may go on in `NAME_2` … `NAME_most`: a variable holds 5 KB.
    fn json_setting<T>(&mut self, name: &str, most: u32, parse: impl Fn(&str) -> Result<T, Vec<String>>) -> Option<T> {
        let Some(mut text) = (self.get)(name).filter(|text| !text.trim().is_empty()) else {
            self.problem(name, "is missing");
            return None;
        };
        let mut ended = false;
        for index in 2..=most {
            match (self.get)(&format!("{name}_{index}")) {
                Some(_) if ended => {
                    self.problem(name, format!("goes on in {name}_{index}, but a part before it is missing"));
                    return None;
                }
                Some(part) => text.push_str(&part),
                None => ended = true,
            }
        }
        parse(&text).map_err(|wrong| self.problems.extend(wrong.into_iter().map(|text| problem(name, text)))).ok()
    }

    /// One of several words; `default` where it is not set.
    fn word<T: Copy>(&mut self, name: &str, default: T, words: &[(&str, T)]) -> T {
        let Some(text) = (self.get)(name) else { return default };
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        found.unwrap_or_else(|| {
            let list: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.problem(name, format!("is not one of {}", list.join(", ")));
            default
        })
    }

    fn token_lifetime(&mut self) -> u32 {
        let (least, default, most) = TOKEN_LIFETIME_SECS;
        let Some(text) = (self.get)("TOKEN_LIFETIME_SECS") else { return default };
        let number = parse_digits(&text).filter(|number| (least..=most).contains(number));
        number.unwrap_or_else(|| {
            self.problem("TOKEN_LIFETIME_SECS", format!("is not a whole number from {least} to {most}"));
            default
        })
    }

    fn signing_keys(&mut self, public_url: Option<&str>) -> Option<SigningKeys> {
        let text = (self.get)("TOKEN_SIGNING_KEYS").map(Secret::new)?;
        if public_url.is_none() && (self.get)("PUBLIC_URL").is_none() {
            self.problem("PUBLIC_URL", "is missing: tokens of our own (TOKEN_SIGNING_KEYS) name it as their issuer");
        }
        match SigningKeys::parse(text.expose(), public_url.unwrap_or_default()) {
            Ok(keys) => Some(keys),
            Err(wrong) => {
                self.problems.extend(wrong.into_iter().map(|text| problem("TOKEN_SIGNING_KEYS", text)));
                None
            }
        }
    }

    /// Guests need keys for their tokens and a plan with pools, which [`parse_policy`] asks of a plan with their name.
    fn turnstile(
        &mut self,
        has_signing_keys: bool,
        policy: Option<&Policy>,
        allowed_origins: &[String],
        public_url: Option<&str>,
    ) -> Option<Turnstile> {
        let url = match (self.get)("TURNSTILE_URL") {
            Some(_) => self.setting("TURNSTILE_URL", ResourceUrl::try_new),
            None => ResourceUrl::try_new(TURNSTILE_URL).ok(),
        };
        let secret = Secret::new((self.get)("TURNSTILE_SECRET")?);
        if secret.expose().is_empty() {
            self.problem("TURNSTILE_SECRET", "is empty");
        }
        if !has_signing_keys {
            self.problem("TURNSTILE_SECRET", "needs TOKEN_SIGNING_KEYS: guests get tokens of our own");
        }
        if policy.is_some_and(|policy| !policy.plans.contains_key(GUEST_PLAN)) {
            self.problem("TURNSTILE_SECRET", "needs a plan named guest in POLICY");
        }
        let origins = allowed_origins.iter().map(String::as_str).chain(public_url);
        let host = |origin: &str| Url::parse(origin).ok().and_then(|url| url.host_str().map(str::to_owned));
        Some(Turnstile { secret, url: url?, hosts: origins.filter_map(host).collect() })
    }

    /// Proofs of possession name the URL that they are for, and tokens of our own are nobody else's.
    fn check_public_url(&mut self, issuers: &[Issuer], public_url: Option<&str>) {
        for (index, issuer) in issuers.iter().enumerate() {
            if public_url == Some(issuer.name()) {
                self.problem(
                    "ISSUERS",
                    format!("[{index}].issuer is PUBLIC_URL, whose tokens TOKEN_SIGNING_KEYS sign"),
                );
            }
            if public_url.is_none() && issuer.proof_rule() == ProofRule::Required {
                self.problem("PUBLIC_URL", format!("is missing: ISSUERS[{index}].dpop needs it"));
            }
        }
    }
}

/// Where Turnstile's tokens are validated (Cloudflare's documentation).
const TURNSTILE_URL: &str = "https://challenges.cloudflare.com/turnstile/v0/siteverify";

fn with_own_issuer(mut issuers: Vec<Issuer>, keys: Option<&SigningKeys>, has_guests: bool) -> Vec<Issuer> {
    let exchangeable = issuers.iter().filter(|issuer| issuer.is_accepted_for(Purpose::Exchange));
    let guests = has_guests.then(|| GUEST_ISSUER.to_owned());
    let origins = exchangeable.map(|issuer| issuer.name().to_owned()).chain(guests).collect();
    issuers.extend(keys.map(|keys| keys.to_issuer(origins)));
    issuers
}

/// The app schemes of mobile and desktop web views, which have fixed origins.
const APP_ORIGINS: [&str; 3] = ["capacitor://localhost", "ionic://localhost", "tauri://localhost"];

/// An exact origin as a browser sends it: no path, no slash, lower case, no default port, no wildcard.
fn check_origin(origin: &str) -> Result<(), &'static str> {
    if APP_ORIGINS.contains(&origin) {
        return Ok(());
    }
    if origin.contains('*') {
        return Err("has a wildcard: list each origin exactly");
    }
    let url = Url::parse(origin).map_err(|_| "is not an origin such as https://app.example.com")?;
    let host = url.host().ok_or("has no host")?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&host)) {
        return Err("is not https (http only for a loopback host)");
    }
    // Browsers write an origin in one way only: anything else would never match.
    if url.origin().ascii_serialization() == origin {
        Ok(())
    } else {
        Err("is not exactly what a browser sends: no path, no slash at the end, lower case, no default port")
    }
}
