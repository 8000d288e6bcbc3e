//! Creates: admission, and the hand-over to the Dispatcher.

use std::rc::Rc;

use serde_json::{Value, json};

use super::actor::LedgerActor;
use super::marks;
use super::writes::Write;
use crate::cloudflare::objects::client::{ask_dispatcher, remember_revoked};
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::constants::{BATCH_RETENTION_MILLIS, DISPATCHER_ACK_TIMEOUT_MILLIS, IDEMPOTENCY_MILLIS};
use crate::ledger::{
    Admission, IdempotencyRecord, Replay, decide_admission, decide_replay, last_forgotten_day, note_use,
};
use crate::messages::{
    Caller, CreateRequest, Deadline, DispatcherReply, DispatcherRequest, EnqueueRefusal, IdempotencyKey, JobSpec,
    JobUpdate, LedgerRefusal, LedgerReply, QueueShare, Stage,
};
use crate::types::file::FileRecord;
use crate::types::ids::{BatchId, JobId};
use crate::types::prediction::PredictionRecord;
use crate::types::time::{UnixMillis, UnixSeconds, UtcDay};

impl LedgerActor {
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
    /// 5. Hand over to the Dispatcher. Its reply is judged in step 6.
    /// 6. Store the reply. A refusal undoes step 4: `InsufficientCredits` (402), `TooManyPredictions` or `QueueFull`
    ///    (429), `UpstreamUnavailable` (503), `Revoked` (401), `Unavailable` (503) if the message was too old. Without
    ///    a reply the create is withdrawn: `Unavailable` (503).
    pub(super) async fn create(
        self: &Rc<Self>,
        mut request: CreateRequest,
        caller: Option<&Caller>,
        now: UnixMillis,
    ) -> ActorResult<LedgerReply> {
        let job_ids: Vec<JobId> = request.specs.iter().map(|spec| spec.job_id.clone()).collect();
        let batch_id = request.batch_id.clone();
        // 1. The same message again.
        if let Some(reply) = self.answer_repeated_message(&job_ids, batch_id.as_ref(), now)? {
            let refusal = self.check_revoked_for_all(caller, now).await;
            return Ok(refusal.map_or(reply, LedgerReply::Refused));
        }
        // 2. The idempotency key.
        if let Some(reply) = self.replay(&request, now).await? {
            let refusal = self.check_revoked_for_all(caller, now).await;
            return Ok(refusal.map_or(reply, LedgerReply::Refused));
        }
        // 3. Files.
        let used_files = match self.resolve_files(&mut request, now.utc_day())? {
            Ok(used) => used,
            Err(index) => return Ok(LedgerReply::Refused(LedgerRefusal::UnknownFile { index })),
        };
        // 4. Admission.
        if let Err(refusal) = self.admit(&request, &job_ids, &used_files, now)? {
            return Ok(LedgerReply::Refused(refusal));
        }
        // 5. The hand-over.
        let issued_at = caller.map(|caller| caller.issued_at);
        let reply = self.enqueue(request, issued_at, now).await;
        if let (Some(issued_at), Ok(DispatcherReply::Refused(EnqueueRefusal::Revoked))) = (issued_at, &reply) {
            remember_revoked(issued_at);
        }
        // 6. The Dispatcher's reply.
        self.conclude(reply, &job_ids, batch_id)
    }

    /// Returns the reply to a create whose message arrived before, if it did, or that was withdrawn before it arrived.
    fn answer_repeated_message(
        &self,
        job_ids: &[JobId],
        batch_id: Option<&BatchId>,
        now: UnixMillis,
    ) -> ActorResult<Option<LedgerReply>> {
        let records = self.store()?.predictions(job_ids)?;
        // A prediction that the Dispatcher has not acknowledged may still be dropped as if it had never been.
        let is_final = records.iter().all(|record| record.is_acknowledged() && !record.withdrawing);
        Ok(if records.is_empty() {
            self.was_withdrawn(job_ids, now)?.then_some(LedgerReply::Refused(LedgerRefusal::Unavailable))
        } else if is_final {
            Some(created(records, &[], batch_id.cloned(), false))
        } else {
            Some(LedgerReply::Refused(LedgerRefusal::Unavailable))
        })
    }

    /// Returns whether the message of this create arrived before: the platform may deliver it twice.
    pub(super) fn arrived_before(&self, request: &CreateRequest, now: UnixMillis) -> ActorResult<bool> {
        let job_ids: Vec<JobId> = request.specs.iter().map(|spec| spec.job_id.clone()).collect();
        Ok(self.answer_repeated_message(&job_ids, None, now)?.is_some())
    }

    /// Returns whether the create's idempotency key was used before.
    pub(super) fn is_key_known(&self, request: &CreateRequest, now: UnixMillis) -> ActorResult<bool> {
        let key = request.idempotency_key.as_ref();
        Ok(key.map(|key| self.first_use(key, now)).transpose()?.flatten().is_some())
    }

    fn first_use(&self, key: &IdempotencyKey, now: UnixMillis) -> ActorResult<Option<IdempotencyRecord>> {
        self.store()?.mark(&marks::idempotency_key(&key.value), now)
    }

