//! The choice of the vendor key for a prediction's polls and cancels (protocol 6), and the effects of a refused key.

use super::job::Job;
use super::machine::Dispatcher;
use crate::constants::{POLL_FIRST_MILLIS, POLL_MAX_MILLIS};
use crate::types::alert::Alert;
use crate::types::ids::JobId;
use crate::types::time::UnixMillis;
use crate::vendor::reply::VendorReply;

impl Dispatcher {
    /// Returns the vendor's id of a job, and the fingerprint of the key for its next poll or cancel.
    pub(super) fn vendor_id_and_next_key(&self, job_id: &JobId) -> Option<(String, String)> {
        let job = self.jobs.get(job_id)?;
        Some((job.vendor_id.clone()?, self.next_key(job).to_owned()))
    }

    /// Returns the fingerprint that was recorded when a request was sent. If none was recorded, returns that of the
    /// job's next key.
    pub(super) fn key_of_request(&self, job_id: &JobId, noted: Option<String>) -> String {
        let next = || self.jobs.get(job_id).map_or_else(String::new, |job| self.next_key(job).to_owned());
        noted.unwrap_or_else(next)
    }

    /// Returns the fingerprint of the job's own key while it is configured, else that of the key that creates use. After
    /// that key was refused, returns the other one of the two.
    fn next_key(&self, job: &Job) -> &str {
        let current = self.limits.key_fingerprint.as_str();
        let Some(second) = self.limits.other_key_fingerprint.as_deref() else { return current };
        let own = job.vendor_key_fingerprint.as_deref().filter(|own| [current, second].contains(own));
        let is_second = own.unwrap_or_else(|| self.key_of_creates()) == second;
        if is_second == job.uses_other_key { current } else { second }
    }

    /// Returns whether a job was submitted with `key`. Returns true for old rows, which have no fingerprint.
    pub(super) fn is_own_key(&self, job_id: &JobId, key: &str) -> bool {
        let own = self.jobs.get(job_id).and_then(|job| job.vendor_key_fingerprint.as_deref());
        own.is_none_or(|own| own == key)
    }

    /// Applies a refusal of the key: 401, 402 or 403 to a poll or a cancel. It says nothing about the prediction, which
    /// may have ended. A 401 to the key that creates use counts as one to a create.
    pub(super) fn apply_key_refused(&mut self, job_id: &JobId, reply: &VendorReply, key: &str, now: UnixMillis) {
        if reply.status() == Some(401) {
            self.apply_unauthorized(key, now);
        }
        self.raise(Alert::VendorPollRefused, now);
        self.try_other_key(job_id);
    }

    /// Switches a job's next poll or cancel to the other key, if there is one.
    pub(super) fn try_other_key(&mut self, job_id: &JobId) {
        let has_other = self.limits.other_key_fingerprint.is_some();
        let changed = self.jobs.change(job_id, |job| {
            job.key_refusals = job.key_refusals.saturating_add(1);
            job.uses_other_key = has_other && !job.uses_other_key;
        });
        self.changes.jobs.extend(changed.map(|()| job_id.clone()));
    }

    /// Returns the shortest wait before the next poll of a job whose key was refused. The wait doubles each time all
    /// keys have been tried.
    pub(super) fn key_back_off_millis(&self, key_refusals: u32) -> i64 {
        let keys = if self.limits.other_key_fingerprint.is_some() { 2 } else { 1 };
        let rounds = key_refusals.div_euclid(keys).min(6);
        POLL_FIRST_MILLIS.saturating_mul(1_i64 << rounds).min(POLL_MAX_MILLIS)
    }
}
