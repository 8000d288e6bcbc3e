use super::*;

fn parse(text: &str) -> Result<Value, JsonProblem> {
    parse_strict(text.as_bytes(), 3)
}

fn fault(text: &str) -> JsonFault {
    parse(text).unwrap_err().fault
}

fn problem(fault: JsonFault, line: usize, column: usize) -> JsonProblem {
    JsonProblem { fault, line, column }
}

#[test]
fn plain_json_is_parsed_as_by_serde_json() {
    for text in ["null", "true", "1", "-1", "18446744073709551615", "0.1", "\"é\\u0000\"", "[1,{\"a\":[]}]", " {} "] {
        assert_eq!(parse(text).unwrap(), serde_json::from_str::<Value>(text).unwrap(), "{text}");
    }
}

#[test]
fn equal_members_are_refused_at_every_depth() {
    for text in ["{\"a\":1,\"a\":1}", "{\"a\":{\"b\":1,\"b\":2}}", "[{\"a\":1,\"\\u0061\":1}]"] {
        assert_eq!(fault(text), JsonFault::RepeatedMember, "{text}");
    }
}

#[test]
fn depth_trailing_bytes_and_bad_utf8_are_refused() {
    assert!(parse("[[[1]]]").is_ok());
    for (text, expected) in [
        ("[[[[]]]]", JsonFault::TooDeep),
        ("{\"a\":{\"b\":{\"c\":{}}}}", JsonFault::TooDeep),
        ("{}x", JsonFault::TrailingText),
        ("{}{}", JsonFault::TrailingText),
        ("{},", JsonFault::TrailingText),
        ("", JsonFault::UnexpectedEnd),
        ("{\"a\":", JsonFault::UnexpectedEnd),
        ("\"a", JsonFault::UnexpectedEnd),
        ("1e400", JsonFault::NotJson),
        ("{\"a\":1,}", JsonFault::NotJson),
        ("NaN", JsonFault::NotJson),
        ("\"\\x\"", JsonFault::NotJson),
        ("\u{feff}{}", JsonFault::NotJson),
    ] {
        assert_eq!(fault(text), expected, "{text}");
    }
    assert_eq!(parse_strict(b"\"\xff\"", 3), Err(problem(JsonFault::NotUtf8, 1, 2)));
    assert_eq!(parse_strict("é\n😀\u{1}".as_bytes(), 3).unwrap_err().fault, JsonFault::NotJson);
    assert_eq!(parse_strict(b"[1,\n \xc3\xa9\xff]", 3), Err(problem(JsonFault::NotUtf8, 2, 3)));
    assert_eq!(parse_strict(&[b'['; 100_000], 16).unwrap_err().fault, JsonFault::TooDeep);
}

#[test]
fn half_an_emoji_is_named_in_values_and_in_names() {
    for text in [
        r#""\ud83d""#,
        r#""\ud83d!""#,
        r#""\ude00""#,
        r#""\ud83d\n""#,
        r#""\ud83d\ud83d""#,
        r#"{"\ud83d":1}"#,
        r#"["\uD83Dx"]"#,
    ] {
        assert_eq!(fault(text), JsonFault::UnpairedSurrogate, "{text}");
    }
    assert_eq!(parse(r#""\ud83d\ude00""#).unwrap(), "😀");
    assert_eq!(fault(r#""\ud83d"#), JsonFault::UnexpectedEnd);
    assert_eq!(fault(r#""\u12x4""#), JsonFault::NotJson);
}

#[test]
fn a_problem_is_placed_by_line_and_character() {
    for (text, expected) in [
        ("{\"a\":1,\n \"é\":2,\n \"é\":3}", problem(JsonFault::RepeatedMember, 3, 4)),
        ("{\"é\":\"\\ud83d\"}", problem(JsonFault::UnpairedSurrogate, 1, 13)),
        ("{}\n x", problem(JsonFault::TrailingText, 2, 2)),
        ("[[[\n[1]]]]", problem(JsonFault::TooDeep, 2, 1)),
    ] {
        assert_eq!(parse(text), Err(expected), "{text}");
    }
}

#[test]
fn only_an_object_is_an_object() {
    assert!(parse_strict_object(b"{}", 1).is_ok());
    assert_eq!(parse_strict_object(b"[]", 1).unwrap_err().fault, JsonFault::NotAnObject);
}

#[test]
fn each_value_counts_and_one_too_many_is_refused() {
    let body = |max_values| parse_body(br#"{"a":[1,{"b":2}],"c":null}"#, 8, max_values, Shape::Anything);
    assert!(body(6).is_ok());
    assert_eq!(body(5).unwrap_err().fault, JsonFault::TooManyValues);
    assert_eq!(body(0).unwrap_err(), problem(JsonFault::TooManyValues, 1, 1));
    // Values that are not kept count too.
    let dropped = parse_body(br#"{"a":[1,2,3]}"#, 8, 4, Shape::Scalar);
    assert_eq!(dropped.unwrap_err().fault, JsonFault::TooManyValues);
}

#[test]
fn what_does_not_fit_the_shape_is_read_strictly_and_kept_empty() {
    const ITEMS: Shape<'_> = Shape::Items { most: 2, each: &Shape::Scalar };
    const SHAPE: Shape<'_> =
        Shape::Members { named: &[("input", Shape::Members { named: &[], others: &ITEMS })], others: &Shape::Scalar };
    let body = |text: &str| parse_body(text.as_bytes(), 8, 100, SHAPE).map(Value::Object);
    for (text, kept) in [
        (r#"{"input":{"a":1,"b":["x","y"]},"model":"m"}"#, r#"{"input":{"a":1,"b":["x","y"]},"model":"m"}"#),
        (r#"{"input":{"a":[1,2,3]}}"#, r#"{"input":{"a":[1,2]}}"#),
        (r#"{"input":{"a":{"b":{"c":1}}}}"#, r#"{"input":{"a":{}}}"#),
        (r#"{"input":{"a":[[1],{"b":2}]}}"#, r#"{"input":{"a":[[],{}]}}"#),
        (r#"{"input":[1,{"a":1}],"model":{"a":1},"x":[1]}"#, r#"{"input":[],"model":{},"x":[]}"#),
    ] {
        assert_eq!(body(text).unwrap().to_string(), kept, "{text}");
    }
    let repeated = body(r#"{"input":{"a":{"b":1,"b":2}}}"#);
    assert_eq!(repeated.unwrap_err().fault, JsonFault::RepeatedMember);
    assert_eq!(body(r#"{"x":["\ud83d"]}"#).unwrap_err().fault, JsonFault::UnpairedSurrogate);
}
