//! Exports for the tests on workerd, in a build with the feature `test-exports`. The shipped module lacks all of them.

use std::cell::Cell;

use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

use crate::token::{Algorithm, KeySet, verify_signature};

thread_local! {
    /// The place at which the core panics next, if a test has chosen one.
    static PANIC_AT: Cell<Option<Place>> = const { Cell::new(None) };
}

/// A place at which a test can make the core panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Place {
    /// The start of a request of the edge.
    Edge,
    /// A Ledger that handles a message.
    Ledger,
    /// The Dispatcher that handles a message.
    Dispatcher,
    /// The alarm of a Ledger or of the Dispatcher.
    Alarm,
}

/// Makes the core panic the next time that it reaches `place`. Returns whether there is such a place.
#[wasm_bindgen(js_name = panicAt)]
pub fn panic_at(place: &str) -> bool {
    let place = place.parse().ok();
    PANIC_AT.set(place);
    place.is_some()
}

/// Panics if a test has chosen this place. Clears the choice first, so that the core panics only once.
#[allow(clippy::panic, reason = "what the tests are for")]
pub fn panic_if_at(place: Place) {
    if PANIC_AT.get() == Some(place) {
        PANIC_AT.set(None);
        panic!("a test asked for it");
    }
}

/// Returns the size of this wasm instance's memory in bytes. The memory only grows.
#[wasm_bindgen(js_name = memoryBytes)]
pub fn memory_bytes() -> usize {
    const PAGE_BYTES: usize = 65_536;
    core::arch::wasm32::memory_size::<0>().saturating_mul(PAGE_BYTES)
}

/// Verifies signatures like those of tokens: parses the key with the parser of configured keys, then calls
/// [`verify_signature`].
///
/// Takes `{"jwk":…,"algorithm":"ES256","signatures":[["message","signature"],…]}`, messages and signatures in
/// hexadecimal. Returns `"key_refused"` or a list of booleans.
#[wasm_bindgen(js_name = verifySignatures)]
pub fn verify_signatures(request: &str) -> String {
    let request: Value = serde_json::from_str(request).unwrap_or_default();
    match verify_all(&request) {
        Some(valid) => json!(valid).to_string(),
        None => json!("key_refused").to_string(),
    }
}

fn verify_all(request: &Value) -> Option<Vec<bool>> {
    let algorithm = Algorithm::parse(request.get("algorithm")?.as_str()?)?;
    let set = json!({"keys": [request.get("jwk")?]});
    let keys = if algorithm.is_symmetric() {
        KeySet::parse_secret(&set.to_string(), &[algorithm]).ok()?
    } else {
        KeySet::parse_public(&set, &[algorithm]).ok()?
    };
    let key = keys.find(None).ok()?.verifying().clone();
    let is_valid = |pair: &Value| {
        let bytes = |index: usize| pair.get(index).and_then(Value::as_str).and_then(parse_hex);
        bytes(0).zip(bytes(1)).is_some_and(|(message, signature)| verify_signature(&key, &message, &signature).is_ok())
    };
    Some(request.get("signatures")?.as_array()?.iter().map(is_valid).collect())
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}
