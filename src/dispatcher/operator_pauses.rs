//! The effects of an operator's pause on the queue.

use super::job::Job;
use super::machine::Dispatcher;
use super::pauses::PauseRefusal;
use crate::constants::MILLIS_PER_SECOND;
use crate::types::ids::PauseId;
use crate::types::model::ModelId;
use crate::types::time::UnixMillis;

impl Dispatcher {
    /// Pauses creates for a while: takes a lease, or renews it. Returns its end.
    ///
    /// # Errors
    /// [`PauseRefusal`]. Then nothing changes.
    pub fn pause(
        &mut self,
        id: &PauseId,
        model: Option<ModelId>,
        millis: i64,
        is_renewal: bool,
        now: UnixMillis,
    ) -> Result<UnixMillis, PauseRefusal> {
        let now = self.advance(now);
        let ends_at = now.plus_millis(millis);
        self.state.pauses.take(id, model, ends_at, is_renewal, now)?;
        Ok(ends_at)
    }

    /// Ends a pause, if it has not ended. Creates start again if no other lease is held.
    pub fn resume(&mut self, id: &PauseId, now: UnixMillis) {
        let now = self.advance(now);
        self.state.pauses.release(id, now);
    }

    /// Returns a model's queue time: the clock without the time in which the model was paused.
    pub(super) fn queue_time(&self, model: &ModelId, now: UnixMillis) -> UnixMillis {
        now.plus_millis(self.state.pauses.paused_millis(model, now).saturating_neg())
    }

    /// Returns whether creates of a model are paused by an operator.
    pub(super) fn is_paused(&self, model: &ModelId) -> bool {
        self.state.pauses.hold_all() || self.state.pauses.hold_model(model)
    }

    /// Returns when creates of a model may start again, if it is paused alone: by an operator, or because the vendor
    /// refuses it.
    pub(super) fn model_paused_until(&self, model: &ModelId, now: UnixMillis) -> Option<UnixMillis> {
        self.state.health.model_paused_until(model, now).max(self.state.pauses.model_until(model))
    }

    /// Returns how long all creates are expected to be paused: by an operator, or because of the vendor's health.
    pub(super) fn expected_pause_millis(&self, now: UnixMillis) -> i64 {
        let by_operator = self.state.pauses.all_until().map_or(0, |until| until.millis_since(now));
        self.state.health.expected_pause_millis(now).max(by_operator)
    }

    /// Returns when a job must have ended, if a pause has let it wait for longer than any may else.
    pub(super) fn late_at(&self, job: &Job, now: UnixMillis) -> Option<UnixMillis> {
        let plain = job.enqueued_at.plus_millis(self.limits.max_wait_millis);
        match job.submitted_at {
            Some(submitted_at) => (submitted_at > plain).then(|| job.run_deadline()),
            None => {
                let wait_ends_at = self.wait_ends_at(job, now);
                let run_millis = i64::from(job.spec.max_seconds).saturating_mul(MILLIS_PER_SECOND);
                (wait_ends_at > plain).then(|| wait_ends_at.plus_millis(run_millis))
            }
        }
    }

    /// Returns when the wait of a job ends, if no other pause comes.
    pub(super) fn wait_ends_at(&self, job: &Job, now: UnixMillis) -> UnixMillis {
        let model = &job.spec.model;
        let paused = self.state.pauses.paused_millis(model, now).saturating_add(self.pause_left_millis(model, now));
        job.wait_deadline(self.limits.max_wait_millis).plus_millis(paused)
    }

    /// Returns how long an operator's pause of a model lasts from now on.
    pub(super) fn pause_left_millis(&self, model: &ModelId, now: UnixMillis) -> i64 {
        let until = self.state.pauses.all_until().max(self.state.pauses.model_until(model));
        until.map_or(0, |until| until.millis_since(now).max(0))
    }
}
