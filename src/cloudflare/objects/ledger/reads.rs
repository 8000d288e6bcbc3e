//! Reads by the user: predictions, batches, files, usage.

use std::rc::Rc;

use super::actor::LedgerActor;
use crate::cloudflare::objects::client::ask_dispatcher;
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::constants::{DISPATCHER_ACK_TIMEOUT_MILLIS, PAGE_SIZE_MAX, TICK_AFTER_MILLIS};
use crate::ledger::needs_tick;
use crate::messages::{AccountUsage, DispatcherRequest, LedgerRefusal, LedgerReply, StreamId};
use crate::types::ids::{BatchId, JobId};
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::time::UnixMillis;

impl LedgerActor {
    /// Reads a prediction.
    pub(super) async fn get(self: &Rc<Self>, job_id: &JobId, now: UnixMillis) -> ActorResult<LedgerReply> {
        let Some(record) = self.store()?.prediction(job_id)? else { return Ok(not_found()) };
        self.tick_if_silent(&record, now);
        let record = self.add_queue_positions(vec![record], now).await?.pop().ok_or(PlatformError)?;
        Ok(LedgerReply::Prediction(Box::new(record)))
    }

    /// Handles one poll by an open stream: renews its lease, then reads the prediction.
    pub(super) async fn watch(
        self: &Rc<Self>,
        job_id: &JobId,
        stream: &StreamId,
        now: UnixMillis,
    ) -> ActorResult<LedgerReply> {
        if self.store()?.prediction(job_id)?.is_none() {
            return Ok(not_found());
        }
        let renewed = self.streams.borrow_mut().renew(stream, now);
        match renewed {
            Ok(()) => self.get(job_id, now).await,
            Err(refusal) => Ok(LedgerReply::Refused(refusal)),
        }
    }

    /// Sends the Dispatcher a tick if a prediction had no job update for 15 s (protocol 2).
    fn tick_if_silent(self: &Rc<Self>, record: &PredictionRecord, now: UnixMillis) {
        if needs_tick(record, now) && now.millis_since(self.ticked_at.get()) >= TICK_AFTER_MILLIS {
            self.ticked_at.set(now);
            let this = Rc::clone(self);
            self.state.wait_until(async move {
                let _ = ask_dispatcher(&this.env, &DispatcherRequest::Tick, DISPATCHER_ACK_TIMEOUT_MILLIS).await;
            });
        }
    }

    /// Reads those predictions of a batch that are left.
    pub(super) async fn get_batch(&self, batch_id: &BatchId, now: UnixMillis) -> ActorResult<LedgerReply> {
        let store = self.store()?;
        let job_ids: Option<Vec<JobId>> = store.mark(batch_id.as_str(), now)?;
        let records = store.predictions(&job_ids.unwrap_or_default())?;
        if records.is_empty() {
            return Ok(not_found());
        }
        let records = self.add_queue_positions(records, now).await?;
        Ok(LedgerReply::Created { records, is_submitting: false, batch_id: Some(batch_id.clone()), is_replayed: false })
    }

    /// Reads a page of predictions, newest first.
    pub(super) async fn list(
        &self,
        limit: u32,
        before: Option<&JobId>,
        status: Option<Status>,
        now: UnixMillis,
    ) -> ActorResult<LedgerReply> {
        let rows = self.store()?.page(limit.clamp(1, PAGE_SIZE_MAX), before, status)?;
        let (records, has_more) = truncate_page(rows, limit);
        Ok(LedgerReply::Page { records: self.add_queue_positions(records, now).await?, has_more })
    }

    /// Reads the user's usage.
    pub(super) fn account(&self, predictions_per_minute: u32, now: UnixMillis) -> ActorResult<LedgerReply> {
        let store = self.store()?;
        Ok(LedgerReply::Account(AccountUsage {
            days: store.days(now.utc_day())?,
            running: store.count(Status::Processing)?,
            waiting: store.count(Status::Queued)?,
            creates: Some(self.with_minute(now, |minute| minute.creates_left(predictions_per_minute, now))?),
        }))
    }
}

const fn not_found() -> LedgerReply {
    LedgerReply::Refused(LedgerRefusal::NotFound)
}

/// Cuts off the row that the store reads beyond the page. Returns whether there was one.
pub(super) fn truncate_page<T>(mut rows: Vec<T>, limit: u32) -> (Vec<T>, bool) {
    let limit = usize::try_from(limit.clamp(1, PAGE_SIZE_MAX)).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    (rows, has_more)
}
