//! The latest alerts, as they are stored, and which of them the receiver still has to get.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::constants::{ALERT_RETRY_MILLIS, ALERTS_KEPT};
use crate::notification::Notification;
use crate::types::alert::{RaisedAlert, known_alerts};
use crate::types::ids::hex_digest;
use crate::types::time::UnixMillis;

/// An alert that was raised, part of the stored state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAlert {
    /// When it was raised.
    pub at: UnixMillis,
    /// The alert.
    pub raised: RaisedAlert,
    /// Set until the receiver has it, or the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unsent: Option<Unsent>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Unsent {
    /// Tries that failed.
    failed: usize,
    /// Earliest time of the next try.
    next_at: UnixMillis,
}

impl KeptAlert {
    /// Returns the notification of this alert.
    fn notification(&self) -> Notification {
        let RaisedAlert { alert, detail } = &self.raised;
        let time = self.at.to_rfc3339();
        let digest =
            hex_digest(&[time.as_bytes(), alert.name().as_bytes(), detail.as_deref().unwrap_or("").as_bytes()]);
        Notification {
            id: format!("alert_{}", digest.get(..32).unwrap_or_default()),
            body: json!({"time": time, "alert": alert, "detail": detail}).to_string(),
        }
    }
}

/// The latest alerts, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Alerts(#[serde(deserialize_with = "known_alerts")] Vec<KeptAlert>);

impl Alerts {
    /// Returns the alerts, the latest first.
    pub fn latest(&self) -> impl Iterator<Item = &KeptAlert> {
        self.0.iter().rev()
    }

    /// Returns whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps an alert, and drops the oldest one if there are too many.
    pub(super) fn keep(&mut self, raised: RaisedAlert, is_sent: bool, now: UnixMillis) {
        let excess = self.0.len().saturating_add(1).saturating_sub(ALERTS_KEPT);
        self.0.drain(..excess.min(self.0.len()));
        let unsent = is_sent.then_some(Unsent { failed: 0, next_at: now });
        self.0.push(KeptAlert { at: now, raised, unsent });
    }

    /// Returns when the next notification is due.
    pub(super) fn next_due(&self) -> Option<UnixMillis> {
        self.0.iter().filter_map(|alert| alert.unsent.map(|unsent| unsent.next_at)).min()
    }

    /// Returns the notification that has been due for the longest time.
    pub(super) fn due(&self, now: UnixMillis) -> Option<Notification> {
        let times = self.0.iter().filter_map(|alert| Some((alert.unsent?.next_at, alert)));
        times.filter(|(at, _)| *at <= now).min_by_key(|(at, _)| *at).map(|(_, alert)| alert.notification())
    }

    /// Records the result of a try.
    pub(super) fn finish(&mut self, id: &str, is_delivered: bool, now: UnixMillis) {
        let is_it = |alert: &&mut KeptAlert| alert.unsent.is_some() && alert.notification().id == id;
        let Some(alert) = self.0.iter_mut().find(is_it) else { return };
        let retry = |unsent: Unsent| {
            let wait = ALERT_RETRY_MILLIS.get(unsent.failed)?;
            Some(Unsent { failed: unsent.failed.saturating_add(1), next_at: now.plus_millis(*wait) })
        };
        alert.unsent = alert.unsent.filter(|_| !is_delivered).and_then(retry);
    }

    /// Sets later times to `now`, after the clock was set back.
    pub(super) fn set_back(&mut self, now: UnixMillis) {
        for alert in &mut self.0 {
            alert.at = alert.at.min(now);
            if let Some(unsent) = &mut alert.unsent {
                unsent.next_at = unsent.next_at.min(now);
            }
        }
    }
}
