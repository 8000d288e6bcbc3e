//! The rotation of the vendor key, step by step: the check of the next key, and which key each request uses.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use valetkey::dispatcher::{Action, Dispatcher, DispatcherLimits, Job, KnownMigrations, StoredState};
use valetkey::messages::{CreateOutcome, Deadline, DispatcherReply, JobSpec, QueueShare};
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::{JobId, UserKey};
use valetkey::types::model::ModelId;
use valetkey::types::time::UnixMillis;
use valetkey::vendor::reply::VendorReply;

use crate::vendor_replies::{RUNNING, answer};

const NOW: UnixMillis = UnixMillis(1_768_473_000_000);

fn at(second: i64) -> UnixMillis {
    NOW.plus_millis(second * 1_000)
}

fn load(next: Option<&str>, state: StoredState, jobs: Vec<Job>) -> Dispatcher {
    Dispatcher::load(limits("old", next), state, jobs, Vec::new())
}

fn load_with_key(key: &str, state: StoredState) -> Dispatcher {
    Dispatcher::load(limits(key, None), state, Vec::new(), Vec::new())
}

fn limits(key: &str, next: Option<&str>) -> DispatcherLimits {
    DispatcherLimits {
        requests_per_minute: 6_000,
        expected_other_requests: 0,
        concurrent_predictions: 50,
        daily_credits: None,
        max_waiting: 500,
        max_wait_millis: 600_000,
        pools: BTreeMap::new(),
        key_fingerprint: key.into(),
        other_key_fingerprint: next.map(str::to_owned),
        outputs: valetkey::vendor::output::OutputRule::for_upstream("https://vendor.example/v1"),
        longest_slot_millis: 2_000_000,
        sends_alerts: false,
    }
}

fn machine() -> Dispatcher {
    load(Some("next"), StoredState::default(), Vec::new())
}

/// Makes a turn. Returns the keys that it checks.
fn checked(machine: &mut Dispatcher, second: i64) -> Vec<String> {
    let check = |action| if let Action::CheckKey { vendor_key_fingerprint: key } = action { Some(key) } else { None };
    machine.due(at(second)).into_iter().filter_map(check).collect()
}

/// Checks the next key, which gets this reply.
fn check(machine: &mut Dispatcher, second: i64, reply: &VendorReply) {
    assert_eq!(checked(machine, second), ["next"]);
    machine.finish_key_check("next", reply, at(second));
}

/// Enqueues a prediction and starts it. Returns the key of its create, if it starts.
fn create(machine: &mut Dispatcher, number: u8, second: i64) -> (JobId, Option<String>) {
    let spec = JobSpec {
        job_id: JobId::new(NOW, [number; 10]),
        model: ModelId::parse("acme/x").unwrap(),
        input: json!({"prompt": "p"}).as_object().cloned().unwrap(),
        image_count: 1,
        credits: MicroCredits::parse("1").unwrap(),
        max_seconds: 600,
    };
    let (job_id, user) = (spec.job_id.clone(), UserKey::new("issuer", "user"));
    let share = QueueShare { plan: "default".into(), weight: 1, concurrent_predictions: 100, max_waiting: 100 };
    machine.enqueue(&user, vec![spec], &share, Deadline::after(at(second), 1_600), false, at(second)).unwrap();
    (job_id.clone(), sent_with(machine, &job_id, second))
}

/// Makes a turn. Returns the key of the create that is in flight, if there is one.
fn sent_with(machine: &mut Dispatcher, job_id: &JobId, second: i64) -> Option<String> {
    let _ = machine.due(at(second));
    machine.job(job_id).filter(|_| machine.is_submitting(job_id))?.vendor_key_fingerprint.clone()
}

fn rotation(machine: &mut Dispatcher, second: i64) -> (Value, Value) {
    let shown = machine.overview(at(second))["rotation"].clone();
    (shown["state"].clone(), shown["jobs_of_old_key"].clone())
}

