//! The vendor's accounts: their keys, credits and limits.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use crate::clock::utc_day;
use crate::credits::Credits;
use crate::rate_window::{RateWindow, WindowStatus};

/// The account of a key that names none.
pub const DEFAULT_ACCOUNT: &str = "acct_1";
/// What a new account may spend: enough for a long demo.
pub const OPENING_BALANCE: Credits = Credits::from_micros(1_000_000_000);
/// Every key starts with this.
const KEY_PREFIX: &str = "sk_live_";

/// A key and the account it opens. No `Debug`, so that no key gets into a log.
#[derive(Clone)]
pub struct AccountKey {
    /// The whole key.
    pub key: String,
    /// The account's id.
    pub account: String,
}

impl AccountKey {
    /// Reads `sk_live_…` or `sk_live_…@account`; `None` for anything else.
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
    /// What is left to spend.
    pub balance: Credits,
    /// This account's requests.
    pub window: RateWindow,
    /// Idempotency keys of its creates.
    pub idempotency_keys: HashSet<String>,
    /// What it spent and made, by UTC day.
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
    /// Pays for a prediction that starts now.
    pub fn charge(&mut self, cost: Credits, now_ms: u64) {
        self.balance = self.balance.minus(cost);
        let day = self.days.entry(utc_day(now_ms)).or_default();
        day.spent = day.spent.plus(cost);
        day.predictions += 1;
    }

    /// Replaces what was paid for a prediction created at `created_ms`.
    pub fn settle(&mut self, created_ms: u64, paid: Credits, due: Credits) {
        self.balance = self.balance.plus(paid).minus(due);
        let day = self.days.entry(utc_day(created_ms)).or_default();
        day.spent = day.spent.plus(due).minus(paid);
    }

    /// Credits spent on the UTC day of `now_ms`.
    pub fn spent_today(&self, now_ms: u64) -> Credits {
        self.days.get(&utc_day(now_ms)).map(|day| day.spent).unwrap_or_default()
    }

    /// `[{"day","credits_spent","predictions"}]`, oldest first.
    pub fn usage(&self) -> Value {
        let day = |(day, used): (&String, &Day)| json!({"day": day, "credits_spent": used.spent, "predictions": used.predictions});
        self.days.iter().map(day).collect()
    }
}

/// All accounts and keys. No `Debug`, so that no key gets into a log.
#[derive(Default)]
pub struct Accounts {
    accounts: BTreeMap<String, Account>,
    keys: HashMap<String, String>,
}

impl Accounts {
    /// Accepts a key from now on; its account is opened if it is new.
    pub fn add_key(&mut self, grant: AccountKey) {
        self.accounts.entry(grant.account.clone()).or_default();
        self.keys.insert(grant.key, grant.account);
    }

    /// Refuses a key from now on. An unknown key is refused already.
    pub fn revoke_key(&mut self, key: &str) {
        self.keys.remove(key);
    }

    /// The account that `Authorization: Bearer <key>` opens.
    pub fn authenticate(&self, authorization: Option<&str>) -> Option<&str> {
        let key = authorization?.strip_prefix("Bearer ")?;
        self.keys.get(key).map(String::as_str)
    }

    /// An account; opened if it is new.
    pub fn account(&mut self, id: &str) -> &mut Account {
        self.accounts.entry(id.to_owned()).or_default()
    }

    /// Sets what every account may still spend.
    pub fn set_balances(&mut self, balance: Credits) {
        self.accounts.values_mut().for_each(|account| account.balance = balance);
    }

    /// Counts a request. `Err` with the standing when the account made `limit` in the last minute already; a
    /// refused request is not counted.
    pub fn admit_request(&mut self, id: &str, limit: u64, now_ms: u64) -> Result<WindowStatus, WindowStatus> {
        let window = &mut self.account(id).window;
        let before = window.status(limit, now_ms);
        if before.remaining == 0 {
            return Err(before);
        }
        window.add(now_ms);
        Ok(window.status(limit, now_ms))
    }

    /// Forgets what accounts did: windows, idempotency keys, days. Keys and balances stay.
    pub fn clear_history(&mut self) {
        for account in self.accounts.values_mut() {
            *account = Account { balance: account.balance, ..Account::default() };
        }
    }

    /// `{"acct_1":{"credits_balance","keys"}}`: counts keys and never shows one.
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
    fn a_key_names_its_account_or_opens_the_first() {
        let grant = AccountKey::parse("sk_live_test_a@acct_2").unwrap();
        assert_eq!((grant.key.as_str(), grant.account.as_str()), ("sk_live_test_a", "acct_2"));
        assert_eq!(AccountKey::parse("sk_live_test_a").unwrap().account, DEFAULT_ACCOUNT);
        for text in ["", "sk_live_", "sk_test_a", "sk_live_a b", "sk_live_a@", "sk_live_a@b@c"] {
            assert!(AccountKey::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_correction_pays_the_difference_back_on_the_day_of_the_create() {
        let mut account = Account::default();
        let (paid, due) = (Credits::from_micros(2_500_000), Credits::from_micros(1_000_000));
        account.charge(paid, 1_000);
        account.settle(1_000, paid, due);
        assert_eq!(account.spent_today(1_000), due);
        assert_eq!(account.balance, OPENING_BALANCE.minus(due));
    }
}
