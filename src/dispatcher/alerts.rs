//! The alerts of the whole deployment: the Dispatcher's own, and those that the edge and Ledgers hand over. The latest ones
//! are kept for the operator's API. With `ALERT_WEBHOOK_URL` each is sent, at most three times.
//!
//! One notification is in flight at a time, on the connection that vendor requests never use. So neither a receiver that
//! does not respond nor a caller that causes alerts delays a prediction.

use super::actions::Action;
use super::alert_log::KeptAlert;
use super::machine::Dispatcher;
use crate::types::alert::RaisedAlert;
use crate::types::time::UnixMillis;

impl Dispatcher {
    /// Raises an alert, unless its cause was seen in the last ten minutes.
    pub(super) fn raise(&mut self, alert: impl Into<RaisedAlert>, now: UnixMillis) {
        let raised = alert.into();
        if self.keep_alert(&raised, now) {
            self.changes.alerts.push(raised);
        }
    }

    /// Takes over alerts that others have raised and logged.
    pub fn take_over_alerts(&mut self, alerts: &[RaisedAlert], now: UnixMillis) {
        let now = self.advance(now);
        for raised in alerts {
            self.keep_alert(raised, now);
        }
    }

    fn keep_alert(&mut self, raised: &RaisedAlert, now: UnixMillis) -> bool {
        let is_admitted = self.alert_limiter.admit(raised, now);
        if is_admitted {
            self.state.alerts.keep(raised.clone(), self.limits.sends_alerts, now);
        }
        is_admitted
    }

    /// Returns the latest alerts, the newest first.
    pub fn latest_alerts(&self) -> impl Iterator<Item = &KeptAlert> {
        self.state.alerts.latest()
    }

    /// Sends the notification that is due, if none is in flight.
    pub(super) fn due_alert(&mut self, now: UnixMillis, actions: &mut Vec<Action>) {
        if self.in_flight.alert.is_some() || !self.limits.sends_alerts {
            return;
        }
        if let Some(notification) = self.state.alerts.due(now) {
            self.in_flight.alert = Some(notification.id.clone());
            actions.push(Action::SendAlert(notification));
        }
    }

    /// Returns when a notification is due. The report of one in flight decides when the next one is.
    pub(super) fn next_alert(&self) -> Option<UnixMillis> {
        self.state.alerts.next_due().filter(|_| self.in_flight.alert.is_none() && self.limits.sends_alerts)
    }

    /// Records whether the receiver took a notification: it responded with 2xx.
    pub fn finish_alert(&mut self, id: &str, is_delivered: bool, now: UnixMillis) {
        let now = self.advance(now);
        self.in_flight.alert = None;
        self.state.alerts.finish(id, is_delivered, now);
    }
}
