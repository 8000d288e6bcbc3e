//! One JSON Web Key (RFC 7517), parsed strictly.

use std::fmt;

use serde_json::{Map, Value};

use super::algorithm::{Algorithm, KeyFamily};
use super::compact::decode_base64url;
use super::key_id::is_key_id;
use super::signature::VerifyingKey;
use super::thumbprint::KeyThumbprint;

/// A verification key with its name and thumbprint.
#[derive(Clone, Debug)]
pub struct Key {
    /// The name by which a token's header refers to the key.
    pub(super) kid: Option<String>,
    /// The key and its only algorithm.
    pub(super) verifying: VerifyingKey,
    /// Identifies the key in the token cache.
    pub(super) thumbprint: KeyThumbprint,
}

/// The rule that a key breaks. `/readyz` shows the text after the key's path: rules and names, never values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyProblem {
    /// The text is not the JSON object `{"keys":[…]}`, or has a duplicate member.
    NotAKeySet,
    /// `keys` is empty.
    NoKeys,
    /// The key is not a JSON object.
    NotAnObject,
    /// The key has a member that RFC 7517 and RFC 7518 do not define.
    UnknownMember,
    /// The key is private, and only public keys are allowed here.
    Private,
    /// `kty` and `crv` name no kind of key that is allowed here.
    WrongKind,
    /// `use` is present and not `sig`.
    WrongUse,
    /// `key_ops` is present and does not contain `verify`.
    WrongOperations,
    /// `alg` is present and not one of the issuer's algorithms for this kind of key.
    WrongAlgorithm,
    /// Several of the issuer's algorithms fit the key, and the key has no `alg`.
    AmbiguousAlgorithm,
    /// None of the issuer's algorithms fits the key.
    NoAlgorithm,
    /// The key's bytes are missing, not canonical base64url, or not an acceptable key.
    BadMaterial,
    /// The secret is shorter than its algorithm's digest (RFC 7518 section 3.2).
    TooShort,
    /// `kid` is not of the allowed form.
    BadKeyId,
    /// The set has several keys, and this one has no `kid`.
    MissingKeyId,
    /// Another key has the same `kid`.
    RepeatedKeyId,
    /// The secret contains a PEM block. A public key used as a secret would let anybody sign (CVE-2026-34950).
    Pem,
    /// The secret starts or ends with white space. Most often this is a line end that is not part of the issuer's
    /// secret.
    WhiteSpace,
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotAKeySet => "is not a JWK set: {\"keys\":[…]} without duplicate or unknown members",
            Self::NoKeys => "has no keys",
            Self::NotAnObject => "is not an object",
            Self::UnknownMember => "has an unknown member",
            Self::Private => "holds a private key: only the public one belongs here",
            Self::WrongKind => "has a kty or crv that is not allowed here",
            Self::WrongUse => "has a use other than sig",
            Self::WrongOperations => "has key_ops without verify",
            Self::WrongAlgorithm => "has an alg that is not one of the issuer's algorithms for such a key",
            Self::AmbiguousAlgorithm => "needs an alg, because several of the issuer's algorithms fit it",
            Self::NoAlgorithm => "fits none of the issuer's algorithms",
            Self::BadMaterial => {
                "is not a valid key (RSA: 2048 to 4096 bits and exponent 65537; EC and OKP: a point on the curve)"
            }
            Self::TooShort => "is too short: HS256 needs at least 32 bytes, HS384 48, HS512 64",
            Self::BadKeyId => "has a kid that is not 1 to 128 letters, digits or . _ : = + / -",
            Self::MissingKeyId => "needs a kid, because there is more than one key",
            Self::RepeatedKeyId => "has the kid of another key",
            Self::Pem => "contains a PEM block, which is not a secret",
            Self::WhiteSpace => "starts or ends with white space",
        })
    }
}

/// Where a key comes from. It decides which members and which kinds of keys are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeySource {
    /// The configuration, or the header of a proof: not secret, so that only public keys are allowed. No unknown
    /// members.
    Inline,
    /// A secret: only `oct` keys. No unknown members.
    Secret,
    /// An identity provider's URL: only public keys. The provider may add members.
    Remote,
}

/// Members that a key may have: those that RFC 7517 and RFC 7518 register, and `ext`, which WebCrypto adds. A private
/// member has an error of its own.
const KNOWN_MEMBERS: [&str; 16] =
    ["kty", "use", "key_ops", "alg", "kid", "x5u", "x5c", "x5t", "x5t#S256", "n", "e", "crv", "x", "y", "k", "ext"];
/// Private parts of RSA, EC and OKP keys (RFC 7518 section 6.3.2, RFC 8037 section 2), and of AKP keys.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "priv"];
/// The start of every PEM block (RFC 7468 section 2).
const PEM_START: &[u8] = b"-----BEGIN";
/// The RSA exponent 65537 in the form of RFC 7518 section 6.3.1.2.
const RSA_EXPONENT: [u8; 3] = [1, 0, 1];

impl Key {
    /// Returns the key for [`verify_signature`](super::verify_signature).
    #[must_use]
    pub const fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// Parses a key for an issuer with these `algorithms`.
    pub(super) fn parse(value: &Value, source: KeySource, algorithms: &[Algorithm]) -> Result<Self, KeyProblem> {
        let jwk = value.as_object().ok_or(KeyProblem::NotAnObject)?;
        check_members(jwk, source)?;
        check_purpose(jwk)?;
        let algorithm = choose_algorithm(jwk, read_family(jwk, source)?, algorithms)?;
        let (verifying, thumbprint) = read_material(jwk, algorithm)?;
        let kid = match jwk.get("kid") {
            None => None,
            Some(Value::String(kid)) if is_key_id(kid) => Some(kid.clone()),
            Some(_) => return Err(KeyProblem::BadKeyId),
        };
        Ok(Self { kid, verifying, thumbprint })
    }

