//! The last check on everything that goes out: no answer holds the vendor's key (protocol 8).
//!
//! Nothing the vendor sends is relayed, so this never fires unless another defense failed. It looks for the key's
//! tail in the encodings that an echo would have: plain, base64 in three alignments and two alphabets, hexadecimal
//! in both cases, percent-encoded; and JSON after decoding.

use ct_codecs::{Base64NoPadding, Base64UrlSafeNoPadding, Encoder, Hex};
use serde_json::Value;

use crate::secret::VendorKey;

/// Bytes of the tail that are looked for: any 16 of them in a row are too many.
const NEEDLE_BYTES: usize = 16;

/// What to look for, made once for each key.
#[derive(Clone)]
pub struct KeyScan {
    needles: Vec<Vec<u8>>,
    /// Whether a needle starts with a byte: nearly every place of an answer is passed over by this alone.
    starts: [bool; 256],
}

impl std::fmt::Debug for KeyScan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KeyScan(…)")
    }
}

impl KeyScan {
    /// A scan for these keys.
    #[must_use]
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a VendorKey>) -> Self {
        let mut needles = Vec::new();
        for key in keys {
            let tail = key.expose_tail().as_bytes();
            // The first and the last 16 bytes: an echo that is cut at either end is found by the other.
            let pieces = [tail.get(..NEEDLE_BYTES), tail.get(tail.len().saturating_sub(NEEDLE_BYTES)..)];
            for piece in pieces.into_iter().flatten() {
                add_encodings(&mut needles, piece);
            }
        }
        needles.sort_unstable();
        needles.dedup();
        let mut starts = [false; 256];
        for first in needles.iter().filter_map(|needle| needle.first()) {
            if let Some(start) = starts.get_mut(usize::from(*first)) {
                *start = true;
            }
        }
        Self { needles, starts }
    }

    /// What to look for, as texts: for the scan of a relayed stream, which JavaScript does (protocol 4).
    #[must_use]
    pub fn needles(&self) -> Vec<&str> {
        self.needles.iter().filter_map(|needle| std::str::from_utf8(needle).ok()).collect()
    }

    /// Whether `text` holds a key in any encoding; JSON is looked at as it is and decoded.
    #[must_use]
    pub fn finds_in(&self, text: &str) -> bool {
        if self.finds_in_bytes(text.as_bytes()) {
            return true;
        }
        // A backslash is the only way in which decoding JSON can change what stands there.
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

    fn finds_in_bytes(&self, haystack: &[u8]) -> bool {
        haystack.iter().enumerate().any(|(place, byte)| {
            self.starts.get(usize::from(*byte)).is_some_and(|start| *start)
                && haystack.get(place..).is_some_and(|rest| self.needles.iter().any(|needle| rest.starts_with(needle)))
        })
    }
}

fn add_encodings(needles: &mut Vec<Vec<u8>>, piece: &[u8]) {
    needles.push(piece.to_vec());
    if let Ok(hex) = Hex::encode_to_string(piece) {
        needles.push(hex.to_ascii_uppercase().into_bytes());
        needles.push(hex.into_bytes());
    }
    let escape = |lower: bool| -> Vec<u8> {
        let escaped = piece.iter().map(|byte| if lower { format!("%{byte:02x}") } else { format!("%{byte:02X}") });
        escaped.collect::<String>().into_bytes()
    };
    needles.push(escape(true));
    needles.push(escape(false));
    for skip in 0..3 {
        // Whatever stands before, one of three alignments holds; the characters that a neighbor shares are cut off.
        let Some(aligned) = piece.get(skip..) else { continue };
        let whole = aligned.len().saturating_sub(aligned.len() % 3);
        let Some(aligned) = aligned.get(..whole) else { continue };
        needles.extend(Base64NoPadding::encode_to_string(aligned).map(String::into_bytes));
        needles.extend(Base64UrlSafeNoPadding::encode_to_string(aligned).map(String::into_bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str = "Zk3_9-Qw7ErT5yUi1OpA2sDf";

    fn scan() -> KeyScan {
        KeyScan::new([&VendorKey::try_new(&format!("sk_live_{TAIL}")).unwrap()])
    }

    #[test]
    fn every_encoding_of_the_key_is_found() {
        let key = format!("sk_live_{TAIL}");
        let percent: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let unicode: String = TAIL.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
        let mut leaks = vec![
            key.clone(),
            format!("Bearer {key}"),
            Hex::encode_to_string(&key).unwrap(),
            Hex::encode_to_string(&key).unwrap().to_uppercase(),
            percent,
            format!("{{\"a\":[\"{unicode}\"]}}"),
            format!("{{\"{unicode}\":1}}"),
            key[..24].to_owned(),
            key[16..].to_owned(),
        ];
        for prefix in ["", "a", "ab", "Bearer "] {
            leaks.push(Base64NoPadding::encode_to_string(format!("{prefix}{key}")).unwrap());
            leaks.push(Base64UrlSafeNoPadding::encode_to_string(format!("{prefix}{key}!")).unwrap());
        }
        for leak in leaks {
            assert!(scan().finds_in(&leak), "{leak}");
        }
    }

    #[test]
    fn what_is_not_the_key_passes() {
        for text in ["", "sk_live_", "{\"a\":\"b\\n\"}", "Zk3_9-Qw7ErT5yU", "\\"] {
            assert!(!scan().finds_in(text), "{text}");
        }
    }

    #[test]
    fn the_scan_itself_shows_nothing() {
        assert_eq!(format!("{:?}", scan()), "KeyScan(…)");
    }
}
