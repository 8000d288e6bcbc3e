//! Evictions of single objects: a Ledger or the Dispatcher loses its memory, and everything else goes on. kills.rs has
//! the end of the whole process, and storms of both.

use std::time::Duration;

use serde_json::{Value, json};

use crate::files::{PNG, upload};
use crate::harness::{MODEL, Options, Stack, policy, token, token_with, user};
use crate::http::{Request, Response};
use crate::identity::{PUBLIC_URL, Prover};
use crate::proofs::bound_to;
use crate::steps::{assert_refused, at_once, create_of, job_id, policy_with, wait_until};

/// Which object loses its memory, and how.
#[derive(Clone, Copy, Debug)]
enum Loss {
    /// The user's Ledger is evicted.
    Ledger,
    /// The Dispatcher is evicted.
    Dispatcher,
    /// All objects end at once, in the middle of what they do.
    All,
}

const LOSSES: [Loss; 3] = [Loss::Ledger, Loss::Dispatcher, Loss::All];

/// Returns the losses in turn, with numbers.
fn losses(count: usize) -> impl Iterator<Item = (u64, Loss)> {
    (0_u64..).zip(LOSSES.into_iter().cycle()).take(count)
}

impl Loss {
    fn happen(self, stack: &Stack, subject: &str) {
        match self {
            Self::Ledger => stack.evict_ledger(subject),
            Self::Dispatcher => stack.evict_dispatcher(),
            Self::All => stack.abort_objects(),
        }
    }
}

/// Returns a stack whose predictions run until a test ends them.
fn manual(plan: &Value, key: &Value) -> Stack {
    let settings = vec![("POLICY", Some(policy_with(plan, key).to_string()))];
    let stack = Stack::start(&Options { settings, is_observed: true, ..Options::default() });
    stack.control_put("/settings", &json!({"manual": true}));
    stack
}

fn finish_all(stack: &Stack) {
    stack.control_put("/settings", &json!({"manual": false, "prediction_ms": 0}));
    let state = stack.control_get("/state");
    for prediction in state["predictions"].as_array().unwrap() {
        if prediction["status"] == "processing" {
            let finish = format!("/predictions/{}/finish", prediction["id"].as_str().unwrap());
            let finished = Request::post(&finish).json(&json!({"status": "succeeded"})).send(&stack.control);
            // A prediction that was created after the change of the settings may have ended by itself.
            assert!([200, 409].contains(&finished.status), "{}", finished.text());
        }
    }
}

/// Checks that the user has this many predictions, all ended and all settled at their price.
#[track_caller]
fn assert_settled(stack: &Stack, token: &str, count: usize) {
    let rows = wait_until("all end", || {
        let rows = stack.get(token, "/v1/predictions?limit=100").json()["data"].as_array().cloned()?;
        rows.iter().all(|row| row["completed_at"].is_string()).then_some(rows)
    });
    assert_eq!(rows.len(), count, "{rows:?}");
    let paid = rows.iter().filter(|row| row["credits_used"] == "2.5").count();
    let usage = wait_until("the settlement", || Some(stack.usage(token)).filter(|usage| usage["running"] == 0));
    let spent = usage["credits_spent"].as_str().unwrap().parse::<f64>().unwrap();
    assert_eq!((spent, &usage["credits_reserved"]), (2.5 * paid as f64, &json!("0")), "{usage}");
}

#[test]
fn an_eviction_starts_a_new_instance_of_that_object_alone() {
    let stack = manual(&json!({}), &json!({}));
    let [one, other] = [user("one"), user("other")];
    let read_both = || {
        [&one, &other].iter().for_each(|name| assert_eq!(stack.get(&token(name), "/v1/predictions").status, 200));
        stack.send_to_object("DISPATCHER", "main", &json!("tick"));
        stack.object_instances()
    };
    assert_eq!(read_both(), [2, 1]);
    assert_eq!(read_both(), [2, 1]);
    stack.evict_ledger(&one);
    assert_eq!(read_both(), [3, 1]);
    stack.evict_dispatcher();
    assert_eq!(read_both(), [3, 2]);
    stack.abort_objects();
    assert_eq!(read_both(), [5, 3]);
}

