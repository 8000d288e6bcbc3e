//! A user's Ledger as arithmetic: admission, repeats, news, settlement, open streams. The Durable Object around it loads
//! the rows that a function takes and stores those that it returns, in one transaction.

mod admission;
mod life;
mod repeat;
mod streams;

pub use admission::{Admission, JtiUsage, decide_admission, undo_admission};
pub use life::{apply_update, batch_status, build_lost_update, needs_tick, next_wake_at, settle};
pub use repeat::{IdempotencyRecord, Replay, decide_replay};
pub use streams::{OpenStreams, event_wait_millis};

use crate::messages::Caller;
use crate::types::time::UnixSeconds;

/// Whether a token of the user was issued early enough to be revoked with the rest of them (protocol 7).
#[must_use]
pub fn is_revoked(caller: &Caller, revoked_by: Option<UnixSeconds>) -> bool {
    revoked_by.is_some_and(|by| caller.issued_at <= by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_issued_up_to_the_revocation_are_refused() {
        let caller =
            |issued_at| Caller { issued_at: UnixSeconds(issued_at), jti: None, requests_per_minute: None, proof: None };
        assert!(is_revoked(&caller(10), Some(UnixSeconds(10))));
        assert!(!is_revoked(&caller(11), Some(UnixSeconds(10))));
        assert!(!is_revoked(&caller(1), None));
    }
}
