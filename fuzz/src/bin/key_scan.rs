//! Bytes in which 0x01 stands for the key and 0x02 … 0x06 for pieces of it, as they are or encoded as a whole: the scan
//! finds the key exactly where another search does. (Where a stream is cut is `tests/js/key_scanner.test.mjs`.)

#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;

use ct_codecs::{Base64NoPadding, Base64UrlSafeNoPadding, Encoder};
use serde_json::Value;
use valetkey::secret::VendorKey;
use valetkey::upstream::key_scan::KeyScan;
use valetkey_fuzz::json;
use valetkey_fuzz::settings::VENDOR_KEY;

valetkey_fuzz::target!(check);

const TAIL: &str = "Zk3_9-Qw7ErT5yUi1OpA2sDf";
/// Any 16 bytes of the tail in a row are too many; these are looked for.
const PIECES: [&str; 2] = ["Zk3_9-Qw7ErT5yUi", "7ErT5yUi1OpA2sDf"];

static SCAN: LazyLock<KeyScan> = LazyLock::new(|| KeyScan::new([&VendorKey::try_new(VENDOR_KEY).unwrap()]));

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("\\u{byte:04x}")).collect()
}

/// The first byte says how the rest is encoded as a whole.
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
        6 => return check_found_exactly(&Value::from(String::from_utf8_lossy(&bytes)).to_string()),
        _ => return check_found_exactly(&String::from_utf8_lossy(&bytes)),
    };
    assert!(!has_key || SCAN.finds_in(&whole), "{whole}");
    check_found_exactly(&whole);
}

/// Another search of the same needles: in the text and in each string that it holds as JSON.
fn check_found_exactly(text: &str) {
    let needles = SCAN.needles();
    let holds = |text: &str| needles.iter().any(|needle| text.contains(needle));
    let decoded = serde_json::from_str::<Value>(text).unwrap_or_default();
    let expected = holds(text) || json::strings(&decoded).into_iter().any(holds);
    assert_eq!(SCAN.finds_in(text), expected, "{text}");
    assert!(!PIECES.iter().any(|piece| text.contains(piece)) || expected, "{text}");
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
