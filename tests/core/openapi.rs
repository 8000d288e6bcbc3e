//! docs/openapi.json agrees with the code: routes, responses, error codes and enum values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use valetkey::constants::{BATCH_BODY_MAX_BYTES, CREATE_BODY_MAX_BYTES, FILE_MAX_BYTES, OTHER_BODY_MAX_BYTES};
use valetkey::oauth::OAuthError;
use valetkey::parse::json::{JsonFault, JsonProblem};
use valetkey::token::Scope;
use valetkey::types::ids::{JobId, RequestId};
use valetkey::types::prediction::{Failure, Status};
use valetkey::types::time::UnixMillis;
use valetkey::wire::rejection::{Code, Rejection};
use valetkey::wire::route::{OPERATIONS, Route, UserRoute};
use valetkey::wire::violation::{Rule, Violation};

#[path = "../openapi/answers.rs"]
mod answers;

fn document() -> Value {
    serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap()
}

/// Returns every operation by method and path.
fn operations(document: &Value) -> BTreeMap<(String, String), Value> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| -> Vec<_> {
        let methods = item.as_object().unwrap().iter();
        methods.map(|(method, operation)| ((method.clone(), path.clone()), operation.clone())).collect()
    };
    paths.iter().flat_map(of).collect()
}

/// Returns the strings of a JSON array.
fn words(value: &Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_document_lists_exactly_the_routes() {
    let documented: BTreeSet<_> = operations(&document()).into_keys().collect();
    let real: BTreeSet<_> = OPERATIONS.map(|(method, path)| (method.to_owned(), path.to_owned())).into();
    assert_eq!(documented, real);
}

#[test]
fn each_operation_has_a_unique_id_and_declares_its_path_parameters() {
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

/// Returns the target of a `$ref`, or `value` itself if it is none.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(target) => document.pointer(target.trim_start_matches('#')).unwrap_or_else(|| panic!("{target}")),
        None => value,
    }
}

/// Returns the examples of a response by name.
fn examples<'a>(document: &'a Value, response: &'a Value) -> BTreeMap<&'a str, &'a Value> {
    let examples = response.pointer("/content/application~1json/examples").and_then(Value::as_object);
    examples
        .into_iter()
        .flatten()
        .map(|(name, example)| (name.as_str(), &resolved(document, example)["value"]))
        .collect()
}

/// Returns the code of an error body: `error.code`, or `error` at the token endpoint (RFC 6749 section 5.2).
fn code_of(body: &Value) -> Option<&str> {
    body["error"]["code"].as_str().or_else(|| body["error"].as_str())
}

/// Returns the route of an operation, with example ids in its path.
fn route_of(method: &str, template: &str) -> Route {
    let id = "01jh0000000000000000000000";
    let values = [("job", "pred"), ("batch", "batch"), ("file", "file")]
        .map(|(name, prefix)| (format!("{{{name}_id}}"), format!("{prefix}_{id}")));
    let path = values.iter().fold(template.to_owned(), |path, (name, value)| path.replace(name, value));
    let path = path.replace("{owner}", "acme").replace("{model}", "model-x").replace("{user}", &"0".repeat(64));
    Route::parse(&method.to_uppercase(), &path).unwrap_or_else(|_| panic!("{method} {template}"))
}

#[test]
fn each_operation_documents_exactly_the_responses_of_the_code() {
    let document = document();
    for ((method, path), operation) in operations(&document) {
        let mut documented = BTreeSet::new();
        for (status, response) in operation["responses"].as_object().unwrap() {
            let status: u16 = status.parse().unwrap();
            let bodies = examples(&document, resolved(&document, response)).into_values();
            documented.extend(bodies.map(|body| (status, code_of(body))));
            // A success without a body has no example that would list it.
            if status < 300 {
                documented.insert((status, None));
            }
        }
        assert_eq!(documented, answers::answers(&route_of(&method, &path), &path), "{method} {path}");
    }
}

#[test]
fn each_error_code_appears_in_some_operation() {
    let all: BTreeSet<_> = OPERATIONS
        .iter()
        .flat_map(|(method, path)| answers::answers(&route_of(method, path), path))
        .filter_map(|(_, code)| code)
        .collect();
    let codes = Code::ALL.iter().map(|code| code.wire().code);
    let errors = OAuthError::ALL.iter().map(|error| error.wire().error);
    // Every path responds to an unknown method with this code, so no operation lists it.
    let elsewhere = Code::MethodNotAllowed.wire().code;
    assert_eq!(all, codes.chain(errors).filter(|code| *code != elsewhere).collect());
}

