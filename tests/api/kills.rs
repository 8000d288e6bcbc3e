//! workerd is killed at random times under load, and started again on the same storage.
//!
//! `KILLS_SEED` repeats a run; a failing one prints its seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Stack, token, user};
use crate::http::Response;
use crate::steps::{at_once, create_of, policy_with, wait_until};

const KILLS: usize = 20;
/// Many users with few creates each: a kill may cost a user a tenth of its minute, and ten of them all of it.
const USERS: usize = 20;
const CREATES_EACH: usize = 3;
/// Kills of the other test.
const ROUNDS: usize = 40;
const CREATES_A_ROUND: usize = 8;
/// A slot whose outcome nobody knows is free again after this long.
const MAX_SECONDS: u64 = 4;

/// Xorshift: good enough to pick moments, and repeatable.
struct Random(u64);

impl Random {
    fn millis(&mut self, below: u64) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_millis(self.0 % below)
    }
}

fn seed() -> u64 {
    let given = std::env::var("KILLS_SEED").ok().and_then(|seed| seed.parse().ok());
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    given.unwrap_or(u64::from(nanos) | 1)
}

fn stack() -> Stack {
    let mut policy =
        policy_with(&json!({"max_waiting": 100}), &json!({"requests_per_minute": 6000, "concurrent_predictions": 5}));
    policy["models"]["acme/model-x"]["max_seconds"] = json!(MAX_SECONDS);
    let stack = Stack::with_policy(&policy);
    // Limits of the vendor's own, so that a slot which is used twice is seen.
    stack.control_put("/settings", &json!({"concurrent_limit": 5, "prediction_ms": 1_000, "jitter_ms": 500}));
    // Slow answers: many a kill comes between a create and its answer, on either side of the vendor's work.
    let slow = json!({"route": "create", "times": null, "fault": {"delay_ms": 100, "delay_after_ms": 150}});
    stack.control_post("/faults", &slow);
    stack
}

/// The id that an answer gives the client; `None` if it is to try again with the same key.
fn accepted(answer: &Response) -> Option<String> {
    // The answer of a process that was killed may end anywhere.
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let id = body["job_id"].as_str().or_else(|| body["error"]["details"]["job_id"].as_str());
    match (answer.status, id) {
        (201 | 202 | 502 | 504, Some(id)) => Some(id.to_owned()),
        (503, None) => None,
        (409, None) if body["error"]["code"] == "idempotency_in_progress" => None,
        // Ten kills may have cost this user its minute.
        (429, None) if body["error"]["code"] == "rate_limited" => None,
        _ => panic!("unexpected: {} {body}", answer.status),
    }
}

/// What a good client does: the same key until there is an answer.
fn create_until_accepted(address: &Mutex<String>, token: &str, key: &str, prompt: &str) -> String {
    let request = create_of(token, prompt).header("Idempotency-Key", key);
    wait_until(prompt, || {
        let address = address.lock().unwrap().clone();
        let answer = (!address.is_empty()).then(|| request.try_send(&address).ok()).flatten();
        answer.as_ref().and_then(accepted)
    })
}

/// All creates of one user, with pauses in which others come; the ids that it was given.
fn client(address: &Mutex<String>, token: &str, name: &str, mut random: Random) -> Vec<String> {
    let create = |number: usize| {
        std::thread::sleep(random.millis(13_000));
        create_until_accepted(address, token, &format!("key {number}"), &format!("{name} {number}"))
    };
    (0..CREATES_EACH).map(create).collect()
}

/// `None` while the user's minute, which kills may have cost, is not over.
fn list(stack: &Stack, token: &str) -> Option<Vec<Value>> {
    let answer = stack.get(token, "/v1/predictions?limit=100");
    if answer.status == 429 {
        return None;
    }
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"].as_array().cloned()
}

/// The sum of decimal strings; prices here are halves, which are exact.
fn sum<'a>(credits: impl Iterator<Item = &'a Value>) -> f64 {
    credits.filter_map(Value::as_str).map(|text| text.parse::<f64>().unwrap()).sum()
}

/// Every row of a user has ended and is paid as its end says; the account adds up.
fn assert_settled(stack: &Stack, token: &str, given: &[String]) -> Vec<String> {
    let rows = wait_until("all end", || {
        list(stack, token).filter(|rows| rows.iter().all(|row| row["completed_at"].is_string()))
    });
    let known: BTreeSet<&str> = rows.iter().map(|row| row["job_id"].as_str().unwrap()).collect();
    assert!(given.iter().all(|id| known.contains(id.as_str())), "an accepted prediction is lost");
    assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), CREATES_EACH, "one prediction for each key");
    let mut ends = Vec::new();
    for row in &rows {
        let end = row["error"]["code"].as_str().or_else(|| row["status"].as_str()).unwrap().to_owned();
        // Paid for is what the vendor took, or may have taken.
        let paid = matches!(&*end, "succeeded" | "outcome_unknown" | "timed_out" | "upstream_lost");
        if end != "canceled" {
            assert_eq!(sum(std::iter::once(&row["credits_used"])), if paid { 2.5 } else { 0.0 }, "{row}");
        }
        ends.push(end);
    }
    let usage = wait_until("all is settled", || Some(stack.usage(token)).filter(|usage| usage["running"] == 0));
    assert_eq!((&usage["credits_reserved"], &usage["waiting"]), (&json!("0"), &json!(0)));
    assert_eq!(sum(std::iter::once(&usage["credits_spent"])), sum(rows.iter().map(|row| &row["credits_used"])));
    ends
}

