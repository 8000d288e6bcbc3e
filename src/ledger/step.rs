//! The messages between the machine and its shell: events, questions to the Dispatcher, effects.

use super::rows::Write;
use super::socket::{Notice, Socket};
use crate::limit::minute_window::Counted;
use crate::messages::{DispatcherReply, DispatcherRequest, LedgerCall, LedgerRefusal, LedgerReply, LedgerRequest};
use crate::notification::Notification;
use crate::types::alert::Alert;
use crate::types::ids::{BatchId, FileId, JobId};
use crate::types::time::{UnixMillis, UnixSeconds};

/// The cause of a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A message arrived.
    Call(LedgerCall),
    /// A question that an earlier turn asked was answered. The answer is `None` if it did not arrive in time; then the
    /// Dispatcher may have acted or not. After [`Next::Continue`] there is no answer either.
    Resume(Continuation, Option<Answer>),
    /// The alarm fired.
    Alarm,
}

/// The step that follows a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Reply to the message. After a turn of the Ledger's own, the reply is dropped.
    Reply(LedgerReply),
    /// Ask, then resume with the answer.
    Ask(Question, Continuation),
    /// Resume at once, in a turn of its own: what this turn stored stays if the next one fails.
    Continue(Continuation),
}

impl Next {
    /// Returns the reply that refuses a request.
    #[must_use]
    pub const fn refuse(refusal: LedgerRefusal) -> Self {
        Self::Reply(LedgerReply::Refused(refusal))
    }
}

/// A question to others.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// A message to the Dispatcher.
    Dispatcher(DispatcherRequest),
    /// The revoked-before time of all users, from the isolate's copy (see [`super::RevokedBefore`]). The copy may ask the
    /// Dispatcher.
    RevokedBefore,
    /// A notification to the receiver of events.
    Notify(Notification),
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The Dispatcher's reply.
    Dispatcher(DispatcherReply),
    /// The revoked-before time of all users.
    RevokedBefore(Option<UnixSeconds>),
    /// True if the receiver took the notification.
    Notified(bool),
}

/// The part of a turn that waits for the answer to its question: ids, a request, or a reply. Nothing that was read
/// before a question is written after it.
#[derive(Clone, Debug, PartialEq)]
pub enum Continuation {
    /// Handle a request that was authorized and counted.
    Handle {
        /// The `iat` of the caller's token.
        issued_at: UnixSeconds,
        /// The request.
        request: Box<LedgerRequest>,
    },
    /// Reply, unless the caller's token is revoked with those of all users.
    ReplyUnlessRevoked {
        /// The `iat` of the caller's token.
        issued_at: UnixSeconds,
        /// The reply.
        reply: Box<LedgerReply>,
    },
    /// Put queue positions into a reply.
    AddQueuePositions {
        /// The reply.
        reply: Box<LedgerReply>,
        /// When the Dispatcher was asked.
        asked_at: UnixMillis,
    },
    /// Open a socket whose caller was authorized and counted.
    OpenSocket(Box<Socket>),
    /// Accept a socket, with the queue position in its first message.
    AcceptSocket {
        /// The socket.
        socket: Box<Socket>,
        /// When the Dispatcher was asked.
        asked_at: UnixMillis,
    },
    /// Store what the Dispatcher says about an enqueue.
    ConcludeCreate {
        /// The `iat` of the caller's token.
        issued_at: Option<UnixSeconds>,
        /// The predictions.
        job_ids: Vec<JobId>,
        /// The batch's id, for a batch.
        batch_id: Option<BatchId>,
    },
    /// Withdraw a create that its alarm found withdrawn.
    Withdraw {
        /// Its predictions.
        job_ids: Vec<JobId>,
    },
    /// Store what the Dispatcher says about a withdrawal.
    ConcludeWithdrawal {
        /// The predictions.
        job_ids: Vec<JobId>,
    },
    /// Store what the Dispatcher says about a silent prediction.
    ConcludeStateCheck {
        /// The prediction.
        job_id: JobId,
        /// Whether the Dispatcher had acknowledged it when it was asked.
        was_acknowledged: bool,
    },
    /// Store what the Dispatcher says about a cancel.
    ConcludeCancel {
        /// The prediction.
        job_id: JobId,
    },
    /// Store what the Dispatcher says about a cancel, and cancel the rest of the waiting predictions of revoked tokens.
    CancelWaiting {
        /// The rest, in reverse order.
        rest: Vec<JobId>,
    },
    /// Store what the Dispatcher says about an operator's cancels.
    ConcludeCancels {
        /// True if these were all that wait or run.
        is_complete: bool,
    },
    /// Store what the Dispatcher says about a deleted user, and erase the rest.
    ConcludeErasure {
        /// The predictions that wait or run.
        job_ids: Vec<JobId>,
        /// When the deletion began. Everything that the user has made since stays.
        started: UnixMillis,
        /// True if the Ledger had rows then. Else no token is revoked yet.
        had_rows: bool,
    },
    /// Send the next event.
    SendEvent,
    /// Store whether the receiver took an event.
    ConcludeEvent {
        /// The prediction that ended.
        job_id: JobId,
    },
    /// Delete the records of files that the Dispatcher has taken over.
    ConcludeForgetting {
        /// The files.
        file_ids: Vec<FileId>,
    },
}

/// What the shell does after a turn, in this order. If the writes cannot be stored, it does nothing of the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct Effects {
    /// Store, all or none in one transaction. No row is written twice.
    pub writes: Vec<Write>,
    /// Log.
    pub alerts: Vec<Alert>,
    /// Remember, in the isolate's copy, that all tokens issued up to this time are revoked.
    pub revoked_before: Option<UnixSeconds>,
    /// Start. Nobody awaits these. Each ends with a reply that is dropped.
    pub tasks: Vec<Next>,
    /// Do with the sockets.
    pub notices: Vec<Notice>,
    /// Accept this socket. The reply of the same turn is its first message.
    pub accepted: Option<Socket>,
    /// What the request counts as, for [`super::Ledger::envelop`]. Only the first turn of a message knows it.
    pub counted: Option<Counted>,
    /// Go on.
    pub next: Next,
}

/// What the shell does about the object's alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmChange {
    /// Nothing.
    Keep,
    /// Set it. This replaces one that is set.
    Set(UnixMillis),
    /// Set it, unless the platform says that one is set for this time or before, and if [`super::Ledger::expects_alarm_at`]
    /// still says so then.
    SetUnlessEarlier(UnixMillis),
    /// Nothing is left: delete the storage, with the alarm, and start anew.
    DeleteAll,
}
