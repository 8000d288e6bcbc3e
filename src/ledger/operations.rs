//! An operator's requests about one user: export, own limits, cancels, deletion (protocol 7).

use super::cancels::Cancelable;
use super::marks;
use super::reads::truncate_page;
use super::rows::{RowError, Write};
use super::step::{Answer, Continuation, Next, Question};
use super::turn::Turn;
use crate::constants::{
    BATCH_OPEN_MILLIS, ERASED_MARKS_MILLIS, FILE_SWEEP_AGAIN_MILLIS, IDEMPOTENCY_MILLIS, JTI_KEPT_MILLIS,
    PAGE_SIZE_MAX, UPLOAD_RESERVATION_MILLIS,
};
use crate::messages::{
    DispatcherReply, DispatcherRequest, LedgerRefusal, LedgerReply, LimitOverride, OperatorReply, OperatorRequest,
    Revocation, UserExport, UserOperation,
};
use crate::types::file::FileRecord;
use crate::types::ids::{FileId, JobId, UserKey};
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::time::{UnixMillis, UtcDay};

/// A time that never comes: JavaScript's largest exact integer.
const FOREVER: UnixMillis = UnixMillis((1 << 53) - 1);

impl Turn<'_> {
    /// Handles an operator's request about this user: `NotFound` (404) if nothing is stored.
    pub(super) fn operate(&mut self, operation: UserOperation) -> Result<Next, RowError> {
        if let UserOperation::Erase { user } = operation {
            return self.erase(user);
        }
        if !self.rows.exists()? {
            return Ok(Next::refuse(LedgerRefusal::NotFound));
        }
        match operation {
            UserOperation::Know | UserOperation::Erase { .. } => Ok(Next::Reply(LedgerReply::Done)),
            UserOperation::Export { limit, before, before_file } => {
                self.export(limit, before.as_ref(), before_file.as_ref())
            }
            UserOperation::Override(limits) => self.override_limits(limits),
            UserOperation::CancelAll => self.cancel_all(),
        }
    }

    fn export(&mut self, limit: u32, before: Option<&JobId>, before_file: Option<&FileId>) -> Result<Next, RowError> {
        let limit = limit.clamp(1, PAGE_SIZE_MAX);
        let (predictions, has_more_predictions) = match before_file {
            Some(_) => (Vec::new(), false),
            None => truncate_page(self.rows.page(limit, before, None)?, limit),
        };
        let (files, has_more_files) = match has_more_predictions {
            true => (Vec::new(), true),
            false => truncate_page(self.rows.files(limit, before_file, self.forgotten_day())?, limit),
        };
        let export = UserExport {
            predictions,
            has_more_predictions,
            files,
            has_more_files,
            days: self.rows.days(self.now.utc_day())?,
            revoked_before: self.mark(marks::REVOKED)?,
            revoked_tokens: self.marks(marks::REVOKED_TOKENS)?,
            limits: self.own_limits()?,
        };
        Ok(Next::Reply(LedgerReply::Export(Box::new(export))))
    }

    fn override_limits(&mut self, limits: Option<LimitOverride>) -> Result<Next, RowError> {
        self.ledger.own_limits = None;
        match limits {
            Some(limits) => {
                self.wake_by(limits.expires_at.hour_end());
                self.write_mark(marks::OWN_LIMITS.to_owned(), &limits, limits.expires_at)?;
            }
            None => self.write(Write::DeleteMark(marks::OWN_LIMITS.to_owned())),
        }
        Ok(Next::Reply(LedgerReply::Done))
    }

    /// Cancels all that waits or runs: `Unavailable` (503) if the Dispatcher does not reply, or has not acknowledged one of
    /// the predictions. All others are canceled then, and a repeated request cancels the rest.
    fn cancel_all(&mut self) -> Result<Next, RowError> {
        let (job_ids, is_complete) = self.open_predictions(|_| true)?;
        if job_ids.is_empty() {
            return Ok(conclude(is_complete));
        }
        let request = OperatorRequest::CancelJobs { job_ids };
        let question = Question::Dispatcher(DispatcherRequest::Operator(Box::new(request)));
        Ok(Next::Ask(question, Continuation::ConcludeCancels { is_complete }))
    }

    /// Stores what the Dispatcher says about the cancels.
    pub(super) fn conclude_cancels(&mut self, is_complete: bool, answer: Option<Answer>) -> Result<Next, RowError> {
        let Some(OperatorReply::Jobs { updates, .. }) = operator_reply(answer) else {
            return Ok(Next::refuse(LedgerRefusal::Unavailable));
        };
        self.apply_updates(&updates)?;
        Ok(conclude(is_complete))
    }

    /// Returns those of the predictions that have not ended and that the Dispatcher has acknowledged, and whether these are
    /// all.
    fn open_predictions(&self, is_asked: impl Fn(&PredictionRecord) -> bool) -> Result<(Vec<JobId>, bool), RowError> {
        let (mut found, mut is_complete) = (Vec::new(), true);
        for status in [Status::Queued, Status::Processing] {
            let mut before: Option<JobId> = None;
            loop {
                let page = self.rows.page(PAGE_SIZE_MAX, before.as_ref(), Some(status))?;
                let Some(last) = page.last() else { break };
                before = Some(last.job_id.clone());
                for record in page.into_iter().filter(&is_asked) {
                    match self.check_cancelable(&record.job_id)? {
                        Cancelable::Open => found.push(record.job_id),
                        Cancelable::Unacknowledged => is_complete = false,
                        Cancelable::Ended | Cancelable::Missing => {}
                    }
                }
            }
        }
        Ok((found, is_complete))
    }

    /// Deletes the user, in this order:
    ///
    /// 1. Every token issued by now is revoked. If the Dispatcher has not acknowledged a prediction yet: `Unavailable`
    ///    (503). Its create ends within seconds, and a repeated request goes on.
    /// 2. The Dispatcher cancels what waits, and forgets whose spend it was. [`Self::conclude_erasure`] does the rest.
    ///
    /// Spend is kept longer than a Ledger that nobody uses: without any row, the Dispatcher decides whether the user is
    /// known, and tokens are revoked after its reply.
    fn erase(&mut self, user: UserKey) -> Result<Next, RowError> {
        let mut job_ids = Vec::new();
        let had_rows = self.rows.exists()?;
        if had_rows {
            self.revoke_by_now()?;
            let (open, is_complete) = self.open_predictions(|_| true)?;
            if !is_complete {
                return Ok(Next::refuse(LedgerRefusal::Unavailable));
            }
            job_ids = open;
        }
        let request = OperatorRequest::ForgetUser { user, job_ids: job_ids.clone(), by: self.now };
        let question = Question::Dispatcher(DispatcherRequest::Operator(Box::new(request)));
        Ok(Next::Ask(question, Continuation::ConcludeErasure { job_ids, started: self.now, had_rows }))
    }

    fn revoke_by_now(&mut self) -> Result<(), RowError> {
        self.ledger.revocations = None;
        self.mark_revoked(&Revocation::Subject { issued_by: self.now.seconds() })
    }

    /// Stores what the Dispatcher says, and erases in the same transaction:
    ///
    /// - Predictions that have ended are deleted. Those that run go on without any content, hidden from every read, and
    ///   are settled ([`PredictionRecord::is_erased`]).
    /// - Files are forgotten: the Dispatcher deletes them at the vendor.
    /// - Idempotency keys, batches, uploads under way and the user's own limits are deleted, and the usage of earlier days.
    /// - Events that were not sent are deleted, also those of the predictions that the deletion canceled.
    ///
    /// Revocations, what tokens with caps have spent, and the usage of today and yesterday stay for 48 hours, until no token that was
    /// issued by now can be valid.
    pub(super) fn conclude_erasure(
        &mut self,
        job_ids: &[JobId],
        started: UnixMillis,
        had_rows: bool,
        answer: Option<Answer>,
    ) -> Result<Next, RowError> {
        let Some(OperatorReply::Jobs { updates, is_user_known }) = operator_reply(answer) else {
            return Ok(Next::refuse(LedgerRefusal::Unavailable));
        };
        if !had_rows {
            return self.conclude_erasure_of_empty(is_user_known);
        }
        self.apply_updates(&updates)?;
        // Also those whose rows could not be read when the deletion began.
        let (older, is_complete) = self.open_predictions(|record| record.created_at <= started)?;
        if !is_complete {
            return Ok(Next::refuse(LedgerRefusal::Unavailable));
        }
        let open: Vec<JobId> = job_ids.iter().cloned().chain(older).collect();
        for record in self.predictions(&open)?.into_iter().filter(|record| !record.status.is_terminal()) {
            self.write_prediction(record.erased());
        }
        self.mark_recent_as_deleted()?;
        self.write(Write::DeleteEndedPredictions(FOREVER));
        self.forget_files_up_to(started)?;
        let batches = self.ledger.retention.millis().saturating_add(BATCH_OPEN_MILLIS);
        let (keys, uploads) = (IDEMPOTENCY_MILLIS, UPLOAD_RESERVATION_MILLIS);
        for (prefix, kept) in [(marks::IDEMPOTENCY_KEYS, keys), (marks::BATCHES, batches), (marks::UPLOADS, uploads)] {
            self.write(Write::DeleteShortLivedMarks { prefix, by: started.plus_millis(kept) });
        }
        self.write(Write::DeleteMark(marks::OWN_LIMITS.to_owned()));
        self.ledger.own_limits = None;
        self.write(Write::DeleteShortLivedMarks { prefix: marks::EVENTS, by: FOREVER });
        // It names the event that was tried last.
        self.write(Write::DeleteMark(marks::RECEIVER.to_owned()));
        self.ledger.usual_spend = None;
        let today = self.now.utc_day();
        // A create just after midnight may still book the day before.
        self.write(Write::DeleteDays(UtcDay(today.0.saturating_sub(2))));
        let gone_at = self.now.plus_millis(ERASED_MARKS_MILLIS);
        self.write(Write::ExpireJtis(gone_at.plus_millis(-JTI_KEPT_MILLIS)));
        self.write_mark(marks::ERASED.to_owned(), &today, gone_at)?;
        self.wake_by(gone_at.hour_end());
        Ok(Next::Reply(LedgerReply::Done))
    }

    /// Ends the deletion of a user whose Ledger had no row when it began. A create that has arrived since has a token of
    /// before, and the Dispatcher was not asked about its predictions: `Unavailable` (503), and a repeated request goes on.
    fn conclude_erasure_of_empty(&mut self, is_user_known: bool) -> Result<Next, RowError> {
        let is_empty = !self.rows.exists()?;
        if is_empty && !is_user_known {
            return Ok(Next::refuse(LedgerRefusal::NotFound));
        }
        self.revoke_by_now()?;
        Ok(conclude(is_empty))
    }

    /// Marks the predictions of the last minute, as the deletion of one does: a create whose message arrives again is not
    /// admitted a second time once its row is gone.
    fn mark_recent_as_deleted(&mut self) -> Result<(), RowError> {
        let mut before: Option<JobId> = None;
        loop {
            let page = self.rows.page(PAGE_SIZE_MAX, before.as_ref(), None)?;
            let Some(last) = page.last() else { return Ok(()) };
            before = Some(last.job_id.clone());
            let mut is_over = false;
            for record in &page {
                is_over = !self.mark_as_deleted(record)?;
            }
            if is_over {
                return Ok(());
            }
        }
    }

    /// Marks the files that were uploaded up to a time as forgotten, and makes the alarm hand them over soon.
    fn forget_files_up_to(&mut self, by: UnixMillis) -> Result<(), RowError> {
        let mut before: Option<FileId> = None;
        loop {
            let page = self.rows.files(PAGE_SIZE_MAX, before.as_ref(), self.forgotten_day())?;
            let Some(last) = page.last() else { return Ok(()) };
            before = Some(last.file_id.clone());
            for file in page.into_iter().filter(|file| file.created_at <= by) {
                self.forget_file(file);
            }
        }
    }

    /// Stores a file's record as that of a forgotten one.
    pub(super) fn forget_file(&mut self, file: FileRecord) {
        self.write(Write::File(FileRecord { used_on: Some(UtcDay(0)), ..file }));
        self.ledger.files_swept_at = UnixMillis(0);
        self.wake_by(self.now.plus_millis(FILE_SWEEP_AGAIN_MILLIS));
    }

    /// Returns whether the user was deleted within 48 hours.
    pub(super) fn was_erased(&self) -> Result<bool, RowError> {
        Ok(self.rows.mark(marks::ERASED, self.now)?.is_some())
    }

    /// Deletes the usage of the day of an erasure, once its mark expires. The alarm deletes the mark in the same turn.
    pub(super) fn end_erasure(&mut self) -> Result<(), RowError> {
        // Also a mark that has expired.
        let Some(doc) = self.rows.mark(marks::ERASED, UnixMillis(0))? else { return Ok(()) };
        if !self.was_erased()? {
            self.write(Write::DeleteDays(serde_json::from_str(&doc).map_err(|_| RowError)?));
        }
        Ok(())
    }

    /// Returns the user's own requests per minute in place of the plan's, if the request is counted at all.
    pub(super) fn own_requests_per_minute(&mut self, of_plan: Option<u32>) -> Result<Option<u32>, RowError> {
        let Some(of_plan) = of_plan else { return Ok(None) };
        Ok(self.own_limits()?.and_then(|own| own.requests_per_minute).or(Some(of_plan)))
    }

    /// Returns the user's own limits. The first use reads them from their mark.
    pub(super) fn own_limits(&mut self) -> Result<Option<LimitOverride>, RowError> {
        if self.ledger.own_limits.is_none() {
            self.ledger.own_limits = Some(self.mark(marks::OWN_LIMITS)?);
        }
        let limits = self.ledger.own_limits.clone().flatten();
        Ok(limits.filter(|limits| limits.expires_at > self.now))
    }
}

/// Returns the reply to a request that went as far as it could.
const fn conclude(is_complete: bool) -> Next {
    if is_complete { Next::Reply(LedgerReply::Done) } else { Next::refuse(LedgerRefusal::Unavailable) }
}

fn operator_reply(answer: Option<Answer>) -> Option<OperatorReply> {
    match answer {
        Some(Answer::Dispatcher(DispatcherReply::Operator(reply))) => Some(*reply),
        _ => None,
    }
}

impl PredictionRecord {
    /// Returns the record of a running prediction of a deleted user: what its settlement needs, and nothing else.
    fn erased(self) -> Self {
        Self {
            is_erased: true,
            idempotency_key: None,
            token_id: None,
            batch_id: None,
            queue: None,
            output: Vec::new(),
            user: None,
            ..self
        }
    }
}
