//! The Dispatcher's state machine step by step, with exact times and counts that the random walk (tests/model) does
//! not check.

// Clippy allows these in `#[test]` functions only, not in the helpers they share.
use std::collections::BTreeMap;

use serde_json::json;
use valetkey::dispatcher::{Action, Dispatcher, DispatcherLimits, JobState, KEY_ACCOUNT, LoadedState, StoredState};
use valetkey::limit::request_window::Lane;
use valetkey::messages::{Deadline, DispatcherReply, EnqueueRefusal, JobSpec, QueueShare};
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::{JobId, UserKey};
use valetkey::types::model::ModelId;
use valetkey::types::time::UnixMillis;

use crate::vendor_replies::{ENVELOPE, RUNNING, answer};

const NOW: UnixMillis = UnixMillis(1_768_473_000_000);

fn limits() -> DispatcherLimits {
    DispatcherLimits {
        requests_per_minute: 60,
        expected_other_requests: 0,
        concurrent_predictions: 10,
        daily_credits: None,
        max_waiting: 500,
        max_wait_millis: 600_000,
        pools: BTreeMap::new(),
        key_fingerprint: "key".into(),
        other_key_fingerprint: None,
        outputs: valetkey::vendor::output::OutputRule::for_upstream("https://vendor.example/v1"),
        longest_slot_millis: 2_000_000,
        sends_alerts: false,
    }
}

fn spec(number: u8, prompt: &str) -> JobSpec {
    JobSpec {
        job_id: JobId::new(NOW, [number; 10]),
        model: ModelId::parse("acme/model").unwrap(),
        input: json!({ "prompt": prompt }).as_object().cloned().unwrap(),
        image_count: 1,
        credits: MicroCredits::parse("2.5").unwrap(),
        max_seconds: 600,
    }
}

fn machine(limits: DispatcherLimits) -> Dispatcher {
    Dispatcher::load(limits, StoredState::default(), Vec::new(), Vec::new())
}

fn user() -> UserKey {
    UserKey::new("issuer", "user")
}

fn enqueue(machine: &mut Dispatcher, specs: Vec<JobSpec>) -> Result<(), EnqueueRefusal> {
    enqueue_for(machine, user(), "default", specs)
}

fn enqueue_for(machine: &mut Dispatcher, user: UserKey, plan: &str, specs: Vec<JobSpec>) -> Result<(), EnqueueRefusal> {
    let share = QueueShare { plan: plan.into(), weight: 1, concurrent_predictions: 100, max_waiting: 100 };
    machine.enqueue(&user, specs, &share, Deadline::after(NOW, 1_600), false, NOW)
}

/// Returns a machine with `count` running predictions, and their ids.
fn running(count: u8) -> (Dispatcher, Vec<JobId>) {
    let mut machine = machine(limits());
    let mut ids = Vec::new();
    for number in 0..count {
        let spec = spec(number, "p");
        ids.push(spec.job_id.clone());
        enqueue(&mut machine, vec![spec]).unwrap();
        let _ = machine.due(NOW);
        machine.finish_submit(&ids[usize::from(number)], &answer(201, RUNNING), NOW);
    }
    (machine, ids)
}

fn cancels(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Cancel { .. })).count()
}

#[test]
fn without_a_free_connection_the_alarm_does_not_fire_for_vendor_requests() {
    let (mut machine, ids) = running(7);
    let later = NOW.plus_millis(60_000);
    let polls = machine.due(later).iter().filter(|action| matches!(action, Action::Poll { .. })).count();
    assert_eq!(polls, 5, "all connections are polls that hang");
    machine.cancel(&ids[0], later);
    assert_eq!(cancels(&machine.due(later)), 0);
    assert!(machine.next_due(later).unwrap() > later.plus_millis(1_000), "nothing can be done now");
}

