//! Keys of the hostile tokens, generated when the test runs, and their signatures, valid and malformed.

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use jwt_simple::algorithms::{
    ECDSAP256KeyPairLike, ECDSAP384KeyPairLike, ES256KeyPair, ES384KeyPair, Ed25519KeyPair, EdDSAKeyPairLike, HS256Key,
    HS512Key, MACLike, RS256KeyPair, RSAKeyPairLike, RSAPublicKeyLike,
};
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};
use superboring::hash::MessageDigest;
use superboring::pkey::PKey;
use superboring::rsa::Padding;
use superboring::sign::Signer as RsaSigner;

/// Base64url without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
}

/// Every key that signs a hostile token: the issuers' keys and an attacker's (`evil_…`).
pub struct Keys {
    k1: HS256Key,
    raw: HS256Key,
    k512: HS512Key,
    ec1: ES256KeyPair,
    ec2: ES384KeyPair,
    ed1: Ed25519KeyPair,
    rsa1: RS256KeyPair,
    evil_ec: ES256KeyPair,
    evil_ed: Ed25519KeyPair,
}

impl Keys {
    pub fn generate() -> Self {
        Self {
            k1: HS256Key::generate(),
            raw: HS256Key::from_bytes(encode(HS256Key::generate().to_bytes()).as_bytes()),
            k512: HS512Key::from_bytes(&[HS256Key::generate().to_bytes(), HS256Key::generate().to_bytes()].concat()),
            ec1: ES256KeyPair::generate(),
            ec2: ES384KeyPair::generate(),
            ed1: Ed25519KeyPair::generate(),
            rsa1: RS256KeyPair::generate(2048).unwrap(),
            evil_ec: ES256KeyPair::generate(),
            evil_ed: Ed25519KeyPair::generate(),
        }
    }

    /// Returns the secret of the issuer with HMAC keys: a JWK set with `k1` (HS256) and `k512` (HS512).
    pub fn secret(&self) -> String {
        let oct =
            |kid: &str, alg: &str, bytes: Vec<u8>| json!({"kty": "oct", "kid": kid, "alg": alg, "k": encode(bytes)});
        let keys = [oct("k1", "HS256", self.k1.to_bytes()), oct("k512", "HS512", self.k512.to_bytes())];
        json!({ "keys": keys }).to_string()
    }

    /// Returns the secret of the issuer whose key has no name: its text is the key.
    pub fn raw_secret(&self) -> String {
        String::from_utf8(self.raw.to_bytes()).unwrap()
    }

    /// Returns the key set of the issuer with public keys: `ec1` (ES256), `ec2` (ES384), `ed1` (EdDSA), `rsa1` (RS256)
    /// and `pss1`, the same RSA key under another `kid` for PS256.
    pub fn public_set(&self) -> Value {
        let jwk = |kid: &str, alg: &str, text: String| {
            let mut value: Value = serde_json::from_str(&text).unwrap();
            (value["kid"], value["alg"]) = (json!(kid), json!(alg));
            value
        };
        json!({"keys": [
            jwk("ec1", "ES256", self.ec1.public_key().to_jwk()),
            jwk("ec2", "ES384", self.ec2.public_key().to_jwk()),
            jwk("ed1", "EdDSA", self.ed1.public_key().to_jwk()),
            jwk("rsa1", "RS256", self.rsa1.public_key().to_jwk()),
            jwk("pss1", "PS256", self.rsa1.public_key().to_jwk()),
        ]})
    }

    /// Returns the signature over `input` that `how` names: a key, or a key and a way to corrupt its signature.
    pub fn sign(&self, how: &str, input: &[u8]) -> Vec<u8> {
        let (kind, detail) = how.split_once(':').unwrap_or((how, ""));
        match kind {
            "k1" => self.k1.authentication_tag(input),
            "plain-text" => self.raw.authentication_tag(input),
            "k512" => self.k512.authentication_tag(input),
            "hmac" => HS256Key::from_bytes(detail.as_bytes()).authentication_tag(input),
            "hmac-hex" => HS256Key::from_bytes(&from_hex(detail)).authentication_tag(input),
            "hmac-public" => HS256Key::from_bytes(&self.public_bytes(detail)).authentication_tag(input),
            "ec1" => ecdsa(&self.ec1, input),
            "ec1-twin" => twin(&ecdsa(&self.ec1, input)),
            "ec1-der" => der(&ecdsa(&self.ec1, input)),
            "evil-ec" => ecdsa(&self.evil_ec, input),
            "ec2" => {
                let signature: p384::ecdsa::Signature = self.ec2.key_pair().as_ref().sign(input);
                signature.to_bytes().to_vec()
            }
            "ed1" => self.ed1.key_pair().as_ref().sk.sign(input, None).to_vec(),
            "ed1-plus-l" => ed25519_plus_order(&self.ed1.key_pair().as_ref().sk.sign(input, None)[..]),
            "evil-ed" => self.evil_ed.key_pair().as_ref().sk.sign(input, None).to_vec(),
            "rsa1" => self.rsa(MessageDigest::sha256(), Padding::PKCS1, input),
            "rsa1-sha512" => self.rsa(MessageDigest::sha512(), Padding::PKCS1, input),
            "pss1" => self.rsa(MessageDigest::sha256(), Padding::PKCS1_PSS, input),
            "rsa1-plus-n" => self.rsa_plus_modulus(input),
            "raw" => from_hex(detail),
            _ => panic!("no such signer: {how}"),
        }
    }

