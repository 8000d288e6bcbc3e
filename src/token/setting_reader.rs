//! Reads one JSON object of the configuration, and collects all problems instead of stopping at the first.
//!
//! A problem names the place and the rule, never the value: the value may be a secret in the wrong place.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::{Map, Value};
use strum::VariantNames;

use crate::parse::problem::{Place, SettingProblem};

/// Reads the members of the object at `path`, and adds to the problems.
pub(super) struct SettingReader<'a> {
    place: Place,
    members: &'a Map<String, Value>,
    problems: &'a mut Vec<SettingProblem>,
}

impl<'a> SettingReader<'a> {
    pub fn new(place: Place, members: &'a Map<String, Value>, problems: &'a mut Vec<SettingProblem>) -> Self {
        Self { place, members, problems }
    }

    /// Returns the place of a member.
    pub fn place_of(&self, member: &str) -> Place {
        self.place.member(member)
    }

    /// Adds the problem that `member` breaks `rule`.
    pub fn add_problem(&mut self, member: &str, rule: &str) {
        self.add_problem_at(&self.place_of(member), rule);
    }

    /// Adds the problem that the value at `place` breaks `rule`.
    pub fn add_problem_at(&mut self, place: &Place, rule: &str) {
        self.problems.push(SettingProblem::new(place, rule));
    }

    /// Returns the member's value, if it is present.
    pub fn get(&self, member: &str) -> Option<&'a Value> {
        self.members.get(member)
    }

    /// Returns the member's value, or adds a problem if it is missing.
    pub fn require(&mut self, member: &str) -> Option<&'a Value> {
        let value = self.get(member);
        if value.is_none() {
            self.add_problem(member, "is missing");
        }
        value
    }

    /// Adds a problem for each member that is not one of `known`. Shows its name only if it looks like a setting's
    /// name.
    pub fn refuse_unknown(&mut self, known: &[&str]) {
        let members = self.members;
        for (index, name) in members.keys().enumerate().filter(|(_, name)| !known.contains(&name.as_str())) {
            let is_plain = is_plain_name(name);
            let place = if is_plain { self.place_of(name) } else { self.place.hidden_member(name, index) };
            self.add_problem_at(&place, &format!("is not a setting; known are {}", known.join(", ")));
        }
    }

    /// Reads an integer in `range`. Returns `default` if the member is missing, and `None` if it was refused.
    pub fn read_integer(&mut self, member: &str, default: i64, range: RangeInclusive<i64>) -> Option<i64> {
        let Some(value) = self.get(member) else { return Some(default) };
        let number = value.as_i64().filter(|number| range.contains(number));
        if number.is_none() {
            self.add_problem(member, &format!("is not an integer from {} to {}", range.start(), range.end()));
        }
        number
    }

    /// Reads `true` or `false`. Returns `false` if the member is missing, and `None` if it was refused.
    pub fn read_switch(&mut self, member: &str) -> Option<bool> {
        let Some(value) = self.get(member) else { return Some(false) };
        let is_on = value.as_bool();
        if is_on.is_none() {
            self.add_problem(member, "is not true or false");
        }
        is_on
    }

    /// Reads a string for which `is_valid` returns true. Returns `default` if the member is missing, and `None` if it
    /// was refused.
    pub fn read_text(
        &mut self,
        member: &str,
        default: &str,
        rule: &str,
        is_valid: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let Some(value) = self.get(member) else { return Some(default.to_owned()) };
        let text = value.as_str().filter(|text| is_valid(text)).map(str::to_owned);
        if text.is_none() {
            self.add_problem(member, rule);
        }
        text
    }

    /// Reads the name of a variant of `T`. Returns `default` if the member is missing, and `None` if it was refused.
    pub fn read_choice<T: FromStr + VariantNames>(&mut self, member: &str, default: T) -> Option<T> {
        let Some(value) = self.get(member) else { return Some(default) };
        let choice = value.as_str().and_then(|text| text.parse().ok());
        if choice.is_none() {
            self.add_problem(member, &format!("is not one of {}", T::VARIANTS.join(", ")));
        }
        choice
    }

    /// Reads a list of different strings that `parse` accepts. Adds a problem for each other item, and then returns
    /// `None`.
    pub fn read_list<T>(
        &mut self,
        place: &Place,
        value: &Value,
        rule: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(items) = value.as_array() else {
            self.add_problem_at(place, "is not a list of strings");
            return None;
        };
        let (mut parsed, mut seen) = (Vec::new(), BTreeSet::new());
        for (index, item) in items.iter().enumerate() {
            match item.as_str().map(|text| (seen.insert(text), parse(text))) {
                Some((true, Some(item))) => parsed.push(item),
                Some((false, Some(_))) => self.add_problem_at(&place.item(index), "is listed twice"),
                _ => self.add_problem_at(&place.item(index), rule),
            }
        }
        (parsed.len() == items.len()).then_some(parsed)
    }
}

/// Returns whether `text` can be the name of a setting, so that it may be shown.
fn is_plain_name(text: &str) -> bool {
    text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
