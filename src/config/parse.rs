//! Parses variables and secrets into a [`Config`].

use std::sync::Arc;

use url::Url;

use crate::config::demo::read_demo;
use crate::config::origins::parse_origins;
use crate::config::problem::Problem;
use crate::config::reader::{Lookup, Reader};
use crate::config::settings::Config;
use crate::config::storage::read_storage;
use crate::constants::TOKEN_LIFETIME_SECS;
use crate::notification::{Receiver, WebhookSecret};
use crate::oauth::Turnstile;
use crate::parse::problem::{Place, SettingProblem};
use crate::parse::url::{BaseUrl, LocalHosts, ResourceUrl};
use crate::policy::{GUEST_PLAN, Policy, parse_policy};
use crate::token::{GUEST_ISSUER, Issuer, ProofRule, Purpose, SigningKeys, parse_issuers};
use crate::types::secret::Secret;

/// The vendor's API, unless `UPSTREAM_URL` is set.
const VENDOR_URL: &str = "https://api.deepcreativelabs.com/v1";
/// Where Turnstile tokens are validated, unless `TURNSTILE_URL` is set (Cloudflare's documentation).
const TURNSTILE_URL: &str = "https://challenges.cloudflare.com/turnstile/v0/siteverify";
/// `ISSUERS` may continue up to `ISSUERS_9`.
const ISSUERS_PARTS: u32 = 9;
/// `POLICY` may continue up to `POLICY_40`.
const POLICY_PARTS: u32 = 40;

/// Reads every setting with `lookup`.
///
/// # Errors
/// Every problem of every setting.
pub fn parse(lookup: Lookup<'_>) -> Result<Config, Vec<Problem>> {
    let mut reader = Reader::new(lookup);
    let vendor_key = reader.read_vendor_key("DEEPCREATIVE_API_KEY");
    if vendor_key.is_none() && lookup("DEEPCREATIVE_API_KEY").is_none() {
        reader.add_problem("DEEPCREATIVE_API_KEY", "is missing");
    }
    let vendor_key_next = reader.read_vendor_key("DEEPCREATIVE_API_KEY_NEXT");
    if vendor_key_next.is_some() && vendor_key_next == vendor_key {
        reader.add_problem("DEEPCREATIVE_API_KEY_NEXT", "is the same key as DEEPCREATIVE_API_KEY: delete it");
    }
    let is_on_lan = reader.read_switch("DEV_LAN");
    let local_hosts = if is_on_lan { LocalHosts::LoopbackAndPrivate } else { LocalHosts::Loopback };
    let upstream_url = reader.read("UPSTREAM_URL", |text| BaseUrl::try_new(text, local_hosts));
    let upstream_url = upstream_url.or_else(|| BaseUrl::try_new(VENDOR_URL, local_hosts).ok());
    let (public_url, public_is_local) = read_public_url(&mut reader, local_hosts).unzip();
    let allowed_origins = read_allowed_origins(&mut reader, local_hosts);
    let issuers = reader.read_json("ISSUERS", ISSUERS_PARTS, |text| parse_issuers(text, lookup));
    let policy = reader.read_json("POLICY", POLICY_PARTS, parse_policy);
    let storage = read_storage(&mut reader);
    let log_level = reader.read_choice("LOG_LEVEL");
    let token_lifetime_secs = reader.read_number("TOKEN_LIFETIME_SECS", TOKEN_LIFETIME_SECS);
    let alert_receiver = read_receiver(&mut reader, "ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_SECRET");
    let events_receiver = read_receiver(&mut reader, "EVENTS_WEBHOOK_URL", "EVENTS_WEBHOOK_SECRET");
    let signing_keys = read_signing_keys(&mut reader, public_url.as_deref());
    let hosts = allowed_origins.iter().map(String::as_str).chain(public_url.as_deref()).filter_map(host_of).collect();
    let turnstile = read_turnstile(&mut reader, signing_keys.is_some(), policy.as_ref(), hosts);
    let demo = read_demo(&mut reader, local_hosts, turnstile.is_some());
    let docs_url = reader.read("DOCS_URL", ResourceUrl::try_new);
    let issuers = issuers.map(|issuers| {
        check_public_url(&mut reader, &issuers, public_url.as_deref());
        add_own_issuer(issuers, signing_keys.as_ref(), turnstile.is_some())
    });
    let problems = reader.problems;
    match (vendor_key, upstream_url, issuers, policy) {
        (Some(vendor_key), Some(upstream_url), Some(issuers), Some(policy)) if problems.is_empty() => Ok(Config {
            vendor_key,
            vendor_key_next,
            upstream_url,
            public_url,
            public_is_local: public_is_local.unwrap_or_default(),
            local_hosts,
            allowed_origins,
            issuers,
            policy,
            demo,
            docs_url,
            token_lifetime_secs,
            signing_keys: signing_keys.map(Arc::new),
            turnstile,
            storage,
            alert_receiver,
            events_receiver,
            log_level,
        }),
        _ => Err(problems),
    }
}

