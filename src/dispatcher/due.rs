//! What is due: expiries first, then creates, cancels, polls, deliveries, the model list.

use std::collections::BTreeMap;

use super::actions::{Action, Delivery};
use super::dispatcher::Dispatcher;
use super::job::{Job, JobState};
use super::vendor_results::{failed, timed_out};
use crate::constants::{
    DEAD_LETTER_MILLIS, DELIVERY_BATCH, EXPIRY_CONFIRM_MILLIS, MODEL_LIST_FETCH_MILLIS, PROBE_FIRST_MILLIS,
    VENDOR_CONNECTIONS_RESERVED, VENDOR_CONNECTIONS_MAX,
};
use crate::limit::request_window::Lane;
use crate::messages::JobUpdate;
use crate::types::credits::MicroCredits;
use crate::types::ids::{JobId, UserKey};
use crate::types::prediction::Failure;
use crate::types::time::UnixMillis;

impl Dispatcher {
    /// Decides all that is due. The shell stores the changes of this turn, then starts the actions. A create is in
    /// state `submitting` when its action is handed out: written before the fetch.
    pub fn due(&mut self, now: UnixMillis) -> Vec<Action> {
        let now = self.advance(now);
        self.end_what_expired(now);
        let mut actions = Vec::new();
        self.due_cancels(now, &mut actions);
        self.due_submits(now, &mut actions);
        self.due_polls(now, &mut actions);
        self.due_models(now, &mut actions);
        self.due_deliveries(now, &mut actions);
        actions
    }

    fn end_what_expired(&mut self, now: UnixMillis) {
        let ids: Vec<JobId> = self.jobs.keys().cloned().collect();
        for id in ids {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let before = (job.expiry_seen_at, job.cancel_requested);
            match job.state {
                JobState::Waiting => {
                    let deadline = job.enqueued_at.plus_millis(self.limits.max_wait_millis);
                    if job.confirm_expiry(deadline, now) {
                        self.end_job(&id, failed(Failure::QueueTimeout, MicroCredits::ZERO), now);
                        continue;
                    }
                }
                JobState::Submitting if !self.in_flight.submits.contains(&id) => {
                    self.changes.alerts.push("create_outcome_unknown");
                    self.outcome_unknown(&id, now);
                    continue;
                }
                JobState::Submitting => {}
                JobState::Running => {
                    if job.confirm_expiry(job.slot_ends_at(), now) {
                        let end = timed_out(job);
                        self.changes.alerts.push("prediction_timed_out");
                        self.end_job(&id, end, now);
                        continue;
                    }
                    cancel_if_overdue(job, now);
                }
                JobState::Unknown => {
                    if job.confirm_expiry(job.time_is_up_at(), now) {
                        self.remove_job(&id);
                        self.changes.tombstones.insert(id);
                        continue;
                    }
                }
            }
            if self.jobs.get(&id).is_some_and(|job| (job.expiry_seen_at, job.cancel_requested) != before) {
                self.changes.jobs.insert(id);
            }
        }
    }

