//! Forgotten files: Ledgers hand them over, and the machine deletes them at the vendor (protocol 9).

use super::actions::Action;
use super::machine::Dispatcher;
use crate::constants::{FILE_DELETION_RETRY_MILLIS, FILE_DELETION_WAIT_MILLIS, FILE_DELETIONS_MAX};
use crate::limit::request_window::Lane;
use crate::messages::DispatcherReply;
use crate::types::time::UnixMillis;
use crate::vendor::reply::VendorReply;

impl Dispatcher {
    /// Takes over files, all or none. The vendor may be asked twice to delete the same file.
    pub fn delete_files(&mut self, vendor_ids: Vec<String>) -> DispatcherReply {
        if self.file_deletions.len().saturating_add(vendor_ids.len()) > FILE_DELETIONS_MAX {
            // The Ledger tries again at its next alarm, so the time does not matter.
            return DispatcherReply::Wait { retry_after_secs: 1 };
        }
        self.changes.file_deletions.extend(vendor_ids.iter().cloned());
        self.file_deletions.extend(vendor_ids);
        DispatcherReply::Done
    }

    /// Returns whether a file is to be deleted at the vendor.
    #[must_use]
    pub fn deletes_file(&self, vendor_id: &str) -> bool {
        self.file_deletions.contains(vendor_id)
    }

    /// Deletes one file, if it is the Dispatcher's own turn in the lane that uploads and streams use.
    pub(super) fn due_file_deletion(&mut self, now: UnixMillis, actions: &mut Vec<Action>) {
        if self.in_flight.file_deletion.is_some() || now < self.file_deletion_at {
            return;
        }
        let Some(vendor_id) = self.file_deletions.first().cloned() else { return };
        if !self.may_send(Lane::Other, now) || self.take_turn(None, 1, now).is_some() {
            self.file_deletion_at = now.plus_millis(FILE_DELETION_WAIT_MILLIS);
            return;
        }
        self.in_flight.file_deletion = Some(vendor_id.clone());
        actions.push(Action::DeleteFile { vendor_id });
    }

    /// Returns when the next deletion can be due.
    pub(super) fn next_file_deletion(&self, now: UnixMillis) -> Option<UnixMillis> {
        if self.file_deletions.is_empty() || self.in_flight.file_deletion.is_some() {
            return None;
        }
        let limit = self.limits.requests_per_minute;
        Some(self.file_deletion_at.max(self.state.window.earliest(Lane::Other, limit, now)))
    }

