//! What operators were told about pauses, and what must follow: no create in a pause, and no wait that ends too early.

use std::collections::BTreeMap;

use valetkey::dispatcher::{Action, Job};
use valetkey::types::ids::{JobId, PauseId};
use valetkey::types::model::ModelId;
use valetkey::types::time::UnixMillis;

/// The model of a pause: that of user 0, that of the others, or all.
pub fn model(number: u8) -> Option<ModelId> {
    ["acme/other", "acme/model"].get(usize::from(number)).and_then(|name| ModelId::parse(name))
}

pub fn id(number: u8) -> PauseId {
    PauseId::new(UnixMillis(0), [number; 10])
}

/// All times are by the vendor's clock, which never goes back.
#[derive(Default)]
pub struct ToldPauses {
    /// The pauses that were taken and not given back, each with the end that was told.
    held: BTreeMap<PauseId, (Option<ModelId>, UnixMillis)>,
    /// How long each job has waited outside of pauses.
    waited: BTreeMap<JobId, i64>,
    looked_at: UnixMillis,
    /// The stored row of the pauses was lost, and with it how long each was.
    is_lost: bool,
}

impl ToldPauses {
    pub fn take(&mut self, id: PauseId, model: Option<ModelId>, millis: i64, real: UnixMillis) {
        self.held.insert(id, (model, real.plus_millis(millis)));
    }

    pub fn give_back(&mut self, id: &PauseId) {
        self.held.remove(id);
    }

    /// Forgets the pauses: their stored row was lost.
    pub fn lose(&mut self) {
        self.held.clear();
        self.is_lost = true;
    }

    fn until(&self, model: &ModelId) -> UnixMillis {
        let held = self.held.values().filter(|(of, _)| of.as_ref().is_none_or(|of| of == model));
        held.map(|(_, until)| *until).max().unwrap_or_default()
    }

    /// Counts the time since the last look.
    pub fn pass(&mut self, jobs: &BTreeMap<JobId, Job>, real: UnixMillis) {
        for (job_id, job) in jobs {
            let since = self.looked_at.max(self.until(&job.spec.model));
            *self.waited.entry(job_id.clone()).or_default() += real.millis_since(since).max(0);
        }
        self.looked_at = real;
    }

    /// Returns how long a job has waited outside of pauses, if that is known.
    pub fn waited(&self, job_id: &JobId) -> Option<i64> {
        if self.is_lost { None } else { self.waited.get(job_id).copied() }
    }

    /// Checks that a turn starts no create of a paused model.
    pub fn check(&self, actions: &[Action], real: UnixMillis) {
        for action in actions {
            if let Action::Submit { spec } = action {
                assert!(self.until(&spec.model) <= real, "a create in a pause");
            }
        }
    }
}
