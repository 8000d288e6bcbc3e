//! `Idempotency-Key` (contract 2): a create that is repeated is not made twice.

use serde::{Deserialize, Serialize};

use crate::messages::LedgerRefusal;
use crate::types::ids::{BatchId, JobId};
use crate::types::prediction::PredictionRecord;

/// What is remembered of a key for 24 h, as one JSON document (`known_key_format_unchanged` pins it).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// SHA-256 of path and body, in hexadecimal.
    pub hash: String,
    /// What was made.
    pub job_ids: Vec<JobId>,
    /// The batch, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
}

/// What a repeated create is answered with.
#[derive(Clone, Debug, PartialEq)]
pub enum Replay {
    /// The predictions as they are now.
    Current(Vec<PredictionRecord>),
    /// A refusal.
    Refused(LedgerRefusal),
}

/// Decides what a create with a known key is answered with. `records` are the predictions that are left of it.
#[must_use]
pub fn decide_replay(known: &IdempotencyRecord, hash: &str, records: Vec<PredictionRecord>) -> Replay {
    if known.hash != hash {
        return Replay::Refused(LedgerRefusal::KeyMismatch);
    }
    if records.is_empty() {
        // Forgotten by its owner; making it again is what the key prevents.
        return Replay::Refused(LedgerRefusal::NotFound);
    }
    // Unacknowledged or withdrawing: it may go as if it had never been.
    if records.iter().any(|record| !record.is_acknowledged() || record.withdrawing) {
        return Replay::Refused(LedgerRefusal::InProgress);
    }
    Replay::Current(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::admission::tests::{admit, request};
    use crate::types::time::UnixMillis;

    fn known() -> IdempotencyRecord {
        IdempotencyRecord { hash: "h".into(), job_ids: vec![JobId::new(UnixMillis(0), [1; 10])], batch_id: None }
    }

    #[test]
    fn known_key_format_unchanged() {
        let text = format!(r#"{{"hash":"h","job_ids":["{}"]}}"#, known().job_ids[0]);
        assert_eq!(serde_json::to_string(&known()).unwrap(), text);
    }

    #[test]
    fn a_repeat_shows_the_present_state_once_the_first_was_acknowledged() {
        let mut record = admit(&request("50")).unwrap().records.remove(0);
        let refused = |refusal| Replay::Refused(refusal);
        assert_eq!(decide_replay(&known(), "other", vec![record.clone()]), refused(LedgerRefusal::KeyMismatch));
        assert_eq!(decide_replay(&known(), "h", vec![record.clone()]), refused(LedgerRefusal::InProgress));
        assert_eq!(decide_replay(&known(), "h", Vec::new()), refused(LedgerRefusal::NotFound));
        record.sequence = 1;
        assert_eq!(decide_replay(&known(), "h", vec![record.clone()]), Replay::Current(vec![record]));
    }
}
