//! Applies the numbered migrations of an object's database ([`crate::migration`]).

use serde::de::IgnoredAny;
use serde_json::json;

use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::sql::{Sql, Statement};
use crate::migration::{Comparison, Migration, Recorded, TooNew, compare};
use crate::types::alert::Alert;

/// SQLite's `user_version` would do, but Durable Objects allow few pragmas:
/// <https://developers.cloudflare.com/durable-objects/api/sqlite-storage-api/>.
const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, is_breaking INTEGER NOT NULL) WITHOUT ROWID";

/// Returns whether a table exists. Never creates one, so an object that stored nothing stays empty.
pub fn has_table(sql: &Sql, name: &str) -> ActorResult<bool> {
    let tables: Vec<IgnoredAny> = sql.rows("SELECT name FROM sqlite_master WHERE name = ?", &[json!(name)])?;
    Ok(!tables.is_empty())
}

/// Compares the storage with the migrations of this build. Returns [`TooNew`], with an alert, if the storage must not be
/// touched.
pub fn read(sql: &Sql, known: &'static [Migration]) -> ActorResult<Result<Comparison<'static>, TooNew>> {
    Ok(compare(known, &recorded(sql)?).inspect_err(|TooNew| alerts::raise(Alert::StorageTooNew)))
}

/// Returns the migrations that the storage records.
pub fn recorded(sql: &Sql) -> ActorResult<Vec<Recorded>> {
    if has_table(sql, "migrations")? {
        sql.rows("SELECT number, is_breaking FROM migrations", &[])
    } else {
        Ok(Vec::new())
    }
}

/// Applies migrations, each in one transaction.
pub fn apply<'a>(sql: &Sql, pending: impl IntoIterator<Item = &'a Migration>) -> ActorResult<()> {
    for migration in pending {
        let record = Statement::new(
            "INSERT INTO migrations (number, is_breaking) VALUES (?, ?)",
            [json!(migration.number), json!(u32::from(migration.is_breaking))],
        );
        let statements = [TABLE].into_iter().chain(migration.statements.iter().copied());
        let statements: Vec<_> = statements.map(|statement| Statement::new(statement, [])).chain([record]).collect();
        sql.transaction(&statements)?;
    }
    Ok(())
}
