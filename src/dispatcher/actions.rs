//! What the shell does for the state machine: store, send, deliver.

use std::collections::BTreeSet;

use crate::messages::{JobSpec, JobUpdate};
use crate::types::ids::{JobId, UserKey};

/// Work for the shell, started after the changes of the same turn are stored and never awaited by a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send a create; report with [`super::Dispatcher::finish_submit`].
    Submit {
        /// What to make.
        spec: Box<JobSpec>,
    },
    /// Ask for a prediction's status; report with [`super::Dispatcher::finish_poll`].
    Poll {
        /// Which.
        job_id: JobId,
        /// The vendor's id of it.
        vendor_id: String,
        /// Fingerprint of the key to use, while a secret has it.
        vendor_key_fingerprint: Option<String>,
    },
    /// Ask the vendor to end a prediction; report with [`super::Dispatcher::finish_cancel`].
    Cancel {
        /// Which.
        job_id: JobId,
        /// The vendor's id of it.
        vendor_id: String,
        /// Fingerprint of the key to use, while a secret has it.
        vendor_key_fingerprint: Option<String>,
    },
    /// Tell a Ledger; report with [`super::Dispatcher::delivered`] or [`super::Dispatcher::retry_delivery`].
    Deliver(Delivery),
    /// Ask for the model list; report with [`super::Dispatcher::finish_models`].
    FetchModels,
}

/// News for one Ledger, in one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Whose.
    pub user: UserKey,
    /// What.
    pub updates: Vec<JobUpdate>,
}

/// What to store in this turn: the ids whose rows changed (a row that is gone is deleted), and the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rows of `jobs`.
    pub jobs: BTreeSet<JobId>,
    /// Rows of `outbox`.
    pub outbox: BTreeSet<JobId>,
    /// New rows of `tombstones`.
    pub tombstones: BTreeSet<JobId>,
    /// The one document of window, health, clock and models.
    pub is_state_changed: bool,
    /// Words for the log that an operator must see.
    pub alerts: Vec<&'static str>,
}
