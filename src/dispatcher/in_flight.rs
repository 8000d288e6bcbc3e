//! Work of this instance that has not reported back.

use std::collections::BTreeMap;

use crate::types::ids::JobId;

/// The requests in flight. In memory only, so it is empty after a restart. That is how a `submitting` row is known to have
/// an unknown outcome: no submit of this instance will report it.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight {
    /// Creates, each with its input if that is not stored: a create that is sent in the turn in which it arrived.
    pub(super) submits: BTreeMap<JobId, Option<String>>,
    /// Polls, each with the fingerprint of its vendor key.
    pub(super) polls: BTreeMap<JobId, String>,
    /// Cancels, each with the fingerprint of its vendor key.
    pub(super) cancels: BTreeMap<JobId, String>,
    pub(super) has_model_fetch: bool,
    pub(super) has_key_check: bool,
    /// The vendor's id of the forgotten file that is being deleted.
    pub(super) file_deletion: Option<String>,
    /// The id of the notification of an alert. It takes no connection of the vendor's.
    pub(super) alert: Option<String>,
}

impl InFlight {
    /// Returns the number of open connections to the vendor.
    pub(super) fn connections(&self) -> usize {
        let requests = self.submits.len().saturating_add(self.polls.len()).saturating_add(self.cancels.len());
        let own = [self.has_model_fetch, self.has_key_check, self.file_deletion.is_some()];
        requests.saturating_add(own.into_iter().filter(|is_open| *is_open).count())
    }
}
