//! The vendor's accounts: keys, credits and request counts.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use crate::clock::utc_day;
use crate::credits::Credits;
use crate::rate_window::{RateWindow, WindowStatus};

/// The account of a key that names none.
pub const DEFAULT_ACCOUNT: &str = "acct_1";
/// The credits of a new account: 1,000, enough for a long demo.
pub const OPENING_BALANCE: Credits = Credits::from_micros(1_000_000_000);
/// The prefix of every vendor key.
const KEY_PREFIX: &str = "sk_live_";

/// A vendor key and its account. Not `Debug`, so that no key gets into a log.
#[derive(Clone)]
pub struct AccountKey {
    /// The whole key.
    pub key: String,
    /// The account's id.
    pub account: String,
}

impl AccountKey {
    /// Parses `sk_live_…`, which belongs to [`DEFAULT_ACCOUNT`], or `sk_live_…@account`.
    pub fn parse(text: &str) -> Option<Self> {
        let (key, account) = text.split_once('@').unwrap_or((text, DEFAULT_ACCOUNT));
        let word = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        };
        let valid = key.strip_prefix(KEY_PREFIX).is_some_and(word) && word(account);
        valid.then(|| Self { key: key.to_owned(), account: account.to_owned() })
    }
}

/// One account.
#[derive(Debug)]
pub struct Account {
    /// Credits left to spend.
    pub balance: Credits,
    /// The times of this account's requests.
    pub window: RateWindow,
    /// Idempotency keys of the accepted creates.
    pub idempotency_keys: HashSet<String>,
    /// Credits spent and predictions created, by UTC day.
    days: BTreeMap<String, Day>,
}

#[derive(Debug, Default)]
struct Day {
    spent: Credits,
    predictions: u64,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            balance: OPENING_BALANCE,
            window: RateWindow::default(),
            idempotency_keys: HashSet::new(),
            days: BTreeMap::new(),
        }
    }
}

impl Account {
    /// Charges a prediction that is created at `now_ms`.
    pub fn charge(&mut self, cost: Credits, now_ms: u64) {
        self.balance = self.balance.minus(cost);
        let day = self.days.entry(utc_day(now_ms)).or_default();
        day.spent = day.spent.plus(cost);
        day.predictions += 1;
    }

    /// Replaces the charge of a prediction created at `created_ms`: `paid` becomes `due`, on the UTC day of the create.
    pub fn settle(&mut self, created_ms: u64, paid: Credits, due: Credits) {
        self.balance = self.balance.plus(paid).minus(due);
        let day = self.days.entry(utc_day(created_ms)).or_default();
        day.spent = day.spent.plus(due).minus(paid);
    }

    /// Returns the credits spent on the UTC day of `now_ms`.
    pub fn spent_today(&self, now_ms: u64) -> Credits {
        self.days.get(&utc_day(now_ms)).map(|day| day.spent).unwrap_or_default()
    }

    /// Renders `[{"day","credits_spent","predictions"}]`, oldest day first.
    pub fn usage(&self) -> Value {
        let day = |(day, used): (&String, &Day)| json!({"day": day, "credits_spent": used.spent, "predictions": used.predictions});
        self.days.iter().map(day).collect()
    }
}

/// All accounts and keys. Not `Debug`, so that no key gets into a log.
#[derive(Default)]
pub struct Accounts {
    accounts: BTreeMap<String, Account>,
    keys: HashMap<String, String>,
}

impl Accounts {
    /// Accepts a key from now on. Creates its account if there is none.
    pub fn add_key(&mut self, grant: AccountKey) {
        self.accounts.entry(grant.account.clone()).or_default();
        self.keys.insert(grant.key, grant.account);
    }

    /// Refuses a key from now on.
    pub fn revoke_key(&mut self, key: &str) {
        self.keys.remove(key);
    }

    /// Returns the account of the key in `Authorization: Bearer <key>`; `None` if the key is missing or not accepted.
    pub fn authenticate(&self, authorization: Option<&str>) -> Option<&str> {
        let key = authorization?.strip_prefix("Bearer ")?;
        self.keys.get(key).map(String::as_str)
    }

    /// Returns an account. Creates it if there is none.
    pub fn account(&mut self, id: &str) -> &mut Account {
        self.accounts.entry(id.to_owned()).or_default()
    }

    /// Sets the balance of every account.
    pub fn set_balances(&mut self, balance: Credits) {
        self.accounts.values_mut().for_each(|account| account.balance = balance);
    }

    /// Admits and counts a request.
    ///
    /// # Errors
    /// The account made `limit` requests in the last minute already. A refused request is not counted.
    pub fn admit_request(&mut self, id: &str, limit: u64, now_ms: u64) -> Result<WindowStatus, WindowStatus> {
        let window = &mut self.account(id).window;
        let before = window.status(limit, now_ms);
        if before.remaining == 0 {
            return Err(before);
        }
        window.add(now_ms);
        Ok(window.status(limit, now_ms))
    }

    /// Clears rate windows, idempotency keys and days of all accounts. Vendor keys and balances stay.
    pub fn clear_history(&mut self) {
        for account in self.accounts.values_mut() {
            *account = Account { balance: account.balance, ..Account::default() };
        }
    }

    /// Renders `{"acct_1":{"credits_balance","keys"}}`. `keys` is a count: no key is shown.
    pub fn to_json(&self) -> Value {
        let row = |(id, account): (&String, &Account)| {
            let keys = self.keys.values().filter(|owner| *owner == id).count();
            (id.clone(), json!({"credits_balance": account.balance, "keys": keys}))
        };
        Value::Object(self.accounts.iter().map(row).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_account_or_belongs_to_the_default_one() {
        let grant = AccountKey::parse("sk_live_test_a@acct_2").unwrap();
        assert_eq!((grant.key.as_str(), grant.account.as_str()), ("sk_live_test_a", "acct_2"));
        assert_eq!(AccountKey::parse("sk_live_test_a").unwrap().account, DEFAULT_ACCOUNT);
        for text in ["", "sk_live_", "sk_test_a", "sk_live_a b", "sk_live_a@", "sk_live_a@b@c"] {
            assert!(AccountKey::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn settling_returns_the_difference_on_the_day_of_the_create() {
        let mut account = Account::default();
        let (paid, due) = (Credits::from_micros(2_500_000), Credits::from_micros(1_000_000));
        account.charge(paid, 1_000);
        account.settle(1_000, paid, due);
        assert_eq!(account.spent_today(1_000), due);
        assert_eq!(account.balance, OPENING_BALANCE.minus(due));
    }
}
