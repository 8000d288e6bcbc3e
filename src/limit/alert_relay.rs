//! The alerts of one isolate on their way to the Dispatcher, which keeps them and tells the operator's receiver.
//!
//! An isolate hands each alert over once in its ten minutes, so a caller that causes alerts causes no messages.

use super::alert_limiter::AlertLimiter;
use crate::constants::{ALERT_HAND_OVER_MILLIS, ALERTS_KEPT};
use crate::types::alert::RaisedAlert;
use crate::types::time::UnixMillis;

/// Alerts that wait to be handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRelay {
    limiter: AlertLimiter,
    waiting: Vec<RaisedAlert>,
    /// Earliest time of the next message, after one that the Dispatcher did not take.
    next_at: UnixMillis,
}

impl AlertRelay {
    /// Has no alert yet.
    pub const NEW: Self = Self { limiter: AlertLimiter::NEW, waiting: Vec::new(), next_at: UnixMillis(0) };

    /// Takes an alert. Returns whether it is to be raised: its cause was not seen in the last ten minutes.
    pub fn admit(&mut self, raised: &RaisedAlert, now: UnixMillis) -> bool {
        let is_admitted = self.limiter.admit(raised, now);
        if is_admitted && !raised.alert.is_for_log_only() {
            self.add([raised.clone()]);
        }
        is_admitted
    }

    /// Returns the alerts to hand over now. The caller puts them back if that fails.
    pub fn take(&mut self, now: UnixMillis) -> Vec<RaisedAlert> {
        let is_early = self.next_at.millis_since(now) > 0 && self.next_at.millis_since(now) <= ALERT_HAND_OVER_MILLIS;
        if is_early { Vec::new() } else { std::mem::take(&mut self.waiting) }
    }

    /// Takes alerts back that could not be handed over. The next try waits.
    pub fn put_back(&mut self, alerts: Vec<RaisedAlert>, now: UnixMillis) {
        self.add(alerts);
        self.next_at = now.plus_millis(ALERT_HAND_OVER_MILLIS);
    }

    fn add(&mut self, alerts: impl IntoIterator<Item = RaisedAlert>) {
        let room = ALERTS_KEPT.saturating_sub(self.waiting.len());
        self.waiting.extend(alerts.into_iter().take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::alert::Alert;

    #[test]
    fn alerts_are_handed_over_once_and_again_after_a_failure() {
        let mut relay = AlertRelay::NEW;
        let leak: RaisedAlert = Alert::VendorKeyInAnswer.into();
        assert!(relay.admit(&leak, UnixMillis(0)));
        assert!(!relay.admit(&leak, UnixMillis(1)));
        assert_eq!(relay.take(UnixMillis(1)), std::slice::from_ref(&leak));
        assert!(relay.take(UnixMillis(2)).is_empty());
        relay.put_back(vec![leak.clone()], UnixMillis(2));
        assert!(relay.take(UnixMillis(2 + ALERT_HAND_OVER_MILLIS - 1)).is_empty(), "the Dispatcher has trouble");
        assert_eq!(relay.take(UnixMillis(2 + ALERT_HAND_OVER_MILLIS)), [leak]);
    }

    #[test]
    fn a_dispatcher_that_is_gone_costs_bounded_memory() {
        let mut relay = AlertRelay::NEW;
        for number in 0..1_000 {
            relay.put_back(vec![RaisedAlert::about(Alert::StateUnreadable, number.to_string())], UnixMillis(0));
        }
        assert_eq!(relay.take(UnixMillis(60_000)).len(), ALERTS_KEPT);
    }
}