    fn due_cancels(&mut self, now: UnixMillis, actions: &mut Vec<Action>) {
        let ids: Vec<JobId> = self
            .jobs
            .iter()
            .filter(|(_, job)| wants_cancel(job) && job.cancel_at <= now)
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            if self.in_flight.cancels.contains(&id) || !self.may_send(Lane::Cancel, now) {
                continue;
            }
            let Some((vendor_id, vendor_key_fingerprint)) = self.vendor_side(&id) else { continue };
            self.book(Lane::Cancel, now);
            self.in_flight.cancels.insert(id.clone());
            actions.push(Action::Cancel { job_id: id, vendor_id, vendor_key_fingerprint });
        }
    }

    /// Creates, by turns, as long as there are slots, requests and connections.
    fn due_submits(&mut self, now: UnixMillis, actions: &mut Vec<Action>) {
        while self.may_submit(now) {
            let Some(id) = self.next_start(now) else { break };
            let fingerprint = self.limits.key_fingerprint.clone();
            let Some(job) = self.jobs.get_mut(&id) else { break };
            // Its Ledger has it as queued; one that arrives and goes in the same turn is told by the reply.
            let was_queued_before = job.enqueued_at != now;
            job.state = JobState::Submitting;
            job.returned = false;
            job.submitted_at = Some(now);
            job.vendor_key_fingerprint = Some(fingerprint);
            job.expiry_seen_at = None;
            let (spec, user) = (Box::new(job.spec.clone()), job.user.clone());
            self.changes.jobs.insert(id.clone());
            self.book(Lane::Create, now);
            self.left_the_line(&user);
            self.state.health.unknown_probe_at = now.plus_millis(PROBE_FIRST_MILLIS);
            self.state.health.probe_sent(now);
            if was_queued_before {
                self.change_job(&id, now, |_| ());
            }
            self.in_flight.submits.insert(id);
            actions.push(Action::Submit { spec });
        }
    }

    pub(super) fn may_submit(&self, now: UnixMillis) -> bool {
        let only_probe = self.state.health.is_paused() && !self.in_flight.submits.is_empty();
        let has_slot = self.held_slots() < self.slot_limit(now) || self.may_probe_past_unknown(now);
        has_slot && !only_probe && self.state.health.create_at() <= now && self.may_send(Lane::Create, now)
    }

    /// Whether unknown outcomes hold every slot and half a minute has passed since the last create (protocol 1).
    fn may_probe_past_unknown(&self, now: UnixMillis) -> bool {
        let is_free = |job: &Job| matches!(job.state, JobState::Unknown | JobState::Waiting);
        self.state.health.unknown_probe_at <= now && self.jobs.values().all(is_free)
    }

    fn due_polls(&mut self, now: UnixMillis, actions: &mut Vec<Action>) {
        let mut ids: Vec<(UnixMillis, JobId)> = self
            .jobs
            .iter()
            .filter(|(id, job)| {
                job.state == JobState::Running && job.poll_at <= now && !self.in_flight.polls.contains(*id)
            })
            .map(|(id, job)| (job.poll_at, id.clone()))
            .collect();
        ids.sort();
        for (_, id) in ids {
            if !self.may_send(Lane::Status, now) {
                break;
            }
            let Some((vendor_id, vendor_key_fingerprint)) = self.vendor_side(&id) else { continue };
            self.book(Lane::Status, now);
            if let Some(job) = self.jobs.get_mut(&id) {
                job.polled_at = now;
            }
            self.in_flight.polls.insert(id.clone());
            actions.push(Action::Poll { job_id: id, vendor_id, vendor_key_fingerprint });
        }
    }

    /// The model list is asked for when somebody wanted it, at most once in ten minutes.
    fn due_models(&mut self, now: UnixMillis, actions: &mut Vec<Action>) {
        let is_fresh =
            self.state.models_asked_at.0 != 0 && now.millis_since(self.state.models_asked_at) < MODEL_LIST_FETCH_MILLIS;
        if !self.models_wanted || is_fresh || self.in_flight.models || !self.may_send(Lane::Other, now) {
            return;
        }
        self.models_wanted = false;
        self.state.models_asked_at = now;
        self.book(Lane::Other, now);
        self.in_flight.models = true;
        actions.push(Action::FetchModels);
    }

    /// Somebody asked for the models.
    pub const fn request_models(&mut self) {
        self.models_wanted = true;
    }

    fn due_deliveries(&mut self, now: UnixMillis, actions: &mut Vec<Action>) {
        let mut by_user: BTreeMap<UserKey, Vec<JobUpdate>> = BTreeMap::new();
        for (id, row) in &mut self.outbox {
            if row.is_dead || row.next_at > now || self.in_flight.deliveries.contains(&row.user) {
                continue;
            }
            if now.millis_since(row.since) >= DEAD_LETTER_MILLIS {
                row.is_dead = true;
                self.changes.outbox.insert(id.clone());
                self.changes.alerts.push("dead_letter");
                continue;
            }
            let batch = by_user.entry(row.user.clone()).or_default();
            if batch.len() < DELIVERY_BATCH {
                batch.push(row.update.clone());
            }
        }
        for (user, updates) in by_user {
            self.in_flight.deliveries.insert(user.clone());
            actions.push(Action::Deliver(Delivery { user, updates }));
        }
    }

    pub(super) fn vendor_side(&self, id: &JobId) -> Option<(String, Option<String>)> {
        let job = self.jobs.get(id)?;
        Some((job.vendor_id.clone()?, job.vendor_key_fingerprint.clone()))
    }

    /// Whether the window and the connections leave room for a request of `lane`.
    fn may_send(&self, lane: Lane, now: UnixMillis) -> bool {
        let kept = match lane {
            Lane::Create | Lane::Other => VENDOR_CONNECTIONS_RESERVED,
            Lane::Status | Lane::Cancel => 0,
        };
        let has_connection = self.in_flight.connections().saturating_add(kept) < VENDOR_CONNECTIONS_MAX;
        has_connection && self.state.window.earliest(lane, self.limits.requests_per_minute, now) <= now
    }

    pub(super) fn book(&mut self, lane: Lane, now: UnixMillis) {
        self.state.window.book(lane, self.limits.requests_per_minute, now);
        self.changes.is_state_changed = true;
    }

    /// When the alarm must ring next; `None` while nothing can become due by itself.
    #[must_use]
    pub fn next_due(&self, now: UnixMillis) -> Option<UnixMillis> {
        let now = self.state.clock.max(now);
        let jobs = self.jobs.iter().filter_map(|(id, job)| self.job_due(id, job, now));
        let outbox = self.outbox.values().filter(|row| !row.is_dead).map(|row| {
            // While a delivery is under way its report decides; the alarm is for the case that none comes.
            if self.in_flight.deliveries.contains(&row.user) { now.plus_millis(10_000) } else { row.next_at }
        });
        jobs.chain(outbox).min().map(|at| at.max(now))
    }

    fn job_due(&self, id: &JobId, job: &Job, now: UnixMillis) -> Option<UnixMillis> {
        let limit = self.limits.requests_per_minute;
        let confirm =
            |deadline: UnixMillis| job.expiry_seen_at.map_or(deadline, |seen| seen.plus_millis(EXPIRY_CONFIRM_MILLIS));
        match job.state {
            JobState::Waiting => {
                let expires = confirm(job.enqueued_at.plus_millis(self.limits.max_wait_millis));
                let health = &self.state.health;
                let create_at = health.create_at().max(self.state.window.earliest(Lane::Create, limit, now));
                let paused_until = health.model_paused_until(&job.spec.model, now);
                let chances =
                    [Some(create_at), paused_until, Some(health.slot_penalty_until), Some(health.unknown_probe_at)];
                // A create that could go now and does not waits for a connection or a slot: their reports decide.
                chances.into_iter().flatten().filter(|at| *at > now).chain([expires]).min()
            }
            JobState::Submitting if self.in_flight.submits.contains(id) => None,
            JobState::Submitting => Some(now),
            JobState::Running => {
                // Without a connection, the report of whoever has it decides.
                let has_connection = self.in_flight.connections() < VENDOR_CONNECTIONS_MAX;
                let poll = (has_connection && !self.in_flight.polls.contains(id))
                    .then(|| job.poll_at.max(self.state.window.earliest(Lane::Status, limit, now)));
                let cancel = (has_connection && wants_cancel(job) && !self.in_flight.cancels.contains(id))
                    .then(|| job.cancel_at.max(self.state.window.earliest(Lane::Cancel, limit, now)));
                [poll, cancel, Some(confirm(job.slot_ends_at()))].into_iter().flatten().min()
            }
            JobState::Unknown => Some(confirm(job.time_is_up_at())),
        }
    }
}

fn wants_cancel(job: &Job) -> bool {
    job.state == JobState::Running && job.cancel_requested && !job.cancel_sent
}

/// One cancel when the model's time is up, whether its client asked for it or not (protocol 1).
fn cancel_if_overdue(job: &mut Job, now: UnixMillis) {
    if now >= job.time_is_up_at() && !job.cancel_requested {
        job.cancel_requested = true;
        job.cancel_at = now;
    }
}
