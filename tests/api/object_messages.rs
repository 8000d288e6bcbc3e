//! What a refused request costs the objects. Each route and each refusal is sent many times, and the messages to the
//! Ledgers and to the one Dispatcher are counted: nobody reaches the Dispatcher before something that only the caller
//! can use up was counted.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{MODEL, Options, Stack, now, sign_with, token, token_with, user};
use crate::http::{Request, Response};
use crate::identity::{LOGIN, PUBLIC_URL, Prover, STAFF, SigningKey, assert_oauth_error, form, token_of};
use crate::steps::{assert_refused, create_of, job_id, policy_with, wait_until};

const REQUESTS_PER_MINUTE: u64 = 10;
const REVOCATIONS: &str = "/admin/api/revocations";

fn stack() -> Stack {
    let mut settings = crate::identity::settings(&[&SigningKey::new("k1")]);
    for (name, value) in &mut settings {
        if *name == "POLICY" {
            let mut policy: Value = serde_json::from_str(value.as_ref().unwrap()).unwrap();
            policy["plans"]["default"]["requests_per_minute"] = json!(REQUESTS_PER_MINUTE);
            policy["plans"]["poor"]["requests_per_minute"] = json!(100);
            policy["plans"]["poor"]["daily_credits"] = json!("1");
            policy["plans"]["fileless"] = policy["plans"]["poor"].clone();
            policy["plans"]["fileless"]["max_files"] = json!(0);
            *value = Some(policy.to_string());
        }
    }
    let stack = Stack::start(&Options { settings, is_observed: true, ..Options::default() });
    // The isolate learns which tokens are revoked, and asks for the model list. Both are kept for a while.
    assert_eq!(stack.get(&token(&user("first")), "/v1/predictions").status, 200);
    let models = Request::get("/v1/models").bearer(&token(&user("first")));
    wait_until("the model list", || (cost(&stack, [models.clone()]).1 == [0, 0]).then_some(()));
    stack
}

/// Every route that needs a user's token, as a request without one.
fn user_routes() -> Vec<Request> {
    let create = json!({"input": {"prompt": "p"}});
    let named = json!({"model": "acme/model-x", "input": {"prompt": "p"}});
    let (job, file) = ("pred_01jh0000000000000000000000", "file_01jh0000000000000000000000");
    vec![
        Request::post(MODEL).json(&create),
        Request::post("/v1/predictions/batch").json(&json!({"predictions": [named]})),
        Request::get("/v1/predictions"),
        Request::get(&format!("/v1/predictions/{job}")),
        Request::get(&format!("/v1/predictions/{job}/events")),
        Request::get(&format!("/v1/predictions/{job}/stream")),
        Request::get("/v1/predictions/batch/batch_01jh0000000000000000000000"),
        Request::post(&format!("/v1/predictions/{job}/cancel")),
        Request::new("DELETE", &format!("/v1/predictions/{job}")),
        Request::post("/v1/files").header("Content-Type", "image/png").body(b"png".as_slice()),
        Request::get("/v1/files"),
        Request::get(&format!("/v1/files/{file}")),
        Request::new("DELETE", &format!("/v1/files/{file}")),
        Request::get("/v1/account"),
        Request::get("/v1/account/usage"),
        Request::get("/v1/account/rate-limits"),
        Request::get("/v1/account/balance"),
    ]
}

/// Sends requests, and returns the responses and the messages to the Ledgers and to the Dispatcher.
fn cost(stack: &Stack, requests: impl IntoIterator<Item = Request>) -> (Vec<Response>, [u64; 2]) {
    let before = stack.object_messages();
    let answers = requests.into_iter().map(|request| stack.send(&request)).collect();
    let after = stack.object_messages();
    (answers, [after[0] - before[0], after[1] - before[1]])
}

fn times(count: usize, request: &Request) -> Vec<Request> {
    vec![request.clone(); count]
}

