//! An uploaded file: the record that a Ledger stores, and the JSON that the owner sees.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::types::ids::FileId;
use crate::types::time::UnixMillis;

/// A Ledger's record of a file, stored as one JSON document. The test `file_format_unchanged` pins its format. The
/// content is at the vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Our own id.
    pub file_id: FileId,
    /// The vendor's id, which is never shown.
    pub vendor_id: String,
    /// One of [`FILE_TYPES`].
    pub content_type: String,
    /// The length of the content, in bytes.
    pub bytes: u64,
    /// When the file was uploaded.
    pub created_at: UnixMillis,
}

/// The media types that may be uploaded (contract 1).
pub const FILE_TYPES: [&str; 7] =
    ["image/png", "image/jpeg", "image/webp", "image/gif", "video/mp4", "video/webm", "audio/wav"];

/// Returns the file type that a `Content-Type` names. A value with parameters is refused: none of these types has any.
#[must_use]
pub fn parse_file_type(content_type: &str) -> Option<&'static str> {
    FILE_TYPES.into_iter().find(|known| known.eq_ignore_ascii_case(content_type.trim()))
}

impl FileRecord {
    /// Returns the owner's view of the file (contract 1).
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
    fn only_images_videos_and_audio_are_files() {
        assert_eq!(parse_file_type("Image/PNG"), Some("image/png"));
        for bad in ["", "image/svg+xml", "text/html", "image/png; charset=utf-8", "application/octet-stream"] {
            assert_eq!(parse_file_type(bad), None, "{bad}");
        }
    }
}
