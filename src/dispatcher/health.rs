//! The vendor's health: the circuit breaker, the key, paused models, and the penalty on slots (protocol 1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use crate::constants::{
    CIRCUIT_FAILURES, HEALTH_STORED_MILLIS, MODEL_PAUSE_MILLIS, PROBE_FIRST_MILLIS, PROBE_MAX_MILLIS,
    SLOT_PENALTY_MILLIS,
};
use crate::types::model::ModelId;
use crate::types::time::UnixMillis;

/// A pause of creates, while the circuit breaker is open or the key is refused. Until it ends, single creates are sent
/// as probes, with back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Earliest time of the next probe.
    pub probe_at: UnixMillis,
    /// Wait between that probe and the one after it, milliseconds.
    pub next_wait_ms: i64,
    /// Start of the pause. The build before did not store it.
    #[serde(default, skip_serializing_if = "is_epoch")]
    pub since: UnixMillis,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
const fn is_epoch(value: &UnixMillis) -> bool {
    value.0 == 0
}

impl Pause {
    const fn start(now: UnixMillis) -> Self {
        Self { probe_at: now.plus_millis(PROBE_FIRST_MILLIS), next_wait_ms: PROBE_FIRST_MILLIS * 2, since: now }
    }

    fn after_probe(self, now: UnixMillis) -> Self {
        let (probe_at, next_wait_ms) = schedule_probe(self.next_wait_ms, now);
        Self { probe_at, next_wait_ms, ..self }
    }
}

/// Returns the time of a probe after this wait, and the wait after it: twice as long, within the limits of probes.
pub(super) fn schedule_probe(wait_millis: i64, now: UnixMillis) -> (UnixMillis, i64) {
    let wait = wait_millis.clamp(PROBE_FIRST_MILLIS, PROBE_MAX_MILLIS);
    (now.plus_millis(wait), wait.saturating_mul(2))
}

/// The vendor's health, part of the stored document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Consecutive failures.
    #[serde(default)]
    pub failures: u32,
    /// Set while the circuit breaker is open.
    #[serde(rename = "circuit", default, skip_serializing_if = "Option::is_none")]
    pub open_circuit: Option<Pause>,
    /// Set while the vendor refuses the key.
    #[serde(rename = "key_trouble", default, skip_serializing_if = "Option::is_none")]
    pub key_pause: Option<Pause>,
    /// Paused models, with the end of the pause.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub paused_models: BTreeMap<ModelId, UnixMillis>,
    /// End of the time in which one slot less is used.
    #[serde(default)]
    pub slot_penalty_until: UnixMillis,
    /// No create before this time: the vendor throttled one.
    #[serde(rename = "creates_rest_until", default)]
    pub creates_paused_until: UnixMillis,
    /// The caller whose create the vendor last refused with its own 403 or 404, by model. Any other reply deletes the
    /// entry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub model_refused_to: BTreeMap<ModelId, String>,
    /// Time at which the vendor last accepted a create, by model. Entries older than [`MODEL_PAUSE_MILLIS`] are
    /// dropped. Stored to the minute, so that not every create costs a row: after a restart a model may be paused up to
    /// a minute early.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", serialize_with = "to_the_minute")]
    pub model_accepted_at: BTreeMap<ModelId, UnixMillis>,
}

fn to_the_minute<S: Serializer>(times: &BTreeMap<ModelId, UnixMillis>, serializer: S) -> Result<S::Ok, S::Error> {
    let minute = |at: UnixMillis| UnixMillis(at.0.saturating_sub(at.0.rem_euclid(HEALTH_STORED_MILLIS)));
    serializer.collect_map(times.iter().map(|(model, at)| (model, minute(*at))))
}

impl Health {
    /// Records a success, which closes the circuit breaker.
    pub const fn record_success(&mut self) {
        self.failures = 0;
        self.open_circuit = None;
    }

    /// Records a failure of the vendor. Returns whether it opened the circuit breaker.
    pub fn record_failure(&mut self, now: UnixMillis) -> bool {
        self.failures = self.failures.saturating_add(1);
        match self.open_circuit {
            // Already open. `schedule_next_probe` was called when the failed probe was sent.
            Some(_) => false,
            None if self.failures >= CIRCUIT_FAILURES => {
                self.open_circuit = Some(Pause::start(now));
                true
            }
            None => false,
        }
    }

