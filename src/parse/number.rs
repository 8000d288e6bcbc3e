//! Comparison of JSON numbers by value: `28`, `28.0` and `2.8e1` are the same number (RFC 8259 section 6).

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

/// 2^53. Above it, an `f64` cannot represent every integer.
const EXACT_FLOAT_MAX: f64 = 9_007_199_254_740_992.0;

/// Returns a number as an integer if it is whole. A float above 2^53 does not count as whole.
#[must_use]
pub fn whole(number: &Number) -> Option<i128> {
    if let Some(integer) = number.as_i64() {
        return Some(integer.into());
    }
    if let Some(integer) = number.as_u64() {
        return Some(integer.into());
    }
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= EXACT_FLOAT_MAX)?;
    #[allow(clippy::as_conversions, clippy::cast_possible_truncation, reason = "a whole number of at most 2^53")]
    Some(float as i128)
}

/// Returns a value as an integer of type `T`, if it is a whole number in the range of `T`.
#[must_use]
pub fn parse_whole<T: TryFrom<i128>>(value: &Value) -> Option<T> {
    value.as_number().and_then(whole).and_then(|integer| T::try_from(integer).ok())
}

/// Returns a number in its normal form, which is sent to the vendor: a whole float becomes an integer, and `-0` becomes
/// `0`.
#[must_use]
pub fn normal(number: &Number) -> Number {
    let integer = whole(number).and_then(|integer| i64::try_from(integer).ok());
    integer.map_or_else(|| number.clone(), Number::from)
}

/// Returns whether `one` is less than `other`. Two integers are compared exactly.
#[must_use]
pub fn is_less(one: &Number, other: &Number) -> bool {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one < other,
        _ => one.as_f64() < other.as_f64(),
    }
}

/// Returns whether two values are equal. Numbers are compared by value, everything else exactly.
#[must_use]
pub fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => normal(one) == normal(other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        _ => one == other,
    }
}

/// Returns a value with every number in its normal form, so that equal values serialize to equal texts.
#[must_use]
pub fn canonical(value: &Value) -> Cow<'_, Value> {
    match value {
        Value::Number(number) => Cow::Owned(Value::Number(normal(number))),
        Value::Array(items) => Cow::Owned(items.iter().map(|item| canonical(item).into_owned()).collect()),
        Value::Object(members) => {
            let each = |(name, value): (&String, &Value)| (name.clone(), canonical(value).into_owned());
            Cow::Owned(Value::Object(members.iter().map(each).collect::<Map<_, _>>()))
        }
        Value::Null | Value::Bool(_) | Value::String(_) => Cow::Borrowed(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn number(text: &str) -> Number {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_float_is_an_integer_if_it_is_whole_and_exact() {
        for (text, expected) in [
            ("28", Some(28)),
            ("28.0", Some(28)),
            ("2.8e1", Some(28)),
            ("1e3", Some(1_000)),
            ("-0", Some(0)),
            ("-0.0", Some(0)),
            ("-5.0", Some(-5)),
            ("9007199254740992.0", Some(9_007_199_254_740_992)),
            ("18446744073709551615", Some(18_446_744_073_709_551_615)),
            ("0.5", None),
            ("28.000001", None),
            ("9007199254740994.0", None),
            ("18446744073709551616", None),
            ("1e300", None),
        ] {
            assert_eq!(whole(&number(text)), expected, "{text}");
        }
        assert_eq!(parse_whole::<u32>(&json!(-1.0)), None);
        assert_eq!(parse_whole::<u32>(&json!("1")), None);
        assert_eq!(parse_whole::<u32>(&json!(7.0)), Some(7));
    }

    #[test]
    fn the_normal_spelling_of_a_whole_float_is_an_integer() {
        for (text, expected) in [
            ("28.0", "28"),
            ("-0", "0"),
            ("1e3", "1000"),
            ("0.5", "0.5"),
            ("5e-1", "0.5"),
            ("18446744073709551615", "18446744073709551615"),
            ("1e300", "1e+300"),
        ] {
            assert_eq!(normal(&number(text)).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_ordered_by_value() {
        for (one, other) in [("1", "2.0"), ("-0.5", "0"), ("9007199254740992", "9007199254740993"), ("1", "1e300")] {
            assert!(is_less(&number(one), &number(other)), "{one} {other}");
            assert!(!is_less(&number(other), &number(one)), "{other} {one}");
        }
        assert!(!is_less(&number("1.0"), &number("1")));
    }

    #[test]
    fn values_are_the_same_by_number_and_exactly_otherwise() {
        assert!(is_same(&json!([1, "a"]), &json!([1.0, "a"])));
        for (one, other) in [
            (json!(1), json!("1")),
            (json!(1), json!(true)),
            (json!([1]), json!([1, 1])),
            (json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992.0)),
            (json!(10_000_000_000_000_000_i64), json!(1e16)),
        ] {
            assert!(!is_same(&one, &other), "{one} {other}");
        }
    }

    #[test]
    fn equal_requests_have_one_canonical_text() {
        let one: Value = serde_json::from_str(r#"{"b":[1.0,{"d":-0,"c":"x"}],"a":1e2}"#).unwrap();
        assert_eq!(canonical(&one).to_string(), r#"{"a":100,"b":[1,{"c":"x","d":0}]}"#);
    }
}
