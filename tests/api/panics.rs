//! A panic of the core at any place, with requests in flight: each is answered within a second, nobody pays twice, and
//! the next request works. On the second build, whose core panics on request (tests/shipped/entry.js).
//!
//! All objects of a stack live in one isolate here, so a panic anywhere ends every request and every object at once: the
//! worst case. A failing run prints its seed; `PANICS_SEED` repeats it.

use std::collections::BTreeMap;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{INSTANCE_ENDED, Options, Stack, issuers, now, token, user};
use crate::hostile::keys::encode;
use crate::http::{Request, Response};
use crate::kills::{Random, assert_none_was_sent_twice, sum};
use crate::sse::Sse;
use crate::steps::{assert_refused, at_once, create_of, job_id, policy_with, wait_until};

const ORIGIN: &str = "https://app.example";
const SECOND: Duration = Duration::from_secs(1);
/// The vendor answers creates of this model late.
const LATE_MODEL: &str = "black-forest-labs/flux-schnell";
/// How late: long after the panic.
const LATE_MILLIS: u64 = 6_000;
/// `max_seconds` of both models: an outcome stays unknown for this long.
const MAX_SECONDS: u64 = 4;
/// An issuer whose key set comes too late. A request with its token waits before its admission.
const LATE_ISSUER: &str = "https://late.example";

const PANICS: usize = 60;
const IN_FLIGHT: usize = 10;

fn stack() -> Stack {
    let mut policy = policy_with(
        &json!({"requests_per_minute": 60_000, "concurrent_predictions": 1_000}),
        &json!({"concurrent_predictions": 1_000}),
    );
    policy["models"]["acme/model-x"]["max_seconds"] = json!(MAX_SECONDS);
    policy["models"][LATE_MODEL] = policy["models"]["acme/model-x"].clone();
    let mut list = issuers();
    list.as_array_mut().unwrap().push(json!({"issuer": LATE_ISSUER, "audience": ["late"], "algorithms": ["ES256"],
        "keys": {"jwks_url": "http://{vendor}/idp/auth0/keys"}}));
    let stack = Stack::start(&Options {
        settings: vec![("POLICY", Some(policy.to_string())), ("ISSUERS", Some(list.to_string()))],
        test_exports: true,
        may_trap: true,
        stores_in_memory: true,
        ..Options::default()
    });
    stack.control_put("/settings", &json!({"prediction_ms": 3_000}));
    for (route, path, fault) in
        [("create", LATE_MODEL, json!({"delay_after_ms": LATE_MILLIS})), ("keys", "auth0", json!({"delay_ms": 10_000}))]
    {
        let fault = json!({"route": route, "path_contains": path, "times": null, "fault": fault});
        stack.control_post("/faults", &fault);
    }
    stack
}

/// Returns a token of the issuer whose keys come late. Its signature is never read.
fn late_token() -> String {
    let claims = json!({"iss": LATE_ISSUER, "aud": "late", "sub": "u", "iat": now(), "exp": now() + 300});
    format!("{}.{}.{}", encode(r#"{"alg":"ES256","typ":"JWT","kid":"k"}"#), encode(claims.to_string()), encode([1; 64]))
}

/// What a request waits for when the panic comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A create that the Dispatcher is sending: past its admission.
    Sending,
    /// `Prefer: wait` on a prediction that waits in the queue.
    Queued,
    /// `Prefer: wait` on a prediction that runs at the vendor.
    Running,
    /// A read that waits for an issuer's keys.
    Read,
    /// A create that does: before its admission.
    Unverified,
    /// A create whose body has not arrived.
    Unread,
}

/// A request in flight.
struct Sent<'scope> {
    kind: Kind,
    prompt: String,
    token: String,
    answer: ScopedJoinHandle<'scope, (Response, Instant)>,
}

