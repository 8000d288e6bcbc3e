//! `GET /admin/api/users/{user}`: all that is stored of a user, in pages.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::own_limits::render_own_limits;
use crate::messages::{DayUsage, UserExport};
use crate::types::file::{FileRecord, is_like_vendor_file_id};
use crate::types::ids::{FileId, JobId, UserKey};
use crate::types::prediction::PredictionRecord;
use crate::types::time::{UnixSeconds, UtcDay};

/// The place in the list of predictions, then files, after which a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportCursor {
    /// Predictions older than this one.
    Prediction(JobId),
    /// Files older than this one.
    File(FileId),
}

impl ExportCursor {
    /// Parses a cursor: the id of the last row of the page before.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        JobId::parse(text).map(Self::Prediction).or_else(|| FileId::parse(text).map(Self::File))
    }
}

/// Writes a page. `inputs` are those that the Dispatcher still has, as JSON; `base` is the start of the client's URLs.
#[must_use]
pub fn render_export(user: &UserKey, export: &UserExport, inputs: &BTreeMap<JobId, String>, base: &str) -> Value {
    let predictions = export.predictions.iter().map(|record| render_prediction(record, inputs, base));
    let next = match (export.has_more_predictions, export.has_more_files) {
        (true, _) => export.predictions.last().map(|record| record.job_id.as_str()),
        (false, true) => export.files.last().map(|file| file.file_id.as_str()),
        (false, false) => None,
    };
    json!({
        "user": user,
        "predictions": predictions.collect::<Vec<_>>(),
        "files": export.files.iter().map(FileRecord::render).collect::<Vec<_>>(),
        "usage": export.days.iter().map(render_day).collect::<Vec<_>>(),
        "revocations": {
            "issued_by": export.revoked_before.map(|time| UnixSeconds::millis(time).to_rfc3339()),
            "tokens": export.revoked_tokens,
        },
        "override": export.limits.as_ref().map(render_own_limits),
        "next_cursor": next,
    })
}

/// Writes a prediction: its owner's view, the reserved credits, and the input.
fn render_prediction(record: &PredictionRecord, inputs: &BTreeMap<JobId, String>, base: &str) -> Value {
    let mut members: Map<String, Value> = serde_json::from_str(&record.render(base)).unwrap_or_default();
    members.insert("credits_reserved".to_owned(), json!(record.credits_reserved.to_string()));
    let mut input: Value =
        inputs.get(&record.job_id).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    hide_vendor_ids(&mut input);
    members.insert("input".to_owned(), input);
    Value::Object(members)
}

/// Replaces the vendor's ids of files. A stored input has them in place of ours, and no other text of an input looks like
/// one ([`is_like_vendor_file_id`]).
fn hide_vendor_ids(value: &mut Value) {
    match value {
        Value::String(text) if is_like_vendor_file_id(text) => "(a file)".clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(hide_vendor_ids),
        Value::Object(members) => members.values_mut().for_each(hide_vendor_ids),
        _ => {}
    }
}

/// Writes the usage of a day.
#[must_use]
pub fn render_day(day: &DayUsage) -> Value {
    json!({
        "day": UtcDay(day.day).to_iso_date(), "credits_spent": day.spent.to_string(),
        "credits_reserved": day.reserved.to_string(), "predictions": day.predictions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::UnixMillis;

    #[test]
    fn the_vendors_ids_of_files_are_not_shown() {
        let mut input =
            json!({"prompt": "file_12 is not one", "image": "file_abc123", "more": ["file_abc124", 1, null]});
        hide_vendor_ids(&mut input);
        assert_eq!(input, json!({"prompt": "file_12 is not one", "image": "(a file)", "more": ["(a file)", 1, null]}));
    }

    #[test]
    fn files_follow_the_predictions() {
        let file = FileRecord {
            file_id: FileId::new(UnixMillis(1), [1; 10]),
            vendor_id: "canary".into(),
            content_type: "image/png".into(),
            bytes: 3,
            created_at: UnixMillis(1),
            used_on: None,
        };
        let cursor = file.file_id.to_string();
        let export = UserExport { files: vec![file], has_more_files: true, ..UserExport::default() };
        let page = render_export(&UserKey::new("i", "s"), &export, &BTreeMap::new(), "https://a.example");
        assert_eq!(page["next_cursor"], json!(cursor));
        assert!(!page.to_string().contains("canary"));
        assert_eq!(ExportCursor::parse(&cursor), Some(ExportCursor::File(export.files[0].file_id.clone())));
        let job_id = JobId::new(UnixMillis(1), [1; 10]);
        assert_eq!(ExportCursor::parse(job_id.as_str()), Some(ExportCursor::Prediction(job_id)));
        assert_eq!(ExportCursor::parse("x"), None);
    }
}
