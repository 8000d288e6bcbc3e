//! The Dispatcher's tables (docs/schema.md): reads and writes rows, decides nothing.

use serde::de::DeserializeOwned;
use serde_json::json;

use super::{spend, upgrade};
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::objects::migrations;
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::cloudflare::runtime::sql::{Doc, Sql, Statement};
use crate::dispatcher::{Changes, Dispatcher as Machine, DispatcherLimits, LoadedState, UnreadableRows};
use crate::migration::{Migration, TooNew};
use crate::types::alert::{Alert, RaisedAlert};
use crate::types::ids::JobId;
use crate::types::time::UnixMillis;

/// The number of the newest migration of this build.
pub fn newest_migration() -> u32 {
    MIGRATIONS.last().map_or(0, |migration| migration.number)
}

/// The tables (docs/schema.md has the rules). A build before made those of the first migration without recording it.
const MIGRATIONS: [Migration; 4] = [
    Migration {
        number: 1,
        is_breaking: false,
        statements: &[
            "CREATE TABLE IF NOT EXISTS jobs (job_id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID",
            "CREATE TABLE IF NOT EXISTS outbox (job_id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID",
            "CREATE TABLE IF NOT EXISTS tombstones (job_id TEXT PRIMARY KEY, expires_at INTEGER NOT NULL) WITHOUT ROWID",
            "CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID",
            "CREATE TABLE IF NOT EXISTS file_deletions (vendor_id TEXT PRIMARY KEY) WITHOUT ROWID",
        ],
    },
    Migration {
        number: 2,
        is_breaking: false,
        statements: &["CREATE TABLE inputs (job_id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID"],
    },
    Migration {
        number: 3,
        is_breaking: false,
        statements: &["CREATE TABLE audit (id INTEGER PRIMARY KEY, request_id TEXT NOT NULL UNIQUE, \
                       at INTEGER NOT NULL, doc TEXT NOT NULL, result TEXT)"],
    },
    Migration {
        number: 4,
        is_breaking: false,
        statements: &[
            "CREATE TABLE spend (day INTEGER NOT NULL, plan TEXT NOT NULL, model TEXT NOT NULL, user TEXT NOT NULL, credits INTEGER NOT NULL, predictions INTEGER NOT NULL, PRIMARY KEY (day, plan, model, user)) WITHOUT ROWID",
            // For the deletion of a user. An index of no column that a booking changes: it costs a row for the first of a day.
            "CREATE INDEX spend_user ON spend (user)",
            "CREATE TABLE refusals (day INTEGER PRIMARY KEY, doc TEXT NOT NULL)",
        ],
    },
];

/// The rows of the Dispatcher.
pub struct DispatcherStore {
    sql: Sql,
}

impl DispatcherStore {
    /// Opens the store and applies the migrations that are missing. Fails if the storage is too new: then every message
    /// is refused, and nothing is read or written.
    pub fn new(sql: Sql) -> ActorResult<Self> {
        let found = migrations::read(&sql, &MIGRATIONS)?.map_err(|TooNew| PlatformError)?;
        migrations::apply(&sql, found.pending)?;
        Ok(Self { sql })
    }

    /// Loads the machine. A row that cannot be parsed stays where it is, because a newer version may parse it.
    pub fn load(&self, limits: DispatcherLimits, now: UnixMillis) -> ActorResult<Machine> {
        let longest_slot_millis = limits.longest_slot_millis;
        upgrade::move_old_rows(&self.sql, longest_slot_millis, now)?;
        let state: Vec<Doc> = self.sql.rows("SELECT name AS id, doc FROM state", &[])?;
        let mut unreadable = UnreadableRows::default();
        let jobs = self.docs("jobs", |job_id| unreadable.add_job(job_id, longest_slot_millis))?;
        let outbox = self.docs("outbox", |job_id| unreadable.add_update(job_id, longest_slot_millis))?;
        let state: Vec<(String, String)> = state.into_iter().map(|row| (row.id, row.doc)).collect();
        let loaded = LoadedState::read(&state, &jobs, &limits.pools, now);
        for kind in loaded.unreadable {
            alerts::raise(RaisedAlert::about(Alert::StateUnreadable, kind));
        }
        let files: Vec<Doc> = self.sql.rows("SELECT vendor_id AS id, '' AS doc FROM file_deletions", &[])?;
        let machine = Machine::load(limits, loaded.state, jobs, outbox).with_replaced_state(loaded.replaced);
        let machine = machine.with_unreadable(unreadable);
        Ok(machine.with_file_deletions(files.into_iter().map(|row| row.id)))
    }

