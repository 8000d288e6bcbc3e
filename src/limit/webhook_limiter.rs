//! The rate limit of webhook calls, in the memory of an isolate (protocol 4).

use std::collections::BTreeMap;

use crate::constants::{WEBHOOK_BURST, WEBHOOK_LIMITER_ENTRIES, WEBHOOK_POLL_MIN_MILLIS};
use crate::types::ids::JobId;
use crate::types::time::UnixMillis;

/// Limits the webhook calls of each prediction: [`WEBHOOK_BURST`] at once, then one in [`WEBHOOK_POLL_MIN_MILLIS`]. So
/// a holder of one capability cannot flood the one Dispatcher, which serves everybody.
///
/// The algorithm is GCRA (ITU-T I.371): for each prediction it stores the theoretical arrival time of the next call.
#[derive(Debug, Default)]
pub struct WebhookLimiter {
    arrivals: BTreeMap<JobId, UnixMillis>,
}

impl WebhookLimiter {
    /// A limiter that has seen no call.
    pub const NEW: Self = Self { arrivals: BTreeMap::new() };

    /// Counts a call. Returns whether it is within the limit.
    ///
    /// A call beyond the limit needs no effect: a call that was within it came less than [`WEBHOOK_POLL_MIN_MILLIS`]
    /// ago, and the Dispatcher polls the prediction once more when that time has passed.
    pub fn admit(&mut self, job_id: &JobId, now: UnixMillis) -> bool {
        if self.arrivals.len() >= WEBHOOK_LIMITER_ENTRIES {
            // An arrival in the past limits nothing any more.
            self.arrivals.retain(|_, at| *at > now);
        }
        let arrival = self.arrivals.get(job_id).copied().unwrap_or(now).max(now);
        let tolerance = WEBHOOK_POLL_MIN_MILLIS.saturating_mul(WEBHOOK_BURST.saturating_sub(1));
        let is_admitted = arrival.millis_since(now) <= tolerance;
        if is_admitted {
            self.arrivals.insert(job_id.clone(), arrival.plus_millis(WEBHOOK_POLL_MIN_MILLIS));
        }
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job_id(number: u8) -> JobId {
        JobId::new(UnixMillis(0), [number; 10])
    }

    #[test]
    fn three_calls_pass_at_once_and_then_one_in_ten_seconds() {
        let mut limiter = WebhookLimiter::NEW;
        let mut admit = |at| limiter.admit(&job_id(1), UnixMillis(at));
        assert_eq!([0, 1, 2, 3, 9_999].map(&mut admit), [true, true, true, false, false]);
        assert_eq!([10_000, 10_001, 20_000, 20_001].map(&mut admit), [true, false, true, false]);
        assert_eq!([100_000, 100_000, 100_000, 100_000].map(&mut admit), [true, true, true, false]);
    }

    #[test]
    fn a_refused_call_always_comes_less_than_ten_seconds_after_an_admitted_one() {
        let mut limiter = WebhookLimiter::NEW;
        let mut admitted = UnixMillis(-100_000);
        for at in (0..200_000).step_by(700) {
            let now = UnixMillis(at);
            if limiter.admit(&job_id(1), now) {
                admitted = now;
            } else {
                assert!(now.millis_since(admitted) < WEBHOOK_POLL_MIN_MILLIS, "{at}");
            }
        }
    }

    #[test]
    fn predictions_do_not_limit_each_other_and_old_ones_are_forgotten() {
        let mut limiter = WebhookLimiter::NEW;
        for number in 0..=255 {
            assert!(limiter.admit(&job_id(number), UnixMillis(0)));
        }
        for number in 0..WEBHOOK_LIMITER_ENTRIES {
            let id = JobId::new(UnixMillis(i64::try_from(number).unwrap()), [7; 10]);
            assert!(limiter.admit(&id, UnixMillis(60_000)));
        }
        assert!(limiter.arrivals.len() <= WEBHOOK_LIMITER_ENTRIES, "{}", limiter.arrivals.len());
    }
}
