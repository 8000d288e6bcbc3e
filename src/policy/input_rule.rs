//! One rule for one input: a closed list of checks (contract 4).

use serde_json::{Map, Number, Value};
use url::{Host, Url};

use super::fields::{Fields, whole};
use crate::types::ids::FileId;

/// A rule as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct InputRule {
    kind: Kind,
    /// Whether the input must be there.
    pub required: bool,
    /// What is sent where it is not.
    pub default: Option<Value>,
    choices: Option<Vec<Value>>,
    least: Option<Number>,
    most: Option<Number>,
    max_length: Option<u32>,
    format: Option<Format>,
    items: Option<Box<InputRule>>,
    max_items: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    HttpsUrl,
    File,
}

const FORMATS: [(&str, Format); 2] = [("https-url", Format::HttpsUrl), ("file", Format::File)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    Array,
}

const KINDS: [(&str, Kind); 5] = [
    ("string", Kind::String),
    ("integer", Kind::Integer),
    ("number", Kind::Number),
    ("boolean", Kind::Boolean),
    ("array", Kind::Array),
];

const MEMBERS: [&str; 10] =
    ["type", "required", "default", "enum", "min", "max", "max_length", "items", "max_items", "format"];

impl InputRule {
    pub(super) fn parse(path: &str, value: &Value, problems: &mut Vec<String>) -> Self {
        let mut fields = Fields::new(path, value, &MEMBERS, problems);
        let kind = fields.required("type", Kind::String, "is not string, integer, number, boolean or array", |value| {
            KINDS.iter().find(|(word, _)| value == word).map(|(_, kind)| *kind)
        });
        check_members_fit(&mut fields, kind);
        let number = |value: &Value| value.as_number().cloned();
        let mut rule = Self {
            kind,
            required: fields.optional("required", false, "is not true or false", Value::as_bool),
            default: fields.get("default").cloned(),
            choices: fields.optional("enum", None, "is not a list of values", |value| {
                value.as_array().filter(|list| !list.is_empty()).map(|list| Some(list.clone()))
            }),
            least: fields.optional("min", None, "is not a number", |value| number(value).map(Some)),
            most: fields.optional("max", None, "is not a number", |value| number(value).map(Some)),
            max_length: fields.optional("max_length", None, "is not a whole number", |value| whole(value).map(Some)),
            format: fields.optional("format", None, "is not https-url or file", |value| {
                FORMATS.iter().find(|(word, _)| value == word).map(|(_, format)| Some(*format))
            }),
            items: None,
            max_items: fields.optional("max_items", None, "is not a whole number", |value| whole(value).map(Some)),
        };
        rule.items = parse_items(&mut fields, path, kind);
        rule.check_itself(&mut fields);
        rule
    }

    /// Rules that contradict each other are found here, and not by the first client.
    fn check_itself(&self, fields: &mut Fields<'_>) {
        let is_empty_range = match (&self.least, &self.most) {
            (Some(least), Some(most)) => least.as_f64() > most.as_f64(),
            _ => false,
        };
        if is_empty_range {
            fields.problem("min", "is above max");
        }
        let without_enum = Self { choices: None, ..self.clone() };
        if self.choices.iter().flatten().any(|choice| !without_enum.accepts(choice)) {
            fields.problem("enum", "has a value that the other rules refuse");
        }
        if self.default.as_ref().is_some_and(|default| !self.accepts(default)) {
            fields.problem("default", "is refused by the rules");
        }
        if self.format == Some(Format::File) && (self.default.is_some() || self.choices.is_some()) {
            fields.problem("format", "is file, and a file belongs to one user: it cannot be a default or in an enum");
        }
        if self.default.is_some() && self.required {
            fields.problem("default", "is never used, since the input is required");
        }
    }

    /// Whether a client's value is acceptable.
    #[must_use]
    pub fn accepts(&self, value: &Value) -> bool {
        let by_kind = match self.kind {
            Kind::String => value.as_str().is_some_and(|text| self.accepts_text(text)),
            Kind::Integer => (value.is_i64() || value.is_u64()) && self.accepts_number(value),
            Kind::Number => value.is_number() && self.accepts_number(value),
            Kind::Boolean => value.is_boolean(),
            Kind::Array => value.as_array().is_some_and(|items| self.accepts_items(items)),
        };
        by_kind && self.choices.as_ref().is_none_or(|choices| choices.contains(value))
    }

