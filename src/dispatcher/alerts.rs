//! The alerts of the Dispatcher.

use super::machine::Dispatcher;
use crate::types::alert::RaisedAlert;
use crate::types::time::UnixMillis;

impl Dispatcher {
    /// Raises an alert, unless its cause was seen in the last ten minutes.
    pub(super) fn raise(&mut self, alert: impl Into<RaisedAlert>, now: UnixMillis) {
        let raised = alert.into();
        if self.alert_limiter.admit(&raised, now) {
            self.changes.alerts.push(raised);
        }
    }
}
