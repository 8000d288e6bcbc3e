//! Random ids. They must not repeat after a restart: the Worker under test may remember those of an earlier run.

use ct_codecs::{Base64UrlSafeNoPadding, Encoder, Hex};

/// Bytes of randomness in an id: 96 bits never collide in a test run.
const ID_BYTES: usize = 12;

/// `prefix_` and 24 hex digits: `pred_5f0c…`.
pub fn new_id(prefix: &str) -> String {
    let hex = Hex::encode_to_string(random_bytes::<ID_BYTES>()).unwrap_or_default();
    format!("{prefix}_{hex}")
}

/// A `jti`: 16 random bytes in base64url.
pub fn new_token_id() -> String {
    Base64UrlSafeNoPadding::encode_to_string(random_bytes::<16>()).unwrap_or_default()
}

/// A random number.
pub fn random_u64() -> u64 {
    u64::from_le_bytes(random_bytes())
}

/// The system's randomness; zeros where it has none, which a stand-in may live with.
fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = getrandom::fill(&mut bytes);
    bytes
}
