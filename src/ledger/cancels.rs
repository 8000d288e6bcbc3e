//! Cancellation and deletion of a prediction.

use super::marks;
use super::rows::{RowError, Write};
use super::step::{Answer, Continuation, Next, Question};
use super::turn::Turn;
use crate::constants::WITHDRAWN_MILLIS;
use crate::messages::{DispatcherReply, DispatcherRequest, LedgerRefusal, LedgerReply};
use crate::types::ids::JobId;
use crate::types::prediction::PredictionRecord;

/// The answer to whether a prediction can be canceled.
pub(super) enum Cancelable {
    /// The Dispatcher decides.
    Open,
    /// It has ended.
    Ended,
    /// There is no such prediction.
    Missing,
    /// The Dispatcher has not acknowledged it yet.
    Unacknowledged,
}

impl Turn<'_> {
    /// Cancels a prediction, and returns it in its present state. The Dispatcher decides in which state that is
    /// (protocol 1): a running prediction ends only when the vendor says so. `Unavailable` (503) if the Dispatcher has
    /// not acknowledged the prediction yet, or does not reply.
    pub(super) fn cancel(&mut self, job_id: JobId) -> Result<Next, RowError> {
        match self.check_cancelable(&job_id)? {
            Cancelable::Open => {
                let request = DispatcherRequest::Cancel { job_id: job_id.clone() };
                Ok(Next::Ask(Question::Dispatcher(request), Continuation::ConcludeCancel { job_id }))
            }
            Cancelable::Ended | Cancelable::Missing => self.reply_prediction(&job_id),
            Cancelable::Unacknowledged => Ok(Next::refuse(LedgerRefusal::Unavailable)),
        }
    }

    pub(super) fn check_cancelable(&self, job_id: &JobId) -> Result<Cancelable, RowError> {
        Ok(match self.visible(job_id)? {
            None => Cancelable::Missing,
            Some(record) if !record.is_acknowledged() => Cancelable::Unacknowledged,
            Some(record) if record.status.is_terminal() => Cancelable::Ended,
            Some(_) => Cancelable::Open,
        })
    }

    /// Stores what the Dispatcher says about a cancel.
    pub(super) fn conclude_cancel(&mut self, job_id: &JobId, answer: Option<Answer>) -> Result<Next, RowError> {
        if self.apply_cancel(answer)? {
            self.reply_prediction(job_id)
        } else {
            Ok(Next::refuse(LedgerRefusal::Unavailable))
        }
    }

    /// Applies the Dispatcher's reply to a cancel. Returns false if there is none.
    pub(super) fn apply_cancel(&mut self, answer: Option<Answer>) -> Result<bool, RowError> {
        // No update means that the prediction ended long ago. The Ledger's row has its end.
        let Some(Answer::Dispatcher(DispatcherReply::Jobs(updates))) = answer else { return Ok(false) };
        self.apply_updates(&updates)?;
        Ok(true)
    }

    fn reply_prediction(&mut self, job_id: &JobId) -> Result<Next, RowError> {
        Ok(Next::Reply(match self.visible(job_id)? {
            Some(record) => LedgerReply::Prediction(Box::new(record)),
            None => self.no_prediction(job_id),
        }))
    }

    /// Deletes an ended prediction. For a minute after its create, a mark keeps a repeated message of the create from
    /// making the prediction again: the Dispatcher may still know it, and it would be paid twice.
    pub(super) fn delete(&mut self, job_id: JobId) -> Result<LedgerReply, RowError> {
        Ok(match self.visible(&job_id)? {
            None => self.no_prediction(&job_id),
            Some(record) if !record.status.is_terminal() => LedgerReply::Refused(LedgerRefusal::NotEnded),
            Some(record) => {
                self.mark_as_deleted(&record)?;
                self.write(Write::DeletePrediction(job_id));
                LedgerReply::Done
            }
        })
    }

    /// Marks a prediction whose row is deleted, for a minute after its create. Returns false if that minute is over.
    pub(super) fn mark_as_deleted(&mut self, record: &PredictionRecord) -> Result<bool, RowError> {
        let expires_at = record.created_at.plus_millis(WITHDRAWN_MILLIS);
        let is_recent = self.now < expires_at;
        if is_recent {
            self.write_mark(marks::withdrawn(&record.job_id), &1, expires_at)?;
        }
        Ok(is_recent)
    }
}
