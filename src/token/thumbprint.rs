//! Thumbprints: hashes that identify a key without showing it.

use std::fmt;

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use serde_json::{Value, json};

use super::algorithm::Algorithm;
use super::compact::decode_base64url;

/// SHA-256 of a key's algorithm and material, similar to RFC 7638. The token cache compares it with the thumbprint of
/// the issuer's present key: a cached token is used only while the key that verified it is in the issuer's set.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyThumbprint([u8; 32]);

impl KeyThumbprint {
    /// Returns the thumbprint of a public key. `parts` are the decoded required members in lexical order.
    pub(super) fn public(algorithm: Algorithm, parts: &[&[u8]]) -> Self {
        Self::over(b"valetkey public key\0", algorithm, parts)
    }

    /// Returns the thumbprint of a secret. The label makes it differ from every other hash of the same secret.
    pub(super) fn secret(algorithm: Algorithm, bytes: &[u8]) -> Self {
        Self::over(b"valetkey secret key\0", algorithm, &[bytes])
    }

    fn over(label: &[u8], algorithm: Algorithm, parts: &[&[u8]]) -> Self {
        let mut hash = hmac_sha256::Hash::new();
        hash.update(label);
        for part in [algorithm.as_str().as_bytes()].iter().chain(parts) {
            // The length makes ("ab", "c") and ("a", "bc") differ.
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

/// The SHA-256 thumbprint of a public key (RFC 7638, RFC 8037 section 2) as `cnf.jkt` writes it: 43 characters of
/// base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwkThumbprint(String);

impl JwkThumbprint {
    /// Returns the thumbprint of an EC or OKP key, or `None` if a required member is missing.
    pub(super) fn of(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let (kty, crv, x) = (text("kty")?, text("crv")?, text("x")?);
        // `serde_json`'s map serializes its members in lexical order, as the RFC requires.
        let required = match kty {
            "EC" => json!({"crv": crv, "kty": kty, "x": x, "y": text("y")?}),
            "OKP" => json!({"crv": crv, "kty": kty, "x": x}),
            _ => return None,
        };
        let hash = hmac_sha256::Hash::hash(required.to_string().as_bytes());
        Base64UrlSafeNoPadding::encode_to_string(hash).ok().map(Self)
    }

    /// Parses `cnf.jkt`. Returns `None` if it is not a SHA-256 hash in canonical base64url.
    pub(super) fn parse(text: &str) -> Option<Self> {
        decode_base64url(text).filter(|hash| hash.len() == 32).map(|_| Self(text.to_owned()))
    }

    /// Returns the text of `cnf.jkt`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jwk_has_the_thumbprint_of_the_rfcs() {
        // RFC 8037 appendix A.3.
        let okp = json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "any",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        assert_eq!(JwkThumbprint::of(&okp).unwrap().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        // RFC 9449 section 4.1 and 6.1: the key of its example proof, and the `jkt` of its example token.
        let ec = json!({"kty": "EC", "crv": "P-256", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"});
        assert_eq!(JwkThumbprint::of(&ec).unwrap().as_str(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        for bad in [json!(null), json!({"kty": "EC", "crv": "P-256", "x": "a"}), json!({"kty": "oct", "k": "a"})] {
            assert_eq!(JwkThumbprint::of(&bad), None);
        }
    }

    #[test]
    fn a_thumbprint_is_43_characters_and_has_one_spelling() {
        let text = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        assert_eq!(JwkThumbprint::parse(text).unwrap().as_str(), text);
        for bad in ["", "a", &text[1..], &format!("{text}="), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4J"] {
            assert_eq!(JwkThumbprint::parse(bad), None, "{bad}");
        }
    }

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
