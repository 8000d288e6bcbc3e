//! Reads by the user: predictions, batches, usage.

use super::rows::RowError;
use super::step::Next;
use super::turn::Turn;
use crate::constants::PAGE_SIZE_MAX;
use crate::messages::{AccountUsage, LedgerRefusal, LedgerReply, StreamId};
use crate::types::ids::{BatchId, JobId};
use crate::types::prediction::Status;

impl Turn<'_> {
    /// Reads a prediction.
    pub(super) fn get(&mut self, job_id: &JobId) -> Result<Next, RowError> {
        let Some(record) = self.visible(job_id)? else { return Ok(Next::Reply(self.no_prediction(job_id))) };
        self.reply_with_positions(LedgerReply::Prediction(Box::new(record)))
    }

    /// Handles one poll by a stream without a socket: renews its lease, then reads the prediction.
    pub(super) fn watch(&mut self, job_id: &JobId, stream: &StreamId) -> Result<Next, RowError> {
        if self.visible(job_id)?.is_none() {
            return Ok(Next::Reply(self.no_prediction(job_id)));
        }
        let others = self.live_sockets();
        let place = self.check_streams(stream, &others).and_then(|()| self.ledger.streams.renew(stream, self.now));
        match place {
            Ok(()) => self.get(job_id),
            Err(refusal) => Ok(Next::refuse(refusal)),
        }
    }

    /// Reads those predictions of a batch that are left.
    pub(super) fn get_batch(&mut self, batch_id: BatchId) -> Result<Next, RowError> {
        let job_ids: Option<Vec<JobId>> = self.mark(batch_id.as_str())?;
        let records = self.predictions(&job_ids.unwrap_or_default())?;
        if records.is_empty() {
            return Ok(Next::refuse(LedgerRefusal::NotFound));
        }
        let (is_submitting, is_replayed) = (false, false);
        self.reply_with_positions(LedgerReply::Created {
            records,
            is_submitting,
            batch_id: Some(batch_id),
            is_replayed,
        })
    }

    /// Reads a page of predictions, newest first.
    pub(super) fn list(
        &mut self,
        limit: u32,
        before: Option<&JobId>,
        status: Option<Status>,
    ) -> Result<Next, RowError> {
        let rows = self.rows.page(limit.clamp(1, PAGE_SIZE_MAX), before, status)?;
        let (records, has_more) = truncate_page(rows, limit);
        self.reply_with_positions(LedgerReply::Page { records, has_more })
    }

    /// Reads the user's usage.
    pub(super) fn account(&mut self, predictions_per_minute: u32) -> Result<LedgerReply, RowError> {
        let (now, limits) = (self.now, self.own_limits()?);
        let own = limits.as_ref().and_then(|limits| limits.predictions_per_minute);
        let creates_per_minute = own.unwrap_or(predictions_per_minute);
        Ok(LedgerReply::Account(AccountUsage {
            days: self.rows.days(now.utc_day())?,
            running: self.rows.count(Status::Processing)?,
            waiting: self.rows.count(Status::Queued)?,
            creates: Some(self.minute()?.creates_left(creates_per_minute, now)),
            limits,
        }))
    }
}

/// Cuts off the row that is read beyond the page. Returns whether there was one.
pub(super) fn truncate_page<T>(mut rows: Vec<T>, limit: u32) -> (Vec<T>, bool) {
    let limit = usize::try_from(limit.clamp(1, PAGE_SIZE_MAX)).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    (rows, has_more)
}
