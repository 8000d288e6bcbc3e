//! Pauses by operators: leases under which no create is sent, for all models or for one (protocol 4).
//!
//! A lease ends by itself, so an operator that vanishes in the middle of a deployment stops nothing for longer than it
//! asked for. Creates start again when no lease is held any more: two deployments do not resume each other.
//!
//! Time in a pause does not count as waiting. Each model has a clock, its queue time, which stands still while the model
//! is paused. A waiting job runs out of time by that clock, so a pause moves no deadline and changes no row of a job.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::constants::{EXPIRY_CONFIRM_MILLIS, PAUSES_MAX};
use crate::limit::seconds::whole_seconds;
use crate::types::ids::PauseId;
use crate::types::model::ModelId;
use crate::types::time::UnixMillis;

/// A lease of a pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseLease {
    /// The model whose creates are paused. All are if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// Time of the start.
    pub started_at: UnixMillis,
    /// Time of the start, or of the last renewal.
    pub renewed_at: UnixMillis,
    /// Time of the end, unless the lease is renewed.
    pub ends_at: UnixMillis,
    /// Time of the first check that found that it has ended. A second check must confirm it (protocol 5). In memory only.
    #[serde(skip)]
    expiry_seen_at: Option<UnixMillis>,
}

/// The leases that are held, and how long creates were paused so far. A row of the state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pauses {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    leases: BTreeMap<PauseId, PauseLease>,
    /// The time up to which the two below count. They grow while a lease is held, and change only with the leases.
    #[serde(default)]
    counted_to: UnixMillis,
    /// Milliseconds in which all models were paused.
    #[serde(default)]
    all_ms: i64,
    /// Milliseconds in which a model was paused alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    models_ms: BTreeMap<ModelId, i64>,
}

/// Why a pause is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseRefusal {
    /// The lease to renew has ended, or is about another model.
    Ended,
    /// There are as many leases as there may be.
    TooMany {
        /// Seconds until one of them ends.
        retry_after_secs: u32,
    },
}

impl Pauses {
    /// Returns whether nothing was ever paused.
    pub(super) fn is_unused(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the leases that are held.
    pub fn leases(&self) -> impl Iterator<Item = (&PauseId, &PauseLease)> {
        self.leases.iter()
    }

    /// Takes a lease, or renews it. A repeated message changes no more than its end.
    pub(super) fn take(
        &mut self,
        id: &PauseId,
        model: Option<ModelId>,
        ends_at: UnixMillis,
        is_renewal: bool,
        now: UnixMillis,
    ) -> Result<(), PauseRefusal> {
        if let Some(lease) = self.leases.get_mut(id) {
            if model.is_some() && model != lease.model {
                return Err(PauseRefusal::Ended);
            }
            (lease.renewed_at, lease.ends_at, lease.expiry_seen_at) = (now, ends_at, None);
            return Ok(());
        }
        if is_renewal {
            return Err(PauseRefusal::Ended);
        }
        if self.leases.len() >= PAUSES_MAX {
            let first = self.leases.values().map(|lease| lease.ends_at).min().unwrap_or(now);
            return Err(PauseRefusal::TooMany { retry_after_secs: whole_seconds(first.millis_since(now)) });
        }
        self.count(now);
        let lease = PauseLease { model, started_at: now, renewed_at: now, ends_at, expiry_seen_at: None };
        self.leases.insert(id.clone(), lease);
        Ok(())
    }

    /// Gives a lease back.
    pub(super) fn release(&mut self, id: &PauseId, now: UnixMillis) {
        if self.leases.contains_key(id) {
            self.count(now);
            self.leases.remove(id);
        }
    }

    /// Gives back the leases whose time is over. A clock that steps forward ends none at once: a second check, at least
    /// [`EXPIRY_CONFIRM_MILLIS`] later, must confirm each.
    pub(super) fn end_expired(&mut self, now: UnixMillis) {
        let mut ended = Vec::new();
        for (id, lease) in &mut self.leases {
            if lease.ends_at > now {
                lease.expiry_seen_at = None;
            } else if now.millis_since(*lease.expiry_seen_at.get_or_insert(now)) >= EXPIRY_CONFIRM_MILLIS {
                ended.push(id.clone());
            }
        }
        ended.iter().for_each(|id| self.release(id, now));
    }

    /// Returns when the next lease is to be checked.
    pub(super) fn next_check(&self) -> Option<UnixMillis> {
        let check = |lease: &PauseLease| {
            lease.expiry_seen_at.map_or(lease.ends_at, |seen_at| seen_at.plus_millis(EXPIRY_CONFIRM_MILLIS))
        };
        self.leases.values().map(check).min()
    }

    /// Returns whether a lease of all models is held.
    pub(super) fn hold_all(&self) -> bool {
        self.leases.values().any(|lease| lease.model.is_none())
    }

    /// Returns whether a lease of this model is held. One of all models does not count.
    pub(super) fn hold_model(&self, model: &ModelId) -> bool {
        self.leases.values().any(|lease| lease.model.as_ref() == Some(model))
    }

    /// Returns when creates of all models may start again, if they are paused.
    pub(super) fn all_until(&self) -> Option<UnixMillis> {
        self.until(|lease| lease.model.is_none())
    }

    /// Returns when creates of a model may start again, if the model is paused alone.
    pub(super) fn model_until(&self, model: &ModelId) -> Option<UnixMillis> {
        self.until(|lease| lease.model.as_ref() == Some(model))
    }

    fn until(&self, is_meant: impl Fn(&PauseLease) -> bool) -> Option<UnixMillis> {
        self.leases.values().filter(|lease| is_meant(lease)).map(|lease| lease.ends_at).max()
    }

    /// Adds the time since the last count, in which the leases did not change.
    fn count(&mut self, now: UnixMillis) {
        let millis = now.millis_since(self.counted_to).max(0);
        if self.hold_all() {
            self.all_ms = self.all_ms.saturating_add(millis);
        } else {
            let Self { leases, models_ms, .. } = self;
            let mut models: Vec<&ModelId> = leases.values().filter_map(|lease| lease.model.as_ref()).collect();
            models.sort();
            models.dedup();
            for model in models {
                let paused = models_ms.entry(model.clone()).or_default();
                *paused = paused.saturating_add(millis);
            }
        }
        self.counted_to = now;
    }

    /// Returns how many milliseconds creates of a model were paused up to now.
    pub(super) fn paused_millis(&self, model: &ModelId, now: UnixMillis) -> i64 {
        let is_held = self.hold_all() || self.hold_model(model);
        let present = if is_held { now.millis_since(self.counted_to).max(0) } else { 0 };
        let of_model = self.models_ms.get(model).copied().unwrap_or_default();
        self.all_ms.saturating_add(of_model).saturating_add(present)
    }

    /// Returns the latest time by which the machine's clock had already come.
    pub(super) fn newest(&self) -> UnixMillis {
        self.leases.values().map(|lease| lease.renewed_at).fold(self.counted_to, UnixMillis::max)
    }

    /// Sets later times back, after the clock was. A lease lasts at most as long again as it was taken for.
    pub(super) fn set_back(&mut self, now: UnixMillis) {
        self.counted_to = self.counted_to.min(now);
        for lease in self.leases.values_mut().filter(|lease| lease.renewed_at > now) {
            lease.ends_at = now.plus_millis(lease.ends_at.millis_since(lease.renewed_at));
            (lease.started_at, lease.renewed_at) = (lease.started_at.min(now), now);
            lease.expiry_seen_at = None;
        }
    }
}

#[cfg(test)]
#[path = "pauses_tests.rs"]
mod tests;