fn send<'scope>(scope: &'scope Scope<'scope, '_>, stack: &'scope Stack, kind: Kind) -> Sent<'scope> {
    let name = user("panic");
    let (token, prompt) = (token(&name), format!("{kind:?} {name}"));
    let body = json!({"input": {"prompt": prompt}});
    let late = || Request::post(&format!("/v1/{LATE_MODEL}/predictions")).json(&body);
    let request = match kind {
        // One that finds no free connection to the vendor waits like the others.
        Kind::Sending => late().bearer(&token).header("Prefer", "wait=30"),
        Kind::Queued | Kind::Running => create_of(&token, &prompt).header("Prefer", "wait=30"),
        Kind::Read => Request::get("/v1/predictions").bearer(&late_token()),
        Kind::Unverified => late().bearer(&late_token()),
        Kind::Unread => late().bearer(&token).header("Content-Length", "1000"),
    };
    let request = request.header("Origin", ORIGIN);
    let answer = scope.spawn(move || {
        let answer = request.send(&stack.worker);
        (answer, Instant::now())
    });
    Sent { kind, prompt, token, answer }
}

/// An event stream in flight: the last id that it had, and when it ended.
struct Watched<'scope> {
    token: String,
    job_id: String,
    end: ScopedJoinHandle<'scope, (String, Instant)>,
}

fn watch<'scope>(scope: &'scope Scope<'scope, '_>, stack: &'scope Stack, token: &str, job_id: &str) -> Watched<'scope> {
    let mut stream = Sse::open(&stack.worker, &format!("/v1/predictions/{job_id}/events"), token, &[]);
    assert_eq!(stream.status(), 200, "{}", stream.head);
    let first = stream.next_event().unwrap().id;
    let end = scope.spawn(move || {
        let last = std::iter::from_fn(|| stream.next_event()).last().map_or(first, |event| event.id);
        (last, Instant::now())
    });
    Watched { token: token.to_owned(), job_id: job_id.to_owned(), end }
}

/// Makes the next call at this place panic.
fn arm(stack: &Stack, place: &str) {
    assert_eq!(stack.send(&Request::post(&format!("/test/panic?at={place}"))).json(), json!(true));
}

/// Waits for the `number`th panic of a stack. Returns when it was.
fn wait_for_panic(stack: &Stack, number: usize) -> Instant {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(at) = stack.instance_ends().get(number - 1) {
            return *at;
        }
        assert!(Instant::now() < end, "no panic");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Checks that each panic ended one instance, and that no callback of an old instance ran in the memory of a new one.
fn assert_no_trap_but_these(stack: &Stack, panics: usize) {
    let log = stack.worker_log();
    let count = |mark: &str| log.matches(mark).count();
    println!(
        "{panics} panics: {} RuntimeErrors, {} refused closures, {} last resorts",
        count("RuntimeError"),
        count("Cannot invoke closure from previous WASM instance"),
        count("\"alert\":\"no_answer\""),
    );
    assert_eq!((count(INSTANCE_ENDED), count("Rust panic")), (panics, panics));
    assert_eq!(count("a test asked for it"), panics, "no panic of the core's own");
    for mark in
        ["memory access out of bounds", "null function", "Invalid stale object", "table index", "already borrowed"]
    {
        assert_eq!(count(mark), 0, "{mark}");
    }
    // workerd logs "hung" for a request whose promise nobody settles any more.
    assert!(!log.contains("hung"), "a request hung");
}

/// Checks the response to a request that was in flight: its headers, and 504 with the prediction's id if it was
/// admitted, else 503.
fn assert_answered(kind: Kind, answer: &Response) {
    match kind {
        Kind::Sending | Kind::Queued | Kind::Running => {
            assert_refused(answer, 504, "api_error", "upstream_timeout");
            assert!(job_id(answer).starts_with("pred_"), "{kind:?}");
        }
        Kind::Read | Kind::Unverified | Kind::Unread => {
            assert_refused(answer, 503, "api_error", "limiter_unavailable");
            assert_eq!(answer.header("retry-after"), Some("1"), "{kind:?}");
        }
    }
    let id = answer.header("x-request-id").unwrap();
    assert!(id.starts_with("req_") && answer.json()["error"]["request_id"] == json!(id), "{}", answer.text());
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("vary"), Some("Origin"));
}

