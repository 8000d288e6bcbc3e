//! The Dispatcher's state machine under random interleavings of creates, cancels, vendor answers, lost and repeated
//! messages, crashes between any two steps, and a clock that steps forward and back. proptest prints the failing case.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail loudly"
)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use valetkey::credits::MicroCredits;
use valetkey::dispatch::{Action, Dispatcher, Job, KeyLimits, OutboxRow, StoredState};
use valetkey::ids::{JobId, UserKey};
use valetkey::ledger::{apply_news, decide_admission};
use valetkey::messages::{Deadline, DispatcherReply, JobNews, Order, PlanLimits, Stage};
use valetkey::model::ModelId;
use valetkey::prediction::{PredictionRecord, Status};
use valetkey::time::UnixMillis;
use valetkey::upstream::answer::{Answer, VendorResponse};
use valetkey::upstream::output::OutputRule;

const SLOTS: usize = 3;
const REQUESTS: usize = 40;
const START: i64 = 1_768_473_000_000;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Create { user: u8 },
    RepeatCreate { pick: usize },
    Cancel { pick: usize },
    Withdraw { pick: usize },
    Answer { pick: usize, vendor: Vendor },
    Crash,
    Wait { millis: i64 },
    ClockBack { millis: i64 },
}

/// What becomes of a request that is under way.
#[derive(Clone, Copy, Debug)]
enum Vendor {
    Good,
    Ended,
    LostAfterwards,
    NeverArrived,
    Throttled,
    KeyRefused,
    ModelRefused,
    InputRefused,
    Failed,
    Garbage,
}

fn step() -> impl Strategy<Value = Step> {
    let vendor = prop_oneof![
        6 => Just(Vendor::Good), 4 => Just(Vendor::Ended), 1 => Just(Vendor::LostAfterwards),
        1 => Just(Vendor::NeverArrived), 1 => Just(Vendor::Throttled), 1 => Just(Vendor::KeyRefused),
        1 => Just(Vendor::ModelRefused), 1 => Just(Vendor::InputRefused), 1 => Just(Vendor::Failed), 1 => Just(Vendor::Garbage),
    ];
    prop_oneof![
        6 => (0_u8..4).prop_map(|user| Step::Create { user }),
        1 => any::<usize>().prop_map(|pick| Step::RepeatCreate { pick }),
        2 => any::<usize>().prop_map(|pick| Step::Cancel { pick }),
        1 => any::<usize>().prop_map(|pick| Step::Withdraw { pick }),
        10 => (any::<usize>(), vendor).prop_map(|(pick, vendor)| Step::Answer { pick, vendor }),
        1 => Just(Step::Crash),
        6 => (0_i64..5_000).prop_map(|millis| Step::Wait { millis }),
        1 => (0_i64..2_000_000).prop_map(|millis| Step::Wait { millis }),
        1 => (0_i64..600_000).prop_map(|millis| Step::ClockBack { millis }),
    ]
}

/// The machine with what surrounds it: its rows, the vendor, the Ledgers.
struct World {
    machine: Dispatcher,
    jobs: BTreeMap<JobId, Job>,
    outbox: BTreeMap<JobId, OutboxRow>,
    tombstones: BTreeSet<JobId>,
    state: StoredState,
    pending: Vec<Action>,
    now: UnixMillis,
    latest: UnixMillis,
    count: u8,
    orders: BTreeMap<JobId, (UserKey, Order)>,
    records: BTreeMap<JobId, PredictionRecord>,
    /// How often the vendor took each job.
    taken: BTreeMap<JobId, u32>,
    sent: Vec<UnixMillis>,
}

fn limits() -> KeyLimits {
    KeyLimits {
        requests_per_minute: REQUESTS,
        concurrent_predictions: SLOTS,
        max_wait_millis: 60_000,
        key_fingerprint: "key".into(),
        outputs: OutputRule::for_upstream("https://vendor.example/v1"),
    }
}

fn answer(status: u16, body: &str, retry_after: Option<&str>) -> Answer {
    Answer::Response(VendorResponse {
        status,
        retry_after: retry_after.map(str::to_owned),
        rate_limit_remaining: None,
        rate_limit_reset: None,
        body: Some(body.as_bytes().to_vec()),
    })
}

impl World {
    fn new() -> Self {
        let state = StoredState::default();
        Self {
            machine: Dispatcher::load(limits(), state.clone(), Vec::new(), Vec::new()),
            jobs: BTreeMap::new(),
            outbox: BTreeMap::new(),
            tombstones: BTreeSet::new(),
            state,
            pending: Vec::new(),
            now: UnixMillis(START),
            latest: UnixMillis(START),
            count: 0,
            orders: BTreeMap::new(),
            records: BTreeMap::new(),
            taken: BTreeMap::new(),
            sent: Vec::new(),
        }
    }

