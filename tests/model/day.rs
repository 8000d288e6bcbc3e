//! A simulated day of one deployment: `make capacity` prints the table of docs/capacity.md. The Dispatcher is real. The
//! simulated vendor responds to a create after 1 s and to a poll after 0.2 s; a prediction runs for 10 s.

use std::collections::BTreeMap;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use valetkey::dispatcher::{Action, Dispatcher, DispatcherLimits, StoredState};
use valetkey::messages::{Deadline, EnqueueRefusal, JobSpec, QueueShare};
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::{JobId, UserKey};
use valetkey::types::model::ModelId;
use valetkey::types::prediction::Status;
use valetkey::types::time::UnixMillis;
use valetkey::vendor::reply::VendorReply;

use crate::dispatcher;
use crate::vendor::answer;

const START: i64 = 1_768_435_200_000;
const DAY: i64 = 86_400_000;
/// How long a prediction runs at the vendor, milliseconds.
const RUN: i64 = 10_000;
/// Creates of one user in a day.
const CREATES_A_DAY: u64 = 5;

struct Day {
    machine: Dispatcher,
    now: UnixMillis,
    /// Actions in flight, by the time when they finish.
    answers: BTreeMap<(UnixMillis, u64), Action>,
    started: BTreeMap<JobId, UnixMillis>,
    created: BTreeMap<JobId, UnixMillis>,
    count: u64,
    vendor_requests: u64,
    refused: u64,
    timed_out: u64,
    waits: Vec<i64>,
}

