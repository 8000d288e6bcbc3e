//! Taking over the predictions of a create.

use serde_json::Value;

use super::accounts::KEY_ACCOUNT;
use super::job::JobState;
use super::machine::Dispatcher;
use crate::constants::{ENQUEUE_MAX_AGE_MILLIS, WAITING_INPUT_BYTES_MAX};
use crate::limit::seconds::whole_seconds;
use crate::messages::{Deadline, EnqueueRefusal, JobSpec, QueueShare};
use crate::types::credits::MicroCredits;
use crate::types::ids::UserKey;
use crate::types::time::{UnixMillis, UnixSeconds};

impl Dispatcher {
    /// Takes over predictions, all or none. `has_tombstone` says whether one of them ended or was withdrawn before.
    ///
    /// A repeated message changes nothing. A message whose sender has given up, or with an id that is over an hour old,
    /// is refused: a late message must never start a prediction (protocol 2).
    ///
    /// # Errors
    /// [`EnqueueRefusal`]. Then nothing was reserved.
    pub fn enqueue(
        &mut self,
        user: &UserKey,
        specs: Vec<JobSpec>,
        share: &QueueShare,
        deadline: Deadline,
        has_tombstone: bool,
        now: UnixMillis,
    ) -> Result<(), EnqueueRefusal> {
        if specs.iter().any(|spec| self.is_known(&spec.job_id)) {
            return Ok(());
        }
        // Not `advance`d yet: another object's times are compared with the real clock. After a step forward and back
        // the Dispatcher's own clock would refuse every message.
        let is_old = |spec: &JobSpec| now.millis_since(spec.job_id.created_at()) > ENQUEUE_MAX_AGE_MILLIS;
        if has_tombstone || specs.iter().any(is_old) || deadline.is_expired(now) {
            return Err(EnqueueRefusal::Expired);
        }
        let now = self.advance(now);
        self.check_pool(&specs, share)?;
        self.check_room(user, specs.len(), share, now)?;
        self.check_key(&specs, now)?;
        self.check_health(&specs, now)?;
        for spec in specs {
            self.add_job(user.clone(), spec, share.clone(), now);
        }
        Ok(())
    }

    /// Checks that the token behind new predictions was issued after the revoked-before time. Predictions that are
    /// known pass: they were admitted before, and this message repeats one whose reply was lost.
    ///
    /// # Errors
    /// [`EnqueueRefusal::Revoked`].
    pub fn check_revoked(&self, specs: &[JobSpec], issued_at: Option<UnixSeconds>) -> Result<(), EnqueueRefusal> {
        let is_revoked = issued_at.is_some_and(|issued_at| self.state.revoked_before >= Some(issued_at));
        let is_new = !specs.iter().any(|spec| self.is_known(&spec.job_id));
        if is_revoked && is_new { Err(EnqueueRefusal::Revoked) } else { Ok(()) }
    }

    /// Checks the credits that all users of the plan share.
    fn check_pool(&self, specs: &[JobSpec], share: &QueueShare) -> Result<(), EnqueueRefusal> {
        let cap = self.limits.pools.get(&share.plan).and_then(|pool| pool.daily_credits);
        if self.has_credits(&share.plan, specs, cap) { Ok(()) } else { Err(EnqueueRefusal::InsufficientCredits) }
    }

    /// Checks the vendor key's own credits. They are no user's fault, and available again at midnight UTC.
    fn check_key(&self, specs: &[JobSpec], now: UnixMillis) -> Result<(), EnqueueRefusal> {
        if self.has_credits(KEY_ACCOUNT, specs, self.limits.daily_credits) {
            return Ok(());
        }
        let midnight = now.utc_day().next().start();
        Err(EnqueueRefusal::UpstreamUnavailable { retry_after_secs: whole_seconds(midnight.millis_since(now)) })
    }

    /// Returns whether an account has room for the price of all `specs`.
    fn has_credits(&self, account: &str, specs: &[JobSpec], cap: Option<MicroCredits>) -> bool {
        let (Some(cap), Some(first)) = (cap, specs.first()) else { return true };
        let total = specs.iter().try_fold(MicroCredits::ZERO, |sum, spec| sum.checked_add(spec.credits));
        total.is_some_and(|total| self.state.accounts.has_room(account, first.day(), total, cap))
    }

    /// Checks that the predictions which would have to wait find room: within the user's limit, the plan's pool and the
    /// queue.
    fn check_room(
        &self,
        user: &UserKey,
        count: usize,
        share: &QueueShare,
        now: UnixMillis,
    ) -> Result<(), EnqueueRefusal> {
        let more = count.saturating_sub(self.count_immediate_starts(user, share, now));
        let is_over = |waiting: usize, limit: usize| more > 0 && waiting.saturating_add(more) > limit;
        let retry_after_secs = self.secs_until_a_slot(now);
        let own = self.waiting_jobs().filter(|job| job.user == *user).count();
        if is_over(own, usize::try_from(share.max_waiting).unwrap_or(usize::MAX)) {
            return Err(EnqueueRefusal::TooManyPredictions { retry_after_secs });
        }
        let of_plan = self.waiting_jobs().filter(|job| job.share.plan == share.plan).count();
        let pool = self.limits.pools.get(&share.plan).map_or(self.limits.max_waiting, |pool| pool.max_waiting);
        let waiting_bytes: usize = self.waiting_jobs().map(|job| text_bytes(job.spec.input.values())).sum();
        let has_too_many_bytes = more > 0 && waiting_bytes > WAITING_INPUT_BYTES_MAX;
        if has_too_many_bytes || is_over(self.waiting_jobs().count(), self.limits.max_waiting) || is_over(of_plan, pool)
        {
            return Err(EnqueueRefusal::QueueFull { retry_after_secs });
        }
        Ok(())
    }

    /// Checks that no model is paused, and that the vendor is not paused for longer than a prediction may wait.
    fn check_health(&self, specs: &[JobSpec], now: UnixMillis) -> Result<(), EnqueueRefusal> {
        let paused_until = |at: UnixMillis| EnqueueRefusal::UpstreamUnavailable {
            retry_after_secs: whole_seconds(at.millis_since(now)),
        };
        let health = &self.state.health;
        let model_paused_until = specs.iter().find_map(|spec| health.model_paused_until(&spec.model, now));
        if let Some(at) = model_paused_until {
            return Err(paused_until(at));
        }
        let position = self.waiting_jobs().count().saturating_add(specs.len());
        if health.is_paused() && self.expected_wait_millis(position, now) > self.limits.max_wait_millis {
            return Err(paused_until(health.next_create_at()));
        }
        Ok(())
    }

    /// Returns an estimate for `Retry-After`: the seconds until the next poll of a running job, at least one.
    fn secs_until_a_slot(&self, now: UnixMillis) -> u32 {
        let next_poll = self.jobs.values().filter(|job| job.state == JobState::Running).map(|job| job.poll_at).min();
        whole_seconds(next_poll.unwrap_or(now).millis_since(now))
    }
}

/// Returns the bytes of text in JSON values.
fn text_bytes<'a>(values: impl Iterator<Item = &'a Value>) -> usize {
    let bytes_of = |value: &'a Value| match value {
        Value::String(text) => text.len(),
        Value::Array(items) => text_bytes(items.iter()),
        Value::Object(members) => text_bytes(members.values()),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    values.map(bytes_of).sum()
}
