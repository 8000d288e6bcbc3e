//! A Ledger's creates: admission, the hand-over to the Dispatcher, and what gives back what did not happen.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::cloudflare::objects::client::{ask_dispatcher, forget_revoked};
use crate::cloudflare::objects::ledger::store::Write;
use crate::cloudflare::objects::ledger::{Done, LedgerActor, key_mark};
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::constants::{
    BATCH_RETENTION_MILLIS, DISPATCHER_ACK_TIMEOUT_MILLIS, IDEMPOTENCY_MILLIS, WITHDRAW_RETRY_MILLIS, WITHDRAWN_MILLIS,
};
use crate::ledger::{Admission, IdempotencyRecord, JtiUsage, Replay, decide_admission, decide_replay, undo_admission};
use crate::messages::{
    Caller, CreateRequest, DayUsage, Deadline, DispatcherReply, DispatcherRequest, EnqueueRefusal, JobUpdate,
    LedgerRefusal, LedgerReply, QueueShare, Stage,
};
use crate::types::ids::{BatchId, JobId};
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::time::UnixMillis;

impl LedgerActor {
    /// 1 the same message again · 2 idempotency 409, 422 · 3 the minute 429 · 4 files 400 · 5 creates a minute 429, credits
    /// 402, all written in one transaction · 6 hand over to the Dispatcher · 7 write what it said 402, 429, 503.
    pub(super) async fn create(
        self: &Rc<Self>,
        mut request: CreateRequest,
        caller: Option<&Caller>,
        now: UnixMillis,
    ) -> Done<LedgerReply> {
        let limit = caller.and_then(|caller| caller.requests_per_minute);
        let store = self.store()?;
        let job_ids: Vec<JobId> = request.specs.iter().map(|spec| spec.job_id.clone()).collect();
        // 1
        let present = store.predictions(&job_ids)?;
        if !present.is_empty() {
            // One that the Dispatcher has not acknowledged may yet go as if it had never been.
            let stays = present.iter().all(|record| record.is_acknowledged() && !record.withdrawing);
            let unavailable = LedgerReply::Refused(LedgerRefusal::Unavailable);
            return Ok(if stays { created(present, None, request.batch_id, false) } else { unavailable });
        }
        if self.was_withdrawn(&job_ids, now)? {
            return Ok(LedgerReply::Refused(LedgerRefusal::Unavailable));
        }
        // 2
        if let Some(reply) = self.repeated(&request, now).await? {
            // Counted where there is room, and answered where there is none: a repeat must find out what it has made.
            self.count_request(limit, now)?;
            return Ok(reply);
        }
        // 3
        if let Some(refusal) = self.count_request(limit, now)? {
            return Ok(LedgerReply::Refused(refusal));
        }
        // 4
        if let Some(index) = self.resolve_files(&mut request)? {
            return Ok(LedgerReply::Refused(LedgerRefusal::UnknownFile { index }));
        }
        // 5
        let records = match self.admit(&request, &job_ids, now)? {
            Ok(records) => records,
            Err(refusal) => return Ok(LedgerReply::Refused(refusal)),
        };
        // 6
        let share = QueueShare {
            plan: request.limits.plan,
            weight: request.limits.weight,
            concurrent_predictions: request.limits.concurrent_predictions,
            max_waiting: request.limits.max_waiting,
        };
        let deadline = Deadline::after(now, DISPATCHER_ACK_TIMEOUT_MILLIS);
        let issued_at = caller.map(|caller| caller.issued_at);
        let enqueue =
            DispatcherRequest::Enqueue { user: request.user, specs: request.specs, share, deadline, issued_at };
        let reply = ask_dispatcher(&self.env, &enqueue, DISPATCHER_ACK_TIMEOUT_MILLIS).await;
        // 7
        match reply {
            Ok(DispatcherReply::Jobs(updates)) if updates.len() == records.len() => {
                self.apply_updates(&updates, platform::now())?;
                Ok(created(self.store()?.predictions(&job_ids)?, Some(&updates), request.batch_id, false))
            }
            Ok(DispatcherReply::Refused(refusal)) => {
                if refusal == EnqueueRefusal::Revoked {
                    forget_revoked();
                }
                self.undo(&job_ids, platform::now())?;
                Ok(LedgerReply::Refused(refusal.into()))
            }
            Ok(_) | Err(_) => {
                self.withdraw_soon(&job_ids, platform::now())?;
                Ok(LedgerReply::Refused(LedgerRefusal::Unavailable))
            }
        }
    }

