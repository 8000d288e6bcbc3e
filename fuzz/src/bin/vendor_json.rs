//! Input: a body of a vendor response.
//!
//! - The lenient reader accepts every text that `JSON.parse` accepts, and reads the same status, outputs, time, error
//!   envelope and ids. Contradicting ids and costs follow the reader's own rules.
//! - An unreadable amount is never booked: a cost is the amount in the text, rounded up to a micro-credit.
//! - The chunk boundaries of a body do not change the result.
//! - A byte order mark in front does not change the result, nor does `NaN` in place of a null outside a cost.
//!
//! The reference is an independent parser that builds a tree and is as strict as `JSON.parse`.

#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;

use serde_json::{Value, json};
use valetkey::constants::{VENDOR_ID_MAX_BYTES, VENDOR_OUTPUTS_READ_MAX, VENDOR_TEXT_MAX_BYTES};
use valetkey::vendor::body::{BodyReader, VendorBody};
use valetkey::vendor::cost::Cost;
use valetkey::vendor::progress::Progress;
use valetkey::vendor::reply::{VendorPrediction, has_id_conflict, is_error_envelope, read_prediction};
use valetkey_fuzz::json;

valetkey_fuzz::target!(check);

static BASES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    vec![
        json!({"job_id": "pred_abc123xyz", "status": "succeeded", "output": ["https://cdn.vendor.example/a.png"],
            "metrics": {"predict_time": 45.2}, "credits_used": 7.300_000_000_000_001, "logs": "a\u{fffd}"}),
        json!({"id": 789, "output_data": {"urls": ["https://cdn.vendor.example/a.png"]}, "status": "processing",
            "credits_used": " 2.5 ", "input_parameters": {"status": "failed", "id": 1}}),
        json!({"error": {"type": "api_error", "message": "m", "code": "X"}, "id": null, "status": "completed"}),
    ]
});

fn check(data: &[u8]) {
    let body = json::text(data, &BASES);
    let read = VendorBody::read(&body);
    check_chunks(&body, &read, data.len());
    let text = String::from_utf8_lossy(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body)).into_owned();
    let reference = Reference::parse(&text);
    if serde_json::from_str::<Value>(&text).is_ok() {
        assert!(reference.is_some(), "the reference is stricter than serde_json: {text}");
    }
    let Some(reference) = reference else { return };
    assert!(matches!(read, VendorBody::Json(_)), "not read: {text}");
    if reference.longest() > VENDOR_TEXT_MAX_BYTES {
        return;
    }
    check_against(&reference, &read, &text);
    if !body.starts_with(b"\xef\xbb\xbf") {
        assert_eq!(VendorBody::read(&[b"\xef\xbb\xbf", &*body].concat()), read, "a byte order mark");
    }
    if reference.all("credits_used").is_empty() && !reference.has_text_with("null") {
        assert_eq!(VendorBody::read(text.replace("null", "NaN").as_bytes()), read, "NaN for null");
    }
}

/// Reads the body again in chunks of several lengths.
fn check_chunks(body: &[u8], read: &VendorBody, seed: usize) {
    for length in [1, 2, 3, 7, seed % 61 + 1] {
        let mut reader = BodyReader::default();
        body.chunks(length).for_each(|chunk| reader.push(chunk));
        assert_eq!(&reader.finish(), read, "chunks of {length}");
    }
}

fn check_against(reference: &Reference, read: &VendorBody, text: &str) {
    let prediction = read_prediction(read);
    let ids = Ids::of(reference);
    let id = (!ids.has_conflict).then(|| ids.values.iter().flatten().next().cloned()).flatten();
    let has_status = reference.last("status").is_some();
    if ids.has_conflict {
        assert!(has_id_conflict(read), "{text}");
    }
    assert_eq!(prediction.is_some(), id.is_some() || has_status, "{text}");
    let envelope = reference.last("error");
    let is_envelope = envelope.is_some_and(|error| {
        ["message", "code", "type"].iter().any(|name| error.last(name).is_some_and(Reference::is_text))
    });
    assert_eq!(is_error_envelope(read), is_envelope, "{text}");
    let Some(VendorPrediction { id: read_id, progress, unknown_status, output, cost, predict_time }) = prediction
    else {
        return;
    };
    assert_eq!(read_id, id, "{text}");
    let word = reference.last("status").and_then(Reference::as_text);
    assert_eq!(progress, word.and_then(Progress::of_word).unwrap_or(Progress::Running), "{text}");
    assert_eq!(unknown_status.as_deref(), word.filter(|word| Progress::of_word(word).is_none()), "{text}");
    let mut outputs = reference.last("output").map(Reference::texts).unwrap_or_default();
    if outputs.is_empty() {
        outputs =
            reference.last("output_data").and_then(|data| data.last("urls")).map(Reference::texts).unwrap_or_default();
    }
    outputs.truncate(VENDOR_OUTPUTS_READ_MAX);
    assert_eq!(output, outputs, "{text}");
    let time =
        reference.last("metrics").and_then(|metrics| metrics.last("predict_time")).and_then(Reference::as_number);
    assert_eq!(predict_time, time.filter(|time| time.is_finite() && *time >= 0.0), "{text}");
    check_cost(reference, cost, text);
}

