//! Revocation of tokens (protocol 7).

use serde_json::json;

use super::actor::{LedgerActor, Revocations};
use super::marks;
use super::writes::Write;
use crate::cloudflare::objects::client::{known_revoked_by, revoked_by};
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::constants::{ISSUER_LEEWAY_MAX_SECS, ISSUER_OTHER_LIFETIME_MAX_SECS, PAGE_SIZE_MAX, SECONDS_PER_DAY};
use crate::ledger::is_revoked;
use crate::messages::{Caller, LedgerRefusal, LedgerReply, LedgerRequest, Revocation};
use crate::types::ids::JobId;
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::time::{UnixMillis, UnixSeconds};

impl LedgerActor {
    /// Returns whether the caller's token is known to be revoked, alone, with those of this user, or with those of all
    /// users. Asks nobody: whoever holds a revoked token could otherwise make the Dispatcher work.
    pub(super) fn is_known_revoked(&self, caller: &Caller, now: UnixMillis) -> ActorResult<bool> {
        Ok(is_revoked(caller, known_revoked_by()) || self.is_revoked_by_user(caller, now)?)
    }

    /// Returns the refusal of a caller whose token is revoked with those of all users: `Revoked`, or `Unavailable` if
    /// this isolate has never learned what is revoked. Asks the Dispatcher if its last answer is too old.
    pub(super) async fn check_revoked_for_all(
        &self,
        caller: Option<&Caller>,
        now: UnixMillis,
    ) -> Option<LedgerRefusal> {
        let caller = caller?;
        match revoked_by(&self.env, now).await {
            Ok(revoked_before) => is_revoked(caller, revoked_before).then_some(LedgerRefusal::Revoked),
            Err(PlatformError) => Some(LedgerRefusal::Unavailable),
        }
    }

    fn is_revoked_by_user(&self, caller: &Caller, now: UnixMillis) -> ActorResult<bool> {
        let mut slot = self.revocations.borrow_mut();
        if slot.is_none() {
            let store = self.store()?;
            *slot = Some(Revocations {
                revoked_before: store.mark(marks::REVOKED, now)?,
                tokens: store.marks(marks::REVOKED_TOKENS, now)?,
            });
        }
        let revocations = slot.as_ref().ok_or(PlatformError)?;
        let is_token_revoked = caller.jti.as_ref().is_some_and(|jti| revocations.tokens.contains(jti));
        Ok(is_token_revoked || is_revoked(caller, revocations.revoked_before))
    }

    /// Refuses tokens from the next request on, and cancels their waiting predictions. Running predictions continue:
    /// they are paid for.
    pub(super) async fn revoke(&self, revocation: Revocation, now: UnixMillis) -> ActorResult<LedgerReply> {
        let write = self.revocation_write(&revocation, now)?;
        self.store()?.store(&[write])?;
        *self.revocations.borrow_mut() = None;
        self.arm(now.plus_millis(UnixSeconds(SECONDS_PER_DAY).millis().0))?;
        self.cancel_waiting(&revocation, now).await
    }

    /// Returns the mark of a revocation. It is kept until no token that it refuses can be valid.
    fn revocation_write(&self, revocation: &Revocation, now: UnixMillis) -> ActorResult<Write<'static>> {
        Ok(match revocation {
            Revocation::Subject { issued_by } => {
                let before: Option<UnixSeconds> = self.store()?.mark(marks::REVOKED, now)?;
                // Revoke up to the time of this write, to include tokens that were issued while the message was in
                // flight.
                let issued_by = before.map_or(*issued_by, |before| before.max(*issued_by)).max(now.seconds());
                let longest = UnixSeconds(ISSUER_OTHER_LIFETIME_MAX_SECS).millis().0.saturating_mul(2);
                let expires_at = issued_by.millis().max(now).plus_millis(longest);
                Write::Mark(marks::REVOKED.to_owned(), json!(issued_by), expires_at)
            }
            Revocation::Token { jti, expires_at } => {
                let longest = ISSUER_OTHER_LIFETIME_MAX_SECS.saturating_add(2 * ISSUER_LEEWAY_MAX_SECS);
                let expires_at = now.max(*expires_at).plus_millis(UnixSeconds(longest).millis().0);
                Write::Mark(marks::revoked_token(jti), json!(jti), expires_at)
            }
        })
    }

    /// Cancels the waiting predictions of revoked tokens. Stops at the first refusal: the tokens are refused already, and
    /// a repeated revocation cancels the rest.
    async fn cancel_waiting(&self, revocation: &Revocation, now: UnixMillis) -> ActorResult<LedgerReply> {
        for job_id in self.waiting_of(revocation)? {
            if let refused @ LedgerReply::Refused(_) = self.cancel(&job_id, now).await? {
                return Ok(refused);
            }
        }
        Ok(LedgerReply::Done)
    }

    /// Returns whether the request is a revocation whose tokens have predictions that still wait.
    pub(super) fn has_waiting_to_cancel(&self, request: &LedgerRequest) -> ActorResult<bool> {
        let LedgerRequest::Revoke(revocation) = request else { return Ok(false) };
        Ok(!self.waiting_of(revocation)?.is_empty())
    }

    /// Returns the waiting predictions of revoked tokens, read page by page.
    fn waiting_of(&self, revocation: &Revocation) -> ActorResult<Vec<JobId>> {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = self.store()?.page(PAGE_SIZE_MAX, before.as_ref(), Some(Status::Queued))?;
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
