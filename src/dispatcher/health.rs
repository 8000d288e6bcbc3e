//! How the vendor is doing: the circuit, the key, paused models, and the penalty on our slots (protocol 1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::constants::{
    CIRCUIT_FAILURES, MODEL_PAUSE_MILLIS, PROBE_FIRST_MILLIS, PROBE_MAX_MILLIS, SLOT_PENALTY_MILLIS,
};
use crate::types::model::ModelId;
use crate::types::time::UnixMillis;

/// Something that rests and is tried again, less and less often, one probe at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When one probe may be sent.
    pub probe_at: UnixMillis,
    /// What it rests for after the next failure, milliseconds.
    pub next_wait_ms: i64,
}

impl Pause {
    const fn begin(now: UnixMillis) -> Self {
        Self { probe_at: now.plus_millis(PROBE_FIRST_MILLIS), next_wait_ms: PROBE_FIRST_MILLIS * 2 }
    }

    fn longer(self, now: UnixMillis) -> Self {
        let wait = self.next_wait_ms.clamp(PROBE_FIRST_MILLIS, PROBE_MAX_MILLIS);
        Self { probe_at: now.plus_millis(wait), next_wait_ms: wait.saturating_mul(2) }
    }
}

/// What the Dispatcher knows of the vendor, stored as one JSON document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Failures in a row.
    #[serde(default)]
    pub failures: u32,
    /// Set while the circuit is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit: Option<Pause>,
    /// Set while the vendor refuses the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_trouble: Option<Pause>,
    /// Models that the vendor refused, with the time until which they rest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub paused_models: BTreeMap<ModelId, UnixMillis>,
    /// Until when one slot less is used.
    #[serde(default)]
    pub slot_penalty_until: UnixMillis,
    /// No create before this: the vendor throttled one.
    #[serde(rename = "creates_rest_until", default)]
    pub creates_paused_until: UnixMillis,
    /// When a create may be sent although unknown outcomes hold every slot.
    #[serde(default)]
    pub unknown_probe_at: UnixMillis,
}

impl Health {
    /// The vendor answered as it should: the circuit closes.
    pub const fn vendor_works(&mut self) {
        self.failures = 0;
        self.circuit = None;
    }

    /// The vendor failed. Whether the circuit has just opened.
    pub fn vendor_failed(&mut self, now: UnixMillis) -> bool {
        self.failures = self.failures.saturating_add(1);
        match self.circuit {
            // Already open: the probe that failed has booked the next one (`probe_sent`).
            Some(_) => false,
            None if self.failures >= CIRCUIT_FAILURES => {
                self.circuit = Some(Pause::begin(now));
                true
            }
            None => false,
        }
    }

    /// The vendor refused the key. Whether that is new.
    pub fn key_refused(&mut self, now: UnixMillis) -> bool {
        let is_new = self.key_trouble.is_none();
        self.key_trouble.get_or_insert_with(|| Pause::begin(now));
        is_new
    }

    /// The vendor accepted the key.
    pub const fn key_works(&mut self) {
        self.key_trouble = None;
    }

    /// The vendor refused `model`.
    pub fn pause_model(&mut self, model: ModelId, now: UnixMillis) {
        self.paused_models.retain(|_, until| *until > now);
        self.paused_models.insert(model, now.plus_millis(MODEL_PAUSE_MILLIS));
    }

    /// Until when `model` rests, if it does.
    #[must_use]
    pub fn model_paused_until(&self, model: &ModelId, now: UnixMillis) -> Option<UnixMillis> {
        self.paused_models.get(model).copied().filter(|until| *until > now)
    }

    /// We counted a free slot and the vendor did not.
    pub fn penalize_slots(&mut self, now: UnixMillis) {
        self.slot_penalty_until = self.slot_penalty_until.max(now.plus_millis(SLOT_PENALTY_MILLIS));
    }

    /// Whether the circuit is open or the key is refused: then creates are probes, one at a time.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.circuit.is_some() || self.key_trouble.is_some()
    }

    /// How long the vendor is expected to rest still: until the next probe, or as long as it has rested already, which
    /// the back-off stands for. Nothing tells more about a trouble that only somebody else can end.
    #[must_use]
    pub fn expected_pause_millis(&self, now: UnixMillis) -> i64 {
        let pauses = [self.circuit, self.key_trouble].into_iter().flatten();
        let longest = pauses.map(|pause| pause.next_wait_ms.div_euclid(2).max(pause.probe_at.millis_since(now))).max();
        longest.unwrap_or(0).max(self.creates_paused_until.millis_since(now)).max(0)
    }

    /// When a create may be sent at the earliest.
    #[must_use]
    pub fn create_at(&self) -> UnixMillis {
        let probes = [self.circuit, self.key_trouble].into_iter().flatten().map(|pause| pause.probe_at);
        probes.fold(self.creates_paused_until, UnixMillis::max)
    }

    /// A probe is being sent: the next one waits its turn even if no answer comes back.
    pub fn probe_sent(&mut self, now: UnixMillis) {
        self.circuit = self.circuit.map(|pause| pause.longer(now));
        self.key_trouble = self.key_trouble.map(|pause| pause.longer(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_in_a_row_open_the_circuit_and_one_success_closes_it() {
        let mut health = Health::default();
        for _ in 0..4 {
            assert!(!health.vendor_failed(UnixMillis(0)));
        }
        health.vendor_works();
        for _ in 0..4 {
            assert!(!health.vendor_failed(UnixMillis(0)));
        }
        assert!(health.vendor_failed(UnixMillis(0)));
        assert!(health.is_paused());
        assert_eq!(health.create_at(), UnixMillis(30_000));
        health.vendor_works();
        assert!(!health.is_paused());
    }

    #[test]
    fn probes_come_less_and_less_often() {
        let mut health = Health::default();
        assert!(health.key_refused(UnixMillis(0)));
        assert!(!health.key_refused(UnixMillis(0)));
        assert_eq!(health.create_at(), UnixMillis(30_000));
        for _ in 0..20 {
            health.probe_sent(UnixMillis(0));
        }
        assert_eq!(health.create_at(), UnixMillis(PROBE_MAX_MILLIS));
    }

    #[test]
    fn a_trouble_is_expected_to_last_as_long_as_it_has() {
        let mut health = Health::default();
        assert_eq!(health.expected_pause_millis(UnixMillis(0)), 0);
        health.key_refused(UnixMillis(0));
        assert_eq!(health.expected_pause_millis(UnixMillis(0)), 30_000);
        for probe in 1..6 {
            health.probe_sent(UnixMillis(probe));
        }
        assert_eq!(health.expected_pause_millis(UnixMillis(10)), PROBE_MAX_MILLIS);
    }

    #[test]
    fn a_refused_model_rests_five_minutes_and_no_other_does() {
        let mut health = Health::default();
        let (bad, good) = (ModelId::parse("a/bad").unwrap(), ModelId::parse("a/good").unwrap());
        health.pause_model(bad.clone(), UnixMillis(0));
        assert_eq!(health.model_paused_until(&bad, UnixMillis(1)), Some(UnixMillis(300_000)));
        assert_eq!(health.model_paused_until(&bad, UnixMillis(300_000)), None);
        assert_eq!(health.model_paused_until(&good, UnixMillis(1)), None);
    }
}
