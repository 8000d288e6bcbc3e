//! The app's backend is told when a prediction ends: once, signed, again after a failure, and at no prediction's cost.

use serde_json::json;
use valetkey::types::ids::UserKey;

use crate::harness::{ISSUER, Options, Stack, token, user};
use crate::http::Request;
use crate::receiver::{Answer, Notified, PATH, Receiver, SECRET};
use crate::steps::{at_once, job_id, wait_until};

fn stack(receiver: &Receiver) -> Stack {
    let settings =
        vec![("EVENTS_WEBHOOK_URL", Some(receiver.url())), ("EVENTS_WEBHOOK_SECRET", Some(SECRET.to_owned()))];
    Stack::start(&Options { settings, ..Options::default() })
}

/// Creates a prediction, waits until it has ended, and returns its id.
fn ended(stack: &Stack, subject: &str) -> String {
    let token = token(subject);
    let id = job_id(&stack.create(&token));
    assert_eq!(stack.ended(&token, &id)["status"], "succeeded");
    id
}

fn told_of(receiver: &Receiver, job_id: &str) -> Vec<Notified> {
    receiver.notified().into_iter().filter(|told| told.json()["job_id"] == job_id).collect()
}

fn wait_for(receiver: &Receiver, job_id: &str) -> Notified {
    wait_until("the event", || told_of(receiver, job_id).pop())
}

#[test]
fn each_end_is_told_once_with_a_signature() {
    let receiver = Receiver::start(&[], Answer::Status(200));
    let stack = stack(&receiver);
    let subject = user("told");
    let token = token(&subject);
    let succeeded = ended(&stack, &subject);
    stack.fault("get", 1, &json!({"merge": {"status": "failed"}}));
    let failed = job_id(&stack.create(&token));
    stack.ended(&token, &failed);
    stack.control_put("/settings", &json!({"manual": true}));
    let canceled = job_id(&stack.create(&token));
    stack.send(&Request::post(&format!("/v1/predictions/{canceled}/cancel")).bearer(&token));
    stack.ended(&token, &canceled);
    for (id, status) in [(succeeded, "succeeded"), (failed, "failed"), (canceled, "canceled")] {
        let told = wait_for(&receiver, &id);
        told.assert_signed();
        let shown = stack.get(&token, &format!("/v1/predictions/{id}")).json();
        let expected = json!({"job_id": id, "status": status, "model": "acme/model-x",
            "user": UserKey::new(ISSUER, &subject).as_str(), "completed_at": shown["completed_at"]});
        assert_eq!((told.json(), told.target.as_str()), (expected, PATH));
        assert_eq!(told.header("webhook-id"), format!("event_{id}"));
    }
    // Events of a user are sent one after the other, so a second one would have come before the last first one.
    assert_eq!(receiver.notified().len(), 3, "{:?}", receiver.notified());
}

#[test]
fn an_event_that_failed_is_sent_again_with_the_same_id_and_body() {
    let receiver = Receiver::start(&[Answer::HangUp], Answer::Endless);
    let stack = stack(&receiver);
    let subject = user("again");
    let id = ended(&stack, &subject);
    let told = wait_until("the second try", || Some(told_of(&receiver, &id)).filter(|told| told.len() > 1));
    assert_eq!((told.len(), told[0].header("webhook-id")), (2, told[1].header("webhook-id")));
    assert_eq!(told[0].body, told[1].body);
    told.iter().for_each(Notified::assert_signed);
    // An endless answer is taken, and not read.
    let next = ended(&stack, &subject);
    wait_for(&receiver, &next);
    assert_eq!(receiver.notified().len(), 3, "{:?}", receiver.notified());
}

#[test]
fn an_event_that_failed_is_sent_again_after_a_restart_without_any_request() {
    let receiver = Receiver::start(&[], Answer::Status(500));
    let mut stack = stack(&receiver);
    let id = ended(&stack, &user("restart"));
    let first = wait_for(&receiver, &id);
    receiver.answer(Answer::Status(200));
    stack.restart_workerd();
    let told = wait_until("the second try", || {
        Some(told_of(&receiver, &id)).filter(|told| told.last().is_some_and(|told| told.answer == Answer::Status(200)))
    });
    assert_eq!(told.last().unwrap().header("webhook-id"), first.header("webhook-id"));
}

#[test]
fn a_receiver_that_never_answers_delays_nothing_and_gets_one_event_at_a_time() {
    let receiver = Receiver::start(&[], Answer::Silence);
    let stack = stack(&receiver);
    let subject = user("silent");
    let first = ended(&stack, &subject);
    wait_for(&receiver, &first);
    // This user's event is in flight. More predictions of the same user and of others start and end.
    let (owner, others) = (token(&subject), token(&user("beside")));
    let answers = at_once(4, |number| {
        let token = if number < 2 { &owner } else { &others };
        let created = stack.create(token);
        (created.status, stack.ended(token, &job_id(&created))["status"].clone())
    });
    assert_eq!(answers, vec![(201, json!("succeeded")); 4]);
    let users: Vec<String> = receiver.notified().iter().map(|told| told.json()["user"].to_string()).collect();
    assert_eq!(users.iter().filter(|user| **user == users[0]).count(), 1, "{users:?}");
}
