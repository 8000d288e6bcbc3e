//! Withdrawal: takes back a create whose client got 503 (protocol 1), and undoes a create that was refused.

use serde::de::IgnoredAny;

use super::admission::undo_admission;
use super::marks;
use super::rows::{RowError, Write};
use super::step::{Answer, Continuation, Next, Question};
use super::turn::Turn;
use crate::constants::{WITHDRAW_RETRY_MILLIS, WITHDRAWN_MILLIS};
use crate::messages::{DispatcherReply, DispatcherRequest, LedgerReply};
use crate::types::ids::JobId;
use crate::types::prediction::{PredictionRecord, Status};

impl Turn<'_> {
    /// Returns whether the edge withdrew a create before its message arrived: its client was told 503.
    pub(super) fn was_withdrawn(&self, job_ids: &[JobId]) -> Result<bool, RowError> {
        for job_id in job_ids {
            if self.mark::<IgnoredAny>(&marks::withdrawn(job_id))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Withdraws a create for the edge. Replies `Done`, or with the predictions if they continue because one of them
    /// was already sent.
    pub(super) fn withdraw_and_report(&mut self, job_ids: Vec<JobId>) -> Result<Next, RowError> {
        if self.mark_withdrawn(&job_ids)? { self.withdraw(job_ids) } else { self.report(&job_ids) }
    }

    fn report(&self, job_ids: &[JobId]) -> Result<Next, RowError> {
        let mut records = self.predictions(job_ids)?;
        records.retain(|record| !record.withdrawing);
        Ok(Next::Reply(if records.is_empty() {
            LedgerReply::Done
        } else {
            LedgerReply::Created { records, is_submitting: false, batch_id: None, is_replayed: true }
        }))
    }

    /// Marks the predictions of a create as withdrawn, and sets the alarm, which repeats the withdrawal until the
    /// Dispatcher replies. If the create has not arrived yet, it is marked so that it is refused on arrival. Returns
    /// whether the Dispatcher must be asked, which is the case if no prediction of the create was sent yet.
    pub(super) fn mark_withdrawn(&mut self, job_ids: &[JobId]) -> Result<bool, RowError> {
        let records = self.predictions(job_ids)?;
        if records.is_empty() {
            let expires_at = self.now.plus_millis(WITHDRAWN_MILLIS);
            for job_id in job_ids {
                self.write_mark(marks::withdrawn(job_id), &1, expires_at)?;
            }
            self.wake_by(expires_at);
            return Ok(false);
        }
        if !is_unsent(&records, job_ids) {
            return Ok(false);
        }
        for record in records {
            self.write_prediction(PredictionRecord { withdrawing: true, last_update_at: self.now, ..record });
        }
        self.wake_by(self.now.plus_millis(WITHDRAW_RETRY_MILLIS));
        Ok(true)
    }

    /// Asks the Dispatcher to drop a create. If a prediction of the create was sent after all, the whole create goes on.
    pub(super) fn withdraw(&mut self, job_ids: Vec<JobId>) -> Result<Next, RowError> {
        if is_unsent(&self.predictions(&job_ids)?, &job_ids) {
            let request = DispatcherRequest::Withdraw { job_ids: job_ids.clone() };
            return Ok(Next::Ask(Question::Dispatcher(request), Continuation::ConcludeWithdrawal { job_ids }));
        }
        self.keep_create(&job_ids)?;
        self.report(&job_ids)
    }

    /// Stores what the Dispatcher says about a withdrawal. Only its reply releases the credits; without one, the alarm
    /// repeats the withdrawal. If a prediction of the create was sent after all, the whole create goes on.
    pub(super) fn conclude_withdrawal(&mut self, job_ids: &[JobId], answer: Option<Answer>) -> Result<Next, RowError> {
        if let Some(Answer::Dispatcher(DispatcherReply::Jobs(updates))) = answer {
            if updates.is_empty() {
                self.undo(job_ids)?;
            } else {
                self.apply_updates(&updates)?;
                self.keep_create(job_ids)?;
            }
        }
        self.report(job_ids)
    }

    /// Ends the withdrawal of a create that goes on.
    fn keep_create(&mut self, job_ids: &[JobId]) -> Result<(), RowError> {
        for record in self.predictions(job_ids)?.into_iter().filter(|record| record.withdrawing) {
            self.write_prediction(PredictionRecord { withdrawing: false, ..record });
        }
        Ok(())
    }

    /// Undoes an admission, as if the create had never existed: deletes its predictions and its idempotency key, and
    /// gives back credits, caps and creates of the minute. Predictions that have ended stay.
    pub(super) fn undo(&mut self, job_ids: &[JobId]) -> Result<(), RowError> {
        let records = self.predictions(job_ids)?;
        let Some(first) = records.first() else { return Ok(()) };
        let mut usage = self.usage(first.day, first.jti.as_deref())?;
        for record in records.iter().filter(|record| !record.status.is_terminal()) {
            usage = undo_admission(record, usage.0, usage.1);
            self.minute()?.return_creates(1, record.created_at);
            self.write(Write::DeletePrediction(record.job_id.clone()));
        }
        self.write_usage(usage, first.jti.as_deref());
        self.write_minute()?;
        // While a part of the create stays, its key must not be free for another create.
        let is_complete = records.iter().all(|record| !record.status.is_terminal());
        if let Some(key) = first.idempotency_key.as_ref().filter(|_| is_complete) {
            self.write(Write::DeleteMark(marks::idempotency_key(key)));
        }
        Ok(())
    }
}

/// Returns whether the whole create is stored and none of it was sent to the vendor, as far as this Ledger knows.
pub(super) fn is_unsent(records: &[PredictionRecord], job_ids: &[JobId]) -> bool {
    records.len() == job_ids.len() && records.iter().all(|record| record.status == Status::Queued)
}
