//! Strict JSON for untrusted input. Text that two parsers could read differently is refused.
//!
//! `serde_json` keeps the last of two equal members and allows 128 levels of nesting. If another parser on the way
//! reads a token or body differently, checks can be bypassed (RFC 8725 section 2.4). Therefore equal members, invalid
//! UTF-8, trailing bytes and deep nesting are errors here.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::parse::shape::Shape;

/// A reason to refuse a text. The serialized name is the `details.problem` of `invalid_json` (contract 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantArray)]
pub enum JsonFault {
    /// An object has two members with the same name.
    #[strum(serialize = "repeated member")]
    RepeatedMember,
    /// A string holds half of a surrogate pair, such as `"\ud83d"`. The usual cause is a string cut inside an emoji.
    #[strum(serialize = "unpaired surrogate")]
    UnpairedSurrogate,
    /// Arrays and objects nest deeper than the route allows.
    #[strum(serialize = "too deep")]
    TooDeep,
    /// The text has more values than the route allows.
    #[strum(serialize = "too many values")]
    TooManyValues,
    /// More text follows the value.
    #[strum(serialize = "trailing text")]
    TrailingText,
    /// The text ends inside the value, or is empty.
    #[strum(serialize = "unexpected end")]
    UnexpectedEnd,
    /// The bytes are not UTF-8.
    #[strum(serialize = "not UTF-8")]
    NotUtf8,
    /// The text breaks the grammar of JSON (RFC 8259), or a number does not fit into an `f64`.
    #[strum(serialize = "not JSON")]
    NotJson,
    /// The value is not an object.
    #[strum(serialize = "not an object")]
    NotAnObject,
}

impl JsonFault {
    /// Every fault, in the order of the declaration.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the text of `details.problem`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The error for text that is not acceptable JSON. It never contains the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonProblem {
    /// The reason.
    pub fault: JsonFault,
    /// The line where reading stopped, from 1.
    pub line: usize,
    /// The character of that line where reading stopped, from 1.
    pub column: usize,
}

/// Parses `bytes` as one JSON value with at most `max_depth` levels of nesting and no member twice.
///
/// # Errors
/// [`JsonProblem`] for anything else, including numbers outside the range of `f64`.
pub fn parse_strict(bytes: &[u8], max_depth: usize) -> Result<Value, JsonProblem> {
    parse_bounded(bytes, max_depth, usize::MAX, Shape::Anything)
}

/// Parses an object with [`parse_strict`].
///
/// # Errors
/// [`JsonProblem`], also if the value is not an object.
pub fn parse_strict_object(bytes: &[u8], max_depth: usize) -> Result<Map<String, Value>, JsonProblem> {
    into_object(parse_strict(bytes, max_depth)?)
}

/// Parses an object with at most `max_depth` levels of nesting and `max_values` values, itself included. Checks the
/// whole text but keeps only the values that fit `shape`. A body that is refused later therefore costs little more
/// memory than its text.
///
/// # Errors
/// [`JsonProblem`], also for faults in values that are not kept.
pub fn parse_body(
    bytes: &[u8],
    max_depth: usize,
    max_values: usize,
    shape: Shape<'_>,
) -> Result<Map<String, Value>, JsonProblem> {
    into_object(parse_bounded(bytes, max_depth, max_values, shape)?)
}

fn into_object(value: Value) -> Result<Map<String, Value>, JsonProblem> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(JsonProblem { fault: JsonFault::NotAnObject, line: 1, column: 1 }),
    }
}

fn parse_bounded(bytes: &[u8], max_depth: usize, max_values: usize, shape: Shape<'_>) -> Result<Value, JsonProblem> {
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let progress = Progress { values_left: Cell::new(max_values), fault: Cell::new(None) };
    let strict = Strict { depth_left: max_depth, progress: &progress, shape };
    let problem = |error: &serde_json::Error, fault| JsonProblem {
        fault: progress.fault.get().unwrap_or(fault),
        line: error.line().max(1),
        column: column_in_chars(text, error),
    };
    let value = strict.deserialize(&mut deserializer).map_err(|error| problem(&error, fault_of(&error)))?;
    deserializer.end().map_err(|error| problem(&error, JsonFault::TrailingText))?;
    Ok(value)
}

fn not_utf8(bytes: &[u8], valid: usize) -> JsonProblem {
    let before = bytes.get(..valid).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or_default();
    let line = before.matches('\n').count().saturating_add(1);
    let last_line = before.rsplit('\n').next().unwrap_or_default();
    JsonProblem { fault: JsonFault::NotUtf8, line, column: last_line.chars().count().saturating_add(1) }
}

/// Returns the fault of an error that `serde_json` itself raised. A test pins the messages that `serde_json` uses for
/// surrogates.
fn fault_of(error: &serde_json::Error) -> JsonFault {
    let text = error.to_string();
    let is_surrogate =
        ["lone leading surrogate", "unexpected end of hex escape"].iter().any(|start| text.starts_with(start));
    match error.classify() {
        _ if is_surrogate => JsonFault::UnpairedSurrogate,
        serde_json::error::Category::Eof => JsonFault::UnexpectedEnd,
        _ => JsonFault::NotJson,
    }
}

/// Returns the column in characters. `serde_json` counts the bytes of the line up to the error.
fn column_in_chars(text: &str, error: &serde_json::Error) -> usize {
    let line = text.split('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let is_read = |(start, _): &(usize, char)| *start < error.column();
    line.char_indices().take_while(is_read).count().max(1)
}

/// The state that all visitors of one text share: how many more values are allowed, and the first fault.
struct Progress {
    values_left: Cell<usize>,
    fault: Cell<Option<JsonFault>>,
}

/// A `serde` visitor with the levels of nesting that are left and the shape to keep.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth_left: usize,
    progress: &'a Progress,
    shape: Shape<'a>,
}

impl<'a> Strict<'a> {
    fn fail<T, E: Error>(self, fault: JsonFault) -> Result<T, E> {
        self.progress.fault.set(Some(fault));
        Err(E::custom(fault.as_str()))
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => self.fail(JsonFault::TooDeep),
        }
    }

    fn with(self, shape: Shape<'a>) -> Self {
        Self { shape, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.progress.values_left.get().checked_sub(1) {
            Some(values_left) => self.progress.values_left.set(values_left),
            None => return self.fail(JsonFault::TooManyValues),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON without equal members")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut items = Vec::new();
        let mut index = 0_usize;
        loop {
            let shape = self.shape.item(index);
            let Some(item) = access.next_element_seed(seed.with(shape.unwrap_or(Shape::Scalar)))? else { break };
            if shape.is_some() {
                items.push(item);
            }
            index = index.saturating_add(1);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut members = Map::new();
        let mut dropped = BTreeSet::new();
        while let Some(name) = access.next_key::<String>()? {
            if members.contains_key(&name) || dropped.contains(&name) {
                return self.fail(JsonFault::RepeatedMember);
            }
            let shape = self.shape.member(&name);
            let value = access.next_value_seed(seed.with(shape.unwrap_or(Shape::Scalar)))?;
            if shape.is_some() {
                members.insert(name, value);
            } else {
                dropped.insert(name);
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
