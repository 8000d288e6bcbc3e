//! The state of the simulator in one struct behind one lock, and the operations that change several parts of it.

use std::collections::BTreeMap;

use crate::accounts::{Accounts, OPENING_BALANCE};
use crate::credits::Credits;
use crate::faults::FaultList;
use crate::files::Files;
use crate::ids::new_id;
use crate::prediction::{JobSpec, Prediction, Status};
use crate::predictions::Predictions;
use crate::recorder::{RecordedCreate, Recorder};
use crate::settings::{ErrorEnvelope, ResponseShape, Settings};

/// The reason why a create is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The account used the idempotency key before: 409.
    IdempotencyKeyUsed,
    /// The balance is too low: 402.
    OutOfCredits,
    /// The day's spending limit is reached: 402.
    DailyLimit,
    /// Too many predictions are running: 429.
    TooManyRunning,
}

/// Predictions that one batch request created.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `batch_…`.
    pub id: String,
    /// The account that pays.
    pub account: String,
    /// The numbers of its predictions.
    pub numbers: Vec<u64>,
}

/// The result of ending a prediction.
#[derive(Debug)]
pub struct Completion {
    /// The ended prediction.
    pub prediction: Prediction,
    /// The queued prediction that started instead, if any.
    pub started: Option<Prediction>,
}

/// The simulator's state.
pub struct World {
    /// The settings that the control API can change.
    pub settings: Settings,
    /// Accounts with their keys, credits and request counts.
    pub accounts: Accounts,
    /// All predictions.
    pub predictions: Predictions,
    /// Batches, by id.
    pub batches: BTreeMap<String, Batch>,
    /// Metadata of uploaded files.
    pub files: Files,
    /// Faults that are set.
    pub faults: FaultList,
    /// Records of received requests and their outcomes.
    pub recorder: Recorder,
    initial_settings: Settings,
    last_shape_was_rest: bool,
    last_envelope_was_typed: bool,
}

impl World {
    /// Creates an empty world.
    pub fn new(settings: Settings) -> Self {
        Self {
            initial_settings: settings.clone(),
            settings,
            accounts: Accounts::default(),
            predictions: Predictions::default(),
            batches: BTreeMap::new(),
            files: Files::default(),
            faults: FaultList::default(),
            recorder: Recorder::default(),
            last_shape_was_rest: false,
            last_envelope_was_typed: false,
        }
    }

    /// Creates a prediction for each of `specs`, all or none.
    ///
    /// # Errors
    /// The first reason found. A refused create charges nothing and does not use up its idempotency key.
    pub fn create(
        &mut self,
        account: &str,
        specs: Vec<JobSpec>,
        idempotency_key: Option<&str>,
        now_ms: u64,
    ) -> Result<Vec<Prediction>, Refusal> {
        self.check_funds(account, &specs, idempotency_key, now_ms)?;
        let limit = self.settings.concurrent_limit.unwrap_or(u64::MAX);
        let free = limit.saturating_sub(self.predictions.running(account));
        if specs.len() as u64 > free && !self.settings.queue {
            self.recorder.refused.concurrency += 1;
            return Err(Refusal::TooManyRunning);
        }
        if let Some(key) = idempotency_key {
            self.accounts.account(account).idempotency_keys.insert(key.to_owned());
        }
        let initial_status = |index: usize| if (index as u64) < free { Status::Processing } else { Status::Queued };
        let mut created = Vec::with_capacity(specs.len());
        for (index, spec) in specs.into_iter().enumerate() {
            created.push(self.add(account, spec, initial_status(index), idempotency_key, now_ms));
        }
        Ok(created)
    }

    fn check_funds(
        &mut self,
        account: &str,
        specs: &[JobSpec],
        idempotency_key: Option<&str>,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        let cost = specs.iter().fold(Credits::default(), |sum, spec| sum.plus(spec.cost()));
        let daily_limit = self.settings.daily_limit;
        let account = self.accounts.account(account);
        if idempotency_key.is_some_and(|key| account.idempotency_keys.contains(key)) {
            return Err(Refusal::IdempotencyKeyUsed);
        }
        let over_day = daily_limit.is_some_and(|limit| account.spent_today(now_ms).plus(cost) > limit);
        if account.balance < cost || over_day {
            self.recorder.refused.payment += 1;
            return Err(if over_day { Refusal::DailyLimit } else { Refusal::OutOfCredits });
        }
        Ok(())
    }

