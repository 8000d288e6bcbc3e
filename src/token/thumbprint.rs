//! What tells one key from every other, without being it.

use std::fmt;

use super::algorithm::Algorithm;

/// SHA-256 over a key's algorithm and material, in the spirit of RFC 7638. A cached token is good only while the
/// key that verified it is in the issuer's set, and this is how it remembers that key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyThumbprint([u8; 32]);

impl KeyThumbprint {
    /// Of a public key: `parts` are its required members, decoded, in lexical order.
    pub(super) fn public(algorithm: Algorithm, parts: &[&[u8]]) -> Self {
        Self::over(b"valetkey public key\0", algorithm, parts)
    }

    /// Of a secret. The label keeps it apart from every other hash of the same secret.
    pub(super) fn secret(algorithm: Algorithm, bytes: &[u8]) -> Self {
        Self::over(b"valetkey secret key\0", algorithm, &[bytes])
    }

    fn over(label: &[u8], algorithm: Algorithm, parts: &[&[u8]]) -> Self {
        let mut hash = hmac_sha256::Hash::new();
        hash.update(label);
        for part in [algorithm.as_str().as_bytes()].iter().chain(parts) {
            // The length keeps ("ab", "c") and ("a", "bc") apart.
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize())
    }
}

impl fmt::Debug for KeyThumbprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyThumbprint(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_differ_in_anything_have_different_thumbprints() {
        let all = [
            KeyThumbprint::public(Algorithm::Es256, &[b"a", b"bc"]),
            KeyThumbprint::public(Algorithm::Es256, &[b"ab", b"c"]),
            KeyThumbprint::public(Algorithm::Es384, &[b"a", b"bc"]),
            KeyThumbprint::public(Algorithm::Hs256, &[b"abc"]),
            KeyThumbprint::secret(Algorithm::Hs256, b"abc"),
            KeyThumbprint::secret(Algorithm::Hs384, b"abc"),
        ];
        for (index, thumbprint) in all.iter().enumerate() {
            assert_eq!(all.iter().position(|other| other == thumbprint), Some(index));
        }
        assert_eq!(all[0], KeyThumbprint::public(Algorithm::Es256, &[b"a", b"bc"]));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", KeyThumbprint::secret(Algorithm::Hs256, b"abc")), "KeyThumbprint(…)");
    }
}
