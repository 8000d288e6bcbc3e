//! The alerts of the Dispatcher: what raises each and what does not, and how they are told.

use std::collections::BTreeMap;

use valetkey::dispatcher::{Action, Dispatcher, DispatcherLimits, Job, OutboxRow, Pool, StoredState};
use valetkey::messages::{Deadline, EnqueueRefusal, JobSpec, QueueShare};
use valetkey::notification::Notification;
use valetkey::types::alert::{Alert, RaisedAlert};
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::{JobId, UserKey};
use valetkey::types::model::ModelId;
use valetkey::types::time::UnixMillis;
use valetkey::vendor::body::VendorBody;
use valetkey::vendor::output::OutputRule;
use valetkey::vendor::reply::{RateLimit, VendorReply, VendorResponse};

use crate::vendor_replies::{RUNNING, answer};

const NOW: UnixMillis = UnixMillis(1_768_473_000_000);
const MINUTE: i64 = 60_000;

fn credits(text: &str) -> MicroCredits {
    MicroCredits::parse(text).unwrap()
}

fn limits() -> DispatcherLimits {
    DispatcherLimits {
        requests_per_minute: 60,
        expected_other_requests: 0,
        concurrent_predictions: 2,
        daily_credits: None,
        max_waiting: 500,
        max_wait_millis: 10 * MINUTE,
        pools: BTreeMap::new(),
        key_fingerprint: "key".into(),
        other_key_fingerprint: None,
        outputs: OutputRule::for_upstream("https://vendor.example/v1"),
        longest_slot_millis: 2_000_000,
        sends_alerts: true,
    }
}

fn with_credits(key: Option<&str>, pool: Option<&str>) -> DispatcherLimits {
    let pool = Pool {
        daily_credits: pool.map(credits),
        max_waiting: 100,
        max_input_bytes: 1_000_000,
        weight: None,
        concurrent_predictions: None,
    };
    DispatcherLimits {
        daily_credits: key.map(credits),
        concurrent_predictions: 100,
        pools: BTreeMap::from([("guest".to_owned(), pool)]),
        ..limits()
    }
}

fn machine(limits: DispatcherLimits) -> Dispatcher {
    Dispatcher::load(limits, StoredState::default(), Vec::new(), Vec::new())
}

fn at(minutes: i64) -> UnixMillis {
    NOW.plus_millis(minutes * MINUTE)
}

fn spec(number: u8, price: &str) -> JobSpec {
    JobSpec {
        job_id: JobId::new(NOW, [number; 10]),
        model: ModelId::parse("acme/x").unwrap(),
        input: serde_json::Map::new(),
        image_count: 1,
        credits: credits(price),
        max_seconds: 60,
    }
}

/// Enqueues a create of one user and plan.
fn enqueue(machine: &mut Dispatcher, plan: &str, specs: Vec<JobSpec>) -> Result<(), EnqueueRefusal> {
    let share = QueueShare { plan: plan.into(), weight: 1, concurrent_predictions: 100, max_waiting: 100 };
    machine.enqueue(&UserKey::new("i", "s"), specs, &share, Deadline::after(NOW, 1_600), false, NOW)
}

fn told(machine: &mut Dispatcher) -> Vec<RaisedAlert> {
    machine.take_changes().alerts
}

/// Returns a machine with one running prediction.
fn running() -> (Dispatcher, JobId) {
    let mut machine = machine(limits());
    let spec = spec(1, "1");
    let id = spec.job_id.clone();
    enqueue(&mut machine, "default", vec![spec]).unwrap();
    let _ = machine.due(NOW);
    machine.finish_submit(&id, &answer(201, RUNNING), NOW);
    let _ = machine.take_changes();
    (machine, id)
}

/// Makes a turn each ten seconds, in which every poll and cancel gets this answer. Returns the alerts.
fn alerts_until(machine: &mut Dispatcher, minutes: i64, reply: &VendorReply) -> Vec<Alert> {
    let mut alerts = Vec::new();
    for step in 0..minutes * 6 {
        let now = NOW.plus_millis(step * 10_000);
        for action in machine.due(now) {
            match action {
                Action::Poll { job_id, .. } => machine.finish_poll(&job_id, reply, now),
                Action::Cancel { job_id, .. } => machine.finish_cancel(&job_id, reply, now),
                _ => {}
            }
        }
        alerts.extend(told(machine).into_iter().map(|raised| raised.alert));
    }
    alerts
}