#[test]
fn a_request_that_the_edge_refuses_costs_no_message() {
    let stack = stack();
    let mallory = sign_with("another secret of 32 characters!!", &json!({"alg": "HS256"}), &json!({"sub": "m"}));
    let powerless = token_with(&user("powerless"), json!({"vk": {"scope": []}}));
    let mut requests = Vec::new();
    for route in user_routes() {
        requests.extend([route.clone(), route.clone().bearer(&mallory), route.clone().bearer(&powerless)]);
        requests.push(route.bearer(&powerless).header("Origin", "https://other.example"));
    }
    let good = token(&user("clumsy"));
    requests.push(Request::post(MODEL).bearer(&good).json(&json!({"input": {}})));
    requests.push(Request::post(MODEL).bearer(&good).json(&json!({"input": {"prompt": "p", "image": 1}})));
    requests.push(Request::post("/v1/acme/none/predictions").bearer(&good).json(&json!({"input": {"prompt": "p"}})));
    requests.push(Request::post("/v1/files").bearer(&good).header("Content-Type", "text/html").body(b"x".as_slice()));
    requests.push(Request::get("/v1/predictions?limit=0").bearer(&good));
    requests.push(Request::get("/v1/nothing").bearer(&good));
    requests.push(Request::new("PUT", "/v1/predictions").bearer(&good));
    for body in [json!({}), json!({"issuer": LOGIN, "subject": "u1"}), json!({"issued_by": 5})] {
        requests.push(Request::post(REVOCATIONS).json(&body));
        requests.push(Request::post(REVOCATIONS).bearer(&good).json(&body));
        requests.push(Request::post(REVOCATIONS).bearer(&token_of(STAFF, "nobody", &json!({}))).json(&body));
        requests.push(Request::post(REVOCATIONS).bearer(&token_of(STAFF, "viewer", &json!({}))).json(&body));
    }
    for endpoint in ["/auth/token", "/auth/revoke"] {
        requests.push(form(endpoint, &[]));
        requests.push(form(endpoint, &[("token", "x"), ("subject_token", "x")]));
    }
    let count = requests.len();
    let (answers, messages) = cost(&stack, requests.into_iter().flat_map(|request| times(5, &request)));
    assert!(answers.iter().all(|answer| answer.status >= 400 || answer.text().is_empty()));
    assert_eq!((answers.len(), messages), (5 * count, [0, 0]));
    assert!(stack.sent().is_empty());
}

#[test]
fn a_request_beyond_the_limit_reaches_the_ledger_only() {
    let stack = stack();
    let good = token(&user("busy"));
    let list = Request::get("/v1/predictions").bearer(&good);
    assert!(cost(&stack, times(10, &list)).0.iter().all(|answer| answer.status == 200));
    for route in user_routes() {
        let route = route.bearer(&good);
        let (answers, [ledger, dispatcher]) = cost(&stack, times(6, &route));
        for answer in &answers {
            assert_refused(answer, 429, "rate_limit_error", "rate_limited");
        }
        assert_eq!((ledger, dispatcher), (6, 0), "{} {}", route.method, route.target);
    }
    assert!(stack.sent().is_empty() && stack.vendor_requests().iter().all(|request| request["route"] == "models"));
}

#[test]
fn what_the_ledger_refuses_does_not_reach_the_dispatcher() {
    let stack = stack();
    let poor = token_with(&user("poor"), json!({"plan": "poor"}));
    let fileless = token_with(&user("fileless"), json!({"plan": "fileless"}));
    let unknown = json!({"input": {"prompt": "p", "image": "file_01jh0000000000000000000000"}});
    let missing = "/v1/predictions/pred_01jh0000000000000000000000";
    let upload = Request::post("/v1/files").header("Content-Type", "image/png").body(b"png".as_slice());
    for (request, status) in [
        (create_of(&poor, "p"), 402),
        (Request::post(MODEL).bearer(&poor).json(&unknown), 400),
        (Request::get(missing).bearer(&poor), 404),
        (Request::get(&format!("{missing}/events")).bearer(&poor), 404),
        (Request::get(&format!("{missing}/stream")).bearer(&poor), 404),
        (Request::post(&format!("{missing}/cancel")).bearer(&poor), 404),
        (Request::new("DELETE", missing).bearer(&poor), 404),
        (Request::new("DELETE", "/v1/files/file_01jh0000000000000000000000").bearer(&poor), 404),
        (upload.bearer(&fileless), 403),
    ] {
        let (answers, [_, dispatcher]) = cost(&stack, times(8, &request));
        assert!(answers.iter().all(|answer| answer.status == status), "{}: {}", request.target, answers[0].text());
        assert_eq!(dispatcher, 0, "{} {}", request.method, request.target);
    }
    assert!(stack.sent().is_empty());
}

#[test]
fn a_revoked_token_and_a_used_proof_cost_the_dispatcher_nothing() {
    let stack = stack();
    let name = user("robbed");
    let stolen = token_with(&name, json!({"jti": "stolen"}));
    assert_eq!(stack.send(&form("/auth/revoke", &[("token", &stolen)])).status, 200);
    for route in user_routes() {
        let (answers, [ledger, dispatcher]) = cost(&stack, times(3, &route.bearer(&stolen)));
        assert!(answers.iter().all(|answer| answer.status == 401));
        assert_eq!((ledger, dispatcher), (3, 0));
    }
    let prover = Prover::new();
    let bound = token_with(&name, json!({"cnf": {"jkt": prover.thumbprint()}}));
    let request = prover.prove(Request::get("/v1/predictions"), &bound);
    assert_eq!(stack.send(&request).status, 200);
    let (answers, [_, dispatcher]) = cost(&stack, times(60, &request));
    assert!(answers.iter().all(|answer| answer.status == 401));
    assert_eq!(dispatcher, 0);
    // None of them used up the owner's requests: one of ten is gone.
    let left = stack.get(&token(&name), "/v1/account");
    assert_eq!(left.header("x-ratelimit-remaining"), Some("8"), "{}", left.text());
}