    /// One turn of the shell: change, decide, store, start.
    fn turn<R>(&mut self, change: impl FnOnce(&mut Dispatcher, UnixMillis) -> R) -> R {
        let result = change(&mut self.machine, self.now);
        let actions = self.machine.due(self.now);
        let changes = self.machine.take_changes();
        for id in changes.jobs {
            match self.machine.job(&id) {
                Some(job) => drop(self.jobs.insert(id, job.clone())),
                None => drop(self.jobs.remove(&id)),
            }
        }
        for id in changes.outbox {
            match self.machine.outbox_row(&id) {
                Some(row) => drop(self.outbox.insert(id, row.clone())),
                None => drop(self.outbox.remove(&id)),
            }
        }
        self.tombstones.extend(changes.tombstones);
        if changes.state {
            self.state = self.machine.stored_state();
        }
        self.latest = self.latest.max(self.now);
        let requests = actions.iter().filter(|action| !matches!(action, Action::Deliver(_))).count();
        self.sent.extend(std::iter::repeat_n(self.latest, requests));
        self.pending.extend(actions);
        result
    }

    fn create(&mut self, user: u8) {
        self.count += 1;
        let mut random = [0; 10];
        random[0] = self.count;
        let order = Order {
            job_id: JobId::new(self.latest, random),
            model: ModelId::parse(if user == 0 { "acme/other" } else { "acme/model" }).unwrap(),
            input: serde_json::Map::new(),
            image_count: 1,
            credits: MicroCredits::parse("2.5").unwrap(),
            max_seconds: 30,
        };
        let user = UserKey::new("issuer", &user.to_string());
        if let DispatcherReply::Job(news) = self.enqueue(&user, &order) {
            self.records.insert(order.job_id.clone(), record(&order, self.now));
            self.tell(&news);
        }
        self.orders.insert(order.job_id.clone(), (user, order));
    }

    fn enqueue(&mut self, user: &UserKey, order: &Order) -> DispatcherReply {
        let has_tombstone = self.tombstones.contains(&order.job_id);
        let (user, order, deadline) = (user.clone(), order.clone(), Deadline::after(self.latest, 1_600));
        self.turn(|machine, now| machine.enqueue(user, order, 1, deadline, has_tombstone, now))
    }

    /// A Ledger hears news: a terminal prediction never changes again.
    fn tell(&mut self, news: &JobNews) {
        let Some(record) = self.records.get_mut(&news.job_id) else { return };
        let before = record.clone();
        let applied = apply_news(record, news, self.now);
        assert!(!(before.status.is_terminal() && applied), "a terminal prediction changed");
    }

    fn pick(&self, pick: usize) -> Option<JobId> {
        self.orders.keys().nth(pick.checked_rem(self.orders.len())?).cloned()
    }

    fn answer(&mut self, pick: usize, vendor: Vendor) {
        let Some(index) = pick.checked_rem(self.pending.len()) else { return };
        match self.pending.remove(index) {
            Action::Submit { order } => {
                let takes = matches!(vendor, Vendor::Good | Vendor::Ended | Vendor::LostAfterwards);
                *self.taken.entry(order.job_id.clone()).or_default() += u32::from(takes);
                let answer = submit_answer(vendor);
                self.turn(|machine, now| machine.submit_finished(&order.job_id, &answer, now));
            }
            Action::Poll { job_id, .. } => {
                let answer = poll_answer(vendor);
                self.turn(|machine, now| machine.poll_finished(&job_id, &answer, now));
            }
            Action::Cancel { job_id, .. } => {
                let answer = poll_answer(vendor);
                self.turn(|machine, now| machine.cancel_finished(&job_id, &answer, now));
            }
            Action::Deliver(delivery) => {
                // Good: arrived and acknowledged. Lost afterwards: arrived, the acknowledgement was lost.
                let arrives = matches!(vendor, Vendor::Good | Vendor::Ended | Vendor::LostAfterwards);
                if arrives {
                    delivery.news.iter().for_each(|news| self.tell(news));
                }
                let is_acknowledged = matches!(vendor, Vendor::Good | Vendor::Ended);
                self.turn(|machine, now| match is_acknowledged {
                    true => machine.delivered(&delivery.user, &delivery.news),
                    false => machine.delivery_failed(&delivery.user, &delivery.news, now),
                });
            }
            Action::FetchModels => self.turn(|machine, now| machine.models_finished(None, now)),
        }
    }

