//! The hash of a token, by which a proof and the cache name it.

/// SHA-256 over a whole token, signature included.
pub(super) type TokenHash = [u8; 32];

/// Hashes `token`.
pub(super) fn hash_token(token: &str) -> TokenHash {
    hmac_sha256::Hash::hash(token.as_bytes())
}
