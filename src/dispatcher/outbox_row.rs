//! A job update that a Ledger has not acknowledged yet.

use serde::{Deserialize, Serialize};

use crate::messages::JobUpdate;
use crate::types::ids::{JobId, UserKey};
use crate::types::time::UnixMillis;

/// A row of `outbox`, stored as one JSON document. A prediction has one row at most: a newer update replaces it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutboxRow {
    /// The user whose Ledger gets the update.
    pub user: UserKey,
    /// The update.
    #[serde(rename = "news")]
    pub update: JobUpdate,
    /// Time of writing. The age of a dead letter counts from here.
    #[serde(rename = "since")]
    pub created_at: UnixMillis,
    /// Failed deliveries so far.
    #[serde(default)]
    pub attempts: u32,
    /// Time of the next delivery.
    pub next_at: UnixMillis,
    /// A dead letter: it was not acknowledged for a day and is not delivered any more.
    #[serde(rename = "dead", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_dead: bool,
}

impl OutboxRow {
    /// Returns the row of an update that has not been delivered.
    pub(super) const fn new(user: UserKey, update: JobUpdate, now: UnixMillis) -> Self {
        Self { user, update, created_at: now, attempts: 0, next_at: now, is_dead: false }
    }

    /// Returns the prediction's id.
    #[must_use]
    pub const fn job_id(&self) -> &JobId {
        &self.update.job_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Stage;

    #[test]
    fn outbox_format_unchanged() {
        let job_id = JobId::parse("pred_01jh0000000000000000000000").unwrap();
        let user = UserKey::new("i", "s");
        let stage = Stage::Running;
        let update = JobUpdate {
            job_id,
            sequence: 3,
            stage,
            at: UnixMillis(7),
            cancel_requested: false,
            queue: None,
            end: None,
            late_at: None,
        };
        let row = OutboxRow::new(user.clone(), update, UnixMillis(8));
        let news = r#"{"job_id":"pred_01jh0000000000000000000000","sequence":3,"stage":"running","at":7}"#;
        let text = format!(r#"{{"user":"{}","news":{news},"since":8,"attempts":0,"next_at":8}}"#, user.as_str());
        assert_eq!(serde_json::to_string(&row).unwrap(), text);
        assert_eq!(serde_json::from_str::<OutboxRow>(&text).unwrap(), row);
    }
}
