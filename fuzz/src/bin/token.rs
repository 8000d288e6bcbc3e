//! Input: a token. Only the signed tokens are accepted, byte for byte.
//!
//! `token_header` and `token_claims` test header and claims that the real keys sign.

#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;

use valetkey::token::{Possession, Purpose, find_remote_keys, verify};
use valetkey::types::time::UnixSeconds;
use valetkey_fuzz::tokens::{ISSUERS, KEYS, NOW, good_claims, good_header, sign};

valetkey_fuzz::target!(check);

/// One token of each key.
static SIGNED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let token = |(kid, alg, issuer): (&str, &str, &str)| {
        sign(kid, good_header(kid, alg).to_string().as_bytes(), good_claims(issuer).to_string().as_bytes())
    };
    let signed: Vec<String> = KEYS.into_iter().map(token).collect();
    assert!(signed.iter().all(|token| is_accepted(token)), "a valid token is refused");
    signed
});

fn is_accepted(token: &str) -> bool {
    verify(token, &ISSUERS, Purpose::Access, Possession::None, UnixSeconds(NOW)).is_ok()
}

fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // An ES256 signature has a second form that verifies as well (see `verify_signature`). Mutations do not find it.
    assert_eq!(is_accepted(&text), SIGNED.iter().any(|signed| *signed == text), "{text}");
    assert!(find_remote_keys(&text, &ISSUERS, Purpose::Access).is_none(), "no issuer here has keys at a URL");
    // A signed token with one segment replaced is not accepted either.
    for (token, at) in SIGNED.iter().zip([0, 1, 2, 0, 1, 2]) {
        let mut segments: Vec<&str> = token.split('.').collect();
        segments[at] = &text;
        let mixed = segments.join(".");
        assert_eq!(is_accepted(&mixed), SIGNED.contains(&mixed), "{mixed}");
    }
}
