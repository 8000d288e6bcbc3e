//! The time of the next alarm.

use super::job::{Job, JobState};
use super::machine::Dispatcher;
use crate::constants::{EXPIRY_CONFIRM_MILLIS, VENDOR_CONNECTIONS_MAX};
use crate::limit::request_window::Lane;
use crate::types::ids::JobId;
use crate::types::time::UnixMillis;

/// Time after which a delivery in flight that has not reported is checked again.
const DELIVERY_REPORT_MILLIS: i64 = 10_000;

impl Dispatcher {
    /// Returns when the alarm must fire next, or `None` if nothing can become due by the passing of time.
    #[must_use]
    pub fn next_due(&self, now: UnixMillis) -> Option<UnixMillis> {
        let look = self.clock_look_due(now);
        let now = self.state.clock.max(now);
        let jobs = self.jobs.iter().filter_map(|(id, job)| self.job_next_due(id, job, now));
        let outbox = self.outbox.values().filter(|row| !row.is_dead).map(|row| {
            // The report of a delivery in flight decides when the next one is due. The alarm covers a lost report.
            let is_in_flight = self.in_flight.deliveries.contains(&row.user);
            if is_in_flight { now.plus_millis(DELIVERY_REPORT_MILLIS) } else { row.next_at }
        });
        let due = jobs.chain(outbox).chain(self.next_file_deletion()).min().map(|at| at.max(now));
        due.map(|at| look.unwrap_or(at))
    }

    fn job_next_due(&self, id: &JobId, job: &Job, now: UnixMillis) -> Option<UnixMillis> {
        match job.state {
            JobState::Waiting => self.waiting_next_due(job, now),
            JobState::Submitting if self.in_flight.submits.contains(id) => None,
            JobState::Submitting => Some(now),
            JobState::Running => self.running_next_due(id, job, now),
            JobState::Unknown => Some(expiry_check_at(job, job.run_deadline())),
        }
    }

    fn waiting_next_due(&self, job: &Job, now: UnixMillis) -> Option<UnixMillis> {
        let expiry = expiry_check_at(job, job.enqueued_at.plus_millis(self.limits.max_wait_millis));
        let health = &self.state.health;
        let limit = self.limits.requests_per_minute;
        let create_at = health.next_create_at().max(self.state.window.earliest(Lane::Create, limit, now));
        let paused_until = health.model_paused_until(&job.spec.model, now);
        let times = [create_at, health.slot_penalty_until, health.unknown_probe_at];
        let chances = times.map(Some).into_iter().chain([paused_until, self.unreadable.next_free_slot(now)]);
        // A create that could be sent now, and is not, waits for a connection or a slot: a report frees one.
        chances.flatten().filter(|at| *at > now).chain([expiry]).min()
    }

    fn running_next_due(&self, id: &JobId, job: &Job, now: UnixMillis) -> Option<UnixMillis> {
        let limit = self.limits.requests_per_minute;
        // Without a free connection, the report of a request in flight decides.
        let has_connection = self.in_flight.connections() < VENDOR_CONNECTIONS_MAX;
        let poll = (has_connection && !self.in_flight.polls.contains_key(id))
            .then(|| job.poll_at.max(self.state.window.earliest(Lane::Status, limit, now)));
        let cancel = (has_connection && job.needs_cancel() && !self.in_flight.cancels.contains_key(id))
            .then(|| job.cancel_at.max(self.state.window.earliest(Lane::Cancel, limit, now)));
        [poll, cancel, Some(expiry_check_at(job, job.slot_deadline()))].into_iter().flatten().min()
    }
}

/// Returns when an expiry must be checked: at the deadline, or at the confirmation if the deadline was seen to have
/// passed.
fn expiry_check_at(job: &Job, deadline: UnixMillis) -> UnixMillis {
    job.expiry_seen_at.map_or(deadline, |seen_at| seen_at.plus_millis(EXPIRY_CONFIRM_MILLIS))
}
