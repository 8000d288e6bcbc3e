//! ETAs are honest: predictions start about when they were told to. The Dispatcher is real. The vendor is simulated, as
//! are the Ledgers, which ask for a position when it stops being fresh.

use std::collections::BTreeMap;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use valetkey::dispatcher::{Action, Dispatcher, DispatcherLimits, Pool, StoredState};
use valetkey::messages::{Deadline, FreshPosition, JobSpec, QueueShare};
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::{JobId, UserKey};
use valetkey::types::model::ModelId;
use valetkey::types::time::UnixMillis;
use valetkey::vendor::reply::VendorReply;

use crate::dispatcher;
use crate::vendor::answer;

const START: UnixMillis = UnixMillis(1_768_473_000_000);
/// How long the vendor takes to respond to a create and to a poll, milliseconds.
const CREATE_TAKES: i64 = 400;
const POLL_TAKES: i64 = 100;

/// The run times of a model.
#[derive(Clone, Copy)]
enum Runs {
    /// Between these milliseconds.
    Between(i64, i64),
    /// Mostly short and sometimes long, with this mean: an exponential distribution.
    Exponential(i64),
}

/// A user's creates. All of them come at once, or one by one after this many milliseconds each.
struct User {
    plan: &'static str,
    weight: u32,
    concurrent_predictions: u32,
    model: usize,
    creates: usize,
    every: i64,
}

const USER: User = User { plan: "default", weight: 1, concurrent_predictions: 100, model: 0, creates: 20, every: 0 };

struct Case {
    requests_per_minute: usize,
    slots: usize,
    models: Vec<Runs>,
    users: Vec<User>,
    has_webhooks: bool,
}

/// A prediction that waits or has waited.
struct Waiter {
    created_at: UnixMillis,
    started_at: Option<UnixMillis>,
    /// Each position that a reader saw, and since when.
    shown: Vec<(UnixMillis, FreshPosition)>,
}

enum Event {
    Create { user: usize },
    Finish(Action),
    Webhook(JobId),
}

struct Played {
    machine: Dispatcher,
    random: TestRng,
    now: UnixMillis,
    events: BTreeMap<(UnixMillis, u64), Event>,
    waiters: BTreeMap<JobId, Waiter>,
    ends: BTreeMap<JobId, UnixMillis>,
    count: u64,
    models: Vec<Runs>,
    has_webhooks: bool,
}

