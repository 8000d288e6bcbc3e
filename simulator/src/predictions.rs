//! All predictions and their transitions. Nothing here reads a clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::credits::Credits;
use crate::ids::{new_id, random_u64};
use crate::prediction::{JobSpec, Prediction, Status};

/// The first number is random and below this bound. A restart therefore rarely repeats numbers, and they stay below
/// 2⁵³, the limit of integers in JavaScript.
const FIRST_NUMBERS: u64 = 1 << 40;

/// All predictions, by number and by id. Running and queued predictions have an index of their own, so that a load test
/// with many ended predictions stays fast.
#[derive(Debug)]
pub struct Predictions {
    by_number: BTreeMap<u64, Prediction>,
    numbers: HashMap<String, u64>,
    next_number: u64,
    queued: BTreeSet<u64>,
    running: HashMap<String, u64>,
    in_flight: u64,
    max_in_flight: u64,
}

impl Default for Predictions {
    fn default() -> Self {
        Self {
            by_number: BTreeMap::new(),
            numbers: HashMap::new(),
            next_number: random_u64() % FIRST_NUMBERS,
            queued: BTreeSet::new(),
            running: HashMap::new(),
            in_flight: 0,
            max_in_flight: 0,
        }
    }
}

impl Predictions {
    /// Adds a prediction in `status`, which is `Queued` or `Processing`.
    pub fn add(&mut self, account: &str, spec: JobSpec, status: Status, now_ms: u64) -> Prediction {
        let number = self.next_number;
        self.next_number += 1;
        let prediction = Prediction {
            id: new_id("pred"),
            number,
            account: account.to_owned(),
            spec,
            status,
            created_ms: now_ms,
            started_ms: now_ms,
            completed_ms: None,
            credits_used: None,
        };
        self.numbers.insert(prediction.id.clone(), number);
        self.by_number.insert(number, prediction.clone());
        if status == Status::Queued {
            self.queued.insert(number);
        } else {
            self.count_start(account);
        }
        prediction
    }

    /// Finds a prediction by either id: `pred_…` or the number as text.
    pub fn find(&self, id: &str) -> Option<&Prediction> {
        let number = self.numbers.get(id).copied().or_else(|| id.parse().ok())?;
        self.by_number.get(&number)
    }

    /// Returns the prediction with this number.
    pub fn get(&self, number: u64) -> Option<&Prediction> {
        self.by_number.get(&number)
    }

    /// Ends a prediction. Returns `None` if it is unknown or has ended before. `credits_used` overrides the price.
    pub fn end(
        &mut self,
        number: u64,
        status: Status,
        credits_used: Option<Credits>,
        now_ms: u64,
    ) -> Option<Prediction> {
        let prediction = self.by_number.get_mut(&number).filter(|prediction| !prediction.status.is_terminal())?;
        let previous = std::mem::replace(&mut prediction.status, status);
        prediction.completed_ms = Some(now_ms);
        prediction.credits_used = credits_used;
        let prediction = prediction.clone();
        if previous == Status::Queued {
            self.queued.remove(&number);
        } else {
            self.in_flight = self.in_flight.saturating_sub(1);
            self.running.entry(prediction.account.clone()).and_modify(|running| *running = running.saturating_sub(1));
        }
        Some(prediction)
    }

    /// Starts the oldest queued prediction of an account and returns it.
    pub fn start_next(&mut self, account: &str, now_ms: u64) -> Option<Prediction> {
        let belongs = |number: &&u64| self.by_number.get(number).is_some_and(|row| row.account == account);
        let number = *self.queued.iter().find(belongs)?;
        self.queued.remove(&number);
        self.count_start(account);
        let prediction = self.by_number.get_mut(&number)?;
        prediction.status = Status::Processing;
        prediction.started_ms = now_ms;
        Some(prediction.clone())
    }

    fn count_start(&mut self, account: &str) {
        *self.running.entry(account.to_owned()).or_default() += 1;
        self.in_flight += 1;
        self.max_in_flight = self.max_in_flight.max(self.in_flight);
    }

    /// Returns the number of predictions of an account that run now.
    pub fn running(&self, account: &str) -> u64 {
        self.running.get(account).copied().unwrap_or_default()
    }

    /// Returns the number of predictions that run now, of all accounts.
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Returns the highest number of predictions that ran at the same time.
    pub fn max_in_flight(&self) -> u64 {
        self.max_in_flight
    }

    /// Iterates over an account's predictions with a number below `before`, newest first.
    pub fn newest_first<'a>(&'a self, account: &'a str, before: u64) -> impl Iterator<Item = &'a Prediction> {
        self.by_number.range(..before).rev().map(|(_, row)| row).filter(move |row| row.account == account)
    }

    /// Iterates over all predictions, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Prediction> {
        self.by_number.values()
    }

    /// Deletes all predictions. Numbers continue, so that a timer of a deleted prediction cannot end a new one.
    pub fn clear(&mut self) {
        *self = Self { next_number: self.next_number, ..Self::default() };
    }

    /// Resets the maximum to the number that runs now.
    pub fn reset_max(&mut self) {
        self.max_in_flight = self.in_flight;
    }
}
