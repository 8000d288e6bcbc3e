//! Withdrawal: takes back a create whose client got 503 (protocol 1), and undoes a create that was refused.

use std::rc::Rc;

use serde_json::{Value, json};

use super::actor::LedgerActor;
use super::marks;
use super::writes::Write;
use crate::cloudflare::objects::client::ask_dispatcher;
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::constants::{DISPATCHER_ACK_TIMEOUT_MILLIS, WITHDRAW_RETRY_MILLIS, WITHDRAWN_MILLIS};
use crate::ledger::{JtiUsage, undo_admission};
use crate::messages::{DayUsage, DispatcherReply, DispatcherRequest, LedgerReply};
use crate::types::ids::JobId;
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::time::UnixMillis;

impl LedgerActor {
    /// Returns whether the edge withdrew a create before its message arrived: its client was told 503.
    pub(super) fn was_withdrawn(&self, job_ids: &[JobId], now: UnixMillis) -> ActorResult<bool> {
        let store = self.store()?;
        for job_id in job_ids {
            if store.mark::<Value>(&marks::withdrawn(job_id), now)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Withdraws a create for the edge. Replies `Done`, or with the predictions if they continue because one of them
    /// was already sent.
    pub(super) async fn withdraw_and_report(&self, job_ids: &[JobId], now: UnixMillis) -> ActorResult<LedgerReply> {
        if self.mark_withdrawn(job_ids, now)? {
            // If the Dispatcher does not reply, the alarm repeats the withdrawal.
            let _ = self.withdraw(job_ids).await;
        }
        let mut records = self.store()?.predictions(job_ids)?;
        records.retain(|record| !record.withdrawing);
        Ok(if records.is_empty() {
            LedgerReply::Done
        } else {
            LedgerReply::Created { records, is_submitting: false, batch_id: None, is_replayed: true }
        })
    }

    /// Withdraws a create whose client got 503. Tries now; the alarm retries until the Dispatcher replies.
    pub(super) fn withdraw_soon(self: &Rc<Self>, job_ids: &[JobId], now: UnixMillis) -> ActorResult<()> {
        if self.mark_withdrawn(job_ids, now)? {
            self.start_withdrawal(job_ids.to_vec());
        }
        Ok(())
    }

    /// Marks the predictions of a create as withdrawn, and arms the alarm. If the create has not arrived yet, it is
    /// marked so that it is refused on arrival. Returns whether the Dispatcher must be asked, which is the case if no
    /// prediction of the create was sent yet.
    fn mark_withdrawn(&self, job_ids: &[JobId], now: UnixMillis) -> ActorResult<bool> {
        let store = self.store()?;
        let mut records = store.predictions(job_ids)?;
        if records.is_empty() {
            let expires_at = now.plus_millis(WITHDRAWN_MILLIS);
            let mark = |job_id| Write::Mark(marks::withdrawn(job_id), json!(1), expires_at);
            store.store(&job_ids.iter().map(mark).collect::<Vec<_>>())?;
            self.arm(expires_at)?;
            return Ok(false);
        }
        if !is_unsent(&records, job_ids) {
            return Ok(false);
        }
        for record in &mut records {
            record.withdrawing = true;
            record.last_update_at = now;
        }
        store.store(&records.iter().map(Write::Prediction).collect::<Vec<_>>())?;
        self.arm(now.plus_millis(WITHDRAW_RETRY_MILLIS))?;
        Ok(true)
    }

    /// Starts a withdrawal that no request awaits. The alarm repeats one that fails.
    pub(super) fn start_withdrawal(self: &Rc<Self>, job_ids: Vec<JobId>) {
        let this = Rc::clone(self);
        self.state.wait_until(async move {
            let _ = this.withdraw(&job_ids).await;
        });
    }

    /// Asks the Dispatcher to drop a create, and undoes it then. Only the Dispatcher's reply releases the credits. If a
    /// prediction of the create was sent after all, the whole create goes on.
    pub(super) async fn withdraw(&self, job_ids: &[JobId]) -> ActorResult<()> {
        if is_unsent(&self.store()?.predictions(job_ids)?, job_ids) {
            let request = DispatcherRequest::Withdraw { job_ids: job_ids.to_vec() };
            let reply = ask_dispatcher(&self.env, &request, DISPATCHER_ACK_TIMEOUT_MILLIS).await?;
            let DispatcherReply::Jobs(updates) = reply else { return Err(PlatformError) };
            if updates.is_empty() {
                return self.undo(job_ids, platform::now());
            }
            self.apply_updates(&updates, platform::now())?;
        }
        let store = self.store()?;
        let mut records = store.predictions(job_ids)?;
        records.iter_mut().for_each(|record| record.withdrawing = false);
        store.store(&records.iter().map(Write::Prediction).collect::<Vec<_>>())
    }

    /// Undoes an admission, as if the create had never existed: deletes its predictions and its idempotency key, and
    /// gives back credits, caps and creates of the minute. Predictions that have ended stay.
    pub(super) fn undo(&self, job_ids: &[JobId], now: UnixMillis) -> ActorResult<()> {
        let store = self.store()?;
        let records = store.predictions(job_ids)?;
        let Some(first) = records.first() else { return Ok(()) };
        let mut usage: (DayUsage, JtiUsage) = (store.day(first.day)?, store.jti(first.jti.as_deref())?);
        let mut writes = Vec::new();
        for record in records.iter().filter(|record| !record.status.is_terminal()) {
            usage = undo_admission(record, usage.0, usage.1);
            self.with_minute(now, |minute| minute.return_creates(1, record.created_at))?;
            writes.push(Write::DeletePrediction(&record.job_id));
        }
        writes.push(Write::Day(usage.0));
        writes.push(self.minute_write(now)?);
        if let Some(jti) = &first.jti {
            writes.push(Write::Jti(jti, usage.1, UnixMillis(0)));
        }
        // While a part of the create stays, its key must not be free for another create.
        let is_complete = records.iter().all(|record| !record.status.is_terminal());
        if let Some(key) = first.idempotency_key.as_ref().filter(|_| is_complete) {
            writes.push(Write::DeleteMark(marks::idempotency_key(key)));
        }
        store.store(&writes)
    }
}

/// Returns whether the whole create is stored and none of it was sent to the vendor, as far as this Ledger knows.
fn is_unsent(records: &[PredictionRecord], job_ids: &[JobId]) -> bool {
    records.len() == job_ids.len() && records.iter().all(|record| record.status == Status::Queued)
}
