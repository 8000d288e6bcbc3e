//! `Idempotency-Key` (contract 2): a repeated create is a replay of the first.

use serde::{Deserialize, Serialize};

use crate::messages::{IdempotencyKey, LedgerRefusal};
use crate::types::ids::{BatchId, JobId};
use crate::types::prediction::PredictionRecord;

/// The record of a used idempotency key, kept for 24 h as one JSON document (`idempotency_record_format_unchanged` pins
/// it).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// SHA-256 of path and raw body, in hexadecimal.
    pub hash: String,
    /// SHA-256 of the request's meaning, in hexadecimal. Absent from records that the previous build stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_hash: Option<String>,
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
pub fn decide_replay(used: &IdempotencyRecord, key: &IdempotencyKey, records: Vec<PredictionRecord>) -> Replay {
    // Equal paths and bytes mean equal requests. `hash` is therefore needed only for keys that the previous build
    // stored or sent.
    let means_the_same = used.request_hash.is_some() && used.request_hash == key.request_hash;
    if !means_the_same && used.hash != key.hash {
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

    fn used(request_hash: Option<&str>) -> IdempotencyRecord {
        IdempotencyRecord {
            hash: "h".into(),
            request_hash: request_hash.map(str::to_owned),
            job_ids: vec![JobId::new(UnixMillis(0), [1; 10])],
            batch_id: None,
        }
    }

    fn key(hash: &str, request_hash: Option<&str>) -> IdempotencyKey {
        IdempotencyKey { value: "k".into(), hash: hash.into(), request_hash: request_hash.map(str::to_owned) }
    }

    #[test]
    fn idempotency_record_format_unchanged() {
        let job_id = &used(None).job_ids[0];
        let before = format!(r#"{{"hash":"h","job_ids":["{job_id}"]}}"#);
        assert_eq!(serde_json::to_string(&used(None)).unwrap(), before);
        assert_eq!(serde_json::from_str::<IdempotencyRecord>(&before).unwrap(), used(None));
        let now = format!(r#"{{"hash":"h","request_hash":"r","job_ids":["{job_id}"]}}"#);
        assert_eq!(serde_json::to_string(&used(Some("r"))).unwrap(), now);
    }

    #[test]
    fn either_hash_makes_a_repeat() {
        let mut record = admit(&request("50")).unwrap().records.remove(0);
        record.sequence = 1;
        for (stored, sent, is_same) in [
            (used(Some("r")), key("other", Some("r")), true),
            (used(Some("r")), key("h", None), true),
            (used(None), key("h", Some("r")), true),
            (used(Some("r")), key("other", Some("other")), false),
            (used(Some("r")), key("other", None), false),
            (used(None), key("other", Some("r")), false),
            (used(None), key("other", None), false),
        ] {
            let expected = match is_same {
                true => Replay::Current(vec![record.clone()]),
                false => Replay::Refused(LedgerRefusal::KeyMismatch),
            };
            assert_eq!(decide_replay(&stored, &sent, vec![record.clone()]), expected, "{stored:?} {sent:?}");
        }
    }

    #[test]
    fn a_repeat_shows_the_present_state_once_the_first_was_acknowledged() {
        let mut record = admit(&request("50")).unwrap().records.remove(0);
        let decide = |records| decide_replay(&used(Some("r")), &key("h", Some("r")), records);
        assert_eq!(decide(vec![record.clone()]), Replay::Refused(LedgerRefusal::InProgress));
        assert_eq!(decide(Vec::new()), Replay::Refused(LedgerRefusal::NotFound));
        record.sequence = 1;
        assert_eq!(decide(vec![record.clone()]), Replay::Current(vec![record]));
    }
}
