//! The rotation of the vendor key (protocol 6): which key creates use while `DEEPCREATIVE_API_KEY_NEXT` is set.
//!
//! The next key is checked by a request that costs nothing. If the vendor takes it, creates use it from then on, and
//! predictions keep the key that submitted them until they end. A streak of 401 to the key that creates use switches to
//! the other one, if that is not known to be refused: a key that is revoked without warning costs no client an error.

use serde::{Deserialize, Serialize};

use super::health::schedule_probe;
use crate::constants::PROBE_FIRST_MILLIS;
use crate::types::time::UnixMillis;

/// The state of the next key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NextKey {
    /// It has not been checked yet. Creates use the current key.
    Checking,
    /// The vendor refused it. Creates use the current key, and it is checked again.
    Refused,
    /// Creates use it. Predictions of the current key go on.
    Draining,
}

/// A rotation that goes on: a row of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Fingerprint of the next key.
    #[serde(rename = "key")]
    pub(super) fingerprint: String,
    #[serde(rename = "state")]
    pub(super) next_key: NextKey,
    /// Start of that state.
    pub(super) since: UnixMillis,
    /// Time of the next check.
    pub(super) check_at: UnixMillis,
    /// Wait between that check and the one after it, milliseconds.
    pub(super) next_wait_ms: i64,
    /// Consecutive 401 to the key that creates use.
    #[serde(default)]
    pub(super) refusals: u32,
}

impl Rotation {
    /// Returns the rotation to a key that was not checked yet.
    pub(super) fn new(fingerprint: &str, now: UnixMillis) -> Self {
        Self {
            fingerprint: fingerprint.to_owned(),
            next_key: NextKey::Checking,
            since: now,
            check_at: now,
            next_wait_ms: PROBE_FIRST_MILLIS,
            refusals: 0,
        }
    }

    /// Enters a state.
    pub(super) fn enter(&mut self, next_key: NextKey, now: UnixMillis) {
        if self.next_key != next_key {
            (self.next_key, self.since) = (next_key, now);
        }
        self.refusals = 0;
    }

    /// Schedules another check, with back-off.
    pub(super) fn check_again(&mut self, now: UnixMillis) {
        (self.check_at, self.next_wait_ms) = schedule_probe(self.next_wait_ms, now);
    }

    /// Sets later times to `now`, after the clock was set back.
    pub(super) fn set_back(&mut self, now: UnixMillis) {
        (self.since, self.check_at) = (self.since.min(now), self.check_at.min(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_format_unchanged() {
        let mut rotation = Rotation::new("k", UnixMillis(1));
        let text = r#"{"key":"k","state":"checking","since":1,"check_at":1,"next_wait_ms":30000,"refusals":0}"#;
        assert_eq!(serde_json::to_string(&rotation).unwrap(), text);
        for (next_key, word) in [(NextKey::Draining, "draining"), (NextKey::Refused, "refused")] {
            rotation.enter(next_key, UnixMillis(2));
            let text = serde_json::to_string(&rotation).unwrap();
            assert!(text.contains(&format!(r#""state":"{word}","since":2"#)), "{text}");
            assert_eq!(serde_json::from_str::<Rotation>(&text).unwrap(), rotation);
        }
    }

    #[test]
    fn checks_come_less_and_less_often() {
        let mut rotation = Rotation::new("k", UnixMillis(0));
        let waits = [(); 7].map(|()| {
            rotation.check_again(UnixMillis(0));
            rotation.check_at.0 / 1_000
        });
        assert_eq!(waits, [30, 60, 120, 240, 480, 600, 600]);
    }
}