/// Returns how the user's only prediction has ended, once it has, and checks that it is paid once.
fn assert_paid_once(stack: &Stack, token: &str, job_id: &str) -> String {
    let ended = stack.ended(token, job_id);
    let end = ended["error"]["code"].as_str().or_else(|| ended["status"].as_str()).unwrap().to_owned();
    assert!(["succeeded", "outcome_unknown", "timed_out", "canceled"].contains(&&*end), "{ended}");
    let paid = sum(std::iter::once(&ended["credits_used"]));
    // The vendor says what a prediction costs that is canceled after its `max_seconds`.
    if end != "canceled" {
        assert_eq!(paid, 2.5, "{ended}");
    }
    let usage = stack.usage(token);
    assert_eq!((&usage["credits_reserved"], &usage["predictions"]), (&json!("0"), &json!(1)), "{usage}");
    assert_eq!(sum(std::iter::once(&usage["credits_spent"])), paid, "{usage}");
    end
}

/// Checks that nothing is left of a create: no row, no credits.
fn assert_withdrawn(stack: &Stack, token: &str) {
    wait_until("the withdrawal", || {
        let rows = stack.get(token, "/v1/predictions").json();
        let usage = stack.usage(token);
        let is_free = usage["credits_reserved"] == "0" && usage["credits_spent"] == "0";
        (rows["data"] == json!([]) && is_free).then_some(())
    });
}

/// A create that causes a panic, or is in admission at that moment.
struct Cause {
    request: Request,
    token: String,
    prompt: String,
    answer: Response,
    at: Instant,
}

/// Makes the core panic at this place, for the first time, and sends the creates that cause it. Returns when it panicked.
fn panic_at(stack: &Stack, place: &str) -> (Instant, Vec<Cause>) {
    let users: Vec<String> = (0..3).map(|_| user("cause")).collect();
    arm(stack, place);
    // An alarm comes by itself.
    let count = if place == "alarm" { 0 } else { users.len() };
    let causes = at_once(count, |index| {
        let (token, prompt) = (token(&users[index]), format!("cause {}", users[index]));
        let request = create_of(&token, &prompt).header("Idempotency-Key", "k").header("Origin", ORIGIN);
        let answer = stack.send(&request);
        Cause { request, token, prompt, answer, at: Instant::now() }
    });
    (wait_for_panic(stack, 1), causes)
}

/// Checks the creates that met the panic: those answered 503 are gone, and good when they are sent again.
fn assert_causes(stack: &Stack, causes: &[Cause]) {
    for Cause { request, token, prompt, answer, .. } in causes {
        let id = match answer.status {
            503 => {
                assert_refused(answer, 503, "api_error", "limiter_unavailable");
                let was_sent = stack.sent().contains(prompt);
                println!("a cause was answered 503, {}", if was_sent { "although it was sent" } else { "and is gone" });
                is_gone(stack, token, was_sent);
                // A client that does not know better: the idempotency key finds what was sent.
                job_id(&wait_until("the create again", || {
                    Some(stack.send(request)).filter(|answer| [201, 202].contains(&answer.status))
                }))
            }
            504 => {
                assert_refused(answer, 504, "api_error", "upstream_timeout");
                job_id(answer)
            }
            status => {
                assert!([201, 202].contains(&status), "{}", answer.text());
                job_id(answer)
            }
        };
        let end = assert_paid_once(stack, token, &id);
        assert!(["succeeded", "outcome_unknown"].contains(&&*end), "{end}");
    }
}

