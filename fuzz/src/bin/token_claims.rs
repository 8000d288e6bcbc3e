//! Input: the claims of a token that is signed with the real key.
//!
//! Accepted claims, read by another parser, agree with the grant and satisfy every rule of `verify`.

#![cfg_attr(fuzzing, no_main)]

use valetkey_fuzz::json;
use valetkey_fuzz::tokens::{HS_ISSUER, PUBLIC_ISSUER, check_signed, good_claims, good_header, rich_claims};

valetkey_fuzz::target!(check);

fn check(data: &[u8]) {
    let claims = json::text(data, &[good_claims(HS_ISSUER), rich_claims(), good_claims(PUBLIC_ISSUER)]);
    check_signed("k1", good_header("k1", "HS256").to_string().as_bytes(), &claims);
}
