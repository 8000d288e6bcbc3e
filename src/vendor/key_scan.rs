//! The last check on everything that goes out: no answer holds the vendor's key (protocol 8).
//!
//! Nothing the vendor sends is relayed, so this never fires unless another defense failed. It looks for any 16 bytes in
//! a row of the key's tail in the encodings that an echo would have: plain, hexadecimal, base64 in three alignments and
//! two alphabets, each of them percent-encoded in whole or in part; and JSON after decoding.
//!
//! Every answer goes through it, so it is one pass that hardly looks. Sixteen characters in a row cover a place whose
//! number is a multiple of nine, and the eight characters from there on. So every ninth place is looked at; a table of
//! first characters passes over most of those; the eight characters of the rest are looked up among all that the key's
//! forms have, sorted; and only where they are found, the run around them is measured.

use ct_codecs::{Base64UrlSafeNoPadding, Encoder, Hex};
use serde_json::{Value, json};

use crate::types::secret::VendorKey;

/// Bytes of the tail in a row that are too many.
const PIECE_BYTES: usize = 16;
/// The same in base64: 16 bytes decide 20 characters on their own, whatever their alignment and their neighbors.
const PIECE_BASE64: usize = 20;
/// Characters that are looked up.
const GRAM: usize = 8;
/// From one place that is looked at to the next: the most that no run of [`PIECE_BYTES`] slips through.
const STEP: usize = PIECE_BYTES - GRAM + 1;

/// What to look for, made once for each key.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeyScan {
    forms: Vec<Form>,
    /// Eight characters of a form, folded; with the form and their place in it. Sorted.
    grams: Vec<(u64, usize, usize)>,
    /// The first characters of all grams, one bit each.
    starts: [u64; 4],
}

/// The tail in one encoding, of which `least` characters in a row are too many.
#[derive(Clone, PartialEq, Eq)]
struct Form {
    text: Vec<u8>,
    least: usize,
    alphabet: Alphabet,
}

/// Which characters of an encoding mean the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    /// None.
    Exact,
    /// Both cases.
    Hex,
    /// Those of RFC 4648 section 4 and of section 5.
    Base64,
}

impl Alphabet {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Hex => "hex",
            Self::Base64 => "base64",
        }
    }

    fn normal(self, byte: u8) -> u8 {
        match (self, byte) {
            (Self::Hex, _) => byte.to_ascii_lowercase(),
            (Self::Base64, b'+') => b'-',
            (Self::Base64, b'/') => b'_',
            (Self::Exact | Self::Base64, _) => byte,
        }
    }
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
        let forms: Vec<Form> = keys.into_iter().flat_map(|key| forms_of(key.expose_tail().as_bytes())).collect();
        let mut grams = Vec::new();
        for (index, form) in forms.iter().enumerate() {
            grams.extend(form.text.windows(GRAM).enumerate().filter_map(|(at, gram)| Some((fold(gram)?, index, at))));
        }
        grams.sort_unstable();
        let mut scan = Self { forms, grams, starts: [0; 4] };
        for (gram, ..) in &scan.grams {
            let (word, bit) = place_of(gram.to_be_bytes().first().copied().unwrap_or_default());
            if let Some(word) = scan.starts.get_mut(word) {
                *word |= bit;
            }
        }
        scan
    }

    /// What to look for, as JSON: `[text, least, alphabet]` of each form, for the scan of a relayed stream, which
    /// JavaScript does (protocol 4).
    #[must_use]
    pub fn forms(&self) -> Value {
        let form = |form: &Form| json!([String::from_utf8_lossy(&form.text), form.least, form.alphabet.as_str()]);
        self.forms.iter().map(form).collect()
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

    fn finds_in_bytes(&self, text: &[u8]) -> bool {
        // Both: what was never encoded may hold a percent sign before what looks like digits.
        self.finds_run(text) || (text.contains(&b'%') && self.finds_run(&decode_percent(text)))
    }

    fn finds_run(&self, text: &[u8]) -> bool {
        let places = text.windows(GRAM).enumerate().step_by(STEP);
        places.filter(|(_, gram)| self.may_start(gram)).any(|(place, gram)| {
            fold(gram).is_some_and(|folded| {
                let from = self.grams.partition_point(|(known, ..)| *known < folded);
                let found = self.grams.iter().skip(from).take_while(|(known, ..)| *known == folded);
                found.into_iter().any(|(_, form, at)| self.is_run(text, place, *form, *at))
            })
        })
    }

    fn may_start(&self, gram: &[u8]) -> bool {
        gram.first().is_some_and(|first| {
            let (word, bit) = place_of(fold_byte(*first));
            self.starts.get(word).is_some_and(|word| word & bit != 0)
        })
    }

    /// Whether the characters around `place` of the text are those around `at` of a form, enough of them in a row.
    fn is_run(&self, text: &[u8], place: usize, form: usize, at: usize) -> bool {
        let Some(Form { text: wanted, least, alphabet }) = self.forms.get(form) else { return false };
        let (Some((before, after)), Some((wanted_before, wanted_after))) =
            (text.split_at_checked(place), wanted.split_at_checked(at))
        else {
            return false;
        };
        let is_same = |(seen, wanted): &(&u8, &u8)| alphabet.normal(**seen) == **wanted;
        let left = before.iter().rev().zip(wanted_before.iter().rev()).take_while(is_same).count();
        let right = after.iter().zip(wanted_after).take_while(is_same).count();
        left.saturating_add(right) >= *least
    }
}

