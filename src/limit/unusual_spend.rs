//! The detector of a user who spends much more than before: a stolen token, or a program that runs wild.

use crate::constants::{UNUSUAL_SPEND_DAYS, UNUSUAL_SPEND_FACTOR, UNUSUAL_SPEND_KNOWN_DAYS};
use crate::types::credits::MicroCredits;
use crate::types::time::UtcDay;

/// The credits of a day above which a user's spend is unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsualSpend {
    /// The day.
    pub day: UtcDay,
    /// `None` for a newcomer, of whom nothing is known.
    pub most: Option<MicroCredits>,
}

/// Returns the part of a plan's daily credits from which on a user's spend is looked at: a quarter. Less is no harm.
#[must_use]
pub fn floor(daily_credits: MicroCredits) -> MicroCredits {
    MicroCredits::from_micros(daily_credits.micros().div_euclid(4)).unwrap_or_default()
}

impl UsualSpend {
    /// Returns what is usual on `day` for a user who spent this on other days: three times the most of the seven days before. Somebody
    /// who spent on less than three of them is a newcomer.
    #[must_use]
    pub fn new(day: UtcDay, days: impl IntoIterator<Item = (UtcDay, MicroCredits)>) -> Self {
        let is_recent = |other: UtcDay| (1..=UNUSUAL_SPEND_DAYS).contains(&day.0.saturating_sub(other.0));
        let recent = days.into_iter().filter(|(other, _)| is_recent(*other));
        let spent: Vec<MicroCredits> = recent.map(|(_, spent)| spent).collect();
        let known = spent.iter().filter(|spent| **spent > MicroCredits::ZERO).count();
        let most = spent.into_iter().max().filter(|_| known >= UNUSUAL_SPEND_KNOWN_DAYS);
        Self { day, most: most.and_then(|most| most.checked_mul(UNUSUAL_SPEND_FACTOR)) }
    }

    /// Returns whether `used` credits are more than usual, and `before` were not.
    #[must_use]
    pub fn is_exceeded(&self, before: MicroCredits, used: MicroCredits) -> bool {
        self.most.is_some_and(|most| before <= most && used > most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: UtcDay = UtcDay(20_468);

    fn credits(text: &str) -> MicroCredits {
        MicroCredits::parse(text).unwrap()
    }

    /// Returns what is usual after these credits were spent yesterday, the day before, and so on.
    fn usual(spent: &[&str]) -> Option<MicroCredits> {
        let of = |(ago, spent): (i64, &&str)| (UtcDay(TODAY.0 - ago), credits(spent));
        UsualSpend::new(TODAY, (1_i64..).zip(spent).map(of)).most
    }

    #[test]
    fn three_times_the_most_of_the_last_seven_days_is_usual() {
        assert_eq!(usual(&["1", "5", "2"]), Some(credits("15")));
        assert_eq!(usual(&["1", "1", "1", "0", "0", "0", "0", "50"]), Some(credits("3")), "eight days ago");
    }

    #[test]
    fn of_a_newcomer_nothing_is_known() {
        assert_eq!(usual(&[]), None);
        assert_eq!(usual(&["5", "0", "5"]), None);
        assert!(!UsualSpend { day: TODAY, most: None }.is_exceeded(credits("0"), credits("1000")));
    }

    #[test]
    fn the_create_that_exceeds_it_is_told_and_no_other() {
        let usual = UsualSpend { day: TODAY, most: Some(credits("15")) };
        assert!(!usual.is_exceeded(credits("14"), credits("15")));
        assert!(usual.is_exceeded(credits("15"), credits("15.1")));
        assert!(!usual.is_exceeded(credits("15.1"), credits("20")));
        assert_eq!(floor(credits("50")), credits("12.5"));
    }
}
