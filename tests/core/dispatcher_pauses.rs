//! Pauses by operators, step by step: what waits, what goes on, and what is refused.

use std::collections::BTreeMap;

use serde_json::json;
use valetkey::dispatcher::{
    Action, Dispatcher, DispatcherLimits, JobState, KnownMigrations, PauseRefusal, ReleaseRefusal, StoredState,
};
use valetkey::messages::{Deadline, DispatcherReply, EnqueueRefusal, JobSpec, JobUpdate, QueueShare};
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::{JobId, PauseId, UserKey};
use valetkey::types::model::ModelId;
use valetkey::types::prediction::Failure;
use valetkey::types::time::UnixMillis;
use valetkey::vendor::reply::VendorReply;

use crate::vendor_replies::{RUNNING, answer};

const NOW: UnixMillis = UnixMillis(1_768_473_000_000);
const MAX_WAIT_MILLIS: i64 = 600_000;

fn at(millis: i64) -> UnixMillis {
    NOW.plus_millis(millis)
}

fn model(name: &str) -> ModelId {
    ModelId::parse(name).unwrap()
}

fn id(number: u8) -> PauseId {
    PauseId::new(NOW, [number; 10])
}

fn machine(slots: usize) -> Dispatcher {
    let limits = DispatcherLimits {
        requests_per_minute: 60,
        expected_other_requests: 0,
        concurrent_predictions: slots,
        daily_credits: None,
        max_waiting: 500,
        max_wait_millis: MAX_WAIT_MILLIS,
        pools: BTreeMap::new(),
        key_fingerprint: "key".into(),
        other_key_fingerprint: None,
        outputs: valetkey::vendor::output::OutputRule::for_upstream("https://vendor.example/v1"),
        longest_slot_millis: 2_000_000,
        sends_alerts: false,
    };
    Dispatcher::load(limits, StoredState::default(), Vec::new(), Vec::new())
}

fn spec(number: u8, of: &str) -> JobSpec {
    JobSpec {
        job_id: JobId::new(NOW, [number; 10]),
        model: model(of),
        input: json!({"prompt": "p"}).as_object().cloned().unwrap(),
        image_count: 1,
        credits: MicroCredits::parse("2.5").unwrap(),
        max_seconds: 600,
    }
}

/// Enqueues a prediction of a user of its own.
fn enqueue(machine: &mut Dispatcher, number: u8, of: &str, now: UnixMillis) -> Result<JobId, EnqueueRefusal> {
    let share = QueueShare { plan: "default".into(), weight: 1, concurrent_predictions: 100, max_waiting: 100 };
    let (user, spec) = (UserKey::new("issuer", &number.to_string()), spec(number, of));
    let job_id = spec.job_id.clone();
    machine.enqueue(&user, vec![spec], &share, Deadline::after(now, 1_600), false, now).map(|()| job_id)
}

fn pause(machine: &mut Dispatcher, number: u8, of: Option<&str>, secs: i64, now: UnixMillis) {
    machine.pause(&id(number), of.map(model), secs * 1_000, false, now).unwrap();
}

/// Makes a turn. Returns the predictions whose creates it sends.
fn sent(machine: &mut Dispatcher, now: UnixMillis) -> Vec<JobId> {
    let submitted = |action| if let Action::Submit { spec } = action { Some(spec.job_id) } else { None };
    machine.due(now).into_iter().filter_map(submitted).collect()
}

fn update(machine: &mut Dispatcher, job_id: &JobId, now: UnixMillis) -> JobUpdate {
    let DispatcherReply::Jobs(updates) = machine.report_jobs(std::slice::from_ref(job_id), now) else { panic!() };
    updates.into_iter().next().unwrap()
}

#[test]
fn in_a_pause_creates_wait_and_polls_and_cancels_go_on() {
    let mut machine = machine(5);
    let running = enqueue(&mut machine, 0, "acme/x", NOW).unwrap();
    assert_eq!(sent(&mut machine, NOW).len(), 1);
    machine.finish_submit(&running, &answer(201, RUNNING), NOW);
    pause(&mut machine, 0, None, 120, NOW);
    let waiting = enqueue(&mut machine, 1, "acme/x", at(1)).unwrap();
    assert_eq!(sent(&mut machine, at(1)), []);
    let actions = machine.due(at(5_000));
    assert!(matches!(&actions[..], [Action::Poll { .. }]), "{actions:?}");
    machine.finish_poll(&running, &answer(200, RUNNING), at(5_001));
    machine.cancel(&running, at(5_002));
    assert!(matches!(&machine.due(at(5_002))[..], [Action::Cancel { .. }, ..]));
    machine.resume(&id(0), at(6_000));
    assert_eq!(sent(&mut machine, at(6_000)), [waiting]);
}

