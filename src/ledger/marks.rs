//! The names of marks: rows of a Ledger with an expiry (docs/schema.md).

use crate::types::ids::{JobId, RequestId};

/// The requests and creates of the last minute.
pub const MINUTE: &str = "minute";

/// The user's revoked-before time.
pub const REVOKED: &str = "revoked";

/// Prefix of the names of revoked tokens' marks.
pub const REVOKED_TOKENS: &str = "revoked:";

/// Prefix of the names of used proofs' marks.
pub const PROOFS: &str = "proof:";

/// The marks, by the start of their names, that live for minutes and are written often. The table's index of expiries
/// leaves them out (docs/schema.md), and the alarm never fires for them alone.
pub const SHORT_LIVED: [&str; 2] = [MINUTE, PROOFS];

/// Prefix of the names of marks that reserve room for uploads.
pub const UPLOADS: &str = "upload:";

/// Prefix of the names of events about ended predictions that were not sent.
pub const EVENTS: &str = "event:";

/// The receiver of events has failed.
pub const RECEIVER: &str = "receiver";

/// Returns the name of the event about the end of a prediction.
pub fn event(job_id: &JobId) -> String {
    format!("{EVENTS}{job_id}")
}

/// Returns the name of the mark that reserves room for an upload.
pub fn upload(request: &RequestId) -> String {
    format!("{UPLOADS}{}", request.as_str())
}

/// Returns the name of a revoked token's mark.
pub fn revoked_token(jti: &str) -> String {
    format!("{REVOKED_TOKENS}{jti}")
}

/// Returns the name of a used proof's mark.
pub fn proof(id: &str) -> String {
    format!("{PROOFS}{id}")
}

/// Prefix of the names of idempotency keys' marks.
pub const IDEMPOTENCY_KEYS: &str = "key:";

/// Prefix of the names of batches' marks: their ids.
pub const BATCHES: &str = "batch_";

/// The user's own limits, which an operator has set.
pub const OWN_LIMITS: &str = "limits";

/// The day on which the user was deleted, for 48 hours.
pub const ERASED: &str = "erased";

/// Returns the name of an idempotency key's mark.
pub fn idempotency_key(key: &str) -> String {
    format!("{IDEMPOTENCY_KEYS}{key}")
}

/// Returns the name of the mark of a prediction that was withdrawn before its create arrived, or deleted soon after.
pub fn withdrawn(job_id: &JobId) -> String {
    format!("withdrawn:{job_id}")
}

/// Returns the first name after all names that start with a prefix. Some parts of names are chosen by others, down to the
/// last character of Unicode.
#[must_use]
pub fn end_of_prefix(prefix: &str) -> String {
    let mut end = prefix.to_owned();
    let next = end.pop().and_then(|last| char::from_u32(u32::from(last).saturating_add(1)));
    end.extend(next);
    end
}
