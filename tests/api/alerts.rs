//! Alerts reach the operator's receiver: each once, signed, without a user in it, and at no prediction's cost.

use serde_json::{Value, json};
use valetkey::types::ids::UserKey;

use crate::harness::{ISSUER, Options, Stack, VENDOR_KEY, issuers, token, user};
use crate::hostile::keys::encode;
use crate::http::Request;
use crate::identity::{STAFF, SigningKey, settings, token_of};
use crate::receiver::{Answer, Notified, PATH, Receiver, SECRET, gone_url};
use crate::steps::{assert_refused, at_once, job_id, wait_until};
use crate::stored::run_sql;

fn options(receiver: &Receiver) -> Options {
    let settings = vec![("ALERT_WEBHOOK_URL", Some(receiver.url())), ("ALERT_WEBHOOK_SECRET", Some(SECRET.to_owned()))];
    Options { settings, ..Options::default() }
}

/// Ends a prediction with an odd cost, which is an alert, or with an output that contains the key, which is another.
fn end_under(stack: &Stack, subject: &str, members: &Value) {
    let token = token(subject);
    stack.fault("get", 1, &json!({"merge": members}));
    let id = job_id(&stack.create(&token));
    assert_eq!(stack.ended(&token, &id)["status"], "succeeded");
}

fn odd_cost(stack: &Stack, subject: &str) {
    end_under(stack, subject, &json!({"status": "succeeded", "credits_used": -1}));
}

fn told_of(receiver: &Receiver, alert: &str) -> Vec<Notified> {
    receiver.notified().into_iter().filter(|told| told.json()["alert"] == alert).collect()
}

fn wait_for(receiver: &Receiver, alert: &str) -> Notified {
    wait_until(alert, || told_of(receiver, alert).pop())
}

#[test]
fn an_alert_is_sent_once_with_a_signature_and_without_a_user() {
    let receiver = Receiver::start(&[], Answer::Status(204));
    let stack = Stack::start(&options(&receiver));
    let subject = user("odd-cost");
    odd_cost(&stack, &subject);
    odd_cost(&stack, &subject);
    let leak = json!({"status": "succeeded", "output": [format!("https://cdn.example/{VENDOR_KEY}.png")]});
    end_under(&stack, &subject, &leak);
    // Notifications are sent one after the other, so a second one of the first alert would have come before.
    let leaked = wait_for(&receiver, "vendor_key_in_output");
    let costs = told_of(&receiver, "unreadable_cost");
    assert_eq!(costs.len(), 1, "{:?}", receiver.notified());
    for told in [&costs[0], &leaked] {
        told.assert_signed();
        assert_eq!((told.target.as_str(), told.header("content-type")), (PATH, "application/json"));
        let body = told.json();
        let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!((members, &body["detail"]), (vec!["alert", "detail", "time"], &Value::Null));
        assert!(!told.body.contains(&subject) && !told.body.contains(VENDOR_KEY));
    }
    stack.assert_logged("\"alert\":\"unreadable_cost\"");
    assert_eq!(stack.worker_log().matches("unreadable_cost").count(), 1);
}

#[test]
fn a_failed_notification_is_sent_again_with_the_same_id_and_no_redirect_is_followed() {
    let receiver = Receiver::start(&[Answer::Status(307)], Answer::Status(200));
    let stack = Stack::start(&options(&receiver));
    odd_cost(&stack, &user("again"));
    let told = wait_until("the second try", || Some(receiver.notified()).filter(|told| told.len() > 1));
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].header("webhook-id"), told[1].header("webhook-id"));
    assert_eq!(told[0].body, told[1].body);
    assert!(told[0].header("webhook-timestamp") < told[1].header("webhook-timestamp"));
    for told in &told {
        assert_eq!(told.target, PATH, "never /elsewhere");
        told.assert_signed();
    }
}

#[test]
fn a_receiver_that_hangs_up_is_tried_again_and_an_endless_answer_is_not_read() {
    let receiver = Receiver::start(&[Answer::HangUp], Answer::Endless);
    let stack = Stack::start(&options(&receiver));
    let subject = user("endless");
    odd_cost(&stack, &subject);
    wait_until("the second try", || (receiver.notified().len() > 1).then_some(()));
    let leak = json!({"status": "succeeded", "output": [format!("https://cdn.example/{VENDOR_KEY}.png")]});
    end_under(&stack, &subject, &leak);
    wait_for(&receiver, "vendor_key_in_output");
    // The first alert was taken, so the second one did not wait for its third try.
    assert_eq!(receiver.notified().len(), 3, "{:?}", receiver.notified());
}