#[test]
fn each_error_code_has_an_example_that_the_code_writes() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    assert_eq!(
        words(&schemas["ErrorCode"]["enum"]),
        Code::ALL.iter().map(|code| code.wire().code.to_owned()).collect()
    );
    let kinds = &schemas["Error"]["properties"]["error"]["properties"]["type"]["enum"];
    assert_eq!(words(kinds), Code::ALL.iter().map(|code| code.wire().kind.to_owned()).collect());
    let details = &schemas["Error"]["properties"]["error"]["properties"]["details"]["properties"];
    let rules = Rule::ALL.iter().map(|rule| rule.as_str().to_owned()).collect();
    assert_eq!(words(&details["rule"]["enum"]), rules);
    let faults = JsonFault::ALL.iter().map(|fault| fault.as_str().to_owned()).collect();
    assert_eq!(words(&details["problem"]["enum"]), faults);
    let examples = document["components"]["examples"].as_object().unwrap();
    for &code in Code::ALL {
        assert_eq!(code_of(&examples[code.wire().code]["value"]), Some(code.wire().code));
    }
    for (name, example) in examples {
        let body = &example["value"];
        let code = Code::ALL.iter().copied().find(|code| Some(code.wire().code) == code_of(body)).unwrap();
        let details = &body["error"]["details"];
        let rejection = Rejection {
            param: details["param"].as_str().map(str::to_owned),
            job_id: details["job_id"].as_str().and_then(JobId::parse),
            violation: details["rule"].as_str().map(|rule| {
                Box::new(Violation { rule: rule.parse().unwrap(), allowed: details.get("allowed").cloned() })
            }),
            json: details["problem"].as_str().map(|fault| {
                Box::new(JsonProblem {
                    fault: fault.parse().unwrap(),
                    line: details["line"].as_u64().unwrap().try_into().unwrap(),
                    column: details["column"].as_u64().unwrap().try_into().unwrap(),
                })
            }),
            is_upload: name == "unsupported_file_type",
            ..Rejection::new(code, "example")
        };
        let mut written: Value =
            serde_json::from_str(&rejection.body(&RequestId::new(UnixMillis(0), [0; 10]), None)).unwrap();
        written["error"]["request_id"] = body["error"]["request_id"].clone();
        assert_eq!(*body, written, "{name}");
        // This code always names the invalid parameter.
        assert!(code != Code::InvalidParameter || rejection.param.is_some(), "{name}");
    }
}

#[test]
fn a_create_answered_502_or_504_names_its_prediction() {
    let document = document();
    let create = &document["paths"]["/v1/{owner}/{model}/predictions"]["post"]["responses"];
    for status in ["502", "504"] {
        for (name, body) in examples(&document, resolved(&document, &create[status])) {
            assert!(body["error"]["details"]["job_id"].is_string(), "{status} {name}");
        }
    }
}

#[test]
fn the_token_endpoint_errors_and_descriptions_match_the_code() {
    let document = document();
    let real: BTreeSet<_> = OAuthError::ALL.iter().map(|error| error.wire().error.to_owned()).collect();
    assert_eq!(words(&document["components"]["schemas"]["OAuthError"]["properties"]["error"]["enum"]), real);
    let known: BTreeSet<_> = OAuthError::ALL
        .iter()
        .map(|error| error.wire())
        .map(|wire| (wire.status.to_string(), wire.error, wire.description))
        .collect();
    let mut shown = BTreeSet::new();
    for path in ["/auth/token", "/auth/revoke"] {
        for (status, response) in document["paths"][path]["post"]["responses"].as_object().unwrap() {
            for body in examples(&document, resolved(&document, response)).into_values() {
                let text = |name: &str| body[name].as_str();
                shown.extend(text("error").map(|error| (status.clone(), error, text("error_description").unwrap())));
            }
        }
    }
    assert_eq!(shown, known);
}

#[test]
fn each_request_body_documents_its_size_limit() {
    let document = document();
    let mut seen = 0;
    for ((method, path), operation) in operations(&document) {
        let limit = match route_of(&method, &path) {
            Route::User(UserRoute::Create(_)) => format!("{} KiB", CREATE_BODY_MAX_BYTES / 1024),
            Route::User(UserRoute::CreateBatch) => format!("{} MiB", BATCH_BODY_MAX_BYTES / 1024 / 1024),
            Route::User(UserRoute::Upload) => format!("{},000,000 bytes", FILE_MAX_BYTES / 1_000_000),
            _ => format!("{} KiB", OTHER_BODY_MAX_BYTES / 1024),
        };
        let body = &operation["requestBody"];
        let refused = &operation["responses"]["413"];
        assert!(body.is_null() || refused.is_object(), "{method} {path}");
        let texts = [body, resolved(&document, refused)].into_iter().filter_map(|part| part["description"].as_str());
        for text in texts {
            assert!(text.contains(&limit), "{method} {path}: {text}");
            seen += 1;
        }
    }
    assert!(seen >= 16, "only {seen} texts");
}

#[test]
fn statuses_failures_and_scopes_match_the_code() {
    let schemas = &document()["components"]["schemas"];
    let statuses: BTreeSet<_> = Status::ALL.iter().map(|status| status.as_str().to_owned()).collect();
    assert_eq!(words(&schemas["PredictionStatus"]["enum"]), statuses);
    let failures: BTreeSet<_> = Failure::ALL.iter().map(|failure| failure.as_str().to_owned()).collect();
    assert_eq!(words(&schemas["PredictionErrorCode"]["enum"]), failures);
    let scopes: BTreeSet<_> = Scope::ALL.iter().map(|scope| scope.as_str().to_owned()).collect();
    assert_eq!(words(&schemas["Scope"]["enum"]), scopes);
}

#[test]
fn every_reference_resolves() {
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
