//! The compact form of a JWS, parsed strictly (RFC 7515 section 7.1, RFC 8725 section 2.4).
//!
//! A token has exactly one valid text. Padding, the standard base64 alphabet, white space, non-zero trailing bits and
//! further segments are refused. Otherwise an attacker could write one signed token in many ways, and evade everything
//! that identifies a token by its text (a cache, a block list).

use ct_codecs::{Base64UrlSafeNoPadding, Decoder};

use super::refusal::Refusal;
use crate::constants::{TOKEN_HEADER_MAX_BYTES, TOKEN_MAX_BYTES};

/// The parts of a token, decoded but not trusted.
#[derive(Debug)]
pub(super) struct Compact<'a> {
    /// The header as JSON text.
    pub header: Vec<u8>,
    /// The claims as JSON text.
    pub claims: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
    /// The signed bytes: header and claims, still encoded.
    pub signing_input: &'a [u8],
}

impl<'a> Compact<'a> {
    /// Splits and decodes `token`. Checks each size before it allocates memory for the part.
    pub fn parse(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(Refusal::TooLong);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(Refusal::NotCompact)?;
        let (header, claims) = signing_input.split_once('.').ok_or(Refusal::NotCompact)?;
        if header.is_empty() || claims.is_empty() || signature.is_empty() || claims.contains('.') {
            return Err(Refusal::NotCompact);
        }
        // Four characters carry three bytes.
        if header.len().saturating_mul(3) > TOKEN_HEADER_MAX_BYTES.saturating_mul(4) {
            return Err(Refusal::HeaderTooLong);
        }
        let decode = |segment: &str| decode_base64url(segment).ok_or(Refusal::BadEncoding);
        Ok(Self {
            header: decode(header)?,
            claims: decode(claims)?,
            signature: decode(signature)?,
            signing_input: signing_input.as_bytes(),
        })
    }
}

/// Decodes base64url without padding (RFC 7515 section 2). Returns `None` for a text that is not canonical.
pub(super) fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    // The decoder is constant-time. It refuses other characters, padding and non-zero trailing bits.
    Base64UrlSafeNoPadding::decode_to_vec(text, None).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(token: &str) -> Refusal {
        Compact::parse(token).unwrap_err()
    }

    #[test]
    fn three_segments_are_decoded_and_what_was_signed_is_kept_as_it_came() {
        let compact = Compact::parse("e30.eyJhIjoxfQ.AAE").unwrap();
        assert_eq!((compact.header.as_slice(), compact.claims.as_slice()), (&b"{}"[..], &b"{\"a\":1}"[..]));
        assert_eq!((compact.signature.as_slice(), compact.signing_input), (&[0_u8, 1][..], &b"e30.eyJhIjoxfQ"[..]));
    }

    #[test]
    fn any_other_number_of_segments_is_refused() {
        for token in
            ["", ".", "..", "...", "e30", "e30.e30", "e30.e30.", ".e30.e30", "e30..e30", "e30.e30.e30.", "a.b.c.d.e"]
        {
            assert_eq!(refusal(token), Refusal::NotCompact, "{token:?}");
        }
    }

    #[test]
    fn one_byte_string_has_one_spelling() {
        // "AA" is one zero byte; "AB" is the same byte with a non-zero trailing bit.
        assert_eq!(decode_base64url("AA"), Some(vec![0]));
        for text in ["AB", "AAB", "A", "AA=", "AA==", "AA ", " AA", "A\nA", "AA\0", "A+", "A/", "A%", "é", "AAAAA"] {
            assert_eq!(decode_base64url(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_segment_that_is_not_base64url_is_refused_wherever_it_is() {
        for token in ["e30=.e30.AAE", "e30.e31.AAE", "e30.e30.AAF", "e30 .e30.AAE", "{}.e30.AAE", "e30.e30.AA\n"] {
            assert_eq!(refusal(token), Refusal::BadEncoding, "{token:?}");
        }
    }

    #[test]
    fn sizes_are_refused_before_they_are_decoded() {
        let longest_claims = "A".repeat(TOKEN_MAX_BYTES - "e30..AAE".len());
        assert!(Compact::parse(&format!("e30.{longest_claims}.AAE")).is_ok_and(|compact| compact.claims.len() > 6_000));
        assert_eq!(refusal(&format!("e30.{longest_claims}A.AAE")), Refusal::TooLong);
        let longest_header = "A".repeat(TOKEN_HEADER_MAX_BYTES * 4 / 3);
        assert_ne!(refusal(&format!("{longest_header}.e30.")), Refusal::HeaderTooLong);
        assert_eq!(refusal(&format!("{longest_header}A.e30.AA")), Refusal::HeaderTooLong);
    }
}