fn vendor(job_id: &JobId, status: &str) -> VendorReply {
    answer(200, &format!(r#"{{"job_id":"{}","status":"{status}"}}"#, job_id.as_str()), None)
}

impl Played {
    /// Plays a case until all predictions have started.
    fn play(case: Case) -> Self {
        let pool = Pool {
            daily_credits: None,
            max_waiting: 10_000,
            max_input_bytes: 10_000_000,
            weight: Some(1),
            concurrent_predictions: Some(case.slots.div_ceil(2)),
        };
        let limits = DispatcherLimits {
            requests_per_minute: case.requests_per_minute,
            concurrent_predictions: case.slots,
            daily_credits: None,
            max_waiting: 10_000,
            max_wait_millis: 24 * 3_600_000,
            pools: BTreeMap::from([("guest".to_owned(), pool)]),
            other_key_fingerprint: None,
            ..dispatcher::limits()
        };
        let mut this = Self {
            machine: Dispatcher::load(limits, StoredState::default(), Vec::new(), Vec::new()),
            random: TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
            now: START,
            events: BTreeMap::new(),
            waiters: BTreeMap::new(),
            ends: BTreeMap::new(),
            count: 0,
            models: case.models,
            has_webhooks: case.has_webhooks,
        };
        let total: usize = case.users.iter().map(|user| user.creates).sum();
        for (user, of) in case.users.iter().enumerate() {
            for create in 0..of.creates {
                this.schedule(of.every * i64::try_from(create).unwrap(), Event::Create { user });
            }
        }
        while this.waiters.len() < total || this.waiters.values().any(|waiter| waiter.started_at.is_none()) {
            this.step(&case.users);
        }
        this
    }

    fn schedule(&mut self, takes: i64, event: Event) {
        self.count += 1;
        self.events.insert((self.now.plus_millis(takes), self.count), event);
    }

    /// Goes on to the next event, at most to the next second, when readers look.
    fn step(&mut self, users: &[User]) {
        let event = self.events.keys().next().map(|(at, _)| *at);
        let due = self.machine.next_due(self.now).map(|due| due.max(self.now.plus_millis(1)));
        let second = UnixMillis((self.now.0 / 1_000 + 1) * 1_000);
        let next = event.into_iter().chain(due).fold(second, UnixMillis::min);
        self.now = self.now.max(next);
        if event.is_some_and(|at| at <= self.now) {
            let (_, event) = self.events.pop_first().unwrap();
            self.happen(event, users);
        } else {
            self.turn(|_, _| ());
        }
        if self.now == second {
            self.look();
        }
    }

    fn happen(&mut self, event: Event, users: &[User]) {
        match event {
            Event::Create { user } => self.create(user, &users[user]),
            Event::Webhook(job_id) => self.turn(|machine, now| machine.receive_webhook(&job_id, now)),
            Event::Finish(Action::Submit { spec }) => {
                self.turn(|machine, now| {
                    _ = machine.finish_submit(&spec.job_id, &vendor(&spec.job_id, "processing"), now)
                });
            }
            Event::Finish(Action::Poll { job_id, .. }) => {
                let status = if self.ends[&job_id] <= self.now { "succeeded" } else { "processing" };
                self.turn(|machine, now| machine.finish_poll(&job_id, &vendor(&job_id, status), now));
            }
            Event::Finish(Action::Deliver(delivery)) => {
                self.turn(|machine, _| machine.finish_delivery(&delivery.user, &delivery.updates));
            }
            Event::Finish(
                Action::Cancel { .. }
                | Action::CheckKey { .. }
                | Action::FetchModels
                | Action::DeleteFile { .. }
                | Action::SendAlert(_),
            ) => {}
        }
    }

    fn turn<R>(&mut self, change: impl FnOnce(&mut Dispatcher, UnixMillis) -> R) -> R {
        let result = change(&mut self.machine, self.now);
        let actions = self.machine.due(self.now);
        let _ = self.machine.take_changes();
        for action in actions {
            let takes = match &action {
                Action::Submit { spec } => {
                    self.waiters.get_mut(&spec.job_id).unwrap().started_at = Some(self.now);
                    let run = CREATE_TAKES + self.run_of(spec.model.as_str());
                    self.ends.insert(spec.job_id.clone(), self.now.plus_millis(run));
                    if self.has_webhooks {
                        self.schedule(run + 20, Event::Webhook(spec.job_id.clone()));
                    }
                    CREATE_TAKES
                }
                Action::Deliver(_) => 5,
                _ => POLL_TAKES,
            };
            self.schedule(takes, Event::Finish(action));
        }
        result
    }

    fn run_of(&mut self, model: &str) -> i64 {
        let part = (f64::from(self.random.next_u32()) + 1.0) / (f64::from(u32::MAX) + 1.0);
        let number: usize = model.rsplit('-').next().unwrap().parse().unwrap();
        match self.models[number] {
            Runs::Between(from, to) => from + ((to - from) as f64 * part) as i64,
            Runs::Exponential(mean) => (-part.ln() * mean as f64) as i64,
        }
    }

    fn create(&mut self, number: usize, user: &User) {
        self.count += 1;
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.count.to_be_bytes());
        let spec = JobSpec {
            job_id: JobId::new(self.now, random),
            model: ModelId::parse(&format!("acme/model-{}", user.model)).unwrap(),
            input: serde_json::Map::new(),
            image_count: 1,
            credits: MicroCredits::ZERO,
            max_seconds: 3_600,
        };
        let waiter = Waiter { created_at: self.now, started_at: None, shown: Vec::new() };
        self.waiters.insert(spec.job_id.clone(), waiter);
        let share = QueueShare {
            plan: user.plan.into(),
            weight: user.weight,
            concurrent_predictions: user.concurrent_predictions,
            max_waiting: 10_000,
        };
        let (owner, deadline) = (UserKey::new("issuer", &number.to_string()), Deadline::after(self.now, 1_600));
        self.turn(|machine, now| machine.enqueue(&owner, vec![spec], &share, deadline, false, now)).unwrap();
    }

    /// Looks at each prediction that waits, as a reader does each second. The position is asked for if it is not fresh.
    fn look(&mut self) {
        for (job_id, waiter) in self.waiters.iter_mut().filter(|(_, waiter)| waiter.started_at.is_none()) {
            let is_fresh = |(at, shown): &(UnixMillis, FreshPosition)| self.now.millis_since(*at) < shown.fresh_millis;
            if waiter.shown.last().is_some_and(is_fresh) {
                continue;
            }
            let asked = self.machine.queue_positions(std::slice::from_ref(job_id), self.now);
            waiter.shown.extend(asked.into_iter().map(|(_, shown)| (self.now, shown)));
        }
    }

    /// Returns, of those that waited, the ETA shown when three quarters of the wait were over, and what was left, in
    /// milliseconds.
    fn last_quarters(&self) -> Vec<(i64, i64)> {
        let quarter = |waiter: &Waiter| {
            let wait = waiter.started_at.unwrap().millis_since(waiter.created_at);
            let at = waiter.created_at.plus_millis(wait * 3 / 4);
            let (_, shown) = waiter.shown.iter().rev().find(|(since, _)| *since <= at)?;
            Some((i64::from(shown.eta_seconds) * 1_000, waiter.started_at.unwrap().millis_since(at)))
        };
        self.waiters.values().filter_map(quarter).collect()
    }
}

/// Plays a case, and asserts that 80 % of more than 200 predictions started within 30 % or 5 s of what was shown when three
/// quarters of their wait were over.
fn assert_honest(case: Case) {
    let quarters = Played::play(case).last_quarters();
    let is_honest = |(shown, left): &&(i64, i64)| (shown - left).abs() <= (shown * 3 / 10).max(5_000);
    let honest = quarters.iter().filter(is_honest).count();
    let mut ratios: Vec<i64> = quarters.iter().map(|(shown, left)| shown * 100 / left.max(&1)).collect();
    ratios.sort_unstable();
    let at = |percent: usize| ratios[(ratios.len() - 1) * percent / 100];
    let spread = format!("shown of what was left: {} % to {} %, median {} %", at(10), at(90), at(50));
    assert!(quarters.len() > 200 && honest * 100 >= quarters.len() * 80, "{honest} of {}; {spread}", quarters.len());
}

/// Eleven users with twenty predictions each.
fn eleven(user: impl Fn(usize) -> User) -> Vec<User> {
    (0..11).map(user).collect()
}

/// Short, middle and long runs; users of three weights, a quarter of them guests, with at most two predictions at once.
fn mixed(number: usize) -> User {
    let plan = if number % 4 == 3 { "guest" } else { "default" };
    User { plan, weight: 1 + number as u32 % 3, concurrent_predictions: 2, model: number % 3, ..USER }
}

fn mixed_models() -> Vec<Runs> {
    vec![Runs::Between(2_000, 4_000), Runs::Between(10_000, 20_000), Runs::Between(50_000, 90_000)]
}

#[test]
fn etas_of_long_runs_are_honest() {
    let models = vec![Runs::Between(20_000, 60_000)];
    assert_honest(Case { requests_per_minute: 600, slots: 5, models, users: eleven(|_| USER), has_webhooks: false });
}

#[test]
fn etas_are_honest_if_most_runs_are_short_and_some_are_long() {
    let models = vec![Runs::Exponential(30_000)];
    assert_honest(Case { requests_per_minute: 600, slots: 5, models, users: eleven(|_| USER), has_webhooks: true });
}

#[test]
fn etas_are_honest_if_the_requests_of_a_minute_are_the_bottleneck() {
    let models = vec![Runs::Between(1_000, 3_000)];
    assert_honest(Case { requests_per_minute: 60, slots: 5, models, users: eleven(|_| USER), has_webhooks: true });
}

#[test]
fn etas_of_mixed_models_plans_and_weights_are_honest() {
    let (models, users) = (mixed_models(), eleven(mixed));
    assert_honest(Case { requests_per_minute: 60, slots: 5, models, users, has_webhooks: true });
}

#[test]
fn etas_are_honest_while_others_arrive() {
    let users = eleven(|number| User { every: 4_000 * (1 + number as i64 % 3), ..mixed(number) });
    assert_honest(Case { requests_per_minute: 600, slots: 5, models: mixed_models(), users, has_webhooks: true });
}