/// Checks a cost against the reference's amounts, as floating-point numbers.
fn check_cost(reference: &Reference, cost: Cost, text: &str) {
    let figures: Vec<&Reference> =
        reference.all("credits_used").into_iter().filter(|figure| !matches!(figure, Reference::Null)).collect();
    let numbers: Vec<f64> = figures.iter().filter_map(|figure| figure.figure()).collect();
    match cost {
        Cost::Absent => assert!(figures.is_empty(), "{text}"),
        Cost::Known(credits) => {
            assert_eq!(numbers.len(), figures.len(), "booked from what cannot be read: {text}");
            let largest = numbers.iter().copied().fold(0.0, f64::max) * 1e6;
            let booked = credits.micros() as f64;
            let error = largest * 1e-9 + 1e-3;
            assert!(booked >= largest - error && booked <= largest + 1.0 + error, "{booked} for {largest}: {text}");
        }
        Cost::Unreadable => {
            let is_plain = |number: &f64| (0.0..=999_999_999.0).contains(number);
            let all_plain = numbers.len() == figures.len() && numbers.iter().all(is_plain);
            // Underflow: a negative amount that is 0 as a floating-point number.
            assert!(!all_plain || text.contains('-'), "a cost is not read: {text}");
        }
    }
}

/// The expected ids of a response: `job_id` and `id`.
struct Ids {
    values: [Option<String>; 2],
    has_conflict: bool,
}

impl Ids {
    fn of(reference: &Reference) -> Self {
        let mut has_conflict = false;
        let values = ["job_id", "id"].map(|name| {
            let all: Vec<Option<String>> = reference.all(name).into_iter().map(Reference::id).collect();
            let mut usable: Vec<&String> = all.iter().flatten().collect();
            usable.dedup();
            has_conflict |= usable.len() > 1;
            all.last().cloned().flatten()
        });
        Self { values, has_conflict }
    }
}

/// JSON as `JSON.parse` reads it, with every repeated member. Unpaired surrogates are U+FFFD.
#[derive(Debug)]
enum Reference {
    Null,
    Boolean,
    Number(String),
    Text(String),
    Items(Vec<Self>),
    Members(Vec<(String, Self)>),
}

