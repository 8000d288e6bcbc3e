//! The Ledger: one Durable Object per user, the owner of that user's predictions.
//!
//! Invariants: a row exists before the Dispatcher hears of a prediction, and its credits are held in the same
//! transaction; a row is settled once, with its end, in one transaction; nothing is read in one turn and written in
//! another (every await is followed by a fresh read); what another user asks for is not here, and so not found.

use std::cell::Cell;
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

use super::answers::ask_dispatcher;
use super::ledger_store::{LedgerStore, Write};
use super::log;
use super::platform::{self, PlatformError, Sql};
use crate::constants::{
    DISPATCHER_ACK_TIMEOUT_MILLIS, LIST_MAX, POKE_AFTER_MILLIS, SECONDS_PER_DAY, WITHDRAW_RETRY_MILLIS,
};
use crate::ids::JobId;
use crate::ledger::{Admission, apply_news, decide_admission, settle, undo_admission, wants_poke};
use crate::messages::{
    AccountUsage, Deadline, DispatcherReply, DispatcherRequest, JobNews, LedgerRefusal, LedgerReply, LedgerRequest,
    Stage,
};
use crate::prediction::{PredictionRecord, Status};
use crate::time::{UnixMillis, UnixSeconds};

/// See the module.
#[durable_object(alarm)]
pub struct Ledger {
    ledger: Rc<Inner>,
}

struct Inner {
    state: State,
    env: Env,
    store: std::result::Result<LedgerStore, PlatformError>,
    /// When the alarm rings, as far as this instance knows.
    armed: Cell<Option<UnixMillis>>,
    poked_at: Cell<UnixMillis>,
}

impl DurableObject for Ledger {
    fn new(state: State, env: Env) -> Self {
        let store = Sql::new(&state).map(LedgerStore::new);
        let poked_at = Cell::new(UnixMillis(0));
        Self { ledger: Rc::new(Inner { state, env, store, armed: Cell::new(None), poked_at }) }
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
    /// A message in, a reply out, both JSON. The shim of `scripts/finish-build.mjs` calls it.
    pub async fn handle(&self, message: String) -> std::result::Result<String, JsValue> {
        let reply = match serde_json::from_str(&message) {
            Ok(request) => self.ledger.answer(request).await,
            Err(_) => Err(PlatformError),
        };
        let reply = reply.unwrap_or_else(|PlatformError| {
            log::alert("ledger_failed");
            LedgerReply::Refused(LedgerRefusal::Unavailable)
        });
        serde_json::to_string(&reply).map_err(|_| JsValue::from_str("reply"))
    }
}

type Outcome = std::result::Result<LedgerReply, PlatformError>;

impl Inner {
    fn store(&self) -> std::result::Result<&LedgerStore, PlatformError> {
        self.store.as_ref().map_err(|error| *error)
    }

    async fn answer(self: &Rc<Self>, request: LedgerRequest) -> Outcome {
        let now = platform::now();
        match request {
            request @ LedgerRequest::Create { .. } => self.create(request, now).await,
            LedgerRequest::Get { job_id } => self.get(&job_id, now),
            LedgerRequest::List { limit, before, status } => self.list(limit, before.as_ref(), status),
            LedgerRequest::Cancel { job_id } => self.cancel(&job_id, now).await,
            LedgerRequest::Delete { job_id } => self.delete(&job_id),
            LedgerRequest::Account => self.account(now),
            LedgerRequest::Withdraw { job_id } => self.withdraw_soon(&job_id, now),
            LedgerRequest::News { news } => self.news(&news, now),
        }
    }

    /// 1 admit and write in one transaction · 2 hand over to the Dispatcher · 3 write what it said.
    async fn create(self: &Rc<Self>, request: LedgerRequest, now: UnixMillis) -> Outcome {
        let LedgerRequest::Create { user, order, limits, caps, deadline, max_wait_secs } = request else {
            return Err(PlatformError);
        };
        let store = self.store()?;
        store.ensure()?;
        if let Some(record) = store.prediction(&order.job_id)? {
            return Ok(LedgerReply::Prediction { record: Box::new(record), submitting: false });
        }
        // 1
        let jti = caps.as_ref().map(|caps| caps.jti.as_str());
        let usage = (store.day(now.utc_day())?, store.jti(jti)?);
        let admission = match decide_admission(&order, &limits, caps.as_ref(), usage, (deadline, max_wait_secs), now) {
            Ok(admission) => admission,
            Err(refusal) => return Ok(LedgerReply::Refused(refusal)),
        };
        let Admission { record, day, jti } = admission;
        let mut writes = vec![Write::Prediction(&record), Write::Day(day)];
        if let (Some(caps), Some(usage)) = (&caps, jti) {
            writes.push(Write::Jti(&caps.jti, usage, caps.expires_at));
        }
        store.store(&writes)?;
        self.arm(record.ask_at)?;
        // 2
        let deadline = Deadline::after(now, DISPATCHER_ACK_TIMEOUT_MILLIS);
        let enqueue = DispatcherRequest::Enqueue { user, order, weight: limits.weight, deadline };
        let reply = ask_dispatcher(&self.env, &enqueue, DISPATCHER_ACK_TIMEOUT_MILLIS).await;
        // 3
        match reply {
            Ok(DispatcherReply::Job(news)) => {
                self.news(std::slice::from_ref(&news), platform::now())?;
                let submitting = news.stage == Stage::Submitting;
                self.found(&record.job_id, submitting)
            }
            Ok(DispatcherReply::Refused(refusal)) => {
                self.undo(&record.job_id)?;
                Ok(LedgerReply::Refused(refusal.into()))
            }
            Ok(_) | Err(_) => {
                self.withdraw_soon(&record.job_id, platform::now())?;
                Ok(LedgerReply::Refused(LedgerRefusal::Unavailable))
            }
        }
    }

