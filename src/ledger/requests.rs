//! Handles a request: authorizes it, counts it, and replies.

use super::machine::Ledger;
use super::proofs::ProofCheck;
use super::rows::{LedgerRows, RowError, Write};
use super::socket::{OpenSockets, Socket};
use super::step::{Answer, Continuation, Effects, Event, Next, Question};
use super::turn::Turn;
use crate::limit::minute_window::Counted;
use crate::messages::{Caller, LedgerCall, LedgerEnvelope, LedgerRefusal, LedgerReply, LedgerRequest};
use crate::types::alert::Alert;
use crate::types::time::{UnixMillis, UnixSeconds};

impl Ledger {
    /// Takes one turn: decides what an event does. The module's documentation says how the shell drives it.
    /// `sockets` are those that are open, `revoked_before` the revoked-before time of all users, as far as the isolate
    /// knows it.
    ///
    /// # Errors
    /// [`RowError`] if a row that the event needs cannot be read. Then nothing is to be stored; call
    /// [`Self::roll_back`].
    pub fn turn(
        &mut self,
        event: Event,
        rows: &dyn LedgerRows,
        sockets: OpenSockets<'_>,
        now: UnixMillis,
        revoked_before: Option<UnixSeconds>,
    ) -> Result<Effects, RowError> {
        let is_alarm = matches!(event, Event::Alarm);
        self.begin_turn(is_alarm);
        self.note_found_wake(rows)?;
        let mut turn = Turn::new(self, rows, sockets, now, revoked_before);
        let next = match event {
            Event::Call(call) => turn.authorize(call),
            Event::Resume(then, answer) => turn.resume(then, answer),
            Event::Alarm => turn.handle_alarm().map(|()| Next::Reply(LedgerReply::Done)),
        }?;
        turn.look_at_sockets();
        turn.resume_events(is_alarm)?;
        Ok(turn.into_effects(next))
    }

    /// Returns the envelope of a reply, with the caller's rate-limit numbers and the freshness of queue positions. `limit` is the caller's
    /// `requests_per_minute`, and `counted` what the request counts as.
    ///
    /// # Errors
    /// [`RowError`] if the counts of the minute cannot be read.
    pub fn envelop(
        &mut self,
        mut reply: LedgerReply,
        (limit, counted): (Option<u32>, Option<Counted>),
        rows: &dyn LedgerRows,
        now: UnixMillis,
    ) -> Result<LedgerEnvelope, RowError> {
        // The headers show the requests that are left; after a refused repeat, its own limit.
        let shown = match reply {
            // A revoked token or a used proof gets the same response as any invalid token: without rate-limit headers.
            LedgerReply::Refused(LedgerRefusal::Revoked | LedgerRefusal::ProofUsed) => None,
            LedgerReply::Refused(LedgerRefusal::RateLimited { .. }) => counted,
            _ => Some(Counted::Request),
        };
        let mut turn = Turn::new(self, rows, &Vec::new, now, None);
        let rate = match shown.zip(turn.own_requests_per_minute(limit)?) {
            Some((shown, limit)) => Some(turn.minute()?.left(shown, limit, now)),
            None => None,
        };
        let fresh_millis = self.queue_positions.fresh_millis_of(&mut reply, now);
        Ok(LedgerEnvelope { rate, fresh_millis, reply })
    }
}

