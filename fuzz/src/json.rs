//! JSON as fuzz input: the bytes themselves, or a valid value with a few changes, so that the fuzzer gets past the
//! first checks.

use std::borrow::Cow;

use arbitrary::{Result, Unstructured};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

/// Returns the JSON text that `data` stands for. A first byte of 0x80 or more, with which no JSON starts, selects one
/// of `bases`, and the other bytes choose a few changes of it. Any other `data` is the text itself.
#[must_use]
pub fn text<'a>(data: &'a [u8], bases: &[Value]) -> Cow<'a, [u8]> {
    match data.split_first() {
        Some((first, choices)) if *first >= 0x80 => {
            let base = &bases[usize::from(*first & 0x7f) % bases.len()];
            let mut changed = base.clone();
            let mut choices = Unstructured::new(choices);
            let mut repeated = false;
            for _ in 0..8 {
                if choices.is_empty() || change(&mut changed, bases, &mut choices, &mut repeated).is_err() {
                    break;
                }
            }
            let text = changed.to_string();
            Cow::Owned(if repeated { repeat_first_member(&text) } else { text }.into_bytes())
        }
        _ => Cow::Borrowed(data),
    }
}

/// Repeats the first member of the first object. A `Value` cannot represent a duplicate member.
fn repeat_first_member(text: &str) -> String {
    text.find('{').and_then(|start| Some((start + 1, start + text[start..].find(':')?))).map_or_else(
        || text.to_owned(),
        |(start, colon)| format!("{}{}:null,{}", &text[..start], &text[start..colon], &text[start..]),
    )
}

fn change(value: &mut Value, bases: &[Value], choices: &mut Unstructured<'_>, repeated: &mut bool) -> Result<()> {
    let pointers = pointers(value);
    let pointer = choices.choose(&pointers)?.clone();
    let action = choices.int_in_range(0..=15_u8)?;
    let other = other_value(value, bases, choices)?;
    if action == 0 {
        *repeated = true;
        return Ok(());
    }
    let Some(node) = value.pointer_mut(&pointer) else { return Ok(()) };
    match node {
        Value::Object(members) if action < 10 => change_object(members, other, action, bases, choices)?,
        Value::Array(items) if action < 10 => {
            let at = choices.int_in_range(0..=items.len())?;
            match action {
                1..=3 if at < items.len() => drop(items.remove(at)),
                4 if !items.is_empty() => items.extend_from_within(..),
                _ => items.insert(at, other),
            }
        }
        Value::String(text) if action < 10 => change_text(text, action, choices)?,
        Value::Number(number) if action < 10 => *node = changed_number(number, action),
        node => *node = other,
    }
    Ok(())
}

fn change_object(
    members: &mut Map<String, Value>,
    other: Value,
    action: u8,
    bases: &[Value],
    choices: &mut Unstructured<'_>,
) -> Result<()> {
    let names: Vec<String> = members.keys().cloned().collect();
    if action < 5 && !names.is_empty() {
        let removed = members.remove(choices.choose(&names)?);
        // From action 3 on the member gets another name; otherwise it stays removed.
        if let (Some(removed), 3..) = (removed, action) {
            members.insert(name(bases, choices)?, removed);
        }
    } else {
        members.insert(name(bases, choices)?, other);
    }
    Ok(())
}

fn change_text(text: &mut String, action: u8, choices: &mut Unstructured<'_>) -> Result<()> {
    let characters = ['\0', '\n', ' ', '"', '\\', '/', '.', '-', '0', 'A', '=', '%', 'é', '\u{200b}', '\u{202e}', '😀'];
    let character = *choices.choose(&characters)?;
    let at = choices.int_in_range(0..=text.chars().count())?;
    let at = text.char_indices().nth(at).map_or(text.len(), |(at, _)| at);
    match action {
        1..=4 => text.insert(at, character),
        5 => text.truncate(at),
        6 => drop(text.drain(..at)),
        7 => text.make_ascii_uppercase(),
        8 => *text = text.repeat(2),
        _ => *text = character.to_string().repeat(choices.int_in_range(0..=600_usize)?),
    }
    Ok(())
}

fn changed_number(number: &serde_json::Number, action: u8) -> Value {
    let (exact, close) = (number.as_i64().unwrap_or(i64::MAX), number.as_f64().unwrap_or(0.0));
    match action {
        1 => json!(exact.wrapping_add(1)),
        2 => json!(exact.wrapping_sub(1)),
        3 => json!(exact.wrapping_neg()),
        4 => json!(exact.wrapping_mul(1_000)),
        5 => json!(close),
        6 => json!(close + 0.5),
        7 => json!(close * 1e12),
        8 => json!(number.to_string()),
        _ => json!(u64::MAX),
    }
}

