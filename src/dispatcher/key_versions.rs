//! Which vendor key each version of the Worker had, and which storage it can read: secrets belong to a version, so a rollback
//! past a rotation would bring a revoked key back, and one past a breaking migration would refuse everything.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::types::time::UnixMillis;

/// A version of the Worker, and the fingerprint of its `DEEPCREATIVE_API_KEY`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyOfVersion {
    /// The platform's id of the version.
    pub version_id: String,
    /// The fingerprint of the key.
    #[serde(rename = "key")]
    pub fingerprint: String,
    /// When the Dispatcher first ran in this version.
    pub seen_at: UnixMillis,
    /// The newest migrations that it knows.
    #[serde(default)]
    pub migrations: KnownMigrations,
}

/// The numbers of the newest migrations that a build knows. It refuses storage with a later one that is breaking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KnownMigrations {
    /// Of the Dispatcher's storage.
    pub dispatcher: u32,
    /// Of the Ledgers' storage.
    pub ledger: u32,
}

impl KeyOfVersion {
    /// Returns it as the operator's API shows it.
    pub(super) fn render(&self) -> Value {
        json!({
            "version_id": self.version_id, "fingerprint": self.fingerprint, "seen_at": self.seen_at.to_rfc3339(),
            "migrations": self.migrations,
        })
    }
}