    /// Pauses the vendor key after the vendor refused it. Returns whether it was not paused before.
    pub fn pause_key(&mut self, now: UnixMillis) -> bool {
        let is_new = self.key_pause.is_none();
        self.key_pause.get_or_insert_with(|| Pause::start(now));
        is_new
    }

    /// Ends the pause of the vendor key: the vendor accepted it.
    pub const fn resume_key(&mut self) {
        self.key_pause = None;
    }

    /// Records that the vendor refused a create of a model with its own 403 or 404. Pauses the model if two different
    /// callers in a row were refused and no create of the model was accepted within [`MODEL_PAUSE_MILLIS`]. This way,
    /// one user whose prompts the vendor rejects cannot block a model for all users.
    ///
    /// `caller` is a user, or one name for all guests, because one person can be many guests.
    pub fn record_model_refusal(&mut self, model: &ModelId, caller: &str, now: UnixMillis) {
        let before = self.model_refused_to.insert(model.clone(), caller.to_owned());
        let is_alone = before.is_none_or(|before| before == caller);
        let is_served = self.model_accepted_at.get(model).is_some_and(|at| now.millis_since(*at) < MODEL_PAUSE_MILLIS);
        if !is_alone && !is_served {
            self.paused_models.retain(|_, until| *until > now);
            self.paused_models.insert(model.clone(), now.plus_millis(MODEL_PAUSE_MILLIS));
        }
    }

    /// Records that the vendor accepted a create of a model.
    pub fn record_model_accepted(&mut self, model: &ModelId, now: UnixMillis) {
        self.model_accepted_at.retain(|_, at| now.millis_since(*at) < MODEL_PAUSE_MILLIS);
        self.model_accepted_at.insert(model.clone(), now);
        self.end_model_refusals(model);
    }

    /// Records that the vendor's reply to a create of a model was no refusal of the model. Ends the sequence of
    /// refusals.
    pub fn end_model_refusals(&mut self, model: &ModelId) {
        self.model_refused_to.remove(model);
    }

    /// Returns the end of a model's pause, if it is paused.
    #[must_use]
    pub fn model_paused_until(&self, model: &ModelId, now: UnixMillis) -> Option<UnixMillis> {
        self.paused_models.get(model).copied().filter(|until| *until > now)
    }

    /// Lowers the slot limit by one for a while: the vendor throttled a create although a slot was counted as free.
    pub fn penalize_slots(&mut self, now: UnixMillis) {
        self.slot_penalty_until = self.slot_penalty_until.max(now.plus_millis(SLOT_PENALTY_MILLIS));
    }

