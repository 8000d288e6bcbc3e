//! The rule for one input of a model: a closed list of checks (contract 4).

use serde_json::{Map, Number, Value};

use crate::parse::url::is_public_https_url;
use crate::policy::fields::{Fields, parse_whole};
use crate::types::ids::FileId;

/// The rule for one input, as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct InputRule {
    kind: Kind,
    /// Whether the input must be present.
    pub required: bool,
    /// The value that is sent if the input is missing.
    pub default: Option<Value>,
    choices: Option<Vec<Value>>,
    least: Option<Number>,
    most: Option<Number>,
    max_length: Option<u32>,
    format: Option<Format>,
    items: Option<Box<InputRule>>,
    max_items: Option<u32>,
}

/// The `format` of a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
enum Format {
    HttpsUrl,
    File,
}

/// The `type` of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    Array,
}

/// The members of a rule.
const MEMBERS: [&str; 10] =
    ["type", "required", "default", "enum", "min", "max", "max_length", "items", "max_items", "format"];

impl InputRule {
    pub(super) fn parse(path: &str, value: &Value, problems: &mut Vec<String>) -> Self {
        let mut fields = Fields::new(path, value, &MEMBERS, problems);
        let kind = fields.require("type", Kind::String, "is not string, integer, number, boolean or array", |value| {
            value.as_str()?.parse().ok()
        });
        check_members_fit(&mut fields, kind);
        let number = |value: &Value| value.as_number().cloned();
        let mut rule = Self {
            kind,
            required: fields.read("required", false, "is not true or false", Value::as_bool),
            default: fields.get("default").cloned(),
            choices: fields.read("enum", None, "is not a list of values", |value| {
                value.as_array().filter(|list| !list.is_empty()).map(|list| Some(list.clone()))
            }),
            least: fields.read("min", None, "is not a number", |value| number(value).map(Some)),
            most: fields.read("max", None, "is not a number", |value| number(value).map(Some)),
            max_length: fields.read("max_length", None, "is not a whole number", |value| parse_whole(value).map(Some)),
            format: fields
                .read("format", None, "is not https-url or file", |value| value.as_str()?.parse().ok().map(Some)),
            items: None,
            max_items: fields.read("max_items", None, "is not a whole number", |value| parse_whole(value).map(Some)),
        };
        rule.items = parse_items(&mut fields, path, kind);
        rule.check_consistency(&mut fields);
        rule
    }

    /// Checks the rule for contradictions, so that the operator finds them and not the first client.
    fn check_consistency(&self, fields: &mut Fields<'_>) {
        let is_empty_range = match (&self.least, &self.most) {
            (Some(least), Some(most)) => least.as_f64() > most.as_f64(),
            _ => false,
        };
        if is_empty_range {
            fields.add_problem("min", "is above max");
        }
        let without_enum = Self { choices: None, ..self.clone() };
        if self.choices.iter().flatten().any(|choice| !without_enum.accepts(choice)) {
            fields.add_problem("enum", "has a value that the other rules refuse");
        }
        if self.default.as_ref().is_some_and(|default| !self.accepts(default)) {
            fields.add_problem("default", "is refused by the rules");
        }
        if self.format == Some(Format::File) && (self.default.is_some() || self.choices.is_some()) {
            fields
                .add_problem("format", "is file, and a file belongs to one user: it cannot be a default or in an enum");
        }
        if self.default.is_some() && self.required {
            fields.add_problem("default", "is never used, since the input is required");
        }
    }

    /// Returns whether the rule accepts a client's value.
    #[must_use]
    pub fn accepts(&self, value: &Value) -> bool {
        let is_of_kind = match self.kind {
            Kind::String => value.as_str().is_some_and(|text| self.accepts_text(text)),
            Kind::Integer => (value.is_i64() || value.is_u64()) && self.accepts_number(value),
            Kind::Number => value.is_number() && self.accepts_number(value),
            Kind::Boolean => value.is_boolean(),
            Kind::Array => value.as_array().is_some_and(|items| self.accepts_items(items)),
        };
        is_of_kind && self.choices.as_ref().is_none_or(|choices| choices.contains(value))
    }

