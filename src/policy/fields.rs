//! Reads one JSON object of POLICY, and collects all problems instead of stopping at the first. A problem names the
//! place and the rule, never the value.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::parse::number::parse_whole;
use crate::parse::problem::{Place, SettingProblem};
use crate::types::credits::MicroCredits;

/// Reads the members of the object at `place`, and adds to the problems.
pub(super) struct Fields<'a> {
    place: Place,
    members: &'a Map<String, Value>,
    /// False if the value is not an object. That is one problem, and not one more for each member that is missing.
    is_object: bool,
    problems: &'a mut Vec<SettingProblem>,
}

static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

impl<'a> Fields<'a> {
    /// Returns a reader of the object in `value`. Anything else is a problem and is read as an empty object. Each
    /// member that is not one of `known` is a problem, too.
    pub(super) fn new(place: Place, value: &'a Value, known: &[&str], problems: &'a mut Vec<SettingProblem>) -> Self {
        let object = value.as_object();
        if object.is_none() {
            problems.push(SettingProblem::new(&place, "is not an object"));
        }
        let members = object.unwrap_or(&EMPTY);
        for (index, name) in members.keys().enumerate().filter(|(_, name)| !known.contains(&name.as_str())) {
            let at = if is_plain_name(name) { place.member(name) } else { place.hidden_member(name, index) };
            let rule = format!("is not a setting; known are {}", known.join(", "));
            problems.push(SettingProblem::new(&at, &rule));
        }
        Self { place, members, is_object: object.is_some(), problems }
    }

    /// Returns the place of a member.
    pub(super) fn place_of(&self, member: &str) -> Place {
        self.place.member(member)
    }

    pub(super) fn add_problem(&mut self, member: &str, rule: &str) {
        self.add_problem_at(&self.place_of(member), rule);
    }

    pub(super) fn add_problem_at(&mut self, place: &Place, rule: &str) {
        if self.is_object {
            self.problems.push(SettingProblem::new(place, rule));
        }
    }

    pub(super) fn problems(&mut self) -> &mut Vec<SettingProblem> {
        self.problems
    }

    pub(super) fn get(&self, member: &str) -> Option<&'a Value> {
        self.members.get(member)
    }

    pub(super) fn has(&self, member: &str) -> bool {
        self.members.contains_key(member)
    }

    /// Reads a member that must be present. Returns `fallback`, and adds a problem, if it is missing or `parse` refuses
    /// it.
    pub(super) fn require<T>(
        &mut self,
        member: &str,
        fallback: T,
        rule: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> T {
        match self.get(member) {
            None => {
                self.add_problem(member, "is missing");
                fallback
            }
            Some(_) => self.read(member, fallback, rule, parse),
        }
    }

    /// Reads a member. Returns `default` if it is missing. Returns `default`, and adds a problem, if `parse` refuses
    /// it.
    pub(super) fn read<T>(&mut self, member: &str, default: T, rule: &str, parse: impl Fn(&Value) -> Option<T>) -> T {
        match self.get(member).map(parse) {
            None => default,
            Some(Some(value)) => value,
            Some(None) => {
                self.add_problem(member, rule);
                default
            }
        }
    }

    /// Reads a whole number in `range`. Returns `default` if it is missing.
    pub(super) fn read_number(&mut self, member: &str, default: u32, range: RangeInclusive<u32>) -> u32 {
        let rule = format!("is not a whole number from {} to {}", range.start(), range.end());
        self.read(member, default, &rule, |value| parse_whole::<u32>(value).filter(|number| range.contains(number)))
    }

    /// Reads a whole number in `range`, or `null` for none. Returns `default` if it is missing.
    pub(super) fn read_optional_number(
        &mut self,
        member: &str,
        default: Option<u32>,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        if self.get(member).is_some_and(Value::is_null) {
            return None;
        }
        let given = self.has(member).then(|| self.read_number(member, *range.start(), range));
        given.or(default)
    }

    /// Reads a whole number in `range` that must be present.
    pub(super) fn require_number(&mut self, member: &str, range: RangeInclusive<u32>) -> u32 {
        if !self.has(member) {
            self.add_problem(member, "is missing");
        }
        self.read_number(member, *range.start(), range)
    }
}

/// The problem of a price or an allowance that [`parse_credits`] refuses.
pub(super) const CREDITS_RULE: &str = "is not a decimal string such as \"2.5\"";

pub(super) fn parse_credits(value: &Value) -> Option<MicroCredits> {
    value.as_str().and_then(MicroCredits::parse)
}

/// Returns whether `text` looks like the name of a setting or a plan, so that a problem may show it.
pub(super) fn is_plain_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    (1..=32).contains(&text.len()) && text.bytes().all(allowed)
}
