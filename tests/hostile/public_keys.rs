//! Hostile public keys as JWKs: those of the unit tests in src/token (jwk_tests.rs, key_set_tests.rs, proof_tests.rs), the
//! ones that no issuer may have among the vectors' keys, and more of their kinds. Each has one defect.

use jwt_simple::algorithms::{
    ECDSAP256KeyPairLike, ES256KeyPair, ES384KeyPair, Ed25519KeyPair, RS256KeyPair, RSAPublicKeyLike,
};
use p256::ecdsa::signature::Signer as _;
use serde_json::{Map, Value, json};

use super::keys::encode;

/// A P-256 key pair. Most hostile keys are its public key with a defect, so that a token that it signs is refused for
/// that defect alone.
pub struct Pair {
    key: ES256KeyPair,
}

impl Pair {
    pub fn generate() -> Self {
        Self { key: ES256KeyPair::generate() }
    }

    pub fn jwk(&self, kid: &str) -> Value {
        let point = self.key.key_pair().public_key().to_bytes_uncompressed();
        json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": encode(&point[1..33]), "y": encode(&point[33..])})
    }

    /// Signs a JWT.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature: p256::ecdsa::Signature = self.key.key_pair().as_ref().sign(input.as_bytes());
        format!("{input}.{}", encode(signature.to_bytes()))
    }
}

/// A key that must be refused wherever it is written: in an identity provider's key set, in `ISSUERS`, in a proof.
pub struct HostileKey {
    pub name: String,
    pub jwk: Value,
    /// The `alg` of a token or proof that uses it.
    pub algorithm: &'static str,
}

/// The `kid` of every hostile key whose `kid` is not the defect.
pub const BAD_KID: &str = "bad";

/// Returns the hostile keys. `pair` is the key pair behind those for ES256.
pub fn hostile_keys(pair: &Pair) -> Vec<HostileKey> {
    let mut all = Vec::new();
    members(&pair.jwk(BAD_KID), &mut all);
    points(&pair.jwk(BAD_KID), &mut all);
    ed25519(&mut all);
    rsa(&mut all);
    all
}

fn without_alg(text: &str) -> Value {
    let mut value: Value = serde_json::from_str(text).unwrap();
    value.as_object_mut().unwrap().remove("alg");
    value["kid"] = json!(BAD_KID);
    value
}

/// Purpose, private parts, kind, algorithm and name of a key.
fn members(good: &Value, all: &mut Vec<HostileKey>) {
    let mut with = |name: &str, value: Value| {
        let mut jwk = good.clone();
        jwk[name] = value.clone();
        all.push(HostileKey { name: format!("{name} {:.40}", value.to_string()), jwk, algorithm: "ES256" });
    };
    for value in [json!("enc"), json!("SIG"), json!(null), json!(["sig"]), json!({})] {
        with("use", value);
    }
    for value in [json!([]), json!(["sign"]), json!("verify"), json!(null), json!({"verify": true})] {
        with("key_ops", value);
    }
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        with(name, json!("AA"));
    }
    for value in [json!("RSA"), json!("oct"), json!("OKP"), json!("AKP"), json!("ec"), json!(1), json!(null)] {
        with("kty", value);
    }
    for value in ["P-521", "P-384", "secp256k1", "Ed25519", "X25519", "p-256", ""] {
        with("crv", json!(value));
    }
    for value in [json!("RS256"), json!("ES384"), json!("HS256"), json!("none"), json!(""), json!(1), json!(null)] {
        with("alg", value);
    }
    let long = "a".repeat(129);
    for value in [json!(""), json!("a b"), json!("a\n"), json!("é"), json!(1), json!(null), json!([]), json!(long)] {
        with("kid", value);
    }
    for (name, jwk) in [
        ("a list", json!([])),
        ("a text", json!("a")),
        ("a number", json!(1e300)),
        ("null", json!(null)),
        ("no members", json!({})),
        ("a secret", json!({"kty": "oct", "kid": BAD_KID, "k": encode([7; 32])})),
        ("a secret without k", json!({"kty": "oct", "kid": BAD_KID})),
        ("X25519", json!({"kty": "OKP", "crv": "X25519", "kid": BAD_KID, "x": encode([9; 32])})),
    ] {
        all.push(HostileKey { name: name.to_owned(), jwk, algorithm: "ES256" });
    }
}

