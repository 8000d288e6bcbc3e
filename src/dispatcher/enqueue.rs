//! Taking over the predictions of a create.

use super::accounts::KEY_ACCOUNT;
use super::job_table::JobCounts;
use super::job_terms::JobTerms;
use super::machine::Dispatcher;
use crate::constants::{ENQUEUE_MAX_AGE_MILLIS, STORED_INPUT_BYTES_MAX, USER_INPUT_BYTES_MAX};
use crate::limit::seconds::whole_seconds;
use crate::messages::{Deadline, EnqueueRefusal, JobSpec, QueueShare};
use crate::types::credits::MicroCredits;
use crate::types::ids::UserKey;
use crate::types::time::{UnixMillis, UnixSeconds};

/// A new prediction, and its input as JSON.
pub(super) type NewJob = (JobTerms, String);

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
        let jobs: Vec<NewJob> = specs.into_iter().map(JobTerms::split).collect();
        self.check_pool(&jobs, share).inspect_err(|_| self.watch_refused_credits(&share.plan, &jobs, now))?;
        self.check_room(user, &jobs, share, now)?;
        self.check_key(&jobs, now).inspect_err(|_| self.watch_refused_credits(KEY_ACCOUNT, &jobs, now))?;
        self.check_health(&jobs, now)?;
        for job in jobs {
            self.add_job(user.clone(), job, share.clone(), now);
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
    fn check_pool(&self, jobs: &[NewJob], share: &QueueShare) -> Result<(), EnqueueRefusal> {
        if self.has_credits(&share.plan, jobs, self.daily_credits_of(&share.plan)) {
            Ok(())
        } else {
            Err(EnqueueRefusal::InsufficientCredits)
        }
    }

    /// Checks the vendor key's own credits. They are no user's fault, and available again at midnight UTC.
    fn check_key(&self, jobs: &[NewJob], now: UnixMillis) -> Result<(), EnqueueRefusal> {
        if self.has_credits(KEY_ACCOUNT, jobs, self.limits.daily_credits) {
            return Ok(());
        }
        let midnight = now.utc_day().next().start();
        Err(EnqueueRefusal::UpstreamUnavailable { retry_after_secs: whole_seconds(midnight.millis_since(now)) })
    }

    /// Returns whether an account has room for the price of all `jobs`.
    fn has_credits(&self, account: &str, jobs: &[NewJob], cap: Option<MicroCredits>) -> bool {
        let (Some(cap), Some((first, _))) = (cap, jobs.first()) else { return true };
        let total = jobs.iter().try_fold(MicroCredits::ZERO, |sum, (spec, _)| sum.checked_add(spec.credits));
        total.is_some_and(|total| self.state.accounts.has_room(account, first.day(), total, cap))
    }

    /// Checks that the predictions which would have to wait find room: within the user's limits, the plan's pool and the
    /// queue. For their inputs, the stored ones are counted too; a create fits if the user or the pool has none there.
    fn check_room(
        &self,
        user: &UserKey,
        jobs: &[NewJob],
        share: &QueueShare,
        now: UnixMillis,
    ) -> Result<(), EnqueueRefusal> {
        // In a batch, the jobs of a paused model wait and the others may not.
        let open = jobs.iter().filter(|(spec, _)| !self.is_paused(&spec.model)).count();
        let more = jobs.len().saturating_sub(self.count_immediate_starts(user, share, now).min(open));
        if more == 0 {
            return Ok(());
        }
        let more_bytes: usize = jobs.iter().map(|(spec, _)| spec.input_bytes()).sum();
        let pool = self.limits.pools.get(&share.plan);
        let is_over = |counts: JobCounts, max_waiting: usize, max_bytes: usize| {
            let bytes = counts.input_bytes;
            counts.waiting.saturating_add(more) > max_waiting
                || (bytes > 0 && bytes.saturating_add(more_bytes) > max_bytes)
        };
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let retry_after_secs = self.secs_until_a_slot(now);
        if is_over(self.jobs.counts_of_user(user), count(share.max_waiting), count(USER_INPUT_BYTES_MAX)) {
            return Err(EnqueueRefusal::TooManyPredictions { retry_after_secs });
        }
        let (max_waiting, max_bytes) = (self.limits.max_waiting, count(STORED_INPUT_BYTES_MAX));
        let of_pool = pool.map_or((max_waiting, max_bytes), |pool| (pool.max_waiting, pool.max_input_bytes));
        let is_pool_full = is_over(self.jobs.counts_of_plan(&share.plan), of_pool.0, of_pool.1);
        if is_pool_full || is_over(self.jobs.counts(), max_waiting, max_bytes) {
            return Err(EnqueueRefusal::QueueFull { retry_after_secs });
        }
        Ok(())
    }

    /// Checks that the vendor refuses no model, and that no pause is longer than a prediction may wait. Although the time
    /// in an operator's pause does not count as waiting, no client wants to wait that long.
    fn check_health(&self, jobs: &[NewJob], now: UnixMillis) -> Result<(), EnqueueRefusal> {
        let paused_until = |at: UnixMillis| EnqueueRefusal::UpstreamUnavailable {
            retry_after_secs: whole_seconds(at.millis_since(now)),
        };
        let health = &self.state.health;
        let model_paused_until = jobs.iter().find_map(|(spec, _)| health.model_paused_until(&spec.model, now));
        if let Some(at) = model_paused_until {
            return Err(paused_until(at));
        }
        let by_operator = jobs.iter().map(|(spec, _)| self.pause_left_millis(&spec.model, now)).max().unwrap_or(0);
        if by_operator > self.limits.max_wait_millis {
            return Err(paused_until(now.plus_millis(by_operator)));
        }
        let position = self.jobs.counts().waiting.saturating_add(jobs.len());
        if health.is_paused() && self.expected_wait_millis(position, now) > self.limits.max_wait_millis {
            return Err(paused_until(health.next_create_at()));
        }
        Ok(())
    }

    /// Returns an estimate for `Retry-After`: the seconds until the next poll of a running job, at least one.
    fn secs_until_a_slot(&self, now: UnixMillis) -> u32 {
        let next_poll = self.jobs.polls().next().map(|(at, _)| *at);
        whole_seconds(next_poll.unwrap_or(now).millis_since(now))
    }
}