/// The kinds of requests before their admission. Those that wait for keys are answered after two seconds, which an alarm
/// may take to come.
fn early_kinds(place: &str, count: usize) -> Vec<Kind> {
    let kinds = [Kind::Read, Kind::Unverified, Kind::Unread];
    (0..count).map(|index| if place == "alarm" { Kind::Unread } else { kinds[index % kinds.len()] }).collect()
}

/// Sends twenty requests, and returns when all are in flight: the requests, then the event streams.
fn send_twenty<'scope>(
    scope: &'scope Scope<'scope, '_>,
    stack: &'scope Stack,
    place: &str,
) -> (Vec<Sent<'scope>>, Vec<Watched<'scope>>) {
    let mut all: Vec<Sent<'_>> = (0..3).map(|_| send(scope, stack, Kind::Running)).collect();
    let has_sent = |count| wait_until("the creates at the vendor", || (stack.sent().len() == count).then_some(()));
    has_sent(3);
    // Four creates use all connections that creates may have: those that follow wait in the queue.
    all.extend((0..4).map(|_| send(scope, stack, Kind::Sending)));
    has_sent(7);
    all.extend((0..3).map(|_| send(scope, stack, Kind::Queued)));
    let row = |sent: &Sent<'_>| {
        let row = || stack.get(&sent.token, "/v1/predictions").json()["data"][0]["job_id"].as_str().map(str::to_owned);
        wait_until("the row", row)
    };
    let ids: Vec<String> = all.iter().map(row).collect();
    // Three predictions that run, and one that is queued.
    let streams: Vec<_> = [0, 1, 2, 7].map(|index: usize| watch(scope, stack, &all[index].token, &ids[index])).into();
    all.extend(early_kinds(place, 6).into_iter().map(|kind| send(scope, stack, kind)));
    assert_eq!(all.len() + streams.len(), 20);
    std::thread::sleep(Duration::from_millis(150));
    (all, streams)
}

/// Checks that a stream which a panic ended resumes with `Last-Event-ID`, and shows the end of its prediction.
fn assert_resumes(stack: &Stack, token: &str, job_id: &str, last_event_id: &str) {
    let target = format!("/v1/predictions/{job_id}/events");
    let mut stream = Sse::open(&stack.worker, &target, token, &[("Last-Event-ID", last_event_id)]);
    assert_eq!(stream.status(), 200, "{}", stream.head);
    let events: Vec<_> = std::iter::from_fn(|| stream.next_event()).collect();
    let is_new = |event: &crate::sse::Event| event.id.parse::<u64>().unwrap() > last_event_id.parse().unwrap();
    assert!(events.iter().all(is_new), "{events:?}");
    assert_eq!(events.last().unwrap().json()["status"], "succeeded", "{events:?}");
}

