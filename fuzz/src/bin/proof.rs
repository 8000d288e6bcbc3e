//! Input: the header or the claims of a proof of possession, which is signed with the real key.
//!
//! - An accepted proof, read by another parser, satisfies every rule of RFC 9449 section 4.3.
//! - It is refused with any other signature.

#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;

use ed25519_compact::{KeyPair, Seed};
use serde_json::{Value, json};
use valetkey::token::{PROOF_ALGORITHMS, Proof, ProofTarget};
use valetkey::types::time::UnixSeconds;
use valetkey_fuzz::json;
use valetkey_fuzz::tokens::{NOW, encode};

valetkey_fuzz::target!(check);

const TARGET: ProofTarget<'_> =
    ProofTarget { method: "POST", origin: "https://api.example", path: "/v1/predictions/batch" };
const URL: &str = "https://api.example/v1/predictions/batch";

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::from_seed(Seed::new([6; 32])));

fn jwk() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": encode(*KEY.pk)})
}

fn good() -> [Value; 2] {
    let claims = json!({"jti": "p1", "htm": "POST", "htu": URL, "iat": NOW, "ath": encode([7; 32])});
    [json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk()}), claims]
}

fn verify(text: &str, now: i64) -> Option<Proof> {
    Proof::verify(Some(text), TARGET, UnixSeconds(now)).ok()
}

/// The first byte selects header or claims. The rest of `data` is that part; the other part is valid.
fn check(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else { return };
    let [header, claims] = good();
    let (header, claims) = if which & 1 == 0 {
        (json::text(rest, &[header]).into_owned(), claims.to_string().into_bytes())
    } else {
        (header.to_string().into_bytes(), json::text(rest, &[claims]).into_owned())
    };
    let input = format!("{}.{}", encode(&header), encode(&claims));
    let text = format!("{input}.{}", encode(KEY.sk.sign(&input, None).as_ref()));
    assert!(verify(&String::from_utf8_lossy(rest), NOW).is_none(), "an unsigned text is accepted");
    let Some(proof) = verify(&text, NOW) else { return };

    let (header, claims): (Value, Value) =
        (serde_json::from_slice(&header).unwrap(), serde_json::from_slice(&claims).unwrap());
    assert_eq!(header.as_object().unwrap().len(), 3);
    assert!(header["typ"].as_str().unwrap().eq_ignore_ascii_case("dpop+jwt"));
    assert!(PROOF_ALGORITHMS.iter().any(|algorithm| header["alg"] == algorithm.as_str()));
    assert!(header["jwk"].get("d").is_none(), "a private key is published");
    assert_eq!(header["jwk"]["x"], jwk()["x"]);
    assert_eq!(claims["htm"], TARGET.method);
    let url = url::Url::parse(claims["htu"].as_str().unwrap()).unwrap();
    assert_eq!((url.origin().ascii_serialization().as_str(), url.path()), (TARGET.origin, TARGET.path));
    assert!((NOW - 300..=NOW + 60).contains(&claims["iat"].as_i64().unwrap()));
    assert!(!claims["jti"].as_str().unwrap().is_empty());
    assert_eq!(proof.expires_at().0, claims["iat"].as_i64().unwrap() + 301);
    assert!(verify(&text, proof.expires_at().0).is_none(), "the proof is still valid when its id expires");
    // Change the last character of the signature.
    let twin =
        text.strip_suffix('A').map_or_else(|| format!("{}A", &text[..text.len() - 1]), |rest| format!("{rest}Q"));
    assert!(verify(&twin, NOW).is_none());
}
