//! What a Ledger does by itself or at the Dispatcher's word: catching up, news, the alarm, revocation.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::json;

use crate::cloudflare::objects::client::ask_dispatcher;
use crate::cloudflare::objects::ledger::store::Write;
use crate::cloudflare::objects::ledger::{Done, LedgerActor};
use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::constants::{
    ALARM_LATE_MILLIS, DISPATCHER_ACK_TIMEOUT_MILLIS, ISSUER_LEEWAY_MAX_SECS, ISSUER_OTHER_LIFETIME_MAX_SECS, PAGE_SIZE_MAX,
    SECONDS_PER_DAY, STATE_CHECK_SLACK_MILLIS, WITHDRAW_RETRY_MILLIS,
};
use crate::ledger::{apply_update, build_lost_update, settle};
use crate::messages::{DispatcherReply, DispatcherRequest, JobUpdate, LedgerReply, Revocation};
use crate::types::ids::JobId;
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::time::{UnixMillis, UnixSeconds};

impl LedgerActor {
    /// A new instance looks for what the last one left undone: its process may have died in the middle of a create. And an
    /// alarm that did not ring is armed again.
    pub(super) fn catch_up(&self, now: UnixMillis) -> Done<()> {
        let is_late = self.armed.get().is_some_and(|armed| now.millis_since(armed) > ALARM_LATE_MILLIS);
        if is_late {
            self.armed.set(None);
        }
        if (!self.caught_up.replace(true) || is_late)
            && let Some(wake) = self.store()?.next_wake()?
            && wake <= now.plus_millis(WITHDRAW_RETRY_MILLIS)
        {
            self.arm(wake.max(now))?;
        }
        Ok(())
    }

    /// Applies news; settles in the same transaction what they end. An unknown job is an acknowledgement: it was
    /// refused, withdrawn or forgotten here.
    pub(super) fn apply_updates(&self, updates: &[JobUpdate], now: UnixMillis) -> Done<()> {
        let store = self.store()?;
        for said in updates {
            let Some(mut record) = store.prediction(&said.job_id)? else { continue };
            if !apply_update(&mut record, said, now) {
                continue;
            }
            let mut writes = vec![Write::Prediction(&record)];
            if record.status.is_terminal() {
                let (day, jti) = settle(&record, store.day(record.day)?, store.jti(record.jti.as_deref())?);
                writes.push(Write::Day(day));
                if let Some(name) = &record.jti {
                    writes.push(Write::Jti(name, jti, UnixMillis(0)));
                }
            }
            store.store(&writes)?;
        }
        Ok(())
    }

    /// The alarm: forget what is old, withdraw again, ask for what was silent too long; then arm the next one.
    pub(super) async fn wake(self: &Rc<Self>, now: UnixMillis) -> Done<()> {
        let store = self.store()?;
        let mut withdrawing = BTreeSet::<Vec<JobId>>::new();
        for mut record in store.woken(now)? {
            if record.status.is_terminal() {
                store.store(&[Write::Forget(&record.job_id)])?;
            } else if record.withdrawing {
                record.last_update_at = now;
                store.store(&[Write::Prediction(&record)])?;
                withdrawing.insert(self.siblings(record, now)?);
            } else {
                self.ask_about(record, now)?;
            }
        }
        for job_ids in withdrawing {
            let this = Rc::clone(self);
            self.state.wait_until(async move {
                let _ = this.withdraw(&job_ids).await;
            });
        }
        store.sweep(now)?;
        if store.is_empty()? {
            self.state.storage().delete_all().await.map_err(|_| PlatformError)?;
            store.forget_tables();
            self.forget_everything();
            return Ok(());
        }
        // Without predictions, what else is left needs a look once a day.
        let tomorrow = now.plus_millis(UnixSeconds(SECONDS_PER_DAY).millis().0);
        self.arm(store.next_wake()?.unwrap_or(tomorrow).min(tomorrow).max(now.plus_millis(WITHDRAW_RETRY_MILLIS)))
    }

