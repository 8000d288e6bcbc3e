//! The signature algorithms that an issuer may use: a closed list, matched by exact name ([RFC 8725 section 3.1]).
//!
//! [RFC 8725 section 3.1]: https://www.rfc-editor.org/rfc/rfc8725#section-3.1

/// A JWS algorithm. The list has no `none`, no encryption algorithm, and none whose key comes with the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "UPPERCASE")]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519 under its older name (RFC 8037).
    #[strum(serialize = "EdDSA")]
    EdDsa,
    /// Ed25519 under its newer name (RFC 9864). Signatures are the same as those of `EdDSA`, but the name in a token
    /// must be the name of its key.
    #[strum(serialize = "Ed25519")]
    Ed25519,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    Ps256,
    /// RSASSA-PSS with SHA-384 and a salt of 48 bytes.
    Ps384,
    /// RSASSA-PSS with SHA-512 and a salt of 64 bytes.
    Ps512,
}

/// The kind of key that an algorithm needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFamily {
    /// A shared secret (`oct`).
    Secret,
    /// A point on P-256 (`EC`).
    P256,
    /// A point on P-384 (`EC`).
    P384,
    /// A point on edwards25519 (`OKP`).
    Ed25519,
    /// An RSA modulus (`RSA`).
    Rsa,
}

impl Algorithm {
    /// Every algorithm, in the order of declaration.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the name in a token's header, a JWK's `alg` and an issuer's `algorithms`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the algorithm with exactly this name. `rs256`, `RS256 ` and `none` are no names of algorithms.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        name.parse().ok()
    }

    /// Returns the kind of key that the algorithm needs.
    #[must_use]
    pub const fn family(self) -> KeyFamily {
        match self {
            Self::Hs256 | Self::Hs384 | Self::Hs512 => KeyFamily::Secret,
            Self::Es256 => KeyFamily::P256,
            Self::Es384 => KeyFamily::P384,
            Self::EdDsa | Self::Ed25519 => KeyFamily::Ed25519,
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => KeyFamily::Rsa,
        }
    }

    /// Returns whether the algorithm needs a shared secret (HMAC).
    ///
    /// An issuer never mixes these with other algorithms. Otherwise an attacker could sign with HMAC and use the
    /// issuer's public key as the secret (algorithm confusion, CVE-2015-9235).
    #[must_use]
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_is_found_by_its_own_name() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.as_str()), Some(*algorithm));
        }
    }

    #[test]
    fn a_name_that_is_almost_right_names_nothing() {
        for name in
            ["", "none", "None", "hs256", "HS256 ", " HS256", "HS256\n", "HS1", "ES256K", "ES512", "RSA1_5", "dir"]
        {
            assert_eq!(Algorithm::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn only_the_hmac_algorithms_are_symmetric() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.is_symmetric(), algorithm.family() == KeyFamily::Secret);
            assert_eq!(algorithm.is_symmetric(), algorithm.as_str().starts_with("HS"));
        }
    }
}
