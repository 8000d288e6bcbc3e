//! The limits of a user per minute and per day, and how the responses show them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Stack, now, token, token_with, user};
use crate::http::{Request, Response};
use crate::steps::{assert_refused, at_once, create_of, job_id, policy_with, retry_after, wait_until};

const LIST: &str = "/v1/predictions";

/// Returns `X-RateLimit-Limit`, `-Remaining` and `-Reset`, or `None` if one of them is missing.
fn rate_limit(answer: &Response) -> Option<(i64, i64, i64)> {
    let number = |name: &str| answer.header(name).and_then(|value| value.parse().ok());
    Some((number("x-ratelimit-limit")?, number("x-ratelimit-remaining")?, number("x-ratelimit-reset")?))
}

fn stack_of_plan(plan: &Value) -> Stack {
    Stack::with_policy(&policy_with(plan, &json!({})))
}

#[test]
fn remaining_counts_down_and_reset_is_when_the_window_is_full_again() {
    let stack = stack_of_plan(&json!({"requests_per_minute": 60}));
    let (alice, bob) = (token(&user("alice")), token(&user("bob")));
    let start = now();
    for number in 1..=20 {
        let (limit, remaining, reset) = rate_limit(&stack.get(&alice, LIST)).expect("the headers");
        assert_eq!((limit, remaining), (60, 60 - number));
        // The window is 65 s: a minute, and the five seconds that a drawn block of requests may stay in memory.
        assert!((start + 64..=now() + 66).contains(&reset), "{reset} from {start}");
    }
    let shown = stack.get(&alice, "/v1/account/rate-limits").json()["requests_per_minute"].clone();
    assert_eq!((&shown["limit"], &shown["remaining"]), (&json!(60), &json!(39)));
    assert!((start + 64..=now() + 66).contains(&shown["reset"].as_i64().unwrap()), "{shown}");
    assert_eq!(rate_limit(&stack.get(&bob, LIST)).unwrap().1, 59, "another user has a minute of its own");
}

#[test]
fn rate_limit_headers_are_on_every_response_of_the_ledger_and_on_no_other() {
    let stack = Stack::with_policy(&policy_with(&json!({"daily_credits": "2.5"}), &json!({})));
    stack.control_put("/settings", &json!({"manual": true}));
    let token = token(&user("headers"));
    let created = stack.prompt(&token, "p");
    let path = format!("{LIST}/{}", job_id(&created));
    let of_the_ledger = [
        (created, 201),
        (stack.prompt(&token, "q"), 402),
        (stack.get(&token, &path), 200),
        (stack.get(&token, &format!("{LIST}/pred_01jh0000000000000000000000")), 404),
        (stack.get(&token, &format!("{LIST}/batch/batch_01jh0000000000000000000000")), 404),
        (stack.send(&Request::new("DELETE", &path).bearer(&token)), 409),
        (stack.send(&Request::post(&format!("{path}/cancel")).bearer(&token)), 200),
        (stack.get(&token, "/v1/account"), 200),
        (stack.get(&token, "/v1/account/usage"), 200),
        (stack.get(&token, "/v1/account/balance"), 200),
        (stack.get(&token, "/v1/files"), 200),
    ];
    let mut before = 6000;
    for (answer, status) in of_the_ledger {
        assert_eq!(answer.status, status, "{}", answer.text());
        let (limit, remaining, _) = rate_limit(&answer).unwrap_or_else(|| panic!("no headers: {}", answer.text()));
        assert_eq!((limit, remaining), (6000, before - 1), "{}", answer.text());
        before = remaining;
    }
    let reader = token_with(&user("headers"), json!({"vk": {"scope": ["read"]}}));
    let estimate = json!({"model": "acme/model-x", "input": {"prompt": "p"}});
    let others = [
        (stack.get(&token, "/v1/models"), 200),
        (stack.send(&Request::post("/v1/estimate").bearer(&token).json(&estimate)), 200),
        (stack.get("not.a.token", LIST), 401),
        (stack.prompt(&reader, "p"), 403),
        (stack.get(&token, "/v1/api-keys"), 404),
        (stack.get(&token, "/v1/predictions?limit=0"), 400),
    ];
    for (answer, status) in others {
        assert_eq!(answer.status, status, "{}", answer.text());
        let named = answer.headers.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("x-ratelimit"));
        assert!(!named, "{:?}", answer.headers);
    }
}

