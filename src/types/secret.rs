//! The type of the vendor key, and of any other text that must never be shown.

use std::fmt;

/// Text that is used but never shown: it has no `Display`, no `Serialize`, and a redacted `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the text. Call this only where the text is used.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// The vendor's API key. It matches `^sk_live_[A-Za-z0-9_-]{16,200}$` and is not a placeholder (contract 4).
#[derive(Clone, PartialEq, Eq)]
pub struct VendorKey(Secret);

/// Why a text is not a vendor key. It never contains the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VendorKeyProblem {
    /// The text does not match `^sk_live_[A-Za-z0-9_-]{16,200}$`.
    Form,
    /// The text contains one of the words that examples use.
    Placeholder,
}

const PREFIX: &str = "sk_live_";
const TAIL_LENGTH: std::ops::RangeInclusive<usize> = 16..=200;
const PLACEHOLDER_WORDS: [&str; 4] = ["example", "replace", "your", "xxxx"];

impl VendorKey {
    /// Parses a key.
    ///
    /// # Errors
    /// [`VendorKeyProblem`], which names the problem and never the value.
    pub fn try_new(text: &str) -> Result<Self, VendorKeyProblem> {
        let tail = text.strip_prefix(PREFIX).ok_or(VendorKeyProblem::Form)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !TAIL_LENGTH.contains(&tail.len()) || !tail.bytes().all(allowed) {
            return Err(VendorKeyProblem::Form);
        }
        let lower = tail.to_ascii_lowercase();
        if PLACEHOLDER_WORDS.iter().any(|word| lower.contains(word)) {
            return Err(VendorKeyProblem::Placeholder);
        }
        Ok(Self(Secret::new(text.to_owned())))
    }

    /// Returns the whole key, for the vendor's `Authorization` header and for key derivation.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Returns the secret part after `sk_live_`, which the key scan searches for in outgoing text.
    #[must_use]
    pub fn expose_tail(&self) -> &str {
        self.0.expose().strip_prefix(PREFIX).unwrap_or_default()
    }

    /// Returns 16 hexadecimal characters that tell keys apart and reveal nothing: a truncated SHA-256 with a label.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = hmac_sha256::Hash::new();
        hash.update(b"valetkey key fingerprint\0");
        hash.update(self.0.expose().as_bytes());
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for VendorKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("VendorKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "sk_live_test_0123456789abcdef";

    #[test]
    fn debug_shows_nothing() {
        let key = VendorKey::try_new(GOOD).unwrap();
        assert_eq!(format!("{key:?} {:?}", Secret::new("s".into())), "VendorKey(…) Secret(…)");
    }

    #[test]
    fn a_key_has_the_vendors_form_and_is_no_placeholder() {
        for bad in ["", "sk_live_", "sk_test_0123456789abcdef", "sk_live_0123456789abcde", "sk_live_0123456789abcdef\n"]
        {
            assert_eq!(VendorKey::try_new(bad).unwrap_err(), VendorKeyProblem::Form, "{bad:?}");
        }
        for bad in ["sk_live_REPLACE_me_with_a_key", "sk_live_your_key_goes_in_here", "sk_live_xxxxxxxxxxxxxxxxxxxx"] {
            assert_eq!(VendorKey::try_new(bad).unwrap_err(), VendorKeyProblem::Placeholder, "{bad:?}");
        }
        assert!(VendorKey::try_new(&format!("sk_live_{}", "a".repeat(200))).is_ok());
        assert!(VendorKey::try_new(&format!("sk_live_{}", "a".repeat(201))).is_err());
    }

    #[test]
    fn fingerprints_tell_keys_apart_and_hold_no_part_of_them() {
        let key = VendorKey::try_new(GOOD).unwrap();
        let other = VendorKey::try_new("sk_live_test_0123456789abcdeg").unwrap();
        assert_ne!(key.fingerprint(), other.fingerprint());
        assert_eq!(key.fingerprint().len(), 16);
    }
}
