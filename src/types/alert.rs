//! The closed list of alerts: what an operator must look at. docs/operate.md says what each means and what to do.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// An alert. Its name in JSON and in the log is the variant's, in snake case.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Alert {
    /// The vendor refused the key that creates use.
    VendorKeyRefused,
    /// The vendor refused the next key of a rotation.
    NextKeyRefused,
    /// Predictions of the old vendor key are left long after the last one must have ended.
    RotationStuck,
    /// The vendor refused the key of a poll or a cancel.
    VendorPollRefused,
    /// The vendor redirected a create.
    VendorRedirected,
    /// The vendor sent a status word that is not known.
    UnknownVendorStatus,
    /// The vendor's cost of a prediction cannot be read.
    UnreadableCost,
    /// A response of the vendor has two ids.
    VendorIdsConflict,
    /// A response of the vendor exceeds a size limit.
    VendorAnswerTooLarge,
    /// The vendor's reset of its rate limit is too far ahead.
    RateLimitResetIgnored,
    /// An output contained the vendor key.
    VendorKeyInOutput,
    /// A response to a client would have contained the vendor key.
    VendorKeyInAnswer,
    /// The vendor's stream contained the vendor key.
    VendorKeyInStream,
    /// The stored input of a waiting prediction is gone.
    InputMissing,
    /// Somebody else uses the vendor key.
    KeyLeak,
    /// The key or a pool has used 80 % of its credits of the day. The detail is the plan of a pool.
    DailyCreditsLow,
    /// The key or a pool has no credits left for the day. The detail is the plan of a pool.
    DailyCreditsSpent,
    /// Predictions could start, and none does.
    QueueStuck,
    /// An isolate has refused many tokens in a minute.
    BadTokens,
    /// A user has spent much more than on the days before.
    UnusualSpend,
    /// A user has asked for many predictions that are not the user's.
    ForeignIds,
    /// The vendor failed five times in a row.
    CircuitOpened,
    /// An instance ended while a create was in flight.
    CreateOutcomeUnknown,
    /// The vendor does not know a prediction that it accepted.
    PredictionLostByVendor,
    /// The Dispatcher does not know a prediction that it took over.
    PredictionLostByDispatcher,
    /// A prediction did not end in time.
    PredictionTimedOut,
    /// A Ledger has not heard of a prediction for too long.
    PredictionSilent,
    /// The vendor refused to delete a file.
    FileNotDeleted,
    /// A job update was not acknowledged for a day.
    DeadLetter,
    /// The keys of an identity provider cannot be fetched.
    KeySetUnavailable,
    /// Turnstile refused `TURNSTILE_SECRET`.
    TurnstileSecretRefused,
    /// A stored row cannot be read.
    RowUnreadable,
    /// A newer version changed the storage of an object.
    StorageTooNew,
    /// A part of the Dispatcher's state cannot be read.
    StateUnreadable,
    /// A panic ended the wasm instance. Raised by JavaScript.
    InstanceEnded,
    /// A request got the last resort. Raised by JavaScript.
    NoAnswer,
    /// A Ledger failed to handle a message.
    LedgerFailed,
    /// The Dispatcher failed to handle a message or an action.
    DispatcherFailed,
    /// A Ledger failed to handle its alarm.
    LedgerAlarmFailed,
    /// The Dispatcher failed to handle its alarm.
    DispatcherAlarmFailed,
}

impl Alert {
    /// All alerts.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the name that the log has.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the alert with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|alert| alert.name() == name)
    }

    /// Returns whether the alert is written to the log and told nobody: callers without a valid token can cause it.
    #[must_use]
    pub const fn is_for_log_only(self) -> bool {
        matches!(self, Self::BadTokens)
    }
}

/// An alert with what it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RaisedAlert {
    /// The alert.
    pub alert: Alert,
    /// A word from a closed list, or one that was reduced to a few letters: a plan, a row of the state, the vendor's
    /// status. Never a token, a key, a prompt or a subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl RaisedAlert {
    /// Returns an alert about a detail.
    #[must_use]
    pub fn about(alert: Alert, detail: impl Into<String>) -> Self {
        Self { alert, detail: Some(detail.into()) }
    }

    /// Returns the detail if each has alerts of its own. The vendor's word has none: the vendor could choose a new one
    /// for each alert.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.detail.as_deref().filter(|_| self.alert != Alert::UnknownVendorStatus)
    }
}

impl From<Alert> for RaisedAlert {
    fn from(alert: Alert) -> Self {
        Self { alert, detail: None }
    }
}

/// Reads alerts, without those of a newer version whose names are not known here.
///
/// # Errors
/// The text is no list.
pub fn known_alerts<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let alerts = Vec::<Value>::deserialize(deserializer)?;
    Ok(alerts.into_iter().filter_map(|alert| serde_json::from_value(alert).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raised_alert_format_unchanged() {
        let plain = RaisedAlert::from(Alert::KeyLeak);
        assert_eq!(serde_json::to_string(&plain).unwrap(), r#"{"alert":"key_leak"}"#);
        let about = RaisedAlert::about(Alert::StateUnreadable, "window");
        assert_eq!(serde_json::to_string(&about).unwrap(), r#"{"alert":"state_unreadable","detail":"window"}"#);
        assert_eq!(serde_json::from_str::<RaisedAlert>(r#"{"alert":"key_leak","more":1}"#).unwrap(), plain);
    }

    #[test]
    fn names_are_the_words_of_json() {
        for alert in Alert::ALL {
            assert_eq!(serde_json::to_value(alert).unwrap(), alert.name());
        }
    }
}
