//! The Ledger: one Durable Object per user, the owner of that user's predictions.
//!
//! Invariants: a row exists before the Dispatcher hears of a prediction, and its credits are held in the same
//! transaction; a row is settled once, with its end, in one transaction; nothing is read in one turn and written in
//! another (every await is followed by a fresh read); what another user asks for is not here, and so not found.

mod create;
mod maintenance;
mod store;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::json;
use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

use self::store::{LedgerStore, Write};
use crate::cloudflare::objects::client::{ask_dispatcher, revoked_by};
use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{self, PlatformError, Sql};
use crate::constants::{
    CLOCK_TOLERANCE_MILLIS, DISPATCHER_ACK_TIMEOUT_MILLIS, PAGE_SIZE_MAX, PROOF_SWEEP_MILLIS, QUEUE_POSITION_FRESH_MILLIS,
    TICK_AFTER_MILLIS, WITHDRAW_RETRY_MILLIS,
};
use crate::ledger::{IdempotencyRecord, OpenStreams, is_revoked, needs_tick};
use crate::limit::minute_window::MinuteWindow;
use crate::messages::{
    AccountUsage, Caller, DispatcherReply, DispatcherRequest, LedgerCall, LedgerEnvelope, LedgerRefusal, LedgerReply,
    LedgerRequest, ProofUse, Rate, StreamId,
};
use crate::types::ids::{BatchId, FileId, JobId, RequestId};
use crate::types::prediction::{PredictionRecord, QueuePosition, Status};
use crate::types::time::{UnixMillis, UnixSeconds};

/// See the module.
#[durable_object(alarm)]
pub struct Ledger {
    ledger: Rc<LedgerActor>,
}

pub(super) struct LedgerActor {
    pub(super) state: State,
    pub(super) env: Env,
    store: std::result::Result<LedgerStore, PlatformError>,
    /// When the alarm rings, as far as this instance knows.
    pub(super) armed: Cell<Option<UnixMillis>>,
    pub(super) caught_up: Cell<bool>,
    poked_at: Cell<UnixMillis>,
    /// When the marks of old proofs were last swept away.
    swept_at: Cell<UnixMillis>,
    /// The counts of the minute, once they were read.
    minute: RefCell<Option<MinuteWindow>>,
    pub(super) revoked: RefCell<Option<Revoked>>,
    streams: RefCell<OpenStreams>,
    /// Places in the queue, with the time at which the Dispatcher told them.
    queue_positions: RefCell<(UnixMillis, BTreeMap<JobId, QueuePosition>)>,
}

/// Which tokens are refused: what the marks say, read once by an instance.
#[derive(Clone, Default)]
pub(super) struct Revoked {
    by: Option<UnixSeconds>,
    tokens: Vec<String>,
}

impl DurableObject for Ledger {
    fn new(state: State, env: Env) -> Self {
        let store = Sql::new(&state).map(LedgerStore::new);
        let actor = LedgerActor {
            state,
            env,
            store,
            armed: Cell::new(None),
            caught_up: Cell::new(false),
            poked_at: Cell::new(UnixMillis(0)),
            swept_at: Cell::new(UnixMillis(0)),
            minute: RefCell::default(),
            revoked: RefCell::default(),
            streams: RefCell::default(),
            queue_positions: RefCell::default(),
        };
        Self { ledger: Rc::new(actor) }
    }

    /// Never called: the shim of `scripts/finish-build.mjs` hands the message's text to `handle`.
    async fn fetch(&self, _request: Request) -> Result<Response> {
        Response::error("", 404)
    }

    /// Never fails: the platform deletes an alarm that failed six times.
    async fn alarm(&self) -> Result<Response> {
        self.ledger.armed.set(None);
        if self.ledger.wake(platform::now()).await.is_err() {
            log::alert("ledger_alarm_failed");
            if let Ok(store) = &self.ledger.store {
                store.set_alarm(platform::now().plus_millis(WITHDRAW_RETRY_MILLIS));
            }
        }
        Response::empty()
    }
}

