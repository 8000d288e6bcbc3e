//! Queue positions of a user's waiting predictions, asked of the Dispatcher.

use super::actor::LedgerActor;
use crate::cloudflare::objects::client::ask_dispatcher;
use crate::cloudflare::objects::handle::ActorResult;
use crate::constants::{DISPATCHER_ACK_TIMEOUT_MILLIS, PAGE_SIZE_MAX, QUEUE_POSITION_FRESH_MILLIS};
use crate::messages::{DispatcherReply, DispatcherRequest};
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::time::UnixMillis;

impl LedgerActor {
    /// Puts the present queue position into each waiting prediction.
    ///
    /// Asks the Dispatcher at most once in two seconds, for all that waits. If it does not reply, the last known
    /// positions stay.
    pub(super) async fn add_queue_positions(
        &self,
        mut records: Vec<PredictionRecord>,
        now: UnixMillis,
    ) -> ActorResult<Vec<PredictionRecord>> {
        if !records.iter().any(is_queued) {
            return Ok(records);
        }
        if now.millis_since(self.queue_positions.borrow().0) >= QUEUE_POSITION_FRESH_MILLIS {
            self.fetch_queue_positions(now).await?;
        }
        let queue_positions = self.queue_positions.borrow();
        for record in records.iter_mut().filter(|record| is_queued(record)) {
            record.queue = queue_positions.1.get(&record.job_id).copied().or(record.queue);
        }
        Ok(records)
    }

    async fn fetch_queue_positions(&self, now: UnixMillis) -> ActorResult<()> {
        // Set before the await, so that concurrent requests do not ask too.
        self.queue_positions.borrow_mut().0 = now;
        let waiting = self.store()?.page(PAGE_SIZE_MAX, None, Some(Status::Queued))?;
        let job_ids = waiting.into_iter().map(|record| record.job_id).collect();
        let request = DispatcherRequest::QueuePositions { job_ids };
        let reply = ask_dispatcher(&self.env, &request, DISPATCHER_ACK_TIMEOUT_MILLIS).await;
        if let Ok(DispatcherReply::QueuePositions(queue_positions)) = reply {
            *self.queue_positions.borrow_mut() = (now, queue_positions.into_iter().collect());
        }
        Ok(())
    }
}

fn is_queued(record: &PredictionRecord) -> bool {
    record.status == Status::Queued
}
