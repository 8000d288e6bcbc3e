//! The Ledger's tables (docs/schema.md): made by its first write, never by a read.

use std::cell::Cell;

use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::objects::migrations;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::cloudflare::runtime::sql::Sql;
use crate::migration::{Migration, TooNew};

/// The number of the newest migration of this build.
pub fn newest_migration() -> u32 {
    MIGRATIONS.last().map_or(0, |migration| migration.number)
}

/// The number of the newest migration of this build that an older build must not touch, or 0.
pub fn newest_breaking_migration() -> u32 {
    let breaking = MIGRATIONS.iter().filter(|migration| migration.is_breaking);
    breaking.map(|migration| migration.number).max().unwrap_or_default()
}

/// A build before made the tables of the first migration without recording it.
const MIGRATIONS: [Migration; 2] = [
    Migration {
        number: 1,
        is_breaking: false,
        statements: &[
            "CREATE TABLE IF NOT EXISTS predictions (job_id TEXT PRIMARY KEY, status TEXT NOT NULL, wakes_at INTEGER NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID",
            "CREATE TABLE IF NOT EXISTS days (day INTEGER PRIMARY KEY, spent INTEGER NOT NULL, reserved INTEGER NOT NULL, predictions INTEGER NOT NULL)",
            "CREATE TABLE IF NOT EXISTS jti (jti TEXT PRIMARY KEY, predictions INTEGER NOT NULL, credits INTEGER NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID",
            "CREATE TABLE IF NOT EXISTS files (file_id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID",
            "CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, doc TEXT NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID",
        ],
    },
    Migration {
        number: 2,
        is_breaking: false,
        statements: &[
            // Each prediction is in one of these two, so that each write of it costs one row more.
            "CREATE INDEX predictions_open ON predictions (status, wakes_at) WHERE status IN ('queued', 'processing')",
            "CREATE INDEX predictions_ended ON predictions (wakes_at) WHERE status IN ('succeeded', 'failed', 'canceled')",
            "CREATE INDEX jti_expires ON jti (expires_at)",
            // Without the short-lived marks: they are written often, and found by their names.
            "CREATE INDEX marks_expires ON marks (expires_at) WHERE name <> 'minute' AND name NOT BETWEEN 'proof:' AND 'proof;'",
            // Computed from the document, so that they are right whichever build writes it. NULL if it is no JSON.
            "ALTER TABLE files ADD COLUMN used_on INTEGER AS (CASE WHEN json_valid(doc) THEN json_extract(doc, '$.used_on') END)",
            "ALTER TABLE files ADD COLUMN bytes INTEGER AS (CASE WHEN json_valid(doc) THEN CAST(json_extract(doc, '$.bytes') AS INTEGER) END)",
            "CREATE INDEX files_used ON files (used_on, bytes)",
        ],
    },
];

/// A table of the first migration: every storage that is not empty has it.
const FIRST_TABLE: &str = "predictions";

/// The state of the tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not read yet.
    Unknown,
    /// There are none: the Ledger stored nothing.
    Absent,
    /// They are as this build makes them.
    Ready {
        /// A newer build may have stored what this build does not see.
        is_newer: bool,
    },
    /// They are as a newer build made them, which this build must not touch.
    TooNew,
}

/// The tables of one user, and what this instance has learned about them.
pub struct Tables(Cell<State>);

impl Tables {
    /// Knows nothing yet.
    pub const fn new() -> Self {
        Self(Cell::new(State::Unknown))
    }

    /// Returns the state. The first use applies the migrations that storage of a build before lacks.
    fn state(&self, sql: &Sql) -> ActorResult<State> {
        if self.0.get() == State::Unknown {
            self.0.set(match migrations::read(sql, &MIGRATIONS)? {
                Err(TooNew) => State::TooNew,
                Ok(_) if !migrations::has_table(sql, FIRST_TABLE)? => State::Absent,
                Ok(found) => {
                    migrations::apply(sql, found.pending)?;
                    State::Ready { is_newer: found.is_newer }
                }
            });
        }
        Ok(self.0.get())
    }

    /// Returns whether there are tables. Fails if they are too new.
    pub fn exist(&self, sql: &Sql) -> ActorResult<bool> {
        match self.state(sql)? {
            State::TooNew => Err(PlatformError),
            state => Ok(state != State::Absent),
        }
    }

    /// Makes the tables, if there are none.
    pub fn create(&self, sql: &Sql) -> ActorResult<()> {
        if !self.exist(sql)? {
            // If a later migration fails, the next use finds the earlier ones.
            self.0.set(State::Unknown);
            migrations::apply(sql, &MIGRATIONS)?;
            self.0.set(State::Ready { is_newer: false });
        }
        Ok(())
    }

    /// Returns whether other tables than this build's may have rows.
    pub fn are_newer(&self) -> bool {
        self.0.get() == State::Ready { is_newer: true }
    }

    /// Returns whether this build must not touch the storage.
    pub fn are_too_new(&self) -> bool {
        self.0.get() == State::TooNew
    }

    /// Forgets the state, after the platform deleted everything.
    pub fn forget(&self) {
        self.0.set(State::Unknown);
    }
}
