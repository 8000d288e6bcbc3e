//! The users' files at the vendor, and their uploads.

use std::collections::{BTreeMap, BTreeSet};

use valetkey::types::file::FileRecord;
use valetkey::types::ids::{FileId, RequestId, UserKey};
use valetkey::types::time::{UnixMillis, UtcDay};

use crate::ledger::LedgerObject;

/// The files that a plan allows.
pub const MAX_FILES: u32 = 3;

#[derive(Default)]
pub struct Files {
    /// The uploads that have room reserved, each with the time of that.
    pub uploads: Vec<(UserKey, RequestId, UnixMillis)>,
    /// The files that the vendor got, by its ids.
    owners: BTreeMap<String, UserKey>,
    /// The files that were deleted at the vendor, or that an operator was told of.
    pub deleted: BTreeSet<String>,
}

impl Files {
    /// Returns the record of a new file.
    pub fn record(&mut self, user: &UserKey, now: UnixMillis, days_ago: Option<i64>, random: [u8; 10]) -> FileRecord {
        let vendor_id = format!("file {}", self.owners.len());
        self.owners.insert(vendor_id.clone(), user.clone());
        FileRecord {
            file_id: FileId::new(now, random),
            vendor_id,
            content_type: "image/png".into(),
            bytes: 1,
            created_at: now,
            used_on: days_ago.map(|days| UtcDay(now.utc_day().0 - days)),
        }
    }

    pub fn owner(&self, vendor_id: &str) -> UserKey {
        self.owners[vendor_id].clone()
    }

    /// Checks that somebody knows each file, and that no user has more than the plan allows.
    pub fn check(&self, ledgers: &BTreeMap<UserKey, LedgerObject>, handed_over: &BTreeSet<String>, now: UnixMillis) {
        for (vendor_id, user) in &self.owners {
            let is_recorded = ledgers[user].rows.files.values().any(|file| file.vendor_id == *vendor_id);
            let is_known = is_recorded || handed_over.contains(vendor_id) || self.deleted.contains(vendor_id);
            assert!(is_known, "nobody knows {vendor_id}");
        }
        for (user, ledger) in ledgers {
            let uploads = self.uploads.iter().filter(|(owner, _, _)| owner == user).count();
            let reserved = ledger
                .rows
                .marks
                .iter()
                .filter(|(name, (_, expires_at))| name.starts_with("upload:") && *expires_at > now);
            let files = ledger.rows.files.values().filter(|file| ledger.has_file(&file.vendor_id, now)).count();
            let reserved = reserved.count().min(uploads);
            assert!(files + reserved <= MAX_FILES as usize, "{files} files and {reserved} uploads of a user");
        }
    }
}
