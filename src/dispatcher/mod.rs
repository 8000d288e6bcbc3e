//! The Dispatcher's state machine: who is submitted, polled and canceled when, and what each vendor answer does.
//!
//! Pure: a [`Dispatcher`] is loaded from rows, changed by messages, answers and the passing of time, and hands out
//! [`Action`]s for the shell to carry out and [`Changes`] for it to store in the same turn. The invariants stand in
//! docs/architecture.md; the interleavings that could break them are tested in `tests/dispatch_model.rs`.

mod accounts;
mod actions;
mod dispatcher;
mod due;
mod health;
mod job;
mod line;
mod queue;
mod requests;
mod vendor_results;

pub use accounts::{Accounts, KEY_ACCOUNT};
pub use actions::{Action, Changes, Delivery};
pub use dispatcher::{Dispatcher, DispatcherLimits, Pool, StoredState};
pub use health::Health;
pub use job::{Job, JobState, OutboxRow};