    /// Returns the reply to a create whose idempotency key is known.
    async fn replay(&self, request: &CreateRequest, now: UnixMillis) -> ActorResult<Option<LedgerReply>> {
        let Some(key) = &request.idempotency_key else { return Ok(None) };
        let Some(known) = self.first_use(key, now)? else { return Ok(None) };
        let records = self.store()?.predictions(&known.job_ids)?;
        Ok(Some(match decide_replay(&known, key, records) {
            Replay::Current(records) => {
                created(self.add_queue_positions(records, now).await?, &[], known.batch_id, true)
            }
            Replay::Refused(refusal) => LedgerReply::Refused(refusal),
        }))
    }

    /// Replaces Valetkey's ids of files by the vendor's. Returns the records of the files whose last use this changes,
    /// or the index of a file that the user does not have.
    fn resolve_files(&self, request: &mut CreateRequest, today: UtcDay) -> ActorResult<Result<Vec<FileRecord>, usize>> {
        let mut used_files = Vec::new();
        for (index, used) in request.files.iter().enumerate() {
            let file = self.store()?.file(&used.file_id, last_forgotten_day(today))?;
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

    /// Admits a create, or returns the refusal. Predictions, reservations, counts, idempotency key and batch are stored
    /// in one transaction; then the alarm is armed.
    fn admit(
        &self,
        request: &CreateRequest,
        job_ids: &[JobId],
        used_files: &[FileRecord],
        now: UnixMillis,
    ) -> ActorResult<Result<(), LedgerRefusal>> {
        let store = self.store()?;
        let day = request.specs.first().map_or(now.utc_day(), JobSpec::day);
        let jti = request.caps.as_ref().map(|caps| caps.jti.as_str());
        let usage = (store.day(day)?, store.jti(jti)?);
        let decided = self.with_minute(now, |minute| decide_admission(request, usage, minute, now))?;
        let Admission { records, day, jti } = match decided {
            Ok(admission) => admission,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut writes: Vec<Write<'_>> = records.iter().map(Write::Prediction).collect();
        writes.push(Write::Day(day));
        writes.push(self.minute_write(now)?);
        if let (Some(caps), Some(usage)) = (&request.caps, jti) {
            writes.push(Write::Jti(&caps.jti, usage, caps.expires_at));
        }
        writes.extend(used_files.iter().map(Write::File));
        writes.extend(build_marks(request, job_ids, now));
        store.store(&writes)?;
        if let Some(state_check_at) = records.iter().map(|record| record.state_check_at).min() {
            self.arm(state_check_at)?;
        }
        Ok(Ok(()))
    }

    /// Sends the Dispatcher the admitted predictions.
    async fn enqueue(
        &self,
        request: CreateRequest,
        issued_at: Option<UnixSeconds>,
        now: UnixMillis,
    ) -> ActorResult<DispatcherReply> {
        let CreateRequest { user, specs, limits, .. } = request;
        let share = QueueShare {
            plan: limits.plan,
            weight: limits.weight,
            concurrent_predictions: limits.concurrent_predictions,
            max_waiting: limits.max_waiting,
        };
        let deadline = Deadline::after(now, DISPATCHER_ACK_TIMEOUT_MILLIS);
        let request = DispatcherRequest::Enqueue { user, specs, share, deadline, issued_at };
        ask_dispatcher(&self.env, &request, DISPATCHER_ACK_TIMEOUT_MILLIS).await
    }

    /// Stores what the Dispatcher's reply to an enqueue says, and returns the reply to the create.
    fn conclude(
        self: &Rc<Self>,
        reply: ActorResult<DispatcherReply>,
        job_ids: &[JobId],
        batch_id: Option<BatchId>,
    ) -> ActorResult<LedgerReply> {
        let now = platform::now();
        match reply {
            Ok(DispatcherReply::Jobs(updates)) if updates.len() == job_ids.len() => {
                self.apply_updates(&updates, now)?;
                Ok(created(self.store()?.predictions(job_ids)?, &updates, batch_id, false))
            }
            Ok(DispatcherReply::Refused(refusal)) => {
                self.undo(job_ids, now)?;
                Ok(LedgerReply::Refused(refusal.into()))
            }
            Ok(_) | Err(PlatformError) => {
                self.withdraw_soon(job_ids, now)?;
                Ok(LedgerReply::Refused(LedgerRefusal::Unavailable))
            }
        }
    }
}

/// Returns the marks of a create: its idempotency key and its batch.
fn build_marks(request: &CreateRequest, job_ids: &[JobId], now: UnixMillis) -> Vec<Write<'static>> {
    let key = request.idempotency_key.as_ref().map(|key| {
        let record = IdempotencyRecord {
            hash: key.hash.clone(),
            request_hash: key.request_hash.clone(),
            job_ids: job_ids.to_vec(),
            batch_id: request.batch_id.clone(),
        };
        Write::Mark(marks::idempotency_key(&key.value), json!(record), now.plus_millis(IDEMPOTENCY_MILLIS))
    });
    let batch = request.batch_id.as_ref().map(|batch_id| {
        Write::Mark(batch_id.as_str().to_owned(), json!(job_ids), now.plus_millis(BATCH_RETENTION_MILLIS))
    });
    key.into_iter().chain(batch).collect()
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
