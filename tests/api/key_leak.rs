//! A leaked vendor key: somebody else's requests are told from our own and from expected ones.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Stack, VENDOR_KEY, policy, token, user};
use crate::http::Request;

/// The simulator's reset is a minute after the oldest request that counts. Two minutes of traffic and some seconds have
/// resets in two minutes in a row.
const TRAFFIC: Duration = Duration::from_secs(130);

/// Runs predictions for [`TRAFFIC`] while another program makes so many requests with the same key every six seconds.
/// Returns how often the alert was raised.
fn alerts_beside(others_in_six_seconds: u32) -> usize {
    let mut policy = policy();
    policy["key"] = json!({"requests_per_minute": 60, "concurrent_predictions": 5,
        "expected_other_requests_per_minute": 10});
    let stack = Stack::with_policy(&policy);
    stack.control_put("/settings", &json!({"requests_per_minute": 200}));
    let (token, started) = (token(&user("leak")), Instant::now());
    while started.elapsed() < TRAFFIC {
        for _ in 0..others_in_six_seconds {
            Request::get("/v1/account").bearer(VENDOR_KEY).send(&stack.vendor);
        }
        assert_eq!(stack.create(&token).status, 201);
        std::thread::sleep(Duration::from_secs(6));
    }
    stack.worker_log().lines().filter(|line| line.contains(r#""key_leak""#)).count()
}

#[test]
fn a_key_that_somebody_else_uses_is_told_once() {
    assert_eq!(alerts_beside(4), 1);
}

#[test]
fn requests_of_programs_that_are_expected_are_no_leak() {
    assert_eq!(alerts_beside(1), 0);
}
