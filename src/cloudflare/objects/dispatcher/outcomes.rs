//! Outcomes of creates, for the requests of the edge that await them. In memory only: if one is lost, the request is
//! told what the job's state says.

use std::cell::RefCell;
use std::collections::BTreeMap;

use futures_channel::oneshot;

use crate::messages::{CreateOutcome, JobUpdate};
use crate::types::ids::JobId;

/// Outcomes kept for requests that have not asked yet. They ask within milliseconds.
const OUTCOMES_KEPT: usize = 100;

/// The outcome of a create.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The kind of response that the edge gives.
    pub outcome: CreateOutcome,
    /// The job's state when the vendor had responded, if it was seen.
    pub update: Option<JobUpdate>,
}

impl From<CreateOutcome> for Outcome {
    fn from(outcome: CreateOutcome) -> Self {
        Self { outcome, update: None }
    }
}

/// The outcomes that are known, and the requests that await one.
#[derive(Default)]
pub struct Outcomes {
    known: RefCell<BTreeMap<JobId, Outcome>>,
    waiters: RefCell<BTreeMap<JobId, Vec<oneshot::Sender<Outcome>>>>,
}

impl Outcomes {
    /// Keeps an outcome. Drops the oldest one if there are too many.
    pub fn keep(&self, job_id: &JobId, outcome: Outcome) {
        let mut known = self.known.borrow_mut();
        while known.len() >= OUTCOMES_KEPT {
            known.pop_first();
        }
        known.insert(job_id.clone(), outcome);
    }

    /// Returns an outcome, if it is known.
    pub fn get(&self, job_id: &JobId) -> Option<Outcome> {
        self.known.borrow().get(job_id).cloned()
    }

    /// Adds a waiter. Returns the receiver of the outcome.
    pub fn wait(&self, job_id: &JobId) -> oneshot::Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        self.waiters.borrow_mut().entry(job_id.clone()).or_default().push(sender);
        receiver
    }

    /// Sends the outcome to all that await it. A request that was given up meanwhile does not matter.
    pub fn wake(&self, job_id: &JobId, outcome: &Outcome) {
        for waiter in self.waiters.borrow_mut().remove(job_id).unwrap_or_default() {
            let _ = waiter.send(outcome.clone());
        }
    }
}
