//! Work of this instance that has not reported back.

use std::collections::{BTreeMap, BTreeSet};

use crate::types::ids::{JobId, UserKey};

/// The requests and messages in flight. In memory only, so it is empty after a restart. That is how a `submitting` row
/// is known to have an unknown outcome: no submit of this instance will report it.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight {
    pub(super) submits: BTreeSet<JobId>,
    /// Polls, each with the fingerprint of its vendor key.
    pub(super) polls: BTreeMap<JobId, String>,
    /// Cancels, each with the fingerprint of its vendor key.
    pub(super) cancels: BTreeMap<JobId, String>,
    pub(super) deliveries: BTreeSet<UserKey>,
    pub(super) has_model_fetch: bool,
}

impl InFlight {
    /// Returns the number of open connections to the vendor.
    pub(super) fn connections(&self) -> usize {
        let requests = self.submits.len().saturating_add(self.polls.len()).saturating_add(self.cancels.len());
        requests.saturating_add(usize::from(self.has_model_fetch))
    }
}
