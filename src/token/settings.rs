//! Reading one JSON object of the configuration, and collecting every problem instead of the first.
//!
//! A problem names the place and the rule, never a value: a value may be a secret at the wrong place.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::{Map, Value};
use strum::VariantNames;

/// The object at `path`, and the problems found so far.
pub(super) struct Settings<'a> {
    path: String,
    members: &'a Map<String, Value>,
    problems: &'a mut Vec<String>,
}

impl<'a> Settings<'a> {
    pub fn new(path: String, members: &'a Map<String, Value>, problems: &'a mut Vec<String>) -> Self {
        Self { path, members, problems }
    }

    /// Notes that `member` breaks `rule`.
    pub fn problem(&mut self, member: &str, rule: &str) {
        self.problems.push(format!("{}.{member} {rule}", self.path));
    }

    /// The member's value, whatever it is.
    pub fn get(&self, member: &str) -> Option<&'a Value> {
        self.members.get(member)
    }

    /// A value that must be there.
    pub fn required(&mut self, member: &str) -> Option<&'a Value> {
        let value = self.get(member);
        if value.is_none() {
            self.problem(member, "is missing");
        }
        value
    }

    /// Every member must be one of `known`. Its name is shown only where it looks like one.
    pub fn allow_only(&mut self, known: &[&str]) {
        let members = self.members;
        for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
            if is_plain_name(name) {
                self.problem(name, "is not a setting");
            } else {
                self.problems.push(format!("{} has a member that is not a setting", self.path));
            }
        }
    }

    /// An integer in `range`; `default` where it is missing.
    pub fn integer(&mut self, member: &str, default: i64, range: RangeInclusive<i64>) -> Option<i64> {
        let Some(value) = self.get(member) else { return Some(default) };
        let number = value.as_i64().filter(|number| range.contains(number));
        if number.is_none() {
            self.problem(member, &format!("is not an integer from {} to {}", range.start(), range.end()));
        }
        number
    }

    /// A string for which `good` holds; `default` where it is missing.
    pub fn text(&mut self, member: &str, default: &str, rule: &str, good: impl Fn(&str) -> bool) -> Option<String> {
        let Some(value) = self.get(member) else { return Some(default.to_owned()) };
        let text = value.as_str().filter(|text| good(text)).map(str::to_owned);
        if text.is_none() {
            self.problem(member, rule);
        }
        text
    }

    /// One of the names of `T`; `default` where it is missing.
    pub fn word<T: FromStr + VariantNames>(&mut self, member: &str, default: T) -> Option<T> {
        let Some(value) = self.get(member) else { return Some(default) };
        let choice = value.as_str().and_then(|text| text.parse().ok());
        if choice.is_none() {
            self.problem(member, &format!("is not one of {}", T::VARIANTS.join(", ")));
        }
        choice
    }

    /// A list of different strings that `parse` understands. `None`, with a problem, where it is not.
    pub fn list<T>(
        &mut self,
        member: &str,
        value: &Value,
        rule: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(items) = value.as_array() else {
            self.problem(member, "is not a list of strings");
            return None;
        };
        let (mut parsed, mut seen) = (Vec::new(), BTreeSet::new());
        for (index, item) in items.iter().enumerate() {
            let name = format!("{member}[{index}]");
            match item.as_str().map(|text| (seen.insert(text), parse(text))) {
                Some((true, Some(item))) => parsed.push(item),
                Some((false, Some(_))) => self.problem(&name, "is there twice"),
                _ => self.problem(&name, rule),
            }
        }
        (parsed.len() == items.len()).then_some(parsed)
    }
}

/// Whether `text` can be a setting's or variable's name, and so be shown.
fn is_plain_name(text: &str) -> bool {
    text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