#[test]
fn a_waiting_prediction_survives_evictions() {
    for loss in LOSSES {
        let stack = manual(&json!({}), &json!({"concurrent_predictions": 1}));
        let name = user("waiting");
        let token = token(&name);
        assert_eq!(stack.prompt(&token, "first").status, 201);
        let waiting = job_id(&stack.prompt(&token, "second"));
        loss.happen(&stack, &name);
        let shown = stack.get(&token, &format!("/v1/predictions/{waiting}")).json();
        assert_eq!((&shown["status"], &shown["queue"]["position"]), (&json!("queued"), &json!(1)), "{loss:?}: {shown}");
        loss.happen(&stack, &name);
        stack.finish("first", &json!({"status": "succeeded"}));
        stack.finish("second", &json!({"status": "succeeded"}));
        assert_eq!(stack.ended(&token, &waiting)["status"], "succeeded", "{loss:?}");
        assert_settled(&stack, &token, 2);
        assert_eq!(stack.sent(), ["first", "second"], "{loss:?}");
    }
}

#[test]
fn a_create_at_the_vendor_survives_evictions_and_is_not_sent_again() {
    for loss in LOSSES {
        let stack = manual(&json!({}), &json!({}));
        stack.fault("create", 1, &json!({"delay_after_ms": 1_500}));
        let name = user("submitting");
        let token = token(&name);
        let created = std::thread::scope(|scope| {
            let create = scope.spawn(|| create_of(&token, "p").header("Idempotency-Key", "k").send(&stack.worker));
            stack.assert_sent(&["p"]);
            loss.happen(&stack, &name);
            create.join().unwrap()
        });
        match loss {
            // The work in flight of an evicted object ends first.
            Loss::Ledger | Loss::Dispatcher => assert_eq!(created.status, 201, "{loss:?}: {}", created.text()),
            Loss::All => assert!([202, 502, 503, 504].contains(&created.status), "{}", created.text()),
        }
        finish_all(&stack);
        let id = wait_until("the prediction", || {
            let row = stack.get(&token, "/v1/predictions").json()["data"][0].clone();
            row["completed_at"].is_string().then(|| row["job_id"].as_str().unwrap().to_owned())
        });
        let ended = stack.get(&token, &format!("/v1/predictions/{id}")).json();
        match loss {
            Loss::Ledger | Loss::Dispatcher => assert_eq!(ended["status"], "succeeded", "{loss:?}"),
            Loss::All => assert_eq!(ended["error"]["code"], "outcome_unknown", "{ended}"),
        }
        assert_settled(&stack, &token, 1);
        assert_eq!(stack.sent(), ["p"], "{loss:?}");
    }
}

#[test]
fn a_running_prediction_survives_evictions() {
    for loss in LOSSES {
        let stack = manual(&json!({}), &json!({}));
        let name = user("running");
        let token = token(&name);
        let id = job_id(&stack.prompt(&token, "p"));
        loss.happen(&stack, &name);
        assert_eq!(stack.get(&token, &format!("/v1/predictions/{id}")).json()["status"], "processing", "{loss:?}");
        stack.finish("p", &json!({"status": "succeeded"}));
        assert_eq!(stack.ended(&token, &id)["status"], "succeeded", "{loss:?}");
        assert_settled(&stack, &token, 1);
    }
}

#[test]
fn the_end_of_a_prediction_is_told_after_evictions() {
    for loss in LOSSES {
        let stack = manual(&json!({}), &json!({"concurrent_predictions": 1}));
        let name = user("untold");
        let token = token(&name);
        let id = job_id(&stack.prompt(&token, "p"));
        stack.lose_messages("news");
        stack.finish("p", &json!({"status": "succeeded"}));
        // The slot is free once the Dispatcher knows of the end.
        let other = crate::harness::token(&user("next"));
        let next = job_id(&stack.prompt(&other, "next"));
        stack.assert_sent(&["p", "next"]);
        assert_eq!(stack.get(&token, &format!("/v1/predictions/{id}")).json()["status"], "processing", "{loss:?}");
        loss.happen(&stack, &name);
        stack.lose_no_messages();
        assert_eq!(stack.ended(&token, &id)["status"], "succeeded", "{loss:?}");
        assert_settled(&stack, &token, 1);
        stack.finish("next", &json!({"status": "succeeded"}));
        assert_eq!(stack.ended(&other, &next)["status"], "succeeded");
    }
}

/// Sends a request at the same time as a loss, which comes at one of several moments. Repeats the request as a client
/// does that got no reply, and returns the reply.
fn race(stack: &Stack, subject: &str, loss: Loss, round: u64, request: &Request) -> Response {
    std::thread::scope(|scope| {
        let first = scope.spawn(|| stack.send(request));
        std::thread::sleep(Duration::from_millis(3 * round));
        loss.happen(stack, subject);
        let first = first.join().unwrap();
        if first.status < 500 && first.status != 409 {
            return first;
        }
        wait_until("a reply", || Some(stack.send(request)).filter(|again| ![409, 503].contains(&again.status)))
    })
}

