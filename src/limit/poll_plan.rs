//! The interval between two polls of a prediction (protocol 4).

use super::request_window::Lane;
use crate::constants::{OVERDUE_POLL_MILLIS, POLL_FIRST_MILLIS, POLL_MAX_MILLIS, VENDOR_WINDOW_MILLIS};

/// Returns the milliseconds until the next poll of a prediction that was submitted `age_millis` ago, while `running`
/// predictions share a limit of `requests_per_minute`.
///
/// - The interval starts at 2 s and grows to a quarter of the age, at most 30 s.
/// - It is stretched so that the polls of all predictions together stay in the status lane.
/// - A prediction that runs longer than its `max_seconds` is polled every 30 s.
#[must_use]
pub fn next_poll_millis(age_millis: i64, is_overdue: bool, running: usize, requests_per_minute: usize) -> i64 {
    if is_overdue {
        return OVERDUE_POLL_MILLIS;
    }
    let by_age = age_millis.div_euclid(4).clamp(POLL_FIRST_MILLIS, POLL_MAX_MILLIS);
    let running = i64::try_from(running).unwrap_or(i64::MAX).max(1);
    let lane_per_minute = i64::try_from(Lane::Status.share(requests_per_minute)).unwrap_or(i64::MAX);
    let by_lane = running.saturating_mul(VENDOR_WINDOW_MILLIS).checked_div(lane_per_minute).unwrap_or(i64::MAX);
    by_age.max(by_lane)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_prediction_is_polled_after_two_seconds_and_then_less_often() {
        assert_eq!(next_poll_millis(0, false, 1, 60), 2_904);
        assert_eq!(next_poll_millis(0, false, 1, 600), 2_000);
        assert_eq!(next_poll_millis(40_000, false, 1, 60), 10_000);
        assert_eq!(next_poll_millis(1_000_000, false, 1, 60), 30_000);
        assert_eq!(next_poll_millis(0, true, 1, 60), 30_000);
    }

    proptest! {
        #![proptest_config(crate::testing::property_config())]

        #[test]
        fn all_polls_together_stay_in_the_lane(age in 0_i64..10_000_000, running in 1_usize..50, limit in 3_usize..2_000) {
            let wait = next_poll_millis(age, false, running, limit);
            let polls_a_minute = i64::try_from(running).unwrap() * 60_000 / wait;
            prop_assert!(polls_a_minute <= (i64::try_from(limit).unwrap() * 35 / 100).max(1));
            prop_assert!(wait >= 1_000);
        }
    }
}