/// Four predictions at once start and end: every slot and every connection for creates is free.
fn assert_nothing_waits(stack: &Stack) {
    let answers = at_once(4, |_| {
        let token = token(&user("beside"));
        let created = stack.create(&token);
        (created.status, stack.ended(&token, &job_id(&created))["status"].clone())
    });
    assert_eq!(answers, vec![(201, json!("succeeded")); 4]);
}

#[test]
fn a_silent_receiver_costs_no_prediction_anything() {
    let receiver = Receiver::start(&[], Answer::Silence);
    let stack = Stack::start(&options(&receiver));
    odd_cost(&stack, &user("silent"));
    // The notification is in flight.
    wait_for(&receiver, "unreadable_cost");
    assert_nothing_waits(&stack);
    assert_eq!(receiver.notified().len(), 1, "one at a time");
}

#[test]
fn a_receiver_that_is_gone_costs_no_prediction_anything() {
    let mut options = options(&Receiver::start(&[], Answer::HangUp));
    options.settings[0].1 = Some(gone_url());
    let stack = Stack::start(&options);
    odd_cost(&stack, &user("gone"));
    stack.assert_logged("\"alert\":\"unreadable_cost\"");
    assert_nothing_waits(&stack);
}

#[test]
fn an_alert_of_the_edge_is_told_once_however_often_a_caller_causes_it() {
    let receiver = Receiver::start(&[], Answer::Status(200));
    let mut list = issuers();
    list.as_array_mut()
        .unwrap()
        .push(json!({"issuer": "https://gone.example", "audience": ["x"], "algorithms": ["ES256"],
        "keys": {"jwks_url": "http://{vendor}/idp/auth0/keys"}}));
    let mut options = options(&receiver);
    options.settings.push(("ISSUERS", Some(list.to_string())));
    let stack = Stack::start(&options);
    stack.fault("keys", 1_000, &json!({"status": 500, "body": ""}));
    let claims = json!({"iss": "https://gone.example", "aud": "x", "sub": "s", "iat": 1, "exp": 9_999_999_999_u64});
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": "k"});
    let token = format!("{}.{}.{}", encode(header.to_string()), encode(claims.to_string()), encode([0; 64]));
    for _ in 0..3 {
        let answer = stack.send(&Request::get("/v1/predictions").bearer(&token));
        assert_refused(&answer, 503, "api_error", "upstream_unavailable");
    }
    wait_for(&receiver, "key_set_unavailable").assert_signed();
    odd_cost(&stack, &user("after"));
    wait_for(&receiver, "unreadable_cost");
    assert_eq!(told_of(&receiver, "key_set_unavailable").len(), 1);
    assert_eq!(stack.worker_log().matches("\"key_set_unavailable\"").count(), 1);
}

#[test]
fn an_alert_that_waits_for_its_next_try_survives_a_restart() {
    let receiver = Receiver::start(&[], Answer::Status(500));
    let mut stack = Stack::start(&options(&receiver));
    odd_cost(&stack, &user("restart"));
    let first = wait_for(&receiver, "unreadable_cost");
    receiver.answer(Answer::Status(200));
    stack.restart_workerd();
    let told = wait_until("the second try", || Some(receiver.notified()).filter(|told| told.len() > 1));
    assert_eq!(told[1].header("webhook-id"), first.header("webhook-id"));
}

#[test]
fn ordinary_requests_raise_no_alert() {
    let stack = Stack::start(&Options::default());
    let good = token(&user("ordinary"));
    let id = job_id(&stack.create(&good));
    assert_eq!(stack.ended(&good, &id)["status"], "succeeded");
    stack.control_put("/settings", &json!({"manual": true}));
    let canceled = job_id(&stack.create(&good));
    stack.send(&Request::post(&format!("/v1/predictions/{canceled}/cancel")).bearer(&good));
    assert_eq!(stack.ended(&good, &canceled)["status"], "canceled");
    for target in ["/readyz", "/v1/models", "/v1/predictions", "/v1/account", "/v1/files", "/nowhere"] {
        stack.get(&good, target);
    }
    for number in 0..5 {
        let id = canceled.replace("pred_0", &format!("pred_{number}"));
        assert_eq!(stack.get("no-token", &format!("/v1/predictions/{id}")).status, 401);
    }
    stack.create(&good);
    assert!(!stack.worker_log().contains("\"event\":\"alert\""), "{}", stack.worker_log());
}

