//! The body of a vendor response: read chunk by chunk, and kept as what is used of it.

use super::document::Document;
use super::json::Scanner;

/// What was read of a body. Its bytes are not kept.
#[derive(Clone, Debug, PartialEq)]
pub enum VendorBody {
    /// One JSON value.
    Json(Box<Document>),
    /// Anything else: no body, a page, JSON that is cut off.
    Unreadable,
    /// A body above its limit ([`crate::constants::VENDOR_POLL_BODY_MAX_BYTES`],
    /// [`crate::constants::VENDOR_BODY_MAX_BYTES`]) or without room beside other bodies
    /// ([`crate::constants::VENDOR_BODIES_MAX_BYTES`]). That is our limit and no failure of the vendor.
    TooLarge,
}

impl VendorBody {
    /// Reads a whole body.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let mut reader = BodyReader::default();
        reader.push(bytes);
        reader.finish()
    }

    /// Returns what the body says, if it is JSON.
    #[must_use]
    pub fn document(&self) -> Option<&Document> {
        match self {
            Self::Json(document) => Some(document),
            Self::Unreadable | Self::TooLarge => None,
        }
    }
}

/// Reads a body chunk by chunk, so that no copy of a large body is ever in wasm memory, which never shrinks.
#[derive(Debug)]
pub struct BodyReader(Scanner<Document>);

impl Default for BodyReader {
    fn default() -> Self {
        Self(Scanner::new(Document::default()))
    }
}

impl BodyReader {
    /// Reads the next chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        self.0.push(chunk);
    }

    /// Ends the body.
    #[must_use]
    pub fn finish(self) -> VendorBody {
        self.0.finish().map_or(VendorBody::Unreadable, |document| VendorBody::Json(Box::new(document)))
    }
}
