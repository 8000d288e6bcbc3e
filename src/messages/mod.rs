//! The messages between the edge, the Ledgers and the Dispatcher, as JSON.
//!
//! Invariants (protocol 2): two versions run side by side for minutes at a deployment. So unknown members are ignored,
//! members added later have defaults, and every message is idempotent by `job_id` or by operation id. The JSON names
//! never change: `format_tests` pins them.

mod create_request;
mod deadline;
mod dispatcher;
mod fresh_position;
mod job_spec;
mod job_update;
mod ledger_reply;
mod ledger_request;
mod operator;
mod spend;
mod user_operation;

#[cfg(test)]
mod format_tests;

pub use create_request::{CreateRequest, FileUse, IdempotencyKey, JtiCaps, PlanLimits};
pub use deadline::Deadline;
pub use dispatcher::{CreateOutcome, DispatcherReply, DispatcherRequest, EnqueueRefusal, QueueShare};
pub use fresh_position::FreshPosition;
pub use job_spec::JobSpec;
pub use job_update::{JobEnd, JobUpdate, Stage};
pub use ledger_reply::{AccountUsage, DayUsage, LedgerEnvelope, LedgerRefusal, LedgerReply, Rate, UserExport};
pub use ledger_request::{Caller, LedgerCall, LedgerRequest, ProofUse, Revocation, StreamId};
pub use operator::{ActionResult, AuditEntry, AuditRow, OperatorRefusal, OperatorReply, OperatorRequest, RefusalCount};
pub use spend::{SpendColumns, SpendGroup, SpendQuery, SpendRow};
pub use user_operation::{LimitOverride, UserOperation};