    fn found(&self, job_id: &JobId, submitting: bool) -> Outcome {
        Ok(match self.store()?.prediction(job_id)? {
            Some(record) => LedgerReply::Prediction { record: Box::new(record), submitting },
            None => LedgerReply::Refused(LedgerRefusal::NotFound),
        })
    }

    fn get(self: &Rc<Self>, job_id: &JobId, now: UnixMillis) -> Outcome {
        let Some(record) = self.store()?.prediction(job_id)? else {
            return Ok(LedgerReply::Refused(LedgerRefusal::NotFound));
        };
        if wants_poke(&record, now) && now.millis_since(self.poked_at.get()) >= POKE_AFTER_MILLIS {
            self.poked_at.set(now);
            let this = Rc::clone(self);
            self.state.wait_until(async move {
                let _ = ask_dispatcher(&this.env, &DispatcherRequest::Tick, DISPATCHER_ACK_TIMEOUT_MILLIS).await;
            });
        }
        Ok(LedgerReply::Prediction { record: Box::new(record), submitting: false })
    }

    fn list(&self, limit: u32, before: Option<&JobId>, status: Option<Status>) -> Outcome {
        let limit = limit.clamp(1, LIST_MAX);
        let mut records = self.store()?.page(limit, before, status)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = records.len() > limit;
        records.truncate(limit);
        Ok(LedgerReply::Page { records, more })
    }

    /// The Dispatcher decides; what it says is applied, and the prediction is returned as it is then.
    async fn cancel(&self, job_id: &JobId, now: UnixMillis) -> Outcome {
        let Some(record) = self.store()?.prediction(job_id)? else {
            return Ok(LedgerReply::Refused(LedgerRefusal::NotFound));
        };
        if !record.status.is_terminal() {
            let request = DispatcherRequest::Cancel { job_id: job_id.clone() };
            match ask_dispatcher(&self.env, &request, DISPATCHER_ACK_TIMEOUT_MILLIS).await {
                Ok(DispatcherReply::Job(news)) => self.news(std::slice::from_ref(&news), now).map(drop)?,
                // It ended long ago and its news were acknowledged: the row says how.
                Ok(DispatcherReply::Unknown) => {}
                Ok(_) | Err(_) => return Ok(LedgerReply::Refused(LedgerRefusal::Unavailable)),
            }
        }
        self.found(job_id, false)
    }

    fn delete(&self, job_id: &JobId) -> Outcome {
        let store = self.store()?;
        match store.prediction(job_id)? {
            None => Ok(LedgerReply::Refused(LedgerRefusal::NotFound)),
            Some(record) if !record.status.is_terminal() => Ok(LedgerReply::Refused(LedgerRefusal::NotEnded)),
            Some(_) => store.store(&[Write::Forget(job_id)]).map(|()| LedgerReply::Done),
        }
    }

    fn account(&self, now: UnixMillis) -> Outcome {
        let store = self.store()?;
        Ok(LedgerReply::Account(AccountUsage {
            days: store.days(now.utc_day())?,
            running: store.count(Status::Processing)?,
            waiting: store.count(Status::Queued)?,
        }))
    }

    /// Applies news; settles in the same transaction what they end. An unknown job is an acknowledgement: it was
    /// refused, withdrawn or forgotten here.
    fn news(&self, news: &[JobNews], now: UnixMillis) -> Outcome {
        let store = self.store()?;
        for said in news {
            let Some(mut record) = store.prediction(&said.job_id)? else { continue };
            if !apply_news(&mut record, said, now) {
                continue;
            }
            if record.status.is_terminal() {
                self.store_with_usage(&record, settle, Write::Prediction(&record))?;
            } else {
                store.store(&[Write::Prediction(&record)])?;
            }
        }
        Ok(LedgerReply::Done)
    }

