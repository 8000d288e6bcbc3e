use ct_codecs::{Base64NoPadding, Base64UrlSafeNoPadding, Encoder, Hex};

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
            // Every alignment of base64, and every position in the steps of the scan.
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
    for text in ["", "sk_live_", "{\"a\":\"b\\n\"}", "Zk3_9-Qw7ErT5yU", "\\", "%", "%5", "%zz%5F", "Zk3_9-Qw%7ErT5yUi"]
    {
        assert!(!scan().finds_in(text), "{text}");
    }
}

#[test]
fn the_scan_itself_shows_nothing() {
    assert_eq!(format!("{:?}", scan()), "KeyScan(…)");
}
