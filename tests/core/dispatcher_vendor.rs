//! Tests of the Dispatcher's reaction to odd vendor responses, step by step.

use std::collections::BTreeMap;

use valetkey::dispatcher::{Action, Dispatcher, DispatcherLimits, JobState, StoredState};
use valetkey::messages::{CreateOutcome, Deadline, JobEnd, JobSpec, QueueShare};
use valetkey::types::alert::{Alert, RaisedAlert};
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::{JobId, UserKey};
use valetkey::types::model::ModelId;
use valetkey::types::prediction::{Failure, Status};
use valetkey::types::secret::VendorKey;
use valetkey::types::time::UnixMillis;
use valetkey::vendor::body::VendorBody;
use valetkey::vendor::key_scan::KeyScan;
use valetkey::vendor::output::OutputRule;
use valetkey::vendor::reply::{RateLimit, VendorReply, VendorResponse};

use crate::vendor_replies::{ENVELOPE, RUNNING, answer};

const NOW: UnixMillis = UnixMillis(1_768_473_000_000);
const KEY: &str = "sk_live_AbcdefghijKlmnopqrstUvwxyz";

/// Returns the limits of a deployment with the keys `current` and, if `second`, `second`.
fn limits(second: bool) -> DispatcherLimits {
    let scan = KeyScan::new([&VendorKey::try_new(KEY).unwrap()]);
    DispatcherLimits {
        requests_per_minute: 6_000,
        expected_other_requests: 10,
        concurrent_predictions: 100,
        daily_credits: None,
        max_waiting: 500,
        max_wait_millis: 600_000,
        pools: BTreeMap::new(),
        key_fingerprint: "current".into(),
        other_key_fingerprint: second.then(|| "second".into()),
        outputs: OutputRule::for_upstream("https://vendor.example/v1").with_key_scan(scan),
        longest_slot_millis: 2_000_000,
        sends_alerts: false,
    }
}

fn machine() -> Dispatcher {
    Dispatcher::load(limits(false), StoredState::default(), Vec::new(), Vec::new())
}

fn at(seconds: i64) -> UnixMillis {
    NOW.plus_millis(seconds * 1_000)
}

fn spec(number: u8, model: &str) -> JobSpec {
    JobSpec {
        job_id: JobId::new(NOW, [number; 10]),
        model: ModelId::parse(model).unwrap(),
        input: serde_json::Map::new(),
        image_count: 1,
        credits: MicroCredits::parse("1").unwrap(),
        max_seconds: 600,
    }
}

fn response(status: u16, body: VendorBody) -> VendorResponse {
    VendorResponse { status, retry_after: None, rate_limit: RateLimit::default(), body }
}

/// Submits a create of a user and returns its id, or `None` if it does not start.
fn submit(machine: &mut Dispatcher, number: u8, user: &str, plan: &str, model: &str, now: UnixMillis) -> Option<JobId> {
    let (spec, owner) = (spec(number, model), UserKey::new("issuer", user));
    let id = spec.job_id.clone();
    let share = QueueShare { plan: plan.into(), weight: 1, concurrent_predictions: 100, max_waiting: 100 };
    machine.enqueue(&owner, vec![spec], &share, Deadline::after(now, 1_600), false, now).ok()?;
    let _ = machine.due(now);
    machine.is_submitting(&id).then_some(id)
}

/// Returns a machine with one running prediction.
fn running() -> (Dispatcher, JobId) {
    let mut machine = machine();
    let id = submit(&mut machine, 1, "user", "default", "acme/x", NOW).unwrap();
    machine.finish_submit(&id, &answer(201, RUNNING), NOW);
    let _ = machine.take_changes();
    (machine, id)
}

/// Returns the machine of [`running`] after a restart with one or two configured keys. `own` is the fingerprint of the
/// key that submitted the prediction.
fn running_with_keys(second: bool, own: &str) -> (Dispatcher, JobId) {
    let (machine, id) = running();
    let mut job = machine.job(&id).unwrap().clone();
    job.vendor_key_fingerprint = Some(own.to_owned());
    (Dispatcher::load(limits(second), machine.stored_state().clone(), vec![job], Vec::new()), id)
}

