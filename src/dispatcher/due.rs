//! The work that is due: cancels first, then creates, polls, the model list, the next key, forgotten files, deliveries
//! and alerts.

use super::actions::Action;
use super::job::JobState;
use super::machine::Dispatcher;
use crate::constants::{
    MODEL_LIST_FETCH_MILLIS, PROBE_FIRST_MILLIS, VENDOR_CONNECTIONS_MAX, VENDOR_CONNECTIONS_RESERVED,
};
use crate::limit::request_window::Lane;
use crate::types::time::UnixMillis;

impl Dispatcher {
    /// Returns all actions that are due. The shell stores the changes of this turn and then starts the actions: a job
    /// is `submitting` in storage before its create is sent (protocol 1).
    pub fn due(&mut self, now: UnixMillis) -> Vec<Action> {
        let now = self.advance(now);
        self.state.pauses.end_expired(now);
        self.expire_jobs(now);
        let mut actions = Vec::new();
        self.due_cancels(now, &mut actions);
        self.due_submits(now, &mut actions);
        self.watch_queue(now);
        self.watch_rotation(now);
        self.due_polls(now, &mut actions);
        self.due_models(now, &mut actions);
        self.due_key_check(now, &mut actions);
        self.due_file_deletion(now, &mut actions);
        self.due_deliveries(now, &mut actions);
        self.due_alert(now, &mut actions);
        actions
    }

    fn due_cancels(&mut self, now: UnixMillis, actions: &mut Vec<Action>) {
        while self.may_send(Lane::Cancel, now) {
            let sent = &self.in_flight.cancels;
            let due = self.jobs.cancels().take_while(|(at, _)| *at <= now).find(|(_, id)| !sent.contains_key(id));
            let Some(id) = due.map(|(_, id)| id.clone()) else { break };
            let Some((vendor_id, key)) = self.vendor_id_and_next_key(&id) else { break };
            self.record_request(Lane::Cancel, now);
            self.in_flight.cancels.insert(id.clone(), key.clone());
            actions.push(Action::Cancel { job_id: id, vendor_id, vendor_key_fingerprint: Some(key) });
        }
    }

    /// Starts creates in the queue's order, while there are slots, requests and connections.
    fn due_submits(&mut self, now: UnixMillis, actions: &mut Vec<Action>) {
        while self.may_submit(now) {
            let Some(id) = self.pick_next_job(now) else { break };
            let fingerprint = self.key_of_creates().to_owned();
            let started = self.jobs.change(&id, |job| {
                job.state = JobState::Submitting;
                job.is_returned = false;
                job.submitted_at = Some(now);
                job.vendor_key_fingerprint = Some(fingerprint);
                job.expiry_seen_at = None;
                (Box::new(job.spec.clone()), job.user.clone(), job.share.plan.clone(), job.sequence)
            });
            let Some((spec, user, plan, sequence)) = started else { break };
            self.changes.jobs.insert(id.clone());
            self.record_request(Lane::Create, now);
            self.leave_queue(&user, &plan);
            self.state.health.schedule_next_probe(now);
            let input = self.changes.take_new_input(&id);
            if input.is_none() || sequence > 1 {
                // Its Ledger knows it as queued. Of a job that arrived in this turn, the reply to its enqueue says that it
                // has started.
                self.change_job(&id, now, |_| ());
            }
            self.in_flight.submits.insert(id, input);
            actions.push(Action::Submit { spec });
        }
    }

    /// Returns whether a create may be sent now. In an operator's pause none is, not even a probe.
    pub(super) fn may_submit(&self, now: UnixMillis) -> bool {
        if self.state.pauses.hold_all() {
            return false;
        }
        let has_probe = self.state.health.is_paused() && !self.in_flight.submits.is_empty();
        let has_slot = self.held_slots() < self.slot_limit(now) || self.may_probe_past_unknown(now);
        has_slot && !has_probe && self.state.health.next_create_at() <= now && self.may_send(Lane::Create, now)
    }

    /// Returns whether unknown outcomes hold every slot and half a minute has passed since the last create. Then one is
    /// sent all the same (protocol 1).
    fn may_probe_past_unknown(&self, now: UnixMillis) -> bool {
        let at_vendor = self.jobs.count(JobState::Submitting).saturating_add(self.jobs.count(JobState::Running));
        self.unknown_probe_at() <= now && at_vendor == 0
    }

    /// Returns the earliest time of a create while unknown outcomes hold every slot: half a minute after the last one.
    pub(super) fn unknown_probe_at(&self) -> UnixMillis {
        self.state.window.newest_of(Lane::Create).map_or(UnixMillis(0), |at| at.plus_millis(PROBE_FIRST_MILLIS))
    }

    fn due_polls(&mut self, now: UnixMillis, actions: &mut Vec<Action>) {
        while self.may_send(Lane::Status, now) {
            let sent = &self.in_flight.polls;
            let due = self.jobs.polls().take_while(|(at, _)| *at <= now).find(|(_, id)| !sent.contains_key(id));
            let Some(id) = due.map(|(_, id)| id.clone()) else { break };
            let Some((vendor_id, key)) = self.vendor_id_and_next_key(&id) else { break };
            self.record_request(Lane::Status, now);
            self.jobs.change(&id, |job| job.polled_at = now);
            self.in_flight.polls.insert(id.clone(), key.clone());
            actions.push(Action::Poll { job_id: id, vendor_id, vendor_key_fingerprint: Some(key) });
        }
    }

    /// Fetches the model list if it was requested, at most once in ten minutes.
    fn due_models(&mut self, now: UnixMillis, actions: &mut Vec<Action>) {
        let asked_at = self.state.models_asked_at;
        let is_fresh = asked_at.0 != 0 && now.millis_since(asked_at) < MODEL_LIST_FETCH_MILLIS;
        let is_wanted = self.is_model_list_requested && !is_fresh && !self.in_flight.has_model_fetch;
        if !is_wanted || !self.may_send(Lane::Other, now) {
            return;
        }
        self.is_model_list_requested = false;
        self.state.models_asked_at = now;
        self.record_request(Lane::Other, now);
        self.in_flight.has_model_fetch = true;
        actions.push(Action::FetchModels);
    }

    /// Requests the model list. The next turns fetch it if it is old.
    pub const fn request_models(&mut self) {
        self.is_model_list_requested = true;
    }

    /// Returns whether the request window and the connections leave room for a request of `lane`.
    fn may_send(&self, lane: Lane, now: UnixMillis) -> bool {
        self.has_connection(lane) && self.state.window.earliest(lane, self.limits.requests_per_minute, now) <= now
    }

    /// Returns whether a connection is free for a request of `lane`.
    pub(super) fn has_connection(&self, lane: Lane) -> bool {
        let reserved = match lane {
            Lane::Create | Lane::Other => VENDOR_CONNECTIONS_RESERVED,
            Lane::Status | Lane::Cancel => 0,
        };
        self.in_flight.connections().saturating_add(reserved) < VENDOR_CONNECTIONS_MAX
    }

    /// Records a vendor request that is sent now.
    pub(super) fn record_request(&mut self, lane: Lane, now: UnixMillis) {
        self.state.window.record(lane, self.limits.requests_per_minute, now);
    }
}