#[test]
fn a_create_that_the_vendor_turned_away_and_a_probe_wait_too() {
    for reply in [answer(429, ""), answer(401, "")] {
        let mut machine = machine(5);
        let job_id = enqueue(&mut machine, 0, "acme/x", NOW).unwrap();
        assert_eq!(sent(&mut machine, NOW).len(), 1);
        pause(&mut machine, 0, None, 120, NOW);
        machine.finish_submit(&job_id, &reply, NOW);
        assert_eq!(sent(&mut machine, at(100_000)), []);
        // The report of a delivery is looked for, ten seconds later.
        assert!(machine.next_due(at(100_000)).unwrap() >= at(110_000), "nothing can be sent before the lease ends");
        assert_eq!(sent(&mut machine, at(120_000)), [], "a second look confirms it");
        assert_eq!(sent(&mut machine, at(121_000)), [job_id]);
    }
}

#[test]
fn the_pause_of_a_model_stops_no_other_model_and_its_jobs_keep_their_turn() {
    let mut machine = machine(1);
    let first = enqueue(&mut machine, 0, "acme/x", NOW).unwrap();
    assert_eq!(sent(&mut machine, NOW), std::slice::from_ref(&first));
    let paused = enqueue(&mut machine, 1, "acme/y", NOW).unwrap();
    let others = [2, 3].map(|number| enqueue(&mut machine, number, "acme/x", NOW).unwrap());
    pause(&mut machine, 0, Some("acme/y"), 120, NOW);
    machine.finish_submit(&first, &answer(422, ""), at(1));
    assert_eq!(sent(&mut machine, at(1)), [others[0].clone()]);
    machine.resume(&id(0), at(2));
    let later = enqueue(&mut machine, 4, "acme/x", at(2)).unwrap();
    let mut started = vec![others[0].clone()];
    for millis in 2..5 {
        machine.finish_submit(&started[started.len() - 1], &answer(422, ""), at(millis));
        started.extend(sent(&mut machine, at(millis)));
    }
    assert_eq!(started[1..], [others[1].clone(), paused, later], "a user earns no turns meanwhile, and loses none");
}

#[test]
fn time_in_a_pause_does_not_count_as_waiting() {
    let mut machine = machine(1);
    let running = enqueue(&mut machine, 0, "acme/x", NOW).unwrap();
    sent(&mut machine, NOW);
    let waits = enqueue(&mut machine, 1, "acme/x", NOW).unwrap();
    let other = enqueue(&mut machine, 2, "acme/y", NOW).unwrap();
    let ended = |machine: &mut Dispatcher, job_id: &JobId, now| {
        let _ = machine.due(now);
        let ended = update(machine, job_id, now).end.map(|end| end.failure);
        assert!(ended.is_none_or(|failure| failure == Some(Failure::QueueTimeout)));
        ended.is_some()
    };
    // 100 s of all models, and 500 s more of one.
    pause(&mut machine, 0, None, 100, at(100_000));
    pause(&mut machine, 1, Some("acme/x"), 600, at(100_000));
    let _ = (machine.due(at(200_000)), machine.due(at(201_000)));
    assert!(!ended(&mut machine, &other, at(700_999)));
    assert!(!ended(&mut machine, &other, at(701_000)));
    assert!(machine.next_due(at(701_000)).unwrap() <= at(702_000));
    assert!(ended(&mut machine, &other, at(702_000)), "600 s beside the 101 s");
    assert!(!ended(&mut machine, &waits, at(1_000_000)));
    machine.resume(&id(1), at(1_000_000));
    // In a stored and loaded state nothing differs: the counts are a row, the job has its own.
    assert!(!ended(&mut machine, &waits, at(1_499_999)));
    assert!(!ended(&mut machine, &waits, at(1_500_000)));
    assert!(ended(&mut machine, &waits, at(1_501_000)), "600 s beside the 900 s");
    assert_eq!(machine.job(&running).map(|job| job.state), Some(JobState::Submitting));
}

#[test]
fn a_create_gets_503_if_the_pause_outlasts_the_longest_wait() {
    let mut machine = machine(5);
    pause(&mut machine, 0, Some("acme/x"), 601, NOW);
    let refused = enqueue(&mut machine, 0, "acme/x", NOW);
    assert_eq!(refused, Err(EnqueueRefusal::UpstreamUnavailable { retry_after_secs: 601 }));
    enqueue(&mut machine, 0, "acme/x", at(1_000)).unwrap();
    enqueue(&mut machine, 1, "acme/y", NOW).unwrap();
    pause(&mut machine, 1, None, 3_600, at(1_000));
    let refused = enqueue(&mut machine, 2, "acme/y", at(1_000));
    assert_eq!(refused, Err(EnqueueRefusal::UpstreamUnavailable { retry_after_secs: 3_600 }));
}

#[test]
fn positions_and_etas_know_the_pause() {
    let mut machine = machine(5);
    pause(&mut machine, 0, None, 100, NOW);
    pause(&mut machine, 1, Some("acme/y"), 300, NOW);
    let ids = [(0, "acme/y"), (1, "acme/x")].map(|(number, of)| enqueue(&mut machine, number, of, NOW).unwrap());
    let etas = ids.map(|job_id| update(&mut machine, &job_id, NOW).queue.unwrap().eta_seconds);
    assert_eq!(etas, [300, 100]);
}

