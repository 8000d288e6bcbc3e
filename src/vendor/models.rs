//! The vendor's model list.

use serde_json::Value;

use crate::constants::{MODEL_LIST_MAX, VENDOR_BODY_MAX_DEPTH};
use crate::parse::json::parse_strict;
use crate::types::model::ModelId;

/// Reads the response to `GET /models`. The vendor documents no shape (vendor-api 2), so several are accepted:
///
/// - a list, or an object with the list in `data` or `models`
/// - entries that are names, objects with `id`, or objects with `owner` (or `provider`) and `name` (or `id`)
///
/// Entries that cannot be read are left out. Returns `None` if no entry can be read, so that an unexpected response
/// never hides every model.
#[must_use]
pub fn read_models(body: &[u8]) -> Option<Vec<ModelId>> {
    let value = parse_strict(body, VENDOR_BODY_MAX_DEPTH).ok()?;
    let list = value.as_array().or_else(|| ["data", "models"].iter().find_map(|name| value.get(name)?.as_array()))?;
    let models: Vec<_> = list.iter().filter_map(read_entry).take(MODEL_LIST_MAX).collect();
    (!models.is_empty()).then_some(models)
}

fn read_entry(value: &Value) -> Option<ModelId> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let named = value.as_str().or_else(|| text("id")).and_then(ModelId::parse);
    named
        .or_else(|| ModelId::try_new(text("owner").or_else(|| text("provider"))?, text("name").or_else(|| text("id"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_several_shapes_are_read() {
        let expected = Some(vec![ModelId::parse("acme/x").unwrap()]);
        for text in [
            r#"["acme/x"]"#,
            r#"{"data":[{"id":"acme/x","price":1}]}"#,
            r#"{"models":[{"owner":"acme","name":"x"}]}"#,
            r#"{"data":[{"provider":"acme","id":"x"},{"id":"../y"},5]}"#,
        ] {
            assert_eq!(read_models(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_response_without_a_model_is_no_list() {
        for text in ["", "{}", "[]", r#"{"data":[]}"#, r#"{"data":[{"id":5}]}"#, "null"] {
            assert_eq!(read_models(text.as_bytes()), None, "{text}");
        }
    }
}
