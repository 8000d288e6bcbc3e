//! Input: the body of a create, a named create and a batch.
//!
//! - An accepted create has only inputs with a rule. Their values are those that the client sent (numbers compared by
//!   value) or the defaults.
//! - It has the price of the policy, and is accepted again with the same meaning.
//! - A rejection contains only plain characters of the input.

#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use valetkey::constants::{BATCH_MAX, BATCH_MAX_DEPTH, BODY_MAX_DEPTH};
use valetkey::parse::json::parse_strict_object;
use valetkey::parse::number::{is_same, parse_whole};
use valetkey::policy::{CheckedCreate, Policy, check_batch, check_create, check_named_create, parse_policy};
use valetkey::types::ids::FileId;
use valetkey::types::model::ModelId;
use valetkey::vendor::request;
use valetkey::wire::rejection::{Code, Rejection};
use valetkey_fuzz::json;
use valetkey_fuzz::settings::{grant, policy};

valetkey_fuzz::target!(check);

static POLICY: LazyLock<Policy> = LazyLock::new(|| parse_policy(&policy().to_string()).unwrap());

static BASES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let file = "file_01jh0000000000000000000000";
    let full = json!({
        "prompt": "a garden", "seed": 7, "strength": 0.25, "fast": true, "shape": "16:9",
        "image": "https://cdn.example/a.png", "mask": file, "tags": ["a", "bcd"], "layers": [file, file], "sizes": [1],
    });
    let named = json!({"model": "acme/model-x", "provider": "acme", "image_count": 3, "input": full});
    vec![
        json!({"input": {"prompt": "p"}}),
        json!({"input": full, "image_count": 4, "model": "model-x", "provider": "acme"}),
        named.clone(),
        json!({"predictions": [named, {"model": "acme/model-y", "input": {}}]}),
    ]
});

fn check(data: &[u8]) {
    let text = json::text(data, &BASES);
    if let Ok(body) = parse_strict_object(&text, BODY_MAX_DEPTH) {
        let model = ModelId::parse("acme/model-x").unwrap();
        check_result(&body, check_create(&POLICY, &grant(), &model, body.clone()));
        check_result(&body, check_named_create(&POLICY, &grant(), body.clone()));
    }
    let Ok(body) = parse_strict_object(&text, BATCH_MAX_DEPTH) else { return };
    match check_batch(&POLICY, &grant(), body.clone()) {
        Ok(specs) => {
            let items = body["predictions"].as_array().expect("a list");
            assert!((1..=BATCH_MAX.min(10)).contains(&items.len()) && specs.len() == items.len());
            assert_eq!(body.len(), 1);
            for (item, spec) in items.iter().zip(specs) {
                check_order(item.as_object().expect("an object"), &spec);
            }
        }
        Err(rejection) => check_rejection(&rejection),
    }
}

fn check_result(body: &Map<String, Value>, result: Result<CheckedCreate, Rejection>) {
    match result {
        Ok(spec) => check_order(body, &spec),
        Err(rejection) => check_rejection(&rejection),
    }
}

fn check_order(body: &Map<String, Value>, spec: &CheckedCreate) {
    assert!(body.keys().all(|name| ["input", "image_count", "model", "provider"].contains(&name.as_str())));
    let (model, provider) = (body.get("model"), body.get("provider"));
    assert!(model.is_none_or(|model| model == spec.model.name() || model == spec.model.as_str()), "{model:?}");
    assert!(provider.is_none_or(|provider| provider == spec.model.owner()), "{provider:?}");
    let rules = &POLICY.models[&spec.model];
    let input = body["input"].as_object().expect("an input");
    assert!(input.keys().all(|name| spec.input.contains_key(name)), "an input is missing");
    for (name, value) in &spec.input {
        let rule = rules.input.get(name).unwrap_or_else(|| panic!("{name} has no rule"));
        let sent = input.get(name).or(rule.default.as_ref()).unwrap_or_else(|| panic!("{name} is made up"));
        assert!(is_same(sent, value), "{name}: {sent} becomes {value}");
        // A default in POLICY need not obey the limits for clients.
        assert!(!input.contains_key(name) || rule.check(value.clone()).as_ref() == Ok(value), "{name}: {value}");
    }
    assert!(rules.input.iter().all(|(name, rule)| !rule.required || spec.input.contains_key(name)));
    assert_eq!(body.get("image_count").map_or(Some(1), parse_whole::<u32>), Some(spec.image_count));
    assert!((1..=rules.max_image_count).contains(&spec.image_count));
    assert_eq!(spec.credits.micros(), rules.credits.micros() * i64::from(spec.image_count));
    assert_eq!(spec.max_seconds, rules.max_seconds);
    check_files(spec);

    // The vendor receives exactly this, and a create with the sent body would be accepted again.
    let input = Value::Object(spec.input.clone()).to_string();
    let base = "https://api.vendor.example/v1";
    let sent = request::create(base, &spec.model, spec.image_count, &input, None).body.expect("a body");
    let sent = parse_strict_object(sent.as_bytes(), BODY_MAX_DEPTH).expect("what is sent is strict JSON");
    assert!(sent.keys().all(|name| ["input", "image_count"].contains(&name.as_str())));
    let again = check_create(&POLICY, &grant(), &spec.model, sent).expect("what is sent is acceptable");
    assert_eq!(again, *spec);
}

/// Asserts that exactly the files of the input are listed, each with its JSON pointer.
fn check_files(spec: &CheckedCreate) {
    let input = Value::Object(spec.input.clone());
    for (pointer, file_id) in &spec.files {
        assert_eq!(input.pointer(pointer).and_then(Value::as_str), Some(file_id.as_str()));
    }
    let in_files = |name: &str| spec.input.get(name).map(json::string_values).unwrap_or_default();
    let expected = [in_files("layers"), in_files("mask")].concat();
    let found: Vec<&str> = spec.files.iter().map(|(_, file_id)| file_id.as_str()).collect();
    assert_eq!(found, expected);
    assert!(expected.iter().all(|text| FileId::parse(text).is_some()));
}

fn check_rejection(rejection: &Rejection) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    if let Some(param) = &rejection.param {
        assert!(!param.is_empty() && param.len() <= 100 && param.bytes().all(is_plain), "{param:?}");
    }
    let violation = rejection.violation.as_ref();
    assert_eq!(violation.is_some(), rejection.code == Code::InvalidParameter, "{rejection:?}");
}