fn end(machine: &Dispatcher, id: &JobId) -> Option<JobEnd> {
    machine.outbox_row(id)?.update.end.clone()
}

fn alerts(machine: &mut Dispatcher) -> Vec<&'static str> {
    machine.take_changes().alerts.iter().map(|raised| raised.alert.name()).collect()
}

/// Polls until the prediction has ended or `seconds` have passed. `answer_to` returns the response to each poll.
fn poll_until(
    machine: &mut Dispatcher,
    id: &JobId,
    seconds: i64,
    mut answer_to: impl FnMut(&str, i64) -> VendorReply,
) -> Vec<(i64, String)> {
    let mut polls = Vec::new();
    for second in 0..seconds {
        for action in machine.due(at(second)) {
            if let Action::Poll { job_id, vendor_key_fingerprint: Some(key), .. } = action {
                machine.finish_poll(&job_id, &answer_to(&key, second), at(second));
                polls.push((second, key));
            }
        }
        if machine.job(id).is_none() {
            break;
        }
    }
    polls
}

#[test]
fn an_unreadable_poll_counts_for_its_prediction_only() {
    for odd in [answer(200, "<html>"), answer(200, "{}"), answer(302, ""), answer(400, ENVELOPE), answer(409, "")] {
        let (mut machine, id) = running();
        for second in 0..10 {
            machine.finish_poll(&id, &odd, at(second));
        }
        assert_eq!(machine.stored_state().health.failures, 0);
        machine.finish_poll(&id, &answer(200, r#"{"status":"succeeded"}"#), at(11));
        assert_eq!(end(&machine, &id).unwrap().status, Status::Succeeded);
    }
    for failed in [answer(500, ENVELOPE), answer(503, ""), VendorReply::TimedOut, VendorReply::Broken] {
        let (mut machine, id) = running();
        for second in 0..5 {
            machine.finish_poll(&id, &failed, at(second));
        }
        assert!(machine.stored_state().health.is_paused(), "{failed:?}");
    }
}

#[test]
fn a_body_that_is_too_large_is_an_alert_and_no_failure() {
    let large = || VendorReply::Response(response(200, VendorBody::TooLarge));
    let (mut machine, id) = running();
    for second in 0..10 {
        machine.finish_poll(&id, &large(), at(second));
    }
    assert_eq!(alerts(&mut machine), ["vendor_answer_too_large"], "once");
    assert_eq!((machine.stored_state().health.failures, machine.job(&id).is_some()), (0, true));
    let created = submit(&mut machine, 2, "user", "default", "acme/x", at(11)).unwrap();
    assert_eq!(machine.finish_submit(&created, &large(), at(11)), CreateOutcome::Unreadable);
    assert_eq!(end(&machine, &created).unwrap().failure, Some(Failure::OutcomeUnknown));
    assert_eq!(machine.stored_state().health.failures, 0);
    let created = submit(&mut machine, 3, "user", "default", "acme/x", at(12)).unwrap();
    assert_eq!(machine.finish_submit(&created, &answer(200, "<html>"), at(12)), CreateOutcome::Unreadable);
    assert_eq!(machine.stored_state().health.failures, 1, "an unreadable 2xx to a create counts");
}

#[test]
fn the_cost_is_booked_as_far_as_it_can_be_read() {
    for (members, credits, alert) in [
        (r#""credits_used":7.300000000000001"#, "7.300001", false),
        (r#""credits_used":" 2.5 ""#, "2.5", false),
        (r#""credits_used":1e1"#, "10", false),
        (r#""credits_used":0"#, "0", false),
        (r#""credits_used":2,"credits_used":9"#, "9", false),
        (r#""credits_used":9,"credits_used":2"#, "9", false),
        (r#""credits_used":null"#, "1", false),
        (r#""x":1"#, "1", false),
        (r#""credits_used":-1"#, "1", true),
        (r#""credits_used":"much""#, "1", true),
        (r#""credits_used":9,"credits_used":"much""#, "1", true),
        (r#""credits_used":{"amount":9}"#, "1", true),
    ] {
        let (mut machine, id) = running();
        machine.finish_poll(&id, &answer(200, &format!(r#"{{"status":"processing",{members}}}"#)), at(1));
        assert!(alerts(&mut machine).is_empty(), "nothing is booked yet");
        machine.finish_poll(&id, &answer(200, &format!(r#"{{"status":"succeeded",{members}}}"#)), at(2));
        assert_eq!(end(&machine, &id).unwrap().credits, MicroCredits::parse(credits).unwrap(), "{members}");
        assert_eq!(alerts(&mut machine), if alert { vec!["unreadable_cost"] } else { vec![] }, "{members}");
    }
}

#[test]
fn an_envelope_in_a_200_is_a_refusal_and_two_ids_are_not() {
    let mut machine = machine();
    let id = submit(&mut machine, 1, "user", "default", "acme/x", NOW).unwrap();
    assert_eq!(machine.finish_submit(&id, &answer(200, ENVELOPE), NOW), CreateOutcome::Rejected);
    let ended = end(&machine, &id).unwrap();
    assert_eq!((ended.failure, ended.credits), (Some(Failure::UpstreamRejected), MicroCredits::ZERO));
    let _ = machine.take_changes();
    let id = submit(&mut machine, 2, "user", "default", "acme/x", NOW).unwrap();
    let two = r#"{"job_id":"a","job_id":"b","status":"processing"}"#;
    assert_eq!(machine.finish_submit(&id, &answer(201, two), NOW), CreateOutcome::Unreadable);
    assert_eq!(end(&machine, &id).unwrap().failure, Some(Failure::OutcomeUnknown));
    assert_eq!(alerts(&mut machine), ["vendor_ids_conflict"]);
}

#[test]
fn status_words_end_a_prediction_and_unknown_ones_are_an_alert() {
    for (word, status) in [("Completed", Status::Succeeded), ("aborted", Status::Failed), ("TIMED_OUT", Status::Failed)]
    {
        let (mut machine, id) = running();
        machine.finish_poll(&id, &answer(200, &format!(r#"{{"status":"{word}"}}"#)), at(1));
        assert_eq!(end(&machine, &id).unwrap().status, status, "{word}");
        assert!(alerts(&mut machine).is_empty());
    }
    let (mut machine, id) = running();
    let mut told = Vec::new();
    for second in [1, 2, 500] {
        machine.finish_poll(&id, &answer(200, r#"{"status":"waiting for the moon to rise"}"#), at(second));
        told.extend(machine.take_changes().alerts);
    }
    assert_eq!(told, [RaisedAlert::about(Alert::UnknownVendorStatus, "waitingforthemoo")]);
    assert!(machine.job(&id).is_some());
}

#[test]
fn a_status_word_that_contains_the_key_is_not_logged() {
    let (mut machine, id) = running();
    machine.finish_poll(&id, &answer(200, &format!(r#"{{"status":"{KEY}"}}"#)), at(1));
    assert_eq!(machine.take_changes().alerts, [RaisedAlert::about(Alert::UnknownVendorStatus, "")]);
}

#[test]
fn a_reset_far_ahead_is_ignored_with_one_alert() {
    let with_reset = |reset: i64| {
        VendorReply::Response(VendorResponse {
            rate_limit: RateLimit {
                remaining: Some("0".into()),
                reset: Some(reset.to_string()),
                ..RateLimit::default()
            },
            ..response(200, VendorBody::read(RUNNING.as_bytes()))
        })
    };
    let next_poll = |reset: i64| {
        let (mut machine, id) = running();
        machine.finish_poll(&id, &with_reset(reset), at(1));
        machine.finish_poll(&id, &with_reset(reset), at(2));
        let polls = poll_until(&mut machine, &id, 400, |_, _| answer(200, r#"{"status":"succeeded"}"#));
        (polls[0].0, alerts(&mut machine))
    };
    let (now, ignored) = (NOW.seconds().0, vec!["rate_limit_reset_ignored"]);
    assert_eq!(next_poll(now + 60), (60, vec![]));
    assert_eq!(next_poll(now + 121), (121, vec![]), "120 s ahead of the first look at 1 s");
    for reset in [now + 3_600, (now + 60) * 1_000, i64::MAX] {
        let (first, told) = next_poll(reset);
        assert!(first < 10 && told == ignored, "{reset}: {first} {told:?}");
    }
}

/// Returns a poll's response that says: of 60 requests of the minute that ends at `reset`, `used` were made.
fn with_usage(used: i64, reset: UnixMillis) -> VendorReply {
    let rate_limit = RateLimit {
        limit: Some("60".into()),
        remaining: Some((60 - used).to_string()),
        reset: Some(reset.seconds().0.to_string()),
    };
    VendorReply::Response(VendorResponse { rate_limit, ..response(200, VendorBody::read(RUNNING.as_bytes())) })
}

/// Polls once in ten seconds for three minutes, while others make `others` requests a minute. Returns the alerts.
fn alerts_beside(others: i64) -> Vec<&'static str> {
    let (mut machine, id) = running();
    let mut own: Vec<i64> = vec![0];
    for second in (1..180).step_by(10) {
        let polled = machine.due(at(second)).iter().any(|action| matches!(action, Action::Poll { .. }));
        if polled {
            own.push(second);
            own.retain(|sent| second - sent < 60);
            let used = i64::try_from(own.len()).unwrap() + others;
            machine.finish_poll(&id, &with_usage(used, at(own[0] + 60)), at(second));
        }
    }
    alerts(&mut machine)
}

#[test]
fn a_key_that_somebody_else_uses_is_told_once() {
    assert_eq!(alerts_beside(14), ["key_leak"]);
}

#[test]
fn requests_of_programs_that_are_expected_are_no_leak() {
    for others in [0, 10, 13] {
        assert_eq!(alerts_beside(others), Vec::<&str>::new(), "{others}");
    }
}

/// Sends eight creates 400 ms after a second, and polls later, in each of three minutes. The vendor counts these alone, and
/// rounds its reset up.
#[test]
fn a_burst_in_the_second_before_the_vendors_minute_is_no_leak() {
    let limits = DispatcherLimits { requests_per_minute: 600, expected_other_requests: 0, ..limits(false) };
    let mut machine = Dispatcher::load(limits, StoredState::default(), Vec::new(), Vec::new());
    for minute in 0..3 {
        let now = at(60 * minute).plus_millis(400);
        let share = QueueShare { plan: "default".into(), weight: 1, concurrent_predictions: 100, max_waiting: 100 };
        let first = u8::try_from(minute).unwrap() * 8;
        let specs = (first..first + 8).map(|number| spec(number, "acme/x")).collect();
        let owner = UserKey::new("issuer", "user");
        machine.enqueue(&owner, specs, &share, Deadline::after(now, 1_600), false, now).unwrap();
        let (mut sent, reset) = (0, now.plus_millis(60_999));
        for now in [now, now.plus_millis(5_000)] {
            let mut actions = machine.due(now);
            while !actions.is_empty() {
                for action in actions {
                    sent += 1;
                    let reply = with_usage(sent, reset);
                    match action {
                        Action::Submit { spec } => drop(machine.finish_submit(&spec.job_id, &reply, now)),
                        Action::Poll { job_id, .. } => machine.finish_poll(&job_id, &reply, now),
                        _ => sent -= 1,
                    }
                }
                actions = machine.due(now);
            }
            assert!(sent >= 8, "{sent}");
        }
    }
    assert_eq!(alerts(&mut machine), Vec::<&str>::new());
}

#[test]
fn a_refused_key_says_nothing_about_the_prediction() {
    for status in [401, 402, 403] {
        let (mut machine, id) = running();
        let polls = poll_until(&mut machine, &id, 200, |_, second| {
            answer(if second < 75 { status } else { 200 }, r#"{"status":"succeeded","output":["https://a.example/b"]}"#)
        });
        assert_eq!(end(&machine, &id).unwrap().status, Status::Succeeded, "{status}");
        assert!((4..=12).contains(&polls.len()), "with back-off: {polls:?}");
        let told = alerts(&mut machine);
        assert_eq!(told.contains(&"vendor_key_refused"), status == 401, "{told:?}");
        assert_eq!(told.iter().filter(|alert| **alert == "vendor_poll_refused").count(), 1);
        // A poll does not end the pause of the key; only an answered create does.
        assert_eq!(machine.stored_state().health.key_pause.is_some(), status == 401);
    }
}

#[test]
fn an_answered_create_ends_the_trouble_of_the_key() {
    let (mut machine, id) = running();
    machine.finish_poll(&id, &answer(401, ""), at(1));
    assert!(submit(&mut machine, 2, "user", "default", "acme/x", at(2)).is_none());
    machine.finish_poll(&id, &answer(200, RUNNING), at(3));
    let _ = machine.due(at(32));
    let probe = spec(2, "acme/x").job_id;
    assert!(machine.is_submitting(&probe), "one probe after half a minute");
    machine.finish_submit(&probe, &answer(201, RUNNING), at(32));
    assert!(machine.stored_state().health.key_pause.is_none());
}

#[test]
fn a_key_that_stays_refused_loses_the_prediction_when_the_slot_ends() {
    let (mut machine, id) = running();
    let polls = poll_until(&mut machine, &id, 1_300, |_, _| answer(401, ""));
    let ended = end(&machine, &id).unwrap();
    assert_eq!((ended.failure, ended.credits), (Some(Failure::UpstreamLost), MicroCredits::parse("1").unwrap()));
    assert!(polls.last().unwrap().0 > 1_150, "polled until the slot ended: {polls:?}");
    assert!(alerts(&mut machine).contains(&"prediction_lost_by_vendor"));
}

#[test]
fn the_other_key_is_tried() {
    for own in ["current", "second"] {
        let (mut machine, id) = running_with_keys(true, own);
        let other = if own == "current" { "second" } else { "current" };
        let polls = poll_until(&mut machine, &id, 60, |key, _| {
            if key == own { answer(401, "") } else { answer(200, r#"{"status":"succeeded"}"#) }
        });
        let keys: Vec<&str> = polls.iter().map(|(_, key)| key.as_str()).collect();
        assert_eq!(keys, [own, other]);
        assert_eq!(end(&machine, &id).unwrap().status, Status::Succeeded);
        // Creates go on: one refusal is no streak, and there is another key.
        assert_eq!(machine.stored_state().health.key_pause, None);
    }
}

#[test]
fn a_key_that_answered_is_used_again() {
    let (mut machine, id) = running_with_keys(true, "second");
    let polls = poll_until(&mut machine, &id, 60, |key, _| answer(if key == "second" { 403 } else { 200 }, RUNNING));
    let keys: Vec<&str> = polls.iter().map(|(_, key)| key.as_str()).collect();
    assert_eq!(keys[0], "second");
    assert!(keys.len() > 3 && keys[1..].iter().all(|key| *key == "current"), "{keys:?}");
}

#[test]
fn only_the_own_keys_404_counts_towards_lost() {
    for (own, second, is_lost) in
        [("current", false, true), ("second", true, true), ("gone", false, false), ("gone", true, false)]
    {
        for status in [404, 410] {
            let (mut machine, id) = running_with_keys(second, own);
            let polls = poll_until(&mut machine, &id, 300, |_, _| answer(status, ENVELOPE));
            assert!(polls.len() > 3);
            assert_eq!(
                end(&machine, &id).map(|end| end.failure),
                is_lost.then_some(Some(Failure::UpstreamLost)),
                "{own}"
            );
        }
    }
    // A 404 to the other key between refusals of the job's own key does not count either.
    let (mut machine, id) = running_with_keys(true, "current");
    poll_until(&mut machine, &id, 300, |key, _| answer(if key == "current" { 401 } else { 404 }, ""));
    assert!(machine.job(&id).is_some());
}

#[test]
fn a_cancel_that_is_about_the_key_or_came_too_soon_is_sent_again() {
    for (status, again) in [
        (401, true),
        (402, true),
        (403, true),
        (408, true),
        (425, true),
        (429, true),
        (500, true),
        (400, false),
        (404, false),
        (409, false),
        (410, false),
    ] {
        let (mut machine, id) = running();
        machine.cancel(&id, NOW);
        let mut sent = 0;
        for second in 0..60 {
            for action in machine.due(at(second)) {
                if let Action::Cancel { job_id, .. } = action {
                    sent += 1;
                    machine.finish_cancel(&job_id, &answer(if sent == 1 { status } else { 204 }, ""), at(second));
                }
            }
        }
        assert_eq!(sent, if again { 2 } else { 1 }, "{status}");
    }
    let (mut machine, id) = running_with_keys(true, "current");
    machine.cancel(&id, NOW);
    let mut keys = Vec::new();
    for second in 0..60 {
        for action in machine.due(at(second)) {
            if let Action::Cancel { job_id, vendor_key_fingerprint: Some(key), .. } = action {
                machine.finish_cancel(&job_id, &answer(if key == "current" { 401 } else { 204 }, ""), at(second));
                keys.push(key);
            }
        }
    }
    assert_eq!(keys, ["current", "second"]);
}

#[test]
fn one_users_403_does_not_pause_a_model() {
    let refused = |callers: &[(&str, &str)], body: &str| {
        let mut machine = machine();
        for (number, (user, plan)) in (1..).zip(callers) {
            let id = submit(&mut machine, number, user, plan, "acme/x", NOW).unwrap();
            assert_eq!(machine.finish_submit(&id, &answer(403, body), NOW), CreateOutcome::Rejected);
            assert_eq!(end(&machine, &id).unwrap().credits, MicroCredits::ZERO);
        }
        submit(&mut machine, 99, "later", "default", "acme/x", NOW).is_none()
    };
    let (one, two) = (("one", "default"), ("two", "pro"));
    let guests = [("guest-1", "guest"), ("guest-2", "guest")];
    assert!(refused(&[one, two], ENVELOPE));
    assert!(refused(&[guests[0], one], ENVELOPE));
    assert!(!refused(&[one], ENVELOPE));
    assert!(!refused(&[one, one, one], ENVELOPE));
    assert!(!refused(&guests, ENVELOPE), "anyone can be many guests");
    assert!(!refused(&[one, two], "<h1>blocked</h1>"), "a page of a firewall");
    assert!(!refused(&[one, two], ""));
}

#[test]
fn a_model_that_was_accepted_lately_is_not_paused() {
    let mut machine = machine();
    let good = submit(&mut machine, 1, "good", "default", "acme/x", NOW).unwrap();
    machine.finish_submit(&good, &answer(201, RUNNING), NOW);
    for (number, user) in [(2, "one"), (3, "two")] {
        let id = submit(&mut machine, number, user, "default", "acme/x", at(1)).unwrap();
        machine.finish_submit(&id, &answer(404, ENVELOPE), at(1));
    }
    assert!(submit(&mut machine, 4, "later", "default", "acme/x", at(2)).is_some());
    assert_eq!(machine.job(&good).unwrap().state, JobState::Running);
}

#[test]
fn a_firewalls_page_says_nothing_about_the_vendor_or_its_key() {
    let mut machine = machine();
    let id = submit(&mut machine, 1, "one", "default", "acme/x", NOW).unwrap();
    machine.finish_submit(&id, &answer(401, ENVELOPE), NOW);
    let _ = machine.due(at(31));
    machine.finish_submit(&id, &answer(403, "<h1>blocked</h1>"), at(31));
    assert!(machine.stored_state().health.key_pause.is_some(), "the key is still in trouble");
}
