//! Revocation of a user's tokens (protocol 7).

use super::cancels::Cancelable;
use super::machine::Revocations;
use super::marks;
use super::revocation::is_revoked;
use super::rows::RowError;
use super::step::{Answer, Continuation, Next, Question};
use super::turn::Turn;
use crate::constants::{ISSUER_LEEWAY_MAX_SECS, ISSUER_OTHER_LIFETIME_MAX_SECS, PAGE_SIZE_MAX};
use crate::messages::{Caller, DispatcherRequest, LedgerRefusal, LedgerReply, LedgerRequest, Revocation};
use crate::types::ids::JobId;
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::time::UnixSeconds;

impl Turn<'_> {
    /// Returns whether the caller's token is known to be revoked, alone, with those of this user, or with those of all
    /// users. Asks nobody: whoever holds a revoked token could otherwise make the Dispatcher work.
    pub(super) fn is_known_revoked(&mut self, caller: &Caller) -> Result<bool, RowError> {
        if is_revoked(caller, self.revoked_before) {
            return Ok(true);
        }
        let revocations = match self.ledger.revocations.take() {
            Some(revocations) => revocations,
            None => {
                Revocations { revoked_before: self.mark(marks::REVOKED)?, tokens: self.marks(marks::REVOKED_TOKENS)? }
            }
        };
        let revocations = self.ledger.revocations.insert(revocations);
        let is_token_revoked = caller.jti.as_ref().is_some_and(|jti| revocations.tokens.contains(jti));
        Ok(is_token_revoked || is_revoked(caller, revocations.revoked_before))
    }

    /// Refuses tokens from the next request on, and cancels their waiting predictions. Running predictions continue:
    /// they are paid for.
    pub(super) fn revoke(&mut self, revocation: Revocation) -> Result<Next, RowError> {
        self.mark_revoked(&revocation)?;
        self.ledger.revocations = None;
        let mut waiting = self.waiting_of(&revocation)?;
        waiting.reverse();
        self.cancel_waiting(waiting)
    }

    /// Writes the mark of a revocation. It is kept until no token that it refuses can be valid.
    pub(super) fn mark_revoked(&mut self, revocation: &Revocation) -> Result<(), RowError> {
        let now = self.now;
        match revocation {
            Revocation::Subject { issued_by } => {
                let before: Option<UnixSeconds> = self.mark(marks::REVOKED)?;
                // Revoke up to the time of this write, to include tokens that were issued while the message was in
                // flight.
                let issued_by = before.map_or(*issued_by, |before| before.max(*issued_by)).max(now.seconds());
                let longest = UnixSeconds(ISSUER_OTHER_LIFETIME_MAX_SECS).millis().0.saturating_mul(2);
                let expires_at = issued_by.millis().max(now).plus_millis(longest);
                self.wake_by(expires_at.hour_end());
                self.write_mark(marks::REVOKED.to_owned(), &issued_by, expires_at)
            }
            Revocation::Token { jti, expires_at } => {
                let longest = ISSUER_OTHER_LIFETIME_MAX_SECS.saturating_add(2 * ISSUER_LEEWAY_MAX_SECS);
                let expires_at = now.max(*expires_at).plus_millis(UnixSeconds(longest).millis().0);
                self.wake_by(expires_at.hour_end());
                self.write_mark(marks::revoked_token(jti), jti, expires_at)
            }
        }
    }

    /// Cancels the waiting predictions of revoked tokens, one after the other. Stops at the first refusal: the tokens are
    /// refused already, and a repeated revocation cancels the rest.
    fn cancel_waiting(&mut self, mut rest: Vec<JobId>) -> Result<Next, RowError> {
        while let Some(job_id) = rest.pop() {
            match self.check_cancelable(&job_id)? {
                Cancelable::Open => {
                    let question = Question::Dispatcher(DispatcherRequest::Cancel { job_id });
                    return Ok(Next::Ask(question, Continuation::CancelWaiting { rest }));
                }
                Cancelable::Ended | Cancelable::Missing => {}
                Cancelable::Unacknowledged => return Ok(Next::refuse(LedgerRefusal::Unavailable)),
            }
        }
        Ok(Next::Reply(LedgerReply::Done))
    }

    /// Stores what the Dispatcher says about a cancel, and goes on with the next.
    pub(super) fn resume_cancels(&mut self, rest: Vec<JobId>, answer: Option<Answer>) -> Result<Next, RowError> {
        if self.apply_cancel(answer)? {
            self.cancel_waiting(rest)
        } else {
            Ok(Next::refuse(LedgerRefusal::Unavailable))
        }
    }

    /// Returns whether the request is a revocation whose tokens have predictions that still wait.
    pub(super) fn has_waiting_to_cancel(&self, request: &LedgerRequest) -> Result<bool, RowError> {
        let LedgerRequest::Revoke(revocation) = request else { return Ok(false) };
        Ok(!self.waiting_of(revocation)?.is_empty())
    }

    /// Returns the waiting predictions of revoked tokens, read page by page.
    fn waiting_of(&self, revocation: &Revocation) -> Result<Vec<JobId>, RowError> {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = self.rows.page(PAGE_SIZE_MAX, before.as_ref(), Some(Status::Queued))?;
            let Some(last) = page.last() else { return Ok(found) };
            before = Some(last.job_id.clone());
            let revoked = page.iter().filter(|record| is_made_by_revoked(record, revocation));
            found.extend(revoked.map(|record| record.job_id.clone()));
        }
    }
}

/// Returns whether a revoked token created the prediction.
fn is_made_by_revoked(record: &PredictionRecord, revocation: &Revocation) -> bool {
    match revocation {
        Revocation::Subject { .. } => true,
        Revocation::Token { jti, .. } => record.token_id.as_ref() == Some(jti),
    }
}
