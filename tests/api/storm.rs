//! Many concurrent clients: the limits hold for all of them together, by the simulator's own counters.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Options, Stack, token, user};
use crate::http::{Request, Response};
use crate::steps::{assert_refused, at_once, create_of, job_id, policy_with, wait_until};

/// Returns the number of creates of each user: 23 for four users, three for 36; 200 in all.
fn creates_of_users() -> Vec<usize> {
    (0..40).map(|number| if number < 4 { 23 } else { 3 }).collect()
}

/// Returns the creates that the vendor accepted, in order: time in milliseconds and user name.
fn starts(stack: &Stack) -> Vec<(u64, String)> {
    let creates = stack.control_get("/state")["creates"].as_array().cloned().unwrap();
    let name = |create: &Value| create["input"]["prompt"].as_str().unwrap().split(' ').next().unwrap().to_owned();
    creates.iter().map(|create| (create["time_ms"].as_u64().unwrap(), name(create))).collect()
}

/// Checks every 20 consecutive starts: a user who waits is at most one start behind its share, and at most two behind
/// another user who waits.
fn assert_fair(starts: &[String]) {
    let remaining = |from: usize| {
        let mut users = BTreeMap::<&str, usize>::new();
        starts[from..].iter().for_each(|name| *users.entry(name.as_str()).or_default() += 1);
        users
    };
    for from in 0..starts.len().saturating_sub(20) {
        let (before, after) = (remaining(from), remaining(from + 20));
        let got: Vec<usize> = after.iter().map(|(name, left)| before[name] - left).collect();
        let share = 20 / before.len();
        let (least, most) = (got.iter().min().unwrap(), got.iter().max().unwrap());
        let window = &starts[from..from + 20];
        assert!(least + 1 >= share, "a share of {share}, and one got {least} from {from}: {window:?}");
        // A user may be one round ahead, and two neighboring creates may reach the vendor in reverse order.
        assert!(most - least <= 2, "one got {least}, another {most} from {from}: {window:?}");
    }
}

