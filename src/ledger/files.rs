//! A user's files: how many there may be, and when one is forgotten (protocol 9).

use serde::Deserialize;

use crate::constants::FILE_UNUSED_MAX_DAYS;
use crate::messages::LedgerRefusal;
use crate::types::file::{FileLimits, FileRecord};
use crate::types::time::UtcDay;

/// The room that files take: those that are stored, or those whose upload is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct FileUsage {
    /// Number of files.
    pub files: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

impl FileUsage {
    /// Returns this usage with one more file.
    #[must_use]
    pub const fn with_file(self, bytes: u64) -> Self {
        Self { files: self.files.saturating_add(1), bytes: self.bytes.saturating_add(bytes) }
    }
}

/// Checks that the usage, with the new file in it, is within the plan's limits.
///
/// # Errors
/// [`LedgerRefusal::FileLimitReached`]
pub const fn check_file_limits(usage: FileUsage, limits: FileLimits) -> Result<(), LedgerRefusal> {
    #[allow(clippy::as_conversions, reason = "u64::from is not const, and loses nothing either")]
    let max_files = limits.max_files as u64;
    if usage.files > max_files || usage.bytes > limits.max_bytes {
        return Err(LedgerRefusal::FileLimitReached);
    }
    Ok(())
}

/// Returns the last day whose files are forgotten: nobody used them for seven whole days.
#[must_use]
pub const fn last_forgotten_day(today: UtcDay) -> UtcDay {
    UtcDay(today.0.saturating_sub(FILE_UNUSED_MAX_DAYS).saturating_sub(1))
}

/// Returns the record with this day as its last use, if that changes it.
#[must_use]
pub fn note_use(file: &FileRecord, today: UtcDay) -> Option<FileRecord> {
    (file.used_on < Some(today)).then(|| FileRecord { used_on: Some(today), ..file.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ids::FileId;
    use crate::types::time::UnixMillis;

    #[test]
    fn the_last_file_fits_exactly() {
        let limits = FileLimits { max_files: 2, max_bytes: 100 };
        let one = FileUsage::default().with_file(60);
        assert_eq!(check_file_limits(one, limits), Ok(()));
        assert_eq!(check_file_limits(one.with_file(40), limits), Ok(()));
        assert_eq!(check_file_limits(one.with_file(41), limits), Err(LedgerRefusal::FileLimitReached));
        let three = one.with_file(1).with_file(1);
        assert_eq!(check_file_limits(three, limits), Err(LedgerRefusal::FileLimitReached));
        let huge = FileUsage { files: 1, bytes: u64::MAX }.with_file(1);
        assert_eq!(check_file_limits(huge, limits), Err(LedgerRefusal::FileLimitReached));
    }

    #[test]
    fn a_use_is_noted_once_a_day_and_keeps_a_file_for_seven_days() {
        let file = FileRecord {
            file_id: FileId::new(UnixMillis(0), [1; 10]),
            vendor_id: "v".into(),
            content_type: "image/png".into(),
            bytes: 1,
            created_at: UnixMillis(0),
            used_on: None,
        };
        let used = note_use(&file, UtcDay(100)).unwrap();
        assert_eq!(used.used_on, Some(UtcDay(100)));
        assert_eq!(note_use(&used, UtcDay(100)), None);
        assert_eq!(note_use(&used, UtcDay(99)), None, "a clock that went back");
        assert!(note_use(&used, UtcDay(101)).is_some());
        assert!(last_forgotten_day(UtcDay(107)) < UtcDay(100), "seven days later it is still there");
        assert_eq!(last_forgotten_day(UtcDay(108)), UtcDay(100));
    }
}