/// Twenty requests in flight, then a panic at `place`.
fn twenty_in_flight(place: &str) {
    let stack = &stack();
    std::thread::scope(|scope| {
        let (all, streams) = send_twenty(scope, stack, place);
        let (panicked_at, causes) = panic_at(stack, place);
        let (next, start) = (token(&user("next")), Instant::now());
        assert_eq!(stack.get(&next, "/v1/predictions").status, 200);
        let next_after = start.elapsed();
        assert!(next_after < 2 * SECOND, "{place}: the next request took {next_after:?}");

        let mut latest = Duration::ZERO;
        let mut in_time = |at: Instant| {
            let after = at.saturating_duration_since(panicked_at);
            assert!(after < SECOND, "{place}: answered after {after:?}");
            latest = latest.max(after);
        };
        // Causes that met the panic are answered at once, too. Others are creates like any other.
        causes.iter().filter(|cause| [503, 504].contains(&cause.answer.status)).for_each(|cause| in_time(cause.at));
        let mut admitted = Vec::new();
        for Sent { kind, prompt, token, answer } in all {
            let (answer, at) = answer.join().unwrap();
            in_time(at);
            assert_answered(kind, &answer);
            match kind {
                Kind::Sending | Kind::Queued | Kind::Running => admitted.push((kind, token, job_id(&answer))),
                // It never reached an object.
                Kind::Unverified | Kind::Unread => {
                    assert_withdrawn(stack, &token);
                    assert!(!stack.sent().contains(&prompt), "{prompt}");
                }
                Kind::Read => {}
            }
        }
        for Watched { token, job_id, end } in streams {
            let (last, at) = end.join().unwrap();
            in_time(at);
            assert_resumes(stack, &token, &job_id, &last);
        }
        println!("{place}: 20 of 20 answered within {latest:?}, the next one in {next_after:?}");
        for (kind, token, job_id) in admitted {
            // The vendor's response to a create that was being sent is lost with the instance.
            let expected = if kind == Kind::Sending { "outcome_unknown" } else { "succeeded" };
            assert_eq!(assert_paid_once(stack, &token, &job_id), expected, "{kind:?}");
        }
        assert_causes(stack, &causes);
        assert_none_was_sent_twice(stack);
        let answer = stack.prompt(&next, "afterwards");
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_eq!(stack.ended(&next, &job_id(&answer))["status"], "succeeded");
        assert_no_trap_but_these(stack, 1);
    });
}

#[test]
fn a_panic_in_the_edge_answers_twenty_requests_in_flight() {
    twenty_in_flight("edge");
}

#[test]
fn a_panic_in_a_ledger_answers_twenty_requests_in_flight() {
    twenty_in_flight("ledger");
}

#[test]
fn a_panic_in_the_dispatcher_answers_twenty_requests_in_flight() {
    twenty_in_flight("dispatcher");
}

#[test]
fn a_panic_in_an_alarm_answers_twenty_requests_in_flight() {
    twenty_in_flight("alarm");
}

/// What ten requests in flight got.
struct Round {
    /// How long the slowest took after the panic.
    slowest: Duration,
    /// Admitted predictions, and their users' tokens.
    admitted: Vec<(String, String)>,
    /// Users whose only create was answered 503, and its prompt.
    refused: Vec<(String, String)>,
}

/// Ten requests in flight, then a panic at `place`, the `number`th of this stack.
fn ten_in_flight(stack: &Stack, place: &str, number: usize, pause: Duration) -> Round {
    std::thread::scope(|scope| {
        let name = user("watched");
        let watched = token(&name);
        let id = job_id(&stack.prompt(&watched, &format!("[slow] {name}")));
        let streams: Vec<Watched<'_>> = (0..2).map(|_| watch(scope, stack, &watched, &id)).collect();
        let kinds = [Kind::Sending, Kind::Sending, Kind::Running, Kind::Running, Kind::Running];
        let kinds = kinds.into_iter().chain(early_kinds(place, 3));
        let all: Vec<Sent<'_>> = kinds.map(|kind| send(scope, stack, kind)).collect();
        assert_eq!(all.len() + streams.len(), IN_FLIGHT);
        std::thread::sleep(pause);
        arm(stack, place);
        let cause = token(&user("cause"));
        match place {
            "alarm" => {}
            "edge" => assert_eq!(stack.send(&Request::get("/healthz")).error().2, "limiter_unavailable"),
            // The poll of a request that waits may come before the cause.
            "ledger" => assert!([200, 503].contains(&stack.get(&cause, "/v1/account").status)),
            _ => assert!([201, 202, 503, 504].contains(&stack.prompt(&cause, &user("cause")).status)),
        }
        let panicked_at = wait_for_panic(stack, number);
        let mut round = Round { slowest: Duration::ZERO, admitted: vec![(watched, id)], refused: Vec::new() };
        let mut in_time = |at: Instant| round.slowest = round.slowest.max(at.saturating_duration_since(panicked_at));
        for Sent { kind, prompt, token, answer } in all {
            let (answer, at) = answer.join().unwrap();
            in_time(at);
            // The pause is random: a create may not have been admitted yet.
            if answer.status == 504 {
                assert_answered(kind, &answer);
                round.admitted.push((token, job_id(&answer)));
            } else {
                // On a slow machine the wait for a key set can end before the panic comes.
                let is_earlier = matches!(kind, Kind::Unverified) && at <= panicked_at;
                if !(is_earlier && answer.error().2 == "upstream_unavailable") {
                    assert_answered(Kind::Unread, &answer);
                }
                round.refused.push((token, prompt));
            }
        }
        streams.into_iter().for_each(|stream| in_time(stream.end.join().unwrap().1));
        assert!(round.slowest < SECOND, "{place}, panic {number}: answered after {:?}", round.slowest);
        round
    })
}