/// Checks that no two creates at the vendor have the same prompt.
#[track_caller]
fn assert_none_was_sent_twice(stack: &Stack) {
    let mut sent = stack.sent();
    sent.sort();
    assert!(sent.windows(2).all(|pair| pair[0] != pair[1]), "{sent:?}");
}

#[test]
fn a_create_with_a_key_makes_one_prediction_in_spite_of_evictions() {
    let stack = manual(&json!({}), &json!({}));
    let tokens: Vec<String> = losses(24)
        .map(|(number, loss)| {
            let name = user("once");
            let token = token(&name);
            let request = create_of(&token, &format!("p{number}")).header("Idempotency-Key", "k");
            let created = race(&stack, &name, loss, number / 3, &request);
            loss.happen(&stack, &name);
            let again = wait_until("the replay", || Some(stack.send(&request)).filter(|it| it.status != 409));
            assert_eq!(job_id(&again), job_id(&created), "{loss:?} {number}");
            token
        })
        .collect();
    finish_all(&stack);
    tokens.iter().for_each(|token| assert_settled(&stack, token, 1));
    assert_none_was_sent_twice(&stack);
}

#[test]
fn a_batch_is_made_whole_or_not_at_all_in_spite_of_evictions() {
    let stack = manual(&json!({}), &json!({}));
    let tokens: Vec<String> = losses(24)
        .map(|(number, loss)| {
            let name = user("batch");
            let token = token(&name);
            let item = |part: &str| json!({"model": "acme/model-x", "input": {"prompt": format!("{number} {part}")}});
            let request = Request::post("/v1/predictions/batch")
                .json(&json!({"predictions": [item("a"), item("b"), item("c")]}))
                .header("Idempotency-Key", "k")
                .bearer(&token);
            let created = race(&stack, &name, loss, number / 3, &request);
            assert!([201, 202].contains(&created.status), "{loss:?} {number}: {}", created.text());
            assert_eq!(stack.get(&token, "/v1/predictions").json()["data"].as_array().unwrap().len(), 3, "{loss:?}");
            loss.happen(&stack, &name);
            token
        })
        .collect();
    finish_all(&stack);
    tokens.iter().for_each(|token| assert_settled(&stack, token, 3));
    assert_none_was_sent_twice(&stack);
}

#[test]
fn a_cancel_is_kept_in_spite_of_evictions() {
    let stack = manual(&json!({}), &json!({}));
    for (number, loss) in losses(12) {
        let name = user("canceled");
        let token = token(&name);
        let id = job_id(&stack.prompt(&token, &format!("p{number}")));
        let cancel = Request::post(&format!("/v1/predictions/{id}/cancel")).bearer(&token);
        let canceled = race(&stack, &name, loss, number / 3, &cancel);
        assert_eq!(canceled.status, 200, "{loss:?}: {}", canceled.text());
        loss.happen(&stack, &name);
        assert_eq!(stack.ended(&token, &id)["status"], "canceled", "{loss:?} {number}");
        assert_settled(&stack, &token, 1);
    }
}

#[test]
fn a_revocation_is_kept_in_spite_of_evictions() {
    let stack = manual(&json!({}), &json!({"concurrent_predictions": 1}));
    assert_eq!(stack.prompt(&token(&user("first")), "first").status, 201);
    for (number, loss) in losses(12) {
        let name = user("revoked");
        let token = token_with(&name, json!({"jti": name}));
        assert_eq!(stack.prompt(&token, &format!("p{number}")).status, 202);
        let revoke = Request::post("/auth/revoke")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("token={token}"));
        let revoked = race(&stack, &name, loss, number / 3, &revoke);
        assert_eq!(revoked.status, 200, "{loss:?}: {}", revoked.text());
        loss.happen(&stack, &name);
        assert_refused(&stack.get(&token, "/v1/predictions"), 401, "authentication_error", "invalid_token");
        assert_refused(&stack.prompt(&token, "late"), 401, "authentication_error", "invalid_token");
    }
    // Its queue is canceled: nothing starts when the slot is free.
    finish_all(&stack);
    let next = crate::harness::token(&user("next"));
    let id = job_id(&stack.prompt(&next, "next"));
    stack.ended(&next, &id);
    assert_eq!(stack.sent(), ["first", "next"]);
}