#[wasm_bindgen]
impl Ledger {
    /// A message in, a reply out, both JSON: at once where nothing is awaited, else as a promise. The shim of
    /// `scripts/finish-build.mjs` calls it.
    pub fn handle(&self, message: &str) -> JsValue {
        let ledger = Rc::clone(&self.ledger);
        let call = serde_json::from_str::<LedgerCall>(message).map_err(|_| PlatformError);
        platform::at_once_or_promised(async move {
            let answer = match call {
                Ok(call) => ledger.answer(call).await,
                Err(error) => Err(error),
            };
            let answer = answer.unwrap_or_else(|PlatformError| {
                log::alert("ledger_failed");
                LedgerEnvelope { rate: None, reply: LedgerReply::Refused(LedgerRefusal::Unavailable) }
            });
            // Texts, numbers and lists of them always have a JSON form; without one the edge answers 503.
            Ok(serde_json::to_string(&answer).unwrap_or_default())
        })
    }
}

pub(super) type Done<T> = std::result::Result<T, PlatformError>;

fn refused(refusal: LedgerRefusal) -> LedgerReply {
    LedgerReply::Refused(refusal)
}

impl LedgerActor {
    pub(super) fn store(&self) -> Done<&LedgerStore> {
        self.store.as_ref().map_err(|error| *error)
    }

    /// 1 revocation, and a proof that was used before · 2 the request's place in the minute (a create looks for its idempotency key first) · 3 the request.
    async fn answer(self: &Rc<Self>, call: LedgerCall) -> Done<LedgerEnvelope> {
        let now = platform::now();
        let limit = call.caller.as_ref().and_then(|caller| caller.requests_per_minute);
        let reply = self.authorize_and_handle(call, now).await?;
        // The answer to a revoked token is that to any bad one.
        let is_unauthorized = matches!(reply, LedgerReply::Refused(LedgerRefusal::Revoked | LedgerRefusal::ProofUsed));
        let limit = limit.filter(|_| !is_unauthorized);
        Ok(LedgerEnvelope { rate: limit.map(|limit| self.requests_left(limit, now)).transpose()?, reply })
    }

    async fn authorize_and_handle(self: &Rc<Self>, call: LedgerCall, now: UnixMillis) -> Done<LedgerReply> {
        self.catch_up(now)?;
        let limit = call.caller.as_ref().and_then(|caller| caller.requests_per_minute);
        // 1
        if let Some(caller) = &call.caller {
            let revoked_by = revoked_by(&self.env, now).await;
            if is_revoked(caller, revoked_by) || self.refuses(caller, now)? {
                return Ok(refused(LedgerRefusal::Revoked));
            }
            if let Some(proof) = &caller.proof {
                // A row is not written for who has no request left; a repeated create finds what it has made all the same.
                let may_repeat =
                    matches!(&call.request, LedgerRequest::Create(request) if request.idempotency_key.is_some());
                if limit
                    .map(|limit| self.requests_left(limit, now))
                    .transpose()?
                    .is_some_and(|rate| rate.remaining == 0)
                    && !may_repeat
                    && let Some(full) = self.count_request(limit, now)?
                {
                    return Ok(refused(full));
                }
                if !self.use_proof(proof, now)? {
                    return Ok(refused(LedgerRefusal::ProofUsed));
                }
            }
        }
        // 2
        if let LedgerRequest::Create(request) = call.request {
            return self.create(*request, call.caller.as_ref(), now).await;
        }
        if let Some(refusal) = self.count_request(limit, now)? {
            return Ok(refused(refusal));
        }
        // 3
        match call.request {
            LedgerRequest::Get { job_id } => self.get(&job_id, now).await,
            LedgerRequest::GetBatch { batch_id } => self.batch(&batch_id, now).await,
            LedgerRequest::List { limit, before, status } => self.list(limit, before.as_ref(), status, now).await,
            LedgerRequest::Cancel { job_id } => self.cancel(&job_id, now).await,
            LedgerRequest::Delete { job_id } => self.delete(&job_id),
            LedgerRequest::Account { predictions_per_minute } => self.account(predictions_per_minute, now),
            LedgerRequest::Watch { job_id, stream } => self.watch(&job_id, &stream, now).await,
            LedgerRequest::Unwatch { stream, unopened } => {
                self.streams.borrow_mut().close(&stream, unopened);
                Ok(LedgerReply::Done)
            }
            LedgerRequest::PutFile { file } => self.store()?.store(&[Write::File(&file)]).map(|()| LedgerReply::Done),
            LedgerRequest::GetFile { file_id } => self.file(&file_id),
            LedgerRequest::ListFiles { limit, before } => self.files(limit, before.as_ref()),
            LedgerRequest::DeleteFile { file_id } => {
                self.store()?.store(&[Write::ForgetFile(&file_id)]).map(|()| LedgerReply::Done)
            }
            LedgerRequest::Withdraw { job_ids } => self.withdraw_soon(&job_ids, now).map(|()| LedgerReply::Done),
            LedgerRequest::JobUpdates { updates } => self.apply_updates(&updates, now).map(|()| LedgerReply::Done),
            LedgerRequest::Revoke(revocation) => self.revoke(revocation, now).await,
            LedgerRequest::Check | LedgerRequest::Create(_) => Ok(LedgerReply::Done),
        }
    }

