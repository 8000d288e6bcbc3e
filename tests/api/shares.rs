//! The order of starts (turns and weights), and the credits that all users of a key or a plan share.

use serde_json::{Value, json};

use crate::harness::{Stack, now, token, token_with, user};
use crate::http::Request;
use crate::steps::{assert_refused, at_once, job_id, policy_with, retry_after, wait_until};

/// A stack whose slots are all taken, so that new creates wait. `release` frees the slots; from then on predictions end
/// by themselves.
struct Held(Stack);

impl Held {
    fn new(policy: &Value, slots: usize) -> Self {
        let stack = Stack::with_policy(policy);
        stack.control_put("/settings", &json!({"manual": true}));
        let blocker = token(&user("blocker"));
        for slot in 0..slots {
            assert_eq!(stack.prompt(&blocker, &format!("blocker {slot}")).status, 201);
        }
        Self(stack)
    }

    /// Queues `count` predictions of one user, with prompts that start with `name`.
    fn line(&self, name: &str, claims: Value, count: usize) {
        let token = token_with(&user(name), claims);
        for number in 0..count {
            let answer = self.0.prompt(&token, &format!("{name} {number}"));
            assert_eq!(answer.status, 202, "{}", answer.text());
        }
    }

    /// Frees the slots and returns the user names of the next `count` starts, in order.
    fn release(&self, slots: usize, count: usize) -> Vec<String> {
        self.0.control_put("/settings", &json!({"manual": false}));
        for slot in 0..slots {
            self.0.finish(&format!("blocker {slot}"), &json!({}));
        }
        let sent = wait_until("all started", || Some(self.0.sent()).filter(|sent| sent.len() >= slots + count));
        sent[slots..slots + count].iter().map(|prompt| prompt.split(' ').next().unwrap().to_owned()).collect()
    }
}

fn count(starts: &[String], name: &str) -> usize {
    starts.iter().filter(|start| *start == name).count()
}

#[test]
fn a_users_long_queue_does_not_delay_another_user() {
    let held = Held::new(&policy_with(&json!({}), &json!({"concurrent_predictions": 1})), 1);
    held.line("greedy", json!({}), 8);
    held.line("modest", json!({}), 2);
    let starts = held.release(1, 6);
    assert_eq!(count(&starts[..2], "modest"), 1, "{starts:?}");
    assert_eq!(count(&starts[..4], "modest"), 2, "{starts:?}");
}

#[test]
fn a_users_own_predictions_start_in_the_order_of_their_creates() {
    let held = Held::new(&policy_with(&json!({}), &json!({"concurrent_predictions": 1})), 1);
    held.line("alice", json!({}), 5);
    held.release(1, 5);
    let numbers: Vec<String> = held.0.sent().into_iter().skip(1).collect();
    assert_eq!(numbers, ["alice 0", "alice 1", "alice 2", "alice 3", "alice 4"]);
}

#[test]
fn starts_are_shared_by_the_weights_of_plans() {
    let mut policy = policy_with(&json!({"max_waiting": 30}), &json!({"concurrent_predictions": 4}));
    policy["plans"]["heavy"] = policy["plans"]["default"].clone();
    policy["plans"]["heavy"]["weight"] = json!(3);
    let held = Held::new(&policy, 4);
    held.line("light", json!({}), 10);
    held.line("heavy", json!({"plan": "heavy"}), 22);
    let starts = held.release(4, 24);
    for (from, window) in starts.windows(20).enumerate() {
        // The shares are 15 and 5; neither user is more than one start behind.
        assert!(count(window, "heavy") >= 14 && count(window, "light") >= 4, "from {from}: {starts:?}");
    }
}

#[test]
fn the_daily_credits_of_the_key_are_shared_by_all_users() {
    let key = json!({"daily_credits": "5", "concurrent_predictions": 1});
    let stack = Stack::with_policy(&policy_with(&json!({}), &key));
    stack.control_put("/settings", &json!({"manual": true}));
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| token(&user(name)));
    assert_eq!(stack.prompt(&alice, "first").status, 201);
    let waiting = stack.prompt(&bob, "second");
    assert_eq!(waiting.status, 202, "{}", waiting.text());
    let refused = stack.prompt(&carol, "third");
    assert_refused(&refused, 503, "api_error", "upstream_unavailable");
    let midnight = 86_400 - now() % 86_400;
    let wait = retry_after(&refused);
    assert!((midnight - 3..=midnight + 3).contains(&wait), "{wait} s, and the day has {midnight} s left");
    let usage = stack.usage(&carol);
    assert_eq!((&usage["predictions"], &usage["credits_reserved"]), (&json!(0), &json!("0")));
    // Released credits are available to every user.
    stack.send(&Request::post(&format!("/v1/predictions/{}/cancel", job_id(&waiting))).bearer(&bob));
    assert_eq!(stack.prompt(&carol, "fourth").status, 202);
    assert_refused(&stack.prompt(&bob, "fifth"), 503, "api_error", "upstream_unavailable");
    assert_eq!(stack.sent(), ["first"]);
    stack.finish("first", &json!({"credits_used": "1"}));
    wait_until("the fourth starts", || (stack.sent().len() == 2).then_some(()));
    assert_refused(&stack.prompt(&bob, "sixth"), 503, "api_error", "upstream_unavailable");
    stack.finish("fourth", &json!({"credits_used": "1"}));
    // 2 of 5 credits are spent: one more prediction fits, a second does not.
    wait_until("there is room again", || (stack.prompt(&bob, "seventh").status < 300).then_some(()));
    assert_refused(&stack.prompt(&alice, "eighth"), 503, "api_error", "upstream_unavailable");
    stack.assert_sent(&["first", "fourth", "seventh"]);
}

