//! A problem of one setting.

use serde::Serialize;

/// A problem of one setting: its name, and the rule that its value breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The variable's name.
    pub name: String,
    /// The problem, without the value.
    pub problem: String,
}

impl Problem {
    pub(super) fn new(name: &str, text: impl Into<String>) -> Self {
        Self { name: name.to_owned(), problem: text.into() }
    }
}
