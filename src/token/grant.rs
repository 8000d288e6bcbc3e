//! What a verified token says: who calls, and what the token narrows.

use crate::types::credits::MicroCredits;
use crate::types::ids::UserKey;
use crate::types::model::ModelId;
use crate::types::time::UnixSeconds;

/// What a token lets its bearer do (contract 1, the scope column).
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Scope {
    /// Create predictions.
    Create,
    /// Read one's predictions, the models and one's account.
    Read,
    /// Cancel and delete one's predictions.
    Cancel,
    /// Upload and manage one's files.
    Files,
}

impl Scope {
    /// Every scope, in the order of the declaration.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The word in `vk.scope`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The scope that `text` names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Caps that are spent exactly per `jti` (contract 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCaps {
    /// The token's own id: caps without one are refused.
    pub jti: String,
    /// The most predictions that may be created with this token.
    pub max_predictions: Option<u32>,
    /// The most credits that may be spent with this token.
    pub max_credits: Option<MicroCredits>,
}

/// What a verified token grants. It exists only for a token that passed every check of contract 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The user: the token's issuer and subject.
    pub user: UserKey,
    /// Whether this deployment made the token itself.
    pub is_own: bool,
    /// The plan claim, where the token has one that is a string; policy maps an unknown one to `default`.
    pub plan: Option<String>,
    /// What the token may do; never empty.
    pub scopes: Vec<Scope>,
    /// The models it may use, where it names any.
    pub models: Option<Vec<ModelId>>,
    /// The token's own id.
    pub jti: Option<String>,
    /// Count and credit caps, spent exactly per `jti`.
    pub caps: Option<TokenCaps>,
    /// When it was issued.
    pub issued_at: UnixSeconds,
    /// `exp`: refused from this second plus the issuer's leeway on.
    pub expires_at: UnixSeconds,
}

impl Grant {
    /// Whether the token carries `scope`.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}