#[test]
fn the_token_endpoint_asks_the_dispatcher_for_counted_exchanges_only() {
    let stack = stack();
    let exchange = |subject: &str| {
        form(
            "/auth/token",
            &[
                ("grant_type", crate::identity::EXCHANGE),
                ("subject_token_type", crate::identity::JWT_TYPE),
                ("subject_token", subject),
            ],
        )
    };
    let often = token_of(LOGIN, &user("often"), &json!({}));
    let (answers, [ledger, dispatcher]) = cost(&stack, times(60, &exchange(&often)));
    let issued = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((issued, ledger, dispatcher), (40, 60, 40));
    assert_oauth_error(&answers[59], 429, "temporarily_unavailable");

    let stolen = token_of(LOGIN, &user("robbed"), &json!({"jti": "stolen"}));
    let revoke = form("/auth/revoke", &[("token", &stolen)]);
    let (answers, [ledger, dispatcher]) = cost(&stack, times(60, &revoke));
    assert!(answers.iter().all(|answer| answer.status == 200), "a token stays revoked");
    assert_eq!((ledger, dispatcher), (60, 0));
    let (answers, [ledger, dispatcher]) = cost(&stack, times(60, &exchange(&stolen)));
    assert_oauth_error(&answers[0], 400, "invalid_request");
    assert_eq!((ledger, dispatcher), (60, 0));

    // Revocations of other tokens count: four times as many as requests.
    let name = user("many");
    let revoke = |number: usize| {
        let one = token_of(LOGIN, &name, &json!({"jti": format!("t{number}")}));
        form("/auth/revoke", &[("token", &one)])
    };
    let (answers, [_, dispatcher]) = cost(&stack, (0..45).map(revoke));
    assert!(answers[..40].iter().all(|answer| answer.status == 200));
    assert_oauth_error(&answers[40], 429, "temporarily_unavailable");
    assert_eq!(dispatcher, 0);
}

#[test]
fn a_replayed_webhook_reaches_the_dispatcher_three_times() {
    let stack = stack();
    stack.control_put("/settings", &json!({"manual": true}));
    assert_eq!(stack.prompt(&token(&user("hooked")), "hooked").status, 201);
    let create = stack.vendor_requests().into_iter().find(|request| request["route"] == "create").unwrap();
    let body: Value = serde_json::from_str(create["body"].as_str().unwrap()).unwrap();
    let hook = body["webhook"].as_str().unwrap().strip_prefix(PUBLIC_URL).unwrap().to_owned();
    let (answers, [_, dispatcher]) = cost(&stack, times(60, &Request::post(&hook)));
    assert!(answers.iter().all(|answer| answer.status == 204));
    assert!((3..=4).contains(&dispatcher), "{dispatcher}");
}

#[test]
fn readers_ask_for_a_queue_position_when_it_stops_being_fresh() {
    let slot = json!({"concurrent_predictions": 1});
    let policy = policy_with(&json!({"max_waiting": 20}), &slot).to_string();
    let settings = vec![("POLICY", Some(policy))];
    let stack = Stack::start(&Options { settings, is_observed: true, ..Options::default() });
    stack.control_put("/settings", &json!({"manual": true}));
    let reader = token(&user("reader"));
    let ids: Vec<String> = (0..14).map(|number| job_id(&stack.prompt(&reader, &format!("p{number}")))).collect();
    // The isolate learns which tokens are revoked.
    stack.get(&reader, "/v1/account");
    // The last one waits for more than two minutes, so its position stays fresh for more than ten seconds. All readers
    // of one user share it, streams too.
    let last = Request::get(&format!("/v1/predictions/{}", ids[13])).bearer(&reader);
    let (answers, [_, asked]) = cost(&stack, [last.clone()]);
    assert!(answers[0].json()["queue"]["eta_seconds"].as_u64() > Some(100), "{}", answers[0].text());
    let _stream = crate::sse::Sse::open(&stack.worker, &format!("{}/events", last.target), &reader, &[]);
    let read = |request: &Request| {
        let reads = (0..20).map(|_| {
            std::thread::sleep(Duration::from_millis(250));
            request.clone()
        });
        cost(&stack, reads)
    };
    // Five seconds, or more on a busy machine.
    let start = Instant::now();
    let (answers, [ledger, dispatcher]) = read(&last);
    assert!(answers.iter().all(|answer| answer.status == 200) && ledger >= 20);
    assert!(asked == 1 && dispatcher <= start.elapsed().as_secs() / 10, "{asked}, {dispatcher}");
    // The next one to start is asked for every two seconds, whoever reads it and how often.
    let start = Instant::now();
    let (_, [_, dispatcher]) = read(&Request::get("/v1/predictions").bearer(&reader));
    let most = start.elapsed().as_secs() / 2 + 2;
    assert!((2..=most).contains(&dispatcher), "{dispatcher} of {most}");
}

