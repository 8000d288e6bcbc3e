//! Content codings (RFC 9110 section 8.4.1) for a fault's response, whose bytes then hide the text.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde::Deserialize;

/// A content coding that the simulator can apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentCoding {
    /// The zlib format.
    Deflate,
    /// The gzip format.
    Gzip,
}

impl ContentCoding {
    /// Returns the value of `Content-Encoding`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deflate => "deflate",
            Self::Gzip => "gzip",
        }
    }

    /// Encodes `bytes`.
    pub fn encode(self, bytes: &[u8]) -> Vec<u8> {
        // Writing to memory does not fail.
        match self {
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
                let _ = encoder.write_all(bytes);
                encoder.finish().unwrap_or_default()
            }
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
                let _ = encoder.write_all(bytes);
                encoder.finish().unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::{GzDecoder, ZlibDecoder};

    use super::*;

    #[test]
    fn a_text_does_not_show_and_is_decoded_again() {
        let text = b"data: a text that is repeated, data: a text that is repeated";
        for coding in [ContentCoding::Deflate, ContentCoding::Gzip] {
            let encoded = coding.encode(text);
            assert!(!encoded.windows(16).any(|window| text.windows(16).any(|other| other == window)), "{coding:?}");
            let mut decoded = Vec::new();
            let read = match coding {
                ContentCoding::Deflate => ZlibDecoder::new(encoded.as_slice()).read_to_end(&mut decoded),
                ContentCoding::Gzip => GzDecoder::new(encoded.as_slice()).read_to_end(&mut decoded),
            };
            assert_eq!((read.is_ok(), decoded.as_slice()), (true, text.as_slice()), "{coding:?}");
        }
    }
}
