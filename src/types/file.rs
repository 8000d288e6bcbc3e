//! An uploaded file as its owner sees it, and as a Ledger keeps it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::types::ids::FileId;
use crate::types::time::UnixMillis;

/// What a Ledger stores of a file, as one JSON document (`file_format_unchanged` pins it). Never its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Our id.
    pub file_id: FileId,
    /// The vendor's, which is never shown.
    pub vendor_id: String,
    /// One of [`FILE_TYPES`].
    pub content_type: String,
    /// Its length.
    pub bytes: u64,
    /// When it was uploaded.
    pub created_at: UnixMillis,
}

/// What may be uploaded (contract 1).
pub const FILE_TYPES: [&str; 7] =
    ["image/png", "image/jpeg", "image/webp", "image/gif", "video/mp4", "video/webm", "audio/wav"];

/// The file type that a `Content-Type` names; parameters are not accepted, since no such type has one.
#[must_use]
pub fn file_type(content_type: &str) -> Option<&'static str> {
    FILE_TYPES.into_iter().find(|known| known.eq_ignore_ascii_case(content_type.trim()))
}

impl FileRecord {
    /// The file as contract 1 shows it.
    #[must_use]
    pub fn render(&self) -> Value {
        json!({
            "file_id": self.file_id.as_str(), "content_type": self.content_type, "bytes": self.bytes,
            "created_at": self.created_at.to_rfc3339(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_format_unchanged() {
        let file = FileRecord {
            file_id: FileId::parse("file_01jh0000000000000000000000").unwrap(),
            vendor_id: "v".into(),
            content_type: "image/png".into(),
            bytes: 3,
            created_at: UnixMillis(1_768_473_000_000),
        };
        let text = r#"{"file_id":"file_01jh0000000000000000000000","vendor_id":"v","content_type":"image/png","bytes":3,"created_at":1768473000000}"#;
        assert_eq!(serde_json::to_string(&file).unwrap(), text);
        let view = json!({"file_id": file.file_id.as_str(), "content_type": "image/png", "bytes": 3, "created_at": "2026-01-15T10:30:00Z"});
        assert_eq!(file.render(), view);
    }

    #[test]
    fn only_pictures_films_and_sounds_are_files() {
        assert_eq!(file_type("Image/PNG"), Some("image/png"));
        for bad in ["", "image/svg+xml", "text/html", "image/png; charset=utf-8", "application/octet-stream"] {
            assert_eq!(file_type(bad), None, "{bad}");
        }
    }
}
