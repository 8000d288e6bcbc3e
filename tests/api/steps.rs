//! Steps that many tests share.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{MODEL, Options, Stack, policy};
use crate::http::{Request, Response};

impl Stack {
    /// Starts a stack with this policy.
    pub fn with_policy(policy: &Value) -> Self {
        let settings = vec![("POLICY", Some(policy.to_string()))];
        Self::start(&Options { settings, ..Options::default() })
    }

    pub fn prompt(&self, token: &str, prompt: &str) -> Response {
        self.send(&create_of(token, prompt))
    }

    /// Returns `usage` of the caller's account.
    pub fn usage(&self, token: &str) -> Value {
        self.get(token, "/v1/account").json()["usage"].clone()
    }

    /// Returns the prompts of all creates that reached the vendor, refused ones too, in order of arrival.
    pub fn sent(&self) -> Vec<String> {
        let requests = self.vendor_requests().into_iter().filter(|request| request["route"] == "create");
        let body = |request: Value| serde_json::from_str::<Value>(request["body"].as_str().unwrap()).unwrap();
        requests.map(|request| body(request)["input"]["prompt"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until exactly these creates have reached the vendor. A prediction is `processing` before its create arrives
    /// there.
    pub fn assert_sent(&self, prompts: &[&str]) {
        wait_until(&format!("the creates {prompts:?}"), || (self.sent().len() >= prompts.len()).then_some(()));
        assert_eq!(self.sent(), prompts);
    }

    /// Ends the vendor's prediction for this prompt, once the vendor has it.
    pub fn finish(&self, prompt: &str, how: &Value) {
        let id = wait_until(&format!("the vendor has {prompt}"), || {
            let creates = self.control_get("/state")["creates"].as_array().cloned().unwrap();
            let found = creates.iter().find(|create| create["input"]["prompt"] == prompt);
            found.map(|create| create["id"].as_str().unwrap().to_owned())
        });
        self.control_post(&format!("/predictions/{id}/finish"), how);
    }
}

/// Returns the default policy with these members of the default plan and of the key changed.
pub fn policy_with(plan: &Value, key: &Value) -> Value {
    let mut policy = policy();
    for (place, changes) in [("/plans/default", plan), ("/key", key)] {
        let members = policy.pointer_mut(place).and_then(Value::as_object_mut).unwrap();
        members.extend(changes.as_object().cloned().unwrap());
    }
    policy
}

/// Returns the request for a create.
pub fn create_of(token: &str, prompt: &str) -> Request {
    Request::post(MODEL).bearer(token).json(&json!({"input": {"prompt": prompt}}))
}

/// Returns the prediction's id from a response, or from the details of an error.
#[track_caller]
pub fn job_id(answer: &Response) -> String {
    let body = answer.json();
    let id = body["job_id"].as_str().or_else(|| body["error"]["details"]["job_id"].as_str());
    id.unwrap_or_else(|| panic!("no job_id: {body}")).to_owned()
}

/// Checks for a refusal of exactly this status, type and code. 429 and 503 must have a `Retry-After`.
#[track_caller]
pub fn assert_refused(answer: &Response, status: u16, kind: &str, code: &str) {
    assert_eq!(answer.error(), (status, kind.to_owned(), code.to_owned()), "{}", answer.text());
    if [429, 503].contains(&status) {
        assert!(retry_after(answer) >= 1);
    }
}

/// Returns `Retry-After` in seconds.
#[track_caller]
pub fn retry_after(answer: &Response) -> i64 {
    let header = answer.header("retry-after").unwrap_or_else(|| panic!("no Retry-After: {}", answer.text()));
    header.parse().unwrap()
}

/// Runs `run` for each of `0..count` concurrently.
pub fn at_once<T: Send>(count: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let run = &run;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|number| scope.spawn(move || run(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Polls until `poll` returns a value, for three minutes at most.
#[track_caller]
pub fn wait_until<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = poll() {
            return found;
        }
        // Longer than a rate limit's window.
        assert!(start.elapsed() < Duration::from_mins(3), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