    fn refuses(&self, caller: &Caller, now: UnixMillis) -> Done<bool> {
        let mut slot = self.revoked.borrow_mut();
        if slot.is_none() {
            let store = self.store()?;
            *slot = Some(Revoked { by: store.mark("revoked", now)?, tokens: store.marks("revoked:", now)? });
        }
        let revoked = slot.as_ref().ok_or(PlatformError)?;
        let by_token = caller.jti.as_ref().is_some_and(|jti| revoked.tokens.contains(jti));
        Ok(by_token || is_revoked(caller, revoked.by))
    }

    /// Uses a proof of possession, once: whether it is new, or this request's own message came twice. Its mark is a
    /// durable write, so that no restart makes it new again.
    fn use_proof(&self, proof: &ProofUse, now: UnixMillis) -> Done<bool> {
        // Its mark is kept until then: later nobody could tell whether it was used.
        let ends_at = proof.ends_at.millis().plus_millis(CLOCK_TOLERANCE_MILLIS);
        if now >= ends_at {
            return Ok(false);
        }
        let (store, name) = (self.store()?, format!("{PROOF_MARKS}{}", proof.id));
        if let Some(used_by) = store.mark::<RequestId>(&name, now)? {
            return Ok(used_by == proof.request);
        }
        let is_new_ledger = !store.exists()?;
        let mut writes = vec![Write::Mark(name, json!(proof.request), ends_at)];
        // Now and then, those that are too old to be used go.
        if now.millis_since(self.swept_at.get()) >= PROOF_SWEEP_MILLIS {
            self.swept_at.set(now);
            writes.push(Write::SweepMarks(PROOF_MARKS, now));
        }
        store.store(&writes)?;
        if is_new_ledger {
            self.arm(now.plus_millis(crate::constants::RETENTION_MILLIS))?;
        }
        Ok(true)
    }

    /// Uses the counts of the minute, which are read with their first use.
    pub(super) fn with_minute<R>(&self, now: UnixMillis, change: impl FnOnce(&mut MinuteWindow) -> R) -> Done<R> {
        let mut slot = self.minute.borrow_mut();
        if slot.is_none() {
            *slot = Some(self.store()?.mark("minute", now)?.unwrap_or_default());
        }
        Ok(change(slot.as_mut().ok_or(PlatformError)?))
    }