#[test]
fn the_pool_credits_of_a_plan_are_shared_by_its_users() {
    let mut policy = policy_with(&json!({}), &json!({}));
    policy["plans"]["pooled"] = policy["plans"]["default"].clone();
    policy["plans"]["pooled"]["pool_daily_credits"] = json!("5");
    let stack = Stack::with_policy(&policy);
    let pooled = || token_with(&user("pooled"), json!({"plan": "pooled"}));
    for prompt in ["first", "second"] {
        let token = pooled();
        assert_eq!(stack.ended(&token, &job_id(&stack.prompt(&token, prompt)))["credits_used"], "2.5");
    }
    let third = pooled();
    assert_refused(&stack.prompt(&third, "third"), 402, "payment_error", "insufficient_credits");
    let usage = stack.usage(&third);
    assert_eq!((&usage["predictions"], &usage["credits_reserved"]), (&json!(0), &json!("0")));
    assert_eq!(stack.get(&third, "/v1/predictions").json()["data"], json!([]));
    assert_eq!(stack.prompt(&token(&user("other")), "fourth").status, 201, "another plan is not concerned");
    stack.assert_sent(&["first", "second", "fourth"]);
}

#[test]
fn a_burst_never_overspends_a_pool() {
    let mut policy = policy_with(&json!({}), &json!({"daily_credits": "20"}));
    policy["plans"]["pooled"] = policy["plans"]["default"].clone();
    policy["plans"]["pooled"]["pool_daily_credits"] = json!("10");
    let stack = Stack::with_policy(&policy);
    let answers = at_once(30, |number| {
        // Half of the creates are of the pooled plan: 4 of these fit its pool, and 8 of all fit the key.
        let plan = if number % 2 == 0 { "pooled" } else { "default" };
        let token = token_with(&user("pooled"), json!({"plan": plan}));
        (plan, stack.prompt(&token, &format!("{plan} {number}")))
    });
    let accepted = |plan: &str| answers.iter().filter(|(of, answer)| *of == plan && answer.status < 300).count();
    assert!(accepted("pooled") <= 4, "{}", accepted("pooled"));
    assert_eq!(accepted("pooled") + accepted("default"), 8);
    for (plan, answer) in answers.iter().filter(|(_, answer)| answer.status >= 300) {
        match (*plan, answer.status) {
            ("pooled", 402) => assert_refused(answer, 402, "payment_error", "insufficient_credits"),
            _ => assert_refused(answer, 503, "api_error", "upstream_unavailable"),
        }
    }
    // An accepted prediction may still wait for a connection to the vendor.
    wait_until("all are sent", || (stack.sent().len() == 8).then_some(()));
}

/// Anyone can be any number of guests.
#[test]
fn guests_hold_half_of_the_slots_at_most() {
    let mut policy = policy_with(&json!({}), &json!({"concurrent_predictions": 4}));
    policy["plans"]["guest"] = json!({"requests_per_minute": 60, "predictions_per_minute": 10,
        "concurrent_predictions": 1, "daily_credits": "50", "pool_daily_credits": "500", "pool_waiting_share": 0.5});
    let stack = Stack::with_policy(&policy);
    stack.control_put("/settings", &json!({"manual": true}));
    let guest = |number: usize| token_with(&user(&format!("guest-{number}")), json!({"plan": "guest"}));
    let statuses: Vec<u16> = (0..6).map(|number| stack.prompt(&guest(number), &format!("g{number}")).status).collect();
    assert_eq!(statuses, [201, 201, 202, 202, 202, 202]);
    assert_eq!(stack.prompt(&token(&user("member")), "m").status, 201, "the other slots are for members");
    stack.finish("g0", &json!({}));
    stack.assert_sent(&["g0", "g1", "m", "g2"]);
}