/// Points of P-256 and P-384 that are none, or not of full length.
fn points(es256: &Value, all: &mut Vec<HostileKey>) {
    let es384 = without_alg(&ES384KeyPair::generate().public_key().to_jwk());
    let others = [
        without_alg(&ES256KeyPair::generate().public_key().to_jwk()),
        without_alg(&ES384KeyPair::generate().public_key().to_jwk()),
    ];
    for (good, other, algorithm, length) in
        [(es256, &others[0], "ES256", 32_usize), (&es384, &others[1], "ES384", 48_usize)]
    {
        let mut push =
            |name: String, jwk: Value| all.push(HostileKey { name: format!("{algorithm} {name}"), jwk, algorithm });
        for coordinate in ["x", "y"] {
            let values = [
                ("of another point", other[coordinate].clone()),
                ("of zeros", json!(encode(vec![0; length]))),
                ("of ones", json!(encode(vec![0xff; length]))),
                ("one byte short", json!(encode(vec![1; length - 1]))),
                ("one byte long", json!(encode(vec![1; length + 1]))),
                ("empty", json!("")),
                ("not canonical", json!("AB")),
                ("with padding", json!(format!("{}=", good[coordinate].as_str().unwrap()))),
                ("of no base64url", json!("+".repeat(43))),
                ("huge", json!("A".repeat(1_200))),
                ("a number", json!(1)),
                ("null", json!(null)),
            ];
            for (what, value) in values {
                let mut jwk = good.clone();
                jwk[coordinate] = value;
                push(format!("{coordinate} {what}"), jwk);
            }
            let mut jwk = good.clone();
            jwk.as_object_mut().unwrap().remove(coordinate);
            push(format!("without {coordinate}"), jwk);
        }
        let half = |name: &str| decode(good[name].as_str().unwrap());
        let point = [half("x"), half("y")].concat();
        for cut in [0, length - 1, length + 1, 2 * length] {
            let mut jwk = good.clone();
            (jwk["x"], jwk["y"]) = (json!(encode(&point[..cut])), json!(encode(&point[cut..])));
            push(format!("cut at {cut}"), jwk);
        }
        let mut jwk = good.clone();
        (jwk["x"], jwk["y"]) = (json!(encode(vec![0; length])), json!(encode(vec![0; length])));
        push("the origin".to_owned(), jwk);
    }
}

/// Ed25519 points of small order, without canonical form, or of another length.
fn ed25519(all: &mut Vec<HostileKey>) {
    // The eight points of small order, then encodings of y at or beyond the field's prime.
    const SMALL: [&str; 14] = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ];
    let mut push = |name: String, x: Value| {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": BAD_KID, "x": x});
        all.push(HostileKey { name: format!("Ed25519 x {name}"), jwk, algorithm: "EdDSA" });
    };
    for hex in SMALL {
        let bytes: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        push(hex[..8].to_owned() + "…" + &hex[62..], json!(encode(bytes)));
    }
    let good = without_alg(&Ed25519KeyPair::generate().public_key().to_jwk());
    let x = decode(good["x"].as_str().unwrap());
    push("empty".to_owned(), json!(""));
    push("of 31 bytes".to_owned(), json!(encode(&x[..31])));
    push("of 33 bytes".to_owned(), json!(encode([x.as_slice(), &[0]].concat())));
    push("of 64 bytes".to_owned(), json!(encode([x.as_slice(), &x].concat())));
    push("huge".to_owned(), json!("A".repeat(2_000)));
    push("a list".to_owned(), json!([encode(&x)]));
    push("null".to_owned(), json!(null));
    // Found on no curve: y with x² that is no square.
    push("off the curve".to_owned(), json!(encode([&[2], &[0; 31][..]].concat())));
}

/// RSA keys that are too small, too large, with another exponent, or not in shortest form.
fn rsa(all: &mut Vec<HostileKey>) {
    // Any odd number of the right length will do: telling it from a real modulus would need its factors.
    let modulus = |bits: usize| {
        let mut bytes = vec![0xc3; bits / 8];
        bytes[bits / 8 - 1] = 0x01;
        bytes
    };
    let real = RS256KeyPair::generate(2048).unwrap().public_key().public_key().to_components().n;
    let even = real.iter().copied().take(255).chain([0xc2]).collect();
    for (name, n, e) in [
        ("of 1024 bits", modulus(1024), "AQAB"),
        ("of 2040 bits", modulus(2040), "AQAB"),
        ("of 4104 bits", modulus(4104), "AQAB"),
        ("of 8192 bits", modulus(8192), "AQAB"),
        ("with exponent 3", real.clone(), "Aw"),
        ("with exponent 1", real.clone(), "AQ"),
        ("with exponent 0", real.clone(), "AA"),
        ("with an even exponent", real.clone(), "AQAA"),
        ("without an exponent", real.clone(), ""),
        ("with zeros before its exponent", real.clone(), "AAEAAQ"),
        ("with a huge exponent", real.clone(), &*"f".repeat(344)),
        ("with a zero before its modulus", [vec![0], real.clone()].concat(), "AQAB"),
        ("with an even modulus", even, "AQAB"),
        ("of zeros", vec![0; 256], "AQAB"),
        ("without a modulus", vec![], "AQAB"),
        ("with a modulus of 1", vec![1], "AQAB"),
    ] {
        let jwk = json!({"kty": "RSA", "kid": BAD_KID, "n": encode(n), "e": e});
        all.push(HostileKey { name: format!("RSA {name}"), jwk, algorithm: "RS256" });
    }
}

fn decode(text: &str) -> Vec<u8> {
    use ct_codecs::Decoder as _;
    ct_codecs::Base64UrlSafeNoPadding::decode_to_vec(text, None).unwrap()
}

/// Adds members that a provider may add and a setting or a proof may not have.
pub fn with_unknown_member(mut jwk: Value) -> Value {
    jwk.as_object_mut().unwrap_or(&mut Map::new()).insert("issuer".to_owned(), json!("x"));
    jwk
}
