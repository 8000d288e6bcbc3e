//! Stored rows: an input for each prediction that the vendor does not have yet, never more bytes than allowed, and the
//! parts of the state.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use valetkey::dispatcher::{Action, Dispatcher, DispatcherLimits, JobState, LoadedState, Pool, StoredState};
use valetkey::messages::{CreateOutcome, Deadline, EnqueueRefusal, JobSpec, QueueShare};
use valetkey::types::alert::Alert;
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::{JobId, UserKey};
use valetkey::types::model::ModelId;
use valetkey::types::time::UnixMillis;

use crate::vendor_replies::answer;

pub const START: UnixMillis = UnixMillis(1_768_473_000_000);
const MIB: usize = 1_024 * 1_024;

/// The Dispatcher with its rows of `inputs`.
pub struct World {
    pub machine: Dispatcher,
    inputs: BTreeMap<JobId, String>,
    /// Statements that stored or deleted an input.
    input_writes: usize,
    state: BTreeMap<String, String>,
    pub submits: Vec<JobId>,
    ids: Vec<JobId>,
    pub now: UnixMillis,
    count: u16,
    /// Vendor requests so far.
    pub sent: usize,
}

impl World {
    fn new(pools: BTreeMap<String, Pool>) -> Self {
        Self::with_requests(6_000, pools)
    }

    pub fn with_requests(requests_per_minute: usize, pools: BTreeMap<String, Pool>) -> Self {
        let limits = DispatcherLimits {
            requests_per_minute,
            expected_other_requests: 0,
            concurrent_predictions: 2,
            daily_credits: None,
            max_waiting: 1_000,
            max_wait_millis: 600_000,
            pools,
            key_fingerprint: "key".into(),
            other_key_fingerprint: None,
            outputs: valetkey::vendor::output::OutputRule::for_upstream("https://vendor.example/v1"),
            longest_slot_millis: 2_000_000,
            sends_alerts: false,
        };
        let machine = Dispatcher::load(limits, StoredState::default(), Vec::new(), Vec::new());
        Self {
            machine,
            inputs: BTreeMap::new(),
            input_writes: 0,
            state: BTreeMap::new(),
            submits: Vec::new(),
            ids: Vec::new(),
            now: START,
            count: 0,
            sent: 0,
        }
    }

    pub fn turn<R>(&mut self, change: impl FnOnce(&mut Dispatcher, UnixMillis) -> R) -> R {
        let result = change(&mut self.machine, self.now);
        let actions = self.machine.due(self.now);
        let changes = self.machine.take_changes();
        self.input_writes += changes.inputs.len();
        apply(&mut self.inputs, changes.inputs);
        apply(&mut self.state, changes.state);
        self.check_state();
        for action in actions {
            self.sent += usize::from(!matches!(action, Action::Deliver(_)));
            if let Action::Submit { spec } = action {
                let unstored = self.machine.unstored_input(&spec.job_id);
                let input = unstored.or(self.inputs.get(&spec.job_id).map(String::as_str)).expect("no input to send");
                assert_eq!(input.len(), spec.input_bytes());
                self.submits.push(spec.job_id);
            }
        }
        let waits = |id: &&JobId| self.machine.job(id).is_some_and(|job| job.state == JobState::Waiting);
        assert!(
            self.ids.iter().filter(waits).all(|id| self.inputs.contains_key(id)),
            "a waiting job without its input"
        );
        for (id, input) in &self.inputs {
            let job = self.machine.job(id).expect("an input without a job");
            assert!(matches!(job.state, JobState::Waiting | JobState::Submitting));
            assert_eq!(job.spec.input_bytes(), input.len());
        }
        result
    }

    /// Checks that the rows of `state` are the state. Only the clock, the average run times and the minute in which a
    /// model was accepted may be ahead of what is stored.
    fn check_state(&self) {
        let rows: Vec<_> = self.state.clone().into_iter().collect();
        let loaded = LoadedState::read(&rows, &[], &BTreeMap::new(), self.now);
        assert!(loaded.unreadable.is_empty());
        let mut expected = self.machine.stored_state().clone();
        expected.clock = loaded.state.clock;
        (expected.average_run_ms, expected.average_runs) =
            (loaded.state.average_run_ms, loaded.state.average_runs.clone());
        assert_eq!(serde_json::to_value(loaded.state).unwrap(), serde_json::to_value(expected).unwrap());
    }

    /// Creates predictions whose inputs have this many bytes of text each.
    pub fn create(&mut self, user: &str, plan: &str, texts: &[usize]) -> Result<Vec<JobId>, EnqueueRefusal> {
        let spec = |bytes: &usize| {
            self.count += 1;
            let mut random = [0; 10];
            random[..2].copy_from_slice(&self.count.to_be_bytes());
            JobSpec {
                job_id: JobId::new(self.now, random),
                model: ModelId::parse("acme/model").unwrap(),
                input: json!({"prompt": "p".repeat(*bytes)}).as_object().cloned().unwrap(),
                image_count: 1,
                credits: MicroCredits::parse("2.5").unwrap(),
                max_seconds: 600,
            }
        };
        let specs: Vec<JobSpec> = texts.iter().map(spec).collect();
        let ids: Vec<JobId> = specs.iter().map(|spec| spec.job_id.clone()).collect();
        self.ids.extend(ids.iter().cloned());
        let share = QueueShare { plan: plan.into(), weight: 1, concurrent_predictions: 2, max_waiting: 1_000 };
        let (user, deadline) = (UserKey::new("issuer", user), Deadline::after(self.now, 1_600));
        self.turn(|machine, now| machine.enqueue(&user, specs, &share, deadline, false, now))?;
        Ok(ids)
    }

