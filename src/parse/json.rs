//! Strict JSON for untrusted input. Text that two parsers could read differently is refused.
//!
//! `serde_json` keeps the last of two equal members and allows 128 levels of nesting. If another parser on the way
//! reads a token or body differently, checks can be bypassed (RFC 8725 section 2.4). Therefore equal members, invalid
//! UTF-8, trailing bytes and deep nesting are errors here.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The error for text that is not acceptable JSON. It never contains the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonProblem;

/// Parses `bytes` as one JSON value with at most `max_depth` levels of nesting and no member twice.
///
/// # Errors
/// [`JsonProblem`] for anything else, including numbers outside the range of `f64`.
pub fn parse_strict(bytes: &[u8], max_depth: usize) -> Result<Value, JsonProblem> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonProblem)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict { depth_left: max_depth }.deserialize(&mut deserializer).map_err(|_| JsonProblem)?;
    deserializer.end().map_err(|_| JsonProblem)?;
    Ok(value)
}

/// Parses an object with [`parse_strict`].
///
/// # Errors
/// [`JsonProblem`], also if the value is not an object.
pub fn parse_strict_object(bytes: &[u8], max_depth: usize) -> Result<Map<String, Value>, JsonProblem> {
    match parse_strict(bytes, max_depth)? {
        Value::Object(object) => Ok(object),
        _ => Err(JsonProblem),
    }
}

/// The visitor, and how many levels of nesting it still allows.
#[derive(Clone, Copy)]
struct Strict {
    depth_left: usize,
}

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        self.depth_left.checked_sub(1).map(|depth_left| Self { depth_left }).ok_or_else(|| E::custom("too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
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
        while let Some(item) = access.next_element_seed(seed)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = access.next_value_seed(seed)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("equal members"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Value, JsonProblem> {
        parse_strict(text.as_bytes(), 3)
    }

    #[test]
    fn plain_json_is_parsed_as_by_serde_json() {
        for text in ["null", "true", "1", "-1", "18446744073709551615", "0.1", "\"é\\u0000\"", "[1,{\"a\":[]}]", " {} "]
        {
            assert_eq!(parse(text).unwrap(), serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn equal_members_are_refused_at_every_depth() {
        for text in ["{\"a\":1,\"a\":1}", "{\"a\":{\"b\":1,\"b\":2}}", "[{\"a\":1,\"\\u0061\":1}]"] {
            assert_eq!(parse(text), Err(JsonProblem), "{text}");
        }
    }

    #[test]
    fn depth_trailing_bytes_and_bad_utf8_are_refused() {
        assert!(parse("[[[1]]]").is_ok());
        for text in ["[[[[]]]]", "{\"a\":{\"b\":{\"c\":{}}}}", "{}x", "{}{}", "", "1e400", "{\"a\":1,}", "\u{feff}{}"] {
            assert_eq!(parse(text), Err(JsonProblem), "{text}");
        }
        assert_eq!(parse_strict(b"\"\xff\"", 3), Err(JsonProblem));
        assert_eq!(parse_strict(&[b'['; 100_000], 16), Err(JsonProblem));
    }

    #[test]
    fn only_an_object_is_an_object() {
        assert!(parse_strict_object(b"{}", 1).is_ok());
        assert_eq!(parse_strict_object(b"[]", 1), Err(JsonProblem));
    }
}