/// Reads the Worker's own origin. Returns also whether it is on a local host. A path is refused, because every route has
/// its fixed path.
fn read_public_url(reader: &mut Reader<'_>, local: LocalHosts) -> Option<(String, bool)> {
    let url = reader.read("PUBLIC_URL", |text| BaseUrl::try_new(text, local))?;
    if url.text == url.origin {
        return Some((url.origin, url.is_local));
    }
    reader.add_problem("PUBLIC_URL", "has a path: it must be scheme, host and port alone");
    None
}

fn read_allowed_origins(reader: &mut Reader<'_>, local: LocalHosts) -> Vec<String> {
    let text = reader.require("ALLOWED_ORIGINS", "is missing: list exact origins, or say none");
    let origins = text.and_then(|text| reader.check("ALLOWED_ORIGINS", parse_origins(&text, local)));
    origins.unwrap_or_default()
}

fn read_signing_keys(reader: &mut Reader<'_>, public_url: Option<&str>) -> Option<SigningKeys> {
    let text = reader.get("TOKEN_SIGNING_KEYS").map(Secret::new)?;
    if public_url.is_none() && reader.get("PUBLIC_URL").is_none() {
        reader.add_problem("PUBLIC_URL", "is missing: tokens of our own (TOKEN_SIGNING_KEYS) name it as their issuer");
    }
    let keys = SigningKeys::parse(text.expose(), public_url.unwrap_or_default());
    reader.check("TOKEN_SIGNING_KEYS", keys)
}

/// Reads how guests are verified. Guests need signing keys for their tokens and a plan of their own with pools, which
/// [`parse_policy`] requires of a plan with that name. A guest's page must be on one of `hosts`.
fn read_turnstile(
    reader: &mut Reader<'_>,
    has_signing_keys: bool,
    policy: Option<&Policy>,
    hosts: Vec<String>,
) -> Option<Turnstile> {
    let url = match reader.get("TURNSTILE_URL") {
        Some(_) => reader.read("TURNSTILE_URL", ResourceUrl::try_new),
        None => ResourceUrl::try_new(TURNSTILE_URL).ok(),
    };
    let secret = Secret::new(reader.get("TURNSTILE_SECRET")?);
    if secret.expose().is_empty() {
        reader.add_problem("TURNSTILE_SECRET", "is empty");
    }
    if !has_signing_keys {
        reader.add_problem("TURNSTILE_SECRET", "needs TOKEN_SIGNING_KEYS: guests get tokens of our own");
    }
    if policy.is_some_and(|policy| !policy.plans.contains_key(GUEST_PLAN)) {
        reader.add_problem("TURNSTILE_SECRET", "needs a plan named guest in POLICY");
    }
    Some(Turnstile { secret, url: url?, hosts })
}

/// Reads a receiver of notifications: its URL, and the secret that signs them.
fn read_receiver(reader: &mut Reader<'_>, url: &str, secret: &str) -> Option<Receiver> {
    if reader.get(url).is_some() && reader.get(secret).is_none() {
        reader.add_problem(secret, format!("is missing: it signs what is sent to {url}"));
    }
    let url = reader.read(url, ResourceUrl::try_new);
    let secret = reader.read(secret, WebhookSecret::try_new);
    Some(Receiver { url: url?, secret: secret? })
}

fn host_of(origin: &str) -> Option<String> {
    Url::parse(origin).ok().and_then(|url| url.host_str().map(str::to_owned))
}

/// Checks the rules between `ISSUERS` and `PUBLIC_URL`: a proof of possession names the URL of its request, and only
/// this deployment signs tokens in the name of `PUBLIC_URL`.
fn check_public_url(reader: &mut Reader<'_>, issuers: &[Issuer], public_url: Option<&str>) {
    for (index, issuer) in issuers.iter().enumerate() {
        if public_url == Some(issuer.name()) {
            let place = Place::default().item(index).member("issuer");
            let problem = SettingProblem::new(&place, "is PUBLIC_URL, whose tokens TOKEN_SIGNING_KEYS sign");
            reader.add_problem("ISSUERS", problem);
        }
        if public_url.is_none() && issuer.proof_rule() == ProofRule::Required {
            reader.add_problem("PUBLIC_URL", format!("is missing: ISSUERS[{index}].dpop needs it"));
        }
    }
}

/// Adds this deployment as an issuer, if it has signing keys. It issues tokens to guests, and to the users of each
/// issuer whose tokens can be exchanged.
fn add_own_issuer(mut issuers: Vec<Issuer>, keys: Option<&SigningKeys>, has_guests: bool) -> Vec<Issuer> {
    let exchangeable = issuers.iter().filter(|issuer| issuer.is_accepted_for(Purpose::Exchange));
    let guests = has_guests.then(|| GUEST_ISSUER.to_owned());
    let origins = exchangeable.map(|issuer| issuer.name().to_owned()).chain(guests).collect();
    issuers.extend(keys.map(|keys| keys.to_issuer(origins)));
    issuers
}
