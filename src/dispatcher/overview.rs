//! The Dispatcher as an operator sees it, the versions that it ran, and the slot that an operator may free.

use serde_json::{Map, Value, json};

use super::accounts::KEY_ACCOUNT;
use super::alert_log::KeptAlert;
use super::job::{Job, JobState};
use super::key_versions::{KeyOfVersion, KnownMigrations};
use super::machine::Dispatcher;
use super::pauses::PauseLease;
use crate::constants::{KEY_VERSIONS_MAX, UNKNOWN_OUTCOMES_SHOWN, VENDOR_WINDOW_MILLIS};
use crate::types::ids::{JobId, PauseId};
use crate::types::time::UnixMillis;

/// Why a slot is not freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseRefusal {
    /// The Dispatcher has no such prediction.
    NotFound,
    /// The prediction waits or runs, so its outcome is not unknown.
    NotEnded,
}

impl Dispatcher {
    /// Notes the version that this instance is of. The code and the secrets of a version never change. If it is new and has
    /// another vendor key, creates need not wait for a key that was refused.
    pub fn note_version(&mut self, version_id: &str, migrations: KnownMigrations, now: UnixMillis) {
        let versions = &mut self.state.versions;
        if versions.iter().any(|seen| seen.version_id == version_id) {
            return;
        }
        while versions.len() >= KEY_VERSIONS_MAX {
            versions.remove(0);
        }
        let fingerprint = self.limits.key_fingerprint.clone();
        if versions.last().is_some_and(|last| last.fingerprint != fingerprint) {
            self.state.health.resume_key();
        }
        versions.push(KeyOfVersion { version_id: version_id.to_owned(), fingerprint, seen_at: now, migrations });
    }

    /// Frees the slot of a prediction with an unknown outcome, before its time is over. Its client was told its end long
    /// ago, and it is never sent again.
    ///
    /// # Errors
    /// [`ReleaseRefusal`]. Then nothing changes.
    pub fn release_slot(&mut self, job_id: &JobId, now: UnixMillis) -> Result<(), ReleaseRefusal> {
        self.advance(now);
        match self.jobs.state(job_id) {
            None => Err(ReleaseRefusal::NotFound),
            Some(JobState::Waiting | JobState::Submitting | JobState::Running) => Err(ReleaseRefusal::NotEnded),
            Some(JobState::Unknown) => {
                self.remove_job(job_id);
                self.changes.tombstones.insert(job_id.clone());
                Ok(())
            }
        }
    }

    /// Returns the members of `GET /admin/api/state` that the machine knows (contract 6). No prompt, no output and no
    /// vendor's id is among them.
    pub fn overview(&mut self, now: UnixMillis) -> Map<String, Value> {
        let now = self.advance(now);
        let (limits, health) = (&self.limits, &self.state.health);
        let refused_since = health.key_pause.map(|pause| pause.since);
        let today = now.utc_day();
        let (credits, _) = self.state.accounts.usage(KEY_ACCOUNT, today);
        let sent = self.state.window.count_since(now.plus_millis(VENDOR_WINDOW_MILLIS.saturating_neg()));
        let unknown = self.jobs.in_state(JobState::Unknown).take(UNKNOWN_OUTCOMES_SHOWN);
        let members = [
            (
                "vendor_key",
                json!({
                    "fingerprint": limits.key_fingerprint,
                    "health": if refused_since.is_some() { "refused" } else { "ok" },
                    "since": refused_since.filter(|since| since.0 > 0).map(UnixMillis::to_rfc3339),
                }),
            ),
            ("rotation", self.render_rotation(now)),
            ("keys_by_version", self.state.versions.iter().map(KeyOfVersion::render).collect()),
            (
                "slots",
                json!({
                    "total": limits.concurrent_predictions, "in_use": self.held_slots(),
                    "unknown": self.jobs.count(JobState::Unknown),
                }),
            ),
            ("submitting", json!(self.jobs.count(JobState::Submitting))),
            ("queue", json!({"waiting": self.jobs.counts().waiting, "max_waiting": limits.max_waiting})),
            (
                "requests",
                json!({
                    "per_minute": limits.requests_per_minute,
                    "remaining": limits.requests_per_minute.saturating_sub(sent),
                }),
            ),
            ("unknown_outcomes", unknown.map(render_unknown).collect()),
            ("pauses", self.state.pauses.leases().map(render_pause).collect()),
            (
                "today",
                json!({"day": today.to_iso_date(), "credits": credits.to_string(), "daily_credits": limits.daily_credits.map(|credits| credits.to_string())}),
            ),
            ("alerts", self.latest_alerts().map(render_alert).collect()),
            ("dead_letters", json!(self.outbox.dead().count())),
            ("unreadable_rows", json!(self.unreadable.count())),
        ];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

fn render_unknown(job: &Job) -> Value {
    json!({
        "job_id": job.spec.job_id, "model": job.spec.model, "user": job.user,
        "since": job.submitted_at.unwrap_or(job.enqueued_at).to_rfc3339(),
        "slot_ends_at": job.run_deadline().to_rfc3339(),
    })
}

fn render_alert(alert: &KeptAlert) -> Value {
    json!({"time": alert.at.to_rfc3339(), "alert": alert.raised.alert, "detail": alert.raised.detail})
}

fn render_pause((id, lease): (&PauseId, &PauseLease)) -> Value {
    json!({
        "id": id, "model": lease.model, "started_at": lease.started_at.to_rfc3339(),
        "ends_at": lease.ends_at.to_rfc3339(),
    })
}
