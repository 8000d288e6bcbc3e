//! The only function that verifies a signature, and the keys for it. Each key has exactly one algorithm.
//!
//! `jwt-simple` parses the keys and applies its rules to them: RSA with 2048 to 4096 bits and exponent 65537, points on
//! their curve, no Ed25519 point of small order. Signatures are verified with the primitives below `jwt-simple`. Its
//! own `verify_token` would parse header and claims a second time, by laxer rules.

use std::fmt;

use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike, ECDSAP384PublicKeyLike, ES256PublicKey, ES384PublicKey, Ed25519PublicKey,
    EdDSAPublicKeyLike, HS256Key, HS384Key, HS512Key, MACLike, RS256PublicKey, RSAPublicKeyLike,
};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use superboring::hash::MessageDigest;
use superboring::pkey::{PKey, Public};
use superboring::rsa::Padding;
use superboring::sign::Verifier as RsaVerifier;

use super::algorithm::{Algorithm, KeyFamily};

/// A verification key with exactly one algorithm.
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Hs256(HS256Key),
    Hs384(HS384Key),
    Hs512(HS512Key),
    // The large keys are boxed: an enum is as large as its largest variant.
    P256(Box<ES256PublicKey>),
    P384(Box<ES384PublicKey>),
    Ed25519(Box<Ed25519PublicKey>),
    Rsa { key: Box<PKey<Public>>, modulus_bytes: usize },
}

/// The signature does not verify: it was not made with this key over this message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSignature;

/// The bytes are not an acceptable key for the algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadKey;

impl VerifyingKey {
    /// Creates the key from a shared secret. The caller has checked its length.
    pub(super) fn secret(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, BadKey> {
        let material = match algorithm {
            Algorithm::Hs256 => Material::Hs256(HS256Key::from_bytes(bytes)),
            Algorithm::Hs384 => Material::Hs384(HS384Key::from_bytes(bytes)),
            Algorithm::Hs512 => Material::Hs512(HS512Key::from_bytes(bytes)),
            _ => return Err(BadKey),
        };
        Ok(Self { algorithm, material })
    }

    /// Creates the key from the affine coordinates of a point on the algorithm's curve, each of full length.
    pub(super) fn ec(algorithm: Algorithm, x: &[u8], y: &[u8]) -> Result<Self, BadKey> {
        // SEC 1 section 2.3.3: 4 means "both coordinates follow". The constructor checks that the point is on the
        // curve.
        let point = [&[4_u8][..], x, y].concat();
        let material = match algorithm.family() {
            KeyFamily::P256 if x.len() == 32 && y.len() == 32 => {
                Material::P256(Box::new(ES256PublicKey::from_bytes(&point).map_err(|_| BadKey)?))
            }
            KeyFamily::P384 if x.len() == 48 && y.len() == 48 => {
                Material::P384(Box::new(ES384PublicKey::from_bytes(&point).map_err(|_| BadKey)?))
            }
            _ => return Err(BadKey),
        };
        Ok(Self { algorithm, material })
    }

    /// Creates the key from a compressed point on edwards25519, which must be canonical and not of small order.
    pub(super) fn ed25519(algorithm: Algorithm, x: &[u8]) -> Result<Self, BadKey> {
        if algorithm.family() != KeyFamily::Ed25519 {
            return Err(BadKey);
        }
        let key = Ed25519PublicKey::from_bytes(x).map_err(|_| BadKey)?;
        Ok(Self { algorithm, material: Material::Ed25519(Box::new(key)) })
    }

    /// Creates the key from an RSA modulus of 2048 to 4096 bits, big-endian without leading zeros, and the exponent
    /// 65537.
    pub(super) fn rsa(algorithm: Algorithm, modulus: &[u8], exponent: &[u8]) -> Result<Self, BadKey> {
        if algorithm.family() != KeyFamily::Rsa || modulus.first() == Some(&0) {
            return Err(BadKey);
        }
        // `jwt-simple` has the same size and exponent rules for all six RSA algorithms, so that any of its types will
        // do.
        let key = RS256PublicKey::from_components(modulus, exponent).map_err(|_| BadKey)?;
        let key = PKey::from_rsa(key.public_key().as_ref().clone()).map_err(|_| BadKey)?;
        Ok(Self { algorithm, material: Material::Rsa { key: Box::new(key), modulus_bytes: modulus.len() } })
    }

    /// Returns the key's only algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifyingKey({}, …)", self.algorithm.as_str())
    }
}

/// Verifies that `signature` was made with `key` over `message`, by the key's algorithm and no other.
///
/// ECDSA signatures are the concatenated integers `r` and `s` (RFC 7518 section 3.4), never DER. Both the high and the
/// low `s` are accepted, as in every JWS library: many honest signers do not normalize it, and nothing here is
/// identified by its signature alone.
///
/// # Errors
/// [`BadSignature`], whatever the reason.
pub fn verify_signature(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    let is_valid = match &key.material {
        // Compares in constant time, and refuses a truncated tag.
        Material::Hs256(secret) => ct_codecs::verify(&secret.authentication_tag(message), signature),
        Material::Hs384(secret) => ct_codecs::verify(&secret.authentication_tag(message), signature),
        Material::Hs512(secret) => ct_codecs::verify(&secret.authentication_tag(message), signature),
        // Hash with the crates that are used everywhere else. The curves' own `verify` would link a second SHA-2.
        Material::P256(point) => p256::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| {
            point.public_key().as_ref().verify_prehash(&hmac_sha256::Hash::hash(message), &signature).is_ok()
        }),
        Material::P384(point) => p384::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| {
            point.public_key().as_ref().verify_prehash(&hmac_sha512::sha384::Hash::hash(message), &signature).is_ok()
        }),
        Material::Ed25519(point) => ed25519_compact::Signature::from_slice(signature)
            .is_ok_and(|signature| point.public_key().as_ref().verify(message, &signature).is_ok()),
        // RFC 8017 section 8: a signature is as long as the modulus, and smaller than it.
        Material::Rsa { key: rsa, modulus_bytes } => {
            signature.len() == *modulus_bytes && verify_rsa(rsa, key.algorithm, message, signature)
        }
    };
    if is_valid { Ok(()) } else { Err(BadSignature) }
}

fn verify_rsa(key: &PKey<Public>, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
    let (digest, padding) = match algorithm {
        Algorithm::Rs256 => (MessageDigest::sha256(), Padding::PKCS1),
        Algorithm::Rs384 => (MessageDigest::sha384(), Padding::PKCS1),
        Algorithm::Rs512 => (MessageDigest::sha512(), Padding::PKCS1),
        Algorithm::Ps256 => (MessageDigest::sha256(), Padding::PKCS1_PSS),
        Algorithm::Ps384 => (MessageDigest::sha384(), Padding::PKCS1_PSS),
        Algorithm::Ps512 => (MessageDigest::sha512(), Padding::PKCS1_PSS),
        _ => return false,
    };
    let Ok(mut verifier) = RsaVerifier::new(digest, key) else { return false };
    // For PSS the salt must be as long as the digest (RFC 7518 section 3.5), which is the verifier's default.
    verifier.set_rsa_padding(padding).is_ok() && matches!(verifier.verify_oneshot(signature, message), Ok(true))
}
