//! Amounts of credits: decimal strings in JSON, integer micro-credits inside.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Micro-credits in a credit.
const MICROS: u64 = 1_000_000;
/// Decimal places of a micro-credit.
const DECIMALS: usize = 6;

/// An amount of credits, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Credits {
    micros: u64,
}

impl Credits {
    /// Converts from micro-credits.
    pub const fn from_micros(micros: u64) -> Self {
        Self { micros }
    }

    /// Multiplies; saturates at the largest amount.
    pub const fn times(self, count: u64) -> Self {
        Self { micros: self.micros.saturating_mul(count) }
    }

    /// Adds; saturates at the largest amount.
    pub const fn plus(self, other: Self) -> Self {
        Self { micros: self.micros.saturating_add(other.micros) }
    }

    /// Subtracts; saturates at zero.
    pub const fn minus(self, other: Self) -> Self {
        Self { micros: self.micros.saturating_sub(other.micros) }
    }
}

impl fmt::Display for Credits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.micros / MICROS, self.micros % MICROS);
        formatter.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl FromStr for Credits {
    type Err = &'static str;

    /// Parses `12`, `2.5`, `0.000001`: no sign, no exponent, at most six decimals.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const PROBLEM: &str = "not a decimal number of credits with at most six decimals";
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > DECIMALS {
            return Err(PROBLEM);
        }
        let fraction: u64 = format!("{fraction:0<DECIMALS$}").parse().map_err(|_| PROBLEM)?;
        let whole: u64 = whole.parse().map_err(|_| PROBLEM)?;
        let micros = whole.checked_mul(MICROS).and_then(|micros| micros.checked_add(fraction)).ok_or(PROBLEM)?;
        Ok(Self { micros })
    }
}

impl Serialize for Credits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Credits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_survives_formatting_and_parsing() {
        for text in ["0", "2.5", "1000", "0.000001", "12.34"] {
            assert_eq!(text.parse::<Credits>().unwrap().to_string(), text);
        }
        assert_eq!("2.50".parse::<Credits>(), Ok(Credits::from_micros(2_500_000)));
    }

    #[test]
    fn text_that_is_not_a_decimal_number_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "1e3", "0.0000001", "99999999999999999999"] {
            assert!(text.parse::<Credits>().is_err(), "{text}");
        }
    }
}
