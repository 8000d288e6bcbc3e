//! An issuer of tokens and its settings (contract 4).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::algorithm::Algorithm;
use super::key_set::KeySet;
use super::refusal::Refusal;
use super::remote_keys::RemoteKeys;
use super::token_types::TokenTypes;
use crate::parse::problem::{Place, SettingProblem};
use crate::types::time::UnixSeconds;

/// The origin issuer of guests (contract 5). No entry of `ISSUERS` can have this name, so no other issuer can issue
/// guests' tokens.
pub const GUEST_ISSUER: &str = "guest";

/// The purpose for which a token is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Purpose {
    /// To call the API.
    Access,
    /// To get one of Valetkey's own tokens in exchange.
    Exchange,
    /// To operate the deployment.
    Admin,
    /// To show that the app is genuine (attestation).
    Attest,
}

impl Purpose {
    /// Every purpose, in the order of declaration.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;
}

/// The claim that names a token's audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum AudienceClaim {
    /// `aud` (RFC 7519).
    Aud,
    /// `azp`, for an identity provider that sets no `aud`.
    Azp,
    /// `client_id`, for an identity provider that sets no `aud`.
    ClientId,
}

/// Which of an issuer's tokens need a proof of possession (RFC 9449).
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum ProofRule {
    /// Only tokens that are bound to a key.
    Allowed,
    /// Every token.
    Required,
}

/// A right of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum AdminRight {
    /// To read.
    Read,
    /// To change state, for example to revoke tokens.
    Write,
}

/// The source of an issuer's keys.
#[derive(Clone, Debug)]
pub(super) enum IssuerKeys {
    /// In the configuration or in a secret.
    Written(Arc<KeySet>),
    /// At a URL (`jwks_url`).
    Remote(Arc<RemoteKeys>),
}

impl IssuerKeys {
    /// Returns the keys that may be used at `now`.
    ///
    /// # Errors
    /// [`Refusal::KeysUnavailable`] if the key set was never fetched, or too long ago.
    pub fn usable_keys(&self, now: UnixSeconds) -> Result<Arc<KeySet>, Refusal> {
        match self {
            Self::Written(keys) => Ok(Arc::clone(keys)),
            Self::Remote(remote) => remote.usable_keys(now.millis()).ok_or(Refusal::KeysUnavailable),
        }
    }
}

/// One trusted issuer. Made only from settings that passed every rule of contract 4.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The exact text of `iss`.
    pub(super) name: String,
    /// True if the issuer's name or the URL of its keys is on a loopback host.
    pub(super) is_loopback: bool,
    /// Never empty.
    pub(super) audience: Vec<String>,
    pub(super) audience_claim: AudienceClaim,
    pub(super) keys: IssuerKeys,
    /// Never empty. Either all are symmetric or none is.
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
    /// True if an `email` counts although the token has no `email_verified`.
    pub(super) email_trusted: bool,
    /// For Valetkey's own tokens: the issuers whose users `vk.iss` may name. `None` for every other issuer, which
    /// speaks only for its own users.
    pub(super) origins: Option<Vec<String>>,
    /// SHA-256 of all settings but the keys. A cached token is used only under the settings that accepted it.
    pub(super) settings_hash: [u8; 32],
}

impl Issuer {
    /// Returns the exact text of `iss`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether the issuer's name or the URL of its keys is on a loopback host.
    ///
    /// Only a Worker that runs on a loopback host itself may use such an issuer. The Worker learns its own host from
    /// the first request, and checks with [`loopback_problems`] then.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// Returns whether the issuer is this deployment itself.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.origins.is_some()
    }

    /// Returns the keys, if they are at a URL.
    #[must_use]
    pub fn remote_keys(&self) -> Option<&Arc<RemoteKeys>> {
        match &self.keys {
            IssuerKeys::Written(_) => None,
            IssuerKeys::Remote(remote) => Some(remote),
        }
    }

    /// Returns whether the issuer's tokens are accepted for `purpose`.
    #[must_use]
    pub fn is_accepted_for(&self, purpose: Purpose) -> bool {
        self.purposes.contains(&purpose)
    }

    /// Returns the algorithms that the issuer's keys may have.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Returns which of the issuer's tokens need a proof of possession.
    #[must_use]
    pub fn proof_rule(&self) -> ProofRule {
        self.proof
    }

    /// Returns the operator's rights of the issuer's user with the subject or email address `name`.
    #[must_use]
    pub fn admin_rights(&self, name: &str) -> &[AdminRight] {
        self.admins.get(name).map_or(&[], Vec::as_slice)
    }
}

/// Returns a problem for each issuer on a loopback host, unless the Worker is on a loopback host itself: any program on
/// the Worker's machine could be that issuer. This deployment's own issuer has no entry in `ISSUERS` and is skipped; a
/// problem of `PUBLIC_URL` is reported elsewhere.
#[must_use]
pub fn loopback_problems(issuers: &[Issuer], worker_is_on_loopback: bool) -> Vec<SettingProblem> {
    let is_wrong = |issuer: &Issuer| issuer.is_loopback && !issuer.is_own() && !worker_is_on_loopback;
    let wrong = issuers.iter().enumerate().filter(|(_, issuer)| is_wrong(issuer));
    let problem = |(index, _)| {
        SettingProblem::new(&Place::default().item(index), "is on a loopback host, and this Worker is not")
    };
    wrong.map(problem).collect()
}
