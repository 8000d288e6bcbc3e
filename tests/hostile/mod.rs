//! Hostile tokens from `jwt.jsonl`. Each line describes a valid token with one defect, and the reason for its refusal:
//!
//! - `header`, `claims`: replacements for members of a valid header and valid claims. Each value is *literal text*, so
//!   that a line can contain what no JSON writer produces; `null` removes the member.
//! - `header_tail`, `claims_tail`: text before the closing brace.
//! - `header_raw`, `claims_raw`: the whole text.
//! - `sign`: a key, or a way to corrupt a signature (`keys.rs`).
//! - `mutate`: changes to the finished token.
//! - `issuer`: `hs` (the default), `public` or `raw`.
//! - `expect`: `accepted`, or the reason in the log. The caller gets the same 401 for every reason.
//!
//! In the texts, `{{now+N}}` stands for a time, `{{repeat:X:N}}` for a repetition, and `{{bytes:HEX}}` for bytes that
//! need not be UTF-8.

#![allow(dead_code, reason = "each test binary uses a part of this module")]

pub mod keys;
pub mod public_keys;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use keys::{Keys, encode};

/// The audience of every issuer.
pub const AUDIENCE: &str = "hostile-test";
/// The issuer whose keys are HMAC secrets.
pub const HS_ISSUER: &str = "https://hs.issuer.example";
/// The issuer whose keys are public.
pub const PUBLIC_ISSUER: &str = "https://public.issuer.example";
/// The issuer whose only key has no name: a secret that is plain text. Its own name is no URL.
pub const RAW_ISSUER: &str = "raw.issuer.example/project-test";
/// The names of the secrets in [`issuers`].
const SECRET_NAME: &str = "HOSTILE_TEST_SECRET";
const RAW_SECRET_NAME: &str = "HOSTILE_TEST_RAW_SECRET";

/// A line of `jwt.jsonl`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub id: String,
    pub category: String,
    pub why: String,
    pub expect: String,
    #[serde(default)]
    issuer: Option<String>,
    #[serde(default)]
    header: Map<String, Value>,
    #[serde(default)]
    claims: Map<String, Value>,
    #[serde(default)]
    header_tail: String,
    #[serde(default)]
    claims_tail: String,
    header_raw: Option<String>,
    claims_raw: Option<String>,
    sign: Option<String>,
    #[serde(default)]
    mutate: Vec<String>,
}

/// Returns every line of the file.
pub fn lines() -> Vec<Line> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    include_str!("jwt.jsonl").lines().map(parse).collect()
}

/// Returns the value of `ISSUERS` that the lines assume. Its secrets are those of [`secret`].
pub fn issuers(keys: &Keys) -> Value {
    json!([
        {"issuer": HS_ISSUER, "audience": [AUDIENCE], "algorithms": ["HS256", "HS512"], "keys": {"secret": SECRET_NAME}},
        {"issuer": PUBLIC_ISSUER, "audience": [AUDIENCE], "algorithms": ["ES256", "ES384", "EdDSA", "RS256", "PS256"],
         "keys": {"jwks": keys.public_set()}},
        {"issuer": RAW_ISSUER, "audience": [AUDIENCE], "algorithms": ["HS256"], "keys": {"secret": RAW_SECRET_NAME}},
    ])
}

/// Returns the text of a secret that [`issuers`] names.
pub fn secret(keys: &Keys, name: &str) -> Option<String> {
    match name {
        SECRET_NAME => Some(keys.secret()),
        RAW_SECRET_NAME => Some(keys.raw_secret()),
        _ => None,
    }
}

/// Returns the settings of a Worker that accepts these issuers' tokens.
pub fn settings(keys: &Keys) -> Vec<(&'static str, Option<String>)> {
    let secrets = [SECRET_NAME, RAW_SECRET_NAME].map(|name| (name, secret(keys, name)));
    [("ISSUERS", Some(issuers(keys).to_string()))].into_iter().chain(secrets).collect()
}

/// Returns the token that `line` describes, at the Unix time `now`.
///
/// Its decoded segments need not be UTF-8. It may contain line ends, which an HTTP header field cannot carry: the
/// sender decides how to handle such a token.
pub fn build_jwt(line: &Line, keys: &Keys, now: i64) -> String {
    let (issuer, alg, kid) = match line.issuer.as_deref() {
        Some("public") => (PUBLIC_ISSUER, "ES256", "ec1"),
        Some("raw") => (RAW_ISSUER, "HS256", "plain-text"),
        Some("hs") | None => (HS_ISSUER, "HS256", "k1"),
        Some(other) => panic!("no such issuer: {other}"),
    };
    let quoted = |text: &str| Value::from(text).to_string();
    let header = [("alg", quoted(alg)), ("typ", quoted("JWT")), ("kid", quoted(kid))];
    let claims = [
        ("iss", quoted(issuer)),
        ("aud", quoted(AUDIENCE)),
        ("sub", quoted("u1")),
        ("iat", String::from("{{now}}")),
        ("exp", String::from("{{now+300}}")),
    ];
    let header = line.header_raw.clone().unwrap_or_else(|| object(&header, &line.header, &line.header_tail));
    let claims = line.claims_raw.clone().unwrap_or_else(|| object(&claims, &line.claims, &line.claims_tail));
    let input = format!("{}.{}", encode(fill(&header, now)), encode(fill(&claims, now)));
    let signature = keys.sign(line.sign.as_deref().unwrap_or(kid), input.as_bytes());
    let token = format!("{input}.{}", encode(signature));
    line.mutate.iter().fold(token, |token, mutation| mutate(&token, mutation))
}