    /// Returns whether the circuit breaker is open or the key is paused. Then creates are probes, one at a time.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.open_circuit.is_some() || self.key_pause.is_some()
    }

    /// Returns how long the pause is expected to last: until the next probe, or as long again as it has lasted so far,
    /// whichever is longer. The current back-off stands for the time that it has lasted. There is no better estimate
    /// for a problem that only the vendor or the operator can solve.
    #[must_use]
    pub fn expected_pause_millis(&self, now: UnixMillis) -> i64 {
        let pauses = [self.open_circuit, self.key_pause].into_iter().flatten();
        let longest = pauses.map(|pause| pause.next_wait_ms.div_euclid(2).max(pause.probe_at.millis_since(now))).max();
        longest.unwrap_or(0).max(self.creates_paused_until.millis_since(now)).max(0)
    }

    /// Returns the earliest time for a create.
    #[must_use]
    pub fn next_create_at(&self) -> UnixMillis {
        let probes = [self.open_circuit, self.key_pause].into_iter().flatten().map(|pause| pause.probe_at);
        probes.fold(self.creates_paused_until, UnixMillis::max)
    }

    /// Sets later times to `now`, after the clock was set back.
    pub fn set_back(&mut self, now: UnixMillis) {
        let pauses = [&mut self.open_circuit, &mut self.key_pause].into_iter().flatten();
        let pauses = pauses.flat_map(|pause| [&mut pause.probe_at, &mut pause.since]);
        let times = [&mut self.slot_penalty_until, &mut self.creates_paused_until];
        let of_models = self.paused_models.values_mut().chain(self.model_accepted_at.values_mut());
        let all = pauses.chain(times).chain(of_models);
        all.for_each(|time| *time = (*time).min(now));
    }

    /// Schedules the next probe, while one is being sent. So there is a wait before the next one even if this one gets
    /// no reply.
    pub fn schedule_next_probe(&mut self, now: UnixMillis) {
        self.open_circuit = self.open_circuit.map(|pause| pause.after_probe(now));
        self.key_pause = self.key_pause.map(|pause| pause.after_probe(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_in_a_row_open_the_circuit_and_one_success_closes_it() {
        let mut health = Health::default();
        for _ in 0..4 {
            assert!(!health.record_failure(UnixMillis(0)));
        }
        health.record_success();
        for _ in 0..4 {
            assert!(!health.record_failure(UnixMillis(0)));
        }
        assert!(health.record_failure(UnixMillis(0)));
        assert!(health.is_paused());
        assert_eq!(health.next_create_at(), UnixMillis(30_000));
        health.record_success();
        assert!(!health.is_paused());
    }

    #[test]
    fn probes_come_less_and_less_often() {
        let mut health = Health::default();
        assert!(health.pause_key(UnixMillis(0)));
        assert!(!health.pause_key(UnixMillis(0)));
        assert_eq!(health.next_create_at(), UnixMillis(30_000));
        for _ in 0..20 {
            health.schedule_next_probe(UnixMillis(0));
        }
        assert_eq!(health.next_create_at(), UnixMillis(PROBE_MAX_MILLIS));
    }

    #[test]
    fn a_pause_is_expected_to_last_as_long_as_it_has() {
        let mut health = Health::default();
        assert_eq!(health.expected_pause_millis(UnixMillis(0)), 0);
        health.pause_key(UnixMillis(0));
        assert_eq!(health.expected_pause_millis(UnixMillis(0)), 30_000);
        for probe in 1..6 {
            health.schedule_next_probe(UnixMillis(probe));
        }
        assert_eq!(health.expected_pause_millis(UnixMillis(10)), PROBE_MAX_MILLIS);
    }

    fn models() -> [ModelId; 2] {
        ["a/bad", "a/good"].map(|name| ModelId::parse(name).unwrap())
    }

    #[test]
    fn a_model_that_two_callers_were_refused_is_paused_for_five_minutes_and_no_other_is() {
        let mut health = Health::default();
        let [bad, good] = models();
        for caller in ["one", "one", "one"] {
            health.record_model_refusal(&bad, caller, UnixMillis(0));
            assert_eq!(health.model_paused_until(&bad, UnixMillis(1)), None, "one caller alone");
        }
        health.record_model_refusal(&good, "two", UnixMillis(0));
        health.record_model_refusal(&bad, "two", UnixMillis(0));
        assert_eq!(health.model_paused_until(&bad, UnixMillis(1)), Some(UnixMillis(300_000)));
        assert_eq!(health.model_paused_until(&bad, UnixMillis(300_000)), None);
        assert_eq!(health.model_paused_until(&good, UnixMillis(1)), None);
    }

    #[test]
    fn a_model_that_works_is_not_paused() {
        let mut health = Health::default();
        let [model, _] = models();
        health.record_model_accepted(&model, UnixMillis(0));
        health.record_model_refusal(&model, "one", UnixMillis(299_998));
        health.record_model_refusal(&model, "two", UnixMillis(299_999));
        assert_eq!(health.model_paused_until(&model, UnixMillis(299_999)), None);
        health.record_model_refusal(&model, "one", UnixMillis(300_000));
        assert!(health.model_paused_until(&model, UnixMillis(300_000)).is_some());
        let mut health = Health::default();
        health.record_model_refusal(&model, "one", UnixMillis(0));
        health.end_model_refusals(&model);
        health.record_model_refusal(&model, "two", UnixMillis(0));
        assert_eq!(health.model_paused_until(&model, UnixMillis(0)), None, "not in a row");
    }
}