    /// The counts as they are to be stored.
    pub(super) fn minute_write(&self, now: UnixMillis) -> Done<Write<'static>> {
        self.with_minute(now, |minute| Write::Mark("minute".to_owned(), json!(minute), minute.ends_at()))
    }

    /// Counts a request; the refusal if there is no room for it.
    pub(super) fn count_request(&self, limit: Option<u32>, now: UnixMillis) -> Done<Option<LedgerRefusal>> {
        let Some(limit) = limit else { return Ok(None) };
        match self.with_minute(now, |minute| minute.take_request(limit, now))? {
            Ok(false) => Ok(None),
            Ok(true) => {
                let store = self.store()?;
                let is_new = !store.exists()?;
                store.store(&[self.minute_write(now)?])?;
                if is_new {
                    // So that a Ledger of somebody who never creates anything goes again.
                    self.arm(now.plus_millis(crate::constants::RETENTION_MILLIS))?;
                }
                Ok(None)
            }
            Err(full) => Ok(Some(LedgerRefusal::RateLimited { retry_after_secs: full.retry_after_secs })),
        }
    }

    fn requests_left(&self, limit: u32, now: UnixMillis) -> Done<Rate> {
        self.with_minute(now, |minute| minute.requests_left(limit, now))
    }

    pub(super) fn found(&self, job_id: &JobId) -> Done<LedgerReply> {
        Ok(match self.store()?.prediction(job_id)? {
            Some(record) => LedgerReply::Prediction(Box::new(record)),
            None => refused(LedgerRefusal::NotFound),
        })
    }

    async fn get(self: &Rc<Self>, job_id: &JobId, now: UnixMillis) -> Done<LedgerReply> {
        let Some(record) = self.store()?.prediction(job_id)? else { return Ok(refused(LedgerRefusal::NotFound)) };
        self.poke_if_silent(&record, now);
        let record = self.add_queue_positions(vec![record], now).await?.pop().ok_or(PlatformError)?;
        Ok(LedgerReply::Prediction(Box::new(record)))
    }

    /// An open stream looks: the same as a read, for a stream that may be open.
    async fn watch(self: &Rc<Self>, job_id: &JobId, stream: &StreamId, now: UnixMillis) -> Done<LedgerReply> {
        if self.store()?.prediction(job_id)?.is_none() {
            return Ok(refused(LedgerRefusal::NotFound));
        }
        let looked = self.streams.borrow_mut().renew(stream, now);
        match looked {
            Ok(()) => self.get(job_id, now).await,
            Err(refusal) => Ok(refused(refusal)),
        }
    }

    fn poke_if_silent(self: &Rc<Self>, record: &PredictionRecord, now: UnixMillis) {
        if needs_tick(record, now) && now.millis_since(self.poked_at.get()) >= TICK_AFTER_MILLIS {
            self.poked_at.set(now);
            let this = Rc::clone(self);
            self.state.wait_until(async move {
                let _ = ask_dispatcher(&this.env, &DispatcherRequest::Tick, DISPATCHER_ACK_TIMEOUT_MILLIS).await;
            });
        }
    }

    /// Puts the present place into what waits. The Dispatcher is asked at most once in two seconds, for all that waits;
    /// if it does not answer, the place that was told last stands.
    pub(super) async fn add_queue_positions(
        &self,
        mut records: Vec<PredictionRecord>,
        now: UnixMillis,
    ) -> Done<Vec<PredictionRecord>> {
        if !records.iter().any(|record| record.status == Status::Queued) {
            return Ok(records);
        }
        if now.millis_since(self.queue_positions.borrow().0) >= QUEUE_POSITION_FRESH_MILLIS {
            self.queue_positions.borrow_mut().0 = now;
            let waiting = self.store()?.page(PAGE_SIZE_MAX, None, Some(Status::Queued))?;
            let job_ids = waiting.into_iter().map(|record| record.job_id).collect();
            let reply = ask_dispatcher(
                &self.env,
                &DispatcherRequest::QueuePositions { job_ids },
                DISPATCHER_ACK_TIMEOUT_MILLIS,
            )
            .await;
            if let Ok(DispatcherReply::QueuePositions(queue_positions)) = reply {
                *self.queue_positions.borrow_mut() = (now, queue_positions.into_iter().collect());
            }
        }
        let queue_positions = self.queue_positions.borrow();
        for record in records.iter_mut().filter(|record| record.status == Status::Queued) {
            record.queue = queue_positions.1.get(&record.job_id).copied().or(record.queue);
        }
        Ok(records)
    }

    async fn batch(&self, batch_id: &BatchId, now: UnixMillis) -> Done<LedgerReply> {
        let store = self.store()?;
        let job_ids: Option<Vec<JobId>> = store.mark(batch_id.as_str(), now)?;
        let records = store.predictions(&job_ids.unwrap_or_default())?;
        if records.is_empty() {
            return Ok(refused(LedgerRefusal::NotFound));
        }
        let records = self.add_queue_positions(records, now).await?;
        Ok(LedgerReply::Created { records, is_submitting: false, batch_id: Some(batch_id.clone()), is_replayed: false })
    }

    async fn list(
        &self,
        limit: u32,
        before: Option<&JobId>,
        status: Option<Status>,
        now: UnixMillis,
    ) -> Done<LedgerReply> {
        let (records, more) = cut(self.store()?.page(limit.clamp(1, PAGE_SIZE_MAX), before, status)?, limit);
        Ok(LedgerReply::Page { records: self.add_queue_positions(records, now).await?, has_more: more })
    }

    fn file(&self, file_id: &FileId) -> Done<LedgerReply> {
        Ok(match self.store()?.file(file_id)? {
            Some(file) => LedgerReply::Files { files: vec![file], has_more: false },
            None => refused(LedgerRefusal::NotFound),
        })
    }

    fn files(&self, limit: u32, before: Option<&FileId>) -> Done<LedgerReply> {
        let (files, more) = cut(self.store()?.files(limit.clamp(1, PAGE_SIZE_MAX), before)?, limit);
        Ok(LedgerReply::Files { files, has_more: more })
    }

    /// The Dispatcher decides; what it says is applied, and the prediction is returned as it is then.
    pub(super) async fn cancel(&self, job_id: &JobId, now: UnixMillis) -> Done<LedgerReply> {
        let Some(record) = self.store()?.prediction(job_id)? else { return Ok(refused(LedgerRefusal::NotFound)) };
        if !record.is_acknowledged() {
            return Ok(refused(LedgerRefusal::Unavailable));
        }
        if !record.status.is_terminal() {
            let request = DispatcherRequest::Cancel { job_id: job_id.clone() };
            match ask_dispatcher(&self.env, &request, DISPATCHER_ACK_TIMEOUT_MILLIS).await {
                // Without news it ended long ago, and the row says how.
                Ok(DispatcherReply::Jobs(updates)) => self.apply_updates(&updates, now)?,
                Ok(_) | Err(_) => return Ok(refused(LedgerRefusal::Unavailable)),
            }
        }
        self.found(job_id)
    }

    fn delete(&self, job_id: &JobId) -> Done<LedgerReply> {
        let store = self.store()?;
        match store.prediction(job_id)? {
            None => Ok(refused(LedgerRefusal::NotFound)),
            Some(record) if !record.status.is_terminal() => Ok(refused(LedgerRefusal::NotEnded)),
            Some(_) => store.store(&[Write::Forget(job_id)]).map(|()| LedgerReply::Done),
        }
    }

    fn account(&self, predictions_per_minute: u32, now: UnixMillis) -> Done<LedgerReply> {
        let store = self.store()?;
        Ok(LedgerReply::Account(AccountUsage {
            days: store.days(now.utc_day())?,
            running: store.count(Status::Processing)?,
            waiting: store.count(Status::Queued)?,
            creates: Some(self.with_minute(now, |minute| minute.creates_left(predictions_per_minute, now))?),
        }))
    }

    pub(super) fn known_key(&self, key: &str, now: UnixMillis) -> Done<Option<IdempotencyRecord>> {
        self.store()?.mark(&key_mark(key), now)
    }

    /// Arms the alarm, if nothing earlier is armed. A new instance does not know what is: the rows do.
    pub(super) fn arm(&self, at: UnixMillis) -> Done<()> {
        let store = self.store()?;
        let at = match self.armed.get() {
            Some(armed) if armed <= at => return Ok(()),
            Some(_) => at,
            None => store.next_wake()?.map_or(at, |wake| wake.min(at)),
        };
        self.armed.set(Some(at));
        store.set_alarm(at);
        Ok(())
    }

    /// After the platform deleted every row: what this instance remembered of them goes too.
    pub(super) fn forget_everything(&self) {
        *self.minute.borrow_mut() = None;
        *self.revoked.borrow_mut() = None;
    }
}

/// What the marks of used proofs start with.
const PROOF_MARKS: &str = "proof:";

/// The mark of an idempotency key.
pub(super) fn key_mark(key: &str) -> String {
    format!("key:{key}")
}

fn cut<T>(mut rows: Vec<T>, limit: u32) -> (Vec<T>, bool) {
    let limit = usize::try_from(limit.clamp(1, PAGE_SIZE_MAX)).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    (rows, more)
}
