use proptest::prelude::*;

use super::*;
use crate::dispatcher::job_terms::JobTerms;
use crate::dispatcher::{DispatcherLimits, StoredState};
use crate::limit::request_window::Lane;
use crate::messages::{JobSpec, QueueShare};
use crate::policy::parse_policy;
use crate::types::credits::MicroCredits;
use crate::types::ids::UserKey;
use crate::types::model::ModelId;

const NOW: UnixMillis = UnixMillis(1_768_473_000_000);

/// Returns a machine with a plan for users and one for guests, who are one entry of weight 2 and have one of two slots.
fn machine() -> Dispatcher {
    let policy = r#"{"plans":{
        "default":{"requests_per_minute":60,"predictions_per_minute":10,"concurrent_predictions":100,"daily_credits":"50"},
        "guest":{"requests_per_minute":60,"predictions_per_minute":10,"concurrent_predictions":100,"daily_credits":"50",
            "weight":2,"pool_daily_credits":null,"pool_waiting_share":1}},
        "models":{"acme/model-x":{"credits":"2.5","input":{}}},
        "key":{"requests_per_minute":100000,"concurrent_predictions":2}}"#;
    let policy = policy.replace(r#""pool_daily_credits":null"#, r#""pool_daily_credits":"50""#);
    let limits = DispatcherLimits::new(&parse_policy(&policy).unwrap());
    Dispatcher::load(limits, StoredState::default(), Vec::new(), Vec::new())
}

fn job_id(number: usize) -> JobId {
    JobId::new(NOW.plus_millis(i64::try_from(number).unwrap() - 100_000), [0; 10])
}

fn user(number: usize) -> UserKey {
    UserKey::new("i", &number.to_string())
}

/// Adds a waiting job. Weight 0 makes its user a guest.
fn add(machine: &mut Dispatcher, number: usize, of: usize, weight: u32) {
    let spec = JobSpec {
        job_id: job_id(number),
        model: ModelId::parse("acme/model-x").unwrap(),
        input: serde_json::Map::new(),
        image_count: 1,
        credits: MicroCredits::ZERO,
        max_seconds: 600,
    };
    let plan = if weight == 0 { "guest" } else { "default" };
    let share = QueueShare { plan: plan.into(), weight: weight.max(1), concurrent_predictions: 100, max_waiting: 100 };
    machine.add_job(user(of), JobTerms::split(spec), share, NOW);
}

/// Starts all jobs one by one, as if each ended at once. Returns their numbers in the order of their starts.
fn starts(machine: &mut Dispatcher, count: usize) -> Vec<usize> {
    let mut order = Vec::new();
    while let Some(id) = machine.pick_next_job(NOW) {
        machine.remove_job(&id);
        order.push((0..count).find(|number| job_id(*number) == id).unwrap());
    }
    order
}

/// A job's position, and how long it is expected to wait, in seconds.
fn position(machine: &mut Dispatcher, number: usize, now: UnixMillis) -> (u32, u32) {
    let found = machine.queue_position(&job_id(number), now).unwrap();
    (found.position, found.eta_seconds)
}

fn start(machine: &mut Dispatcher, number: usize, at: UnixMillis) {
    machine.jobs.change(&job_id(number), |job| {
        (job.state, job.submitted_at) = (JobState::Running, Some(at));
        // Its next poll is not due in these tests.
        job.poll_at = NOW.plus_millis(3_600_000);
    });
}

