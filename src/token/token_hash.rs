//! The hash of a token. A DPoP proof names its token by it (`ath`), and it is the key of the token cache.

/// SHA-256 of a whole token, signature included.
pub(super) type TokenHash = [u8; 32];

/// Returns the hash of `token`.
pub(super) fn hash_token(token: &str) -> TokenHash {
    hmac_sha256::Hash::hash(token.as_bytes())
}
