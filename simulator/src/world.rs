//! Everything the simulator knows, in one place behind one lock, and the steps that touch several parts of it.

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

/// Why an account may not create a prediction now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The idempotency key was used before: 409.
    IdempotencyKeyUsed,
    /// The balance is too low: 402.
    OutOfCredits,
    /// The day's spending limit is reached: 402.
    DailyLimit,
    /// Too many predictions run: 429.
    TooManyRunning,
}

/// Predictions that were created together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `batch_…`.
    pub id: String,
    /// Who pays.
    pub account: String,
    /// The numbers of its predictions.
    pub numbers: Vec<u64>,
}

/// What follows from the end of a prediction.
#[derive(Debug)]
pub struct Completion {
    /// The prediction as it is now.
    pub prediction: Prediction,
    /// A queued one that took its place.
    pub started: Option<Prediction>,
}

/// The simulator's whole state.
pub struct World {
    /// What the control API can change.
    pub settings: Settings,
    /// Keys, credits, limits.
    pub accounts: Accounts,
    /// All predictions.
    pub predictions: Predictions,
    /// Batches by id.
    pub batches: BTreeMap<String, Batch>,
    /// Uploaded files.
    pub files: Files,
    /// Faults that wait for a request.
    pub faults: FaultList,
    /// What was received.
    pub recorder: Recorder,
    initial_settings: Settings,
    shape_turn: bool,
    envelope_turn: bool,
}

impl World {
    /// An empty world.
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
            shape_turn: false,
            envelope_turn: false,
        }
    }

    /// Creates all `specs` or none.
    ///
    /// # Errors
    /// The first reason against it; nothing is paid or remembered then.
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
        let starts = |place: usize| if (place as u64) < free { Status::Processing } else { Status::Queued };
        let mut created = Vec::with_capacity(specs.len());
        for (place, spec) in specs.into_iter().enumerate() {
            created.push(self.add(account, spec, starts(place), idempotency_key, now_ms));
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

    /// Remembers that these were created together.
    pub fn add_batch(&mut self, account: &str, predictions: &[Prediction]) -> Batch {
        let numbers = predictions.iter().map(|prediction| prediction.number).collect();
        let batch = Batch { id: new_id("batch"), account: account.to_owned(), numbers };
        self.batches.insert(batch.id.clone(), batch.clone());
        batch
    }

    /// Ends a prediction, settles its cost, and starts one that waited; `None` if it is unknown or ended before.
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

    /// Forgets faults, what was recorded, and what accounts did.
    pub fn clear_history(&mut self) {
        self.faults.clear();
        self.recorder.clear();
        self.accounts.clear_history();
        self.predictions.reset_max();
    }

    /// Forgets predictions, batches and files.
    pub fn clear_predictions(&mut self) {
        self.predictions.clear();
        self.batches.clear();
        self.files.clear();
    }

    /// Settings and balances as at the start.
    pub fn restore_settings(&mut self) {
        self.settings = self.initial_settings.clone();
        self.accounts.set_balances(OPENING_BALANCE);
    }

    /// An account's prediction, by either id.
    pub fn find_owned(&self, account: &str, id: &str) -> Option<&Prediction> {
        self.predictions.find(id).filter(|prediction| prediction.account == account)
    }

    /// The shape of the next answer: the setting, or the two in turn.
    pub fn next_shape(&mut self) -> ResponseShape {
        if self.settings.shape != ResponseShape::Mixed {
            return self.settings.shape;
        }
        self.shape_turn = !self.shape_turn;
        if self.shape_turn { ResponseShape::Rest } else { ResponseShape::Flux }
    }

    /// The envelope of the next error: the setting, or the two in turn.
    pub fn next_envelope(&mut self) -> ErrorEnvelope {
        if self.settings.error_envelope != ErrorEnvelope::Mixed {
            return self.settings.error_envelope;
        }
        self.envelope_turn = !self.envelope_turn;
        if self.envelope_turn { ErrorEnvelope::Typed } else { ErrorEnvelope::Rest }
    }
}
