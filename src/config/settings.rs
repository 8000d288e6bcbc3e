//! The parsed settings, and the check against the host that the Worker is called by.

use std::sync::Arc;

use crate::config::demo::Demo;
use crate::config::problem::Problem;
use crate::config::storage::StorageSettings;
use crate::notification::Receiver;
use crate::oauth::Turnstile;
use crate::parse::url::{BaseUrl, LocalHosts, ResourceUrl};
use crate::policy::Policy;
use crate::token::{Issuer, SigningKeys, loopback_problems};
use crate::types::secret::VendorKey;

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum LogLevel {
    /// Alerts.
    Error,
    /// Alerts, and a line for each request.
    #[default]
    Info,
    /// The same as `Info` for now.
    Debug,
}

/// Complete and valid settings. Only [`super::parse()`] makes them.
#[derive(Clone, Debug)]
pub struct Config {
    /// The vendor's key.
    pub vendor_key: VendorKey,
    /// The next key, while keys are rotated.
    pub vendor_key_next: Option<VendorKey>,
    /// The base URL of the vendor's API.
    pub upstream_url: BaseUrl,
    /// The Worker's own origin, if it is set.
    pub public_url: Option<String>,
    /// True if `public_url` is on a local host.
    pub(super) public_is_local: bool,
    /// The hosts on which the settings for development work.
    pub local_hosts: LocalHosts,
    /// Origins whose pages may call the API, besides the Worker's own.
    pub allowed_origins: Vec<String>,
    /// Issuers whose tokens are accepted. With signing keys, this deployment is one of them.
    pub issuers: Vec<Issuer>,
    /// Plans, models and limits.
    pub policy: Policy,
    /// The demo page at `/`, if it is on.
    pub demo: Option<Demo>,
    /// The page about errors, which error responses link to.
    pub docs_url: Option<ResourceUrl>,
    /// Lifetime of the tokens that this deployment issues, in seconds.
    pub token_lifetime_secs: u32,
    /// Keys that sign the tokens that this deployment issues. They turn `/auth/token` on.
    pub signing_keys: Option<Arc<SigningKeys>>,
    /// How guests are verified. It turns guests on.
    pub turnstile: Option<Turnstile>,
    /// Where users' data is stored, and for how long.
    pub storage: StorageSettings,
    /// The server that is told of alerts.
    pub alert_receiver: Option<Receiver>,
    /// The server that is told of the ends of predictions.
    pub events_receiver: Option<Receiver>,
    /// How much is logged.
    pub log_level: LogLevel,
}

impl Config {
    /// Checks the settings against the host that the Worker is called by. A vendor, an issuer, a `PUBLIC_URL`, a
    /// `TURNSTILE_URL`, a `DEMO_SESSION_URL` or the URL of a webhook on a local host, and `DEV_LAN`, are for development,
    /// and an error on any other host.
    ///
    /// # Errors
    /// The settings that are for development.
    pub fn check_host(&self, host: &str) -> Result<(), Vec<Problem>> {
        let guests_are_local = self.turnstile.as_ref().is_some_and(|turnstile| turnstile.url.is_loopback);
        let sessions_are_local = matches!(&self.demo, Some(Demo::Session(url)) if url.is_local);
        let on_loopback = "is on a loopback host, and this Worker is not";
        let local = [
            ("UPSTREAM_URL", self.upstream_url.is_local, on_loopback),
            ("PUBLIC_URL", self.public_is_local, on_loopback),
            ("TURNSTILE_URL", guests_are_local, on_loopback),
            ("DEMO_SESSION_URL", sessions_are_local, on_loopback),
            ("ALERT_WEBHOOK_URL", is_loopback(self.alert_receiver.as_ref()), on_loopback),
            ("EVENTS_WEBHOOK_URL", is_loopback(self.events_receiver.as_ref()), on_loopback),
            (
                "DEV_LAN",
                self.local_hosts != LocalHosts::Loopback,
                "is on, which is for development, and this Worker is on a public host",
            ),
        ];
        let mut local = local.into_iter().filter(|(_, is_local, _)| *is_local).peekable();
        let is_local_only = local.peek().is_some() || self.issuers.iter().any(Issuer::is_loopback);
        if !is_local_only || self.local_hosts.include_name(host) {
            return Ok(());
        }
        let issuers = loopback_problems(&self.issuers, false).into_iter();
        let issuers = issuers.map(|problem| Problem::new("ISSUERS", problem));
        Err(issuers.chain(local.map(|(name, _, problem)| Problem::new(name, problem))).collect())
    }

    /// Checks that `JURISDICTION` may be ignored by a runtime without jurisdictions: on a local host alone. On any other
    /// host, users would rely on it.
    ///
    /// # Errors
    /// The setting, with the host that was called.
    pub fn check_ignored_jurisdiction(&self, host: &str) -> Result<(), Vec<Problem>> {
        if self.storage.jurisdiction.is_none() || self.local_hosts.include_name(host) {
            return Ok(());
        }
        Err(vec![Problem::new("JURISDICTION", "is set, and this runtime has none: only Cloudflare's network has")])
    }
}

fn is_loopback(receiver: Option<&Receiver>) -> bool {
    receiver.is_some_and(|receiver| receiver.url.is_loopback)
}
