//! The body of a vendor response. It is read chunk by chunk, and only the used members are kept.

use super::document::Document;
use super::json::Scanner;

/// The result of reading a body. Its bytes are not kept.
#[derive(Clone, Debug, PartialEq)]
pub enum VendorBody {
    /// One JSON value.
    Json(Box<Document>),
    /// Anything else, such as an empty body, an HTML page, or truncated JSON.
    Unreadable,
    /// A body above its limit ([`crate::constants::VENDOR_POLL_BODY_MAX_BYTES`],
    /// [`crate::constants::VENDOR_BODY_MAX_BYTES`]) or one that did not fit beside the other bodies in memory
    /// ([`crate::constants::VENDOR_BODIES_MAX_BYTES`]). These limits are Valetkey's, so exceeding them is no failure of
    /// the vendor.
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

    /// Returns the used members of the body if it is JSON.
    #[must_use]
    pub fn document(&self) -> Option<&Document> {
        match self {
            Self::Json(document) => Some(document),
            Self::Unreadable | Self::TooLarge => None,
        }
    }
}

/// A reader that takes a body chunk by chunk. A large body is never in wasm memory as a whole, because that memory
/// never shrinks.
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

    /// Ends the body and returns the result.
    #[must_use]
    pub fn finish(self) -> VendorBody {
        self.0.finish().map_or(VendorBody::Unreadable, |document| VendorBody::Json(Box::new(document)))
    }
}
