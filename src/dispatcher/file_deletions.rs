//! Forgotten files: Ledgers hand them over, and the machine deletes them at the vendor (protocol 9).

use super::actions::Action;
use super::machine::Dispatcher;
use crate::constants::{
    FILE_DELETION_RETRY_MILLIS, FILE_DELETION_TRIES_MAX, FILE_DELETION_WAIT_MILLIS, FILE_DELETIONS_MAX,
};
use crate::limit::request_window::Lane;
use crate::messages::DispatcherReply;
use crate::types::alert::Alert;
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

    /// Deletes one file, if it is the Dispatcher's own turn in the lane that uploads and streams use. The files take turns
    /// too: one that cannot be deleted now delays no other.
    pub(super) fn due_file_deletion(&mut self, now: UnixMillis, actions: &mut Vec<Action>) {
        if self.in_flight.file_deletion.is_some() || now < self.file_deletion_at {
            return;
        }
        let Some(vendor_id) = self.next_file(now).cloned() else { return };
        if !self.has_connection(Lane::Other) {
            self.file_deletion_at = now.plus_millis(FILE_DELETION_WAIT_MILLIS);
            return;
        }
        if let Some(retry_at) = self.take_turn(None, 1, now) {
            self.file_deletion_at = retry_at;
            return;
        }
        self.last_file = Some(vendor_id.clone());
        self.in_flight.file_deletion = Some(vendor_id.clone());
        actions.push(Action::DeleteFile { vendor_id });
    }

    /// Returns the next file after the last one whose deletion was tried, without those that are to be tried later.
    fn next_file(&self, now: UnixMillis) -> Option<&String> {
        let is_due = |vendor_id: &&String| self.file_retries.get(*vendor_id).is_none_or(|(_, at)| *at <= now);
        let last = self.last_file.as_ref();
        let later = self.file_deletions.iter().filter(|id| last.is_some_and(|last| *id > last));
        let earlier = self.file_deletions.iter().filter(|id| last.is_none_or(|last| *id <= last));
        later.chain(earlier).find(is_due)
    }

    /// Returns when the next deletion can be due.
    pub(super) fn next_file_deletion(&self) -> Option<UnixMillis> {
        if self.in_flight.file_deletion.is_some() {
            return None;
        }
        let retry_at = |id: &String| self.file_retries.get(id).map_or(UnixMillis(0), |(_, at)| *at);
        self.file_deletions.iter().map(retry_at).min().map(|at| at.max(self.file_deletion_at))
    }

    /// Applies the vendor's reply to a deletion. If the vendor refuses it, or after [`FILE_DELETION_TRIES_MAX`] tries, the
    /// file stays at the vendor, and an alert says so.
    pub fn finish_file_deletion(&mut self, vendor_id: &str, reply: &VendorReply, now: UnixMillis) {
        let now = self.advance(now);
        self.in_flight.file_deletion = None;
        self.apply_reply(reply, now);
        let tries = self.file_retries.get(vendor_id).map_or(0, |(tries, _)| *tries).saturating_add(1);
        match reply.status() {
            Some(200..=299 | 404 | 410) => {}
            // About the key, about the rate, or a failure of the vendor.
            None | Some(0..=399 | 401..=403 | 408 | 425 | 429 | 500..) if tries < FILE_DELETION_TRIES_MAX => {
                let retry_at = now.plus_millis(FILE_DELETION_RETRY_MILLIS);
                self.file_retries.insert(vendor_id.to_owned(), (tries, retry_at));
                return;
            }
            _ => self.raise(Alert::FileNotDeleted, now),
        }
        self.file_retries.remove(vendor_id);
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
    use crate::vendor::reply::{RateLimit, VendorResponse};

    fn machine() -> Dispatcher {
        let policy = r#"{"plans":{"default":{"requests_per_minute":60,"predictions_per_minute":10,"concurrent_predictions":2,"daily_credits":"50"}},"models":{"acme/model-x":{"credits":"2.5","input":{}}}}"#;
        let limits = DispatcherLimits::new(&parse_policy(policy).unwrap());
        Dispatcher::load(limits, StoredState::default(), Vec::new(), Vec::new())
    }

    fn status(status: u16) -> VendorReply {
        VendorReply::Response(VendorResponse {
            status,
            retry_after: None,
            rate_limit: RateLimit::default(),
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
        assert_eq!(machine.take_changes().alerts, [Alert::FileNotDeleted.into()]);
    }

    #[test]
    fn a_file_that_cannot_be_deleted_delays_no_other_and_is_given_up() {
        let mut machine = machine();
        machine.delete_files(files(&["a", "b"]));
        let mut tries = 0;
        for step in 0..10_000 {
            let now = UnixMillis(step * 30_000);
            match started(&mut machine, now.0).as_deref() {
                Some("a") => {
                    tries += 1;
                    machine.finish_file_deletion("a", &status(403), now);
                }
                Some("b") => machine.finish_file_deletion("b", &status(204), now),
                _ => {}
            }
            if step == 1 {
                assert!(!machine.deletes_file("b"));
            }
        }
        assert_eq!((tries, machine.deletes_file("a")), (FILE_DELETION_TRIES_MAX, false));
        assert_eq!(machine.take_changes().alerts, [Alert::FileNotDeleted.into()]);
    }

    #[test]
    fn under_steady_demand_the_dispatcher_has_its_turns() {
        let mut machine = machine();
        machine.delete_files((0..50).map(|number| number.to_string()).collect());
        let mut deleted = 0;
        for second in 0..1_200 {
            let now = UnixMillis(second * 1_000);
            for number in 0..3 {
                machine.grant_permit(None, Some(UserKey::new("i", &number.to_string())), 1, now);
            }
            if let Some(vendor_id) = started(&mut machine, now.0) {
                machine.finish_file_deletion(&vendor_id, &status(204), now);
                deleted += 1;
            }
        }
        assert!(deleted >= 10, "{deleted} of 60 permits, shared by four");
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