#[test]
fn room_that_an_upload_has_reserved_is_kept_in_spite_of_evictions() {
    for loss in LOSSES {
        let stack = manual(&json!({"max_files": 1}), &json!({}));
        stack.fault("files", 1, &json!({"delay_ms": 2_000}));
        let name = user("uploader");
        let token = token(&name);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| upload(&stack, &token, "image/png", PNG));
            wait_until("the upload", || (!stack.vendor_requests().is_empty()).then_some(()));
            loss.happen(&stack, &name);
            let second = upload(&stack, &token, "image/png", PNG);
            assert_refused(&second, 403, "permission_error", "file_limit_reached");
            assert_eq!(first.join().unwrap().status, 201, "{loss:?}");
        });
        loss.happen(&stack, &name);
        let files = stack.get(&token, "/v1/files").json()["data"].as_array().unwrap().len();
        assert_eq!(files, 1, "{loss:?}");
        assert_refused(&upload(&stack, &token, "image/png", PNG), 403, "permission_error", "file_limit_reached");
    }
}

#[test]
fn evictions_refund_no_requests_and_no_creates_of_the_minute() {
    for loss in [Loss::Ledger, Loss::All] {
        let stack = manual(&json!({"requests_per_minute": 60, "predictions_per_minute": 3}), &json!({}));
        let name = user("counted");
        let token = token(&name);
        for number in 0..3 {
            assert_eq!(stack.prompt(&token, &format!("p{number}")).status, 201);
            loss.happen(&stack, &name);
        }
        assert_refused(&stack.prompt(&token, "one more"), 429, "rate_limit_error", "rate_limited");
        let mut served = 4;
        for number in 0.. {
            match stack.get(&token, "/v1/predictions").status {
                200 => served += 1,
                429 => break,
                other => panic!("{other}"),
            }
            if number % 8 == 7 {
                loss.happen(&stack, &name);
            }
        }
        // Each instance takes a block of six with it, of which up to five requests are lost.
        assert!((20..=60).contains(&served), "{loss:?}: {served} of 60");
        assert_eq!(stack.sent().len(), 3);
    }
}

#[test]
fn the_vendors_limits_hold_in_spite_of_evictions() {
    for (loss, requests, slots) in
        [(Loss::Dispatcher, 20, 50), (Loss::Dispatcher, 1_000, 2), (Loss::All, 20, 50), (Loss::All, 1_000, 2)]
    {
        let stack = manual(&json!({}), &json!({"requests_per_minute": requests, "concurrent_predictions": slots}));
        // The vendor refuses and counts what is too much.
        stack.control_put("/settings", &json!({"requests_per_minute": requests, "concurrent_limit": slots}));
        for number in 0..16 {
            let name = user(&number.to_string());
            assert!([201, 202].contains(&stack.prompt(&token(&name), &name).status));
            loss.happen(&stack, &name);
        }
        let state = stack.control_get("/state");
        assert_eq!((&state["refused"]["rate_limited"], &state["refused"]["concurrency"]), (&json!(0), &json!(0)));
        assert!((2..16).contains(&stack.sent().len()), "{loss:?}: {} of 16 creates", stack.sent().len());
    }
}

#[test]
fn a_proof_is_used_up_in_spite_of_evictions() {
    let settings = vec![("PUBLIC_URL", Some(PUBLIC_URL.to_owned())), ("POLICY", Some(policy().to_string()))];
    let stack = Stack::start(&Options { settings, ..Options::default() });
    let prover = Prover::new();
    for loss in [Loss::Ledger, Loss::All] {
        let name = user("proven");
        let token = bound_to(&prover, &name);
        let request = prover.prove(Request::post(MODEL).json(&json!({"input": {"prompt": "p"}})), &token);
        assert_eq!(stack.send(&request).status, 201, "{loss:?}");
        loss.happen(&stack, &name);
        for answer in at_once(4, |_| stack.send(&request)) {
            assert_refused(&answer, 401, "authentication_error", "invalid_token");
        }
    }
    assert_eq!(stack.sent().len(), 2);
}

#[test]
fn an_eviction_grants_no_more_permits_than_the_lane_has() {
    let stack = manual(&json!({}), &json!({"requests_per_minute": 100}));
    let names: Vec<String> = (0..12).map(|number| user(&number.to_string())).collect();
    let mut granted = 0;
    for name in &names {
        let answer = upload(&stack, &token(name), "image/png", PNG);
        match answer.status {
            201 => granted += 1,
            // Its user waits for its turn, which the Dispatcher's memory alone has.
            _ => assert_refused(&answer, 503, "api_error", "upstream_unavailable"),
        }
        stack.evict_dispatcher();
    }
    assert_eq!(granted, 5, "five in a minute");
}
