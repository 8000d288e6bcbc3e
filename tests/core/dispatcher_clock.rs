//! The Dispatcher's clock: a real clock that steps forward and back stops nothing for longer than a minute.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;
use valetkey::dispatcher::{Dispatcher, JobState};
use valetkey::limit::request_window::Lane;
use valetkey::types::time::{UnixMillis, UnixSeconds};

use crate::dispatcher_rows::{START, World};
use crate::vendor_replies::RUNNING;

const HOUR: i64 = 3_600_000;
const LIMIT: usize = 20;

fn world() -> World {
    World::with_requests(LIMIT, BTreeMap::new())
}

/// Makes the turns that the alarm makes until `until`. Returns when each vendor request was sent.
fn run_alarms(world: &mut World, until: UnixMillis) -> Vec<UnixMillis> {
    let mut sent = Vec::new();
    while let Some(due) = world.machine.next_due(world.now).filter(|due| *due <= until) {
        world.now = due.max(world.now.plus_millis(1));
        let before = world.sent;
        world.turn(|_, _| ());
        sent.extend(std::iter::repeat_n(world.now, world.sent - before));
    }
    sent
}

/// Returns the largest number in a document: all times are larger than anything else in it.
fn latest_time(value: &Value) -> i64 {
    match value {
        Value::Number(number) => number.as_i64().unwrap_or(0),
        Value::Array(items) => items.iter().map(latest_time).max().unwrap_or(0),
        Value::Object(members) => members.values().map(latest_time).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::String(_) => 0,
    }
}

fn stored_times(machine: &Dispatcher, ids: &[valetkey::types::ids::JobId]) -> i64 {
    let jobs = ids.iter().filter_map(|id| machine.job(id)).map(|job| serde_json::to_value(job).unwrap());
    let updates = ids.iter().filter_map(|id| machine.outbox_row(id)).map(|row| serde_json::to_value(row).unwrap());
    let mut state = serde_json::to_value(machine.stored_state()).unwrap();
    // A minute ahead, which its own test checks.
    state["window"]["closed_until"] = Value::Null;
    jobs.chain(updates).chain([state]).map(|value| latest_time(&value)).max().unwrap()
}

#[test]
fn after_a_step_of_an_hour_and_back_nothing_stops_for_longer_than_a_minute() {
    let mut world = world();
    world.machine.revoke_all(UnixSeconds(START.0 / 1_000 + 7_200));
    let running = world.create("a", "default", &[1]).unwrap();
    world.answer(201, RUNNING);
    // An hour too late for a while: everything gets times of then.
    world.now = START.plus_millis(HOUR);
    world.turn(|machine, now| machine.receive_webhook(&running[0], now));
    let more = world.create("b", "default", &[1, 1]).unwrap();
    world.answer(429, "");
    world.now = START.plus_millis(10_000);
    world.turn(|_, _| ());
    let waiting = world.create("c", "default", &[1]).unwrap();
    assert_eq!(world.machine.next_due(world.now), Some(START.plus_millis(11_000)), "the second look");
    let ids = [running.clone(), more, waiting.clone()].concat();
    assert!(stored_times(&world.machine, &ids) > START.plus_millis(HOUR - 1).0);
    world.now = START.plus_millis(11_000);
    world.turn(|_, _| ());
    assert!(stored_times(&world.machine, &ids) <= world.now.0, "{}", stored_times(&world.machine, &ids));
    assert_eq!(world.machine.stored_state().clock, world.now);
    let window = &world.machine.stored_state().window;
    assert_eq!(window.earliest(Lane::Cancel, LIMIT, world.now), world.now.plus_millis(61_000));
    assert_eq!(world.machine.revoked_before(), Some(UnixSeconds(START.0 / 1_000 + 7_200)), "it stays");
    let sent = run_alarms(&mut world, START.plus_millis(11_000 + 62_000));
    assert!(sent.first().is_some_and(|at| *at == START.plus_millis(11_000 + 61_000)), "{sent:?}");
}

#[test]
fn one_look_or_a_small_difference_sets_nothing_back() {
    let mut world = world();
    world.turn(|_, _| ());
    for behind in [5_000, 1, 4_999] {
        for _ in 0..3 {
            world.now = START.plus_millis(-behind);
            world.turn(|_, _| ());
            assert_eq!(world.machine.stored_state().clock, START);
        }
    }
    for (millis, clock) in
        [(-5_001, 0), (-4_002, 0), (-5_100, 0), (-5_000, 0), (-9_000, 0), (-8_001, 0), (-8_000, -8_000)]
    {
        world.now = START.plus_millis(millis);
        world.turn(|_, _| ());
        assert_eq!(world.machine.stored_state().clock, START.plus_millis(clock), "{millis}");
    }
}

proptest! {
    #[test]
    fn a_clock_that_steps_never_stops_the_machine_for_good(
        steps in proptest::collection::vec((0_u8..6, 0_i64..20_000, -2 * HOUR..2 * HOUR), 1..80)
    ) {
        let mut world = world();
        // The real time, and how wrong the clock is.
        let (mut real, mut wrong) = (START, 0);
        for (step, millis, new_wrong) in steps {
            real = real.plus_millis(millis);
            if step == 0 {
                wrong = new_wrong;
            }
            world.now = real.plus_millis(wrong);
            match step {
                1 | 2 => drop(world.create("a", "default", &[1]).ok()),
                3 => drop(world.answer(201, RUNNING)),
                4 => drop(world.answer(429, "")),
                _ => world.turn(|_, _| ()),
            }
        }
        // The clock is right from now on, and the alarm fires when it is asked to.
        world.now = real.plus_millis(20_000);
        world.turn(|_, _| ());
        let until = world.now.plus_millis(2_000);
        run_alarms(&mut world, until);
        let clock = world.machine.stored_state().clock;
        let is_idle = world.machine.next_due(world.now).is_none();
        prop_assert!(is_idle || clock.millis_since(world.now) <= 5_000, "still ahead by {}", clock.millis_since(world.now));
    }
}

/// A job that runs is not ended by a step forward and back: its times are those of the step.
#[test]
fn a_running_job_survives_a_step_forward_and_back() {
    let mut world = world();
    let ids = world.create("a", "default", &[1]).unwrap();
    world.answer(201, RUNNING);
    world.now = START.plus_millis(HOUR);
    world.turn(|_, _| ());
    for millis in [1_000, 2_000, 3_000] {
        world.now = START.plus_millis(millis);
        world.turn(|_, _| ());
    }
    let job = world.machine.job(&ids[0]).unwrap();
    assert_eq!((job.state, job.submitted_at), (JobState::Running, Some(START)));
}
