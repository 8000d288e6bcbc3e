//! Random ids. They do not repeat after a restart, because the Worker under test may still store ids of an earlier run.

use ct_codecs::{Base64UrlSafeNoPadding, Encoder, Hex};

/// Random bytes of an id: 96 bits, which do not collide in a test run.
const ID_BYTES: usize = 12;

/// Returns `prefix_` and 24 hex digits: `pred_5f0c…`.
pub fn new_id(prefix: &str) -> String {
    let hex = Hex::encode_to_string(random_bytes::<ID_BYTES>()).unwrap_or_default();
    format!("{prefix}_{hex}")
}

/// Returns a `jti`: 16 random bytes in base64url.
pub fn new_token_id() -> String {
    Base64UrlSafeNoPadding::encode_to_string(random_bytes::<16>()).unwrap_or_default()
}

/// Returns a random number.
pub fn random_u64() -> u64 {
    u64::from_le_bytes(random_bytes())
}

/// Returns bytes of the system's random generator, or zeros if that fails: good enough for a simulator.
fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = getrandom::fill(&mut bytes);
    bytes
}