    fn accepts_text(&self, text: &str) -> bool {
        let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        // Many programs end a string at U+0000, and one may run at the vendor, so it is refused.
        let is_plain = !text.contains('\0') && self.max_length.is_none_or(|most| length <= most);
        is_plain
            && match self.format {
                None => true,
                Some(Format::HttpsUrl) => is_public_https_url(text),
                Some(Format::File) => FileId::parse(text).is_some(),
            }
    }

    /// Adds the files in an accepted value, each with its JSON Pointer (RFC 6901), which starts with `pointer`.
    pub(super) fn find_files(&self, pointer: &str, value: &Value, found: &mut Vec<(String, FileId)>) {
        match (value, &self.items) {
            (Value::String(text), _) if self.format == Some(Format::File) => {
                found.extend(FileId::parse(text).map(|file_id| (pointer.to_owned(), file_id)));
            }
            (Value::Array(items), Some(rule)) => {
                for (index, item) in items.iter().enumerate() {
                    rule.find_files(&format!("{pointer}/{index}"), item, found);
                }
            }
            _ => {}
        }
    }

    fn accepts_number(&self, value: &Value) -> bool {
        // Above 2^53, both sides of the comparison lose precision. No useful limit is that large.
        let number = value.as_f64();
        let is_above_least = self.least.as_ref().is_none_or(|least| number >= least.as_f64());
        is_above_least && self.most.as_ref().is_none_or(|most| number <= most.as_f64())
    }

    fn accepts_items(&self, items: &[Value]) -> bool {
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let is_count_allowed = self.max_items.is_none_or(|most| count <= most);
        is_count_allowed && self.items.as_ref().is_some_and(|rule| items.iter().all(|item| rule.accepts(item)))
    }

    /// Returns the rule as configured, with only the members that were set.
    #[must_use]
    pub fn render(&self) -> Value {
        let mut view = Map::new();
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                view.insert(name.to_owned(), value);
            }
        };
        add("type", Some(Value::from(<&str>::from(self.kind))));
        add("required", self.required.then_some(Value::Bool(true)));
        add("default", self.default.clone());
        add("enum", self.choices.clone().map(Value::Array));
        add("min", self.least.clone().map(Value::Number));
        add("max", self.most.clone().map(Value::Number));
        add("max_length", self.max_length.map(Value::from));
        add("format", self.format.map(|format| Value::from(<&str>::from(format))));
        add("items", self.items.as_ref().map(|items| items.render()));
        add("max_items", self.max_items.map(Value::from));
        Value::Object(view)
    }
}

/// Adds a problem for each limit that has no meaning for the type.
fn check_members_fit(fields: &mut Fields<'_>, kind: Kind) {
    let fits: &[&str] = match kind {
        Kind::String => &["max_length", "format"],
        Kind::Integer | Kind::Number => &["min", "max"],
        Kind::Boolean => &[],
        Kind::Array => &["items", "max_items"],
    };
    for member in ["max_length", "format", "min", "max", "items", "max_items"] {
        if fields.has(member) && !fits.contains(&member) {
            fields.add_problem(member, "does not go with this type");
        }
    }
}

fn parse_items(fields: &mut Fields<'_>, path: &str, kind: Kind) -> Option<Box<InputRule>> {
    match (kind, fields.get("items")) {
        (Kind::Array, None) => {
            fields.add_problem("items", "is missing, and an array needs it");
            None
        }
        (Kind::Array, Some(value)) => {
            let rule = InputRule::parse(&format!("{path}.items"), value, fields.problems());
            if rule.kind == Kind::Array || rule.required || rule.default.is_some() {
                fields.add_problem("items", "is an array, required or has a default, which items cannot");
            }
            Some(Box::new(rule))
        }
        _ => None,
    }
}