impl Turn<'_> {
    /// Authorizes and counts a request. A message without a caller is handled at once.
    ///
    /// 1. Check that the token is not known as revoked: `Revoked` (401). Uncounted, so that a revoked token does not use
    ///    up its owner's requests. A revocation that left predictions waiting may be repeated.
    /// 2. Count the request, and mark its proof of possession as used: `ProofUsed` (401), `RateLimited` (429).
    /// 3. Check that the tokens of all users are not revoked: `Revoked` (401), `Unavailable` (503). This may ask the
    ///    Dispatcher, which serves everybody, so it comes after the request was counted. Of a create the Dispatcher
    ///    checks the token itself. A revocation is stored whatever the Dispatcher says.
    /// 4. Handle the request, with the refusals of its handler. A create and a revocation ask nobody first, so they are
    ///    handled in the same turn, and stored in the same commit as their count.
    fn authorize(&mut self, call: LedgerCall) -> Result<Next, RowError> {
        let LedgerCall { caller, request } = call;
        let Some(mut caller) = caller else { return self.handle(request, None) };
        caller.requests_per_minute = self.own_requests_per_minute(caller.requests_per_minute)?;
        // 1. Revocation, as far as it is known.
        if self.is_known_revoked(&caller)? && !self.has_waiting_to_cancel(&request)? {
            return Ok(Next::refuse(LedgerRefusal::Revoked));
        }
        // 2. The minute, and the proof of possession.
        self.counted = self.choose_limit(&caller, &request)?;
        if let Some(refusal) = self.count_and_use_proof(&caller)? {
            return Ok(Next::refuse(refusal));
        }
        let then = match request {
            request @ (LedgerRequest::Create(_) | LedgerRequest::Revoke(_)) => {
                return self.handle_in_same_turn(request, caller.issued_at);
            }
            LedgerRequest::Watch { job_id, stream, is_socket: true } => {
                Continuation::OpenSocket(Box::new(Socket::new(caller, stream, job_id, self.now)))
            }
            request => Continuation::Handle { issued_at: caller.issued_at, request: Box::new(request) },
        };
        Ok(Next::Ask(Question::RevokedBefore, then))
    }

    /// Handles a request that this turn has counted. If that fails, the request stays counted: `Unavailable` (503).
    fn handle_in_same_turn(&mut self, request: LedgerRequest, issued_at: UnixSeconds) -> Result<Next, RowError> {
        let counted = self.save();
        let handled = self.handle(request, Some(issued_at));
        Ok(handled.unwrap_or_else(|RowError| {
            self.restore(counted);
            self.alerts.push(Alert::LedgerFailed);
            Next::refuse(LedgerRefusal::Unavailable)
        }))
    }

    fn resume(&mut self, then: Continuation, answer: Option<Answer>) -> Result<Next, RowError> {
        match then {
            Continuation::Handle { issued_at, request } => {
                // 3. Revocation of all users' tokens.
                if let Some(refusal) = refusal_of_revoked(issued_at, answer) {
                    return Ok(Next::refuse(refusal));
                }
                // 4. The request.
                self.handle(*request, Some(issued_at))
            }
            Continuation::OpenSocket(socket) => match refusal_of_revoked(socket.caller.issued_at, answer) {
                Some(refusal) => Ok(Next::refuse(refusal)),
                None => self.open_socket(socket),
            },
            Continuation::AcceptSocket { socket, asked_at } => self.accept_socket(socket, asked_at, answer),
            Continuation::ReplyUnlessRevoked { issued_at, reply } => match refusal_of_revoked(issued_at, answer) {
                Some(refusal) => Ok(Next::refuse(refusal)),
                None => self.reply_with_positions(*reply),
            },
            Continuation::AddQueuePositions { reply, asked_at } => {
                Ok(Next::Reply(self.add_queue_positions(*reply, asked_at, answer)))
            }
            Continuation::ConcludeCreate { issued_at, job_ids, batch_id } => {
                self.conclude_create(issued_at, job_ids, batch_id, answer)
            }
            Continuation::Withdraw { job_ids } => self.withdraw(job_ids),
            Continuation::ConcludeWithdrawal { job_ids } => self.conclude_withdrawal(&job_ids, answer),
            Continuation::ConcludeStateCheck { job_id, was_acknowledged } => {
                self.conclude_state_check(&job_id, was_acknowledged, answer)
            }
            Continuation::ConcludeCancel { job_id } => self.conclude_cancel(&job_id, answer),
            Continuation::ConcludeCancels { is_complete } => self.conclude_cancels(is_complete, answer),
            Continuation::ConcludeErasure { job_ids, started, had_rows } => {
                self.conclude_erasure(&job_ids, started, had_rows, answer)
            }
            Continuation::CancelWaiting { rest } => self.resume_cancels(rest, answer),
            Continuation::SendEvent => self.send_event(),
            Continuation::ConcludeEvent { job_id } => self.conclude_event(job_id, answer.as_ref()),
            Continuation::ConcludeForgetting { file_ids } => {
                Ok(Next::Reply(self.conclude_forgetting(file_ids, answer)))
            }
        }
    }

    /// Returns what the request counts as, or `None` if it is not counted: it was counted before.
    fn choose_limit(&self, caller: &Caller, request: &LedgerRequest) -> Result<Option<Counted>, RowError> {
        if caller.requests_per_minute.is_none() {
            return Ok(None);
        }
        let is_repeat = match request {
            LedgerRequest::Revoke(_) => return Ok(Some(Counted::Revocation)),
            LedgerRequest::Create(request) if self.arrived_before(request)? => return Ok(None),
            LedgerRequest::Create(request) => caller.is_repeat || self.is_key_known(request)?,
            _ => caller.is_repeat,
        };
        Ok(Some(if is_repeat { Counted::Repeat } else { Counted::Request }))
    }

    /// Counts a request and marks its proof of possession as used. Returns the refusal:
    ///
    /// - `ProofUsed` if the proof was used before, or is too old to tell. Then the request is not counted.
    /// - `RateLimited` if the limit is reached. Then the proof is not used up, and no row is written.
    fn count_and_use_proof(&mut self, caller: &Caller) -> Result<Option<LedgerRefusal>, RowError> {
        let use_of_proof = caller.proof.as_ref().map(|proof| self.check_proof(proof)).transpose()?;
        if use_of_proof == Some(ProofCheck::Used) {
            return Ok(Some(LedgerRefusal::ProofUsed));
        }
        if let (Some(counted), Some(limit)) = (self.counted, caller.requests_per_minute)
            && let Some(refusal) = self.count_request(counted, limit)?
        {
            return Ok(Some(refusal));
        }
        if let (Some(proof), Some(ProofCheck::New)) = (&caller.proof, use_of_proof) {
            self.mark_proof(proof)?;
        }
        Ok(None)
    }

    fn handle(&mut self, request: LedgerRequest, issued_at: Option<UnixSeconds>) -> Result<Next, RowError> {
        let reply = match request {
            LedgerRequest::Create(request) => return self.create(*request, issued_at),
            LedgerRequest::Get { job_id } => return self.get(&job_id),
            LedgerRequest::GetBatch { batch_id } => return self.get_batch(batch_id),
            LedgerRequest::List { limit, before, status } => return self.list(limit, before.as_ref(), status),
            LedgerRequest::Cancel { job_id } => return self.cancel(job_id),
            LedgerRequest::Watch { job_id, stream, .. } => return self.watch(&job_id, &stream),
            LedgerRequest::Withdraw { job_ids } => return self.withdraw_and_report(job_ids),
            LedgerRequest::Revoke(revocation) => return self.revoke(revocation),
            LedgerRequest::Operate(operation) => return self.operate(operation),
            LedgerRequest::Delete { job_id } => self.delete(job_id)?,
            LedgerRequest::Account { predictions_per_minute } => self.account(predictions_per_minute)?,
            LedgerRequest::Unwatch { stream, unopened } => {
                self.end_stream(&stream, unopened);
                LedgerReply::Done
            }
            LedgerRequest::ReserveFile { upload, bytes, limits } => self.reserve_file(&upload, bytes, limits)?,
            LedgerRequest::ReleaseFile { upload } => self.release_file(&upload),
            LedgerRequest::PutFile { file, upload } => self.put_file(file, upload.as_ref())?,
            LedgerRequest::GetFile { file_id } => self.get_file(&file_id)?,
            LedgerRequest::ListFiles { limit, before } => self.list_files(limit, before.as_ref())?,
            LedgerRequest::DeleteFile { file_id } => {
                self.write(Write::DeleteFile(file_id));
                LedgerReply::Done
            }
            LedgerRequest::JobUpdates { updates } => self.apply_updates(&updates).map(|()| LedgerReply::Done)?,
            // A check is complete once the request is authorized and counted.
            LedgerRequest::Check => LedgerReply::Done,
        };
        Ok(Next::Reply(reply))
    }
}

/// Returns the refusal of a caller whose token is revoked with those of all users: `Revoked`, or `Unavailable` if the
/// isolate has never learned what is revoked.
fn refusal_of_revoked(issued_at: UnixSeconds, answer: Option<Answer>) -> Option<LedgerRefusal> {
    match answer {
        Some(Answer::RevokedBefore(revoked_before)) => {
            (revoked_before >= Some(issued_at)).then_some(LedgerRefusal::Revoked)
        }
        Some(Answer::Dispatcher(_) | Answer::Notified(_)) | None => Some(LedgerRefusal::Unavailable),
    }
}
