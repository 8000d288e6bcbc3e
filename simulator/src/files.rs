//! The metadata of uploaded files. Their bytes are not kept.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::iso8601;
use crate::ids::new_id;

/// The media types that the vendor accepts.
pub const MEDIA_TYPES: [&str; 7] =
    ["image/png", "image/jpeg", "image/webp", "image/gif", "video/mp4", "video/webm", "audio/wav"];

/// One file's metadata, as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub struct File {
    /// `file_…`.
    pub id: String,
    /// One of [`MEDIA_TYPES`].
    pub content_type: String,
    /// The length in bytes.
    pub bytes: usize,
    /// When it was uploaded, in ISO 8601.
    pub created_at: String,
    #[serde(skip)]
    account: String,
}

/// All files, by id.
#[derive(Debug, Default)]
pub struct Files {
    files: BTreeMap<String, File>,
}

impl Files {
    /// Adds a file to an account.
    pub fn add(&mut self, account: &str, content_type: &str, bytes: usize, now_ms: u64) -> File {
        let file = File {
            id: new_id("file"),
            content_type: content_type.to_owned(),
            bytes,
            created_at: iso8601(now_ms),
            account: account.to_owned(),
        };
        self.files.insert(file.id.clone(), file.clone());
        file
    }

    /// Returns an account's file; `None` if the file is missing or belongs to another account.
    pub fn get(&self, account: &str, id: &str) -> Option<&File> {
        self.files.get(id).filter(|file| file.account == account)
    }

    /// Deletes an account's file. Returns whether there was one.
    pub fn remove(&mut self, account: &str, id: &str) -> bool {
        self.get(account, id).is_some() && self.files.remove(id).is_some()
    }

    /// Returns all files of an account.
    pub fn of(&self, account: &str) -> Vec<&File> {
        self.files.values().filter(|file| file.account == account).collect()
    }

    /// Deletes all files.
    pub fn clear(&mut self) {
        self.files.clear();
    }
}
