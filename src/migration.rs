//! Numbered migrations of an object's database: which are to be applied, and whether this build can work with the storage
//! at all.
//!
//! Each migration is applied once, in one transaction, and recorded in the table `migrations`. The number and the
//! statements of a migration that was released never change.
//!
//! - **Compatible**: a build that does not know it works with the storage. Most are, such as one that adds a table.
//! - **Breaking**: such a build must not touch the storage: it would read less than there is, or write what the newer
//!   build cannot read. After a rollback it refuses every message, until the newer version is deployed again.

use serde::Deserialize;

/// A migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its number: one more than that of the migration before.
    pub number: u32,
    /// True if a build that does not know it must not touch the storage.
    pub is_breaking: bool,
    /// SQL.
    pub statements: &'static [&'static str],
}

/// A row of the table `migrations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Recorded {
    /// The number.
    pub number: u32,
    /// 1 if it is breaking. SQLite has no booleans.
    pub is_breaking: u32,
}

/// The storage has a breaking migration that this build does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooNew;

/// The storage, compared with the migrations that this build knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison<'a> {
    /// The migrations that are to be applied, in order.
    pub pending: Vec<&'a Migration>,
    /// True if a newer build made a compatible migration: it may have stored what this build does not see.
    pub is_newer: bool,
}

/// Compares the `known` migrations with those that the storage records.
///
/// # Errors
/// [`TooNew`]. Then the storage must not be touched.
pub fn compare<'a>(known: &'a [Migration], recorded: &[Recorded]) -> Result<Comparison<'a>, TooNew> {
    let own = known.iter().map(|migration| migration.number).max().unwrap_or_default();
    if recorded.iter().any(|row| row.is_breaking != 0 && row.number > own) {
        return Err(TooNew);
    }
    let is_recorded = |number| recorded.iter().any(|row| row.number == number);
    let pending = known.iter().filter(|migration| !is_recorded(migration.number)).collect();
    Ok(Comparison { pending, is_newer: recorded.iter().any(|row| row.number > own) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Migration; 2] = [
        Migration { number: 1, is_breaking: false, statements: &[] },
        Migration { number: 2, is_breaking: true, statements: &[] },
    ];

    /// Returns the numbers of the pending migrations, and whether the storage is newer.
    fn compared(recorded: &[(u32, u32)]) -> Result<(Vec<u32>, bool), TooNew> {
        let rows: Vec<_> = recorded
            .iter()
            .map(|(number, is_breaking)| Recorded { number: *number, is_breaking: *is_breaking })
            .collect();
        let Comparison { pending, is_newer } = compare(&KNOWN, &rows)?;
        Ok((pending.iter().map(|migration| migration.number).collect(), is_newer))
    }

    #[test]
    fn each_migration_is_applied_once_and_in_order() {
        assert_eq!(compared(&[]), Ok((vec![1, 2], false)));
        assert_eq!(compared(&[(1, 0)]), Ok((vec![2], false)));
        assert_eq!(compared(&[(1, 0), (2, 1)]), Ok((vec![], false)));
    }

    #[test]
    fn a_newer_builds_compatible_migration_is_ignored_and_a_breaking_one_is_not() {
        assert_eq!(compared(&[(1, 0), (2, 1), (3, 0)]), Ok((vec![], true)));
        assert_eq!(compared(&[(1, 0), (2, 1), (3, 0), (4, 1)]), Err(TooNew));
        assert_eq!(compared(&[(4, 1)]), Err(TooNew));
    }
}
