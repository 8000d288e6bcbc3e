//! The check of the next vendor key, and which key creates use (protocol 6).

use serde_json::{Value, json};

use super::actions::Action;
use super::job::{Job, JobState};
use super::machine::Dispatcher;
use super::rotation::{NextKey, Rotation};
use crate::constants::{KEY_REFUSALS_MAX, PROBE_FIRST_MILLIS};
use crate::limit::request_window::Lane;
use crate::types::alert::Alert;
use crate::types::time::UnixMillis;
use crate::vendor::reply::VendorReply;
use crate::vendor::verdict::{self, PollVerdict};

impl Dispatcher {
    /// Returns the rotation to the configured next key.
    fn rotation(&self) -> Option<&Rotation> {
        let next = self.limits.other_key_fingerprint.as_ref()?;
        self.state.rotation.as_ref().filter(|rotation| rotation.fingerprint == *next)
    }

    /// Returns the fingerprint of the key that creates use.
    #[must_use]
    pub fn key_of_creates(&self) -> &str {
        match self.rotation() {
            Some(rotation) if rotation.next_key == NextKey::Draining => &rotation.fingerprint,
            _ => &self.limits.key_fingerprint,
        }
    }

    /// Starts or ends the rotation as the settings say, and checks the next key if that is due.
    pub(super) fn due_key_check(&mut self, now: UnixMillis, actions: &mut Vec<Action>) {
        if self.rotation().is_none() {
            let next = self.limits.other_key_fingerprint.as_deref();
            self.state.rotation = next.map(|next| Rotation::new(next, now));
        }
        if self.next_key_check(now).is_none_or(|at| at > now) {
            return;
        }
        let Some(rotation) = &mut self.state.rotation else { return };
        // Also if the check gets no answer, there is a wait before the next one.
        rotation.check_again(now);
        let vendor_key_fingerprint = rotation.fingerprint.clone();
        self.in_flight.has_key_check = true;
        self.record_request(Lane::Other, now);
        actions.push(Action::CheckKey { vendor_key_fingerprint });
    }

    /// Returns when the next key can be checked, if it has to be. Without a connection, a report decides.
    pub(super) fn next_key_check(&self, now: UnixMillis) -> Option<UnixMillis> {
        let rotation = self.rotation().filter(|rotation| rotation.next_key != NextKey::Draining)?;
        if self.in_flight.has_key_check || !self.has_connection(Lane::Other) {
            return None;
        }
        Some(rotation.check_at.max(self.state.window.earliest(Lane::Other, self.limits.requests_per_minute, now)))
    }

    /// Applies the vendor's reply to the check of a key. 200 takes it. No answer, 429 and 5xx say nothing about the key:
    /// it is checked again. Anything else refuses it; it is checked again too, in case the vendor or the operator mends it.
    pub fn finish_key_check(&mut self, vendor_key_fingerprint: &str, reply: &VendorReply, now: UnixMillis) {
        let now = self.advance(now);
        self.in_flight.has_key_check = false;
        self.apply_reply(reply, now);
        if self.rotation().is_none_or(|rotation| rotation.fingerprint != vendor_key_fingerprint) {
            return;
        }
        let Some(rotation) = &mut self.state.rotation else { return };
        match verdict::read_poll_reply(reply, now) {
            _ if reply.status() == Some(200) => {
                rotation.enter(NextKey::Draining, now);
                // If the vendor refused the current key, creates need not wait for it any more.
                self.state.health.resume_key();
            }
            PollVerdict::Throttled { wait_millis } => self.state.window.close_until(now.plus_millis(wait_millis)),
            PollVerdict::VendorFailed => {}
            PollVerdict::Found(_) | PollVerdict::NotFound | PollVerdict::KeyRefused | PollVerdict::NothingSaid => {
                // A key that stays refused is told once, however often it is checked.
                let was_refused = rotation.next_key == NextKey::Refused;
                rotation.enter(NextKey::Refused, now);
                if !was_refused {
                    self.raise(Alert::NextKeyRefused, now);
                }
            }
        }
    }

    /// Applies a 401 to a request with this key. A streak of them switches to the other key. Without one that may work,
    /// creates are paused, except for probes.
    ///
    /// Three, because a new key may not be known to every server of the vendor yet. A key that creates do not use any more
    /// changes nothing.
    pub(super) fn apply_unauthorized(&mut self, key: &str, now: UnixMillis) {
        if key != self.key_of_creates() {
            return;
        }
        let is_refused = self.rotation().is_none_or(|rotation| rotation.next_key == NextKey::Refused);
        let Some(rotation) = self.state.rotation.as_mut().filter(|_| !is_refused) else {
            self.pause_key(now);
            return;
        };
        rotation.refusals = rotation.refusals.saturating_add(1);
        if rotation.refusals < KEY_REFUSALS_MAX {
            return;
        }
        if rotation.next_key == NextKey::Draining {
            rotation.enter(NextKey::Refused, now);
            rotation.check_again(now);
            self.raise(Alert::NextKeyRefused, now);
        } else {
            // The first creates are its check.
            rotation.enter(NextKey::Draining, now);
            self.raise(Alert::VendorKeyRefused, now);
        }
    }

    /// Records that the vendor took a request with this key.
    pub(super) fn note_key_taken(&mut self, key: &str) {
        if key == self.key_of_creates()
            && let Some(rotation) = &mut self.state.rotation
        {
            rotation.refusals = 0;
            if rotation.next_key == NextKey::Draining {
                rotation.next_wait_ms = PROBE_FIRST_MILLIS;
            }
        }
    }

    /// Pauses creates, except for probes, because the vendor refuses their key.
    pub(super) fn pause_key(&mut self, now: UnixMillis) {
        if self.state.health.pause_key(now) {
            self.raise(Alert::VendorKeyRefused, now);
        }
    }

    /// Returns how many predictions at the vendor need a key other than the next one. A row that cannot be read may.
    fn jobs_of_old_key(&self, next: &str, now: UnixMillis) -> usize {
        let at_vendor =
            [JobState::Submitting, JobState::Running].into_iter().flat_map(|state| self.jobs.in_state(state));
        let is_old = |job: &&Job| job.vendor_key_fingerprint.as_deref() != Some(next);
        at_vendor.filter(is_old).count().saturating_add(self.unreadable.held_slots(now))
    }

    /// Returns since when creates use the next key, if they do.
    pub(super) fn drains_since(&self) -> Option<UnixMillis> {
        self.rotation().filter(|rotation| rotation.next_key == NextKey::Draining).map(|rotation| rotation.since)
    }

    /// Returns whether predictions at the vendor need a key other than the next one.
    pub(super) fn has_jobs_of_old_key(&self, now: UnixMillis) -> bool {
        self.rotation().is_some_and(|rotation| self.jobs_of_old_key(&rotation.fingerprint, now) > 0)
    }

    /// Returns the rotation as the operator's API shows it.
    pub(super) fn render_rotation(&self, now: UnixMillis) -> Value {
        let Some(rotation) = self.rotation() else {
            return json!({"state": "none", "fingerprint": null, "since": null, "jobs_of_old_key": 0});
        };
        let jobs_of_old_key = self.jobs_of_old_key(&rotation.fingerprint, now);
        let state = match rotation.next_key {
            NextKey::Checking => "checking",
            NextKey::Refused => "refused",
            NextKey::Draining if jobs_of_old_key > 0 => "draining",
            NextKey::Draining => "safe_to_revoke",
        };
        json!({
            "state": state, "fingerprint": rotation.fingerprint, "since": rotation.since.to_rfc3339(),
            "jobs_of_old_key": jobs_of_old_key,
        })
    }
}