fn assert_none_was_sent_twice(stack: &Stack) {
    let mut sent = BTreeMap::<String, usize>::new();
    stack.sent().into_iter().for_each(|prompt| *sent.entry(prompt).or_default() += 1);
    sent.retain(|_, times| *times > 1);
    assert!(sent.is_empty(), "sent more than once: {sent:?}");
}

/// Five creates start at once, so no slot leaked.
fn assert_all_slots_are_back(stack: &Stack) {
    stack.clear_faults();
    // What nobody knows holds its slot until it must have ended, and a second look confirms it.
    std::thread::sleep(Duration::from_secs(MAX_SECONDS + 2));
    let token = token(&user("afterwards"));
    let answers: Vec<Response> = (0..5).map(|number| stack.prompt(&token, &format!("afterwards {number}"))).collect();
    for answer in answers {
        assert_eq!(answer.status, 201, "a slot is missing: {}", answer.text());
        let ended = stack.ended(&token, answer.json()["job_id"].as_str().unwrap());
        assert_eq!(ended["status"], "succeeded");
    }
}

#[test]
fn twenty_kills_lose_no_prediction_send_none_twice_and_keep_no_slot() {
    let seed = seed();
    eprintln!("KILLS_SEED={seed}");
    let (mut stack, mut random) = (stack(), Random(seed));
    let users: Vec<(String, String)> =
        (0..USERS).map(|number| format!("user-{number}")).map(|name| (token(&user(&name)), name)).collect();
    let address = Mutex::new(stack.worker.clone());
    let given: Vec<Vec<String>> = std::thread::scope(|scope| {
        let clients: Vec<_> = users
            .iter()
            .enumerate()
            .map(|(number, (token, name))| {
                let random = Random(seed.rotate_left(3 * u32::try_from(number + 1).unwrap()) | 1);
                let address = &address;
                scope.spawn(move || client(address, token, name, random))
            })
            .collect();
        for _ in 0..KILLS {
            std::thread::sleep(Duration::from_millis(150) + random.millis(2_000));
            address.lock().unwrap().clear();
            stack.restart_workerd();
            address.lock().unwrap().clone_from(&stack.worker);
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let start = Instant::now();
    let mut ends = BTreeMap::<String, usize>::new();
    for ((token, _), given) in users.iter().zip(&given) {
        assert_settled(&stack, token, given).into_iter().for_each(|end| *ends.entry(end).or_default() += 1);
    }
    eprintln!("ends: {ends:?}, settled {:?} after the last create", start.elapsed());
    assert!(ends.get("succeeded") >= Some(&(USERS * CREATES_EACH / 2)), "most end well all the same: {ends:?}");
    assert_all_slots_are_back(&stack);
    assert_none_was_sent_twice(&stack);
    let state = stack.control_get("/state");
    assert_eq!(state["refused"], json!({"unauthorized": 0, "payment": 0, "rate_limited": 0, "concurrency": 0}));
    assert_eq!(state["in_flight"], 0);
}

#[test]
fn a_kill_in_the_middle_of_an_admission_blocks_no_key_and_keeps_no_credits() {
    let mut policy = policy_with(&json!({}), &json!({}));
    policy["models"]["acme/model-x"]["max_seconds"] = json!(MAX_SECONDS);
    let mut stack = Stack::with_policy(&policy);
    let orders: Vec<(String, String)> =
        (0..ROUNDS * CREATES_A_ROUND).map(|number| (token(&user("cut-off")), format!("p{number}"))).collect();
    for (round, orders) in orders.chunks(CREATES_A_ROUND).enumerate() {
        let address = stack.worker.clone();
        std::thread::scope(|scope| {
            for (token, prompt) in orders {
                let request = create_of(token, prompt).header("Idempotency-Key", "k");
                let address = &address;
                scope.spawn(move || request.try_send(address));
            }
            // Somewhere between the first reservation and the last acknowledgement.
            std::thread::sleep(Duration::from_millis(2 + 3 * u64::try_from(round).unwrap()));
            stack.restart_workerd();
        });
    }
    let (address, start) = (Mutex::new(stack.worker.clone()), Instant::now());
    // A client for each round, so that they are no storm of their own.
    let ids = at_once(ROUNDS, |round| {
        let orders = orders.iter().skip(round * CREATES_A_ROUND).take(CREATES_A_ROUND);
        orders.map(|(token, prompt)| create_until_accepted(&address, token, "k", prompt)).collect::<Vec<_>>()
    })
    .concat();
    // It is for five seconds; it would be for an hour if nobody looked after it.
    assert!(start.elapsed() < Duration::from_secs(300), "an unacknowledged create was in the way");
    for ((token, prompt), id) in orders.iter().zip(ids) {
        let ended = stack.ended(token, &id);
        let end = ended["error"]["code"].as_str().or_else(|| ended["status"].as_str()).unwrap();
        assert!(["succeeded", "outcome_unknown", "timed_out", "canceled"].contains(&end), "{prompt}: {ended}");
        let usage = stack.usage(token);
        assert_eq!((&usage["credits_reserved"], &usage["predictions"]), (&json!("0"), &json!(1)), "{prompt}");
    }
    assert_none_was_sent_twice(&stack);
}