/// Models call no Ledger, so they are not counted. An isolate asks for the vendor's list at most once a minute.
#[test]
fn the_model_list_costs_an_isolate_one_message_a_minute() {
    let stack = stack();
    let good = token(&user("curious"));
    let (answers, messages) = cost(&stack, times(60, &Request::get("/v1/models").bearer(&good)));
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(messages[0] == 0 && messages[1] <= 1, "{messages:?}");
}

#[test]
fn an_operators_requests_are_counted_before_the_dispatcher_is_asked() {
    let stack = stack();
    let boss = token_of(STAFF, "boss", &json!({}));
    let request = Request::post(REVOCATIONS).bearer(&boss).json(&json!({"issued_by": now() - 86_400}));
    let (answers, [ledger, dispatcher]) = cost(&stack, times(260, &request));
    let done = answers.iter().filter(|answer| answer.status == 204).count();
    assert_eq!((done, ledger), (240, 260));
    assert!(dispatcher <= 5 * 240, "{dispatcher}: two questions, one revocation and its two records each");
    assert_refused(&answers[259], 429, "rate_limit_error", "rate_limited");
}

#[test]
fn repeats_of_a_key_have_an_allowance_of_their_own() {
    let stack = stack();
    let good = token(&user("insistent"));
    let keyed = create_of(&good, "once").header("Idempotency-Key", "k");
    let first = stack.send(&keyed);
    assert_eq!(first.status, 201);
    let (answers, [ledger, dispatcher]) = cost(&stack, times(60, &keyed));
    let replayed = answers.iter().take_while(|answer| answer.status == 201).count();
    assert_eq!((replayed, ledger), (40, 60));
    assert!(answers[..40].iter().all(|answer| job_id(answer) == job_id(&first)));
    for answer in &answers[40..] {
        assert_refused(answer, 429, "rate_limit_error", "rate_limited");
    }
    assert_eq!((dispatcher, stack.sent()), (0, vec!["once".to_owned()]));
    let left = stack.get(&good, "/v1/account");
    assert_eq!(left.header("x-ratelimit-remaining"), Some("8"), "repeats do not use up requests");

    // A bound create with a new key is no repeat: beyond the limit it neither stores its proof nor reaches the vendor.
    let prover = Prover::new();
    let bound = token_with(&user("bound"), json!({"cnf": {"jkt": prover.thumbprint()}}));
    let create = |key: String| {
        let body = json!({"input": {"prompt": "bound"}});
        prover.prove(Request::post(MODEL).json(&body).header("Idempotency-Key", &key), &bound)
    };
    let requests: Vec<Request> = (0..30).map(|number| create(format!("k{number}"))).collect();
    let (answers, _) = cost(&stack, requests.clone());
    assert_eq!(answers.iter().filter(|answer| answer.status < 300).count(), 10);
    assert_refused(&answers[29], 429, "rate_limit_error", "rate_limited");
    assert_refused(&stack.send(&requests[29]), 429, "rate_limit_error", "rate_limited");
    assert_eq!(stack.sent().len(), 11);
}

#[test]
fn callers_without_an_identity_are_counted_by_their_address() {
    let stack = stack();
    let guest = |address: &str| {
        let fields = [
            ("grant_type", crate::identity::EXCHANGE),
            ("subject_token_type", "urn:valetkey:token-type:turnstile"),
            ("subject_token", "forged"),
        ];
        form("/auth/token", &fields).header("CF-Connecting-IP", address)
    };
    let asked = || {
        let requests = stack.vendor_requests();
        requests.iter().filter(|request| request["route"] == "turnstile").count()
    };
    let before = stack.object_messages();
    // One customer has a whole /64.
    for number in 0..60 {
        let refused = stack.send(&guest(&format!("2001:db8:1:2::{number:x}")));
        assert_oauth_error(&refused, 400, "invalid_request");
    }
    assert_eq!(asked(), 60);
    let refused = stack.send(&guest("2001:db8:1:2:ffff::1"));
    assert_oauth_error(&refused, 429, "temporarily_unavailable");
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(asked(), 60, "Cloudflare is not asked");
    for other in ["2001:db8:1:3::1", "203.0.113.7"] {
        assert_oauth_error(&stack.send(&guest(other)), 400, "invalid_request");
    }
    assert_eq!(stack.object_messages(), before, "guests reach no object");
}
