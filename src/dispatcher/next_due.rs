//! The time of the next alarm.

use super::job::{Job, JobState};
use super::machine::Dispatcher;
use crate::constants::VENDOR_CONNECTIONS_MAX;
use crate::limit::request_window::Lane;
use crate::types::time::UnixMillis;

/// Time after which a delivery in flight that has not reported is checked again.
const DELIVERY_REPORT_MILLIS: i64 = 10_000;

impl Dispatcher {
    /// Returns when the alarm must fire next, or `None` if nothing can become due by the passing of time.
    #[must_use]
    pub fn next_due(&self, now: UnixMillis) -> Option<UnixMillis> {
        let look = self.clock_look_due(now);
        let now = self.state.clock.max(now);
        let submit = self.next_submit_chance(now);
        let is_lost = |job: &&Job| !self.in_flight.submits.contains_key(&job.spec.job_id);
        let lost = self.jobs.in_state(JobState::Submitting).find(is_lost).map(|_| now);
        let expiry = self.jobs.expiries().next().map(|(at, _)| *at);
        let pause = self.state.pauses.next_check();
        let requests = [self.next_poll(now), self.next_cancel(now)];
        let jobs = requests.into_iter().chain([submit, lost, expiry, pause, self.next_wait_expiry(now)]).flatten();
        // The report of a delivery in flight decides when the next one is due. The alarm covers a lost report.
        let report = self.outbox.awaits_report().then(|| now.plus_millis(DELIVERY_REPORT_MILLIS));
        let others = [
            self.outbox.next_delivery(),
            report,
            self.next_file_deletion(),
            self.next_key_check(now),
            self.next_alert(),
        ]
        .into_iter()
        .flatten();
        let due = jobs.chain(others).min().map(|at| at.max(now));
        due.map(|at| look.unwrap_or(at))
    }

    /// Returns when a create may become possible that is not possible now, if a job waits. One that could be sent now, and
    /// is not, waits for a connection or a slot: a report frees one.
    fn next_submit_chance(&self, now: UnixMillis) -> Option<UnixMillis> {
        if self.jobs.counts().waiting == 0 || self.state.pauses.hold_all() {
            return None;
        }
        let health = &self.state.health;
        let limit = self.limits.requests_per_minute;
        let create_at = health.next_create_at().max(self.state.window.earliest(Lane::Create, limit, now));
        let times = [create_at, health.slot_penalty_until, self.unknown_probe_at()];
        let of_models = health.paused_models.iter().filter(|(model, _)| self.jobs.waiting().has_model(model));
        let chances = times.into_iter().chain(of_models.map(|(_, until)| *until));
        chances.chain(self.unreadable.next_free_slot(now)).filter(|at| *at > now).min()
    }

    /// Returns when the wait of a job may be over. In a pause of its model no time passes for it.
    fn next_wait_expiry(&self, now: UnixMillis) -> Option<UnixMillis> {
        let waits = self.jobs.first_waits().filter(|(model, _)| !self.is_paused(model));
        waits.map(|(model, at)| at.plus_millis(self.state.pauses.paused_millis(model, now))).min()
    }

    fn next_poll(&self, now: UnixMillis) -> Option<UnixMillis> {
        let sent = &self.in_flight.polls;
        let (at, _) = self.jobs.polls().find(|(_, id)| !sent.contains_key(id)).filter(|_| self.is_connection_free())?;
        Some((*at).max(self.state.window.earliest(Lane::Status, self.limits.requests_per_minute, now)))
    }

    fn next_cancel(&self, now: UnixMillis) -> Option<UnixMillis> {
        let sent = &self.in_flight.cancels;
        let (at, _) =
            self.jobs.cancels().find(|(_, id)| !sent.contains_key(id)).filter(|_| self.is_connection_free())?;
        Some((*at).max(self.state.window.earliest(Lane::Cancel, self.limits.requests_per_minute, now)))
    }

    /// Returns whether a connection is free. Without one, the report of a request in flight decides.
    fn is_connection_free(&self) -> bool {
        self.in_flight.connections() < VENDOR_CONNECTIONS_MAX
    }
}
