//! The form of a `kid`.

use crate::constants::TOKEN_KID_MAX_BYTES;

/// Returns whether `text` may be a `kid`: 1 to 128 ASCII letters, digits or `. _ : = + / -`.
pub(super) fn is_key_id(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:=+/-".contains(&byte);
    (1..=TOKEN_KID_MAX_BYTES).contains(&text.len()) && text.bytes().all(is_allowed)
}
