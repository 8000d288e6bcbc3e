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

/// Returns the users of the creates that the vendor accepted, in order.
fn starts(stack: &Stack) -> Vec<String> {
    let creates = stack.control_get("/state")["creates"].as_array().cloned().unwrap();
    let name = |create: &Value| create["input"]["prompt"].as_str().unwrap().split(' ').next().unwrap().to_owned();
    creates.iter().map(name).collect()
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
    // The vendor enforces the same limit: it would refuse and count a sixth prediction. The first five run until all creates
    // have arrived.
    stack.control_put("/settings", &json!({"concurrent_limit": 5, "prediction_ms": 1_500, "manual": true}));
    let users: Vec<(String, String)> =
        (0..40).map(|number| format!("user-{number}")).map(|n| (token(&user(&n)), n)).collect();
    let orders: Vec<(&str, String)> = users
        .iter()
        .zip(creates_of_users())
        .flat_map(|((token, name), count)| (0..count).map(move |number| (token.as_str(), format!("{name} {number}"))))
        .collect();
    let answers = at_once(orders.len(), |number| stack.prompt(orders[number].0, &orders[number].1));
    for answer in &answers {
        assert!([201, 202].contains(&answer.status), "none is refused: {}", answer.text());
    }
    let first = stack.sent();
    assert_eq!(first.len(), 5);
    // In this order: without `manual`, those that have run long enough end by themselves.
    first.iter().for_each(|prompt| stack.finish(prompt, &json!({})));
    stack.control_put("/settings", &json!({"manual": false}));
    for ((token, _), count) in users.iter().zip(creates_of_users()) {
        wait_until("all succeed", || {
            let list = stack.get(token, "/v1/predictions?limit=100").json();
            let rows = list["data"].as_array().unwrap();
            assert!(rows.len() == count && rows.iter().all(|row| row["error"].is_null()), "{list}");
            rows.iter().all(|row| row["status"] == "succeeded").then_some(())
        });
    }
    let state = stack.control_get("/state");
    assert_eq!((&state["max_in_flight"], &state["in_flight"]), (&json!(5), &json!(0)), "all slots, and no more");
    assert_eq!(state["refused"], json!({"unauthorized": 0, "payment": 0, "rate_limited": 0, "concurrency": 0}));
    let mut sent = stack.sent();
    sent.sort();
    let mut wanted: Vec<String> = orders.into_iter().map(|(_, prompt)| prompt).collect();
    wanted.sort();
    assert_eq!(sent, wanted, "each was sent once");
    assert_fair(&starts(&stack)[5..]);
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

/// Returns when the vendor got the create of each prediction and the polls of it, milliseconds.
fn times_of_predictions(stack: &Stack) -> Vec<Vec<u64>> {
    let requests = stack.vendor_requests();
    let creates = stack.control_get("/state")["creates"].as_array().cloned().unwrap();
    let of = |create: &Value| {
        let path = format!("/v1/predictions/{}", create["id"].as_str().unwrap());
        let polls = requests.iter().filter(|request| request["route"] == "get" && request["path"] == json!(path));
        std::iter::once(create).chain(polls).map(|request| request["time_ms"].as_u64().unwrap()).collect()
    };
    creates.iter().map(of).collect()
}

#[test]
fn clients_that_poll_cause_no_vendor_request() {
    let token = token(&user("poller"));
    let (stack, ids) = five_running(&token);
    at_once(30, |_| {
        for _ in 0..40 {
            let next = Instant::now() + Duration::from_secs(1);
            for id in &ids {
                let answer = stack.get(&token, &format!("/v1/predictions/{id}"));
                assert_eq!(answer.json()["status"], "processing", "{}", answer.text());
            }
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    });
    let predictions = times_of_predictions(&stack);
    assert_eq!(predictions.len(), 5);
    for times in &predictions {
        assert!(times.len() > 1, "{times:?}");
        // Without a client's doing, there is a poll after 2 s, or after a quarter of the age. The clocks round to milliseconds.
        for pair in times.windows(2) {
            let least = (pair[0] - times[0]).div_euclid(4).max(2_000);
            assert!(pair[1] - pair[0] + 2 >= least, "a poll that a client caused: {times:?}");
        }
    }
    let state = stack.control_get("/state");
    let most = state["requests"]["max_in_a_minute"].as_u64().unwrap();
    assert!(most <= 60 && state["refused"]["rate_limited"] == 0, "{most} in a minute");
    let requests = predictions.iter().map(Vec::len).sum::<usize>();
    assert!(stack.vendor_requests().len() - requests <= 5, "creates and polls, and nothing else");
}

#[test]
fn a_client_that_disconnects_before_the_vendor_responds_finds_its_prediction() {
    let stack = Stack::with_policy(&policy_with(&json!({}), &json!({})));
    stack.fault("create", 1, &json!({"delay_ms": 20_000}));
    let token = token(&user("leaver"));
    create_of(&token, "p").send_and_leave(&stack.worker, || stack.assert_sent(&["p"]));
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
        let id = || {
            wait_until("it is there", || {
                let rows = stack.get(&token, "/v1/predictions").json();
                rows["data"][0]["job_id"].as_str().map(str::to_owned)
            })
        };
        let hurried = number % 2 == 0;
        if hurried {
            create_of(&token, &prompt).send_and_leave(&stack.worker, || drop(id()));
        } else {
            stack.prompt(&token, &prompt);
            std::thread::sleep(Duration::from_millis(61 * u64::try_from(number).unwrap()));
        }
        let id = id();
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
