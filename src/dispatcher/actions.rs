//! The output of the state machine for its shell: rows to store, requests to send, updates to deliver.

use std::collections::BTreeSet;

use super::job_terms::JobTerms;
use crate::messages::JobUpdate;
use crate::notification::Notification;
use crate::types::alert::RaisedAlert;
use crate::types::credits::MicroCredits;
use crate::types::ids::{JobId, UserKey};
use crate::types::model::ModelId;
use crate::types::time::UtcDay;

/// Work for the shell. It starts after the changes of the same turn are stored, and no request awaits it.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send a create with the stored input. Report with [`super::Dispatcher::finish_submit`], or with
    /// [`super::Dispatcher::reject_unsent`] if there is no such input.
    Submit {
        /// The prediction.
        spec: Box<JobTerms>,
    },
    /// Poll a prediction. Report with [`super::Dispatcher::finish_poll`].
    Poll {
        /// The prediction.
        job_id: JobId,
        /// The vendor's id of the prediction.
        vendor_id: String,
        /// Fingerprint of the vendor key to use, while a secret holds that key (protocol 6).
        vendor_key_fingerprint: Option<String>,
    },
    /// Send a cancel. Report with [`super::Dispatcher::finish_cancel`].
    Cancel {
        /// The prediction.
        job_id: JobId,
        /// The vendor's id of the prediction.
        vendor_id: String,
        /// Fingerprint of the vendor key to use, while a secret holds that key (protocol 6).
        vendor_key_fingerprint: Option<String>,
    },
    /// Deliver updates to a Ledger. Report with [`super::Dispatcher::finish_delivery`] or
    /// [`super::Dispatcher::retry_delivery`].
    Deliver(Delivery),
    /// Delete a forgotten file. Report with [`super::Dispatcher::finish_file_deletion`].
    DeleteFile {
        /// The vendor's id of the file.
        vendor_id: String,
    },
    /// Check a vendor key by a request for the account. Report with [`super::Dispatcher::finish_key_check`].
    CheckKey {
        /// Fingerprint of the key.
        vendor_key_fingerprint: String,
    },
    /// Send an alert to the operator's receiver. Report with [`super::Dispatcher::finish_alert`].
    SendAlert(Notification),
    /// Fetch the model list. Report with [`super::Dispatcher::finish_models`].
    FetchModels,
}

/// Job updates for one Ledger, in one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The user whose Ledger gets them.
    pub user: UserKey,
    /// The updates.
    pub updates: Vec<JobUpdate>,
}

/// One prediction that is booked in this turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// The day of the prediction's reservation.
    pub day: UtcDay,
    /// The plan at the time of the create.
    pub plan: String,
    /// The model.
    pub model: ModelId,
    /// The user, unless the user was deleted.
    pub user: Option<UserKey>,
    /// Its cost.
    pub credits: MicroCredits,
}

impl Changes {
    /// Takes out the input of a job that arrived in this turn. It need not be stored if its create is sent now: after a
    /// crash that create is never sent again.
    pub(super) fn take_new_input(&mut self, job_id: &JobId) -> Option<String> {
        let index = self.inputs.iter().position(|(id, input)| id == job_id && input.is_some())?;
        self.inputs.remove(index).1
    }
}

/// The rows to store in this turn. Ids name the rows that changed; a row that does not exist any more is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rows of `jobs`.
    pub jobs: BTreeSet<JobId>,
    /// Rows of `inputs`, in order: JSON to store, or `None` to delete it.
    pub inputs: Vec<(JobId, Option<String>)>,
    /// Rows of `outbox`.
    pub outbox: BTreeSet<JobId>,
    /// Rows of `file_deletions`, by the vendor's id.
    pub file_deletions: BTreeSet<String>,
    /// New rows of `tombstones`.
    pub tombstones: BTreeSet<JobId>,
    /// Predictions to book in `spend`.
    pub bookings: Vec<Booking>,
    /// Users whose rows of `spend` lose the user, after the bookings.
    pub forgotten_users: Vec<UserKey>,
    /// The most rows of `spend` to delete, of days before [`super::Dispatcher::first_spend_day`].
    pub pruned_spend: u32,
    /// Rows of `state`, in order: JSON to store, or `None` to delete it.
    pub state: Vec<(String, Option<String>)>,
    /// Alerts to log (docs/operate.md).
    pub alerts: Vec<RaisedAlert>,
}
