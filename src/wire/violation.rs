//! The rule that a parameter breaks, as `details` of an `invalid_parameter` names it (contract 3).

use serde_json::Value;

/// A kind of rule, named like the member of `POLICY` that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Rule {
    /// The value is none of a list.
    Enum,
    /// The number is too small.
    Min,
    /// The number is too large.
    Max,
    /// The text has too many characters.
    MaxLength,
    /// The array has too many items.
    MaxItems,
    /// The value has another JSON type.
    Type,
    /// The parameter is missing.
    Required,
    /// The text has another form.
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

/// A broken rule, and what it allows. Neither ever contains a client's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// What the rule allows: a list, a bound, or a name. `None` if the rule says it all.
    pub allowed: Option<Value>,
}

impl Violation {
    /// Returns a violation of a rule that allows `allowed`.
    #[must_use]
    pub fn new(rule: Rule, allowed: impl Into<Value>) -> Self {
        Self { rule, allowed: Some(allowed.into()) }
    }

    /// Returns a violation of a rule that has no list and no bound.
    #[must_use]
    pub const fn plain(rule: Rule) -> Self {
        Self { rule, allowed: None }
    }
}
