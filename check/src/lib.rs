//! The Worker's own parser of settings, for the command-line tool (cli/), which runs it in Node.
//!
//! The tool finds what the Worker would refuse before it is deployed. Since both run the same parser, they cannot
//! disagree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use valetkey::config;
use valetkey::parse::problem::Step;
use wasm_bindgen::prelude::wasm_bindgen;

/// The settings to check.
#[derive(Deserialize)]
struct Request {
    /// Variables and secrets by name, as the Worker would read them.
    settings: BTreeMap<String, String>,
    /// The host that the Worker will be called by, if it is known.
    host: Option<String>,
}

/// A problem, as the tool reads it.
#[derive(Serialize)]
struct Report {
    name: String,
    problem: String,
    /// Names and indices of the value that is wrong, from the setting on.
    at: Vec<Value>,
}

impl From<config::Problem> for Report {
    fn from(problem: config::Problem) -> Self {
        let step = |step: &Step| match step {
            Step::Member(name) | Step::HiddenMember(name, _) => Value::from(name.as_str()),
            Step::Item(index) => Value::from(*index),
        };
        let at = problem.at.steps().iter().map(step).collect();
        Self { name: problem.name, problem: problem.problem, at }
    }
}

/// Checks settings: `{"settings":{"POLICY":"…"},"host":"api.example.com"}` → `{"problems":[{"name","problem","at"}]}`.
/// `host` may be null. A problem's text holds no value.
#[wasm_bindgen]
#[must_use]
pub fn check(request: &str) -> String {
    let problems = match serde_json::from_str::<Request>(request) {
        Ok(request) => problems(&request),
        // The tool wrote the request, so this is a mistake in the tool.
        Err(_) => vec![Report { name: String::new(), problem: "is not a request".to_owned(), at: Vec::new() }],
    };
    json!({ "problems": problems }).to_string()
}

fn problems(request: &Request) -> Vec<Report> {
    let problems = match config::parse(&|name| request.settings.get(name).cloned()) {
        Ok(config) => request.host.as_deref().map(|host| config.check_host(host).err().unwrap_or_default()),
        Err(problems) => Some(problems),
    };
    problems.into_iter().flatten().map(Report::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_the_place_and_hides_names_in_its_text() {
        let issuers = json!([{"sk_live_0123456789abcdef": 1}]).to_string();
        let reply: Value =
            serde_json::from_str(&check(&json!({"settings": {"ISSUERS": issuers}}).to_string())).unwrap();
        let reports = reply["problems"].as_array().unwrap();
        let hidden = reports.iter().find(|report| report["at"] == json!([0, "sk_live_0123456789abcdef"])).unwrap();
        assert!(hidden["problem"].as_str().unwrap().starts_with("[0](entry 0) is not a setting"), "{hidden}");
        assert!(reports.iter().any(|report| report["name"] == "POLICY" && report["at"] == json!([])));
    }

    #[test]
    fn a_host_is_checked_only_if_it_is_given() {
        let settings = json!({"DEEPCREATIVE_API_KEY": "sk_live_Test0Test1Test2Test3", "ALLOWED_ORIGINS": "none",
            "UPSTREAM_URL": "http://127.0.0.1:8788/v1", "APP_SECRET": "0123456789abcdef0123456789abcdef",
            "ISSUERS": r#"[{"issuer":"a","audience":["b"],"keys":{"secret":"APP_SECRET"},"algorithms":["HS256"]}]"#,
            "POLICY": r#"{"plans":{"default":{"requests_per_minute":1,"predictions_per_minute":1,"concurrent_predictions":1,
                "daily_credits":"1"}},"models":{"a/b":{"credits":"1","input":{}}}}"#});
        assert_eq!(check(&json!({"settings": settings}).to_string()), r#"{"problems":[]}"#);
        let public = check(&json!({"settings": settings, "host": "api.example.com"}).to_string());
        assert!(public.contains("UPSTREAM_URL"), "{public}");
    }
}
