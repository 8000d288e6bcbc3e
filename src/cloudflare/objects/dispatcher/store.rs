//! The Dispatcher's tables (docs/schema.md): rows in and out, nothing decided.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{PlatformError, Sql, Statement};
use crate::constants::QUARANTINE_ATTEMPTS;
use crate::dispatcher::{Changes, Dispatcher as Machine, DispatcherLimits, StoredState};
use crate::types::ids::JobId;
use crate::types::time::UnixMillis;

const SCHEMA: [&str; 5] = [
    "CREATE TABLE IF NOT EXISTS jobs (job_id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS outbox (job_id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS tombstones (job_id TEXT PRIMARY KEY, expires_at INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS quarantine (name TEXT PRIMARY KEY, doc TEXT NOT NULL, attempts INTEGER NOT NULL) WITHOUT ROWID",
];

/// Rows of the one Dispatcher.
pub struct DispatcherStore {
    sql: Sql,
}

#[derive(Deserialize)]
struct Doc {
    id: String,
    doc: String,
}

impl DispatcherStore {
    /// Over the storage of the object.
    pub fn new(sql: Sql) -> Result<Self, PlatformError> {
        let schema: Vec<_> = SCHEMA.iter().map(|statement| Statement::new(statement, [])).collect();
        sql.transaction(&schema)?;
        Ok(Self { sql })
    }

    /// The machine as it was stored. A row that cannot be read is left alone, since a newer version may read it, and is
    /// taken out when it was met five times (protocol 3).
    pub fn load(&self, limits: DispatcherLimits, now: UnixMillis) -> Result<Machine, PlatformError> {
        let state: Vec<Doc> = self.sql.rows("SELECT name AS id, doc FROM state", &[])?;
        let (jobs, bad_jobs) = self.docs("jobs")?;
        let state = match state.first().map(|row| (row, serde_json::from_str(&row.doc))) {
            None => StoredState::default(),
            Some((_, Ok(state))) => state,
            Some((row, Err(_))) => {
                log::alert("state_unreadable");
                let keep = "INSERT OR REPLACE INTO quarantine (name, doc, attempts) VALUES ('state', ?, 1)";
                self.sql.transaction(&[Statement::new(keep, [json!(row.doc)])])?;
                StoredState::rebuild(&jobs, &limits.pools, now)
            }
        };
        let (outbox, bad_news) = self.docs("outbox")?;
        Ok(Machine::load(limits, state, jobs, outbox, bad_jobs.saturating_add(bad_news)))
    }

    fn docs<T: DeserializeOwned>(&self, table: &str) -> Result<(Vec<T>, usize), PlatformError> {
        let rows: Vec<Doc> = self.sql.rows(&format!("SELECT job_id AS id, doc FROM {table}"), &[])?;
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for row in rows {
            match serde_json::from_str(&row.doc) {
                Ok(value) => good.push(value),
                Err(_) => bad.push(row),
            }
        }
        for row in &bad {
            let name = json!(format!("{table}:{}", row.id));
            self.sql.transaction(&[
                Statement::new(
                    "INSERT INTO quarantine (name, doc, attempts) VALUES (?, ?, 1) \
                     ON CONFLICT (name) DO UPDATE SET attempts = attempts + 1",
                    [name.clone(), json!(row.doc)],
                ),
                Statement::new(
                    &format!(
                        "DELETE FROM {table} WHERE job_id = ? \
                         AND (SELECT attempts FROM quarantine WHERE name = ?) >= {QUARANTINE_ATTEMPTS}"
                    ),
                    [json!(row.id), name],
                ),
            ])?;
        }
        Ok((good, bad.len()))
    }

    /// Whether one of these ids ended or was withdrawn in the last 25 hours.
    pub fn has_tombstone(&self, job_ids: &[JobId]) -> Result<bool, PlatformError> {
        for job_id in job_ids {
            let sql = "SELECT job_id AS id, '' AS doc FROM tombstones WHERE job_id = ?";
            if !self.sql.rows::<Doc>(sql, &[json!(job_id)])?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Stores the changes of a turn: all or none.
    pub fn store(
        &self,
        machine: &Machine,
        changes: &Changes,
        tombstones_expire: UnixMillis,
    ) -> Result<(), PlatformError> {
        let mut statements = Vec::new();
        for job_id in &changes.jobs {
            statements.push(row("jobs", job_id, machine.job(job_id))?);
        }
        for job_id in &changes.outbox {
            statements.push(row("outbox", job_id, machine.outbox_row(job_id))?);
        }
        for job_id in &changes.tombstones {
            statements.push(Statement::new(
                "INSERT OR REPLACE INTO tombstones (job_id, expires_at) VALUES (?, ?)",
                [json!(job_id), json!(tombstones_expire)],
            ));
        }
        if let Some(oldest) = changes.tombstones.first() {
            // Each new tombstone takes the two oldest with it, if they have expired: the table stays as large as 25 hours
            // need. Ids sort by creation, so that the oldest are found without a look at the rest.
            let now = oldest.created_at();
            statements.push(Statement::new(
                "DELETE FROM tombstones WHERE expires_at < ? \
                 AND job_id IN (SELECT job_id FROM tombstones ORDER BY job_id LIMIT ?)",
                [json!(now), json!(changes.tombstones.len().saturating_mul(2))],
            ));
        }
        if changes.is_state_changed {
            let doc = serde_json::to_string(machine.stored_state()).map_err(|_| PlatformError)?;
            statements
                .push(Statement::new("INSERT OR REPLACE INTO state (name, doc) VALUES ('main', ?)", [json!(doc)]));
        }
        self.sql.transaction(&statements)
    }

    /// Arms the alarm.
    pub fn set_alarm(&self, at: UnixMillis) {
        self.sql.set_alarm(at);
    }
}

/// Writes a row, or deletes it where it is gone.
fn row<T: serde::Serialize>(table: &str, job_id: &JobId, value: Option<&T>) -> Result<Statement, PlatformError> {
    Ok(match value {
        Some(value) => {
            let doc = serde_json::to_string(value).map_err(|_| PlatformError)?;
            let sql = format!("INSERT OR REPLACE INTO {table} (job_id, doc) VALUES (?, ?)");
            Statement::new(&sql, [json!(job_id), json!(doc)])
        }
        None => Statement::new(&format!("DELETE FROM {table} WHERE job_id = ?"), [json!(job_id)]),
    })
}