    /// Writes a row together with the use of its day and its token.
    fn store_with_usage(
        &self,
        record: &PredictionRecord,
        change: impl Fn(
            &PredictionRecord,
            crate::messages::DayUsage,
            crate::ledger::JtiUsage,
        ) -> (crate::messages::DayUsage, crate::ledger::JtiUsage),
        write: Write<'_>,
    ) -> std::result::Result<(), PlatformError> {
        let store = self.store()?;
        let (day, jti) = change(record, store.day(record.day)?, store.jti(record.jti.as_deref())?);
        let mut writes = vec![write, Write::Day(day)];
        if let Some(name) = &record.jti {
            writes.push(Write::Jti(name, jti, UnixMillis(0)));
        }
        store.store(&writes)
    }

    /// A refused or withdrawn create leaves nothing.
    fn undo(&self, job_id: &JobId) -> std::result::Result<(), PlatformError> {
        match self.store()?.prediction(job_id)? {
            Some(record) if !record.status.is_terminal() => {
                self.store_with_usage(&record, undo_admission, Write::Forget(job_id))
            }
            _ => Ok(()),
        }
    }

    /// Marks a create that was answered 503, and withdraws it now and, until the Dispatcher answers, again.
    fn withdraw_soon(self: &Rc<Self>, job_id: &JobId, now: UnixMillis) -> Outcome {
        let store = self.store()?;
        if let Some(mut record) = store.prediction(job_id)?.filter(|record| record.sequence == 0) {
            record.withdrawing = true;
            record.heard_at = now;
            store.store(&[Write::Prediction(&record)])?;
            self.arm(now.plus_millis(WITHDRAW_RETRY_MILLIS))?;
            let (this, job_id) = (Rc::clone(self), job_id.clone());
            self.state.wait_until(async move {
                let _ = this.withdraw(&job_id).await;
            });
        }
        Ok(LedgerReply::Done)
    }

    /// Only the Dispatcher's answer releases the credits; or the prediction goes on, if it was sent after all.
    async fn withdraw(&self, job_id: &JobId) -> std::result::Result<(), PlatformError> {
        let request = DispatcherRequest::Withdraw { job_id: job_id.clone() };
        match ask_dispatcher(&self.env, &request, DISPATCHER_ACK_TIMEOUT_MILLIS).await? {
            DispatcherReply::Job(news) => self.news(std::slice::from_ref(&news), platform::now()).map(drop),
            DispatcherReply::Unknown => self.undo(job_id),
            _ => Err(PlatformError),
        }
    }

    /// The alarm: forget what is old, withdraw again, ask for what was silent too long; then arm the next one.
    async fn wake(self: &Rc<Self>, now: UnixMillis) -> std::result::Result<(), PlatformError> {
        let store = self.store()?;
        for record in store.woken(now)? {
            if record.status.is_terminal() {
                store.store(&[Write::Forget(&record.job_id)])?;
            } else {
                self.ask_about(record, now)?;
            }
        }
        store.sweep(now)?;
        if store.is_empty()? {
            self.state.storage().delete_all().await.map_err(|_| PlatformError)?;
            store.forget_tables();
            return Ok(());
        }
        // Without predictions, the days that are left need a look once a day.
        let tomorrow = now.plus_millis(UnixSeconds(SECONDS_PER_DAY).millis().0);
        self.arm(store.next_wake()?.unwrap_or(tomorrow).min(tomorrow).max(now.plus_millis(WITHDRAW_RETRY_MILLIS)))
    }

    fn ask_about(
        self: &Rc<Self>,
        mut record: PredictionRecord,
        now: UnixMillis,
    ) -> std::result::Result<(), PlatformError> {
        let (this, job_id, withdrawing) = (Rc::clone(self), record.job_id.clone(), record.withdrawing);
        if withdrawing {
            record.heard_at = now;
        } else {
            log::alert("prediction_silent");
            record.ask_at = now.plus_millis(600_000);
        }
        self.store()?.store(&[Write::Prediction(&record)])?;
        self.state.wait_until(async move {
            let _ = if withdrawing { this.withdraw(&job_id).await } else { this.ask_state(&job_id).await };
        });
        Ok(())
    }

    async fn ask_state(&self, job_id: &JobId) -> std::result::Result<(), PlatformError> {
        let request = DispatcherRequest::State { job_id: job_id.clone() };
        match ask_dispatcher(&self.env, &request, DISPATCHER_ACK_TIMEOUT_MILLIS).await? {
            DispatcherReply::Job(news) => self.news(std::slice::from_ref(&news), platform::now()).map(drop),
            _ => Ok(()),
        }
    }

    /// Arms the alarm, if nothing earlier is armed. A new instance does not know what is: the rows do.
    fn arm(&self, at: UnixMillis) -> std::result::Result<(), PlatformError> {
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
}