#[test]
fn a_cancel_with_a_final_response_is_not_repeated() {
    for (status, body) in [(204, ""), (200, "{}"), (200, r#"{"success":true}"#), (400, ""), (404, ""), (409, "")] {
        let (mut machine, ids) = running(1);
        machine.cancel(&ids[0], NOW);
        assert_eq!(cancels(&machine.due(NOW)), 1);
        machine.finish_cancel(&ids[0], &answer(status, body), NOW);
        assert_eq!(cancels(&machine.due(NOW.plus_millis(590_000))), 0, "{status} {body}");
    }
}

#[test]
fn a_failed_cancel_is_retried_with_back_off() {
    let (mut machine, ids) = running(1);
    machine.cancel(&ids[0], NOW);
    let mut sent = 0;
    for second in 0..300 {
        let now = NOW.plus_millis(second * 1_000);
        let actions = machine.due(now);
        for action in &actions {
            match action {
                Action::Cancel { job_id, .. } => machine.finish_cancel(job_id, &answer(500, ""), now),
                Action::Poll { job_id, .. } => machine.finish_poll(job_id, &answer(200, RUNNING), now),
                _ => {}
            }
        }
        sent += cancels(&actions);
    }
    assert!((4..=8).contains(&sent), "{sent} cancels in five minutes");
}

#[test]
fn a_batch_with_an_ended_prediction_is_not_withdrawn() {
    let mut machine = machine(limits());
    enqueue(&mut machine, vec![spec(1, "p"), spec(2, "p")]).unwrap();
    let ids = [spec(1, "p").job_id, spec(2, "p").job_id];
    let DispatcherReply::Jobs(named) = machine.withdraw(&ids, true, NOW) else { panic!("{ids:?}") };
    assert_eq!(named.len(), 2);
    let DispatcherReply::Jobs(named) = machine.withdraw(&ids, false, NOW) else { panic!("{ids:?}") };
    assert!(named.is_empty() && ids.iter().all(|id| machine.job(id).is_none()));
}

#[test]
fn a_webhook_during_a_poll_makes_the_next_poll_earlier() {
    let (mut machine, ids) = running(1);
    let asked = NOW.plus_millis(400_000);
    assert!(machine.due(asked).iter().any(|action| matches!(action, Action::Poll { .. })));
    machine.receive_webhook(&ids[0], asked.plus_millis(100));
    machine.finish_poll(&ids[0], &answer(200, RUNNING), asked.plus_millis(200));
    assert_eq!(machine.job(&ids[0]).unwrap().poll_at, asked.plus_millis(1_000));
}

/// The edge passes one call of a webhook in 10 s. So whatever a call announces is seen by a poll that is sent later.
#[test]
fn every_webhook_is_followed_by_a_poll() {
    let (mut machine, ids) = running(1);
    let start = NOW.plus_millis(100_000);
    let at = |millis: i64| start.plus_millis(millis);
    let mut polls = Vec::new();
    let mut webhooks = Vec::new();
    for millis in (0..60_000).step_by(100) {
        // The calls that two isolates have passed, each with its own burst of three and one in 10 s.
        if [0, 5_000, 5_100, 5_600, 20_100, 20_200, 31_000].contains(&millis) {
            machine.receive_webhook(&ids[0], at(millis));
            webhooks.push(millis);
        }
        if machine.due(at(millis)).iter().any(|action| matches!(action, Action::Poll { .. })) {
            polls.push(millis);
            machine.finish_poll(&ids[0], &answer(200, RUNNING), at(millis + 50));
        }
    }
    for passed in webhooks {
        // Calls until 10 s later may have ended at the edge.
        let late = passed + 9_900;
        assert!(polls.iter().any(|poll| *poll >= late && *poll <= late + 10_100), "{passed}: {polls:?}");
    }
}

#[test]
fn only_a_404_or_410_ends_an_overdue_prediction() {
    for (status, ends) in [(401, false), (402, false), (403, false), (400, false), (404, true), (410, true)] {
        let (mut machine, ids) = running(1);
        let late = NOW.plus_millis(601_000);
        machine.finish_poll(&ids[0], &answer(status, ""), late);
        assert_eq!(machine.job(&ids[0]).is_none(), ends, "{status}");
    }
}

#[test]
fn the_alarm_fires_when_the_pause_of_a_model_expires() {
    let mut machine = machine(limits());
    enqueue(&mut machine, vec![spec(1, "p"), spec(2, "p")]).unwrap();
    // The second prediction is in flight when two users' 404s pause the model. A 429 returns the prediction to the
    // queue.
    let mut full = machine.clone();
    enqueue_for(&mut full, UserKey::new("issuer", "another"), "default", vec![spec(3, "p")]).unwrap();
    let _ = full.due(NOW);
    full.finish_submit(&spec(1, "p").job_id, &answer(404, ENVELOPE), NOW);
    full.finish_submit(&spec(3, "p").job_id, &answer(404, ENVELOPE), NOW);
    full.finish_submit(&spec(2, "p").job_id, &answer(429, ""), NOW);
    assert_eq!(full.job(&spec(2, "p").job_id).unwrap().state, JobState::Waiting);
    let mut now = NOW;
    let mut started = false;
    for _ in 0..50 {
        let Some(due) = full.next_due(now) else { break };
        now = due.max(now.plus_millis(1));
        started = full.due(now).iter().any(|action| matches!(action, Action::Submit { .. }));
        if started {
            break;
        }
    }
    assert!(started && now.millis_since(NOW) <= 301_000, "{}", now.millis_since(NOW));
}

#[test]
fn an_unreadable_state_is_rebuilt_from_the_rows() {
    let (machine, ids) = running(2);
    let jobs: Vec<_> = ids.iter().map(|id| machine.job(id).unwrap().clone()).collect();
    let rows = [("main".to_owned(), "not JSON".to_owned())];
    let loaded = LoadedState::read(&rows, &jobs, &BTreeMap::new(), NOW);
    assert_eq!(loaded.unreadable.len(), 7, "every part");
    let (spent, reserved) = loaded.state.accounts.usage(KEY_ACCOUNT, spec(0, "p").day());
    assert_eq!((spent, reserved), (MicroCredits::ZERO, MicroCredits::parse("5").unwrap()));
    assert_eq!(loaded.state.window.earliest(Lane::Create, 60, NOW), NOW.plus_millis(61_000));
}

#[test]
fn requests_in_flight_survive_a_turn_that_could_not_be_stored() {
    let mut before = machine(limits());
    enqueue(&mut before, vec![spec(1, "p")]).unwrap();
    let _ = before.due(NOW);
    let stored = before.job(&spec(1, "p").job_id).unwrap().clone();
    enqueue(&mut before, vec![spec(2, "p")]).unwrap();
    let not_begun = before.due(NOW);
    let loaded = Dispatcher::load(limits(), StoredState::default(), vec![stored], Vec::new());
    let mut after = loaded.resume_work_of(before, &not_begun);
    let _ = after.due(NOW);
    assert!(after.is_submitting(&spec(1, "p").job_id), "its fetch still reports here");
    assert!(after.job(&spec(2, "p").job_id).is_none());
}

/// A Ledger takes all updates of a message or none. One whose row it could not read once held up all the others.
#[test]
fn an_update_that_its_ledger_cannot_apply_holds_up_no_other() {
    let (mut machine, ids) = running(3);
    let [bad, good, other] = [0, 1, 2].map(|index: usize| ids[index].clone());
    let ended = answer(200, r#"{"job_id":"v","status":"failed"}"#);
    let mut now = NOW.plus_millis(10_000);
    let _ = machine.due(now);
    machine.finish_delivery(&user(), &[]);
    ids.iter().for_each(|job_id| machine.finish_poll(job_id, &ended, now));
    let mut acknowledged = Vec::new();
    let mut sizes = Vec::new();
    for _ in 0..20 {
        for action in machine.due(now) {
            let Action::Deliver(delivery) = action else { continue };
            sizes.push(delivery.updates.len());
            if delivery.updates.iter().any(|update| update.job_id == bad) {
                machine.retry_delivery(&delivery.user, &delivery.updates, now);
            } else {
                machine.finish_delivery(&delivery.user, &delivery.updates);
                acknowledged.extend(delivery.updates.into_iter().map(|update| update.job_id));
            }
        }
        now = now.plus_millis(500);
    }
    assert_eq!(acknowledged, [good, other]);
    assert_eq!((sizes[0], sizes[1..].iter().max()), (3, Some(&1)));
}
