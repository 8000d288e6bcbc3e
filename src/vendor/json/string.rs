//! The text of one string or unquoted word: unescaped bytes up to a limit.

use std::borrow::Cow;

use crate::constants::VENDOR_TEXT_MAX_BYTES;

/// A text that grows byte by byte. The buffer is reused for the next text.
#[derive(Debug, Default)]
pub(super) struct TextBuffer {
    bytes: Vec<u8>,
    is_too_long: bool,
    /// The first half of a surrogate pair, if one was just read.
    high_surrogate: Option<u16>,
}

impl TextBuffer {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.is_too_long = false;
        self.high_surrogate = None;
    }

    /// Adds unescaped bytes of the text.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.end_surrogate();
        self.append(bytes);
    }

    /// Adds a UTF-16 code unit from an escape `\uXXXX`. The two halves of a surrogate pair become one character.
    pub(super) fn push_unit(&mut self, unit: u16) {
        let high = self.high_surrogate.take();
        if let Some(Ok(pair)) = high.and_then(|high| char::decode_utf16([high, unit]).next()) {
            return self.push_char(pair);
        }
        if high.is_some() {
            self.push_char(char::REPLACEMENT_CHARACTER);
        }
        if matches!(unit, 0xD800..=0xDBFF) {
            self.high_surrogate = Some(unit);
        } else {
            self.push_char(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
    }

    /// Returns the text, or `None` if it was too long to keep. Bytes that are not UTF-8 are replaced.
    pub(super) fn finish(&mut self) -> Option<Cow<'_, str>> {
        self.end_surrogate();
        (!self.is_too_long).then(|| String::from_utf8_lossy(&self.bytes))
    }

    fn end_surrogate(&mut self) {
        if self.high_surrogate.take().is_some() {
            self.push_char(char::REPLACEMENT_CHARACTER);
        }
    }

    fn push_char(&mut self, character: char) {
        self.append(character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn append(&mut self, bytes: &[u8]) {
        self.is_too_long = self.is_too_long || self.bytes.len().saturating_add(bytes.len()) > VENDOR_TEXT_MAX_BYTES;
        if !self.is_too_long {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrogates_are_paired_or_replaced() {
        for (units, text) in [
            (&[0xD83D, 0xDE00][..], "\u{1f600}"),
            (&[0xD83D], "\u{fffd}"),
            (&[0xDE00], "\u{fffd}"),
            (&[0xD83D, 0xD83D, 0xDE00], "\u{fffd}\u{1f600}"),
            (&[0xD83D, 0x61], "\u{fffd}a"),
            (&[0xDE00, 0xD83D], "\u{fffd}\u{fffd}"),
        ] {
            let mut buffer = TextBuffer::default();
            units.iter().for_each(|unit| buffer.push_unit(*unit));
            assert_eq!(buffer.finish().unwrap(), text, "{units:x?}");
        }
    }

    #[test]
    fn a_text_over_the_limit_is_not_kept_and_the_next_one_is() {
        let mut buffer = TextBuffer::default();
        buffer.push(&vec![b'a'; VENDOR_TEXT_MAX_BYTES]);
        assert_eq!(buffer.finish().map(|text| text.len()), Some(VENDOR_TEXT_MAX_BYTES));
        buffer.push(b"a");
        assert_eq!(buffer.finish(), None);
        buffer.clear();
        buffer.push(b"\xc3\xa9\xff");
        assert_eq!(buffer.finish().unwrap(), "\u{e9}\u{fffd}");
    }
}