    /// Creates a key from a secret that is not a JWK: its bytes are the key.
    pub(super) fn raw_secret(bytes: &[u8], algorithm: Algorithm) -> Result<Self, KeyProblem> {
        let (verifying, thumbprint) = read_secret(bytes, algorithm)?;
        Ok(Self { kid: None, verifying, thumbprint })
    }
}

fn check_members(jwk: &Map<String, Value>, source: KeySource) -> Result<(), KeyProblem> {
    let has = |names: &[&str]| names.iter().any(|name| jwk.contains_key(*name));
    if has(&PRIVATE_MEMBERS) || (source != KeySource::Secret && has(&["k"])) {
        return Err(KeyProblem::Private);
    }
    if source != KeySource::Remote && jwk.keys().any(|name| !KNOWN_MEMBERS.contains(&name.as_str())) {
        return Err(KeyProblem::UnknownMember);
    }
    Ok(())
}

/// Checks `use` and `key_ops` (RFC 7517 sections 4.2 and 4.3), so that no encryption key verifies signatures.
fn check_purpose(jwk: &Map<String, Value>) -> Result<(), KeyProblem> {
    if jwk.get("use").is_some_and(|value| value != "sig") {
        return Err(KeyProblem::WrongUse);
    }
    let verifies = |value: &Value| value.as_array().is_some_and(|names| names.iter().any(|name| name == "verify"));
    if jwk.get("key_ops").is_some_and(|value| !verifies(value)) {
        return Err(KeyProblem::WrongOperations);
    }
    Ok(())
}

fn read_family(jwk: &Map<String, Value>, source: KeySource) -> Result<KeyFamily, KeyProblem> {
    let text = |name: &str| jwk.get(name).map(|value| value.as_str().unwrap_or_default());
    match (source, text("kty"), text("crv")) {
        (KeySource::Secret, Some("oct"), None) => Ok(KeyFamily::Secret),
        (KeySource::Secret, ..) => Err(KeyProblem::WrongKind),
        (_, Some("RSA"), None) => Ok(KeyFamily::Rsa),
        (_, Some("EC"), Some("P-256")) => Ok(KeyFamily::P256),
        (_, Some("EC"), Some("P-384")) => Ok(KeyFamily::P384),
        (_, Some("OKP"), Some("Ed25519")) => Ok(KeyFamily::Ed25519),
        _ => Err(KeyProblem::WrongKind),
    }
}

/// Returns the key's only algorithm (RFC 8725 section 3.1): its own `alg`, or the only algorithm of the issuer that
/// fits.
fn choose_algorithm(
    jwk: &Map<String, Value>,
    family: KeyFamily,
    algorithms: &[Algorithm],
) -> Result<Algorithm, KeyProblem> {
    let mut fitting = algorithms.iter().copied().filter(|algorithm| algorithm.family() == family);
    if let Some(value) = jwk.get("alg") {
        return fitting.find(|algorithm| value == algorithm.as_str()).ok_or(KeyProblem::WrongAlgorithm);
    }
    let only = fitting.next().ok_or(KeyProblem::NoAlgorithm)?;
    if fitting.next().is_some() { Err(KeyProblem::AmbiguousAlgorithm) } else { Ok(only) }
}

fn read_material(jwk: &Map<String, Value>, algorithm: Algorithm) -> Result<(VerifyingKey, KeyThumbprint), KeyProblem> {
    let bytes =
        |name: &str| jwk.get(name).and_then(Value::as_str).and_then(decode_base64url).ok_or(KeyProblem::BadMaterial);
    let public = |key, parts: &[&[u8]]| match key {
        Ok(key) => Ok((key, KeyThumbprint::public(algorithm, parts))),
        Err(_) => Err(KeyProblem::BadMaterial),
    };
    match algorithm.family() {
        KeyFamily::Secret => read_secret(&bytes("k")?, algorithm),
        KeyFamily::P256 | KeyFamily::P384 => {
            let (x, y) = (bytes("x")?, bytes("y")?);
            public(VerifyingKey::ec(algorithm, &x, &y), &[&x, &y])
        }
        KeyFamily::Ed25519 => {
            let x = bytes("x")?;
            public(VerifyingKey::ed25519(algorithm, &x), &[&x])
        }
        KeyFamily::Rsa => {
            let (modulus, exponent) = (bytes("n")?, bytes("e")?);
            if exponent != RSA_EXPONENT {
                return Err(KeyProblem::BadMaterial);
            }
            public(VerifyingKey::rsa(algorithm, &modulus, &exponent), &[&modulus])
        }
    }
}

fn read_secret(bytes: &[u8], algorithm: Algorithm) -> Result<(VerifyingKey, KeyThumbprint), KeyProblem> {
    let least = match algorithm {
        Algorithm::Hs256 => 32,
        Algorithm::Hs384 => 48,
        Algorithm::Hs512 => 64,
        _ => return Err(KeyProblem::WrongAlgorithm),
    };
    // Also checks secrets in a JWK, where the PEM text is encoded as base64url.
    if bytes.windows(PEM_START.len()).any(|piece| piece == PEM_START) {
        return Err(KeyProblem::Pem);
    }
    if bytes.len() < least {
        return Err(KeyProblem::TooShort);
    }
    let key = VerifyingKey::secret(algorithm, bytes).map_err(|_| KeyProblem::BadMaterial)?;
    Ok((key, KeyThumbprint::secret(algorithm, bytes)))
}

#[cfg(test)]
#[path = "jwk_tests.rs"]
mod tests;
