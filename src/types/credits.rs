//! Credits: integer micro-credits inside, decimal strings in JSON (contract 2).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::constants::{MAX_CREDITS_MICROS, MICROS_PER_CREDIT};

/// An amount in micro-credits, millionths of a vendor credit: 0 … 10^15. Below 2^53, so that SQL's f64 holds it
/// exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroCredits(i64);

/// Decimal places of a credit.
const DECIMAL_PLACES: usize = 6;

impl MicroCredits {
    /// No credits.
    pub const ZERO: Self = Self(0);

    /// Converts from micro-credits. Returns `None` if `micros` is negative or above 10^15.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Option<Self> {
        if micros >= 0 && micros <= MAX_CREDITS_MICROS { Some(Self(micros)) } else { None }
    }

    /// Parses a decimal string such as `2.5`: digits, then optionally a point and one to six digits. Nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || fraction.is_some_and(|part| !digits(part) || part.len() > DECIMAL_PLACES) {
            return None;
        }
        let whole: i64 = whole.parse().ok()?;
        let fraction: i64 = format!("{:0<DECIMAL_PLACES$}", fraction.unwrap_or_default()).parse().ok()?;
        whole.checked_mul(MICROS_PER_CREDIT)?.checked_add(fraction).and_then(Self::from_micros)
    }

    /// Returns the amount in micro-credits.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Returns the sum, or `None` if it is above 10^15.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::from_micros)
    }

    /// Returns the product, or `None` if it is above 10^15.
    #[must_use]
    pub fn checked_mul(self, count: u32) -> Option<Self> {
        self.0.checked_mul(i64::from(count)).and_then(Self::from_micros)
    }

    /// Returns the difference, or zero if `other` is larger.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(0))
    }
}

impl fmt::Display for MicroCredits {
    /// Writes the shortest decimal: `2.5`, `45`, `0.000001`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.div_euclid(MICROS_PER_CREDIT);
        let fraction = format!("{:06}", self.0.rem_euclid(MICROS_PER_CREDIT));
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() { write!(formatter, "{whole}") } else { write!(formatter, "{whole}.{fraction}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_written_in_their_shortest_form() {
        for text in ["0", "2.5", "45", "0.000001", "1000000000"] {
            assert_eq!(MicroCredits::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(MicroCredits::parse("2.50").unwrap().to_string(), "2.5");
    }

    #[test]
    fn anything_that_is_not_a_plain_decimal_is_refused() {
        for bad in
            ["", ".", "1.", ".5", "-1", "+1", "1e3", " 1", "1 ", "0x1", "1,5", "1.0000001", "1.2.3", "1000000001", "٣"]
        {
            assert_eq!(MicroCredits::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn sums_and_products_never_wrap() {
        let most = MicroCredits::from_micros(MAX_CREDITS_MICROS).unwrap();
        assert_eq!(most.checked_add(MicroCredits(1)), None);
        assert_eq!(most.checked_mul(2), None);
        assert_eq!(MicroCredits(1).saturating_sub(MicroCredits(2)), MicroCredits::ZERO);
    }
}