    /// The edge gave up on these before they came: it has told its client 503.
    fn was_withdrawn(&self, job_ids: &[JobId], now: UnixMillis) -> Done<bool> {
        let store = self.store()?;
        for job_id in job_ids {
            if store.mark::<Value>(&withdrawn_mark(job_id), now)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn repeated(&self, request: &CreateRequest, now: UnixMillis) -> Done<Option<LedgerReply>> {
        let Some(key) = &request.idempotency_key else { return Ok(None) };
        let Some(known) = self.known_key(&key.value, now)? else { return Ok(None) };
        let records = self.store()?.predictions(&known.job_ids)?;
        Ok(Some(match decide_replay(&known, &key.hash, records) {
            Replay::Current(records) => {
                created(self.add_queue_positions(records, now).await?, None, known.batch_id, true)
            }
            Replay::Refused(refusal) => LedgerReply::Refused(refusal),
        }))
    }

    /// Puts the vendor's ids of files in the place of ours. The index of a file that is not the caller's, if there is one.
    fn resolve_files(&self, request: &mut CreateRequest) -> Done<Option<usize>> {
        for (index, used) in request.files.iter().enumerate() {
            let Some(file) = self.store()?.file(&used.file_id)? else { return Ok(Some(index)) };
            let Some(spec) = request.specs.get_mut(used.spec) else { return Ok(Some(index)) };
            let mut input = Value::Object(std::mem::take(&mut spec.input));
            if let Some(value) = input.pointer_mut(&used.pointer) {
                *value = Value::String(file.vendor_id);
            }
            if let Value::Object(input) = input {
                spec.input = input;
            }
        }
        Ok(None)
    }

    /// Reservation, rows, idempotency key, batch and counts: one transaction, and the alarm.
    fn admit(
        &self,
        request: &CreateRequest,
        job_ids: &[JobId],
        now: UnixMillis,
    ) -> Done<Result<Vec<PredictionRecord>, LedgerRefusal>> {
        let store = self.store()?;
        let day = request.specs.first().map_or(now.utc_day(), crate::messages::JobSpec::day);
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
        if let Some(key) = &request.idempotency_key {
            let known = IdempotencyRecord {
                hash: key.hash.clone(),
                job_ids: job_ids.to_vec(),
                batch_id: request.batch_id.clone(),
            };
            writes.push(Write::Mark(key_mark(&key.value), json!(known), now.plus_millis(IDEMPOTENCY_MILLIS)));
        }
        if let Some(batch_id) = &request.batch_id {
            let expires_at = now.plus_millis(BATCH_RETENTION_MILLIS);
            writes.push(Write::Mark(batch_id.as_str().to_owned(), json!(job_ids), expires_at));
        }
        store.store(&writes)?;
        if let Some(state_check_at) = records.iter().map(|record| record.state_check_at).min() {
            self.arm(state_check_at)?;
        }
        Ok(Ok(records))
    }

    /// A refused or withdrawn create leaves nothing.
    pub(super) fn undo(&self, job_ids: &[JobId], now: UnixMillis) -> Done<()> {
        let store = self.store()?;
        let records = store.predictions(job_ids)?;
        let Some(first) = records.first() else { return Ok(()) };
        let mut usage: (DayUsage, JtiUsage) = (store.day(first.day)?, store.jti(first.jti.as_deref())?);
        let mut writes = Vec::new();
        for record in records.iter().filter(|record| !record.status.is_terminal()) {
            usage = undo_admission(record, usage.0, usage.1);
            self.with_minute(now, |minute| minute.return_creates(1, record.created_at))?;
            writes.push(Write::Forget(&record.job_id));
        }
        writes.push(Write::Day(usage.0));
        writes.push(self.minute_write(now)?);
        if let Some(jti) = &first.jti {
            writes.push(Write::Jti(jti, usage.1, UnixMillis(0)));
        }
        // While a part of a create is there, its key is not free for another one.
        let is_all = records.iter().all(|record| !record.status.is_terminal());
        if let Some(key) = first.idempotency_key.as_ref().filter(|_| is_all) {
            writes.push(Write::Unmark(key_mark(key)));
        }
        store.store(&writes)
    }

    /// Marks creates that were answered 503, and withdraws them now and, until the Dispatcher answers, again. One that is
    /// not here yet is remembered, so that it is not admitted when it comes.
    pub(super) fn withdraw_soon(self: &Rc<Self>, job_ids: &[JobId], now: UnixMillis) -> Done<()> {
        let store = self.store()?;
        let mut records = store.predictions(job_ids)?;
        if records.is_empty() {
            let ends = now.plus_millis(WITHDRAWN_MILLIS);
            let marks: Vec<_> =
                job_ids.iter().map(|job_id| Write::Mark(withdrawn_mark(job_id), json!(1), ends)).collect();
            store.store(&marks)?;
            return self.arm(ends);
        }
        if !may_go(&records, job_ids) {
            return Ok(());
        }
        for record in &mut records {
            record.withdrawing = true;
            record.last_update_at = now;
        }
        store.store(&records.iter().map(Write::Prediction).collect::<Vec<_>>())?;
        self.arm(now.plus_millis(WITHDRAW_RETRY_MILLIS))?;
        let (this, job_ids) = (Rc::clone(self), job_ids.to_vec());
        self.state.wait_until(async move {
            let _ = this.withdraw(&job_ids).await;
        });
        Ok(())
    }

    /// Only the Dispatcher's answer releases the credits of a create; or all of it goes on, if a part was sent after all.
    pub(super) async fn withdraw(&self, job_ids: &[JobId]) -> Done<()> {
        if may_go(&self.store()?.predictions(job_ids)?, job_ids) {
            let request = DispatcherRequest::Withdraw { job_ids: job_ids.to_vec() };
            let reply = ask_dispatcher(&self.env, &request, DISPATCHER_ACK_TIMEOUT_MILLIS).await?;
            let DispatcherReply::Jobs(updates) = reply else { return Err(PlatformError) };
            if updates.is_empty() {
                return self.undo(job_ids, platform::now());
            }
            self.apply_updates(&updates, platform::now())?;
        }
        let store = self.store()?;
        let mut records = store.predictions(job_ids)?;
        records.iter_mut().for_each(|record| record.withdrawing = false);
        store.store(&records.iter().map(Write::Prediction).collect::<Vec<_>>())
    }
}

/// Whether nothing of a create was sent yet, as far as is known here.
fn may_go(records: &[PredictionRecord], job_ids: &[JobId]) -> bool {
    records.len() == job_ids.len() && records.iter().all(|record| record.status == Status::Queued)
}

fn created(
    records: Vec<PredictionRecord>,
    updates: Option<&[JobUpdate]>,
    batch_id: Option<BatchId>,
    replayed: bool,
) -> LedgerReply {
    let submitting = updates.is_some_and(|updates| updates.iter().any(|update| update.stage == Stage::Submitting));
    LedgerReply::Created { records, is_submitting: submitting, batch_id, is_replayed: replayed }
}

fn withdrawn_mark(job_id: &JobId) -> String {
    format!("withdrawn:{job_id}")
}
