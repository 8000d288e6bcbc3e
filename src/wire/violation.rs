//! The rule that a parameter breaks, as reported in the `details` of `invalid_parameter` (contract 3).

use serde_json::Value;

/// A kind of rule. Its name is that of the `POLICY` member that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Rule {
    /// The value is not in the list.
    Enum,
    /// The number is too small.
    Min,
    /// The number is too large.
    Max,
    /// The text has too many characters.
    MaxLength,
    /// The array has too many items.
    MaxItems,
    /// The value has the wrong JSON type.
    Type,
    /// The parameter is missing.
    Required,
    /// The text has the wrong format.
    Format,
}

impl Rule {
    /// Every rule, in the order of the declaration.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the word in `details.rule`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A broken rule and the values it allows. Never contains text from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The allowed values: a list, a bound, or a name. `None` if the rule alone is clear.
    pub allowed: Option<Value>,
}

impl Violation {
    /// Returns the violation of a rule that allows `allowed`.
    #[must_use]
    pub fn new(rule: Rule, allowed: impl Into<Value>) -> Self {
        Self { rule, allowed: Some(allowed.into()) }
    }

    /// Returns the violation of a rule without a list or a bound.
    #[must_use]
    pub const fn plain(rule: Rule) -> Self {
        Self { rule, allowed: None }
    }
}
