//! The work of a Ledger that no user requests: job updates of the Dispatcher, and the alarm.

use super::lifecycle::{apply_update, build_lost_update, settle};
use super::marks;
use super::rows::{RowError, Write};
use super::step::{Answer, Continuation, Next, Question};
use super::turn::Turn;
use super::withdrawal::is_unsent;
use crate::constants::{JTI_KEPT_MILLIS, MILLIS_PER_DAY, STATE_CHECK_SLACK_MILLIS, USAGE_DAYS};
use crate::messages::{DispatcherReply, DispatcherRequest, JobUpdate, LedgerReply};
use crate::types::alert::Alert;
use crate::types::ids::JobId;
use crate::types::prediction::PredictionRecord;
use crate::types::time::UtcDay;

impl Turn<'_> {
    /// Applies job updates. An update that ends a prediction settles its credits in the same transaction. An update of
    /// an unknown prediction is acknowledged: the prediction was refused, withdrawn or deleted here.
    pub(super) fn apply_updates(&mut self, updates: &[JobUpdate]) -> Result<(), RowError> {
        for update in updates {
            let Some(mut record) = self.prediction(&update.job_id)? else { continue };
            if !apply_update(&mut record, update, self.now) {
                continue;
            }
            if record.status.is_terminal() {
                if record.is_erased {
                    self.wake_by(self.now.hour_end());
                }
                let (day, jti) = self.usage(record.day, record.jti.as_deref())?;
                self.write_usage(settle(&record, day, jti), record.jti.as_deref());
                self.note_end(&record)?;
            }
            self.write_prediction(record);
        }
        Ok(())
    }

    /// Handles the alarm: deletes what is too old, withdraws again, and asks for the state of silent predictions.
    /// [`super::Ledger::change_alarm`] sets the next alarm.
    pub(super) fn handle_alarm(&mut self) -> Result<(), RowError> {
        let due = self.rows.due(self.now)?;
        // Rows that cannot be read would fire the alarm forever. They wait a day for a version that can read them.
        if due.is_empty() && self.rows.next_wake()?.is_some_and(|wake| wake <= self.now) {
            self.write(Write::Postpone { now: self.now, until: self.now.plus_millis(MILLIS_PER_DAY) });
        }
        let mut withdrawals = Vec::new();
        for record in due {
            if record.withdrawing {
                let job_ids = self.job_ids_of_create(&record)?;
                self.write_prediction(PredictionRecord { last_update_at: self.now, ..record });
                if !withdrawals.contains(&job_ids) {
                    withdrawals.push(job_ids);
                }
            } else {
                self.start_state_check(record)?;
            }
        }
        for job_ids in withdrawals {
            self.tasks.push(Next::Continue(Continuation::Withdraw { job_ids }));
        }
        if self.rows.exists()? {
            self.end_erasure()?;
            self.write(Write::DeleteEndedPredictions(self.now));
            self.write(Write::DeleteDays(UtcDay(self.now.utc_day().0.saturating_sub(USAGE_DAYS))));
            self.write(Write::DeleteExpiredJtis(self.now.plus_millis(-JTI_KEPT_MILLIS)));
            self.write(Write::DeleteExpiredMarks(self.now));
            for prefix in marks::SHORT_LIVED {
                self.write(Write::DeleteShortLivedMarks { prefix, by: self.now });
            }
        }
        self.forget_files()
    }

    /// Returns all predictions of the create that made this one. A batch is withdrawn as a whole.
    fn job_ids_of_create(&self, record: &PredictionRecord) -> Result<Vec<JobId>, RowError> {
        let batch = record.batch_id.as_ref().map(|batch_id| self.mark(batch_id.as_str())).transpose()?;
        Ok(batch.flatten().unwrap_or_else(|| vec![record.job_id.clone()]))
    }

    /// Starts a state check that no request awaits, and sets the time of the next one.
    fn start_state_check(&mut self, mut record: PredictionRecord) -> Result<(), RowError> {
        // The Dispatcher takes over all predictions of a create at once.
        let create = self.predictions(&self.job_ids_of_create(&record)?)?;
        let was_acknowledged = create.iter().any(PredictionRecord::is_acknowledged);
        if record.is_acknowledged() {
            record.state_check_at = self.now.plus_millis(STATE_CHECK_SLACK_MILLIS);
        } else {
            record.last_update_at = self.now;
        }
        let job_id = record.job_id.clone();
        self.write_prediction(record);
        let request = DispatcherRequest::State { job_id: job_id.clone() };
        self.tasks.push(Next::Ask(
            Question::Dispatcher(request),
            Continuation::ConcludeStateCheck { job_id, was_acknowledged },
        ));
        Ok(())
    }

    /// Raises the alert about a silent prediction, unless the Dispatcher says that a pause by operators explains it. Then it
    /// is asked again when the prediction must have ended.
    fn note_silence(&mut self, job_id: &JobId, answer: Option<&Answer>) -> Result<(), RowError> {
        let Some(record) = self.prediction(job_id)?.filter(|record| !record.status.is_terminal()) else {
            return Ok(());
        };
        if !record.is_acknowledged() {
            return Ok(());
        }
        let late_at = match answer {
            Some(Answer::Dispatcher(DispatcherReply::Jobs(updates))) => {
                updates.iter().find(|update| update.job_id == *job_id).and_then(|update| update.late_at)
            }
            _ => None,
        };
        let check_at = late_at.map(|late_at| late_at.plus_millis(STATE_CHECK_SLACK_MILLIS));
        match check_at.filter(|check_at| *check_at > self.now) {
            Some(state_check_at) => self.write_prediction(PredictionRecord { state_check_at, ..record }),
            None => self.alerts.push(Alert::PredictionSilent),
        }
        Ok(())
    }

    /// Stores what the Dispatcher says about a silent prediction. If it does not know the prediction:
    ///
    /// - If it never acknowledged the prediction, that was never handed over, and its message has expired by now. It is
    ///   withdrawn. So is one that a withdrawal overtook: the reply to that decides.
    /// - If it had acknowledged a prediction of the same create before it was asked, and the create cannot be withdrawn
    ///   any more, the prediction has ended with an unknown outcome.
    pub(super) fn conclude_state_check(
        &mut self,
        job_id: &JobId,
        was_acknowledged: bool,
        answer: Option<Answer>,
    ) -> Result<Next, RowError> {
        let done = Next::Reply(LedgerReply::Done);
        self.note_silence(job_id, answer.as_ref())?;
        let Some(Answer::Dispatcher(DispatcherReply::Jobs(updates))) = answer else { return Ok(done) };
        if !updates.is_empty() {
            return self.apply_updates(&updates).map(|()| done);
        }
        let Some(record) = self.prediction(job_id)?.filter(|record| !record.status.is_terminal()) else {
            return Ok(done);
        };
        if !record.is_acknowledged() || record.withdrawing {
            // The withdrawal leaves a tombstone, which refuses a message that is still in flight.
            let job_ids = self.job_ids_of_create(&record)?;
            if !was_acknowledged || is_unsent(&self.predictions(&job_ids)?, &job_ids) {
                return self.withdraw_and_report(job_ids);
            }
        }
        if was_acknowledged {
            self.alerts.push(Alert::PredictionLostByDispatcher);
            self.apply_updates(&[build_lost_update(&record, self.now)])?;
        }
        Ok(done)
    }
}
