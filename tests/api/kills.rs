//! Kills workerd at random times under load, and restarts it on the same storage; evicts single objects; ends all of them
//! while the process goes on.
//!
//! A failing run prints its seed; `KILLS_SEED` repeats it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Stack, token, user};
use crate::http::Response;
use crate::steps::{at_once, create_of, policy_with, wait_until};

const DISTURBANCES: usize = 20;
/// Many users with few creates each: a kill may use up a tenth of a user's requests per minute, and ten kills all.
const USERS: usize = 20;
const CREATES_EACH: usize = 3;
/// Kills in the second test.
const ROUNDS: usize = 40;
const CREATES_A_ROUND: usize = 8;
/// `max_seconds` of the model: a create with an unknown outcome holds its slot for this long.
const MAX_SECONDS: u64 = 4;

/// A xorshift generator: repeatable, and random enough for times.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    pub fn millis(&mut self, below: u64) -> Duration {
        Duration::from_millis(self.below(below))
    }
}

pub fn seed() -> u64 {
    let given = std::env::var("KILLS_SEED").ok().and_then(|seed| seed.parse().ok());
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    given.unwrap_or(u64::from(nanos) | 1)
}

fn stack() -> Stack {
    let mut policy =
        policy_with(&json!({"max_waiting": 100}), &json!({"requests_per_minute": 6000, "concurrent_predictions": 5}));
    policy["models"]["acme/model-x"]["max_seconds"] = json!(MAX_SECONDS);
    let stack = Stack::with_policy(&policy);
    // The vendor enforces the same limit, so that it refuses (and counts) a slot that is used twice.
    stack.control_put("/settings", &json!({"concurrent_limit": 5, "prediction_ms": 1_000, "jitter_ms": 500}));
    // Slow responses: many kills come between a create and its response, before or after the vendor has accepted it.
    let slow = json!({"route": "create", "times": null, "fault": {"delay_ms": 100, "delay_after_ms": 150}});
    stack.control_post("/faults", &slow);
    stack
}

/// Returns the prediction's id from a response, or `None` if the client must retry with the same idempotency key.
fn accepted(answer: &Response) -> Option<String> {
    // A killed process may cut its response off anywhere.
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let id = body["job_id"].as_str().or_else(|| body["error"]["details"]["job_id"].as_str());
    match (answer.status, id) {
        (201 | 202 | 502 | 504, Some(id)) => Some(id.to_owned()),
        (503, None) => None,
        (409, None) if body["error"]["code"] == "idempotency_in_progress" => None,
        // Ten kills may have used up this user's requests of the minute.
        (429, None) if body["error"]["code"] == "rate_limited" => None,
        _ => panic!("unexpected: {} {body}", answer.status),
    }
}

/// Retries with the same idempotency key until the create is accepted, as a correct client does.
fn create_until_accepted(address: &Mutex<String>, token: &str, key: &str, prompt: &str) -> String {
    let request = create_of(token, prompt).header("Idempotency-Key", key);
    wait_until(prompt, || {
        let address = address.lock().unwrap().clone();
        let answer = (!address.is_empty()).then(|| request.try_send(&address).ok()).flatten();
        answer.as_ref().and_then(accepted)
    })
}

/// Sends all creates of one user, with random pauses. Returns the ids of the accepted predictions.
fn client(address: &Mutex<String>, token: &str, name: &str, mut random: Random) -> Vec<String> {
    let create = |number: usize| {
        std::thread::sleep(random.millis(13_000));
        create_until_accepted(address, token, &format!("key {number}"), &format!("{name} {number}"))
    };
    (0..CREATES_EACH).map(create).collect()
}

/// Returns the user's predictions, or `None` while the user is rate-limited, which kills may cause.
fn list(stack: &Stack, token: &str) -> Option<Vec<Value>> {
    let answer = stack.get(token, "/v1/predictions?limit=100");
    if answer.status == 429 {
        return None;
    }
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"].as_array().cloned()
}

/// Sums decimal strings. All prices here are multiples of 0.5, so the sum is exact.
pub fn sum<'a>(credits: impl Iterator<Item = &'a Value>) -> f64 {
    credits.filter_map(Value::as_str).map(|text| text.parse::<f64>().unwrap()).sum()
}

/// Waits until every prediction of a user has ended. Checks that each is charged according to its end and that the
/// account adds up; returns the ends.
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
        // The user pays for each prediction that the vendor accepted or may have accepted.
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

pub fn assert_none_was_sent_twice(stack: &Stack) {
    let mut sent = BTreeMap::<String, usize>::new();
    stack.sent().into_iter().for_each(|prompt| *sent.entry(prompt).or_default() += 1);
    sent.retain(|_, times| *times > 1);
    assert!(sent.is_empty(), "sent more than once: {sent:?}");
}

