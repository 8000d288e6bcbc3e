//! The grant of a verified token: its user, and the restrictions of that user's rights.

use crate::types::credits::MicroCredits;
use crate::types::ids::UserKey;
use crate::types::model::ModelId;
use crate::types::time::UnixSeconds;

/// A group of routes that a token may call (contract 1, column "scope").
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Scope {
    /// Create predictions.
    Create,
    /// Read the user's predictions, the models and the user's account.
    Read,
    /// Cancel and delete the user's predictions.
    Cancel,
    /// Upload and manage the user's files.
    Files,
}

impl Scope {
    /// Every scope, in the order of declaration.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the word in `vk.scope`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the scope with exactly this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Caps on what may be spent with one `jti` (contract 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCaps {
    /// The id by which spending is counted. Caps without a `jti` are refused.
    pub jti: String,
    /// The largest number of predictions that may be created with this `jti`.
    pub max_predictions: Option<u32>,
    /// The largest amount of credits that may be spent with this `jti`.
    pub max_credits: Option<MicroCredits>,
}

/// The rights that a verified token grants. Made only for a token that passed every check of contract 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The user: origin issuer and subject.
    pub user: UserKey,
    /// Whether this deployment issued the token itself.
    pub is_own: bool,
    /// The plan claim, if it is a string of at most 64 bytes. The policy maps an unknown plan to `default`.
    pub plan: Option<String>,
    /// The scopes of the token. Never empty.
    pub scopes: Vec<Scope>,
    /// The models that the token is restricted to; `None` allows all models of the plan.
    pub models: Option<Vec<ModelId>>,
    /// The token's `jti`.
    pub jti: Option<String>,
    /// Caps on predictions and credits.
    pub caps: Option<TokenCaps>,
    /// `iat`: when the token was issued.
    pub issued_at: UnixSeconds,
    /// `exp`. The token is refused from this second plus the issuer's leeway on.
    pub expires_at: UnixSeconds,
}

impl Grant {
    /// Returns whether the token has `scope`.
    #[must_use]
    pub fn has_scope(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}
