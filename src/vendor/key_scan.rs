//! Scans everything that Valetkey sends for the vendor key (protocol 8).
//!
//! Nothing that the vendor sends is relayed unread, so the scan finds nothing unless another defense failed. It looks
//! for any 16 consecutive bytes of the key's tail in the encodings that an echo would have:
//!
//! - plain, hexadecimal, and base64 in three alignments and two alphabets
//! - each of these percent-encoded, in whole or in part
//! - JSON also after decoding
//!
//! Every response is scanned, so the scan is one pass that skips most of the text:
//!
//! 1. A run of 16 characters contains a position that is a multiple of nine and the eight characters from there on. So
//!    only every ninth position is looked at.
//! 2. A table of first characters skips most of those.
//! 3. The eight characters (a gram) are looked up among the sorted grams of all encodings of the key.
//! 4. Where a gram is found, the length of the run around it is measured.

use serde_json::{Value, json};

use super::key_forms::{Form, PIECE_BYTES, fold_byte, forms_of};
use crate::types::secret::VendorKey;

/// Characters in a gram.
const GRAM: usize = 8;
/// Distance between two positions that are compared: the largest with which no run of [`PIECE_BYTES`] is skipped.
const STEP: usize = PIECE_BYTES - GRAM + 1;

/// The encodings of the vendor keys, indexed for the scan.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeyScan {
    forms: Vec<Form>,
    /// The grams of all forms, sorted: the folded characters, the index of the form, the position in the form.
    grams: Vec<(u64, usize, usize)>,
    /// The first bytes of all grams: a set of 256 bits.
    first_bytes: [u64; 4],
}

/// Shows nothing of the key.
impl std::fmt::Debug for KeyScan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KeyScan(…)")
    }
}

impl KeyScan {
    /// Returns a scan for `keys`.
    #[must_use]
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a VendorKey>) -> Self {
        let forms: Vec<Form> = keys.into_iter().flat_map(|key| forms_of(key.expose_tail().as_bytes())).collect();
        let mut grams = Vec::new();
        for (index, form) in forms.iter().enumerate() {
            grams.extend(form.text.windows(GRAM).enumerate().filter_map(|(at, gram)| Some((fold(gram)?, index, at))));
        }
        grams.sort_unstable();
        let mut scan = Self { forms, grams, first_bytes: [0; 4] };
        for (gram, ..) in &scan.grams {
            let (word, bit) = bit_of(gram.to_be_bytes().first().copied().unwrap_or_default());
            if let Some(word) = scan.first_bytes.get_mut(word) {
                *word |= bit;
            }
        }
        scan
    }

    /// Returns the forms as JSON, `[text, least, alphabet]` each, for `key_scanner.js`: JavaScript scans the streams
    /// that are relayed (protocol 4).
    #[must_use]
    pub fn forms(&self) -> Value {
        let form = |form: &Form| json!([String::from_utf8_lossy(&form.text), form.least, form.alphabet.into_str()]);
        self.forms.iter().map(form).collect()
    }

    /// Returns whether `text` contains a key in any encoding. JSON is scanned as it is, and decoded.
    #[must_use]
    pub fn finds_in(&self, text: &str) -> bool {
        if self.finds_in_bytes(text.as_bytes()) {
            return true;
        }
        // Without a backslash JSON decodes to the same characters.
        text.contains('\\') && serde_json::from_str::<Value>(text).is_ok_and(|value| self.finds_in_value(&value))
    }

    fn finds_in_value(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.finds_in_bytes(text.as_bytes()),
            Value::Array(items) => items.iter().any(|item| self.finds_in_value(item)),
            Value::Object(members) => {
                members.iter().any(|(name, value)| self.finds_in_bytes(name.as_bytes()) || self.finds_in_value(value))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    fn finds_in_bytes(&self, text: &[u8]) -> bool {
        // Search the text as it is, too: one that is not percent-encoded may contain a percent sign and two hexadecimal
        // digits.
        self.finds_run(text) || (text.contains(&b'%') && self.finds_run(&decode_percent(text)))
    }

    fn finds_run(&self, text: &[u8]) -> bool {
        let positions = text.windows(GRAM).enumerate().step_by(STEP);
        positions.filter(|(_, gram)| self.has_first_byte(gram)).any(|(position, gram)| {
            fold(gram).is_some_and(|folded| {
                let from = self.grams.partition_point(|(known, ..)| *known < folded);
                let found = self.grams.iter().skip(from).take_while(|(known, ..)| *known == folded);
                found.into_iter().any(|(_, form, at)| self.is_run(text, position, *form, *at))
            })
        })
    }

    fn has_first_byte(&self, gram: &[u8]) -> bool {
        gram.first().is_some_and(|first| {
            let (word, bit) = bit_of(fold_byte(*first));
            self.first_bytes.get(word).is_some_and(|word| word & bit != 0)
        })
    }

    /// Returns whether the text around `position` equals the form around `at`, for at least [`Form::least`] characters.
    fn is_run(&self, text: &[u8], position: usize, form: usize, at: usize) -> bool {
        let Some(Form { text: wanted, least, alphabet }) = self.forms.get(form) else { return false };
        let (Some((before, after)), Some((wanted_before, wanted_after))) =
            (text.split_at_checked(position), wanted.split_at_checked(at))
        else {
            return false;
        };
        let is_same = |(seen, wanted): &(&u8, &u8)| alphabet.normalize(**seen) == **wanted;
        let left = before.iter().rev().zip(wanted_before.iter().rev()).take_while(is_same).count();
        let right = after.iter().zip(wanted_after).take_while(is_same).count();
        left.saturating_add(right) >= *least
    }
}

/// Returns the gram as one number. Characters that mean the same in any alphabet give the same number.
fn fold(gram: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(gram.first_chunk::<GRAM>()?.map(fold_byte)))
}

/// Returns the word and the bit of a byte in a set of 256 bits.
fn bit_of(byte: u8) -> (usize, u64) {
    (usize::from(byte >> 6), 1 << (byte & 63))
}

/// Decodes every valid percent-encoding in `text` (RFC 3986 section 2.1), once.
fn decode_percent(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = match after.split_first_chunk::<2>() {
            Some((digits, behind)) if *first == b'%' => hex_byte(*digits).map(|byte| (byte, behind)),
            _ => None,
        };
        let (byte, next) = escaped.unwrap_or((*first, after));
        decoded.push(byte);
        rest = next;
    }
    decoded
}

fn hex_byte(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
    Some((high? << 4) | low?)
}

#[cfg(test)]
#[path = "key_scan_tests.rs"]
mod tests;