    /// The process dies: memory and work under way are gone; what the vendor had received, it may have taken.
    fn crash(&mut self) {
        for action in std::mem::take(&mut self.pending) {
            if let Action::Submit { order } = action {
                *self.taken.entry(order.job_id.clone()).or_default() += 1;
            }
        }
        let (jobs, outbox) = (self.jobs.values().cloned().collect(), self.outbox.values().cloned().collect());
        self.machine = Dispatcher::load(limits(), self.state.clone(), jobs, outbox);
        self.turn(|_, _| ());
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Create { user } => self.create(user),
            Step::RepeatCreate { pick } => {
                let Some((user, order)) = self.pick(pick).and_then(|id| self.orders.get(&id).cloned()) else { return };
                if self.records.contains_key(&order.job_id) {
                    self.enqueue(&user, &order);
                }
            }
            Step::Cancel { pick } => {
                let Some(id) = self.pick(pick) else { return };
                if let DispatcherReply::Job(news) = self.turn(|machine, now| machine.cancel(&id, now)) {
                    self.tell(&news);
                }
            }
            Step::Withdraw { pick } => {
                let Some(id) = self.pick(pick) else { return };
                if let DispatcherReply::Unknown = self.turn(|machine, now| machine.withdraw(&id, now)) {
                    // Nothing was sent, or it has long ended: a Ledger undoes only what is not terminal.
                    if self.records.get(&id).is_some_and(|record| !record.status.is_terminal()) {
                        self.records.remove(&id);
                        assert_eq!(self.taken.get(&id).copied().unwrap_or(0), 0, "withdrawn and sent");
                    }
                }
            }
            Step::Answer { pick, vendor } => self.answer(pick, vendor),
            Step::Crash => self.crash(),
            Step::Wait { millis } => {
                self.now = self.now.plus_millis(millis);
                self.turn(|_, _| ());
            }
            Step::ClockBack { millis } => {
                self.now = self.now.plus_millis(-millis);
                self.turn(|_, _| ());
            }
        }
    }

    fn check(&self) {
        let open = self.machine.slots_held();
        let unknown = self.jobs.values().filter(|job| job.news(self.now, None).stage == Stage::Ended).count();
        assert!(open.saturating_sub(unknown) <= SLOTS, "more than the slots: {open}, unknown {unknown}");
        assert!(self.taken.values().all(|count| *count <= 1), "paid twice");
        let minute = self.sent.iter().filter(|at| self.latest.millis_since(**at) < 60_000).count();
        assert!(minute <= REQUESTS, "{minute} requests in a minute");
    }

    /// From here on everything works: all that was accepted ends, and every slot and message is gone.
    fn drain(&mut self) {
        for _ in 0..2_000 {
            while !self.pending.is_empty() {
                self.answer(0, Vendor::Ended);
                self.check();
            }
            let Some(due) = self.machine.next_due(self.now) else { break };
            self.now = due.max(self.now.plus_millis(1));
            self.turn(|_, _| ());
            self.check();
        }
        assert!(self.jobs.is_empty(), "left over: {:?}", self.jobs);
        assert!(self.outbox.values().all(|row| row.dead), "not told: {:?}", self.outbox);
        for (id, record) in &self.records {
            assert!(record.status.is_terminal(), "never ended: {id}");
            if record.status == Status::Succeeded {
                assert_eq!(self.taken.get(id), Some(&1));
            }
        }
    }
}

/// The record that a Ledger with enough credits makes of an order.
fn record(order: &Order, now: UnixMillis) -> PredictionRecord {
    let limits = PlanLimits {
        plan: "default".into(),
        requests_per_minute: 60,
        predictions_per_minute: 60,
        concurrent_predictions: 5,
        daily_credits: MicroCredits::parse("1000").unwrap(),
        weight: 1,
        max_waiting: 20,
    };
    let deadline = Deadline::after(now, 2_000);
    decide_admission(order, &limits, None, Default::default(), (deadline, 60), now).unwrap().record
}

const ENVELOPE: &str = r#"{"error":{"type":"t","message":"m","code":"c"}}"#;

fn submit_answer(vendor: Vendor) -> Answer {
    match vendor {
        Vendor::Good => answer(201, r#"{"job_id":"v1","status":"processing"}"#, None),
        Vendor::Ended => answer(201, r#"{"job_id":"v1","status":"succeeded","output":["https://a.example/b"]}"#, None),
        Vendor::LostAfterwards => Answer::Broken,
        Vendor::NeverArrived => Answer::TimedOut,
        Vendor::Throttled => answer(429, "", Some("2")),
        Vendor::KeyRefused => answer(401, ENVELOPE, None),
        Vendor::ModelRefused => answer(404, ENVELOPE, None),
        Vendor::InputRefused => answer(422, ENVELOPE, None),
        Vendor::Failed => answer(500, ENVELOPE, None),
        Vendor::Garbage => answer(200, "<html>", None),
    }
}

fn poll_answer(vendor: Vendor) -> Answer {
    match vendor {
        Vendor::Good => answer(200, r#"{"job_id":"v1","status":"processing"}"#, None),
        Vendor::Ended => answer(200, r#"{"job_id":"v1","status":"succeeded"}"#, None),
        Vendor::InputRefused => answer(200, r#"{"job_id":"v1","status":"canceled"}"#, None),
        Vendor::ModelRefused => answer(404, ENVELOPE, None),
        Vendor::KeyRefused => answer(401, ENVELOPE, None),
        Vendor::Throttled => answer(429, "", Some("3")),
        Vendor::Failed | Vendor::Garbage => answer(500, ENVELOPE, None),
        Vendor::LostAfterwards | Vendor::NeverArrived => Answer::TimedOut,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_interleaving_breaks_the_invariants(steps in proptest::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
            world.check();
        }
        world.drain();
    }
}