#[test]
fn a_pass_is_made_at_most_once_a_second_and_new_jobs_are_placed_at_once() {
    let mut machine = machine();
    (0..4).for_each(|number| add(&mut machine, number, 0, 1));
    assert_eq!((0..4).map(|number| position(&mut machine, number, NOW).0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    // A newcomer is second, not last. The others move at the next pass.
    add(&mut machine, 4, 1, 1);
    assert_eq!(position(&mut machine, 4, NOW).0, 2);
    assert_eq!(position(&mut machine, 1, NOW.plus_millis(999)).0, 2);
    // Newcomers of one user are placed one behind the other, and told that the queue goes on as fast.
    (5..7).for_each(|number| add(&mut machine, number, 2, 1));
    (7..17).for_each(|number| add(&mut machine, number, 0, 1));
    let placed: Vec<u32> = (5..17).map(|number| position(&mut machine, number, NOW).0).collect();
    assert_eq!(placed, [3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
    let told: Vec<u32> = [3, 16].map(|number| position(&mut machine, number, NOW).1).into();
    assert_eq!(told, [20, 85]);
    (5..17).for_each(|number| drop(machine.remove_job(&job_id(number))));
    let later = NOW.plus_millis(1_000);
    let places: Vec<u32> = (0..5).map(|number| position(&mut machine, number, later).0).collect();
    assert_eq!(places, [1, 3, 4, 5, 2]);
    machine.jobs.change(&job_id(3), |job| job.is_returned = true);
    assert_eq!(position(&mut machine, 3, later.plus_millis(1_000)).0, 1, "a returned job is first");
}

#[test]
fn an_eta_is_never_shorter_than_the_time_until_a_slot_can_be_free() {
    let mut machine = machine();
    (0..4).for_each(|number| add(&mut machine, number, 0, 1));
    machine.state.average_runs.insert(ModelId::parse("acme/model-x").unwrap(), 40_000);
    start(&mut machine, 0, NOW.plus_millis(-30_000));
    start(&mut machine, 1, NOW.plus_millis(-5_000));
    assert_eq!(position(&mut machine, 2, NOW), (1, 10));
    assert_eq!(position(&mut machine, 3, NOW), (2, 35));
    // A run that is longer than the mean is not expected to end at any moment.
    let later = NOW.plus_millis(30_000);
    assert_eq!(position(&mut machine, 2, later), (1, 5));
    assert_eq!(position(&mut machine, 3, later), (2, 20));
}

#[test]
fn no_eta_says_any_moment_now_while_runs_of_40_seconds_hold_every_slot() {
    for known_mean in [None, Some(40_000), Some(2_000)] {
        let mut machine = machine();
        (0..3).for_each(|number| add(&mut machine, number, number, 1));
        let model = ModelId::parse("acme/model-x").unwrap();
        machine.state.average_runs.extend(known_mean.map(|mean| (model, mean)));
        (0..2).for_each(|number| start(&mut machine, number, NOW));
        // The first ones may not know that runs have become longer.
        let shown: Vec<u32> = (5..40).map(|age| position(&mut machine, 2, NOW.plus_millis(age * 1_000)).1).collect();
        assert!(shown[..30].iter().all(|eta| *eta >= 3), "{known_mean:?}: {shown:?}");
        let three_quarters = i64::from(shown[25]);
        assert!(known_mean == Some(2_000) || (three_quarters - 10).abs() <= 5, "{known_mean:?}: {shown:?}");
    }
}

#[test]
fn users_and_pools_at_their_own_limits_let_others_start_before_them() {
    let mut machine = machine();
    machine.limits.concurrent_predictions = 3;
    machine.state.average_runs.insert(ModelId::parse("acme/model-x").unwrap(), 10_000);
    (0..4).for_each(|number| add(&mut machine, number, 0, 1));
    (4..6).for_each(|number| add(&mut machine, number, 1, 1));
    machine.jobs.change_all(|job| {
        job.share.concurrent_predictions = 1;
        true
    });
    start(&mut machine, 0, NOW);
    start(&mut machine, 4, NOW);
    // Each user's jobs start one after the other, though a slot is free.
    let etas: Vec<u32> = [1, 2, 3, 5].map(|number| position(&mut machine, number, NOW).1).into();
    assert_eq!(etas, [10, 20, 30, 10]);
    // Guests have one slot of two, whoever they are.
    let mut machine = self::machine();
    machine.state.average_runs.insert(ModelId::parse("acme/model-x").unwrap(), 10_000);
    (0..4).for_each(|number| add(&mut machine, number, number, 0));
    start(&mut machine, 0, NOW);
    assert_eq!([1, 2, 3].map(|number| position(&mut machine, number, NOW).1), [10, 20, 30]);
}

#[test]
fn an_eta_accounts_for_the_lanes_of_creates_and_of_polls_and_for_pauses() {
    let model = ModelId::parse("acme/model-x").unwrap();
    let waiting = |requests_per_minute: usize| {
        let mut machine = machine();
        machine.limits.requests_per_minute = requests_per_minute;
        machine.limits.concurrent_predictions = 50;
        machine.state.average_runs.insert(model.clone(), 1_000);
        (0..4).for_each(|number| add(&mut machine, number, number, 1));
        machine
    };
    // Of ten requests a minute, five are for creates; one was just sent, and four have been a while ago.
    let mut slow = waiting(10);
    slow.limits.requests_per_minute = 10;
    for at in [-40_000, -30_000, -20_000, -10_000, 0] {
        slow.state.window.record(Lane::Create, 10, NOW.plus_millis(at));
    }
    assert_eq!([0, 1, 2, 3].map(|number| position(&mut slow, number, NOW).1), [21, 31, 41, 51]);
    // A run's end is seen by a poll. One in a minute passes here, so the second slot is free a minute later.
    let mut polled = waiting(1_000);
    polled.limits.concurrent_predictions = 2;
    (0..2).for_each(|number| start(&mut polled, number, NOW.plus_millis(-500)));
    polled.state.window.close_until(NOW.plus_millis(30_000));
    assert_eq!([2, 3].map(|number| position(&mut polled, number, NOW).1), [30, 30]);
    let mut paused = waiting(1_000);
    paused.state.health.pause_key(NOW);
    assert_eq!([0, 3].map(|number| position(&mut paused, number, NOW).1), [30, 30]);
    let mut resting = waiting(1_000);
    resting.state.health.paused_models.insert(model.clone(), NOW.plus_millis(50_000));
    assert_eq!(position(&mut resting, 0, NOW).1, 50);
}

#[test]
fn guests_hold_half_of_the_slots_at_most() {
    let mut machine = machine();
    (0..6).for_each(|number| add(&mut machine, number, number, 0));
    let first = machine.pick_next_job(NOW).unwrap();
    assert_eq!(first, job_id(0));
    start(&mut machine, 0, NOW);
    assert_eq!(machine.pick_next_job(NOW), None, "the other slot is for users");
    add(&mut machine, 6, 6, 1);
    assert_eq!(machine.pick_next_job(NOW), Some(job_id(6)));
}

proptest! {
    #![proptest_config(crate::testing::property_config())]

    /// Over any 20 starts no entry is more than one whole start behind its share, and within a pool the same holds over
    /// 20 starts of its own.
    #[test]
    fn pools_and_users_share_starts_by_weight(
        weights in prop::collection::vec(0_u32..4, 2..7),
    ) {
        let mut machine = machine();
        let count = weights.len() * 60;
        (0..count).for_each(|number| add(&mut machine, number, number % weights.len(), weights[number % weights.len()]));
        let order = starts(&mut machine, count);
        let guests = weights.iter().filter(|weight| **weight == 0).count();
        let total: u32 = weights.iter().sum::<u32>() + if guests > 0 { 2 } else { 0 };
        // Everybody still waits as long as nobody has started 60 times.
        let started: Vec<usize> = order.iter().map(|number| number % weights.len()).take(50).collect();
        for window in started.windows(20) {
            let got = |is_of: &dyn Fn(usize) -> bool| window.iter().filter(|user| is_of(**user)).count();
            for (user, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0) {
                let share = usize::try_from(20 * weight / total).unwrap();
                prop_assert!(got(&|started| started == user) + 1 >= share, "{weights:?} {window:?}");
            }
            if guests > 0 {
                let share = usize::try_from(20 * 2 / total).unwrap();
                prop_assert!(got(&|started| weights[started] == 0) + 1 >= share, "{weights:?} {window:?}");
            }
        }
        let of_guests: Vec<usize> = started.into_iter().filter(|user| weights[*user] == 0).collect();
        for window in of_guests.windows(20) {
            for guest in (0..weights.len()).filter(|user| weights[*user] == 0) {
                let got = window.iter().filter(|started| **started == guest).count();
                prop_assert!(got + 1 >= 20 / guests, "{weights:?} {window:?}");
            }
        }
    }

    /// A position is that of the job's start, if nobody comes or goes meanwhile: within one round of all entries.
    #[test]
    fn positions_are_those_of_the_starts(
        weights in prop::collection::vec(0_u32..4, 1..6),
        owners in prop::collection::vec(any::<usize>(), 1..60),
    ) {
        let mut machine = machine();
        for (number, owner) in owners.iter().enumerate() {
            add(&mut machine, number, owner % weights.len(), weights[owner % weights.len()]);
        }
        let places: Vec<u32> = (0..owners.len()).map(|number| position(&mut machine, number, NOW).0).collect();
        let mut sorted = places.clone();
        sorted.sort_unstable();
        prop_assert!(sorted.into_iter().eq(1..=u32::try_from(owners.len()).unwrap()), "each position once");
        let round: i64 = weights.iter().map(|weight| i64::from((*weight).max(1))).sum::<i64>() + 2;
        for (index, number) in starts(&mut machine, owners.len()).into_iter().enumerate() {
            let told = i64::from(places[number]) - 1;
            prop_assert!((told - i64::try_from(index).unwrap()).abs() <= round, "{weights:?}: {places:?}");
        }
    }
}
