//! Parsing of create bodies within memory bounds, and the request hash that is stored with an idempotency key.

use serde_json::{Map, Value, json};

use crate::constants::{BATCH_MAX, BODY_MAX_VALUES, BODY_VALUES_BESIDE_ITEMS};
use crate::parse::json::{JsonProblem, parse_body};
use crate::parse::number::canonical;
use crate::parse::shape::Shape;
use crate::policy::plans::Policy;
use crate::types::ids::hex_digest;
use crate::types::model::ModelId;

/// Bounds on how much of a body is parsed and kept. Without them, an attacker could send a body whose tree takes a
/// hundred times the memory of its text. Wasm memory never shrinks, and an isolate has 128 MB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyBounds {
    max_values: usize,
    max_items: usize,
}

impl BodyBounds {
    /// Returns the bounds for a policy: 10,000 values, or its largest `max_items` plus 1,000 if that is more.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let most_items = usize::try_from(policy.most_items).unwrap_or(usize::MAX);
        Self {
            max_values: most_items.saturating_add(BODY_VALUES_BESIDE_ITEMS).max(BODY_MAX_VALUES),
            max_items: most_items.saturating_add(1),
        }
    }

    /// Parses the body of a create, with at most `max_depth` levels of nesting. Keeps only values that an input rule
    /// can accept: no object, and no array inside an array.
    ///
    /// # Errors
    /// [`JsonProblem`] for anything but one strict JSON object within the bounds.
    pub fn parse_create(self, bytes: &[u8], max_depth: usize) -> Result<Map<String, Value>, JsonProblem> {
        let items = Shape::Items { most: self.max_items, each: &Shape::Scalar };
        let create = create_members(&items);
        parse_body(bytes, max_depth, self.max_values, Shape::Members { named: &create, others: &Shape::Scalar })
    }

    /// Parses the body of a batch like [`parse_create`](Self::parse_create). Keeps one create more than a batch may
    /// have, so that a batch that is too large is noticed.
    ///
    /// # Errors
    /// [`JsonProblem`] for anything but one strict JSON object within the bounds.
    pub fn parse_batch(self, bytes: &[u8], max_depth: usize) -> Result<Map<String, Value>, JsonProblem> {
        let items = Shape::Items { most: self.max_items, each: &Shape::Scalar };
        let create = create_members(&items);
        let each = Shape::Members { named: &create, others: &Shape::Scalar };
        let creates = [("predictions", Shape::Items { most: BATCH_MAX.saturating_add(1), each: &each })];
        parse_body(bytes, max_depth, self.max_values, Shape::Members { named: &creates, others: &Shape::Scalar })
    }

    /// Parses any other body and keeps all of it, because such bodies have at most 16 KiB.
    ///
    /// # Errors
    /// [`JsonProblem`] for anything but one strict JSON object within the bounds.
    pub fn parse_other(self, bytes: &[u8], max_depth: usize) -> Result<Map<String, Value>, JsonProblem> {
        parse_body(bytes, max_depth, self.max_values, Shape::Anything)
    }
}

fn create_members<'a>(items: &'a Shape<'a>) -> [(&'static str, Shape<'a>); 1] {
    [("input", Shape::Members { named: &[], others: items })]
}

/// Returns the hash of a create for its idempotency key: SHA-256, in hexadecimal, of model, input and number of images.
///
/// The hash covers the meaning of the request before `POLICY`'s defaults apply. The order of members, the notation of
/// numbers, and a model that the body repeats from the path make no difference.
#[must_use]
pub fn request_hash_of_create(model: &ModelId, body: &Map<String, Value>) -> String {
    hash(&json!(["create", meaning(model.as_str().into(), body)]))
}

/// Returns the hash of a batch for its idempotency key. It covers the creates in their order.
#[must_use]
pub fn request_hash_of_batch(body: &Map<String, Value>) -> String {
    let item = |item: &Value| {
        let item = item.as_object()?;
        Some(meaning(item.get("model").cloned().unwrap_or_default(), item))
    };
    let items = body.get("predictions").and_then(Value::as_array);
    let items: Vec<Option<Value>> = items.into_iter().flatten().map(item).collect();
    hash(&json!(["batch", items]))
}

fn meaning(model: Value, body: &Map<String, Value>) -> Value {
    let image_count = body.get("image_count").cloned().unwrap_or_else(|| 1.into());
    json!([model, body.get("input"), image_count])
}

