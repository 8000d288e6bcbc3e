//! A user's Ledger: the owner of that user's predictions, credits, limits, files and revocations.
//!
//! Pure: a [`Ledger`] holds what may be lost at any time, and reads the user's [`LedgerRows`]. Messages, the Dispatcher's
//! replies and the alarm are [`Event`]s. The shell drives one turn for each:
//!
//! 1. [`Ledger::turn`] decides: (rows, event, now) → [`Effects`].
//! 2. The shell stores the writes in one transaction. If this step or the one before fails: [`Ledger::roll_back`], and
//!    step 4 is skipped.
//! 3. [`Ledger::change_alarm`] decides when the alarm fires next.
//! 4. The shell logs the alerts, starts the tasks, and goes on with [`Next`]: it replies, or asks and then resumes with
//!    the answer, in a turn of its own.
//!
//! Invariants, which `tests/model` searches for interleavings to break:
//!
//! - A prediction's row exists, with its credits reserved in the same transaction, before the Dispatcher hears of it.
//! - Each prediction's credits are reserved once, at its admission, and settled once, at its end (protocol 5).
//! - Nothing that was read before a question is written after it: each answer is an event that reads the rows again.
//! - A withdrawn create is undone only if the Dispatcher says that it dropped the create. Until it replies, the alarm
//!   asks again.
//!
//! | file | content |
//! |---|---|
//! | `machine`, `turn` | the memory and the alarm; what a turn reads and decides |
//! | `step`, `rows`, `marks` | events and effects; rows and their writes |
//! | `requests`, `minute`, `proofs` | authorization and counting of a request, and which handler it gets |
//! | `creates`, `admission`, `replay` | creates, and repeats of them |
//! | `withdrawal` | taking back a create |
//! | `maintenance`, `lifecycle` | job updates, settlement, the alarm |
//! | `expiry`, `paging` | when rows are deleted; pages of rows that can be read |
//! | `reads`, `queue_positions`, `known_positions` | reads, and the queue positions that they show |
//! | `cancels` | cancels |
//! | `sockets`, `socket`, `streams` | sockets that are told of changes, and who may open one; leases of streams that poll |
//! | `revokes`, `revocation` | revocation of a user's tokens; the isolate's copy of the revoked-before time of all users |
//! | `operations` | an operator's requests: export, own limits, cancels, deletion of the user |
//! | `events` | events about the ends of predictions, for the app's backend |
//! | `watches` | alerts about what the user does |
//! | `file_requests`, `files` | records of files, and their limits |

mod admission;
mod cancels;
mod creates;
mod events;
mod expiry;
mod file_requests;
mod files;
mod known_positions;
mod lifecycle;
mod machine;
mod maintenance;
mod marks;
mod minute;
mod operations;
mod paging;
mod proofs;
mod queue_positions;
mod reads;
mod replay;
mod requests;
mod revocation;
mod revokes;
mod rows;
mod socket;
mod sockets;
mod step;
mod streams;
mod turn;
mod watches;
mod withdrawal;

#[cfg(test)]
mod testing;

pub use admission::JtiUsage;
pub use expiry::FirstExpiries;
pub use files::FileUsage;
pub use lifecycle::{apply_update, batch_status, next_wake_at};
pub use machine::Ledger;
pub use marks::{SHORT_LIVED, end_of_prefix};
pub use paging::read_readable;
pub use revocation::{RevokedBefore, RevokedStep};
pub use rows::{LedgerRows, RowError, Write};
pub use socket::{CloseReason, Notice, OpenSockets, Socket};
pub use step::{AlarmChange, Answer, Continuation, Effects, Event, Next, Question};
