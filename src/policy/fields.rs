//! Reading one JSON object of POLICY, and collecting every problem instead of the first. A problem names the place
//! and the rule, never a value.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::types::credits::MicroCredits;

/// The object at `path`, and the problems found so far.
pub(super) struct Fields<'a> {
    path: String,
    members: &'a Map<String, Value>,
    problems: &'a mut Vec<String>,
}

static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

impl<'a> Fields<'a> {
    /// The object in `value`; anything else is a problem, and reads as an empty object.
    pub(super) fn new(path: &str, value: &'a Value, known: &[&str], problems: &'a mut Vec<String>) -> Self {
        let members = value.as_object().unwrap_or_else(|| {
            problems.push(format!("{path} is not an object"));
            &EMPTY
        });
        for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
            problems.push(match is_plain(name) {
                true => format!("{path}.{name} is not a setting"),
                false => format!("{path} has a member that is not a setting"),
            });
        }
        Self { path: path.to_owned(), members, problems }
    }

    pub(super) fn problem(&mut self, member: &str, rule: &str) {
        self.problems.push(format!("{}.{member} {rule}", self.path));
    }

    pub(super) fn problems(&mut self) -> &mut Vec<String> {
        self.problems
    }

    pub(super) fn get(&self, member: &str) -> Option<&'a Value> {
        self.members.get(member)
    }

    pub(super) fn has(&self, member: &str) -> bool {
        self.members.contains_key(member)
    }

    /// A member that must be there and that `read` understands. A broken one gives `fallback`, with a problem.
    pub(super) fn required<T>(
        &mut self,
        member: &str,
        fallback: T,
        rule: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> T {
        match self.get(member) {
            None => {
                self.problem(member, "is missing");
                fallback
            }
            Some(_) => self.optional(member, fallback, rule, read),
        }
    }

    /// A member that `read` understands, or `default` where it is missing.
    pub(super) fn optional<T>(
        &mut self,
        member: &str,
        default: T,
        rule: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> T {
        match self.get(member).map(read) {
            None => default,
            Some(Some(value)) => value,
            Some(None) => {
                self.problem(member, rule);
                default
            }
        }
    }

    /// A whole number in `range`; `default` where it is missing.
    pub(super) fn number(&mut self, member: &str, default: u32, range: RangeInclusive<u32>) -> u32 {
        let rule = format!("is not a whole number from {} to {}", range.start(), range.end());
        self.optional(member, default, &rule, |value| whole(value).filter(|number| range.contains(number)))
    }

    /// A whole number in `range` that must be there.
    pub(super) fn required_number(&mut self, member: &str, range: RangeInclusive<u32>) -> u32 {
        if !self.has(member) {
            self.problem(member, "is missing");
        }
        self.number(member, *range.start(), range)
    }
}

/// What a price or an allowance must be.
pub(super) const CREDITS_RULE: &str = "is not a decimal string such as \"2.5\"";

pub(super) fn credits(value: &Value) -> Option<MicroCredits> {
    value.as_str().and_then(MicroCredits::parse)
}

pub(super) fn whole(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

/// Whether `text` looks like the name of a setting, a plan or an input, and so may be shown.
pub(super) fn is_plain(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    (1..=32).contains(&text.len()) && text.bytes().all(allowed)
}
