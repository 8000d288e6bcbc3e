//! Bytes as JSON: accepted exactly where `serde_json` accepts them, no object has a member twice and nothing nests too
//! deep; and then read as `serde_json` reads them, before and after they are written again.

#![cfg_attr(fuzzing, no_main)]

use serde_json::Value;
use valetkey::parse::json::{parse_strict, parse_strict_object};
use valetkey_fuzz::json::Any;

valetkey_fuzz::target!(check);

const DEPTH: usize = 6;

fn check(data: &[u8]) {
    let read = parse_strict(data, DEPTH);
    let theirs = serde_json::from_slice::<Value>(data).ok();
    let members = serde_json::from_slice::<Any>(data).ok();
    let is_good = members.is_some_and(|any| !any.has_equal_members() && any.depth() <= DEPTH);
    assert_eq!(read.as_ref().ok(), theirs.as_ref().filter(|_| is_good));
    let Ok(value) = read else { return };
    assert_eq!(parse_strict_object(data, DEPTH).ok().map(Value::Object), Some(value.clone()).filter(Value::is_object));
    let written = value.to_string();
    assert_eq!(parse_strict(written.as_bytes(), DEPTH), Ok(value), "{written}");
    // What follows is never ignored.
    assert!(parse_strict(format!("{written}x").as_bytes(), DEPTH).is_err());
}