    pub fn answer(&mut self, status: u16, body: &str) -> Option<CreateOutcome> {
        let id = self.submits.pop()?;
        let reply = answer(status, body);
        Some(self.turn(|machine, now| machine.finish_submit(&id, &reply, now)))
    }

    fn stored(&self) -> usize {
        self.inputs.values().map(String::len).sum()
    }

    /// Fills both slots, so that everything else waits.
    fn fill_slots(&mut self) {
        for user in ["first", "second"] {
            self.create(user, "default", &[1]).unwrap();
            assert_eq!(self.answer(201, r#"{"job_id":"v","status":"processing"}"#), Some(CreateOutcome::Accepted));
        }
        assert_eq!(self.input_writes, 0, "each was sent in the turn in which it arrived");
    }
}

fn apply<K: Ord>(rows: &mut BTreeMap<K, String>, changes: Vec<(K, Option<String>)>) {
    for (key, doc) in changes {
        match doc {
            Some(doc) => drop(rows.insert(key, doc)),
            None => drop(rows.remove(&key)),
        }
    }
}

#[test]
fn a_user_has_a_sixteenth_of_the_store_and_all_users_fill_it() {
    let mut world = World::new(BTreeMap::new());
    world.fill_slots();
    for user in 0..16 {
        let name = user.to_string();
        let mut taken = 0;
        let refusal = loop {
            match world.create(&name, "default", &[255_000]) {
                Ok(_) => taken += 1,
                Err(refusal) => break refusal,
            }
        };
        assert!(matches!(refusal, EnqueueRefusal::TooManyPredictions { .. }), "{refusal:?}");
        assert_eq!(taken, 8);
    }
    let mut refusal = None;
    for user in 16..32 {
        refusal = world.create(&user.to_string(), "default", &[255_000]).err();
        if refusal.is_some() {
            break;
        }
    }
    assert!(matches!(refusal, Some(EnqueueRefusal::QueueFull { .. })), "{refusal:?}");
    assert!((31 * MIB..32 * MIB).contains(&world.stored()), "{}", world.stored());
}

#[test]
fn a_pool_has_its_share_of_the_store_and_one_create_always_fits() {
    let pool = Pool {
        daily_credits: None,
        max_waiting: 100,
        max_input_bytes: MIB,
        weight: None,
        concurrent_predictions: None,
    };
    let mut world = World::new(BTreeMap::from([("guest".to_owned(), pool)]));
    world.fill_slots();
    world.create("a", "guest", &[200_000; 20]).unwrap();
    let refusal = world.create("b", "guest", &[1]).unwrap_err();
    assert!(matches!(refusal, EnqueueRefusal::QueueFull { .. }), "{refusal:?}");
    world.create("b", "default", &[1]).unwrap();
}

#[test]
fn a_create_without_its_stored_input_is_not_sent_and_costs_nothing() {
    let mut world = World::new(BTreeMap::new());
    let ids = world.create("a", "default", &[1]).unwrap();
    world.inputs.clear();
    world.submits.clear();
    let outcome = world.machine.reject_unsent(&ids[0], START);
    assert_eq!(outcome, CreateOutcome::Rejected);
    assert!(world.machine.job(&ids[0]).is_none());
    assert_eq!(world.machine.take_changes().alerts, [Alert::InputMissing.into()]);
    let usage = world.machine.stored_state().accounts.usage("", START.utc_day());
    assert_eq!(usage, (MicroCredits::ZERO, MicroCredits::ZERO));
    assert_eq!(world.machine.reject_unsent(&ids[0], START), CreateOutcome::Pending);
}

proptest! {
    #[test]
    fn inputs_are_stored_while_they_are_needed_and_so_is_the_state(
        steps in proptest::collection::vec((0_u8..10, 0_u8..3, 1_usize..300_000), 1..60)
    ) {
        let mut world = World::new(BTreeMap::new());
        let mut ids = Vec::new();
        for (step, user, bytes) in steps {
            match step {
                0..4 => ids.extend(world.create(&user.to_string(), "default", &[bytes]).unwrap_or_default()),
                4 => drop(world.answer(201, r#"{"job_id":"v","status":"processing"}"#)),
                5 => drop(world.answer(429, "")),
                6 => drop(world.answer(400, "{}")),
                7 => drop(world.answer(500, "")),
                8 => {
                    if let Some(id) = ids.get(bytes % ids.len().max(1)).cloned() {
                        world.turn(|machine, now| machine.cancel(&id, now));
                    }
                }
                _ => {
                    world.now = world.now.plus_millis(10_000);
                    world.turn(|_, _| ());
                }
            }
            prop_assert!(world.stored() <= 32 * MIB);
        }
        // All time-outs pass: nothing may be left over.
        while world.answer(400, "{}").is_some() {}
        for _ in 0..4 {
            world.now = world.now.plus_millis(1_000_000);
            world.turn(|_, _| ());
            while world.answer(400, "{}").is_some() {}
        }
        prop_assert_eq!(world.stored(), 0);
    }
}
