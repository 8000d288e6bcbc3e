//! Generates valid and broken tokens from a seed, so that a difference can be reproduced.

use serde_json::json;

use crate::hostile::keys::{Keys, encode};
use crate::hostile::{AUDIENCE, HS_ISSUER, PUBLIC_ISSUER, RAW_ISSUER};

/// The splitmix64 generator: small, and the same on every platform.
pub struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(most).unwrap()).unwrap()
    }

    fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len())]
    }

    fn once_in(&mut self, most: usize) -> bool {
        self.below(most) == 0
    }
}

/// Key, algorithm, issuer, and the percentage of built tokens that the key signs. It is 0 for slow keys, which sign one
/// valid token only: an RSA signature takes milliseconds.
const SIGNERS: [(&str, &str, &str, usize); 8] = [
    ("k1", "HS256", HS_ISSUER, 45),
    ("plain-text", "HS256", RAW_ISSUER, 10),
    ("k512", "HS512", HS_ISSUER, 15),
    ("ed1", "EdDSA", PUBLIC_ISSUER, 18),
    ("ec1", "ES256", PUBLIC_ISSUER, 12),
    ("ec2", "ES384", PUBLIC_ISSUER, 0),
    ("rsa1", "RS256", PUBLIC_ISSUER, 0),
    ("pss1", "PS256", PUBLIC_ISSUER, 0),
];

type Members = Vec<(String, String)>;

/// Returns `count` tokens: a valid one per key, then changed copies of these and tokens that were built with changes.
pub fn make(keys: &Keys, now: i64, count: usize, seed: u64) -> Vec<String> {
    let mut dice = Dice(seed);
    let good: Vec<String> = SIGNERS
        .iter()
        .map(|(kid, alg, issuer, _)| {
            signed(keys, kid, &object(&header(kid, alg), ""), &object(&claims(issuer, now), ""))
        })
        .collect();
    let mut tokens = good.clone();
    while tokens.len() < count {
        let is_good = dice.once_in(3);
        let token = if is_good { good[dice.below(good.len())].clone() } else { built(keys, now, &mut dice) };
        let changes = if is_good { 1 + dice.below(2) } else { dice.below(6) / 4 };
        let token = (0..changes).fold(token, |token, _| changed_text(&token, &good, &mut dice));
        tokens.push(token);
    }
    tokens
}

fn header(kid: &str, alg: &str) -> Members {
    [("alg", json!(alg)), ("typ", json!("JWT")), ("kid", json!(kid))]
        .map(|(name, value)| (name.into(), value.to_string()))
        .into()
}

fn claims(issuer: &str, now: i64) -> Members {
    let all = [
        ("iss", json!(issuer)),
        ("aud", json!(AUDIENCE)),
        ("sub", json!("u1")),
        ("iat", json!(now)),
        ("exp", json!(now + 300)),
    ];
    all.map(|(name, value)| (name.into(), value.to_string())).into()
}

fn signed(keys: &Keys, how: &str, header: &[u8], claims: &[u8]) -> String {
    let input = format!("{}.{}", encode(header), encode(claims));
    let signature = if how == "none" { Vec::new() } else { keys.sign(how, input.as_bytes()) };
    format!("{input}.{}", encode(signature))
}

/// Returns a token whose JSON was changed before it was signed, by the right key or another.
fn built(keys: &Keys, now: i64, dice: &mut Dice) -> String {
    let mut at = dice.below(100);
    let (kid, alg, issuer, _) = SIGNERS
        .into_iter()
        .find(|(.., share)| {
            let is_it = at < *share;
            at = at.saturating_sub(*share);
            is_it
        })
        .unwrap();
    let (mut header, mut claims) = (header(kid, alg), claims(issuer, now));
    let (mut header_tail, mut claims_tail) = ("", "");
    for _ in 0..dice.below(3) {
        if dice.once_in(3) {
            header_tail = change_header(&mut header, dice);
        } else {
            claims_tail = change_claims(&mut claims, now, dice);
        }
    }
    let header = odd_json(object(&header, header_tail), dice);
    let claims = odd_json(object(&claims, claims_tail), dice);
    let how = if dice.once_in(12) {
        dice.pick(&[
            "k1",
            "k512",
            "ed1",
            "evil-ec",
            "evil-ed",
            "ec1-twin",
            "ec1-der",
            "ed1-plus-l",
            "none",
            "hmac:k1",
            "hmac-public:rsa-pem",
            "hmac-public:rsa-jwk",
            "hmac-public:ec-point",
            "hmac-public:ed-point",
            "raw:00",
            "raw:",
        ])
    } else {
        kid
    };
    signed(keys, how, &header, &claims)
}

