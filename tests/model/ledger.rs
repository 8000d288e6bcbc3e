//! A user's Ledger as its Durable Object keeps it: rows that survive a crash, and the pure functions that change them.

use std::collections::BTreeMap;

use valetkey::ledger::{
    IdempotencyRecord, JtiUsage, Replay, apply_update, build_lost_update, decide_admission, decide_replay, settle,
    undo_admission,
};
use valetkey::limit::minute_window::MinuteWindow;
use valetkey::messages::{
    CreateRequest, DayUsage, Deadline, IdempotencyKey, JobSpec, JobUpdate, LedgerRefusal, PlanLimits,
};
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::{JobId, UserKey};
use valetkey::types::prediction::{PredictionRecord, Status};
use valetkey::types::time::UnixMillis;

/// Daily credits: enough for 24 predictions, so that some cases reach the limit.
const DAILY: &str = "60";
const CREATES_A_MINUTE: u32 = 12;

#[derive(Default)]
pub struct Ledger {
    pub records: BTreeMap<JobId, PredictionRecord>,
    days: BTreeMap<i64, DayUsage>,
    minute: MinuteWindow,
    keys: BTreeMap<String, IdempotencyRecord>,
    /// The time of each admitted prediction: an independent check of the rate limit.
    admitted: Vec<UnixMillis>,
}

impl Ledger {
    pub fn request(user: &UserKey, specs: Vec<JobSpec>, key: Option<String>, now: UnixMillis) -> CreateRequest {
        CreateRequest {
            token_id: None,
            user: user.clone(),
            specs,
            files: Vec::new(),
            batch_id: None,
            idempotency_key: key.map(|value| IdempotencyKey { hash: "h".into(), request_hash: None, value }),
            limits: PlanLimits {
                plan: "default".into(),
                predictions_per_minute: CREATES_A_MINUTE,
                concurrent_predictions: 2,
                daily_credits: MicroCredits::parse(DAILY).unwrap(),
                weight: 1,
                max_waiting: 20,
            },
            caps: None,
            deadline: Deadline::after(now, 2_000),
            max_wait_secs: 60,
        }
    }

    /// Admits a create in one transaction, or returns the refusal. `Ok(None)` is the replay of an idempotency key: it
    /// creates nothing.
    pub fn admit(&mut self, request: &CreateRequest, now: UnixMillis) -> Result<Option<Vec<JobId>>, LedgerRefusal> {
        let used = request.idempotency_key.as_ref().and_then(|key| Some((key, self.keys.get(&key.value)?)));
        if let Some((key, known)) = used {
            let records = known.job_ids.iter().filter_map(|id| self.records.get(id).cloned()).collect();
            return match decide_replay(known, key, records) {
                Replay::Current(_) => Ok(None),
                Replay::Refused(refusal) => Err(refusal),
            };
        }
        let day = request.specs[0].day();
        let usage = (self.day(day.0), JtiUsage::default());
        let admission = decide_admission(request, usage, &mut self.minute, now)?;
        let job_ids: Vec<JobId> = admission.records.iter().map(|record| record.job_id.clone()).collect();
        self.days.insert(day.0, admission.day);
        if let Some(key) = &request.idempotency_key {
            let known =
                IdempotencyRecord { hash: "h".into(), request_hash: None, job_ids: job_ids.clone(), batch_id: None };
            self.keys.insert(key.value.clone(), known);
        }
        self.records.extend(admission.records.into_iter().map(|record| (record.job_id.clone(), record)));
        self.admitted.extend(job_ids.iter().map(|_| now));
        Ok(Some(job_ids))
    }

    fn day(&self, day: i64) -> DayUsage {
        self.days.get(&day).copied().unwrap_or(DayUsage { day, ..DayUsage::default() })
    }

    /// Applies a job update, and checks that a terminal prediction never changes.
    pub fn apply_update(&mut self, update: &JobUpdate, now: UnixMillis) {
        let Some(record) = self.records.get_mut(&update.job_id) else { return };
        let before = record.clone();
        if !apply_update(record, update, now) {
            assert_eq!(*record, before, "ignored news changed a row");
            return;
        }
        assert!(!before.status.is_terminal(), "a terminal prediction changed");
        if record.status.is_terminal() {
            let record = record.clone();
            let day = settle(&record, self.day(record.day.0), JtiUsage::default()).0;
            self.days.insert(record.day.0, day);
        }
    }

    /// Removes a refused or withdrawn create with its reservation and its idempotency key.
    pub fn undo(&mut self, job_id: &JobId) {
        let Some(record) = self.records.get(job_id).filter(|record| !record.status.is_terminal()).cloned() else {
            return;
        };
        let day = undo_admission(&record, self.day(record.day.0), JtiUsage::default()).0;
        self.days.insert(record.day.0, day);
        self.records.remove(job_id);
        if let Some(key) = &record.idempotency_key {
            self.keys.remove(key);
        }
    }

    /// Returns whether, as far as the Ledger knows, no job of a create was sent.
    pub fn is_unsent(&self, job_ids: &[JobId]) -> bool {
        job_ids.iter().all(|id| self.records.get(id).is_some_and(|record| record.status == Status::Queued))
    }

    pub fn set_withdrawing(&mut self, job_ids: &[JobId], withdrawing: bool) {
        for job_id in job_ids {
            if let Some(record) = self.records.get_mut(job_id) {
                record.withdrawing = withdrawing;
            }
        }
    }

    /// Ends a prediction that the Dispatcher does not know, unless it is terminal.
    pub fn lose(&mut self, job_id: &JobId, now: UnixMillis) {
        if let Some(record) = self.records.get(job_id).filter(|record| !record.status.is_terminal()) {
            let update = build_lost_update(record, now);
            self.apply_update(&update, now);
        }
    }

    /// Reloads what a restart reads back from storage.
    pub fn crash(&mut self) {
        self.minute = serde_json::from_str(&serde_json::to_string(&self.minute).unwrap()).unwrap();
    }

    /// Checks that each day's credits add up and that no limit is exceeded.
    pub fn check(&self, now: UnixMillis) {
        for day in self.days.values() {
            let records = || self.records.values().filter(|record| record.day.0 == day.day);
            let open = records().filter(|record| !record.status.is_terminal());
            let reserved: i64 = open.map(|record| record.credits_reserved.micros()).sum();
            let spent: i64 = records().filter_map(|record| record.credits_used).map(MicroCredits::micros).sum();
            assert_eq!((day.reserved.micros(), day.spent.micros()), (reserved, spent), "the day does not add up");
            // A charge above the reservation is still booked (protocol 5).
            let above: i64 = records()
                .filter_map(|record| Some(record.credits_used?.micros() - record.credits_reserved.micros()))
                .map(|above| above.max(0))
                .sum();
            assert!(reserved + spent <= MicroCredits::parse(DAILY).unwrap().micros() + above, "overspent");
        }
        let minute = self.admitted.iter().filter(|at| now.millis_since(**at) < 60_000).count();
        assert!(minute <= CREATES_A_MINUTE as usize, "{minute} creates in a minute");
    }
}