fn shown(state: &str, jobs: u32) -> (Value, Value) {
    (json!(state), json!(jobs))
}

fn alerts(machine: &mut Dispatcher) -> Vec<&'static str> {
    machine.take_changes().alerts.iter().map(|raised| raised.alert.name()).collect()
}

#[test]
fn without_a_next_key_nothing_is_checked() {
    let mut machine = load(None, StoredState::default(), Vec::new());
    assert_eq!(checked(&mut machine, 0), Vec::<String>::new());
    assert_eq!((rotation(&mut machine, 0), machine.next_due(at(0))), (shown("none", 0), None));
}

#[test]
fn once_the_vendor_takes_the_next_key_creates_use_it_and_the_old_one_is_drained() {
    let mut machine = machine();
    let (old, key) = create(&mut machine, 0, 0);
    assert_eq!(key.as_deref(), Some("old"));
    machine.finish_submit(&old, &answer(201, RUNNING), at(0));
    machine.finish_key_check("next", &answer(200, "{}"), at(1));
    assert_eq!(rotation(&mut machine, 1), shown("draining", 1));
    let (new, key) = create(&mut machine, 1, 1);
    assert_eq!(key.as_deref(), Some("next"));
    machine.finish_submit(&new, &answer(201, RUNNING), at(1));
    let polled: BTreeMap<JobId, String> = machine
        .due(at(10))
        .into_iter()
        .filter_map(|action| match action {
            Action::Poll { job_id, vendor_key_fingerprint, .. } => Some((job_id, vendor_key_fingerprint?)),
            _ => None,
        })
        .collect();
    let own = [(old.clone(), "old".to_owned()), (new, "next".to_owned())];
    assert_eq!(polled, own.into(), "each with its own key");
    let permit = machine.grant_permit(None, None, 1, at(10));
    let expected = DispatcherReply::Permit { vendor_id: None, vendor_key_fingerprint: Some("next".into()) };
    assert_eq!(permit, expected, "an upload too");
    machine.finish_poll(&old, &answer(200, r#"{"status":"succeeded"}"#), at(11));
    assert_eq!(rotation(&mut machine, 11), shown("safe_to_revoke", 0));
    assert_eq!(checked(&mut machine, 10_000), Vec::<String>::new(), "it is not checked again");
    assert_eq!(alerts(&mut machine), Vec::<&str>::new());
}

#[test]
fn a_next_key_that_stays_refused_is_told_once() {
    let mut machine = machine();
    let mut told = Vec::new();
    // The checks come ten minutes apart in the end, which is as long as an alert is quiet.
    for number in 0..12 {
        check(&mut machine, number * 601, &answer(401, "{}"));
        told.extend(alerts(&mut machine));
        // Whatever the next instance knows of earlier alerts.
        machine = load(Some("next"), machine.stored_state().clone(), Vec::new());
    }
    assert_eq!(told, ["next_key_refused"]);
    check(&mut machine, 8_000, &answer(200, "{}"));
    assert_eq!(rotation(&mut machine, 8_000), shown("safe_to_revoke", 0));
}

#[test]
fn a_restart_keeps_the_rotation_and_another_next_key_begins_a_new_one() {
    let mut first = machine();
    check(&mut first, 0, &answer(200, "{}"));
    let state = first.stored_state().clone();
    let mut restarted = load(Some("next"), state.clone(), Vec::new());
    assert_eq!(create(&mut restarted, 0, 1).1.as_deref(), Some("next"));
    let mut other = load(Some("another"), state.clone(), Vec::new());
    assert_eq!(other.key_of_creates(), "old");
    assert_eq!((checked(&mut other, 1), rotation(&mut other, 1)), (vec!["another".to_owned()], shown("checking", 0)));
    other.finish_key_check("next", &answer(200, "{}"), at(2));
    assert_eq!(rotation(&mut other, 2), shown("checking", 0), "the report of another key");
    let mut ended = load(None, state, Vec::new());
    let _ = ended.due(at(1));
    assert_eq!((rotation(&mut ended, 1), ended.stored_state().rotation.is_none()), (shown("none", 0), true));
    assert!(ended.take_changes().state.contains(&("vendor_rotation".to_owned(), None)));
}

#[test]
fn no_answer_says_nothing_about_the_key_and_the_check_is_repeated_with_back_off() {
    let throttled = answer(429, "");
    for reply in [VendorReply::TimedOut, VendorReply::Broken, answer(500, ""), answer(503, ""), throttled] {
        let mut machine = machine();
        let mut times = Vec::new();
        for second in 0..1_000 {
            if !checked(&mut machine, second).is_empty() {
                times.push(second);
                machine.finish_key_check("next", &reply, at(second));
            }
        }
        assert_eq!(times, [0, 30, 90, 210, 450, 930], "{reply:?}");
        assert_eq!((rotation(&mut machine, 1_000), alerts(&mut machine)), (shown("checking", 0), vec![]));
        assert_eq!(create(&mut machine, 0, 1_001).1.as_deref(), Some("old"));
    }
}

#[test]
fn a_refused_next_key_is_an_alert_and_work_stays_with_the_old_one() {
    for reply in [answer(401, ""), answer(402, ""), answer(403, "<html>"), answer(404, ""), answer(302, "")] {
        let mut machine = machine();
        check(&mut machine, 0, &reply);
        assert_eq!((rotation(&mut machine, 0), alerts(&mut machine)), (shown("refused", 0), vec!["next_key_refused"]));
        let (job_id, key) = create(&mut machine, 0, 1);
        assert_eq!(key.as_deref(), Some("old"));
        machine.finish_submit(&job_id, &answer(201, RUNNING), at(1));
        assert!(checked(&mut machine, 29).is_empty());
        check(&mut machine, 30, &answer(200, "{}"));
        assert_eq!(rotation(&mut machine, 30), shown("draining", 1), "the operator has mended it");
    }
}

#[test]
fn a_streak_of_401_on_the_new_key_falls_back_and_no_create_fails() {
    let mut machine = machine();
    check(&mut machine, 0, &answer(200, "{}"));
    let (job_id, mut key) = create(&mut machine, 0, 1);
    let mut keys = Vec::new();
    while let Some(used) = key {
        keys.push(used.clone());
        let reply = if used == "next" { answer(401, "") } else { answer(201, RUNNING) };
        let outcome = machine.finish_submit(&job_id, &reply, at(1));
        assert!(matches!(outcome, CreateOutcome::Pending | CreateOutcome::Accepted));
        key = sent_with(&mut machine, &job_id, 1);
    }
    assert_eq!(keys, ["next", "next", "next", "old"], "at once, without a pause");
    assert_eq!((rotation(&mut machine, 1), alerts(&mut machine)), (shown("refused", 1), vec!["next_key_refused"]));
    // If the account answers although creates are refused, the checks still become fewer.
    let mut times = Vec::new();
    for (number, second) in (2..1_000).enumerate() {
        if checked(&mut machine, second).is_empty() {
            continue;
        }
        times.push(second);
        machine.finish_key_check("next", &answer(200, "{}"), at(second));
        let (refused, _) = create(&mut machine, u8::try_from(number % 200).unwrap() + 1, second);
        for _ in 0..3 {
            machine.finish_submit(&refused, &answer(401, ""), at(second));
            let _ = machine.due(at(second));
        }
        machine.finish_submit(&refused, &answer(422, ""), at(second));
    }
    assert!((3..6).contains(&times.len()), "{times:?}");
}

#[test]
fn one_401_on_the_new_key_is_no_streak() {
    let mut machine = machine();
    check(&mut machine, 0, &answer(200, "{}"));
    for number in 0..6 {
        let (job_id, _) = create(&mut machine, number, 1);
        machine.finish_submit(&job_id, &answer(401, ""), at(1));
        assert_eq!(sent_with(&mut machine, &job_id, 1).as_deref(), Some("next"));
        machine.finish_submit(&job_id, &answer(422, ""), at(1));
    }
    assert_eq!((rotation(&mut machine, 1), alerts(&mut machine)), (shown("safe_to_revoke", 0), vec![]));
}

#[test]
fn a_key_that_is_revoked_without_warning_is_replaced_before_the_next_one_was_checked() {
    let mut machine = machine();
    assert_eq!(checked(&mut machine, 0), ["next"], "it gets no answer");
    let (job_id, mut key) = create(&mut machine, 0, 0);
    let mut keys = Vec::new();
    while let Some(used) = key {
        keys.push(used.clone());
        let reply = if used == "old" { answer(401, "") } else { answer(201, RUNNING) };
        machine.finish_submit(&job_id, &reply, at(0));
        key = sent_with(&mut machine, &job_id, 0);
    }
    assert_eq!(keys, ["old", "old", "old", "next"]);
    assert_eq!(
        (rotation(&mut machine, 1), alerts(&mut machine)),
        (shown("safe_to_revoke", 0), vec!["vendor_key_refused"])
    );
    assert!(!machine.stored_state().health.is_paused());
}

#[test]
fn if_both_keys_are_refused_creates_are_paused_until_one_is_taken() {
    let mut machine = machine();
    check(&mut machine, 0, &answer(401, ""));
    let (job_id, key) = create(&mut machine, 0, 1);
    assert_eq!(key.as_deref(), Some("old"));
    machine.finish_submit(&job_id, &answer(401, ""), at(1));
    assert!(machine.stored_state().health.is_paused());
    assert_eq!(sent_with(&mut machine, &job_id, 2), None, "probes come later");
    assert_eq!(alerts(&mut machine), ["next_key_refused", "vendor_key_refused"]);
    check(&mut machine, 30, &answer(200, "{}"));
    assert_eq!(sent_with(&mut machine, &job_id, 30).as_deref(), Some("next"));
}

/// The next probe might be ten minutes away.
#[test]
fn a_version_with_another_key_does_not_wait_for_the_refused_one() {
    let mut machine = load(None, StoredState::default(), Vec::new());
    machine.note_version("one", KnownMigrations::default(), at(0));
    let (job_id, _) = create(&mut machine, 0, 0);
    machine.finish_submit(&job_id, &answer(401, ""), at(0));
    for (version, key, is_paused) in [("two", "old", true), ("three", "new", false)] {
        let mut machine = load_with_key(key, machine.stored_state().clone());
        machine.note_version(version, KnownMigrations::default(), at(1));
        assert_eq!(machine.stored_state().health.is_paused(), is_paused, "{version}");
    }
}

#[test]
fn refused_polls_count_for_the_key_that_creates_use_alone() {
    let mut machine = machine();
    let (old, _) = create(&mut machine, 0, 0);
    machine.finish_submit(&old, &answer(201, RUNNING), at(0));
    machine.finish_key_check("next", &answer(200, "{}"), at(0));
    for second in 1..10 {
        let _ = machine.due(at(second * 10));
        machine.finish_poll(&old, &answer(401, ""), at(second * 10));
        let _ = machine.due(at(second * 10));
        machine.finish_poll(&old, &answer(200, RUNNING), at(second * 10));
    }
    assert_eq!(rotation(&mut machine, 100), shown("draining", 1), "the old key was revoked early");
    assert!(!machine.stored_state().health.is_paused());
}

#[test]
fn a_prediction_without_credits_for_it_pauses_creates_whatever_key_they_use() {
    let mut machine = machine();
    check(&mut machine, 0, &answer(200, "{}"));
    let (job_id, _) = create(&mut machine, 0, 1);
    machine.finish_submit(&job_id, &answer(402, ""), at(1));
    assert!(machine.stored_state().health.is_paused());
    assert_eq!(rotation(&mut machine, 1), shown("safe_to_revoke", 0), "the key was taken");
}