    fn add(
        &mut self,
        account: &str,
        spec: JobSpec,
        status: Status,
        idempotency_key: Option<&str>,
        now_ms: u64,
    ) -> Prediction {
        self.accounts.account(account).charge(spec.cost(), now_ms);
        let prediction = self.predictions.add(account, spec, status, now_ms);
        self.recorder.creates.push(RecordedCreate {
            time_ms: now_ms,
            id: prediction.id.clone(),
            number: prediction.number,
            account: account.to_owned(),
            model: prediction.spec.model.full_name(),
            input: prediction.spec.input.clone(),
            image_count: prediction.spec.image_count,
            webhook: prediction.spec.webhook.clone(),
            idempotency_key: idempotency_key.map(str::to_owned),
        });
        prediction
    }

    /// Adds a batch of these predictions.
    pub fn add_batch(&mut self, account: &str, predictions: &[Prediction]) -> Batch {
        let numbers = predictions.iter().map(|prediction| prediction.number).collect();
        let batch = Batch { id: new_id("batch"), account: account.to_owned(), numbers };
        self.batches.insert(batch.id.clone(), batch.clone());
        batch
    }

    /// Ends a prediction, settles its cost and starts the next queued prediction. Returns `None` if the prediction is
    /// unknown or has ended before.
    pub fn end(
        &mut self,
        number: u64,
        status: Status,
        credits_used: Option<Credits>,
        now_ms: u64,
    ) -> Option<Completion> {
        let prediction = self.predictions.end(number, status, credits_used, now_ms)?;
        let account = self.accounts.account(&prediction.account);
        account.settle(prediction.created_ms, prediction.spec.cost(), prediction.credits());
        let limit = self.settings.concurrent_limit.unwrap_or(u64::MAX);
        let has_room = self.predictions.running(&prediction.account) < limit;
        let started = has_room.then(|| self.predictions.start_next(&prediction.account, now_ms)).flatten();
        Some(Completion { prediction, started })
    }

    /// Clears faults, records, and the rate windows, idempotency keys and usage of accounts.
    pub fn clear_history(&mut self) {
        self.faults.clear();
        self.recorder.clear();
        self.accounts.clear_history();
        self.predictions.reset_max();
    }

    /// Deletes predictions, batches and files.
    pub fn clear_predictions(&mut self) {
        self.predictions.clear();
        self.batches.clear();
        self.files.clear();
    }

    /// Restores the settings and balances of the start.
    pub fn restore_settings(&mut self) {
        self.settings = self.initial_settings.clone();
        self.accounts.set_balances(OPENING_BALANCE);
    }

    /// Finds a prediction by either id; `None` if it is missing or belongs to another account.
    pub fn find_owned(&self, account: &str, id: &str) -> Option<&Prediction> {
        self.predictions.find(id).filter(|prediction| prediction.account == account)
    }

    /// Returns the shape of the next response: the one that is set, or alternating ones.
    pub fn next_shape(&mut self) -> ResponseShape {
        if self.settings.shape != ResponseShape::Mixed {
            return self.settings.shape;
        }
        self.last_shape_was_rest = !self.last_shape_was_rest;
        if self.last_shape_was_rest { ResponseShape::Rest } else { ResponseShape::Flux }
    }

    /// Returns the envelope of the next error: the one that is set, or alternating ones.
    pub fn next_envelope(&mut self) -> ErrorEnvelope {
        if self.settings.error_envelope != ErrorEnvelope::Mixed {
            return self.settings.error_envelope;
        }
        self.last_envelope_was_typed = !self.last_envelope_was_typed;
        if self.last_envelope_was_typed { ErrorEnvelope::Typed } else { ErrorEnvelope::Rest }
    }
}
