//! A queue position with the time for which it stays fresh.

use serde::{Deserialize, Serialize};

use crate::constants::{
    MILLIS_PER_SECOND, QUEUE_POSITION_FRESH_MAX_MILLIS, QUEUE_POSITION_FRESH_MIN_MILLIS, QUEUE_POSITION_FRESH_PARTS,
};
use crate::types::prediction::QueuePosition;

/// A queue position, as the Dispatcher tells it to a Ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreshPosition {
    /// See [`QueuePosition::position`].
    pub position: u32,
    /// See [`QueuePosition::eta_seconds`].
    pub eta_seconds: u32,
    /// How long the position stays fresh. The Ledger asks for no newer one before. Absent from the build before.
    #[serde(rename = "fresh_ms", default = "shortest")]
    pub fresh_millis: i64,
}

const fn shortest() -> i64 {
    QUEUE_POSITION_FRESH_MIN_MILLIS
}

impl FreshPosition {
    /// Returns a position that was just computed. It stays fresh for a tenth of its ETA, within bounds: the longer the
    /// wait, the less it matters that the queue moves on.
    #[must_use]
    pub fn new(computed: QueuePosition) -> Self {
        let QueuePosition { position, eta_seconds } = computed;
        let eta_millis = i64::from(eta_seconds).saturating_mul(MILLIS_PER_SECOND);
        let fresh_millis = eta_millis
            .div_euclid(QUEUE_POSITION_FRESH_PARTS)
            .clamp(QUEUE_POSITION_FRESH_MIN_MILLIS, QUEUE_POSITION_FRESH_MAX_MILLIS);
        Self { position, eta_seconds, fresh_millis }
    }

    /// Returns the position as clients see it.
    #[must_use]
    pub const fn shown(self) -> QueuePosition {
        QueuePosition { position: self.position, eta_seconds: self.eta_seconds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_stays_fresh_for_a_tenth_of_its_eta_within_bounds() {
        let fresh = |eta_seconds| FreshPosition::new(QueuePosition { position: 1, eta_seconds }).fresh_millis;
        assert_eq!(
            [1, 20, 21, 100, 300, 301, u32::MAX].map(fresh),
            [2_000, 2_000, 2_100, 10_000, 30_000, 30_000, 30_000]
        );
    }
}