/// Returns a JSON object as text: the members after `changes` (a text replaces or adds, `null` removes), then the tail.
fn object(members: &[(&str, String)], changes: &Map<String, Value>, tail: &str) -> String {
    let mut texts: Vec<(String, String)> =
        members.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
    for (name, change) in changes {
        let place = texts.iter().position(|(member, _)| member == name);
        match (change.as_str(), place) {
            (Some(text), Some(place)) => text.clone_into(&mut texts[place].1),
            (Some(text), None) => texts.push((name.clone(), text.to_owned())),
            (None, Some(place)) => drop(texts.remove(place)),
            (None, None) => panic!("nothing to remove: {name}"),
        }
    }
    let texts: Vec<String> = texts.iter().map(|(name, text)| format!("\"{name}\":{text}")).collect();
    format!("{{{}{tail}}}", texts.join(","))
}

/// Replaces the placeholders in `text`.
fn fill(text: &str, now: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, (place, after))) = rest.split_once("{{").and_then(|(a, b)| Some((a, b.split_once("}}")?))) {
        bytes.extend(before.as_bytes());
        rest = after;
        let parts: Vec<&str> = place.split(':').collect();
        match parts.as_slice() {
            ["repeat", text, count] => bytes.extend(text.repeat(count.parse().unwrap()).as_bytes()),
            ["bytes", hex] => {
                bytes.extend((0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()))
            }
            [time] => {
                let offset = time.strip_prefix("now").unwrap_or_else(|| panic!("{place}"));
                let offset: i64 = if offset.is_empty() { 0 } else { offset.parse().unwrap() };
                bytes.extend((now + offset).to_string().as_bytes());
            }
            _ => panic!("{place}"),
        }
    }
    bytes.extend(rest.as_bytes());
    bytes
}

/// Changes a finished token.
fn mutate(token: &str, mutation: &str) -> String {
    let (kind, detail) = mutation.split_once(':').unwrap_or((mutation, ""));
    let mut segments: Vec<String> = token.split('.').map(str::to_owned).collect();
    match kind {
        "token" => return detail.to_owned(),
        "append" => return format!("{token}{detail}"),
        "prepend" => return format!("{detail}{token}"),
        "replace" => {
            let (from, to) = detail.split_once("=>").unwrap();
            return token.replacen(from, to, 1);
        }
        "drop_segment" => drop(segments.remove(detail.parse().unwrap())),
        "empty_segment" => segments[detail.parse::<usize>().unwrap()].clear(),
        "swap_header" => segments[0] = encode(detail),
        "swap_claims" => segments[1] = encode(fill(detail, 4_000_000_000)),
        "noncanonical" => {
            let segment = &mut segments[detail.parse::<usize>().unwrap()];
            let last = segment.pop().unwrap();
            // Padding bits are zero in canonical base64url, so the next letter decodes to the same bytes.
            segment.push(char::from_u32(u32::from(last) + 1).unwrap());
        }
        "segment_append" => {
            let (place, text) = detail.split_once(':').unwrap();
            segments[place.parse::<usize>().unwrap()].push_str(text);
        }
        _ => segments[2] = encode(mutate_signature(&segments[2], kind, detail)),
    }
    segments.join(".")
}

fn mutate_signature(segment: &str, kind: &str, detail: &str) -> Vec<u8> {
    use ct_codecs::Decoder as _;
    let mut bytes = ct_codecs::Base64UrlSafeNoPadding::decode_to_vec(segment, None).unwrap();
    let number = || detail.parse::<usize>().unwrap();
    match kind {
        "flip_bit" => bytes[number()] ^= 1,
        "flip_last_bit" => *bytes.last_mut().unwrap() ^= 1,
        "truncate" => bytes.truncate(bytes.len() - number()),
        "keep" => bytes.truncate(number()),
        "zero" => bytes.fill(0),
        "ones" => bytes.fill(0xff),
        "extend" => bytes.push(0),
        "shift" => bytes.insert(0, 0),
        "reverse" => bytes.reverse(),
        "swap_halves" => {
            let half = bytes.len() / 2;
            bytes.rotate_left(half);
        }
        _ => panic!("no such mutation: {kind}"),
    }
    bytes
}
