//! Rows and messages as the build before writes them: this build reads both.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use valetkey::dispatcher::{Job, OutboxRow, StoredState};
use valetkey::messages::{DispatcherRequest, LedgerCall};
use valetkey::types::ids::JobId;

/// Returns a job's row as this build reads it after the build before wrote it. That has the input in the row of a job
/// that waits; SQL moves it to a table of its own before the rows are read.
pub fn upgraded_job(job: &Job, inputs: &mut BTreeMap<JobId, String>) -> Job {
    let mut doc = serde_json::to_value(job).unwrap();
    doc.as_object_mut().unwrap().remove("paused_before_ms");
    let terms = doc["order"].as_object_mut().unwrap();
    if let Some(input) = inputs.get(&job.spec.job_id) {
        terms.remove("input_bytes");
        terms.insert("input".to_owned(), serde_json::from_str(input).unwrap());
    }
    if doc["state"] == "waiting" {
        let terms = doc["order"].as_object_mut().unwrap();
        let input = terms.remove("input").unwrap().to_string();
        terms.insert("input_bytes".to_owned(), json!(input.len()));
        inputs.insert(job.spec.job_id.clone(), input);
    }
    serde_json::from_value(doc).unwrap()
}

/// Returns the row of an update without its newer members.
pub fn upgraded_update(row: &OutboxRow) -> OutboxRow {
    without(row, &["attempts"])
}

/// Returns the one document of the state.
pub fn state(state: &StoredState) -> String {
    let mut doc = serde_json::to_value(state).unwrap();
    for member in ["pool_deficits", "average_runs", "pauses"] {
        doc.as_object_mut().unwrap().remove(member);
    }
    doc.to_string()
}

/// Returns a message of a Ledger without its newer members.
pub fn of_ledger(request: DispatcherRequest) -> DispatcherRequest {
    let mut doc = serde_json::to_value(request).unwrap();
    if let Some(enqueue) = doc.get_mut("enqueue").and_then(Value::as_object_mut) {
        enqueue.remove("issued_at");
    }
    serde_json::from_value(doc).unwrap()
}

/// Returns a message of an edge without its newer members.
pub fn of_edge(call: &LedgerCall) -> LedgerCall {
    let mut doc = serde_json::to_value(call).unwrap();
    if let Some(create) = doc["ask"].get_mut("create").and_then(Value::as_object_mut) {
        create.remove("token_id");
        if let Some(key) = create.get_mut("key").and_then(Value::as_object_mut) {
            key.remove("request_hash");
        }
    }
    serde_json::from_value(doc).unwrap()
}

/// Returns a record without newer members.
pub fn without<T: serde::Serialize + serde::de::DeserializeOwned>(record: &T, members: &[&str]) -> T {
    let mut doc = serde_json::to_value(record).unwrap();
    members.iter().for_each(|member| drop(doc.as_object_mut().unwrap().remove(*member)));
    serde_json::from_value(doc).unwrap()
}