    /// All that were made with a prediction: a batch goes or stays as a whole.
    fn siblings(&self, record: PredictionRecord, now: UnixMillis) -> Done<Vec<JobId>> {
        let batch = record.batch_id.map(|batch_id| self.store()?.mark(batch_id.as_str(), now)).transpose()?;
        Ok(batch.flatten().unwrap_or_else(|| vec![record.job_id]))
    }

    fn ask_about(self: &Rc<Self>, mut record: PredictionRecord, now: UnixMillis) -> Done<()> {
        if record.is_acknowledged() {
            log::alert("prediction_silent");
            record.state_check_at = now.plus_millis(STATE_CHECK_SLACK_MILLIS);
        } else {
            record.last_update_at = now;
        }
        self.store()?.store(&[Write::Prediction(&record)])?;
        let this = Rc::clone(self);
        self.state.wait_until(async move {
            let _ = this.ask_state(&record.job_id).await;
        });
        Ok(())
    }

    /// Asks where a silent prediction is. One that the Dispatcher does not know was never handed over (its message is out
    /// of time by now), or, if it had been, has ended in a way that nobody can tell.
    async fn ask_state(&self, job_id: &JobId) -> Done<()> {
        let request = DispatcherRequest::State { job_id: job_id.clone() };
        let reply = ask_dispatcher(&self.env, &request, DISPATCHER_ACK_TIMEOUT_MILLIS).await?;
        let DispatcherReply::Jobs(updates) = reply else { return Err(PlatformError) };
        let now = platform::now();
        if !updates.is_empty() {
            return self.apply_updates(&updates, now);
        }
        let Some(record) = self.store()?.prediction(job_id)? else { return Ok(()) };
        if !record.is_acknowledged() {
            // Withdrawn, so that a message which is still on its way finds a tombstone.
            return self.withdraw(&self.siblings(record, now)?).await;
        }
        log::alert("prediction_lost_by_dispatcher");
        self.apply_updates(&[build_lost_update(&record, now)], now)
    }

    /// Refuses tokens from the next request on, and cancels what waits; what runs is paid and goes on (protocol 7).
    pub(super) async fn revoke(&self, revocation: Revocation, now: UnixMillis) -> Done<LedgerReply> {
        let write = match &revocation {
            Revocation::Subject { issued_by } => {
                let before: Option<UnixSeconds> = self.store()?.mark("revoked", now)?;
                // By the time of the write: what was made while the message was on its way is meant as well.
                let issued_by = before.map_or(*issued_by, |before| before.max(*issued_by)).max(now.seconds());
                // No token that was issued by then is good for longer.
                let longest = UnixSeconds(ISSUER_OTHER_LIFETIME_MAX_SECS).millis().0.saturating_mul(2);
                Write::Mark("revoked".to_owned(), json!(issued_by), issued_by.millis().max(now).plus_millis(longest))
            }
            Revocation::Token { jti, expires_at } => {
                let longest = ISSUER_OTHER_LIFETIME_MAX_SECS.saturating_add(2 * ISSUER_LEEWAY_MAX_SECS);
                let until = now.max(*expires_at).plus_millis(UnixSeconds(longest).millis().0);
                Write::Mark(format!("revoked:{jti}"), json!(jti), until)
            }
        };
        self.store()?.store(&[write])?;
        *self.revoked.borrow_mut() = None;
        self.arm(now.plus_millis(UnixSeconds(SECONDS_PER_DAY).millis().0))?;
        let mut before = None;
        loop {
            let page = self.store()?.page(PAGE_SIZE_MAX, before.as_ref(), Some(Status::Queued))?;
            let Some(last) = page.last() else { return Ok(LedgerReply::Done) };
            before = Some(last.job_id.clone());
            for record in page {
                let is_meant = match &revocation {
                    Revocation::Subject { .. } => true,
                    Revocation::Token { jti, .. } => record.token_id.as_ref() == Some(jti),
                };
                if is_meant && let refused @ LedgerReply::Refused(_) = self.cancel(&record.job_id, now).await? {
                    // Tokens are refused already; whoever revokes tries again for the rest.
                    return Ok(refused);
                }
            }
        }
    }
}
