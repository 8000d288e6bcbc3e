//! Fairness of the queue under load: users with a backlog, responses in any order, crashes, a clock that jumps.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use valetkey::dispatcher::{Action, Dispatcher, DispatcherLimits, Job, JobState, OutboxRow, StoredState};
use valetkey::messages::{Deadline, JobSpec, QueueShare};
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::{JobId, UserKey};
use valetkey::types::model::ModelId;
use valetkey::types::time::UnixMillis;

use crate::cases;
use crate::dispatcher;
use crate::vendor::{self, Vendor};

const START: i64 = 1_768_473_000_000;

struct Crowd {
    machine: Dispatcher,
    weights: Vec<u32>,
    pending: Vec<Action>,
    now: UnixMillis,
    /// The Ledgers' clock, which never goes back.
    latest: UnixMillis,
    ids: Vec<JobId>,
    /// For each start: its user, and all users who were waiting, that one included.
    starts: Vec<(UserKey, BTreeSet<UserKey>)>,
}

fn limits() -> DispatcherLimits {
    DispatcherLimits {
        requests_per_minute: 100_000,
        max_waiting: 10_000,
        max_wait_millis: 1_000_000_000,
        daily_credits: None,
        ..dispatcher::limits()
    }
}

fn user(number: usize) -> UserKey {
    UserKey::new("issuer", &number.to_string())
}

impl Crowd {
    fn new(weights: Vec<u32>) -> Self {
        let machine = Dispatcher::load(limits(), StoredState::default(), Vec::new(), Vec::new(), 0);
        Self {
            machine,
            weights,
            pending: Vec::new(),
            now: UnixMillis(START),
            latest: UnixMillis(START),
            ids: Vec::new(),
            starts: Vec::new(),
        }
    }

    fn jobs(&self) -> Vec<Job> {
        self.ids.iter().filter_map(|id| self.machine.job(id).cloned()).collect()
    }

    fn turn(&mut self, change: impl FnOnce(&mut Dispatcher, UnixMillis)) {
        let mut waiting = self.jobs();
        change(&mut self.machine, self.now);
        let actions = self.machine.due(self.now);
        let _ = self.machine.take_changes();
        for action in actions {
            if let Action::Submit { spec } = &action {
                let owner = self.machine.job(&spec.job_id).unwrap().user.clone();
                // The users waiting when this job was picked. A user whose last job started just before is not one.
                let mut line = waiting_users(&waiting);
                line.insert(owner.clone());
                waiting.retain(|job| job.spec.job_id != spec.job_id);
                self.starts.push((owner, line));
            }
            self.pending.push(action);
        }
    }

    fn create(&mut self, number: usize) {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.ids.len().to_be_bytes());
        self.latest = self.latest.max(self.now);
        let job_id = JobId::new(self.latest, random);
        self.ids.push(job_id.clone());
        let spec = JobSpec {
            job_id,
            model: ModelId::parse("acme/model").unwrap(),
            input: serde_json::Map::new(),
            image_count: 1,
            credits: MicroCredits::ZERO,
            max_seconds: 600,
        };
        let (weight, concurrent_predictions) = (self.weights[number], 1_000);
        let share = QueueShare { plan: "default".into(), weight, concurrent_predictions, max_waiting: 10_000 };
        let deadline = Deadline::after(self.latest, 1_600);
        self.turn(|machine, now| machine.enqueue(&user(number), vec![spec], &share, deadline, false, now).unwrap());
    }

    fn answer(&mut self, pick: usize) {
        let Some(index) = pick.checked_rem(self.pending.len()) else { return };
        match self.pending.remove(index) {
            Action::Submit { spec } => {
                let answer = vendor::to_create(Vendor::Ended);
                self.turn(|machine, now| _ = machine.finish_submit(&spec.job_id, &answer, now));
            }
            Action::Deliver(delivery) => {
                self.turn(|machine, _| machine.finish_delivery(&delivery.user, &delivery.updates))
            }
            Action::Poll { .. } | Action::Cancel { .. } | Action::FetchModels | Action::DeleteFile { .. } => {}
        }
    }

    /// Restarts the Dispatcher's machine from its rows. Creates in flight then have an unknown outcome and hold their
    /// slots until `max_seconds` have passed, so this also moves the clock past that time.
    fn crash(&mut self) {
        self.pending.clear();
        let state = serde_json::from_str(&serde_json::to_string(self.machine.stored_state()).unwrap()).unwrap();
        let outbox: Vec<OutboxRow> = self.ids.iter().filter_map(|id| self.machine.outbox_row(id).cloned()).collect();
        self.machine = Dispatcher::load(limits(), state, self.jobs(), outbox, 0);
        for _ in 0..2 {
            self.now = self.now.plus_millis(601_000);
            self.turn(|_, _| ());
        }
    }

    /// Checks every 20 consecutive starts: a user who waited throughout got its weighted share of them, rounded down,
    /// less one start at most.
    fn check(&self) {
        let weight = |user_key: &UserKey| {
            let number = (0..self.weights.len()).find(|number| user(*number) == *user_key).unwrap();
            self.weights[number]
        };
        for window in self.starts.windows(20) {
            let mut always = window[0].1.clone();
            let mut ever = BTreeSet::new();
            for (_, line) in window {
                always.retain(|waiting| line.contains(waiting));
                ever.extend(line.iter().cloned());
            }
            let total: u32 = ever.iter().map(weight).sum();
            let mut got: BTreeMap<&UserKey, u32> = BTreeMap::new();
            window.iter().for_each(|(starter, _)| *got.entry(starter).or_default() += 1);
            for waiting in &always {
                let share = 20 * weight(waiting) / total;
                let starts = got.get(waiting).copied().unwrap_or(0);
                assert!(starts + 1 >= share, "{starts} of {share} starts, weights {:?}", self.weights);
            }
        }
    }
}

fn waiting_users(jobs: &[Job]) -> BTreeSet<UserKey> {
    jobs.iter().filter(|job| job.state == JobState::Waiting).map(|job| job.user.clone()).collect()
}

proptest! {
    // One case takes as long as a hundred of the other tests' cases.
    #![proptest_config(cases(100))]

    #[test]
    fn no_waiting_user_falls_more_than_one_start_behind(
        weights in proptest::collection::vec(1_u32..6, 2..6),
        steps in proptest::collection::vec((0_usize..100, any::<usize>()), 100..250),
    ) {
        let mut crowd = Crowd::new(weights.clone());
        (0..weights.len() * 12).for_each(|number| crowd.create(number % weights.len()));
        for (kind, pick) in steps {
            match kind {
                0..40 => crowd.create(pick % weights.len()),
                40 => crowd.crash(),
                41..44 => crowd.now = crowd.now.plus_millis(i64::try_from(pick % 10_000).unwrap() - 5_000),
                _ => crowd.answer(pick),
            }
        }
        crowd.check();
    }
}
