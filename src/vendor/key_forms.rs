//! The encodings in which a vendor key could leak.

use ct_codecs::{Base64UrlSafeNoPadding, Encoder, Hex};

/// Consecutive bytes of the tail that count as a leak.
pub(super) const PIECE_BYTES: usize = 16;
/// Consecutive characters of base64 that count as a leak: 16 bytes determine 20 characters, whatever their alignment
/// and their neighbors.
const PIECE_BASE64: usize = 20;

/// The key's tail in one encoding.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) text: Vec<u8>,
    /// Consecutive characters that count as a leak.
    pub(super) least: usize,
    pub(super) alphabet: Alphabet,
}

/// The set of characters that mean the same in an encoding.
#[derive(Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub(super) enum Alphabet {
    /// No other characters: every character stands for itself.
    Exact,
    /// Upper and lower case.
    Hex,
    /// The alphabets of RFC 4648 sections 4 and 5.
    Base64,
}

impl Alphabet {
    /// Returns the one form of a byte that has several.
    pub(super) fn normalize(self, byte: u8) -> u8 {
        match (self, byte) {
            (Self::Hex, _) => byte.to_ascii_lowercase(),
            (Self::Base64, b'+') => b'-',
            (Self::Base64, b'/') => b'_',
            (Self::Exact | Self::Base64, _) => byte,
        }
    }
}

/// Returns one form for all bytes that mean the same in any alphabet.
pub(super) fn fold_byte(byte: u8) -> u8 {
    Alphabet::Hex.normalize(Alphabet::Base64.normalize(byte))
}

/// Returns the forms of a key's tail.
pub(super) fn forms_of(tail: &[u8]) -> Vec<Form> {
    // Encoding fails only if a length overflows.
    let hex = Hex::encode_to_string(tail).unwrap_or_default().into_bytes();
    let mut forms = vec![
        Form { text: tail.to_vec(), least: PIECE_BYTES, alphabet: Alphabet::Exact },
        Form { text: hex, least: PIECE_BYTES.saturating_mul(2), alphabet: Alphabet::Hex },
    ];
    // The bytes before the tail decide which of three alignments it has. Characters that also encode bits of a neighbor
    // are cut off: with one byte before the tail, the 2 characters that hold its 8 bits and 4 bits of the tail.
    let before: [(&[u8], usize); 3] = [(&[], 0), (&[0], 2), (&[0, 0], 3)];
    for (before, cut) in before {
        let padded = [before, tail].concat();
        let whole = padded.len().saturating_mul(8) / 6;
        let encoded = Base64UrlSafeNoPadding::encode_to_string(padded).unwrap_or_default();
        let text = encoded.into_bytes().into_iter().take(whole).skip(cut).collect();
        forms.push(Form { text, least: PIECE_BASE64, alphabet: Alphabet::Base64 });
    }
    forms
}