#[test]
fn jobs_of_a_paused_model_count_as_waiting_before_they_are_admitted() {
    let mut machine = machine(5);
    pause(&mut machine, 0, Some("acme/y"), 100, NOW);
    let share = QueueShare { plan: "default".into(), weight: 1, concurrent_predictions: 100, max_waiting: 1 };
    let specs = |numbers: [u8; 2]| numbers.map(|number| spec(number, "acme/y")).to_vec();
    let user = UserKey::new("issuer", "one");
    let refused = machine.enqueue(&user, specs([0, 1]), &share, Deadline::after(NOW, 1_600), false, NOW);
    assert!(matches!(refused, Err(EnqueueRefusal::TooManyPredictions { .. })), "{refused:?}");
}

#[test]
fn a_lease_that_has_ended_is_not_renewed() {
    let mut machine = machine(5);
    pause(&mut machine, 0, None, 10, NOW);
    assert_eq!(machine.pause(&id(0), None, 10_000, true, at(5_000)), Ok(at(15_000)));
    let _ = (machine.due(at(15_000)), machine.due(at(16_000)));
    assert_eq!(machine.pause(&id(0), None, 10_000, true, at(16_000)), Err(PauseRefusal::Ended));
    assert_eq!(machine.pause(&id(1), None, 10_000, true, at(16_000)), Err(PauseRefusal::Ended), "never taken");
}

#[test]
fn only_the_slot_of_an_unknown_outcome_is_freed() {
    let mut machine = machine(1);
    let job_id = enqueue(&mut machine, 0, "acme/x", NOW).unwrap();
    assert_eq!(machine.release_slot(&job_id, NOW), Err(ReleaseRefusal::NotEnded), "it waits");
    sent(&mut machine, NOW);
    assert_eq!(machine.release_slot(&job_id, NOW), Err(ReleaseRefusal::NotEnded), "it is being sent");
    machine.finish_submit(&job_id, &VendorReply::TimedOut, at(1));
    let shown = machine.overview(at(1));
    assert_eq!(shown["slots"], json!({"total": 1, "in_use": 1, "unknown": 1}));
    assert_eq!(shown["unknown_outcomes"][0]["job_id"], json!(job_id));
    assert_eq!(shown["unknown_outcomes"][0]["slot_ends_at"], json!(at(600_000).to_rfc3339()));
    let waits = enqueue(&mut machine, 1, "acme/x", at(2)).unwrap();
    assert_eq!(sent(&mut machine, at(2)), []);
    assert_eq!(machine.release_slot(&job_id, at(3)), Ok(()));
    assert_eq!(sent(&mut machine, at(3)), [waits]);
    assert_eq!(machine.release_slot(&job_id, at(4)), Err(ReleaseRefusal::NotFound));
    assert!(machine.take_changes().tombstones.contains(&job_id), "a late message does not send it again");
}

#[test]
fn the_overview_shows_what_is_being_sent_and_which_versions_ran() {
    let mut machine = machine(5);
    for number in 0..2 {
        enqueue(&mut machine, number, "acme/x", NOW).unwrap();
    }
    sent(&mut machine, NOW);
    pause(&mut machine, 0, Some("acme/x"), 60, NOW);
    enqueue(&mut machine, 2, "acme/x", NOW).unwrap();
    for number in 0..120 {
        let known = KnownMigrations { dispatcher: 3, ledger: 2 };
        machine.note_version(&format!("v{number}"), known, at(number));
        machine.note_version(&format!("v{number}"), KnownMigrations::default(), at(500));
    }
    let shown = machine.overview(NOW);
    assert_eq!((&shown["submitting"], &shown["queue"]), (&json!(2), &json!({"waiting": 1, "max_waiting": 500})));
    assert_eq!(shown["requests"], json!({"per_minute": 60, "remaining": 58}));
    let (start, end) = (NOW.to_rfc3339(), at(60_000).to_rfc3339());
    assert_eq!(shown["pauses"], json!([{"id": id(0), "model": "acme/x", "started_at": start, "ends_at": end}]));
    let versions = shown["keys_by_version"].as_array().unwrap();
    let migrations = json!({"dispatcher": 3, "ledger": 2});
    let seen_at = at(119).to_rfc3339();
    let last = json!({"version_id": "v119", "fingerprint": "key", "seen_at": seen_at, "migrations": migrations});
    assert_eq!((versions.len(), &versions[0]["version_id"], &versions[99]), (100, &json!("v20"), &last));
    assert_eq!(shown["vendor_key"], json!({"fingerprint": "key", "health": "ok", "since": null}));
    machine.finish_submit(&spec(0, "acme/x").job_id, &answer(401, ""), at(7_000));
    let refused = json!({"fingerprint": "key", "health": "refused", "since": at(7_000).to_rfc3339()});
    assert_eq!(machine.overview(at(8_000))["vendor_key"], refused);
}
