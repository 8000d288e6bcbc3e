//! A problem of a setting, and its place in the setting.

use std::fmt;

use crate::parse::json::JsonProblem;

/// One step from a JSON value to a value in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the member with this name.
    Member(String),
    /// To the member with this name, which is not shown: it could be a secret or an address. Its number is.
    HiddenMember(String, usize),
    /// To the item with this index.
    Item(usize),
}

/// A place in a setting, such as `plans.default.models[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(Vec<Step>);

impl Place {
    /// Returns the place of a member.
    #[must_use]
    pub fn member(&self, name: &str) -> Self {
        self.with(Step::Member(name.to_owned()))
    }

    /// Returns the place of a member whose name is not shown.
    #[must_use]
    pub fn hidden_member(&self, name: &str, index: usize) -> Self {
        self.with(Step::HiddenMember(name.to_owned(), index))
    }

    /// Returns the place of an item.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        self.with(Step::Item(index))
    }

    /// Returns the steps from the setting to the place.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Member(name) if index == 0 => formatter.write_str(name)?,
                Step::Member(name) => write!(formatter, ".{name}")?,
                Step::HiddenMember(_, number) => write!(formatter, "(entry {number})")?,
                Step::Item(number) => write!(formatter, "[{number}]")?,
            }
        }
        Ok(())
    }
}

/// A problem of a setting. Its text names the place and the rule, never the value: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// Where the problem is.
    pub at: Place,
    /// The place and the rule.
    pub text: String,
}

impl SettingProblem {
    /// Returns the problem that the value at this place breaks `rule`.
    #[must_use]
    pub fn new(at: &Place, rule: &str) -> Self {
        let text = if at.0.is_empty() { rule.to_owned() } else { format!("{at} {rule}") };
        Self { at: at.clone(), text }
    }
}

impl From<String> for SettingProblem {
    fn from(text: String) -> Self {
        Self { at: Place::default(), text }
    }
}

impl From<&str> for SettingProblem {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<JsonProblem> for SettingProblem {
    fn from(problem: JsonProblem) -> Self {
        let JsonProblem { fault, line, column } = problem;
        format!("is not acceptable JSON: {} at line {line}, column {column}", fault.as_str()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_as_a_path_and_hides_names_that_may_be_secret() {
        let plan = Place::default().member("plans").member("default");
        assert_eq!(plan.member("models").item(1).to_string(), "plans.default.models[1]");
        assert_eq!(
            Place::default().item(0).member("admins").hidden_member("ops@x.example", 2).to_string(),
            "[0].admins(entry 2)"
        );
    }

    #[test]
    fn a_problem_of_the_whole_setting_has_no_place() {
        assert_eq!(SettingProblem::new(&Place::default(), "is missing").text, "is missing");
        assert_eq!(
            SettingProblem::new(&Place::default().member("key"), "is not an object").text,
            "key is not an object"
        );
    }
}