    /// Reads a table's documents. Calls `skip` with the key of each that cannot be parsed.
    fn docs<T: DeserializeOwned>(&self, table: &str, mut skip: impl FnMut(&str)) -> ActorResult<Vec<T>> {
        let rows: Vec<Doc> = self.sql.rows(&format!("SELECT job_id AS id, doc FROM {table}"), &[])?;
        let parse = |row: Doc| serde_json::from_str(&row.doc).map_err(|_| skip(&row.id)).ok();
        Ok(rows.into_iter().filter_map(parse).collect())
    }

    /// Returns the stored input of a prediction: JSON.
    pub fn input(&self, job_id: &JobId) -> ActorResult<Option<String>> {
        let rows: Vec<Doc> =
            self.sql.rows("SELECT job_id AS id, doc FROM inputs WHERE job_id = ?", &[json!(job_id)])?;
        Ok(rows.into_iter().next().map(|row| row.doc))
    }

    /// Returns whether one of these predictions ended or was withdrawn in the last 25 hours.
    pub fn has_tombstone(&self, job_ids: &[JobId]) -> ActorResult<bool> {
        for job_id in job_ids {
            let sql = "SELECT job_id AS id, '' AS doc FROM tombstones WHERE job_id = ?";
            if !self.sql.rows::<Doc>(sql, &[json!(job_id)])?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Stores the changes of a turn in one transaction: all or none.
    pub fn store(&self, machine: &Machine, changes: &Changes, tombstones_expire: UnixMillis) -> ActorResult<()> {
        let mut statements = Vec::new();
        for job_id in &changes.jobs {
            statements.push(row("jobs", job_id, machine.job(job_id))?);
        }
        for (job_id, input) in &changes.inputs {
            statements.push(match input {
                Some(input) => Statement::new(
                    "INSERT OR REPLACE INTO inputs (job_id, doc) VALUES (?, ?)",
                    [json!(job_id), json!(input)],
                ),
                None => Statement::new("DELETE FROM inputs WHERE job_id = ?", [json!(job_id)]),
            });
        }
        for job_id in &changes.outbox {
            statements.push(row("outbox", job_id, machine.outbox_row(job_id))?);
        }
        for vendor_id in &changes.file_deletions {
            statements.push(if machine.deletes_file(vendor_id) {
                Statement::new("INSERT OR REPLACE INTO file_deletions (vendor_id) VALUES (?)", [json!(vendor_id)])
            } else {
                Statement::new("DELETE FROM file_deletions WHERE vendor_id = ?", [json!(vendor_id)])
            });
        }
        for job_id in &changes.tombstones {
            statements.push(Statement::new(
                "INSERT OR REPLACE INTO tombstones (job_id, expires_at) VALUES (?, ?)",
                [json!(job_id), json!(tombstones_expire)],
            ));
        }
        if let Some(oldest) = changes.tombstones.first() {
            // Each new tombstone deletes the two oldest if they have expired, so the table stays as large as 25 hours
            // need. Ids sort by creation time, so the oldest are found without a scan.
            let now = oldest.created_at();
            statements.push(Statement::new(
                "DELETE FROM tombstones WHERE expires_at < ? \
                 AND job_id IN (SELECT job_id FROM tombstones ORDER BY job_id LIMIT ?)",
                [json!(now), json!(changes.tombstones.len().saturating_mul(2))],
            ));
        }
        statements.extend(changes.bookings.iter().map(spend::book));
        statements.extend(changes.forgotten_users.iter().flat_map(spend::forget));
        if changes.pruned_spend > 0 {
            statements.push(spend::prune(machine.first_spend_day(), changes.pruned_spend));
        }
        for (name, doc) in &changes.state {
            statements.push(match doc {
                Some(doc) => {
                    Statement::new("INSERT OR REPLACE INTO state (name, doc) VALUES (?, ?)", [json!(name), json!(doc)])
                }
                None => Statement::new("DELETE FROM state WHERE name = ?", [json!(name)]),
            });
        }
        self.sql.transaction(&statements)
    }

    /// Returns the storage, for the alarm.
    pub const fn sql(&self) -> &Sql {
        &self.sql
    }
}

/// Returns the statement that writes a row, or deletes it if there is no value.
fn row<T: serde::Serialize>(table: &str, job_id: &JobId, value: Option<&T>) -> ActorResult<Statement> {
    Ok(match value {
        Some(value) => {
            let doc = serde_json::to_string(value).map_err(|_| PlatformError)?;
            let sql = format!("INSERT OR REPLACE INTO {table} (job_id, doc) VALUES (?, ?)");
            Statement::new(&sql, [json!(job_id), json!(doc)])
        }
        None => Statement::new(&format!("DELETE FROM {table} WHERE job_id = ?"), [json!(job_id)]),
    })
}
