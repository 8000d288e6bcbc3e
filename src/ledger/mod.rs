//! A user's Ledger, as pure functions: admission, replays, job updates, settlement, open streams.
//!
//! The Durable Object loads the rows that a function takes, and stores the rows that it returns, in one transaction.
//! Invariant: each prediction's credits are reserved once, at its admission, and settled once, at its end (protocol 5).

mod admission;
mod files;
mod lifecycle;
mod replay;
mod revocation;
mod streams;

#[cfg(test)]
mod testing;

pub use admission::{Admission, JtiUsage, decide_admission, undo_admission};
pub use files::{FileUsage, check_file_limits, last_forgotten_day, note_use};
pub use lifecycle::{apply_update, batch_status, build_lost_update, needs_tick, next_wake_at, settle};
pub use replay::{IdempotencyRecord, Replay, decide_replay};
pub use revocation::{RevokedBefore, RevokedStep, is_revoked};
pub use streams::{OpenStreams, event_wait_millis};
