//! The rule for one input of a model: a closed list of checks (contract 4).

use serde_json::{Map, Number, Value};

use crate::constants::{INPUT_ITEMS_MAX, INPUT_TEXT_MAX_CHARS};
use crate::parse::number::{self, parse_whole};
use crate::parse::problem::{Place, SettingProblem};
use crate::parse::url::is_public_https_url;
use crate::policy::fields::Fields;
use crate::types::file::is_like_vendor_file_id;
use crate::types::ids::FileId;
use crate::wire::violation::{Rule, Violation};

/// The rule for one input, as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct InputRule {
    kind: Kind,
    /// True if the input must be present.
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

impl Kind {
    fn includes(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.as_number().is_some_and(|number| number::whole(number).is_some()),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
        }
    }
}

/// The origin of a checked value. The default limits apply only to clients' values; values in `POLICY` itself may
/// exceed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Client,
    Policy,
}

/// The members of a rule.
pub const RULE_MEMBERS: [&str; 10] =
    ["type", "required", "default", "enum", "min", "max", "max_length", "items", "max_items", "format"];

impl InputRule {
    pub(super) fn parse(place: &Place, value: &Value, problems: &mut Vec<SettingProblem>) -> Self {
        let mut fields = Fields::new(place.clone(), value, &RULE_MEMBERS, problems);
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
        rule.items = parse_items(&mut fields, kind);
        rule.check_consistency(&mut fields);
        rule
    }

    /// Checks the rule for contradictions, so that the operator finds them and not the first client.
    fn check_consistency(&mut self, fields: &mut Fields<'_>) {
        let is_empty_range = match (&self.least, &self.most) {
            (Some(least), Some(most)) => number::is_less(most, least),
            _ => false,
        };
        if is_empty_range {
            fields.add_problem("min", "is above max");
        }
        let without_enum = Self { choices: None, ..self.clone() };
        if self.choices.iter().flatten().any(|choice| without_enum.check_from(choice.clone(), Source::Policy).is_err())
        {
            fields.add_problem("enum", "has a value that the other rules refuse");
        }
        if let Some(default) = self.default.clone() {
            match self.check_from(default, Source::Policy) {
                Ok(default) => self.default = Some(default),
                Err(_) => fields.add_problem("default", "is refused by the rules"),
            }
        }
        if self.format == Some(Format::File) && (self.default.is_some() || self.choices.is_some()) {
            fields
                .add_problem("format", "is file, and a file belongs to one user: it cannot be a default or in an enum");
        }
        if self.default.is_some() && self.required {
            fields.add_problem("default", "is never used, since the input is required");
        }
    }

    /// Checks a client's value and returns the form that is sent to the vendor: numbers in their normal form, an `enum`
    /// value as `POLICY` spells it.
    ///
    /// # Errors
    /// The first rule that the value breaks.
    pub fn check(&self, value: Value) -> Result<Value, Violation> {
        self.check_from(value, Source::Client)
    }

    fn check_from(&self, value: Value, source: Source) -> Result<Value, Violation> {
        if !self.kind.includes(&value) {
            return Err(Violation::new(Rule::Type, <&str>::from(self.kind)));
        }
        if let Some(choices) = &self.choices {
            // The other rules need no check here: a POLICY with a choice that breaks them is refused.
            let choice = choices.iter().find(|choice| number::is_same(choice, &value));
            return choice.cloned().ok_or_else(|| Violation::new(Rule::Enum, choices.clone()));
        }
        match value {
            Value::String(text) => self.check_text(&text, source).map(|()| Value::String(text)),
            Value::Number(number) => self.check_number(&number).map(|()| Value::Number(number::normal(&number))),
            Value::Array(items) => self.check_items(items, source).map(Value::Array),
            other => Ok(other),
        }
    }

    fn check_text(&self, text: &str, source: Source) -> Result<(), Violation> {
        let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let default = (source == Source::Client).then_some(INPUT_TEXT_MAX_CHARS);
        if let Some(most) = self.max_length.or(default).filter(|most| length > *most) {
            return Err(Violation::new(Rule::MaxLength, most));
        }
        // Many programs end a string at U+0000, and one may run at the vendor, so it is refused.
        if text.contains('\0') {
            return Err(Violation::plain(Rule::Format));
        }
        let is_good = match self.format {
            // The vendor could treat the text as the id of a file, which may belong to another user. A user's own files
            // go through inputs with the format `file`, whose ids the user's Ledger knows.
            None => source == Source::Policy || !is_like_vendor_file_id(text),
            Some(Format::HttpsUrl) => is_public_https_url(text),
            Some(Format::File) => FileId::parse(text).is_some(),
        };
        let allowed = self.format.map(|format| Value::from(<&str>::from(format)));
        if is_good { Ok(()) } else { Err(Violation { rule: Rule::Format, allowed }) }
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

    fn check_number(&self, number: &Number) -> Result<(), Violation> {
        let violation = |rule, bound: &Number| Violation::new(rule, Value::Number(bound.clone()));
        match (&self.least, &self.most) {
            (Some(least), _) if number::is_less(number, least) => Err(violation(Rule::Min, least)),
            (_, Some(most)) if number::is_less(most, number) => Err(violation(Rule::Max, most)),
            _ => Ok(()),
        }
    }

    fn check_items(&self, items: Vec<Value>, source: Source) -> Result<Vec<Value>, Violation> {
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let default = (source == Source::Client).then_some(INPUT_ITEMS_MAX);
        if let Some(most) = self.max_items.or(default).filter(|most| count > *most) {
            return Err(Violation::new(Rule::MaxItems, most));
        }
        let Some(rule) = &self.items else { return Ok(items) };
        items.into_iter().map(|item| rule.check_from(item, source)).collect()
    }

    /// Returns the largest number of items in a client's array, or 0 if this rule is not for arrays.
    pub(super) fn most_items(&self) -> u32 {
        let in_enum = self.choices.iter().flatten().filter_map(Value::as_array).map(Vec::len).max().unwrap_or_default();
        match self.kind {
            Kind::Array => self.max_items.unwrap_or(INPUT_ITEMS_MAX).max(u32::try_from(in_enum).unwrap_or(u32::MAX)),
            Kind::String | Kind::Integer | Kind::Number | Kind::Boolean => 0,
        }
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

fn parse_items(fields: &mut Fields<'_>, kind: Kind) -> Option<Box<InputRule>> {
    match (kind, fields.get("items")) {
        (Kind::Array, None) => {
            fields.add_problem("items", "is missing, and an array needs it");
            None
        }
        (Kind::Array, Some(value)) => {
            let rule = InputRule::parse(&fields.place_of("items"), value, fields.problems());
            if rule.kind == Kind::Array || rule.required || rule.default.is_some() {
                fields.add_problem("items", "is an array, required or has a default, which items cannot");
            }
            Some(Box::new(rule))
        }
        _ => None,
    }
}
