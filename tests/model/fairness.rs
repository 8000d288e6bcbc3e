//! Fairness of the queue under load: users with a backlog, some of them at their own limit of slots, responses in any
//! order, creates that the vendor turns away, crashes, a clock that jumps.

use std::collections::BTreeSet;

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
    /// Each user's weight, and its predictions at the vendor at once.
    users: Vec<(u32, u32)>,
    pending: Vec<Action>,
    now: UnixMillis,
    /// The Ledgers' clock, which never goes back.
    latest: UnixMillis,
    /// All jobs, with the numbers of their users.
    ids: Vec<(JobId, usize)>,
    /// Jobs that were started. A job that the vendor turned away starts again, and that is no turn of its user.
    started: BTreeSet<JobId>,
    /// For each turn: its user, and all users who were waiting and below their own limit, that one included. A set of
    /// users is a bit for each.
    starts: Vec<(usize, u32)>,
}

fn limits() -> DispatcherLimits {
    DispatcherLimits {
        requests_per_minute: 100_000,
        max_waiting: 10_000,
        max_wait_millis: 1_000_000_000,
        daily_credits: None,
        other_key_fingerprint: None,
        ..dispatcher::limits()
    }
}

fn user(number: usize) -> UserKey {
    UserKey::new("issuer", &number.to_string())
}

impl Crowd {
    fn new(users: Vec<(u32, u32)>) -> Self {
        let machine = Dispatcher::load(limits(), StoredState::default(), Vec::new(), Vec::new());
        Self {
            machine,
            users,
            pending: Vec::new(),
            now: UnixMillis(START),
            latest: UnixMillis(START),
            ids: Vec::new(),
            started: BTreeSet::new(),
            starts: Vec::new(),
        }
    }

    fn jobs(&self) -> Vec<Job> {
        self.ids.iter().filter_map(|(id, _)| self.machine.job(id).cloned()).collect()
    }

    fn turn(&mut self, change: impl FnOnce(&mut Dispatcher, UnixMillis)) {
        change(&mut self.machine, self.now);
        let actions = self.machine.due(self.now);
        let _ = self.machine.take_changes();
        let submits: Vec<JobId> = actions.iter().filter_map(submitted).collect();
        for (index, job_id) in submits.iter().enumerate() {
            if self.started.insert(job_id.clone()) {
                let (_, owner) = self.ids.iter().find(|(id, _)| id == job_id).unwrap();
                self.starts.push((*owner, self.line_before(&submits[index..])));
            }
        }
        self.pending.extend(actions);
    }

    /// Returns the users whose turn it might have been before these jobs were started: they waited, and were below their
    /// own limit.
    fn line_before(&self, started: &[JobId]) -> u32 {
        let (mut line, mut held) = (0, vec![0; self.users.len()]);
        for (id, owner) in &self.ids {
            let Some(job) = self.machine.job(id) else { continue };
            if job.state == JobState::Waiting || started.contains(id) {
                line |= 1 << owner;
            } else if job.holds_slot() {
                held[*owner] += 1;
            }
        }
        let is_below = |owner: &usize| held[*owner] < self.users[*owner].1;
        line & (0..self.users.len()).filter(is_below).map(|owner| 1 << owner).sum::<u32>()
    }

    fn create(&mut self, number: usize) {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.ids.len().to_be_bytes());
        self.latest = self.latest.max(self.now);
        let job_id = JobId::new(self.latest, random);
        self.ids.push((job_id.clone(), number));
        let spec = JobSpec {
            job_id,
            model: ModelId::parse("acme/model").unwrap(),
            input: serde_json::Map::new(),
            image_count: 1,
            credits: MicroCredits::ZERO,
            max_seconds: 600,
        };
        let (weight, concurrent_predictions) = self.users[number];
        let share = QueueShare { plan: "default".into(), weight, concurrent_predictions, max_waiting: 10_000 };
        let deadline = Deadline::after(self.latest, 1_600);
        self.turn(|machine, now| machine.enqueue(&user(number), vec![spec], &share, deadline, false, now).unwrap());
    }

    fn answer(&mut self, pick: usize, fate: Vendor) {
        let Some(index) = pick.checked_rem(self.pending.len()) else { return };
        match self.pending.remove(index) {
            Action::Submit { spec } => {
                let answer = vendor::to_create(fate);
                self.turn(|machine, now| _ = machine.finish_submit(&spec.job_id, &answer, now));
            }
            Action::Deliver(delivery) => {
                self.turn(|machine, _| machine.finish_delivery(&delivery.user, &delivery.updates))
            }
            Action::Poll { .. }
            | Action::Cancel { .. }
            | Action::CheckKey { .. }
            | Action::FetchModels
            | Action::DeleteFile { .. }
            | Action::SendAlert(_) => {}
        }
    }

    /// Restarts the Dispatcher's machine from its rows. Creates in flight then have an unknown outcome and hold their
    /// slots until `max_seconds` have passed, so this also moves the clock past that time.
    fn crash(&mut self) {
        self.pending.clear();
        let state = serde_json::from_str(&serde_json::to_string(self.machine.stored_state()).unwrap()).unwrap();
        let outbox: Vec<OutboxRow> =
            self.ids.iter().filter_map(|(id, _)| self.machine.outbox_row(id).cloned()).collect();
        self.machine = Dispatcher::load(limits(), state, self.jobs(), outbox);
        for _ in 0..2 {
            self.now = self.now.plus_millis(601_000);
            self.turn(|_, _| ());
        }
    }

    /// Checks every 20 consecutive starts: a user who waited throughout got its weighted share of them, rounded down,
    /// less one start at most.
    fn check(&self) {
        for window in self.starts.windows(20) {
            let always = window.iter().fold(u32::MAX, |always, (_, line)| always & line);
            let ever = window.iter().fold(0, |ever, (_, line)| ever | line);
            let is_in = |set: u32, owner: &usize| set >> owner & 1 == 1;
            let owners = 0..self.users.len();
            let total: u32 = owners.clone().filter(|owner| is_in(ever, owner)).map(|owner| self.users[owner].0).sum();
            for waiting in owners.filter(|owner| is_in(always, owner)) {
                let share = 20 * self.users[waiting].0 / total;
                let starts = window.iter().filter(|(starter, _)| *starter == waiting).count() as u32;
                assert!(starts + 1 >= share, "{starts} of {share} starts, users {:?}", self.users);
            }
        }
    }
}

fn submitted(action: &Action) -> Option<JobId> {
    match action {
        Action::Submit { spec } => Some(spec.job_id.clone()),
        _ => None,
    }
}

proptest! {
    #![proptest_config(cases(1))]

    #[test]
    fn no_waiting_user_falls_more_than_one_start_behind(
        users in proptest::collection::vec((1_u32..6, prop_oneof![Just(1_000_u32), 1_u32..3]), 2..6),
        steps in proptest::collection::vec((0_usize..100, any::<usize>()), 50..100),
    ) {
        let mut crowd = Crowd::new(users.clone());
        (0..users.len() * 6).for_each(|number| crowd.create(number % users.len()));
        for (kind, pick) in steps {
            match kind {
                0..25 => crowd.create(pick % users.len()),
                25 => crowd.crash(),
                26..29 => crowd.now = crowd.now.plus_millis(i64::try_from(pick % 10_000).unwrap() - 5_000),
                29..33 => {
                    crowd.answer(pick, Vendor::Throttled);
                    crowd.now = crowd.now.plus_millis(2_000);
                    crowd.turn(|_, _| ());
                }
                _ => crowd.answer(pick, Vendor::Ended),
            }
        }
        crowd.check();
    }
}