impl Reference {
    fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser { rest: text, depth: 0 };
        let value = parser.value()?;
        parser.blanks();
        parser.rest.is_empty().then_some(value)
    }

    fn all(&self, name: &str) -> Vec<&Self> {
        match self {
            Self::Members(members) => {
                members.iter().filter(|(other, _)| other == name).map(|(_, value)| value).collect()
            }
            _ => Vec::new(),
        }
    }

    fn last(&self, name: &str) -> Option<&Self> {
        self.all(name).pop()
    }

    fn is_text(&self) -> bool {
        self.as_text().is_some()
    }

    fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A text, or the texts of an array.
    fn texts(&self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text.clone()],
            Self::Items(items) => items.iter().filter_map(Self::as_text).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    fn id(&self) -> Option<String> {
        let id = match self {
            Self::Text(text) => text.clone(),
            Self::Number(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.clone(),
            Self::Number(text) => {
                let number: f64 = text.parse().ok()?;
                let is_whole = number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number);
                is_whole.then(|| (number as u64).to_string())?
            }
            _ => return None,
        };
        let is_usable = (1..=VENDOR_ID_MAX_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        (is_usable && id != "." && id != "..").then_some(id)
    }

    /// The amount of a cost, if it is a decimal number.
    fn figure(&self) -> Option<f64> {
        match self {
            Self::Number(text) => text.parse().ok(),
            Self::Text(text) => {
                let text = text.trim();
                let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
                is_decimal.then(|| text.parse().ok()).flatten()
            }
            _ => None,
        }
    }

    fn has_text_with(&self, word: &str) -> bool {
        match self {
            Self::Null | Self::Boolean | Self::Number(_) => false,
            Self::Text(text) => text.contains(word),
            Self::Items(items) => items.iter().any(|item| item.has_text_with(word)),
            Self::Members(members) => {
                members.iter().any(|(name, value)| name.contains(word) || value.has_text_with(word))
            }
        }
    }

    /// The length of the longest name, text or number.
    fn longest(&self) -> usize {
        match self {
            Self::Null | Self::Boolean => 0,
            Self::Number(text) | Self::Text(text) => text.len(),
            Self::Items(items) => items.iter().map(Self::longest).max().unwrap_or(0),
            Self::Members(members) => {
                members.iter().map(|(name, value)| name.len().max(value.longest())).max().unwrap_or(0)
            }
        }
    }
}

/// Recursive, and strict about everything but depth, which is limited to protect the stack of the fuzzer.
struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn eat(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    fn value(&mut self) -> Option<Reference> {
        self.blanks();
        match self.rest.chars().next()? {
            'n' => self.eat("null").map(|()| Reference::Null),
            't' => self.eat("true").map(|()| Reference::Boolean),
            'f' => self.eat("false").map(|()| Reference::Boolean),
            '"' => self.text().map(Reference::Text),
            '[' => self.nested(Self::items),
            '{' => self.nested(Self::members),
            _ => self.number(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Option<Reference>) -> Option<Reference> {
        self.depth += 1;
        if self.depth > 200 {
            return None;
        }
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn items(&mut self) -> Option<Reference> {
        self.eat("[")?;
        self.blanks();
        let mut items = Vec::new();
        if self.eat("]").is_some() {
            return Some(Reference::Items(items));
        }
        loop {
            items.push(self.value()?);
            self.blanks();
            if self.eat("]").is_some() {
                return Some(Reference::Items(items));
            }
            self.eat(",")?;
        }
    }

    fn members(&mut self) -> Option<Reference> {
        self.eat("{")?;
        self.blanks();
        let mut members = Vec::new();
        if self.eat("}").is_some() {
            return Some(Reference::Members(members));
        }
        loop {
            self.blanks();
            let name = self.text()?;
            self.blanks();
            self.eat(":")?;
            members.push((name, self.value()?));
            self.blanks();
            if self.eat("}").is_some() {
                return Some(Reference::Members(members));
            }
            self.eat(",")?;
        }
    }

    fn digits(&mut self) -> Option<()> {
        let after = self.rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let has_digits = after.len() < self.rest.len();
        self.rest = after;
        has_digits.then_some(())
    }

    fn number(&mut self) -> Option<Reference> {
        let start = self.rest;
        let _ = self.eat("-");
        if self.eat("0").is_none() {
            self.digits()?;
        }
        if self.eat(".").is_some() {
            self.digits()?;
        }
        if self.eat("e").or_else(|| self.eat("E")).is_some() {
            let _ = self.eat("+").or_else(|| self.eat("-"));
            self.digits()?;
        }
        Some(Reference::Number(start[..start.len() - self.rest.len()].to_owned()))
    }

    fn text(&mut self) -> Option<String> {
        self.eat("\"")?;
        let mut units: Vec<u16> = Vec::new();
        loop {
            let letter = self.rest.chars().next()?;
            self.rest = &self.rest[letter.len_utf8()..];
            match letter {
                '"' => return Some(String::from_utf16_lossy(&units)),
                '\\' => units.push(self.escape()?),
                '\0'..='\u{1f}' => return None,
                _ => units.extend_from_slice(letter.encode_utf16(&mut [0; 2])),
            }
        }
    }

    fn escape(&mut self) -> Option<u16> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        Some(match letter {
            '"' | '\\' | '/' => letter as u16,
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'u' => {
                let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
                self.rest = &self.rest[4..];
                u16::from_str_radix(digits, 16).ok()?
            }
            _ => return None,
        })
    }
}
