//! Conversion of the vendor's `credits_used` to micro-credits. An unreadable amount is never booked.

use crate::constants::MAX_CREDITS_MICROS;
use crate::types::credits::MicroCredits;
use crate::vendor::json::Scalar;

/// The vendor's amount for a prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cost {
    /// The response has no amount.
    #[default]
    Absent,
    /// An amount, rounded up to a micro-credit.
    Known(MicroCredits),
    /// The amount is unreadable, negative, or more than an account can hold. The reservation is booked instead.
    Unreadable,
}

impl Cost {
    /// Reads an amount: a JSON number, or a decimal number in a string.
    pub(super) fn read(value: Scalar<'_>) -> Self {
        match value {
            Scalar::Null => Self::Absent,
            Scalar::Number(Some(text)) | Scalar::Text(Some(text)) => {
                parse_rounding_up(text.trim()).map_or(Self::Unreadable, Self::Known)
            }
            Scalar::Number(None) | Scalar::Text(None) | Scalar::Boolean | Scalar::NotFinite => Self::Unreadable,
        }
    }

    /// Combines two amounts in one response: returns the larger one, or `Unreadable` if either is unreadable.
    pub(super) fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unreadable, _) | (_, Self::Unreadable) => Self::Unreadable,
            (Self::Absent, known) | (known, Self::Absent) => known,
            (Self::Known(one), Self::Known(other)) => Self::Known(one.max(other)),
        }
    }
}

/// Parses a decimal number with an optional sign, fraction and exponent, and rounds it up to a micro-credit. The result
/// is exact, because no floating point is involved. Returns `None` if the number is negative, too large or not a
/// number.
fn parse_rounding_up(text: &str) -> Option<MicroCredits> {
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !is_digits || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    // Digits before this index are whole micro-credits.
    let point = i64::try_from(whole.len()).ok()?.saturating_add(exponent).saturating_add(6);
    let mut micros: i64 = 0;
    let mut index: i64 = 0;
    let mut has_rest = false;
    for digit in whole.bytes().chain(fraction.bytes()).map(|byte| i64::from(byte.wrapping_sub(b'0'))) {
        if index < point {
            micros = micros.saturating_mul(10).saturating_add(digit);
        } else {
            has_rest = has_rest || digit != 0;
        }
        index = index.saturating_add(1);
    }
    // Appends the zeros that the exponent stands for. Any amount but 0 exceeds the maximum long before the last of
    // them.
    while index < point && micros != 0 && micros <= MAX_CREDITS_MICROS {
        micros = micros.saturating_mul(10);
        index = index.saturating_add(1);
    }
    let micros = micros.saturating_add(i64::from(has_rest));
    (!is_negative || micros == 0).then(|| MicroCredits::from_micros(micros)).flatten()
}

/// Parses an exponent. Clamps it to a range, since any larger exponent has the same effect.
fn parse_exponent(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Far larger than any text that is kept is long, and far from an overflow.
    const LARGEST: i64 = 1_000_000_000;
    Some(digits.parse::<i64>().map_or(LARGEST, |exponent| exponent.min(LARGEST)).saturating_mul(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> Cost {
        Cost::Known(MicroCredits::parse(text).unwrap())
    }

    #[test]
    fn a_figure_is_rounded_up_to_a_micro_credit() {
        let long = format!("0.{}1", "0".repeat(400));
        for (text, credits) in [
            ("7.300000000000001", "7.300001"),
            ("7.3000000000000000", "7.3"),
            ("2.5", "2.5"),
            (" 2.5 ", "2.5"),
            ("\t2.5\n", "2.5"),
            ("+2.5", "2.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e2", "100"),
            ("2.5E+1", "25"),
            ("25e-1", "2.5"),
            ("0.0000001", "0.000001"),
            ("1e-7", "0.000001"),
            ("1e-999999999999999999999", "0.000001"),
            ("0e999999999999999999999", "0"),
            ("-0", "0"),
            ("-0.0e5", "0"),
            ("000012", "12"),
            ("1000000000", "1000000000"),
            ("999999999.9999991", "1000000000"),
            (&long, "0.000001"),
        ] {
            assert_eq!(Cost::read(Scalar::Number(Some(text))), known(credits), "{text}");
            assert_eq!(Cost::read(Scalar::Text(Some(text))), known(credits), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_unreadable() {
        let texts =
            ["", " ", ".", "-", "e5", "1e", "1e+", "1-2", "1,5", "0x10", "2.5 credits", "$2.5", "NaN", "1.2.3", "٣"];
        let too_large = ["1000000000.0000001", "1e400", "99999999999999999999999999"];
        let negative = ["-1", "-0.0000001", "-1e-99"];
        for text in texts.into_iter().chain(too_large).chain(negative) {
            assert_eq!(Cost::read(Scalar::Text(Some(text))), Cost::Unreadable, "{text}");
        }
        for value in [Scalar::Boolean, Scalar::NotFinite, Scalar::Text(None), Scalar::Number(None)] {
            assert_eq!(Cost::read(value), Cost::Unreadable);
        }
        assert_eq!(Cost::read(Scalar::Null), Cost::Absent);
    }

    #[test]
    fn of_two_figures_the_larger_one_counts() {
        assert_eq!(known("1").merge(known("2")), known("2"));
        assert_eq!(known("2").merge(known("1")), known("2"));
        assert_eq!(known("2").merge(Cost::Absent), known("2"));
        assert_eq!(Cost::Absent.merge(known("2")), known("2"));
        assert_eq!(known("2").merge(Cost::Unreadable), Cost::Unreadable);
        assert_eq!(Cost::Unreadable.merge(Cost::Absent), Cost::Unreadable);
    }
}
