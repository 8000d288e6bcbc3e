//! `Idempotency-Key` (contract 2): a repeated create is a replay of the first.

use serde::{Deserialize, Serialize};

use crate::messages::LedgerRefusal;
use crate::types::ids::{BatchId, JobId};
use crate::types::prediction::PredictionRecord;

/// The record of a used idempotency key, kept for 24 h as one JSON document (`idempotency_record_format_unchanged` pins
/// it).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// SHA-256 of path and body, in hexadecimal.
    pub hash: String,
    /// The predictions that the create made.
    pub job_ids: Vec<JobId>,
    /// The batch's id, for a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
}

/// The reply to a repeated create.
#[derive(Clone, Debug, PartialEq)]
pub enum Replay {
    /// The predictions in their present state.
    Current(Vec<PredictionRecord>),
    /// A refusal.
    Refused(LedgerRefusal),
}

/// Decides the reply to a create whose idempotency key was used before. `records` are those of its predictions that
/// still exist.
#[must_use]
pub fn decide_replay(used: &IdempotencyRecord, hash: &str, records: Vec<PredictionRecord>) -> Replay {
    if used.hash != hash {
        return Replay::Refused(LedgerRefusal::KeyMismatch);
    }
    if records.is_empty() {
        // Its owner deleted it. Making it again is what the key prevents.
        return Replay::Refused(LedgerRefusal::NotFound);
    }
    // Not acknowledged, or being withdrawn: its admission may still be undone.
    if records.iter().any(|record| !record.is_acknowledged() || record.withdrawing) {
        return Replay::Refused(LedgerRefusal::InProgress);
    }
    Replay::Current(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::testing::{admit, request};
    use crate::types::time::UnixMillis;

    fn used() -> IdempotencyRecord {
        IdempotencyRecord { hash: "h".into(), job_ids: vec![JobId::new(UnixMillis(0), [1; 10])], batch_id: None }
    }

    #[test]
    fn idempotency_record_format_unchanged() {
        let text = format!(r#"{{"hash":"h","job_ids":["{}"]}}"#, used().job_ids[0]);
        assert_eq!(serde_json::to_string(&used()).unwrap(), text);
    }

    #[test]
    fn a_repeat_shows_the_present_state_once_the_first_was_acknowledged() {
        let mut record = admit(&request("50")).unwrap().records.remove(0);
        let refused = |refusal| Replay::Refused(refusal);
        assert_eq!(decide_replay(&used(), "other", vec![record.clone()]), refused(LedgerRefusal::KeyMismatch));
        assert_eq!(decide_replay(&used(), "h", vec![record.clone()]), refused(LedgerRefusal::InProgress));
        assert_eq!(decide_replay(&used(), "h", Vec::new()), refused(LedgerRefusal::NotFound));
        record.sequence = 1;
        assert_eq!(decide_replay(&used(), "h", vec![record.clone()]), Replay::Current(vec![record]));
    }
}
