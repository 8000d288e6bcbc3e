//! Input: the header of a token that is signed with the real key.
//!
//! An accepted header, read by another parser, has the key's `alg` and `kid`, a known `typ` and no other member.

#![cfg_attr(fuzzing, no_main)]

use serde_json::json;
use valetkey_fuzz::json;
use valetkey_fuzz::tokens::{HS_ISSUER, KEYS, RAW_ISSUER, check_signed, good_claims, good_header};

valetkey_fuzz::target!(check);

fn check(data: &[u8]) {
    let good = KEYS.map(|(kid, alg, _)| good_header(kid, alg));
    let others = json!({"alg": "none", "typ": "at+jwt", "kid": "../../dev/null", "crit": ["exp"], "b64": false,
        "jku": "https://evil.example", "jwk": {"kty": "oct", "k": "AA"}, "x5u": "https://evil.example", "zip": "DEF"});
    let header = json::text(data, &[good.as_slice(), &[others]].concat());
    check_signed("k1", &header, good_claims(HS_ISSUER).to_string().as_bytes());
    check_signed("raw", &header, good_claims(RAW_ISSUER).to_string().as_bytes());
    // A signature of 64 bytes, the length of an ES256 or EdDSA signature, whatever `alg` the header names.
    check_signed("k512", &header, good_claims(HS_ISSUER).to_string().as_bytes());
}