#[test]
fn the_credits_of_a_day_are_told_at_80_percent_and_at_the_end_once_each() {
    for (limits, detail) in
        [(with_credits(Some("10"), None), None), (with_credits(None, Some("10")), Some("guest".to_owned()))]
    {
        let mut machine = machine(limits);
        let mut seen = Vec::new();
        for number in 0..13 {
            let _ = enqueue(&mut machine, "guest", vec![spec(number, "1")]);
            seen.push(told(&mut machine));
        }
        let [low, spent] = [Alert::DailyCreditsLow, Alert::DailyCreditsSpent]
            .map(|alert| vec![RaisedAlert { alert, detail: detail.clone() }]);
        assert!(seen[..7].iter().all(Vec::is_empty), "below 80 %");
        assert_eq!((&seen[7], &seen[9]), (&low, &spent));
        assert!(seen[8].is_empty() && seen[10..].iter().all(Vec::is_empty), "once: {seen:?}");
        // Not even after ten quiet minutes.
        let mut later =
            Dispatcher::load(machine_limits(detail.as_deref()), machine.stored_state().clone(), Vec::new(), Vec::new());
        let _ = enqueue(&mut later, "guest", vec![spec(20, "1")]);
        assert!(told(&mut later).is_empty(), "a restart knows what was told");
    }
}

fn machine_limits(detail: Option<&str>) -> DispatcherLimits {
    if detail.is_none() { with_credits(Some("10"), None) } else { with_credits(None, Some("10")) }
}

