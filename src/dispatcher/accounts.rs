//! Credit accounts of the vendor key and of each plan's pool, by UTC day (protocol 5).
//!
//! Invariant: a settlement books the day of its reservation, however late it comes.

use serde::{Deserialize, Serialize};

use crate::types::credits::MicroCredits;
use crate::types::time::UtcDay;

/// One day of one credit account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Account {
    /// A plan's name, or [`KEY_ACCOUNT`].
    name: String,
    day: UtcDay,
    spent: MicroCredits,
    reserved: MicroCredits,
    /// The highest use of the day about which an alert was raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told: Option<MicroCredits>,
}

/// The name of the vendor key's account. No plan has an empty name.
pub const KEY_ACCOUNT: &str = "";

/// The accounts that were used. Those of days before yesterday are kept only while they hold a reservation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Accounts(Vec<Account>);

impl Accounts {
    fn find(&self, name: &str, day: UtcDay) -> Option<&Account> {
        self.0.iter().find(|account| account.name == name && account.day == day)
    }

    fn find_or_create(&mut self, name: &str, day: UtcDay) -> Option<&mut Account> {
        if self.find(name, day).is_none() {
            self.0.retain(|account| account.reserved > MicroCredits::ZERO || account.day.next() >= day);
            let (spent, reserved) = (MicroCredits::ZERO, MicroCredits::ZERO);
            self.0.push(Account { name: name.to_owned(), day, spent, reserved, told: None });
        }
        self.0.iter_mut().find(|account| account.name == name && account.day == day)
    }

    /// Returns each account alone, with its name.
    #[must_use]
    pub fn by_name(&self) -> Vec<(&str, Self)> {
        let mut accounts: Vec<(&str, Self)> = Vec::new();
        for account in &self.0 {
            match accounts.iter_mut().find(|(name, _)| *name == account.name) {
                Some((_, of_name)) => of_name.0.push(account.clone()),
                None => accounts.push((&account.name, Self(vec![account.clone()]))),
            }
        }
        accounts
    }

    /// Returns whether there is an account with this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|account| account.name == name)
    }

    /// Drops the accounts whose name is not `kept`.
    pub fn retain(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.0.retain(|account| is_kept(&account.name));
    }

    /// Moves other accounts here. They are not here yet.
    pub fn append(&mut self, others: &mut Self) {
        self.0.append(&mut others.0);
    }

    /// Returns whether `credits` more stay within `cap`.
    #[must_use]
    pub fn has_room(&self, name: &str, day: UtcDay, credits: MicroCredits, cap: MicroCredits) -> bool {
        let (spent, reserved) = self.usage(name, day);
        let total = spent.checked_add(reserved).and_then(|total| total.checked_add(credits));
        total.is_some_and(|total| total <= cap)
    }

    /// Reserves credits. If there is a cap, the caller has checked [`Self::has_room`].
    pub fn reserve(&mut self, name: &str, day: UtcDay, credits: MicroCredits) {
        if let Some(account) = self.find_or_create(name, day) {
            account.reserved = account.reserved.checked_add(credits).unwrap_or(account.reserved);
        }
    }

    /// Releases a reservation and books what was used, even if that is more.
    pub fn settle(&mut self, name: &str, day: UtcDay, reserved: MicroCredits, used: MicroCredits) {
        if let Some(account) = self.find_or_create(name, day) {
            account.reserved = account.reserved.saturating_sub(reserved);
            account.spent = account.spent.checked_add(used).unwrap_or(account.spent);
        }
    }

    /// Records that an alert is about a day's use of so many credits. Returns whether it is the first one about that much:
    /// a limit that an operator has raised since has alerts of its own.
    pub fn tell(&mut self, name: &str, day: UtcDay, used: MicroCredits) -> bool {
        let account = self.find_or_create(name, day).filter(|account| account.told < Some(used));
        account.is_some_and(|account| {
            account.told = Some(used);
            true
        })
    }

    /// Returns the credits that the account `name` has spent and reserved on `day`.
    #[must_use]
    pub fn usage(&self, name: &str, day: UtcDay) -> (MicroCredits, MicroCredits) {
        self.find(name, day).map_or_else(Default::default, |account| (account.spent, account.reserved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credits(text: &str) -> MicroCredits {
        MicroCredits::parse(text).unwrap()
    }

    const DAY: UtcDay = UtcDay(20_468);

    #[test]
    fn a_cap_is_never_exceeded_and_settlement_books_the_day_of_the_reservation() {
        let mut accounts = Accounts::default();
        assert!(accounts.has_room("free", DAY, credits("5"), credits("5")));
        accounts.reserve("free", DAY, credits("5"));
        assert!(!accounts.has_room("free", DAY, credits("0.000001"), credits("5")));
        assert!(accounts.has_room("free", DAY.next(), credits("5"), credits("5")));
        accounts.reserve("free", DAY.next(), credits("1"));
        accounts.settle("free", DAY, credits("5"), credits("7"));
        assert_eq!(accounts.usage("free", DAY), (credits("7"), MicroCredits::ZERO));
        assert_eq!(accounts.usage("free", DAY.next()), (MicroCredits::ZERO, credits("1")));
        assert_eq!(accounts.usage(KEY_ACCOUNT, DAY), Default::default());
    }

    #[test]
    fn old_days_are_dropped_once_they_hold_nothing() {
        let mut accounts = Accounts::default();
        accounts.reserve("a", UtcDay(1), credits("1"));
        accounts.reserve("b", UtcDay(1), credits("1"));
        accounts.settle("a", UtcDay(1), credits("1"), credits("1"));
        accounts.reserve("a", UtcDay(9), credits("1"));
        assert_eq!(accounts.usage("a", UtcDay(1)), Default::default());
        assert_eq!(accounts.usage("b", UtcDay(1)).1, credits("1"));
    }

    #[test]
    fn accounts_format_unchanged() {
        let mut accounts = Accounts::default();
        accounts.reserve("free", DAY, credits("5"));
        let text = r#"[{"name":"free","day":20468,"spent":0,"reserved":5000000}]"#;
        assert_eq!(serde_json::to_string(&accounts).unwrap(), text);
        assert!(accounts.tell("free", DAY, credits("4")) && !accounts.tell("free", DAY, credits("4")));
        let text = r#"[{"name":"free","day":20468,"spent":0,"reserved":5000000,"told":4000000}]"#;
        assert_eq!(serde_json::to_string(&accounts).unwrap(), text);
        assert_eq!(serde_json::from_str::<Accounts>(text).unwrap(), accounts);
    }
}