    fn rsa(&self, digest: MessageDigest, padding: Padding, input: &[u8]) -> Vec<u8> {
        let key = PKey::from_rsa(self.rsa1.key_pair().as_ref().clone()).unwrap();
        let mut signer = RsaSigner::new(digest, &key).unwrap();
        signer.set_rsa_padding(padding).unwrap();
        signer.update(input).unwrap();
        signer.sign_to_vec().unwrap()
    }

    /// Returns an RSA signature plus n, which is congruent modulo n. A verifier without the range check of RFC 8017
    /// section 5.2.2 accepts it.
    fn rsa_plus_modulus(&self, input: &[u8]) -> Vec<u8> {
        let modulus = self.rsa1.public_key().public_key().to_components().n;
        let mut sum = self.rsa(MessageDigest::sha256(), Padding::PKCS1, input);
        let mut carry = 0;
        for (place, digit) in sum.iter_mut().rev().zip(modulus.iter().rev()) {
            carry += u16::from(*place) + u16::from(*digit);
            *place = (carry & 0xff).try_into().unwrap();
            carry >>= 8;
        }
        if carry > 0 {
            sum.insert(0, 1);
        }
        sum
    }

    /// Returns a public key as bytes that a confused verifier could use as an HMAC secret (RFC 8725 section 2.1).
    fn public_bytes(&self, form: &str) -> Vec<u8> {
        let pem = self.rsa1.public_key().to_pem().unwrap();
        match form {
            "rsa-pem" => pem.into_bytes(),
            "rsa-pem-trimmed" => pem.trim().as_bytes().to_vec(),
            "rsa-pem-leading-space" => format!(" {pem}").into_bytes(),
            "rsa-der" => self.rsa1.public_key().to_der().unwrap(),
            "rsa-jwk" => self.public_set()["keys"][3].to_string().into_bytes(),
            "rsa-modulus" => self.rsa1.public_key().public_key().to_components().n,
            "ec-point" => self.ec1.public_key().public_key_bytes(),
            "ec-jwk" => self.public_set()["keys"][0].to_string().into_bytes(),
            "ed-point" => self.ed1.public_key().to_bytes(),
            _ => panic!("no such form: {form}"),
        }
    }
}

/// A public key as an uncompressed point (SEC 1).
trait PointBytes {
    fn public_key_bytes(&self) -> Vec<u8>;
}

impl PointBytes for jwt_simple::algorithms::ES256PublicKey {
    fn public_key_bytes(&self) -> Vec<u8> {
        use jwt_simple::algorithms::ECDSAP256PublicKeyLike as _;
        self.public_key().to_bytes_uncompressed()
    }
}

fn ecdsa(key: &ES256KeyPair, input: &[u8]) -> Vec<u8> {
    let signature: p256::ecdsa::Signature = key.key_pair().as_ref().sign(input);
    signature.to_bytes().to_vec()
}

/// Returns the other signature that verifies: the same `r`, with n − s.
fn twin(signature: &[u8]) -> Vec<u8> {
    let signature = p256::ecdsa::Signature::from_slice(signature).unwrap();
    let (r, s) = signature.split_scalars();
    p256::ecdsa::Signature::from_scalars(r, -*s).unwrap().to_bytes().to_vec()
}

/// Returns the signature in DER, as X9.62 and most crypto libraries encode it. A JWS never does (RFC 7518 section 3.4).
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| {
        let start = half.iter().position(|byte| *byte != 0).unwrap();
        let sign: &[u8] = if half[start] >= 0x80 { &[0] } else { &[] };
        let digits = [sign, &half[start..]].concat();
        [&[2, digits.len().try_into().unwrap()], digits.as_slice()].concat()
    };
    let body = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [&[0x30, body.len().try_into().unwrap()], body.as_slice()].concat()
}

/// Returns the signature with the group order added to `s`: congruent, but out of range (RFC 8032 section 5.1.7).
fn ed25519_plus_order(signature: &[u8]) -> Vec<u8> {
    let mut order = from_hex("edd3f55c1a631258d69cf7a2def9de14");
    order.extend([0; 15]);
    order.push(0x10);
    let mut spoiled = signature.to_vec();
    let mut carry = 0;
    for (place, digit) in spoiled[32..].iter_mut().zip(order) {
        carry += u16::from(*place) + u16::from(digit);
        *place = (carry & 0xff).try_into().unwrap();
        carry >>= 8;
    }
    spoiled
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