/// Checks that no slot leaked: five creates must start at once.
fn assert_no_slot_leaked(stack: &Stack) {
    stack.clear_faults();
    // An unknown outcome holds its slot until `max_seconds` have passed and a second check confirms it. A slot that leaked is
    // never free.
    wait_until("all slots are free", || {
        let name = user("afterwards");
        let token = token(&name);
        let answers: Vec<Response> = (0..5).map(|number| stack.prompt(&token, &format!("{name} {number}"))).collect();
        for answer in &answers {
            let ended = stack.ended(&token, answer.json()["job_id"].as_str().unwrap());
            assert_eq!(ended["status"], "succeeded");
        }
        answers.iter().all(|answer| answer.status == 201).then_some(())
    });
}

/// Runs all clients, calls `disturb` with the users at 20 random times, and checks that nothing is lost, sent twice or
/// leaked. Returns how many predictions ended in each way.
fn assert_a_storm_loses_nothing(
    disturb: impl Fn(&mut Stack, &Mutex<String>, &[String], &mut Random),
) -> BTreeMap<String, usize> {
    let seed = seed();
    eprintln!("KILLS_SEED={seed}");
    let (mut stack, mut random) = (stack(), Random(seed));
    let subjects: Vec<String> = (0..USERS).map(|number| user(&format!("user-{number}"))).collect();
    let tokens: Vec<String> = subjects.iter().map(|subject| token(subject)).collect();
    let address = Mutex::new(stack.worker.clone());
    let given: Vec<Vec<String>> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..USERS)
            .map(|number| {
                let random = Random(seed.rotate_left(3 * u32::try_from(number + 1).unwrap()) | 1);
                let (address, token) = (&address, &tokens[number]);
                scope.spawn(move || client(address, token, &format!("user-{number}"), random))
            })
            .collect();
        for _ in 0..DISTURBANCES {
            std::thread::sleep(Duration::from_millis(150) + random.millis(2_000));
            disturb(&mut stack, &address, &subjects, &mut random);
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let start = Instant::now();
    let mut ends = BTreeMap::<String, usize>::new();
    for (token, given) in tokens.iter().zip(&given) {
        assert_settled(&stack, token, given).into_iter().for_each(|end| *ends.entry(end).or_default() += 1);
    }
    eprintln!("ends: {ends:?}, settled {:?} after the last create", start.elapsed());
    assert!(ends.get("succeeded") >= Some(&(USERS * CREATES_EACH / 2)), "most end well all the same: {ends:?}");
    assert_no_slot_leaked(&stack);
    assert_none_was_sent_twice(&stack);
    let state = stack.control_get("/state");
    assert_eq!(state["refused"], json!({"unauthorized": 0, "payment": 0, "rate_limited": 0, "concurrency": 0}));
    assert_eq!(state["in_flight"], 0);
    ends
}

#[test]
fn twenty_kills_lose_no_prediction_send_none_twice_and_leak_no_slot() {
    assert_a_storm_loses_nothing(|stack, address, _, _| {
        address.lock().unwrap().clear();
        stack.restart_workerd();
        address.lock().unwrap().clone_from(&stack.worker);
    });
}

/// The Dispatcher, all Ledgers, or one Ledger and then the Dispatcher. The platform lets what they have in flight end, so
/// no outcome is unknown.
#[test]
fn twenty_evictions_lose_no_prediction_send_none_twice_and_leak_no_slot() {
    let ends = assert_a_storm_loses_nothing(|stack, _, subjects, random| match random.below(3) {
        0 => stack.evict_dispatcher(),
        1 => subjects.iter().for_each(|subject| stack.evict_ledger(subject)),
        _ => {
            stack.evict_ledger(&subjects[usize::try_from(random.below(20)).unwrap()]);
            stack.evict_dispatcher();
        }
    });
    assert!(!ends.contains_key("outcome_unknown"), "{ends:?}");
}

/// All objects end in the middle of their fetches, and the edge goes on.
#[test]
fn twenty_ends_of_all_objects_lose_no_prediction_send_none_twice_and_leak_no_slot() {
    assert_a_storm_loses_nothing(|stack, _, _, _| stack.abort_objects());
}

#[test]
fn a_kill_during_an_admission_blocks_no_key_and_leaks_no_credits() {
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
            // At some point between the first reservation and the last acknowledgement.
            std::thread::sleep(Duration::from_millis(2 + 3 * u64::try_from(round).unwrap()));
            stack.restart_workerd();
        });
    }
    let (address, start) = (Mutex::new(stack.worker.clone()), Instant::now());
    // One client per round: one per create would be a load test.
    let ids = at_once(ROUNDS, |round| {
        let orders = orders.iter().skip(round * CREATES_A_ROUND).take(CREATES_A_ROUND);
        orders.map(|(token, prompt)| create_until_accepted(&address, token, "k", prompt)).collect::<Vec<_>>()
    })
    .concat();
    // The Ledger settles an unacknowledged create within seconds. Otherwise it would block its key for an hour.
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
