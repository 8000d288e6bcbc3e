//! Whole numbers in text: digits only. `str::parse` would also accept a plus sign.

use std::str::FromStr;

/// Parses a number. Returns `None` if `text` is empty, has anything but ASCII digits, or exceeds the type.
#[must_use]
pub fn parse_digits<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits_and_nothing_else() {
        assert_eq!((parse_digits("0"), parse_digits("0300"), parse_digits("255")), (Some(0), Some(300), Some(255_u8)));
        for bad in ["", "+5", "-5", " 5", "5 ", "5.0", "0x5", "\u{665}", "256"] {
            assert_eq!(parse_digits::<u8>(bad), None, "{bad}");
        }
    }
}
