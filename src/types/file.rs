//! An uploaded file: the record that a Ledger stores, and the JSON that the owner sees.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::constants::VENDOR_FILE_ID_MIN_CHARS;
use crate::types::ids::FileId;
use crate::types::time::{UnixMillis, UtcDay};

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
    /// The UTC day of the last upload or create that used the file. Absent in records of the build before, until the
    /// Ledger's next alarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_on: Option<UtcDay>,
}

/// How many files a user may have, from the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLimits {
    /// Number of files.
    pub max_files: u32,
    /// Bytes of all files together.
    pub max_bytes: u64,
}

/// The media types that may be uploaded (contract 1).
pub const FILE_TYPES: [&str; 7] =
    ["image/png", "image/jpeg", "image/webp", "image/gif", "video/mp4", "video/webm", "audio/wav"];

/// Aliases of these types that browsers, phones and libraries send.
const FILE_TYPE_ALIASES: [(&str, &str); 4] = [
    // RFC 2361 section 3.
    ("audio/vnd.wave", "audio/wav"),
    ("audio/x-wav", "audio/wav"),
    ("audio/wave", "audio/wav"),
    ("image/jpg", "image/jpeg"),
];

/// Returns the file type that a `Content-Type` names. Drops parameters, such as a recording's codecs (RFC 6381); only
/// the bare type is sent to the vendor.
#[must_use]
pub fn parse_file_type(content_type: &str) -> Option<&'static str> {
    let essence = content_type.split(';').next()?.trim();
    let known = FILE_TYPES.into_iter().map(|name| (name, name)).chain(FILE_TYPE_ALIASES);
    known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(essence)).map(|(_, file_type)| file_type)
}

/// Returns whether a text looks like a vendor file id: `file_` and 6 or more word characters, at least one of them a
/// digit. Valetkey's own file ids match too.
#[must_use]
pub fn is_like_vendor_file_id(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.strip_prefix("file_").is_some_and(|rest| {
        rest.len() >= VENDOR_FILE_ID_MIN_CHARS
            && rest.bytes().all(is_word)
            && rest.bytes().any(|byte| byte.is_ascii_digit())
    })
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
            used_on: None,
        };
        let text = r#"{"file_id":"file_01jh0000000000000000000000","vendor_id":"v","content_type":"image/png","bytes":3,"created_at":1768473000000}"#;
        assert_eq!(serde_json::to_string(&file).unwrap(), text);
        let view = json!({"file_id": file.file_id.as_str(), "content_type": "image/png", "bytes": 3, "created_at": "2026-01-15T10:30:00Z"});
        assert_eq!(file.render(), view);
        let used = FileRecord { used_on: Some(UtcDay(20_468)), ..file };
        let text = text.replace('}', r#","used_on":20468}"#);
        assert_eq!(serde_json::to_string(&used).unwrap(), text);
        assert_eq!(used.render(), view, "the day is internal");
    }

    #[test]
    fn only_images_videos_and_audio_are_files() {
        for (text, expected) in [
            ("Image/PNG", "image/png"),
            ("image/jpg", "image/jpeg"),
            ("audio/vnd.wave", "audio/wav"),
            ("Audio/X-Wav", "audio/wav"),
            ("audio/wave", "audio/wav"),
            ("video/webm;codecs=vp8,opus", "video/webm"),
            ("audio/vnd.wave; codec=1", "audio/wav"),
            ("image/png ; charset=utf-8", "image/png"),
            ("image/png;", "image/png"),
        ] {
            assert_eq!(parse_file_type(text), Some(expected), "{text}");
        }
        for bad in [
            "",
            ";image/png",
            "image/svg+xml",
            "text/html",
            "text/html;image/png",
            "image/png, text/html",
            "image",
            "image/*",
            "application/octet-stream",
        ] {
            assert_eq!(parse_file_type(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_vendor_file_id_is_a_whole_text_with_a_digit() {
        for like in ["file_abc123", "file_123456", "file_abcdE_9", "file_01jh0000000000000000000000"] {
            assert!(is_like_vendor_file_id(like), "{like}");
        }
        for other in
            ["file_abc12", "file_abcdef", "File_abc123", "my file_abc123", "file_abc-123", "file_abc123.png", "file_"]
        {
            assert!(!is_like_vendor_file_id(other), "{other}");
        }
    }
}
