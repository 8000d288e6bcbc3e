//! Input: bytes in which 0x01 stands for the vendor key and 0x02 … 0x08 for pieces of it, plain or encoded as a whole.
//!
//! The scan finds the key if and only if an independent search does. `tests/js/key_scanner.test.mjs` tests how streams
//! are cut.

#![cfg_attr(fuzzing, no_main)]

use std::collections::HashSet;
use std::sync::LazyLock;

use ct_codecs::{Base64NoPadding, Base64UrlSafeNoPadding, Encoder, Hex};
use serde_json::Value;
use valetkey::types::secret::VendorKey;
use valetkey::vendor::key_scan::KeyScan;
use valetkey_fuzz::json;
use valetkey_fuzz::settings::VENDOR_KEY;

valetkey_fuzz::target!(check);

const TAIL: &str = "Zk3_9-Qw7ErT5yUi1OpA2sDf";
/// Three of the pieces that the scan must find: 16 consecutive bytes at the start, at the end and in the middle of the
/// tail.
const PIECES: [&str; 3] = ["Zk3_9-Qw7ErT5yUi", "7ErT5yUi1OpA2sDf", "_9-Qw7ErT5yUi1Op"];

/// The forms of 16 consecutive bytes of the tail: 16 plain bytes, 32 hex digits, 20 characters of base64 that do not
/// depend on the bytes around the tail.
static FORMS: LazyLock<HashSet<Vec<u8>>> = LazyLock::new(|| {
    let pieces = |text: &[u8], length: usize| text.windows(length).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let mut forms = pieces(TAIL.as_bytes(), 16);
    forms.extend(pieces(Hex::encode_to_string(TAIL).unwrap().as_bytes(), 32));
    for before in 0..3 {
        let between = |byte: u8| {
            let bytes = [&vec![byte; before], TAIL.as_bytes(), &[byte; 3]].concat();
            Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
        };
        let (zeros, ones) = (between(0), between(255));
        let fixed = zeros.bytes().zip(ones.bytes()).filter(|(zero, one)| zero == one).map(|(zero, _)| zero);
        forms.extend(pieces(&fixed.collect::<Vec<u8>>(), 20));
    }
    forms.into_iter().collect()
});

static SCAN: LazyLock<KeyScan> = LazyLock::new(|| KeyScan::new([&VendorKey::try_new(VENDOR_KEY).unwrap()]));

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("\\u{byte:04x}")).collect()
}

/// Encodes the rest of `data` as its first byte says, and scans it.
fn check(data: &[u8]) {
    assert_eq!(VENDOR_KEY.strip_prefix("sk_live_"), Some(TAIL));
    let (first, rest) = data.split_first().unwrap_or((&b' ', &[]));
    let mut bytes = Vec::new();
    for byte in rest.iter().take(2_000) {
        match byte {
            1 => bytes.extend(VENDOR_KEY.bytes()),
            2 => bytes.extend(PIECES[0].bytes()),
            3 => bytes.extend(PIECES[1].bytes()),
            4 => bytes.extend(escaped(PIECES[0]).bytes()),
            5 => bytes.extend(TAIL[..15].bytes()),
            6 => bytes.extend(TAIL[9..].bytes()),
            7 => bytes.extend(PIECES[2].bytes()),
            8 => bytes.extend(PIECES[2].replace('_', "%5F").replace('Q', "%51").bytes()),
            other => bytes.push(*other),
        }
    }
    let has_key = PIECES.iter().any(|piece| contains(&bytes, piece.as_bytes()));
    let hex = |upper: bool, before: &str| -> String {
        let digits = |byte: &u8| if upper { format!("{before}{byte:02X}") } else { format!("{before}{byte:02x}") };
        bytes.iter().map(digits).collect()
    };
    let whole = match first % 8 {
        0 => Base64NoPadding::encode_to_string(&bytes).unwrap(),
        1 => Base64UrlSafeNoPadding::encode_to_string(&bytes).unwrap(),
        2 => hex(false, ""),
        3 => hex(true, ""),
        4 => hex(false, "%"),
        5 => hex(true, "%"),
        6 => return check_scan(&Value::from(String::from_utf8_lossy(&bytes)).to_string()),
        _ => return check_scan(&String::from_utf8_lossy(&bytes)),
    };
    assert!(!has_key || SCAN.finds_in(&whole), "{whole}");
    check_scan(&whole);
}

/// Compares the scan with an independent search: for each form of the tail, in the text and in each string that it
/// contains as JSON.
fn check_scan(text: &str) {
    let decoded = serde_json::from_str::<Value>(text).unwrap_or_default();
    let expected = contains_key(text) || json::strings(&decoded).into_iter().any(contains_key);
    assert_eq!(SCAN.finds_in(text), expected, "{text}");
    assert!(!PIECES.iter().any(|piece| text.contains(piece)) || expected, "{text}");
}

/// Searches the text as it is, and percent-decoded.
fn contains_key(text: &str) -> bool {
    let text = text.as_bytes();
    contains_form(text) || contains_form(&percent_decoded(text))
}

fn contains_form(text: &[u8]) -> bool {
    let url_safe: Vec<u8> = text
        .iter()
        .map(|byte| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        })
        .collect();
    let has = |text: &[u8], length: usize| text.windows(length).any(|piece| FORMS.contains(piece));
    has(text, 16) || has(&text.to_ascii_lowercase(), 32) || has(&url_safe, 20)
}

fn percent_decoded(mut text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    while let Some(first) = text.first() {
        let digits = text.get(1..3).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        match digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                text = &text[3..];
            }
            None => {
                plain.push(*first);
                text = &text[1..];
            }
        }
    }
    plain
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
