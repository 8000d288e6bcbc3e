//! The work of a Ledger that no user requests: job updates of the Dispatcher, recovery after a restart, the alarm.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::actor::LedgerActor;
use super::writes::Write;
use crate::cloudflare::objects::client::ask_dispatcher;
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::constants::{
    DISPATCHER_ACK_TIMEOUT_MILLIS, SECONDS_PER_DAY, STATE_CHECK_SLACK_MILLIS, WITHDRAW_RETRY_MILLIS,
};
use crate::ledger::{apply_update, build_lost_update, settle};
use crate::messages::{DispatcherReply, DispatcherRequest, JobUpdate};
use crate::types::ids::JobId;
use crate::types::prediction::PredictionRecord;
use crate::types::time::{UnixMillis, UnixSeconds};

impl LedgerActor {
    /// Arms the alarm for rows that are due: at the first message of an actor, since its predecessor may have died in
    /// the middle of a create, and whenever the alarm is late.
    pub(super) fn catch_up(self: &Rc<Self>, now: UnixMillis) -> ActorResult<()> {
        let is_late = self.alarm.forget_late();
        if self.has_caught_up.replace(true) && !is_late {
            return Ok(());
        }
        match self.store()?.next_wake()? {
            Some(wake) if wake <= now.plus_millis(WITHDRAW_RETRY_MILLIS) => self.arm(wake.max(now))?,
            None if self.store()?.exists()? => self.arm_daily_if_lost(now),
            Some(_) | None => {}
        }
        Ok(())
    }

    /// Arms the daily alarm of a Ledger that has only rows without a wake-up of their own, such as files, if the platform
    /// has lost it.
    fn arm_daily_if_lost(self: &Rc<Self>, now: UnixMillis) {
        let this = Rc::clone(self);
        self.state.wait_until(async move {
            if matches!(this.state.storage().get_alarm().await, Ok(None)) {
                let _ = this.arm(now.plus_millis(UnixSeconds(SECONDS_PER_DAY).millis().0));
            }
        });
    }

    /// Applies job updates. An update that ends a prediction settles its credits in the same transaction. An update of
    /// an unknown prediction is acknowledged: the prediction was refused, withdrawn or deleted here.
    pub(super) fn apply_updates(&self, updates: &[JobUpdate], now: UnixMillis) -> ActorResult<()> {
        let store = self.store()?;
        for update in updates {
            let Some(mut record) = store.prediction(&update.job_id)? else { continue };
            if !apply_update(&mut record, update, now) {
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

    /// Handles the alarm: deletes what is too old, withdraws again, asks for the state of silent predictions, and arms
    /// the next alarm last.
    pub(super) async fn run_alarm(self: &Rc<Self>, now: UnixMillis) -> ActorResult<()> {
        let store = self.store()?;
        let mut withdrawals = BTreeSet::<Vec<JobId>>::new();
        for mut record in store.due(now)? {
            if record.status.is_terminal() {
                store.store(&[Write::DeletePrediction(&record.job_id)])?;
            } else if record.withdrawing {
                record.last_update_at = now;
                store.store(&[Write::Prediction(&record)])?;
                withdrawals.insert(self.job_ids_of_create(record, now)?);
            } else {
                self.start_state_check(record, now)?;
            }
        }
        for job_ids in withdrawals {
            self.start_withdrawal(job_ids);
        }
        store.delete_expired(now)?;
        self.forget_files(now)?;
        if store.is_empty()? {
            self.state.storage().delete_all().await.map_err(|_| PlatformError)?;
            store.forget_tables();
            self.evict_rows();
            return Ok(());
        }
        // Rows without a wake-up of their own, such as marks, are checked once a day.
        let tomorrow = now.plus_millis(UnixSeconds(SECONDS_PER_DAY).millis().0);
        self.arm(store.next_wake()?.unwrap_or(tomorrow).min(tomorrow).max(now.plus_millis(WITHDRAW_RETRY_MILLIS)))
    }

    /// Returns all predictions of the create that made this one. A batch is withdrawn as a whole.
    fn job_ids_of_create(&self, record: PredictionRecord, now: UnixMillis) -> ActorResult<Vec<JobId>> {
        let batch = record.batch_id.map(|batch_id| self.store()?.mark(batch_id.as_str(), now)).transpose()?;
        Ok(batch.flatten().unwrap_or_else(|| vec![record.job_id]))
    }

    /// Starts a state check that no request awaits, and sets the time of the next one.
    fn start_state_check(self: &Rc<Self>, mut record: PredictionRecord, now: UnixMillis) -> ActorResult<()> {
        if record.is_acknowledged() {
            log::alert("prediction_silent");
            record.state_check_at = now.plus_millis(STATE_CHECK_SLACK_MILLIS);
        } else {
            record.last_update_at = now;
        }
        self.store()?.store(&[Write::Prediction(&record)])?;
        let this = Rc::clone(self);
        self.state.wait_until(async move {
            let _ = this.check_state(&record.job_id).await;
        });
        Ok(())
    }

    /// Asks the Dispatcher for the state of a silent prediction. If the Dispatcher does not know the prediction:
    ///
    /// - If it was never acknowledged, it was never handed over, and its message has expired by now. It is withdrawn.
    /// - If it was acknowledged, it has ended with an unknown outcome.
    async fn check_state(&self, job_id: &JobId) -> ActorResult<()> {
        let request = DispatcherRequest::State { job_id: job_id.clone() };
        let reply = ask_dispatcher(&self.env, &request, DISPATCHER_ACK_TIMEOUT_MILLIS).await?;
        let DispatcherReply::Jobs(updates) = reply else { return Err(PlatformError) };
        let now = platform::now();
        if !updates.is_empty() {
            return self.apply_updates(&updates, now);
        }
        let Some(record) = self.store()?.prediction(job_id)? else { return Ok(()) };
        if !record.is_acknowledged() {
            // The withdrawal leaves a tombstone, which refuses a message that is still in flight.
            return self.withdraw(&self.job_ids_of_create(record, now)?).await;
        }
        log::alert("prediction_lost_by_dispatcher");
        self.apply_updates(&[build_lost_update(&record, now)], now)
    }
}
