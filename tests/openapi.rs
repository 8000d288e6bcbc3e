//! docs/openapi.json and the code say the same: routes, codes, words.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test may fail loudly"
)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use valetkey::auth::OAuthError;
use valetkey::prediction::{Failure, Status};
use valetkey::rejection::Code;
use valetkey::route::OPERATIONS;
use valetkey::token::Scope;

fn document() -> Value {
    serde_json::from_str(include_str!("../docs/openapi.json")).unwrap()
}

/// Every operation with its place.
fn operations(document: &Value) -> BTreeMap<(String, String), Value> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| -> Vec<_> {
        let methods = item.as_object().unwrap().iter();
        methods.map(|(method, operation)| ((method.clone(), path.clone()), operation.clone())).collect()
    };
    paths.iter().flat_map(of).collect()
}

fn words(value: &Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_routes_are_those_of_the_code() {
    let documented: BTreeSet<_> = operations(&document()).into_keys().collect();
    let real: BTreeSet<_> = OPERATIONS.map(|(method, path)| (method.to_owned(), path.to_owned())).into();
    assert_eq!(documented, real);
}

#[test]
fn each_operation_has_a_name_of_its_own_and_the_parameters_of_its_path() {
    let document = document();
    let mut names = BTreeSet::new();
    for ((method, path), operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap().to_owned();
        assert!(names.insert(name.clone()), "{name} is there twice");
        let none = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&none).iter();
        let resolved = parameters.map(|parameter| {
            let pointer = parameter["$ref"].as_str().unwrap().trim_start_matches('#');
            document.pointer(pointer).unwrap_or_else(|| panic!("{pointer}"))
        });
        let in_path: BTreeSet<_> = resolved
            .filter(|found| found["in"] == "path")
            .map(|found| found["name"].as_str().unwrap().to_owned())
            .collect();
        let wanted: BTreeSet<_> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(str::to_owned).collect();
        assert_eq!(in_path, wanted, "{method} {path}");
    }
}

#[test]
fn the_error_codes_are_those_of_the_code_each_with_its_status_type_and_message() {
    let document = document();
    let real: BTreeSet<_> = Code::ALL.map(|code| code.wire().code.to_owned()).into();
    assert_eq!(words(&document["components"]["schemas"]["ErrorCode"]["enum"]), real);
    for code in Code::ALL {
        let wire = code.wire();
        let error = &document["components"]["examples"][wire.code]["value"]["error"];
        assert_eq!((error["type"].as_str(), error["code"].as_str()), (Some(wire.kind), Some(wire.code)));
        assert_eq!(error["message"], wire.message);
    }
    let mut used = BTreeSet::new();
    for ((method, path), operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let response = match response["$ref"].as_str() {
                Some(target) => document.pointer(target.trim_start_matches('#')).unwrap(),
                None => response,
            };
            let examples = response.pointer("/content/application~1json/examples").and_then(Value::as_object);
            let codes = examples.into_iter().flatten().filter(|(_, example)| example.get("$ref").is_some());
            for (code, _) in codes {
                let known = Code::ALL.into_iter().find(|known| known.wire().code == code);
                let known = known.unwrap_or_else(|| panic!("{method} {path}: {code}"));
                assert_eq!(known.wire().status.to_string(), *status, "{method} {path}: {code}");
                used.insert(code.clone());
            }
        }
    }
    // That of any path with another method than its own.
    used.insert(Code::MethodNotAllowed.wire().code.to_owned());
    assert_eq!(used, real, "a code that no operation answers");
}

#[test]
fn the_errors_of_the_token_endpoint_are_those_of_the_code() {
    let document = document();
    let real: BTreeSet<_> = OAuthError::ALL.map(|error| error.wire().error.to_owned()).into();
    assert_eq!(words(&document["components"]["schemas"]["OAuthError"]["properties"]["error"]["enum"]), real);
    let responses = &document["paths"]["/auth/token"]["post"]["responses"];
    for error in OAuthError::ALL {
        assert!(responses[error.wire().status.to_string()].is_object(), "{error:?}");
    }
}

#[test]
fn the_words_of_a_prediction_are_those_of_the_code() {
    let schemas = &document()["components"]["schemas"];
    let statuses: BTreeSet<_> = Status::ALL.map(|status| status.as_str().to_owned()).into();
    assert_eq!(words(&schemas["PredictionStatus"]["enum"]), statuses);
    let failures: BTreeSet<_> = Failure::ALL.map(|failure| failure.as_str().to_owned()).into();
    assert_eq!(words(&schemas["PredictionErrorCode"]["enum"]), failures);
    let scopes: BTreeSet<_> = Scope::ALL.map(|scope| scope.as_str().to_owned()).into();
    assert_eq!(words(&schemas["Scope"]["enum"]), scopes);
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(document: &Value, value: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(target) = members.get("$ref").and_then(Value::as_str) {
                    assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
                }
                members.values().for_each(|value| check(document, value));
            }
            Value::Array(items) => items.iter().for_each(|value| check(document, value)),
            _ => {}
        }
    }
    let document = document();
    check(&document, &document);
}
