//! Input: JSON.
//!
//! - It is accepted if and only if `serde_json` accepts it, no object has a duplicate member and the depth is within
//!   the
//!   limit.
//! - An accepted text gives the value that `serde_json` reads, also when it is written and read again.

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
    let is_good = members.is_some_and(|any| !any.has_duplicate_members() && any.depth() <= DEPTH);
    assert_eq!(read.as_ref().ok(), theirs.as_ref().filter(|_| is_good));
    let Ok(value) = read else { return };
    assert_eq!(parse_strict_object(data, DEPTH).ok().map(Value::Object), Some(value.clone()).filter(Value::is_object));
    let written = value.to_string();
    assert_eq!(parse_strict(written.as_bytes(), DEPTH), Ok(value), "{written}");
    // Trailing bytes are never ignored.
    assert!(parse_strict(format!("{written}x").as_bytes(), DEPTH).is_err());
}