/// Checks that ten requests right after a panic are good. Returns the predictions, and their users' tokens.
fn ten_good_ones(stack: &Stack) -> Vec<(String, String)> {
    let created = at_once(IN_FLIGHT, |index| {
        let token = token(&user("good"));
        if index < 7 {
            let answer = stack.get(&token, ["/v1/predictions", "/v1/account", "/v1/models"][index % 3]);
            assert_eq!(answer.status, 200, "{}", answer.text());
            return None;
        }
        let answer = stack.prompt(&token, &user("good"));
        assert!([201, 202].contains(&answer.status), "{}", answer.text());
        Some((token, job_id(&answer)))
    });
    created.into_iter().flatten().collect()
}

/// Checks that a create which was answered 503 is gone, or was sent to the vendor before its withdrawal: then it is there,
/// and paid once. Returns whether it is gone.
fn is_gone(stack: &Stack, token: &str, was_sent: bool) -> bool {
    if was_sent {
        let row = stack.get(token, "/v1/predictions").json()["data"][0]["job_id"].as_str().map(str::to_owned);
        assert_paid_once(stack, token, &row.expect("a sent prediction has a row"));
    } else {
        assert_withdrawn(stack, token);
    }
    !was_sent
}

#[test]
fn sixty_panics_in_a_row_lose_no_request_and_run_no_callback_of_an_old_instance() {
    let seed = seed();
    eprintln!("PANICS_SEED={seed}");
    let (stack, mut random, start) = (stack(), Random(seed), Instant::now());
    let (mut slowest, mut admitted, mut refused) = (Duration::ZERO, Vec::new(), Vec::new());
    let mut places = BTreeMap::<&str, usize>::new();
    for number in 1..=PANICS {
        // An alarm comes when it is due, so that few panics wait for one.
        let place = match random.below(10) {
            0 => "alarm",
            1..=3 => "edge",
            4..=6 => "ledger",
            _ => "dispatcher",
        };
        *places.entry(place).or_default() += 1;
        let round = ten_in_flight(&stack, place, number, Duration::from_millis(50) + random.millis(250));
        slowest = slowest.max(round.slowest);
        admitted.extend(round.admitted);
        admitted.extend(ten_good_ones(&stack));
        refused.extend(round.refused);
    }
    let took = start.elapsed();
    println!(
        "{PANICS} panics in {took:?}, {places:?}: 600 of 600 answered within {slowest:?}, 600 good ones after them"
    );
    let mut ends = BTreeMap::<String, usize>::new();
    for (token, job_id) in &admitted {
        *ends.entry(assert_paid_once(&stack, token, job_id)).or_default() += 1;
    }
    println!("{} predictions, each paid once: {ends:?}", admitted.len());
    let sent = stack.sent();
    let gone = refused.iter().filter(|(token, prompt)| is_gone(&stack, token, sent.contains(prompt))).count();
    println!("{} requests answered 503: {gone} left nothing, the others had been sent", refused.len());
    assert_none_was_sent_twice(&stack);
    assert_no_trap_but_these(&stack, PANICS);
}

fn seed() -> u64 {
    let given = std::env::var("PANICS_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(crate::kills::seed)
}