#[test]
fn two_hundred_creates_of_forty_users_share_five_slots_fairly() {
    let plan = json!({"concurrent_predictions": 5, "max_waiting": 30});
    let key = json!({"requests_per_minute": 6000, "concurrent_predictions": 5});
    let stack = Stack::with_policy(&policy_with(&plan, &key));
    // The vendor enforces the same limit: it would refuse and count a sixth prediction.
    stack.control_put("/settings", &json!({"concurrent_limit": 5, "prediction_ms": 1_500}));
    let users: Vec<(String, String)> =
        (0..40).map(|number| format!("user-{number}")).map(|n| (token(&user(&n)), n)).collect();
    let orders: Vec<(&str, String)> = users
        .iter()
        .zip(creates_of_users())
        .flat_map(|((token, name), count)| (0..count).map(move |number| (token.as_str(), format!("{name} {number}"))))
        .collect();
    let answers = at_once(orders.len(), |number| stack.prompt(orders[number].0, &orders[number].1));
    let arrived = stack.control_get("/state")["now_ms"].as_u64().unwrap();
    for answer in &answers {
        assert!([201, 202].contains(&answer.status), "none is refused: {}", answer.text());
    }
    for ((token, _), count) in users.iter().zip(creates_of_users()) {
        let all = Instant::now() + Duration::from_secs(150);
        loop {
            let list = stack.get(token, "/v1/predictions?limit=100").json();
            let rows = list["data"].as_array().unwrap();
            assert_eq!(rows.len(), count);
            if rows.iter().all(|row| row["status"] == "succeeded") {
                break;
            }
            assert!(rows.iter().all(|row| row["error"].is_null()) && Instant::now() < all, "{list}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }
    let state = stack.control_get("/state");
    assert_eq!((&state["max_in_flight"], &state["in_flight"]), (&json!(5), &json!(0)), "all slots, and no more");
    assert_eq!(state["refused"], json!({"unauthorized": 0, "payment": 0, "rate_limited": 0, "concurrency": 0}));
    let mut sent = stack.sent();
    sent.sort();
    let mut wanted: Vec<String> = orders.into_iter().map(|(_, prompt)| prompt).collect();
    wanted.sort();
    assert_eq!(sent, wanted, "each was sent once");
    let all = starts(&stack);
    let later: Vec<String> = all.into_iter().filter(|(at, _)| *at > arrived).map(|(_, name)| name).collect();
    assert!(later.len() > 150, "the burst came in a few seconds: {}", later.len());
    assert_fair(&later);
}

#[test]
fn fifty_concurrent_creates_spend_exactly_the_daily_credits() {
    let stack = Stack::with_policy(&policy_with(&json!({"daily_credits": "10"}), &json!({})));
    let token = token(&user("spender"));
    let answers = at_once(50, |number| stack.prompt(&token, &format!("p{number}")));
    let (accepted, refused): (Vec<Response>, Vec<Response>) = answers.into_iter().partition(|it| it.status < 300);
    assert_eq!((accepted.len(), refused.len()), (4, 46));
    for answer in &refused {
        assert_refused(answer, 402, "payment_error", "insufficient_credits");
    }
    for answer in &accepted {
        assert_eq!(stack.ended(&token, &job_id(answer))["credits_used"], "2.5");
    }
    let account = stack.get(&token, "/v1/account").json();
    let usage = &account["usage"];
    assert_eq!((&usage["credits_spent"], &usage["credits_reserved"]), (&json!("10"), &json!("0")));
    assert_eq!((&usage["predictions"], &account["credits_balance"]), (&json!(4), &json!("0")));
    assert_eq!(stack.sent().len(), 4);
}

/// Returns a stack with the vendor's documented limits, and five predictions that run longer than the test.
fn five_running(token: &str) -> (Stack, Vec<String>) {
    let policy = policy_with(
        &json!({"requests_per_minute": 1_000_000}),
        &json!({"requests_per_minute": 60, "concurrent_predictions": 5}),
    );
    let settings = vec![("POLICY", Some(policy.to_string()))];
    let stack = Stack::start(&Options { settings, simulator: vec!["--prediction-ms", "600000"], ..Options::default() });
    let ids = (0..5).map(|number| stack.prompt(token, &format!("p{number}"))).map(|answer| {
        assert_eq!(answer.status, 201, "{}", answer.text());
        job_id(&answer)
    });
    let ids = ids.collect();
    (stack, ids)
}

#[test]
fn clients_that_poll_cause_no_vendor_request() {
    let token = token(&user("poller"));
    // A twin stack without readers shows how many polls the poll plan alone makes.
    let ((stack, ids), (twin, _)) = (five_running(&token), five_running(&token));
    let end = Instant::now() + Duration::from_mins(1);
    let reads: usize = at_once(30, |_| {
        let mut reads = 0;
        while Instant::now() < end {
            let next = Instant::now() + Duration::from_millis(500);
            for id in &ids {
                let answer = stack.get(&token, &format!("/v1/predictions/{id}"));
                assert_eq!(answer.json()["status"], "processing", "{}", answer.text());
                reads += 1;
            }
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        reads
    })
    .into_iter()
    .sum();
    assert!(reads > 5_000, "only {reads} reads");
    let [with, without] = [&stack, &twin].map(|stack| {
        let state = stack.control_get("/state");
        let most = state["requests"]["max_in_a_minute"].as_u64().unwrap();
        assert!(most <= 60 && state["refused"]["rate_limited"] == 0, "{most} in a minute");
        let requests = stack.vendor_requests();
        let polls = requests.iter().filter(|request| request["route"] == "get").count();
        assert_eq!(requests.len(), polls + 5, "creates and polls, and nothing else");
        polls
    });
    assert!((5..=55).contains(&without), "{without}");
    assert!(with.abs_diff(without) <= 2, "{with} polls with {reads} reads, {without} without");
}

#[test]
fn a_client_that_disconnects_before_the_vendor_responds_finds_its_prediction() {
    let stack = Stack::with_policy(&policy_with(&json!({}), &json!({})));
    stack.fault("create", 1, &json!({"delay_ms": 20_000}));
    let token = token(&user("leaver"));
    create_of(&token, "p").send_and_leave(&stack.worker, Duration::from_secs(1));
    let listed = stack.get(&token, "/v1/predictions").json();
    assert_eq!((&listed["data"][0]["status"], listed["data"].as_array().unwrap().len()), (&json!("processing"), 1));
    let id = listed["data"][0]["job_id"].as_str().unwrap();
    let ended = wait_until("it ends", || {
        let prediction = stack.get(&token, &format!("/v1/predictions/{id}")).json();
        prediction["completed_at"].is_string().then_some(prediction)
    });
    assert_eq!((&ended["status"], &ended["credits_used"]), (&json!("succeeded"), &json!("2.5")), "{ended}");
    assert_eq!(stack.sent(), ["p"]);
    assert_eq!(stack.control_get("/state")["predictions"].as_array().unwrap().len(), 1);
}

#[test]
fn cancels_at_any_time_leak_no_slot_and_no_credits() {
    let stack = Stack::with_policy(&policy_with(&json!({}), &json!({"concurrent_predictions": 5})));
    stack.control_put("/settings", &json!({"concurrent_limit": 5, "prediction_ms": 1_500}));
    // The delays are long enough that some cancels arrive before the vendor's response to the create.
    let slow = json!({"route": "create", "times": null, "fault": {"delay_ms": 100, "delay_after_ms": 300}});
    stack.control_post("/faults", &slow);
    let ends = at_once(40, |number| {
        let (token, prompt) = (token(&user("fickle")), format!("p{number}"));
        std::thread::sleep(Duration::from_millis(37 * u64::try_from(number).unwrap()));
        let hurried = number % 2 == 0;
        if hurried {
            create_of(&token, &prompt).send_and_leave(&stack.worker, Duration::from_millis(50));
        } else {
            stack.prompt(&token, &prompt);
            std::thread::sleep(Duration::from_millis(61 * u64::try_from(number).unwrap()));
        }
        let listed = wait_until("it is there", || {
            stack.get(&token, "/v1/predictions").json()["data"].as_array().and_then(|rows| rows.first().cloned())
        });
        let id = listed["job_id"].as_str().unwrap().to_owned();
        let canceled = stack.send(&Request::post(&format!("/v1/predictions/{id}/cancel")).bearer(&token));
        assert_eq!(canceled.status, 200, "{}", canceled.text());
        (stack.ended(&token, &id), stack.usage(&token), prompt)
    });
    let sent = stack.sent();
    for (ended, usage, prompt) in &ends {
        assert!(["canceled", "succeeded"].contains(&ended["status"].as_str().unwrap()), "{ended}");
        // The vendor reports no lower price, so every accepted prediction is charged in full.
        let price = if sent.contains(prompt) { "2.5" } else { "0" };
        assert_eq!((&ended["credits_used"], &usage["credits_spent"]), (&json!(price), &json!(price)), "{ended}");
        assert_eq!((&usage["credits_reserved"], &usage["running"]), (&json!("0"), &json!(0)));
    }
    let canceled = ends.iter().filter(|(ended, _, _)| ended["status"] == "canceled").count();
    assert!(canceled >= 20 && sent.len() < 40, "{canceled} canceled, {} sent", sent.len());
    let state = stack.control_get("/state");
    assert_eq!((&state["in_flight"], &state["refused"]["concurrency"]), (&json!(0), &json!(0)));
    stack.clear_faults();
    let token = token(&user("afterwards"));
    for number in 0..5 {
        assert_eq!(stack.prompt(&token, &format!("afterwards {number}")).status, 201, "a slot is missing");
    }
}
