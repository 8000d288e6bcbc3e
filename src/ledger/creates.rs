//! Creates: admission, and the hand-over to the Dispatcher.

use serde_json::Value;

use super::admission::{Admission, decide_admission};
use super::files::{last_forgotten_day, note_use};
use super::marks;
use super::replay::{IdempotencyRecord, Replay, decide_replay};
use super::rows::{RowError, Write};
use super::step::{Answer, Continuation, Next, Question};
use super::turn::Turn;
use crate::constants::{BATCH_OPEN_MILLIS, DISPATCHER_ACK_TIMEOUT_MILLIS, IDEMPOTENCY_MILLIS};
use crate::messages::{
    CreateRequest, Deadline, DispatcherReply, DispatcherRequest, EnqueueRefusal, IdempotencyKey, JobSpec, JobUpdate,
    LedgerRefusal, LedgerReply, QueueShare, Stage,
};
use crate::types::file::FileRecord;
use crate::types::ids::{BatchId, JobId};
use crate::types::prediction::PredictionRecord;
use crate::types::time::UnixSeconds;

impl Turn<'_> {
    /// Admits predictions, all or none, and hands them over to the Dispatcher.
    ///
    /// 1. Reply to a repeated message with the predictions that it created. `Unavailable` (503) if they are being
    ///    withdrawn.
    /// 2. Replay a known idempotency key: `InProgress` (409), `KeyMismatch` (422), `NotFound` (404). A reply of steps 1
    ///    and 2 is a read, so that the token must not be revoked with those of all users: `Revoked` (401),
    ///    `Unavailable` (503).
    /// 3. Replace file ids by the vendor's: `UnknownFile` (400).
    /// 4. Admit, in one transaction: `Unavailable` (503) after the deadline, `RateLimited` (429) for creates of the
    ///    minute, `InsufficientCredits` (402).
    /// 5. Hand over to the Dispatcher. [`Self::conclude_create`] judges its reply.
    pub(super) fn create(
        &mut self,
        mut request: CreateRequest,
        issued_at: Option<UnixSeconds>,
    ) -> Result<Next, RowError> {
        if let Some(own) = self.own_limits()? {
            request.limits.replace_by(&own);
        }
        let job_ids = job_ids_of(&request);
        // 1. The same message again.
        let mut read = self.answer_repeated_message(&job_ids, request.batch_id.as_ref())?;
        // 2. The idempotency key.
        if read.is_none() {
            read = self.replay(&request)?;
        }
        if let Some(reply) = read {
            return match issued_at {
                Some(issued_at) => {
                    let then = Continuation::ReplyUnlessRevoked { issued_at, reply: Box::new(reply) };
                    Ok(Next::Ask(Question::RevokedBefore, then))
                }
                None => self.reply_with_positions(reply),
            };
        }
        // 3. Files.
        let used_files = match self.resolve_files(&mut request)? {
            Ok(used) => used,
            Err(index) => return Ok(Next::refuse(LedgerRefusal::UnknownFile { index })),
        };
        // 4. Admission.
        if let Err(refusal) = self.admit(&request, &job_ids, used_files)? {
            return Ok(Next::refuse(refusal));
        }
        // 5. The hand-over.
        let CreateRequest { user, specs, limits, batch_id, .. } = request;
        let share = QueueShare {
            plan: limits.plan,
            weight: limits.weight,
            concurrent_predictions: limits.concurrent_predictions,
            max_waiting: limits.max_waiting,
        };
        let deadline = Deadline::after(self.now, DISPATCHER_ACK_TIMEOUT_MILLIS);
        let enqueue = DispatcherRequest::Enqueue { user, specs, share, deadline, issued_at };
        Ok(Next::Ask(Question::Dispatcher(enqueue), Continuation::ConcludeCreate { issued_at, job_ids, batch_id }))
    }

    /// Returns the reply to a create whose message arrived before, if it did, or that was withdrawn before it arrived.
    fn answer_repeated_message(
        &self,
        job_ids: &[JobId],
        batch_id: Option<&BatchId>,
    ) -> Result<Option<LedgerReply>, RowError> {
        let records = self.predictions(job_ids)?;
        // A prediction that the Dispatcher has not acknowledged may still be dropped as if it had never been.
        let is_final = records.iter().all(|record| record.is_acknowledged() && !record.withdrawing);
        Ok(if records.is_empty() {
            self.was_withdrawn(job_ids)?.then_some(LedgerReply::Refused(LedgerRefusal::Unavailable))
        } else if is_final {
            Some(created(records, &[], batch_id.cloned(), false))
        } else {
            Some(LedgerReply::Refused(LedgerRefusal::Unavailable))
        })
    }

    /// Returns whether the message of this create arrived before: the platform may deliver it twice.
    pub(super) fn arrived_before(&self, request: &CreateRequest) -> Result<bool, RowError> {
        Ok(self.answer_repeated_message(&job_ids_of(request), None)?.is_some())
    }

    /// Returns whether the create's idempotency key was used before.
    pub(super) fn is_key_known(&self, request: &CreateRequest) -> Result<bool, RowError> {
        let key = request.idempotency_key.as_ref();
        Ok(key.map(|key| self.first_use(key)).transpose()?.flatten().is_some())
    }

    fn first_use(&self, key: &IdempotencyKey) -> Result<Option<IdempotencyRecord>, RowError> {
        self.mark(&marks::idempotency_key(&key.value))
    }

    /// Returns the reply to a create whose idempotency key is known.
    fn replay(&self, request: &CreateRequest) -> Result<Option<LedgerReply>, RowError> {
        let Some(key) = &request.idempotency_key else { return Ok(None) };
        let Some(known) = self.first_use(key)? else { return Ok(None) };
        let records = self.predictions(&known.job_ids)?;
        Ok(Some(match decide_replay(&known, key, records) {
            Replay::Current(records) => created(records, &[], known.batch_id, true),
            Replay::Refused(refusal) => LedgerReply::Refused(refusal),
        }))
    }

    /// Replaces Valetkey's ids of files by the vendor's. Returns the records of the files whose last use this changes,
    /// or the index of a file that the user does not have.
    fn resolve_files(&self, request: &mut CreateRequest) -> Result<Result<Vec<FileRecord>, usize>, RowError> {
        let today = self.now.utc_day();
        let mut used_files = Vec::new();
        for (index, used) in request.files.iter().enumerate() {
            let file = self.rows.file(&used.file_id, last_forgotten_day(today))?;
            let (Some(file), Some(spec)) = (file, request.specs.get_mut(used.spec)) else { return Ok(Err(index)) };
            used_files.extend(note_use(&file, today));
            let mut input = Value::Object(std::mem::take(&mut spec.input));
            if let Some(value) = input.pointer_mut(&used.pointer) {
                *value = Value::String(file.vendor_id);
            }
            if let Value::Object(input) = input {
                spec.input = input;
            }
        }
        Ok(Ok(used_files))
    }

    /// Admits a create, or returns the refusal. Predictions, reservations, counts, idempotency key and batch are written
    /// together, and the alarm is set.
    fn admit(
        &mut self,
        request: &CreateRequest,
        job_ids: &[JobId],
        used_files: Vec<FileRecord>,
    ) -> Result<Result<(), LedgerRefusal>, RowError> {
        let now = self.now;
        let day = request.specs.first().map_or(now.utc_day(), JobSpec::day);
        let usage = self.usage(day, request.caps.as_ref().map(|caps| caps.jti.as_str()))?;
        let before = usage.0;
        let Admission { records, day, jti } = match decide_admission(request, usage, self.minute()?, now) {
            Ok(admission) => admission,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.watch_spend(before, day, request.limits.daily_credits)?;
        if let Some(state_check_at) = records.iter().map(|record| record.state_check_at).min() {
            self.wake_by(state_check_at);
        }
        for record in records {
            // An object cannot read its own name, and the event about the prediction's end has it.
            let user = self.ledger.sends_events.then(|| request.user.clone());
            self.write_prediction(PredictionRecord { user, ..record });
        }
        self.write(Write::Day(day));
        self.write_minute()?;
        if let (Some(caps), Some(usage)) = (&request.caps, jti) {
            self.write(Write::Jti { jti: caps.jti.clone(), usage, expires_at: caps.expires_at });
        }
        used_files.into_iter().for_each(|file| self.write(Write::File(file)));
        if let Some(key) = &request.idempotency_key {
            let record = IdempotencyRecord {
                hash: key.hash.clone(),
                request_hash: key.request_hash.clone(),
                job_ids: job_ids.to_vec(),
                batch_id: request.batch_id.clone(),
            };
            self.write_mark(marks::idempotency_key(&key.value), &record, now.plus_millis(IDEMPOTENCY_MILLIS))?;
        }
        if let Some(batch_id) = &request.batch_id {
            let expires_at = now.plus_millis(self.ledger.retention.millis()).plus_millis(BATCH_OPEN_MILLIS);
            self.write_mark(batch_id.as_str().to_owned(), &job_ids, expires_at)?;
        }
        Ok(Ok(()))
    }

    /// Stores what the Dispatcher's reply to an enqueue says, and replies to the create. A refusal undoes the admission:
    /// `InsufficientCredits` (402), `TooManyPredictions` or `QueueFull` (429), `UpstreamUnavailable` (503), `Revoked`
    /// (401), `Unavailable` (503) if the message was too old. Without a reply the create is withdrawn: `Unavailable`
    /// (503).
    pub(super) fn conclude_create(
        &mut self,
        issued_at: Option<UnixSeconds>,
        job_ids: Vec<JobId>,
        batch_id: Option<BatchId>,
        answer: Option<Answer>,
    ) -> Result<Next, RowError> {
        match answer {
            Some(Answer::Dispatcher(DispatcherReply::Jobs(updates))) if updates.len() == job_ids.len() => {
                self.apply_updates(&updates)?;
                Ok(Next::Reply(created(self.predictions(&job_ids)?, &updates, batch_id, false)))
            }
            Some(Answer::Dispatcher(DispatcherReply::Refused(refusal))) => {
                if refusal == EnqueueRefusal::Revoked {
                    self.heard_revoked_before = issued_at;
                }
                self.undo(&job_ids)?;
                Ok(Next::refuse(refusal.into()))
            }
            _ => {
                if self.mark_withdrawn(&job_ids)? {
                    self.tasks.push(Next::Continue(Continuation::Withdraw { job_ids }));
                }
                Ok(Next::refuse(LedgerRefusal::Unavailable))
            }
        }
    }
}

fn job_ids_of(request: &CreateRequest) -> Vec<JobId> {
    request.specs.iter().map(|spec| spec.job_id.clone()).collect()
}

/// Returns the reply to a create. `updates` are those that the Dispatcher just reported.
fn created(
    records: Vec<PredictionRecord>,
    updates: &[JobUpdate],
    batch_id: Option<BatchId>,
    is_replayed: bool,
) -> LedgerReply {
    let is_submitting = updates.iter().any(|update| update.stage == Stage::Submitting);
    LedgerReply::Created { records, is_submitting, batch_id, is_replayed }
}