    /// Applies the vendor's reply to a deletion. If it says that the deletion cannot succeed, the file stays at the
    /// vendor, and an alert says so.
    pub fn finish_file_deletion(&mut self, vendor_id: &str, reply: &VendorReply, now: UnixMillis) {
        let now = self.advance(now);
        self.in_flight.file_deletion = None;
        self.apply_reply(reply, now);
        match reply.status() {
            Some(200..=299 | 404 | 410) => {}
            // About the key, about the rate, or a failure of the vendor.
            None | Some(0..=399 | 401..=403 | 408 | 425 | 429 | 500..) => {
                self.file_deletion_at = now.plus_millis(FILE_DELETION_RETRY_MILLIS);
                return;
            }
            Some(_) => self.changes.alerts.push("file_not_deleted"),
        }
        self.file_deletions.remove(vendor_id);
        self.changes.file_deletions.insert(vendor_id.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatcher::DispatcherLimits;
    use crate::dispatcher::stored_state::StoredState;
    use crate::policy::parse_policy;
    use crate::types::ids::UserKey;
    use crate::vendor::body::VendorBody;
    use crate::vendor::reply::VendorResponse;

    fn machine() -> Dispatcher {
        let policy = r#"{"plans":{"default":{"requests_per_minute":60,"predictions_per_minute":10,"concurrent_predictions":2,"daily_credits":"50"}},"models":{"acme/model-x":{"credits":"2.5","input":{}}}}"#;
        let limits = DispatcherLimits::new(&parse_policy(policy).unwrap());
        Dispatcher::load(limits, StoredState::default(), Vec::new(), Vec::new())
    }

    fn status(status: u16) -> VendorReply {
        VendorReply::Response(VendorResponse {
            status,
            retry_after: None,
            rate_limit_remaining: None,
            rate_limit_reset: None,
            body: VendorBody::Unreadable,
        })
    }

    fn files(ids: &[&str]) -> Vec<String> {
        ids.iter().map(ToString::to_string).collect()
    }

    /// Makes one turn and returns the file whose deletion it starts.
    fn started(machine: &mut Dispatcher, now: i64) -> Option<String> {
        machine.due(UnixMillis(now)).into_iter().find_map(|action| match action {
            Action::DeleteFile { vendor_id } => Some(vendor_id),
            _ => None,
        })
    }

    #[test]
    fn each_file_is_deleted_once_and_one_at_a_time() {
        let mut machine = machine();
        assert_eq!(machine.delete_files(files(&["a", "b"])), DispatcherReply::Done);
        assert_eq!(machine.take_changes().file_deletions.len(), 2);
        assert_eq!(machine.next_due(UnixMillis(0)), Some(UnixMillis(0)));
        assert_eq!(started(&mut machine, 0).as_deref(), Some("a"));
        assert_eq!((started(&mut machine, 1), machine.next_due(UnixMillis(1))), (None, None), "one is in flight");
        machine.finish_file_deletion("a", &status(204), UnixMillis(2));
        assert!(!machine.deletes_file("a") && machine.take_changes().file_deletions.contains("a"));
        assert_eq!(started(&mut machine, 2).as_deref(), Some("b"));
        machine.finish_file_deletion("b", &status(404), UnixMillis(3));
        assert_eq!((started(&mut machine, 4), machine.next_due(UnixMillis(4))), (None, None));
        assert!(machine.take_changes().alerts.is_empty());
    }

    #[test]
    fn a_failed_deletion_is_tried_again_and_a_refused_one_is_an_alert() {
        let mut machine = machine();
        machine.delete_files(files(&["a"]));
        for (number, reply) in
            [status(401), status(429), status(500), VendorReply::TimedOut, VendorReply::Broken].iter().enumerate()
        {
            let now = i64::try_from(number).unwrap() * FILE_DELETION_RETRY_MILLIS;
            assert_eq!(started(&mut machine, now).as_deref(), Some("a"));
            machine.finish_file_deletion("a", reply, UnixMillis(now));
            assert!(machine.deletes_file("a"));
            assert_eq!(machine.next_due(UnixMillis(now)), Some(UnixMillis(now + FILE_DELETION_RETRY_MILLIS)));
        }
        let now = 5 * FILE_DELETION_RETRY_MILLIS;
        assert_eq!(started(&mut machine, now).as_deref(), Some("a"));
        machine.finish_file_deletion("a", &status(405), UnixMillis(now));
        assert!(!machine.deletes_file("a"));
        assert_eq!(machine.take_changes().alerts, ["file_not_deleted"]);
    }

    #[test]
    fn users_and_forgotten_files_take_turns() {
        let mut machine = machine();
        machine.delete_files((0..20).map(|number| number.to_string()).collect());
        let mut counts = [0, 0];
        let user = UserKey::new("i", "s");
        for second in 0..600 {
            let now = UnixMillis(second * 1_000);
            if let Some(vendor_id) = started(&mut machine, now.0) {
                machine.finish_file_deletion(&vendor_id, &status(204), now);
                counts[0] += 1;
            }
            if matches!(machine.grant_permit(None, Some(user.clone()), 1, now), DispatcherReply::Permit { .. }) {
                counts[1] += 1;
            }
        }
        assert!(counts[0] >= 10 && counts[1] >= 10, "{counts:?}");
    }

    #[test]
    fn the_list_is_bounded_and_the_rest_stays_with_the_ledgers() {
        let mut machine = machine();
        let ids = |from: usize, count: usize| (from..from + count).map(|number| number.to_string()).collect();
        assert_eq!(machine.delete_files(ids(0, FILE_DELETIONS_MAX)), DispatcherReply::Done);
        assert_eq!(machine.delete_files(ids(5_000, 1)), DispatcherReply::Wait { retry_after_secs: 1 });
        assert!(!machine.deletes_file("5000"));
    }
}
