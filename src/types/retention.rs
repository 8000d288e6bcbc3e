//! How long ended predictions are kept.

use crate::constants::{MILLIS_PER_DAY, RETENTION_DAYS};

/// How long ended predictions are kept: `RETENTION_DAYS`, within its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    days: u32,
}

impl Retention {
    /// Returns the retention of this many days.
    #[must_use]
    pub fn from_days(days: u32) -> Self {
        let (least, _, most) = RETENTION_DAYS;
        Self { days: days.clamp(least, most) }
    }

    /// Returns the retention in milliseconds.
    #[must_use]
    pub fn millis(self) -> i64 {
        i64::from(self.days).saturating_mul(MILLIS_PER_DAY)
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { days: RETENTION_DAYS.1 }
    }
}