fn forms_of(tail: &[u8]) -> Vec<Form> {
    // The encoders fail only where a length overflows.
    let hex = Hex::encode_to_string(tail).unwrap_or_default().into_bytes();
    let mut forms = vec![
        Form { text: tail.to_vec(), least: PIECE_BYTES, alphabet: Alphabet::Exact },
        Form { text: hex, least: PIECE_BYTES.saturating_mul(2), alphabet: Alphabet::Hex },
    ];
    // Whatever stands before the tail, one of three alignments holds. The characters that a neighbor has a share in are
    // cut off: with one byte before, those of its 8 bits and the 4 next to them.
    let before: [(&[u8], usize); 3] = [(&[], 0), (&[0], 2), (&[0, 0], 3)];
    for (before, cut) in before {
        let padded = [before, tail].concat();
        let whole = padded.len().saturating_mul(8) / 6;
        let encoded = Base64UrlSafeNoPadding::encode_to_string(padded).unwrap_or_default();
        let text = encoded.into_bytes().into_iter().take(whole).skip(cut).collect();
        forms.push(Form { text, least: PIECE_BASE64, alphabet: Alphabet::Base64 });
    }
    forms
}

/// One number for eight characters, the same for those that any alphabet takes for the same.
fn fold(gram: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(gram.first_chunk::<GRAM>()?.map(fold_byte)))
}

fn fold_byte(byte: u8) -> u8 {
    Alphabet::Hex.normal(Alphabet::Base64.normal(byte))
}

/// Where the bit of a byte is among 4 × 64.
fn place_of(byte: u8) -> (usize, u64) {
    (usize::from(byte >> 6), 1 << (byte & 63))
}

/// Percent-encoding undone wherever it is (RFC 3986 section 2.1), once.
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
mod tests {
    use ct_codecs::Base64NoPadding;

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
            TAIL.replace('_', "%5F"),
            TAIL.replace('Z', "%5a").replace('D', "%44"),
            format!("{{\"a\":\"{}\"}}", TAIL.replace('_', "\\u00255f")),
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
    fn any_sixteen_bytes_of_the_tail_are_found_and_fifteen_are_not() {
        let encodings: [fn(&[u8]) -> String; 6] = [
            |piece| String::from_utf8_lossy(piece).into_owned(),
            |piece| Hex::encode_to_string(piece).unwrap(),
            |piece| Hex::encode_to_string(piece).unwrap().to_uppercase(),
            |piece| piece.iter().map(|byte| format!("%{byte:02X}")).collect(),
            |piece| Base64NoPadding::encode_to_string(piece).unwrap(),
            |piece| Base64UrlSafeNoPadding::encode_to_string(piece).unwrap(),
        ];
        let keys = [TAIL.to_owned(), "a".repeat(30), "ab".repeat(100), "Zk3_9-Qw7ErT5yUi".to_owned()];
        for tail in &keys {
            let scan = KeyScan::new([&VendorKey::try_new(&format!("sk_live_{tail}")).unwrap()]);
            for start in 0..=tail.len() - 16 {
                let piece = &tail.as_bytes()[start..start + 16];
                // Every alignment of base64, and every place in the steps of the scan.
                for before in 0..12 {
                    let (around, after) = ("!".repeat(before), "?!");
                    let bytes = [around.as_bytes(), piece, after.as_bytes()].concat();
                    for encode in encodings {
                        assert!(scan.finds_in(&encode(&bytes)), "{tail}, {start}, {before}: {}", encode(&bytes));
                    }
                    let less = [around.as_bytes(), &piece[1..], after.as_bytes()].concat();
                    assert!(!scan.finds_in(&encodings[0](&less)) && !scan.finds_in(&encodings[1](&less)));
                }
            }
        }
    }

    #[test]
    fn either_key_is_found_while_keys_are_rotated() {
        let next = "0123456789abcdefghij";
        let keys = [TAIL, next].map(|tail| VendorKey::try_new(&format!("sk_live_{tail}")).unwrap());
        let scan = KeyScan::new(&keys);
        assert!(scan.finds_in(&TAIL[4..20]) && scan.finds_in(&next[2..18]));
        assert!(!scan.finds_in(&format!("{}{}", &TAIL[..15], &next[..15])));
        assert!(!KeyScan::default().finds_in(TAIL));
    }

    #[test]
    fn the_forms_are_those_that_the_scan_in_javascript_is_tested_with() {
        // tests/js/key_scanner.test.mjs has the same line.
        let pinned = r#"[["Zk3_9-Qw7ErT5yUi1OpA2sDf",16,"exact"],["5a6b335f392d51773745725435795569314f704132734466",32,"hex"],["WmszXzktUXc3RXJUNXlVaTFPcEEyc0Rm",20,"base64"],["prM185LVF3N0VyVDV5VWkxT3BBMnNEZ",20,"base64"],["aazNfOS1RdzdFclQ1eVVpMU9wQTJzRG",20,"base64"]]"#;
        assert_eq!(scan().forms().to_string(), pinned);
    }

    #[test]
    fn what_is_not_the_key_passes() {
        for text in
            ["", "sk_live_", "{\"a\":\"b\\n\"}", "Zk3_9-Qw7ErT5yU", "\\", "%", "%5", "%zz%5F", "Zk3_9-Qw%7ErT5yUi"]
        {
            assert!(!scan().finds_in(text), "{text}");
        }
    }

    #[test]
    fn the_scan_itself_shows_nothing() {
        assert_eq!(format!("{:?}", scan()), "KeyScan(…)");
    }
}
