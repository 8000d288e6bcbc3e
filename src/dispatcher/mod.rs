//! The Dispatcher's state machine: which predictions are submitted, polled and canceled when, and what each vendor
//! response does.
//!
//! Pure: a [`Dispatcher`] is loaded from rows. Messages, vendor replies and the passing of time change it. Each turn it
//! returns [`Action`]s for the shell to carry out and [`Changes`] for the shell to store first. The invariants are in
//! docs/architecture.md, and `tests/model` searches for interleavings that break them.
//!
//! | file | content |
//! |---|---|
//! | `machine` | the state and its accessors |
//! | `job`, `job_terms` | a prediction as the machine keeps it: without its input |
//! | `job_table`, `waiting_jobs` | all jobs, and the indexes by which a turn finds the few that it needs |
//! | `stored_state`, `state_rows` | what is stored besides jobs and updates, and its rows |
//! | `clock` | the machine's time, and what happens after a step of the real clock |
//! | `unreadable_rows` | rows that cannot be read, and the slots that they may hold |
//! | `job_changes` | how a job changes and ends; each change is reported to the Ledger |
//! | `enqueue`, `requests` | what Ledgers and the edge request |
//! | `due`, `expiry`, `next_due` | the work that is due, and when the alarm must fire next |
//! | `queue`, `fair_queue` | whose prediction starts next |
//! | `queue_positions`, `positions`, `expected_starts` | queue positions and ETAs |
//! | `submit_results`, `poll_results`, `vendor_results` | effects of the vendor's replies: to creates, to polls and cancels, to all |
//! | `key_versions` | the vendor key of each version of the Worker |
//! | `overview` | what an operator sees, and the slot of an unknown outcome |
//! | `pauses`, `operator_pauses` | leases of operators under which no create is sent, and what they do to the queue |
//! | `rotation`, `key_choice` | the next vendor key: its check, and which key creates use |
//! | `vendor_keys` | which vendor key polls and cancels use |
//! | `forgetting` | deletion of a user |
//! | `spend` | what ended predictions cost, by day, plan, model and user |
//! | `outbox`, `deliveries` | job updates until their Ledgers acknowledge them, and the indexes by which a turn finds those that are due |
//! | `alerts`, `alert_log`, `watches` | the alerts of the deployment, and their notifications; those about states that last |
//! | `permit_turns`, `file_deletions` | requests about files and streams: whose turn it is, and forgotten files |

mod accounts;
mod actions;
mod alert_log;
mod alerts;
mod clock;
mod deliveries;
mod due;
mod enqueue;
mod expected_starts;
mod expiry;
mod fair_queue;
mod file_deletions;
mod forgetting;
mod health;
mod in_flight;
mod indexed_rows;
mod job;
mod job_changes;
mod job_table;
mod job_terms;
mod key_choice;
mod key_versions;
mod limits;
mod machine;
mod next_due;
mod operator_pauses;
mod outbox;
mod outbox_row;
mod overview;
mod pauses;
mod permit_turns;
mod poll_results;
mod positions;
mod queue;
mod queue_positions;
mod requests;
mod rotation;
mod spend;
mod state_rows;
mod stored_state;
mod submit_results;
mod unreadable_rows;
mod vendor_keys;
mod vendor_results;
mod waiting_jobs;
mod watches;

pub use accounts::{Accounts, KEY_ACCOUNT};
pub use actions::{Action, Booking, Changes, Delivery};
pub use alert_log::{Alerts, KeptAlert};
pub use health::Health;
pub use job::{Job, JobState};
pub use job_terms::JobTerms;
pub use key_versions::{KeyOfVersion, KnownMigrations};
pub use limits::{DispatcherLimits, Pool};
pub use machine::Dispatcher;
pub use outbox_row::OutboxRow;
pub use overview::ReleaseRefusal;
pub use pauses::{PauseLease, PauseRefusal, Pauses};
pub use rotation::Rotation;
pub use state_rows::LoadedState;
pub use stored_state::StoredState;
pub use unreadable_rows::UnreadableRows;