fn vendor(status: &str) -> VendorReply {
    answer(200, &format!(r#"{{"job_id":"v","status":"{status}"}}"#), None)
}

impl Day {
    fn new(requests_per_minute: usize, concurrent_predictions: usize) -> Self {
        let limits = DispatcherLimits {
            requests_per_minute,
            expected_other_requests: 0,
            concurrent_predictions,
            daily_credits: None,
            max_waiting: 500,
            max_wait_millis: 600_000,
            other_key_fingerprint: None,
            ..dispatcher::limits()
        };
        Self {
            machine: Dispatcher::load(limits, StoredState::default(), Vec::new(), Vec::new()),
            now: UnixMillis(START),
            answers: BTreeMap::new(),
            started: BTreeMap::new(),
            created: BTreeMap::new(),
            count: 0,
            vendor_requests: 0,
            refused: 0,
            timed_out: 0,
            waits: Vec::new(),
        }
    }

    fn turn<R>(&mut self, change: impl FnOnce(&mut Dispatcher, UnixMillis) -> R) -> R {
        let result = change(&mut self.machine, self.now);
        let actions = self.machine.due(self.now);
        let _ = self.machine.take_changes();
        for action in actions {
            let takes = match &action {
                Action::Submit { spec } => {
                    let id = spec.job_id.clone();
                    self.waits.push(self.now.millis_since(self.created[&id]));
                    self.started.insert(id, self.now);
                    1_000
                }
                Action::Poll { .. }
                | Action::Cancel { .. }
                | Action::CheckKey { .. }
                | Action::FetchModels
                | Action::DeleteFile { .. }
                | Action::SendAlert(_) => 200,
                Action::Deliver(delivery) => {
                    let ended = delivery.updates.iter().filter_map(|update| update.end.as_ref());
                    self.timed_out += ended.filter(|end| end.status == Status::Failed).count() as u64;
                    0
                }
            };
            self.vendor_requests += u64::from(takes > 0);
            self.count += 1;
            self.answers.insert((self.now.plus_millis(takes), self.count), action);
        }
        result
    }

    fn answer(&mut self, action: Action) {
        match action {
            Action::Submit { spec } => {
                self.turn(|machine, now| _ = machine.finish_submit(&spec.job_id, &vendor("processing"), now));
            }
            Action::Poll { job_id, .. } => {
                let is_over = self.now.millis_since(self.started[&job_id]) >= RUN;
                let answer = vendor(if is_over { "succeeded" } else { "processing" });
                self.turn(|machine, now| machine.finish_poll(&job_id, &answer, now));
            }
            Action::Deliver(delivery) => {
                self.turn(|machine, _| machine.finish_delivery(&delivery.user, &delivery.updates))
            }
            Action::Cancel { .. }
            | Action::CheckKey { .. }
            | Action::FetchModels
            | Action::DeleteFile { .. }
            | Action::SendAlert(_) => {}
        }
    }

    fn create(&mut self, user: u64) {
        self.count += 1;
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.count.to_be_bytes());
        let spec = JobSpec {
            job_id: JobId::new(self.now, random),
            model: ModelId::parse("acme/model").unwrap(),
            input: serde_json::Map::new(),
            image_count: 1,
            credits: MicroCredits::ZERO,
            max_seconds: 600,
        };
        self.created.insert(spec.job_id.clone(), self.now);
        let share = QueueShare { plan: "default".into(), weight: 1, concurrent_predictions: 2, max_waiting: 20 };
        let (owner, deadline) = (UserKey::new("issuer", &user.to_string()), Deadline::after(self.now, 1_600));
        let created: Result<(), EnqueueRefusal> =
            self.turn(|machine, now| machine.enqueue(&owner, vec![spec], &share, deadline, false, now));
        self.refused += u64::from(created.is_err());
    }

    /// Runs for `length` milliseconds. Creates arrive as a Poisson process, [`CREATES_A_DAY`] per user.
    fn run(mut self, users: u64, length: i64) -> Self {
        let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
        let mean = DAY as f64 / (users * CREATES_A_DAY) as f64;
        let mut arrives = START as f64;
        let end = UnixMillis(START + length);
        loop {
            let part = (f64::from(random.next_u32()) + 1.0) / f64::from(u32::MAX);
            arrives += -part.ln() * mean;
            let arrival = UnixMillis(arrives as i64);
            self.work_until(arrival.min(end));
            if arrival >= end {
                return self;
            }
            self.now = self.now.max(arrival);
            self.create(random.next_u64() % users);
        }
    }

    fn work_until(&mut self, end: UnixMillis) {
        loop {
            let answer = self.answers.keys().next().map(|(at, _)| *at);
            let due = self.machine.next_due(self.now);
            let next = answer.into_iter().chain(due).min().filter(|next| *next < end);
            let Some(next) = next else { return };
            self.now = self.now.max(next);
            if answer.is_some_and(|at| at <= self.now) {
                let (_, action) = self.answers.pop_first().unwrap();
                self.answer(action);
            } else {
                self.now = self.now.plus_millis(1);
                self.turn(|_, _| ());
            }
        }
    }
}

#[test]
#[ignore = "prints the table of docs/capacity.md: make capacity"]
fn a_day_of_one_key() {
    println!(
        "| users | requests a minute, slots | creates | started | vendor requests a minute | wait, median | wait, 95 % | refused or timed out |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let days = [
        (1, DAY, 60, 5),
        (100, DAY, 60, 5),
        (10_000, DAY, 60, 5),
        (10_000, DAY, 240, 20),
        (1_000_000, DAY / 24, 60, 5),
    ];
    for (users, length, requests, slots) in days {
        let mut day = Day::new(requests, slots).run(users, length);
        day.waits.sort_unstable();
        let (started, creates) = (day.waits.len(), day.created.len());
        let at = |percent: usize| day.waits[(started - 1) * percent / 100] as f64 / 1_000.0;
        let lost = day.refused + day.timed_out;
        println!(
            "| {users} | {requests}, {slots} | {creates} in {} h | {started} | {:.1} | {:.1} s | {:.1} s | {lost} ({:.0} %) |",
            length as f64 / 3_600_000.0,
            day.vendor_requests as f64 * 60_000.0 / length as f64,
            at(50),
            at(95),
            lost as f64 * 100.0 / creates as f64,
        );
        assert!(day.vendor_requests as usize <= requests * (length as usize / 60_000 + 1));
    }
}