    fn accepts_text(&self, text: &str) -> bool {
        let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        // U+0000 ends strings in too many programs on the vendor's side to be let through.
        let is_plain = !text.contains('\0') && self.max_length.is_none_or(|most| length <= most);
        is_plain
            && match self.format {
                None => true,
                Some(Format::HttpsUrl) => is_public_https_url(text),
                Some(Format::File) => FileId::parse(text).is_some(),
            }
    }

    /// Files in an accepted value: where they are below `pointer` (RFC 6901), and which.
    pub(super) fn files(&self, pointer: &str, value: &Value, found: &mut Vec<(String, FileId)>) {
        match (value, &self.items) {
            (Value::String(text), _) if self.format == Some(Format::File) => {
                found.extend(FileId::parse(text).map(|file_id| (pointer.to_owned(), file_id)));
            }
            (Value::Array(items), Some(rule)) => {
                for (index, item) in items.iter().enumerate() {
                    rule.files(&format!("{pointer}/{index}"), item, found);
                }
            }
            _ => {}
        }
    }

    fn accepts_number(&self, value: &Value) -> bool {
        // Integers beyond 2^53 lose precision here on both sides alike; a bound that large bounds nothing.
        let number = value.as_f64();
        let above = self.least.as_ref().is_none_or(|least| number >= least.as_f64());
        above && self.most.as_ref().is_none_or(|most| number <= most.as_f64())
    }

    fn accepts_items(&self, items: &[Value]) -> bool {
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let few = self.max_items.is_none_or(|most| count <= most);
        few && self.items.as_ref().is_some_and(|rule| items.iter().all(|item| rule.accepts(item)))
    }

    /// The rule as it was configured, without what was not.
    #[must_use]
    pub fn render(&self) -> Value {
        let mut view = Map::new();
        let kind = KINDS.iter().find(|(_, kind)| *kind == self.kind).map_or("string", |(word, _)| word);
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                view.insert(name.to_owned(), value);
            }
        };
        add("type", Some(Value::from(kind)));
        add("required", self.required.then_some(Value::Bool(true)));
        add("default", self.default.clone());
        add("enum", self.choices.clone().map(Value::Array));
        add("min", self.least.clone().map(Value::Number));
        add("max", self.most.clone().map(Value::Number));
        add("max_length", self.max_length.map(Value::from));
        let format = FORMATS.iter().find(|(_, format)| self.format == Some(*format));
        add("format", format.map(|(word, _)| Value::from(*word)));
        add("items", self.items.as_ref().map(|items| items.render()));
        add("max_items", self.max_items.map(Value::from));
        Value::Object(view)
    }
}

/// A bound on something that has no such size is a mistake.
fn check_members_fit(fields: &mut Fields<'_>, kind: Kind) {
    let fits: &[&str] = match kind {
        Kind::String => &["max_length", "format"],
        Kind::Integer | Kind::Number => &["min", "max"],
        Kind::Boolean => &[],
        Kind::Array => &["items", "max_items"],
    };
    for member in ["max_length", "format", "min", "max", "items", "max_items"] {
        if fields.has(member) && !fits.contains(&member) {
            fields.problem(member, "does not go with this type");
        }
    }
}

fn parse_items(fields: &mut Fields<'_>, path: &str, kind: Kind) -> Option<Box<InputRule>> {
    match (kind, fields.get("items")) {
        (Kind::Array, None) => {
            fields.problem("items", "is missing, and an array needs it");
            None
        }
        (Kind::Array, Some(value)) => {
            let rule = InputRule::parse(&format!("{path}.items"), value, fields.problems());
            if rule.kind == Kind::Array || rule.required || rule.default.is_some() {
                fields.problem("items", "is an array, required or has a default, which items cannot");
            }
            Some(Box::new(rule))
        }
        _ => None,
    }
}

/// An https URL on a public host. This Worker never fetches it, but the vendor will: names and addresses of private
/// networks are refused all the same.
fn is_public_https_url(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let plain = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    // What the parser repairs, such as backslashes, line ends and blanks, is not a URL that a client meant.
    let as_written = text.starts_with("https://") && !text.contains(['\\', '\n', '\r', '\t', ' ']);
    let public = match url.host() {
        Some(Host::Domain(name)) => {
            name.contains('.')
                && ![".localhost", ".local", ".internal", ".arpa"]
                    .iter()
                    .any(|end| name.trim_end_matches('.').ends_with(end))
        }
        Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => false,
    };
    plain && as_written && public
}