#[test]
fn credits_that_an_operator_has_raised_are_told_again() {
    let mut before = machine(with_credits(Some("10"), None));
    enqueue(&mut before, "default", vec![spec(1, "10")]).unwrap();
    assert_eq!(told(&mut before), [Alert::DailyCreditsSpent.into()]);
    let raised = with_credits(Some("20"), None);
    let mut after = Dispatcher::load(raised, before.stored_state().clone(), Vec::new(), Vec::new());
    for (number, price, expected) in [(2, "5.9", None), (3, "0.1", Some(Alert::DailyCreditsLow))] {
        let share = QueueShare { plan: "default".into(), weight: 1, concurrent_predictions: 100, max_waiting: 100 };
        let (specs, now) = (vec![spec(number, price)], at(11));
        after.enqueue(&UserKey::new("i", "s"), specs, &share, Deadline::after(now, 1_600), false, now).unwrap();
        assert_eq!(told(&mut after), expected.map(RaisedAlert::from).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn credits_that_do_not_suffice_for_one_prediction_are_spent_and_a_large_batch_says_nothing() {
    let mut machine = machine(with_credits(Some("10"), None));
    enqueue(&mut machine, "default", vec![spec(1, "3")]).unwrap();
    assert!(enqueue(&mut machine, "default", (2..6).map(|number| spec(number, "3")).collect()).is_err());
    assert!(told(&mut machine).is_empty(), "one would have fit");
    enqueue(&mut machine, "default", vec![spec(6, "4.5")]).unwrap();
    assert!(told(&mut machine).is_empty(), "75 %");
    assert!(enqueue(&mut machine, "default", vec![spec(7, "3")]).is_err());
    assert_eq!(told(&mut machine), [Alert::DailyCreditsSpent.into()]);
    let mut unlimited = self::machine(with_credits(None, None));
    enqueue(&mut unlimited, "guest", vec![spec(1, "1000")]).unwrap();
    assert!(told(&mut unlimited).is_empty());
}

/// Returns the alerts of ten minutes in which the vendor says that so many requests are left in each minute.
fn alerts_with_requests_left(left: i64) -> Vec<Alert> {
    let (mut machine, id) = running();
    enqueue(&mut machine, "default", vec![spec(2, "1")]).unwrap();
    let mut alerts = Vec::new();
    for second in 1..590 {
        let now = NOW.plus_millis(second * 1_000);
        let rate_limit = RateLimit {
            limit: Some("60".into()),
            remaining: Some(left.to_string()),
            reset: Some((now.seconds().0 + 30).to_string()),
        };
        let reply = VendorReply::Response(VendorResponse {
            status: 200,
            retry_after: None,
            rate_limit,
            body: VendorBody::read(RUNNING.as_bytes()),
        });
        machine.finish_poll(&id, &reply, now);
        let _ = machine.due(now);
        alerts.extend(told(&mut machine).into_iter().map(|raised| raised.alert));
    }
    alerts.retain(|alert| *alert == Alert::QueueStuck);
    alerts
}

#[test]
fn a_queue_that_stands_although_a_slot_is_free_is_told_once() {
    assert_eq!(alerts_with_requests_left(0), [Alert::QueueStuck]);
}

#[test]
fn a_queue_that_moves_or_is_full_or_paused_is_not_stuck() {
    assert!(alerts_with_requests_left(30).is_empty(), "it starts");
    // No slot is free.
    let (mut full, _) = running();
    enqueue(&mut full, "default", vec![spec(2, "1"), spec(3, "1"), spec(4, "1")]).unwrap();
    assert!(!alerts_until(&mut full, 2, &answer(200, RUNNING)).contains(&Alert::QueueStuck));
    // The key is refused.
    let (mut paused, id) = running();
    enqueue(&mut paused, "default", vec![spec(2, "1")]).unwrap();
    paused.finish_poll(&id, &answer(401, ""), NOW);
    assert!(!alerts_until(&mut paused, 9, &answer(401, "")).contains(&Alert::QueueStuck));
}

#[test]
fn a_prediction_that_does_not_end_in_time_is_told_and_one_that_ends_is_not() {
    let (mut machine, _) = running();
    assert!(alerts_until(&mut machine, 4, &answer(200, RUNNING)).contains(&Alert::PredictionTimedOut));
    let (mut machine, _) = running();
    assert!(alerts_until(&mut machine, 4, &answer(200, r#"{"status":"succeeded"}"#)).is_empty());
}

#[test]
fn a_create_in_flight_at_a_restart_is_told_and_one_that_was_answered_is_not() {
    let mut before = machine(limits());
    enqueue(&mut before, "default", vec![spec(1, "1")]).unwrap();
    let _ = before.due(NOW);
    let job: Job = before.job(&spec(1, "1").job_id).unwrap().clone();
    let mut after = Dispatcher::load(limits(), before.stored_state().clone(), vec![job], Vec::new());
    let _ = after.due(NOW);
    assert_eq!(told(&mut after), [Alert::CreateOutcomeUnknown.into()]);
    let (before, id) = running();
    let job = before.job(&id).unwrap().clone();
    let mut after = Dispatcher::load(limits(), before.stored_state().clone(), vec![job], Vec::new());
    let _ = after.due(NOW);
    assert!(told(&mut after).is_empty());
}

#[test]
fn an_update_that_is_never_acknowledged_is_told_after_a_day() {
    let (mut machine, id) = running();
    machine.finish_poll(&id, &answer(200, r#"{"status":"succeeded"}"#), NOW);
    let row: OutboxRow = machine.outbox_row(&id).unwrap().clone();
    let mut after = Dispatcher::load(limits(), machine.stored_state().clone(), Vec::new(), vec![row]);
    let _ = after.due(at(24 * 60 - 1));
    assert!(told(&mut after).is_empty(), "not yet a day");
    let update = after.outbox_row(&id).unwrap().update.clone();
    after.retry_delivery(&UserKey::new("i", "s"), &[update], at(24 * 60 - 1));
    let _ = after.due(at(24 * 60 + 2));
    assert_eq!(told(&mut after), [Alert::DeadLetter.into()]);
}

/// Returns the notification that a turn starts.
fn sent(machine: &mut Dispatcher, now: UnixMillis) -> Option<Notification> {
    machine.due(now).into_iter().find_map(|action| match action {
        Action::SendAlert(notification) => Some(notification),
        _ => None,
    })
}

#[test]
fn a_notification_is_tried_three_times_with_one_id() {
    let mut machine = machine(limits());
    machine.take_over_alerts(&[Alert::KeySetUnavailable.into()], NOW);
    assert!(told(&mut machine).is_empty(), "whoever raised it has logged it");
    let mut tries = Vec::new();
    for second in 0..600 {
        let now = NOW.plus_millis(second * 1_000);
        if let Some(notification) = sent(&mut machine, now) {
            assert_eq!(sent(&mut machine, now), None, "one is in flight");
            machine.finish_alert(&notification.id, false, now);
            tries.push((second, notification));
        }
    }
    assert_eq!(tries.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [0, 10, 70]);
    assert!(tries.iter().all(|(_, notification)| *notification == tries[0].1));
    assert_eq!(tries[0].1.body, r#"{"alert":"key_set_unavailable","detail":null,"time":"2026-01-15T10:30:00Z"}"#);
    assert_eq!(machine.next_due(at(10)), None, "given up");
}

#[test]
fn an_alert_of_many_isolates_is_sent_once_and_again_after_ten_quiet_minutes() {
    let mut machine = machine(limits());
    let mut times = Vec::new();
    for minute in [0, 1, 9, 18, 28, 29] {
        machine.take_over_alerts(&[Alert::VendorKeyInAnswer.into()], at(minute));
        if let Some(notification) = sent(&mut machine, at(minute)) {
            machine.finish_alert(&notification.id, true, at(minute));
            times.push(minute);
        }
    }
    assert_eq!(times, [0, 28]);
}

#[test]
fn alerts_that_were_not_sent_survive_a_restart_and_one_that_was_told_is_not_told_again() {
    let mut before = machine(limits());
    before.take_over_alerts(&[Alert::KeyLeak.into(), RaisedAlert::about(Alert::StateUnreadable, "window")], NOW);
    let first = sent(&mut before, NOW).unwrap();
    before.finish_alert(&first.id, true, NOW);
    let mut after = Dispatcher::load(limits(), before.stored_state().clone(), Vec::new(), Vec::new());
    let second = sent(&mut after, NOW).unwrap();
    assert!(second.body.contains("state_unreadable") && second.id != first.id, "{second:?}");
    after.finish_alert(&second.id, true, NOW);
    after.take_over_alerts(&[Alert::KeyLeak.into()], at(9));
    assert_eq!(sent(&mut after, at(9)), None, "told nine minutes ago");
    let kept: Vec<&str> = after.latest_alerts().map(|kept| kept.raised.alert.name()).collect();
    assert_eq!(kept, ["state_unreadable", "key_leak"], "the latest first");
}

#[test]
fn the_latest_fifty_alerts_are_kept_and_without_a_receiver_none_is_sent() {
    let mut machine = machine(DispatcherLimits { sends_alerts: false, ..limits() });
    for number in 0..60 {
        machine.take_over_alerts(&[RaisedAlert::about(Alert::StateUnreadable, number.to_string())], NOW);
    }
    let details: Vec<_> = machine.latest_alerts().map(|kept| kept.raised.detail.clone().unwrap()).collect();
    assert_eq!((details.len(), details[0].as_str(), details[49].as_str()), (50, "59", "10"));
    assert_eq!((sent(&mut machine, NOW), machine.next_due(NOW)), (None, None));
}

#[test]
fn an_alert_of_a_newer_build_is_dropped_and_hides_no_other() {
    let text = r#"{"alerts":[{"at":1,"raised":{"alert":"from_the_future"}},{"at":2,"raised":{"alert":"key_leak"}}]}"#;
    let state: StoredState = serde_json::from_str(text).unwrap();
    let machine = Dispatcher::load(limits(), state, Vec::new(), Vec::new());
    assert_eq!(machine.latest_alerts().map(|kept| kept.at).collect::<Vec<_>>(), [UnixMillis(2)]);
}

/// Returns the alerts of two minutes of a rotation in which the old key's prediction gets this answer to each poll.
fn alerts_of_rotation(reply: &VendorReply) -> Vec<Alert> {
    let (before, id) = running();
    let job: Job = before.job(&id).unwrap().clone();
    let next = DispatcherLimits { other_key_fingerprint: Some("next".into()), longest_slot_millis: MINUTE, ..limits() };
    let mut machine = Dispatcher::load(next, before.stored_state().clone(), vec![job], Vec::new());
    let _ = machine.due(NOW);
    machine.finish_key_check("next", &answer(200, "{}"), NOW);
    let mut alerts = alerts_until(&mut machine, 2, reply);
    alerts.retain(|alert| *alert == Alert::RotationStuck);
    alerts
}

#[test]
fn a_rotation_whose_old_predictions_never_end_is_told_and_one_that_drains_is_not() {
    assert_eq!(alerts_of_rotation(&answer(200, RUNNING)), [Alert::RotationStuck]);
    assert!(alerts_of_rotation(&answer(200, r#"{"status":"succeeded"}"#)).is_empty());
}