/// Returns the JSON pointers of `value` and of every value in it.
fn pointers(value: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut next = 0;
    while let Some(pointer) = found.get(next).cloned() {
        match value.pointer(&pointer) {
            Some(Value::Object(members)) => found
                .extend(members.keys().map(|name| format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")))),
            Some(Value::Array(items)) => found.extend((0..items.len()).map(|index| format!("{pointer}/{index}"))),
            _ => {}
        }
        next += 1;
    }
    found
}

/// Chooses a member name of one of `bases`, or one that parsers often mishandle.
fn name(bases: &[Value], choices: &mut Unstructured<'_>) -> Result<String> {
    let names: Vec<String> = bases
        .iter()
        .flat_map(pointers)
        .filter_map(|pointer| Some(pointer.rsplit_once('/')?.1.replace("~1", "/").replace("~0", "~")))
        .filter(|name| name.parse::<usize>().is_err())
        .collect();
    let short = ["", "x", "X-1", "\u{202e}", "__proto__", "webhook", "a.b", "a b"].map(str::to_owned);
    if names.is_empty() || choices.ratio(1, 8)? {
        choices.choose(&short).cloned()
    } else {
        choices.choose(&names).cloned()
    }
}

/// Chooses a value from `value` or `bases`, or one that parsers often mishandle.
fn other_value(value: &Value, bases: &[Value], choices: &mut Unstructured<'_>) -> Result<Value> {
    if choices.ratio(1, 2)? {
        let from = if choices.ratio(1, 2)? { value } else { choices.choose(bases)? };
        return Ok(from.pointer(choices.choose(&pointers(from))?).cloned().unwrap_or_default());
    }
    let others = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(4_294_967_296_u64),
        json!(""),
        json!("\0"),
        json!("*"),
        json!("none"),
        json!([]),
        json!({}),
        json!([[[[[[[[[[]]]]]]]]]]),
        json!("a".repeat(300)),
    ];
    choices.choose(&others).cloned()
}

/// Any JSON, duplicate members included. Checks independently of the parsers under test.
#[derive(Debug)]
pub enum Any {
    /// A null, Boolean, number or string.
    Leaf,
    /// An array.
    Items(Vec<Self>),
    /// An object, member by member.
    Members(Vec<(String, Self)>),
}

impl Any {
    /// Returns whether any object has two members of the same name.
    #[must_use]
    pub fn has_duplicate_members(&self) -> bool {
        match self {
            Self::Leaf => false,
            Self::Items(items) => items.iter().any(Self::has_duplicate_members),
            Self::Members(members) => members.iter().enumerate().any(|(index, (name, value))| {
                value.has_duplicate_members() || members[..index].iter().any(|(other, _)| other == name)
            }),
        }
    }

    /// Returns the nesting depth of objects and arrays.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self {
            Self::Leaf => 0,
            Self::Items(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Members(members) => 1 + members.iter().map(|(_, value)| value.depth()).max().unwrap_or(0),
        }
    }
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Any;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> std::result::Result<Any, E> {
        Ok(Any::Leaf)
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Any, E> {
        Ok(Any::Leaf)
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Any, E> {
        Ok(Any::Leaf)
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<Any, E> {
        Ok(Any::Leaf)
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Any, E> {
        Ok(Any::Leaf)
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<Any, E> {
        Ok(Any::Leaf)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> std::result::Result<Any, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Any::Items(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> std::result::Result<Any, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Any::Members(members))
    }
}

/// Returns every string in a value, member names included.
#[must_use]
pub fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| std::iter::once(name.as_str()).chain(strings(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// A text that no setting and no error message contains.
pub const MARKER: &str = "Marker 0f a Value.";

/// Replaces one leaf of `value`, chosen by `data`, with [`MARKER`]. An error message about the result must not contain
/// the marker.
#[must_use]
pub fn with_marker(value: &Value, data: &[u8]) -> Value {
    let mut marked = value.clone();
    let mut leaves = pointers(value);
    leaves.retain(|pointer| !matches!(value.pointer(pointer), Some(Value::Object(_) | Value::Array(_))));
    let choice = data.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    if let Some(pointer) = leaves.get(choice % leaves.len().max(1))
        && let Some(leaf) = marked.pointer_mut(pointer)
    {
        *leaf = Value::from(MARKER);
    }
    marked
}

/// Returns the string values in a value, without member names.
#[must_use]
pub fn string_values(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(string_values).collect(),
        Value::Object(members) => members.values().flat_map(string_values).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}