#[test]
fn a_message_that_an_object_cannot_handle_is_told() {
    let receiver = Receiver::start(&[], Answer::Status(200));
    let stack = Stack::start(&options(&receiver));
    let subject = user("odd-message");
    stack.create(&token(&subject));
    for (binding, name, alert) in [
        ("LEDGER", UserKey::new(ISSUER, &subject).as_str(), "ledger_failed"),
        ("DISPATCHER", "main", "dispatcher_failed"),
    ] {
        stack.send_raw_to_object(binding, name, &json!({"no_such_message": {}}));
        stack.assert_logged(&format!("\"alert\":\"{alert}\""));
        // The next request hands it over.
        wait_until(alert, || {
            stack.get(&token(&subject), "/v1/predictions");
            told_of(&receiver, alert).pop()
        })
        .assert_signed();
    }
}

#[test]
fn an_alarm_that_an_object_cannot_handle_is_told() {
    let mut stack = Stack::start(&Options { is_observed: true, ..Options::default() });
    let subject = user("odd-alarm");
    let good = token(&subject);
    let id = job_id(&stack.create(&good));
    stack.ended(&good, &id);
    stack.kill_workerd();
    for class in ["dispatcher", "ledger"] {
        run_sql(&stack, class, "INSERT INTO migrations VALUES (1001, 1)", "");
    }
    stack.start_workerd_again();
    for (binding, name, alert) in [
        ("LEDGER", UserKey::new(ISSUER, &subject).as_str(), "ledger_alarm_failed"),
        ("DISPATCHER", "main", "dispatcher_alarm_failed"),
    ] {
        stack.run_alarm(binding, name);
        stack.assert_logged(&format!("\"alert\":\"{alert}\""));
    }
    stack.assert_logged("storage_too_new");
}

#[test]
fn many_bad_tokens_are_told_to_the_log_alone() {
    let receiver = Receiver::start(&[], Answer::Status(200));
    let stack = Stack::start(&options(&receiver));
    send_bad_tokens(&stack, "/v1/predictions");
    odd_cost(&stack, &user("after"));
    wait_for(&receiver, "unreadable_cost");
    assert_eq!((told_of(&receiver, "bad_tokens").len(), stack.worker_log().matches("bad_tokens").count()), (0, 1));
}

#[test]
fn many_bad_tokens_of_operators_are_told() {
    let stack = Stack::start(&Options { settings: settings(&[&SigningKey::new("k1")]), ..Options::default() });
    send_bad_tokens(&stack, "/admin/api/state");
}

/// Sends bad tokens until the alert comes. A hundred of them may fall into two minutes.
fn send_bad_tokens(stack: &Stack, target: &str) {
    wait_until("the alert", || {
        let statuses = at_once(8, |_| (0..25).map(|_| stack.get("no.valid.token", target).status).collect::<Vec<_>>());
        assert!(statuses.concat().iter().all(|status| *status == 401));
        stack.worker_log().contains("\"alert\":\"bad_tokens\"").then_some(())
    });
}

#[test]
fn an_operator_sees_the_latest_alerts_also_after_a_restart() {
    let mut stack = Stack::start(&Options { settings: settings(&[&SigningKey::new("k1")]), ..Options::default() });
    let shown =
        |stack: &Stack| stack.get(&token_of(STAFF, "boss", &json!({})), "/admin/api/state").json()["alerts"].clone();
    assert_eq!(shown(&stack), json!([]));
    odd_cost(&stack, &user("shown"));
    let alerts = shown(&stack);
    assert_eq!((alerts.as_array().unwrap().len(), &alerts[0]["alert"]), (1, &json!("unreadable_cost")), "{alerts}");
    stack.restart_workerd();
    assert_eq!(shown(&stack), alerts);
}