/// Relies on `serde_json` writing an object's members sorted by name, which the test `a_request_hash_unchanged` pins.
fn hash(meaning: &Value) -> String {
    hex_digest(&[canonical(meaning).to_string().as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constants::BATCH_MAX_DEPTH;
    use crate::parse::json::JsonFault;

    fn create(text: &str) -> String {
        let body: Map<String, Value> = serde_json::from_str(text).unwrap();
        request_hash_of_create(&ModelId::parse("acme/model-x").unwrap(), &body)
    }

    fn batch(text: &str) -> String {
        request_hash_of_batch(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_request_hash_unchanged() {
        let text = r#"["create",["acme/model-x",{"a":["x"],"b":1},2]]"#;
        assert_eq!(create(r#"{"image_count":2,"input":{"b":1,"a":["x"]}}"#), hex_digest(&[text.as_bytes()]));
        let text = r#"["batch",[["acme/model-x",{"a":1},1]]]"#;
        let body = r#"{"predictions":[{"model":"acme/model-x","input":{"a":1}}]}"#;
        assert_eq!(batch(body), hex_digest(&[text.as_bytes()]));
    }

    #[test]
    fn the_same_create_in_other_words_has_the_same_hash() {
        let hash = create(r#"{"input":{"a":1,"b":[0.5,100]}}"#);
        for same in [
            r#"{ "input" : { "b":[5e-1,1e2], "a":1.0 } }"#,
            r#"{"image_count":1,"input":{"a":1,"b":[0.5,100]}}"#,
            r#"{"image_count":1.0,"input":{"a":1,"b":[0.5,100]},"model":"model-x","provider":"acme"}"#,
            r#"{"input":{"\u0061":1,"b":[0.5,100]}}"#,
        ] {
            assert_eq!(create(same), hash, "{same}");
        }
        for other in [
            r#"{"input":{"a":1,"b":[100,0.5]}}"#,
            r#"{"input":{"a":"1","b":[0.5,100]}}"#,
            r#"{"input":{"a":1,"b":[0.5,100],"c":null}}"#,
            r#"{"image_count":2,"input":{"a":1,"b":[0.5,100]}}"#,
        ] {
            assert_ne!(create(other), hash, "{other}");
        }
        // Above 2^53, one float stands for several integers.
        assert_ne!(create(r#"{"input":{"a":10000000000000000}}"#), create(r#"{"input":{"a":1e16}}"#));
    }

    #[test]
    fn a_batch_is_its_list_in_order() {
        let one = r#"{"model":"acme/model-x","input":{"a":1}}"#;
        let other = r#"{"model":"acme/model-x","input":{"a":2}}"#;
        let list = |items: &[&str]| batch(&format!(r#"{{"predictions":[{}]}}"#, items.join(",")));
        assert_eq!(
            list(&[one]),
            list(&[r#"{"input":{"a":1.0},"image_count":1,"provider":"acme","model":"acme/model-x"}"#])
        );
        assert_ne!(list(&[one, other]), list(&[other, one]));
        assert_ne!(list(&[one]), list(&[one, one]));
        assert_ne!(list(&[one]), list(&[r#"{"model":"acme/model-y","input":{"a":1}}"#]));
        assert_ne!(list(&[one]), create(one));
    }

    #[test]
    fn a_batch_of_nested_objects_is_not_kept() {
        let bounds = BodyBounds { max_values: 10_000, max_items: 17 };
        let nested = format!("{}1{}", "{\"a\":".repeat(14), "}".repeat(14));
        let item = format!("{{\"model\":\"acme/model-x\",\"input\":{{\"prompt\":{nested}}}}}");
        let text = format!("{{\"predictions\":[{}]}}", vec![item; 100].join(","));
        let kept = Value::Object(bounds.parse_batch(text.as_bytes(), BATCH_MAX_DEPTH).unwrap());
        let items = kept["predictions"].as_array().unwrap();
        assert_eq!(items.len(), BATCH_MAX + 1);
        assert_eq!(items[0], serde_json::json!({"model": "acme/model-x", "input": {"prompt": {}}}));
        let bigger = format!("{{\"predictions\":[{}]}}", vec![nested; 1_000].join(","));
        let refused = bounds.parse_batch(bigger.as_bytes(), BATCH_MAX_DEPTH).unwrap_err();
        assert_eq!(refused.fault, JsonFault::TooManyValues);
    }

    #[test]
    fn what_the_rules_can_accept_is_kept_whole() {
        let bounds = BodyBounds { max_values: 10_000, max_items: 3 };
        let text = r#"{"image_count":2,"input":{"a":"x","b":[1,2,3],"c":[1,2,3,4]},"model":"m"}"#;
        let kept = bounds.parse_create(text.as_bytes(), 16).unwrap();
        assert_eq!(Value::Object(kept).to_string(), text.replace(",4]", "]"));
    }
}
