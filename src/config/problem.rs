//! A problem of one setting.

use serde::Serialize;

use crate::parse::problem::{Place, SettingProblem};

/// A problem of one setting: its name, and the rule that its value breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The variable's name.
    pub name: String,
    /// The problem, without the value.
    pub problem: String,
    /// Its place in a setting that is JSON or a list.
    #[serde(skip)]
    pub at: Place,
}

impl Problem {
    pub(super) fn new(name: &str, problem: impl Into<SettingProblem>) -> Self {
        let SettingProblem { at, text } = problem.into();
        Self { name: name.to_owned(), problem: text, at }
    }
}