#[test]
fn a_burst_of_requests_passes_exactly_up_to_the_limit() {
    let stack = stack_of_plan(&json!({"requests_per_minute": 20}));
    let token = token(&user("burst"));
    let answers = at_once(50, |_| stack.get(&token, LIST));
    let (passed, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(passed.len(), 20);
    for answer in refused {
        assert_refused(&answer, 429, "rate_limit_error", "rate_limited");
        assert!((1..=66).contains(&retry_after(&answer)));
        let (limit, remaining, reset) = rate_limit(&answer).expect("the headers");
        assert_eq!((limit, remaining), (20, 0));
        assert!(reset >= now(), "{reset}");
    }
    assert_refused(&stack.prompt(&token, "p"), 429, "rate_limit_error", "rate_limited");
    assert!(stack.vendor_requests().is_empty());
    assert_eq!(stack.get(&token, "/v1/models").status, 200, "what passes no Ledger is not counted by it");
}

#[test]
fn a_burst_of_creates_passes_exactly_up_to_predictions_per_minute() {
    let stack = stack_of_plan(&json!({"predictions_per_minute": 3}));
    let token = token(&user("burst"));
    let answers = at_once(12, |number| stack.prompt(&token, &format!("p{number}")));
    let (passed, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status < 300);
    assert_eq!(passed.len(), 3);
    for answer in refused {
        assert_refused(&answer, 429, "rate_limit_error", "rate_limited");
        assert!((1..=61).contains(&retry_after(&answer)));
    }
    for answer in passed {
        assert_eq!(stack.ended(&token, &job_id(&answer))["status"], "succeeded", "reads pass");
    }
    assert_eq!(stack.sent().len(), 3);
    let account = stack.get(&token, "/v1/account").json();
    assert_eq!((&account["usage"]["predictions"], &account["credits_balance"]), (&json!(3), &json!("992.5")));
    let shown = stack.get(&token, "/v1/account/rate-limits").json()["predictions_per_minute"].clone();
    assert_eq!((&shown["limit"], &shown["remaining"]), (&json!(3), &json!(0)));
}

/// A request: when it was sent and when it was answered.
type Span = (Instant, Instant);

/// The requests of a client that sends two per second: those that were let in, and what the `Retry-After` of the others
/// promised.
#[derive(Default)]
struct Tries {
    let_in: Vec<Span>,
    promises: Vec<(Span, Duration)>,
}

impl Tries {
    fn add(&mut self, send: impl FnOnce() -> Response) {
        let sent = Instant::now();
        let answer = send();
        let span = (sent, Instant::now());
        if answer.status < 300 {
            self.let_in.push(span);
        } else {
            assert_refused(&answer, 429, "rate_limit_error", "rate_limited");
            self.promises.push((span, Duration::from_secs(retry_after(&answer).unsigned_abs())));
        }
    }

    /// Returns whether a request was let in after the first minute's.
    fn has_room_again(&self, limit: usize) -> bool {
        self.let_in.len() > limit
    }

    fn assert_limit(&self, limit: usize) {
        for window in self.let_in.windows(limit + 1) {
            let span = window[limit].1 - window[0].0;
            assert!(span >= Duration::from_mins(1), "{} in {span:?}", limit + 1);
        }
        assert!(self.has_room_again(limit), "a minute later there is room again");
        // There was no room when the last refusal before it was sent, and room when this one was answered.
        let (sent, answered) = self.let_in[limit];
        let before: Vec<_> = self.promises.iter().filter(|((_, at), _)| *at <= sent).collect();
        let ((last_refused, _), _) = before.last().unwrap();
        for ((sent, replied), wait) in &before {
            // `Retry-After` is in whole seconds.
            let slack = Duration::from_millis(1_200);
            assert!(*sent + *wait <= answered + slack, "Retry-After: {wait:?} is too long");
            assert!(*last_refused <= *replied + *wait + slack, "Retry-After: {wait:?} is too short");
        }
    }
}

#[test]
fn no_minute_holds_more_than_the_limit_and_retry_after_names_the_second_that_has_room() {
    let mut policy = policy_with(&json!({"requests_per_minute": 10}), &json!({}));
    // This plan's creates reach `predictions_per_minute` long before `requests_per_minute`.
    policy["plans"]["maker"] = json!({"requests_per_minute": 6000, "predictions_per_minute": 2,
        "concurrent_predictions": 100, "daily_credits": "1000"});
    let stack = Stack::with_policy(&policy);
    let (reader, maker) = (token(&user("reader")), token_with(&user("maker"), json!({"plan": "maker"})));
    let (mut reads, mut creates) = (Tries::default(), Tries::default());
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(72) || !(reads.has_room_again(10) && creates.has_room_again(2)) {
        assert!(start.elapsed() < Duration::from_mins(3), "no room");
        let next = Instant::now() + Duration::from_millis(500);
        reads.add(|| stack.get(&reader, LIST));
        creates.add(|| stack.prompt(&maker, "p"));
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    reads.assert_limit(10);
    creates.assert_limit(2);
    assert_eq!(stack.sent().len(), creates.let_in.len());
}

#[test]
fn a_restart_refunds_no_requests_and_costs_at_most_a_tenth() {
    let mut stack = stack_of_plan(&json!({"requests_per_minute": 60, "predictions_per_minute": 2}));
    let token = token(&user("restarted"));
    for prompt in ["p", "q"] {
        assert_eq!(stack.prompt(&token, prompt).status, 201);
    }
    stack.restart_workerd();
    let remaining = rate_limit(&stack.get(&token, LIST)).expect("the headers").1;
    assert!((60 - 6 - 3..=60 - 3).contains(&remaining), "{remaining}");
    assert_refused(&stack.prompt(&token, "r"), 429, "rate_limit_error", "rate_limited");
    assert_eq!(stack.sent().len(), 2);
}

#[test]
fn an_occasional_client_is_charged_only_for_its_own_requests() {
    let stack = stack_of_plan(&json!({"requests_per_minute": 60}));
    let token = token(&user("idle"));
    // The Ledger draws requests in blocks of a tenth of the limit, and returns what a block has not used in 5 s.
    for number in 1..=4 {
        assert_eq!(rate_limit(&stack.get(&token, LIST)).unwrap().1, 60 - number);
        std::thread::sleep(Duration::from_secs(6));
    }
}

#[test]
fn the_account_shows_the_callers_limits_usage_and_balance() {
    let plan = json!({"requests_per_minute": 600, "predictions_per_minute": 30, "daily_credits": "20"});
    let stack = Stack::with_policy(&policy_with(&plan, &json!({"concurrent_predictions": 1})));
    stack.control_put("/settings", &json!({"manual": true}));
    let (alice, bob) = (token(&user("alice")), token(&user("bob")));
    let ids: Vec<String> = ["first", "second"].iter().map(|prompt| job_id(&stack.prompt(&alice, prompt))).collect();
    let account = stack.get(&alice, "/v1/account").json();
    let usage = json!({"day": account["usage"]["day"], "credits_spent": "0", "credits_reserved": "5",
        "predictions": 2, "running": 1, "waiting": 1});
    assert_eq!((&account["usage"], &account["credits_balance"]), (&usage, &json!("15")));
    let limits = &account["limits"];
    assert_eq!((&limits["requests_per_minute"], &limits["daily_credits"]), (&json!(600), &json!("20")));
    assert_eq!((&limits["predictions_per_minute"], &limits["concurrent_predictions"]), (&json!(30), &json!(100)));
    let rates = stack.get(&alice, "/v1/account/rate-limits").json();
    assert_eq!(rates["concurrent_predictions"], json!({"limit": 100, "running": 1, "waiting": 1}));
    assert_eq!(rates["predictions_per_minute"]["remaining"], 28);
    stack.send(&Request::post(&format!("/v1/predictions/{}/cancel", ids[1])).bearer(&alice));
    // The price that the vendor charged counts, even above the price table's.
    stack.finish("first", &json!({"credits_used": "4"}));
    assert_eq!(stack.ended(&alice, &ids[0])["credits_used"], "4");
    let balance = stack.get(&alice, "/v1/account/balance").json();
    assert_eq!((&balance["credits_balance"], &balance["daily_credits"]), (&json!("16"), &json!("20")));
    let midnight = stack.get(&alice, "/v1/account/usage").json()["data"][0].clone();
    assert_eq!((&midnight["credits_spent"], &midnight["credits_reserved"]), (&json!("4"), &json!("0")));
    assert_eq!(midnight["day"], usage["day"]);
    let others = stack.usage(&bob);
    assert_eq!((&others["predictions"], &others["credits_spent"]), (&json!(0), &json!("0")));
}

#[test]
fn unspent_credits_are_released() {
    let plan = json!({"daily_credits": "5"});
    let stack = Stack::with_policy(&policy_with(&plan, &json!({"concurrent_predictions": 1})));
    stack.control_put("/settings", &json!({"manual": true}));
    let token = token(&user("thrifty"));
    let first = job_id(&stack.prompt(&token, "first"));
    let waiting = stack.prompt(&token, "second");
    assert_eq!(waiting.status, 202);
    assert_refused(&stack.prompt(&token, "third"), 402, "payment_error", "insufficient_credits");
    stack.send(&Request::post(&format!("/v1/predictions/{}/cancel", job_id(&waiting))).bearer(&token));
    let again = stack.prompt(&token, "fourth");
    assert_eq!(again.status, 202, "{}", again.text());
    // The vendor charged less than the price table: settlement releases the difference.
    stack.finish("first", &json!({"credits_used": "0"}));
    assert_eq!(stack.ended(&token, &first)["credits_used"], "0");
    wait_until("the fourth starts", || stack.sent().contains(&"fourth".to_owned()).then_some(()));
    assert_eq!(stack.send(&create_of(&token, "fifth")).status, 202);
    assert_refused(&stack.prompt(&token, "sixth"), 402, "payment_error", "insufficient_credits");
    assert_eq!(stack.sent(), ["first", "fourth"]);
    let usage = stack.usage(&token);
    assert_eq!((&usage["credits_spent"], &usage["credits_reserved"]), (&json!("0"), &json!("5")));
}