/// Adds, replaces, duplicates or removes a member. Returns text for the end of the object, usually none.
fn change(members: &mut Members, name: &str, values: &[&str], dice: &mut Dice) -> &'static str {
    let place = members.iter().position(|(member, _)| member == name);
    match (dice.below(10), place) {
        (0, Some(place)) => drop(members.remove(place)),
        (1, Some(place)) => {
            let twice = members[place].clone();
            members.push(twice);
        }
        (_, Some(place)) => dice.pick(values).clone_into(&mut members[place].1),
        (_, None) => members.push((name.to_owned(), dice.pick(values).to_owned())),
    }
    if dice.once_in(40) { dice.pick(&[",", ",\"x\":1", " ", "/**/"]) } else { "" }
}

fn change_header(header: &mut Members, dice: &mut Dice) -> &'static str {
    let cases: [(&str, &[&str]); 13] = [
        (
            "alg",
            &[
                r#""none""#,
                r#""None""#,
                r#""HS256""#,
                r#""HS384""#,
                r#""HS512""#,
                r#""RS256""#,
                r#""ES256""#,
                r#""EdDSA""#,
                r#""hs256""#,
                "null",
                "1",
                r#"["HS256"]"#,
            ],
        ),
        (
            "typ",
            &[r#""at+jwt""#, r#""jwt""#, r#""application/jwt""#, r#""JWS""#, r#""""#, r#""dpop+jwt""#, "1", "null"],
        ),
        (
            "kid",
            &[
                r#""k1""#,
                r#""k512""#,
                r#""ed1""#,
                r#""ec1""#,
                r#""unknown""#,
                r#""""#,
                r#""../k1""#,
                r#""k1 ""#,
                "1",
                "null",
                r#"["k1"]"#,
            ],
        ),
        ("crit", &[r#"["exp"]"#, "[]", r#"["b64"]"#, r#""exp""#]),
        ("b64", &["false", "true", r#""x""#]),
        ("jwk", &[r#"{"kty":"oct","k":"AAAA"}"#, "{}"]),
        ("jku", &[r#""https://evil.example/keys""#]),
        ("x5c", &[r#"["MIIC"]"#]),
        ("x5u", &[r#""https://evil.example/x""#]),
        ("zip", &[r#""DEF""#]),
        ("enc", &[r#""A128GCM""#]),
        ("cty", &[r#""JWT""#]),
        ("x", &["1", r#"{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":{}}}}}}}}}"#]),
    ];
    let (name, values) = cases[dice.below(cases.len())];
    change(header, name, values, dice)
}

fn change_claims(claims: &mut Members, now: i64, dice: &mut Dice) -> &'static str {
    let time = |offset: i64| (now + offset).to_string();
    let times: Vec<String> =
        [0, -1, -4, -5, -6, -300, -3_600, 1, 4, 5, 6, 60, 300, 899, 900, 901, 3_600, 86_400].map(time).into();
    let mut times: Vec<&str> = times.iter().map(String::as_str).collect();
    let (float, zero, quoted) = (format!("{}.5", now + 100), format!("{}.0", now + 100), format!("\"{}\"", now + 100));
    times.extend([
        float.as_str(),
        &zero,
        &quoted,
        "1e400",
        "1e10",
        "1.768473100e9",
        "-1",
        "0",
        "null",
        "true",
        "[]",
        "{}",
        "99999999999999999999",
    ]);
    let long = format!("\"{}\"", "s".repeat(300));
    let audience = format!("\"{AUDIENCE}\"");
    let list = format!("[\"other\",{audience}]");
    let mixed = format!("[1,{audience}]");
    let many = format!("[{}{audience}]", "\"x\",".repeat(40));
    let [hs, public, raw] = [HS_ISSUER, PUBLIC_ISSUER, RAW_ISSUER].map(|name| format!("\"{name}\""));
    let slash = format!("\"{HS_ISSUER}/\"");
    let cases: [(&str, Vec<&str>); 13] = [
        ("exp", times.clone()),
        ("exp", times.clone()),
        ("iat", times.clone()),
        ("nbf", times),
        (
            "iss",
            vec![
                &hs,
                &public,
                &raw,
                &slash,
                "null",
                "1",
                r#"["https://hs.issuer.example"]"#,
                r#""https://evil.example""#,
            ],
        ),
        ("aud", vec![&audience, &list, &mixed, &many, r#""other""#, r#""""#, "[]", r#"["other"]"#, "null", "1", "{}"]),
        (
            "sub",
            vec![
                r#""""#,
                r#"" u1""#,
                r#""a\u0000b""#,
                r#""a\u202eb""#,
                &long,
                "1",
                "null",
                r#"["u1"]"#,
                r#""u\u0031""#,
            ],
        ),
        ("jti", vec![r#""j1""#, r#""""#, "1", "null", &long, r#""a\nb""#]),
        (
            "vk",
            vec![
                "{}",
                "null",
                r#"{"scope":["read"]}"#,
                r#"{"scope":[]}"#,
                r#"{"scopes":["read"]}"#,
                r#"{"max_predictions":1}"#,
                r#"{"models":["*"]}"#,
            ],
        ),
        ("cnf", vec!["{}", r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#]),
        ("plan", vec![r#""pro""#, "1", "null"]),
        ("admin", vec!["true", r#"{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":1}}}}}}}}"#]),
        ("x", vec!["1", r#""\ud800""#, "1e400", "NaN", "-0"]),
    ];
    let at = dice.below(cases.len());
    change(claims, cases[at].0, &cases[at].1, dice)
}

fn object(members: &Members, tail: &str) -> Vec<u8> {
    let texts: Vec<String> = members.iter().map(|(name, text)| format!("\"{name}\":{text}")).collect();
    format!("{{{}{tail}}}", texts.join(",")).into_bytes()
}

/// Makes one JSON text in 15 unusual or invalid: a byte order mark, white space, escapes, trailing bytes, cut short.
fn odd_json(text: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    if !dice.once_in(15) {
        return text;
    }
    match dice.below(10) {
        0 => [b"\xef\xbb\xbf".as_slice(), &text].concat(),
        1 => [b" \n\t".as_slice(), &text].concat(),
        2 => [text.as_slice(), b"\n "].concat(),
        3 => [text.as_slice(), b"{}"].concat(),
        4 => [text.as_slice(), b"\0"].concat(),
        5 => [b"[".as_slice(), &text, b"]"].concat(),
        6 => String::from_utf8(text)
            .unwrap()
            .replacen("\"alg\"", "\"\\u0061lg\"", 1)
            .replacen("\"exp\"", "\"e\\u0078p\"", 1)
            .into_bytes(),
        7 => String::from_utf8(text).unwrap().replace('"', "'").into_bytes(),
        8 => [&text[..text.len() - 1], b",\"y\":\"\xff\"}"].concat(),
        _ => text[..text.len() - 1].to_vec(),
    }
}

/// Changes the text of a token that is already signed.
fn changed_text(token: &str, others: &[String], dice: &mut Dice) -> String {
    let mut characters: Vec<char> = token.chars().collect();
    if characters.is_empty() {
        return String::from(".");
    }
    let at = dice.below(characters.len());
    let mut segments: Vec<String> = token.split('.').map(str::to_owned).collect();
    let segment = dice.below(segments.len());
    match dice.below(16) {
        0 => characters[at] = dice.pick(&["A", "_", "-", "+", "/", "=", ".", " ", "é", "%"]).chars().next().unwrap(),
        1 => drop(characters.remove(at)),
        2 => characters.insert(at, dice.pick(&["A", "=", ".", "\n", " ", "\0"]).chars().next().unwrap()),
        3 => return format!("{token}{}", dice.pick(&["=", "==", ".", " ", "\n", ".x", "A"])),
        4 => return format!("{}{token}", dice.pick(&[" ", "\n", ".", "Bearer "])),
        5 => return token.replace('-', "+").replace('_', "/"),
        6 => segments[segment].push('='),
        7 => segments[segment] = last_character_twin(&segments[segment]),
        8 => segments[segment].clear(),
        9 => drop(segments.remove(segment)),
        10 => segments.reverse(),
        11 | 12 => {
            let other = &others[dice.below(others.len())];
            segments[segment] = other.split('.').nth(segment.min(2)).unwrap().to_owned();
        }
        13 => return format!("{token}.{token}"),
        14 => {
            let half = segments[segment].chars().count() / 2;
            segments[segment] = segments[segment].chars().take(half).collect();
        }
        _ => return token.to_uppercase(),
    }
    if segments.join(".") == token { characters.into_iter().collect() } else { segments.join(".") }
}

/// Flips the lowest bit of the last character. Where that bit is padding, the segment decodes to the same bytes.
fn last_character_twin(segment: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let Some(place) = segment.chars().last().and_then(|last| ALPHABET.find(last)) else { return segment.to_owned() };
    let twin = ALPHABET.chars().nth(place ^ 1).unwrap();
    format!("{}{twin}", &segment[..segment.len() - 1])
}
