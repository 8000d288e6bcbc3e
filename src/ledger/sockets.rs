//! The sockets of a user. Each follows one prediction for a response of the edge, and is told its changes (protocol 1).
//!
//! The platform keeps a socket, and the [`Socket`] attached to it, while the object sleeps without memory. So the machine
//! keeps no list of sockets: the shell passes those that are open.
//!
//! Invariants:
//!
//! - After each stored turn, every open socket was told the present state of its prediction, or is closed. The first turn
//!   of a memory looks at all sockets: its predecessor may have ended between storing a change and telling it.
//! - A socket is accepted in the turn that reads what its first message says, and checks revocation and limits once more.

use super::marks;
use super::rows::{RowError, Write};
use super::socket::{CloseReason, Notice, Socket};
use super::step::{Answer, Continuation, Next};
use super::turn::Turn;
use crate::constants::{EVENT_HEARTBEAT_MILLIS, EVENT_STREAMS_MAX, OTHER_SOCKETS_MAX, STREAM_REOPEN_MILLIS};
use crate::limit::seconds::whole_seconds;
use crate::messages::{Caller, LedgerRefusal, LedgerReply, StreamId};
use crate::types::ids::JobId;
use crate::types::time::{UnixMillis, UnixSeconds};

impl Turn<'_> {
    /// Opens a socket whose caller was authorized: `NotFound` (404), and the refusals of [`Self::accept`].
    pub(super) fn open_socket(&mut self, socket: Box<Socket>) -> Result<Next, RowError> {
        let Some(record) = self.visible(&socket.job_id)? else {
            return Ok(Next::Reply(self.no_prediction(&socket.job_id)));
        };
        match self.reply_with_positions(LedgerReply::Prediction(Box::new(record)))? {
            // The prediction may change during this question: it is read again before the socket is accepted.
            Next::Ask(question, Continuation::AddQueuePositions { asked_at, .. }) => {
                Ok(Next::Ask(question, Continuation::AcceptSocket { socket, asked_at }))
            }
            Next::Reply(reply) => self.accept(socket, reply),
            next => Ok(next),
        }
    }

    /// Accepts a socket after the question for queue positions.
    pub(super) fn accept_socket(
        &mut self,
        socket: Box<Socket>,
        asked_at: UnixMillis,
        answer: Option<Answer>,
    ) -> Result<Next, RowError> {
        let Some(record) = self.visible(&socket.job_id)? else { return Ok(Next::refuse(LedgerRefusal::NotFound)) };
        let reply = self.add_queue_positions(LedgerReply::Prediction(Box::new(record)), asked_at, answer);
        self.accept(socket, reply)
    }

    /// Accepts a socket whose first message is `reply`: `Revoked` (401), `RateLimited` (429). A prediction that has ended
    /// needs no socket.
    fn accept(&mut self, mut socket: Box<Socket>, reply: LedgerReply) -> Result<Next, RowError> {
        // The token may have been revoked since it was authorized.
        if self.is_known_revoked(&socket.caller)? {
            return Ok(Next::refuse(LedgerRefusal::Revoked));
        }
        if let LedgerReply::Prediction(record) = &reply
            && !record.status.is_terminal()
        {
            if let Err(refusal) = self.take_place(&socket) {
                return Ok(Next::refuse(refusal));
            }
            socket.sequence = record.sequence;
            self.accepted = Some(*socket);
        }
        Ok(Next::Reply(reply))
    }

    /// Checks that the user may open a socket, and closes those that it replaces or that nothing can need any more.
    fn take_place(&mut self, socket: &Socket) -> Result<(), LedgerRefusal> {
        let (replaced, others): (Vec<_>, Vec<_>) =
            self.live_sockets().into_iter().partition(|other| other.stream.id == socket.stream.id);
        // Of their own, so that many waits keep no event stream out.
        let has_no_event_stream = |other: &&Socket| !other.is_event_stream();
        if !socket.is_event_stream() && others.iter().filter(has_no_event_stream).count() >= OTHER_SOCKETS_MAX {
            return Err(no_place(EVENT_HEARTBEAT_MILLIS));
        }
        self.check_streams(&socket.stream, &others)?;
        if let Some(job_id) = &socket.stream.vendor {
            self.ledger.streams.renew_vendor_stream(job_id, &socket.stream.id, self.now)?;
        }
        self.notices.extend(replaced.into_iter().map(|other| Notice::Close(other.stream.id, CloseReason::Replaced)));
        Ok(())
    }

    /// Checks that the user may open a stream beside those that are open: `others` have sockets, more may poll.
    pub(super) fn check_streams(&mut self, stream: &StreamId, others: &[Socket]) -> Result<(), LedgerRefusal> {
        if stream.is_wait {
            return Ok(());
        }
        if stream.vendor.is_some() {
            let is_open = others.iter().any(|other| other.stream.vendor == stream.vendor);
            return if is_open { Err(no_place(STREAM_REOPEN_MILLIS)) } else { Ok(()) };
        }
        let sockets = others.iter().filter(|other| other.is_event_stream()).count();
        let polling = self.ledger.streams.other_events(&stream.id, self.now);
        let is_full = sockets.saturating_add(polling) >= EVENT_STREAMS_MAX;
        if is_full { Err(no_place(EVENT_HEARTBEAT_MILLIS)) } else { Ok(()) }
    }

    /// Returns the open sockets, without those that are too old to count. They are closed.
    pub(super) fn live_sockets(&mut self) -> Vec<Socket> {
        let now = self.now;
        let (stale, live): (Vec<_>, Vec<_>) = (self.sockets)().into_iter().partition(|socket| socket.is_stale(now));
        self.notices.extend(stale.into_iter().map(|socket| Notice::Close(socket.stream.id, CloseReason::Stale)));
        live
    }

    /// Ends a stream, with its socket if it has one.
    pub(super) fn end_stream(&mut self, stream: &StreamId, unopened: bool) {
        self.ledger.streams.close(stream, unopened);
        self.notices.push(Notice::Close(stream.id.clone(), CloseReason::Replaced));
    }

    /// Tells every socket what this turn changes for it. Call it last.
    pub(super) fn look_at_sockets(&mut self) {
        let revokes = self.revokes();
        let looks_at_all = revokes || !self.ledger.has_looked_at_sockets;
        let written = self.writes().iter().filter_map(|write| match write {
            Write::Prediction(record) => Some(record.job_id.clone()),
            Write::DeletePrediction(job_id) => Some(job_id.clone()),
            _ => None,
        });
        let changed: Vec<JobId> = written.collect();
        if !looks_at_all && changed.is_empty() {
            return;
        }
        // Revocations that this turn writes cannot be read before they are stored: the next turn looks again.
        let mut is_complete = !revokes;
        for socket in self.live_sockets() {
            if (looks_at_all || changed.contains(&socket.job_id)) && self.look_at(socket).is_err() {
                // Its row, or what is revoked, cannot be read now. The next turn looks again.
                is_complete = false;
            }
        }
        self.ledger.has_looked_at_sockets = is_complete;
    }

    fn look_at(&mut self, mut socket: Socket) -> Result<(), RowError> {
        let id = socket.stream.id.clone();
        let is_revoked =
            if self.revokes() { self.revokes_token(&socket.caller) } else { self.is_known_revoked(&socket.caller)? };
        if is_revoked {
            self.notices.push(Notice::Close(id, CloseReason::Revoked));
            return Ok(());
        }
        // A vendor stream is told by the vendor.
        if socket.stream.vendor.is_some() {
            return Ok(());
        }
        let Some(record) = self.visible(&socket.job_id)? else {
            self.notices.push(Notice::Close(id, CloseReason::Gone));
            return Ok(());
        };
        let has_ended = record.status.is_terminal();
        if record.sequence > socket.sequence {
            socket.sequence = record.sequence;
            let reply = LedgerReply::Prediction(Box::new(record));
            if let LedgerReply::Prediction(record) = self.add_queue_positions(reply, self.now, None) {
                self.notices.push(Notice::Tell(socket, record));
            }
        }
        if has_ended {
            self.notices.push(Notice::Close(id, CloseReason::Ended));
        }
        Ok(())
    }

    /// Returns whether this turn revokes tokens.
    fn revokes(&self) -> bool {
        let is_revocation = |name: &str| name == marks::REVOKED || name.starts_with(marks::REVOKED_TOKENS);
        self.writes().iter().any(|write| matches!(write, Write::Mark { name, .. } if is_revocation(name)))
    }

    /// Returns whether this turn revokes the token of `caller`.
    fn revokes_token(&self, caller: &Caller) -> bool {
        self.writes().iter().any(|write| match write {
            Write::Mark { name, doc, .. } if name == marks::REVOKED => {
                serde_json::from_str::<UnixSeconds>(doc).is_ok_and(|issued_by| caller.issued_at <= issued_by)
            }
            Write::Mark { name, .. } => caller.jti.as_deref().is_some_and(|jti| *name == marks::revoked_token(jti)),
            _ => false,
        })
    }
}

/// Returns the refusal of a stream that finds no place. One whose client left frees its place at its next heartbeat.
fn no_place(retry_after_millis: i64) -> LedgerRefusal {
    LedgerRefusal::RateLimited { retry_after_secs: whole_seconds(retry_after_millis) }
}
