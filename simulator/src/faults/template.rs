//! Placeholders in a fault's texts. A test uses them to send the vendor key back and check that it never reaches a
//! client.

use ct_codecs::{Base64, Base64UrlSafeNoPadding, Encoder, Hex};
use serde::Deserialize;

/// The encoding of an echoed value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Unchanged.
    #[default]
    Plain,
    /// Standard base64.
    Base64,
    /// Standard base64 of one byte and the value: the second of the three alignments.
    Base64Shift1,
    /// Standard base64 of two bytes and the value: the third alignment.
    Base64Shift2,
    /// URL-safe base64 without padding.
    Base64url,
    /// Lower-case hex.
    Hex,
    /// Upper-case hex.
    HexUpper,
    /// Every byte as `%XX`.
    Percent,
    /// Every byte as `\u00XX`, an escape of JSON strings.
    Json,
}

impl Encoding {
    const NAMED: [(&'static str, Self); 9] = [
        ("plain", Self::Plain),
        ("base64", Self::Base64),
        ("base64_shift1", Self::Base64Shift1),
        ("base64_shift2", Self::Base64Shift2),
        ("base64url", Self::Base64url),
        ("hex", Self::Hex),
        ("hex_upper", Self::HexUpper),
        ("percent", Self::Percent),
        ("json", Self::Json),
    ];

    /// Encodes a value.
    pub fn encode(self, value: &str) -> String {
        match self {
            Self::Plain => value.to_owned(),
            Self::Base64 => Base64::encode_to_string(value).unwrap_or_default(),
            Self::Base64Shift1 => Self::Base64.encode(&format!(".{value}")),
            Self::Base64Shift2 => Self::Base64.encode(&format!("..{value}")),
            Self::Base64url => Base64UrlSafeNoPadding::encode_to_string(value).unwrap_or_default(),
            Self::Hex => Hex::encode_to_string(value).unwrap_or_default(),
            Self::HexUpper => Self::Hex.encode(value).to_ascii_uppercase(),
            Self::Percent => value.bytes().map(|byte| format!("%{byte:02X}")).collect(),
            Self::Json => value.bytes().map(|byte| format!("\\u{byte:04x}")).collect(),
        }
    }
}

/// Expands `{{authorization}}`, `{{authorization:hex}}`, `{{key}}`, `{{key:base64}}` and so on. `authorization` is the
/// request's whole `Authorization` value, `key` the part after `Bearer `.
pub fn expand(text: &str, authorization: &str) -> String {
    let key = authorization.strip_prefix("Bearer ").unwrap_or(authorization);
    let mut expanded = text.to_owned();
    for (name, value) in [("authorization", authorization), ("key", key)] {
        expanded = expanded.replace(&format!("{{{{{name}}}}}"), value);
        for (encoding_name, encoding) in Encoding::NAMED {
            expanded = expanded.replace(&format!("{{{{{name}:{encoding_name}}}}}"), &encoding.encode(value));
        }
    }
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_expands_to_the_encoded_value() {
        let text =
            "{{authorization}} {{key}} {{key:hex}} {{key:hex_upper}} {{key:percent}} {{key:base64}} {{key:json}}";
        let expanded = expand(text, "Bearer zo");
        assert_eq!(expanded, r"Bearer zo zo 7a6f 7A6F %7A%6F em8= \u007a\u006f");
        assert_eq!(expand("{{key:base64_shift1}} {{key:base64url}} {{other}}", "zo"), "Lnpv em8 {{other}}");
    }

    #[test]
    fn encodings_have_the_same_names_in_placeholders_and_in_json() {
        for (name, encoding) in Encoding::NAMED {
            assert_eq!(serde_json::from_value::<Encoding>(serde_json::json!(name)).unwrap(), encoding);
        }
    }
}
