//! ETAs are honest, against the simulator. `tests/model/etas.rs` has longer runs, and what else a queue may wait for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Stack, token, user};
use crate::http::Request;
use crate::steps::{job_id, policy_with};

/// A prediction that waits or has waited. Times are since the test's start.
struct Waiter {
    created: Duration,
    /// The ETAs that the user saw, with the time of each.
    shown: Vec<(Duration, u64)>,
}

#[test]
fn four_of_five_predictions_start_when_they_were_told_to() {
    let plan = json!({"max_waiting": 20});
    let stack = Stack::with_policy(&policy_with(&plan, &json!({"concurrent_predictions": 8})));
    stack.control_put(
        "/settings",
        &json!({"prediction_ms": 1_000, "jitter_ms": 2_000, "requests_per_minute": null, "concurrent_limit": null}),
    );
    let start = Instant::now();
    let began = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    // Each user waits for twenty at most, so they create theirs in turn.
    let tokens: Vec<String> = (0..12).map(|number| token(&user(&format!("patient {number}")))).collect();
    let mut waiters = BTreeMap::new();
    // Every user looks. Returns whether one waits.
    let look = |waiters: &mut BTreeMap<String, (String, Waiter)>| {
        let mut is_waiting = false;
        for token in &tokens {
            let page = stack.send(&Request::get("/v1/predictions?status=queued").bearer(token)).json();
            for queued in page["data"].as_array().unwrap_or_else(|| panic!("{page}")) {
                let (_, waiter) = waiters.get_mut(queued["job_id"].as_str().unwrap()).unwrap();
                waiter.shown.push((start.elapsed(), queued["queue"]["eta_seconds"].as_u64().unwrap()));
                is_waiting = true;
            }
        }
        is_waiting
    };
    for number in 0..20 {
        for (user, token) in tokens.iter().enumerate() {
            let created = start.elapsed();
            let answer = stack.prompt(token, &format!("{user} {number}"));
            assert!(matches!(answer.status, 201 | 202), "{}", answer.text());
            let waiter = Waiter { created, shown: Vec::new() };
            waiters.insert(job_id(&answer), (format!("{user} {number}"), waiter));
        }
        // On a slow machine, some start before all are created.
        look(&mut waiters);
    }
    while look(&mut waiters) {
        assert!(start.elapsed() < Duration::from_secs(400), "the queue is stuck");
        std::thread::sleep(Duration::from_millis(500));
    }
    let creates = stack.control_get("/state")["creates"].as_array().cloned().unwrap();
    let started = |create: &Value| {
        let at = Duration::from_millis(create["time_ms"].as_u64().unwrap()).saturating_sub(began);
        (create["input"]["prompt"].as_str().unwrap().to_owned(), at)
    };
    let started: BTreeMap<String, Duration> = creates.iter().map(started).collect();
    // The ETA shown when three quarters of the wait were over, and what was left of it, in seconds.
    let quarter = |(prompt, waiter): &(String, Waiter)| {
        let wait = started[prompt].saturating_sub(waiter.created);
        let at = waiter.created + wait * 3 / 4;
        let (_, shown) = waiter.shown.iter().rev().find(|(seen, _)| *seen <= at)?;
        Some((*shown as f64, started[prompt].saturating_sub(at).as_secs_f64()))
    };
    let quarters: Vec<(f64, f64)> = waiters.values().filter_map(quarter).collect();
    let is_honest = |(shown, left): &&(f64, f64)| (shown - left).abs() <= (shown * 0.3).max(5.0);
    let honest = quarters.iter().filter(is_honest).count();
    println!("{honest} of {} in {} s", quarters.len(), start.elapsed().as_secs());
    assert!(quarters.len() >= 200, "{} were seen to wait", quarters.len());
    assert!(honest * 100 >= quarters.len() * 80, "{honest} of {}: {quarters:?}", quarters.len());
}
