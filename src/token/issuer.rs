//! An issuer of tokens, as the configuration describes it (contract 4).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::algorithm::Algorithm;
use super::key_set::KeySet;
use super::refusal::Refusal;
use super::remote_keys::RemoteKeys;
use super::token_types::TokenTypes;
use crate::types::time::UnixSeconds;

/// What a token is presented for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Purpose {
    /// Calling the API.
    Access,
    /// Getting a token of our own in exchange.
    Exchange,
    /// Operating the deployment.
    Admin,
    /// Showing that an app is genuine.
    Attest,
}

impl Purpose {
    /// Every purpose, in the order of the declaration.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;
}

/// The claim that says whom a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum AudienceClaim {
    /// `aud`, as RFC 7519 has it.
    Aud,
    /// `azp`, where the provider sets no `aud`.
    Azp,
    /// `client_id`, where the provider sets no `aud`.
    ClientId,
}

/// Whether an issuer's tokens need a proof of possession (RFC 9449).
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum ProofRule {
    /// A bound token needs one, another does not.
    Allowed,
    /// Every token needs one.
    Required,
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum AdminRight {
    /// Look.
    Read,
    /// Change.
    Write,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug)]
pub(super) enum IssuerKeys {
    /// In the configuration.
    Written(Arc<KeySet>),
    /// At a URL.
    Remote(Arc<RemoteKeys>),
}

impl IssuerKeys {
    /// The keys that count at `now`.
    ///
    /// # Errors
    /// [`Refusal::KeysUnavailable`] where a provider has not told them, or too long ago.
    pub fn current(&self, now: UnixSeconds) -> Result<Arc<KeySet>, Refusal> {
        match self {
            Self::Written(keys) => Ok(Arc::clone(keys)),
            Self::Remote(remote) => remote.current(now.millis()).ok_or(Refusal::KeysUnavailable),
        }
    }
}

/// One trusted issuer. It exists only with settings that passed every rule of contract 4.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The exact text of `iss`.
    pub(super) name: String,
    /// Whether its URL or that of its keys is.
    pub(super) is_loopback: bool,
    /// Never empty.
    pub(super) audience: Vec<String>,
    pub(super) audience_claim: AudienceClaim,
    pub(super) keys: IssuerKeys,
    /// Never empty; either all symmetric or none.
    pub(super) algorithms: Vec<Algorithm>,
    /// Never empty.
    pub(super) purposes: Vec<Purpose>,
    pub(super) max_lifetime_secs: i64,
    pub(super) leeway_secs: i64,
    pub(super) token_types: TokenTypes,
    pub(super) extra_header_members: Vec<String>,
    pub(super) plan_claim: String,
    pub(super) proof: ProofRule,
    pub(super) admins: BTreeMap<String, Vec<AdminRight>>,
    /// Set for tokens of our own: the issuers whose users `vk.iss` may name. Another issuer's users are its own.
    pub(super) origins: Option<Vec<String>>,
    /// SHA-256 over all settings but the keys: a cached token is good only under the settings that accepted it.
    pub(super) settings_hash: [u8; 32],
}

impl Issuer {
    /// The exact text of `iss`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its URL, or that of its keys, is on a loopback host. Such an issuer may be used only by a Worker that runs on a loopback
    /// host itself, which is known with the first request: [`loopback_problems`] says so.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// Whether it is this deployment itself.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.origins.is_some()
    }

    /// Its keys, if they are at a URL.
    #[must_use]
    pub fn remote_keys(&self) -> Option<&Arc<RemoteKeys>> {
        match &self.keys {
            IssuerKeys::Written(_) => None,
            IssuerKeys::Remote(remote) => Some(remote),
        }
    }

    /// Whether its tokens are accepted for `purpose`.
    #[must_use]
    pub fn serves(&self, purpose: Purpose) -> bool {
        self.purposes.contains(&purpose)
    }

    /// The algorithms that its keys may have.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Whether its tokens need a proof of possession.
    #[must_use]
    pub fn proof_rule(&self) -> ProofRule {
        self.proof
    }

    /// What its subject or email `name` may do as an operator.
    #[must_use]
    pub fn admin_rights(&self, name: &str) -> &[AdminRight] {
        self.admins.get(name).map_or(&[], Vec::as_slice)
    }
}

/// Problems of issuers on loopback hosts, where the Worker is not on one: anybody on the Worker's own machine, or
/// nobody, could be that issuer. Our own has no entry in `ISSUERS`: `PUBLIC_URL` is what is wrong there.
#[must_use]
pub fn loopback_problems(issuers: &[Issuer], worker_is_on_loopback: bool) -> Vec<String> {
    let is_wrong = |issuer: &Issuer| issuer.is_loopback && !issuer.is_own() && !worker_is_on_loopback;
    let wrong = issuers.iter().enumerate().filter(|(_, issuer)| is_wrong(issuer));
    wrong.map(|(index, _)| format!("[{index}] is on a loopback host, and this Worker is not")).collect()
}
