//! Deletion of a user (protocol 7): what waits is canceled, what runs goes on without an owner for anybody to see.

use super::job::JobState;
use super::machine::Dispatcher;
use crate::messages::{JobEnd, JobUpdate};
use crate::types::ids::{JobId, UserKey};
use crate::types::time::UnixMillis;

impl Dispatcher {
    /// Forgets a user, as far as predictions are concerned that were created up to `by`:
    ///
    /// - A prediction that waits is canceled.
    /// - A prediction at the vendor goes on: it is paid for. Its output is dropped, and it is booked for no user. It is never
    ///   sent again.
    /// - The rows of spend lose the user ([`super::Changes::forgotten_users`]).
    ///
    /// Returns the present state of those of `job_ids` that are known, and whether the user had any prediction here. A late
    /// message spares what the user has created since.
    pub fn forget_user(
        &mut self,
        user: &UserKey,
        job_ids: &[JobId],
        by: UnixMillis,
        now: UnixMillis,
    ) -> (Vec<JobUpdate>, bool) {
        let now = self.advance(now);
        let is_forgotten = |job_id: &JobId, owner: &UserKey| owner == user && job_id.created_at() <= by;
        let jobs = self.jobs.change_all(|job| {
            let is_forgotten = is_forgotten(&job.spec.job_id, &job.user);
            job.is_user_deleted |= is_forgotten;
            is_forgotten
        });
        for job_id in &jobs {
            self.changes.jobs.insert(job_id.clone());
            if self.jobs.state(job_id) == Some(JobState::Waiting) {
                self.end_job(job_id, JobEnd::canceled_unsent(), now);
            }
        }
        let updates = self.outbox.change_all(|row| {
            let Some(end) = row.update.end.as_mut().filter(|_| is_forgotten(&row.update.job_id, &row.user)) else {
                return false;
            };
            end.output.clear();
            true
        });
        self.changes.outbox.extend(updates);
        self.changes.forgotten_users.push(user.clone());
        (self.latest_updates(job_ids, now), !jobs.is_empty())
    }
}
