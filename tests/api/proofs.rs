//! Proofs of possession (DPoP, RFC 9449): a stolen bound token is useless.

use serde_json::{Value, json};

use crate::harness::{MODEL, Options, Stack, issuers, now, shared, token, token_with, user};
use crate::http::{Request, Response};
use crate::identity::{
    ALGS, LOGIN, PUBLIC_URL, Prover, SigningKey, assert_oauth_error, bad_proof, bad_token, claims_of, exchange_of,
    settings, start, token_hash, token_of,
};
use crate::steps::{assert_refused, at_once};

const LIST: &str = "/v1/predictions";

/// Returns a stack with a `PUBLIC_URL` and the default issuer.
fn stack() -> Stack {
    let settings = vec![("PUBLIC_URL", Some(PUBLIC_URL.to_owned()))];
    Stack::start(&Options { settings, ..Options::default() })
}

/// Returns a token of the default issuer that is bound to the prover's key.
pub fn bound_to(prover: &Prover, subject: &str) -> String {
    token_with(subject, json!({"cnf": {"jkt": prover.thumbprint()}}))
}

fn create() -> Request {
    Request::post(MODEL).json(&json!({"input": {"prompt": "a test"}}))
}

#[track_caller]
fn refused(answer: &Response, challenge: &str) {
    assert_refused(answer, 401, "authentication_error", "invalid_token");
    assert_eq!(answer.header("www-authenticate"), Some(challenge));
    assert!(answer.header("x-ratelimit-limit").is_none());
}

#[test]
fn a_bound_token_works_on_every_kind_of_route_with_a_new_proof_per_request() {
    let (stack, prover) = (stack(), Prover::new());
    let token = bound_to(&prover, &user("bound"));
    let send = |request: Request| stack.send(&prover.prove(request, &token));
    let created = send(create());
    assert_eq!(created.status, 201, "{}", created.text());
    let id = created.json()["job_id"].as_str().unwrap().to_owned();
    for target in [
        LIST.to_owned(),
        format!("{LIST}?limit=1"),
        format!("{LIST}/{id}"),
        "/v1/models".to_owned(),
        "/v1/models/acme/model-x".to_owned(),
        "/v1/account".to_owned(),
        "/v1/files".to_owned(),
    ] {
        let answer = send(Request::get(&target));
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    }
    assert_eq!(send(Request::new("HEAD", LIST)).status, 200);
    let estimate = Request::post("/v1/estimate").json(&json!({"model": "acme/model-x", "input": {"prompt": "p"}}));
    assert_eq!(send(estimate).status, 200);
    assert_eq!(send(Request::post(&format!("{LIST}/{id}/cancel"))).status, 200);
}

#[test]
fn a_stolen_bound_token_is_useless() {
    let (stack, owner, thief) = (stack(), Prover::new(), Prover::new());
    let token = bound_to(&owner, &user("stolen"));
    // The isolate caches the verified token, as it would for its owner.
    assert_eq!(stack.send(&owner.prove(Request::get(LIST), &token)).status, 200);
    let before = stack.vendor_requests().len();
    let both = format!("Bearer error=\"invalid_token\", DPoP {ALGS}");
    refused(&stack.send(&create().bearer(&token)), &both);
    // A proof beside the Bearer scheme does not count.
    let proof = owner.proof("POST", MODEL, &json!({"ath": token_hash(&token)}));
    refused(&stack.send(&create().bearer(&token).header("DPoP", &proof)), &both);
    refused(&stack.send(&thief.prove(create(), &token)), &bad_token());
    refused(&stack.send(&create().header("Authorization", &format!("DPoP {token}"))), &bad_proof());
    assert_eq!(stack.vendor_requests().len(), before, "nothing went upstream");
}

#[test]
fn a_proof_for_anything_else_is_refused() {
    let (stack, prover) = (stack(), Prover::new());
    let (name, now) = (user("wrong-proof"), now());
    let token = bound_to(&prover, &name);
    let with = |proof: &str| {
        stack.send(&Request::get(LIST).header("Authorization", &format!("DPoP {token}")).header("DPoP", proof))
    };
    let ath = token_hash(&token);
    let changed = |claims: Value| {
        let mut all = json!({"ath": ath});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        with(&prover.proof("GET", LIST, &all))
    };
    for claims in [
        json!({"htm": "POST"}),
        json!({"htu": format!("{PUBLIC_URL}/v1/account")}),
        // The client chooses the Host header, so only PUBLIC_URL counts.
        json!({"htu": format!("http://{}{LIST}", stack.worker)}),
        json!({"iat": now - 3_600}),
        json!({"iat": now + 3_600}),
        json!({"ath": token_hash("another")}),
        json!({"ath": null}),
        json!({"jti": ""}),
    ] {
        refused(&changed(claims), &bad_proof());
    }
    let good = prover.proof("GET", LIST, &json!({"ath": ath}));
    refused(&with(&format!("{good}x")), &bad_proof());
    refused(&with("a.b.c"), &bad_proof());
    refused(&with(&format!("{good}, {good}")), &bad_proof());
    // The refused attempts did not use the good proof up.
    assert_eq!(with(&good).status, 200);
    stack.assert_logged("proof_url");
    stack.assert_logged("proof_time");
    // A proof with a token that is not bound is refused.
    let plain = crate::harness::token(&name);
    refused(&stack.send(&prover.prove(Request::get(LIST), &plain)), &bad_token());
}

#[test]
fn a_proof_is_accepted_once_even_concurrently_and_after_a_restart() {
    let (mut stack, prover) = (stack(), Prover::new());
    let token = bound_to(&prover, &user("replay"));
    let request = prover.prove(create(), &token);
    let answers = at_once(8, |_| stack.send(&request));
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        refused(answer, &bad_proof());
    }
    assert_eq!(stack.sent().len(), 1, "one went upstream");
    let read = prover.prove(Request::get("/v1/models"), &token);
    assert_eq!(stack.send(&read).status, 200);
    refused(&stack.send(&read), &bad_proof());
    stack.restart_workerd();
    refused(&stack.send(&request), &bad_proof());
    refused(&stack.send(&read), &bad_proof());
    assert_eq!(stack.send(&prover.prove(Request::get(LIST), &token)).status, 200);
    stack.assert_logged("proof_used");
}

#[test]
fn a_batch_an_upload_and_a_deletion_use_their_proof_up_too() {
    let (stack, prover) = (stack(), Prover::new());
    let token = bound_to(&prover, &user("routes"));
    let order = json!({"model": "acme/model-x", "input": {"prompt": "a test"}});
    let batch = Request::post("/v1/predictions/batch").json(&json!({"predictions": [order, order]}));
    let batch = prover.prove(batch, &token);
    let created = stack.send(&batch);
    assert_eq!(created.status, 202, "{}", created.text());
    refused(&stack.send(&batch), &bad_proof());
    let upload = Request::post("/v1/files").header("Content-Type", "image/png").body("0000");
    let upload = prover.prove(upload, &token);
    let file = stack.send(&upload);
    assert_eq!(file.status, 201, "{}", file.text());
    refused(&stack.send(&upload), &bad_proof());
    let target = format!("/v1/files/{}", file.json()["file_id"].as_str().unwrap());
    assert_eq!(stack.send(&prover.prove(Request::new("DELETE", &target), &token)).status, 204);
    // A proof for one path of a route does not count for its alias.
    let alias = "/v1/models/acme/model-x/predictions";
    let proof = prover.proof("POST", MODEL, &json!({"ath": token_hash(&token)}));
    let other = Request::post(alias).json(&json!({"input": {"prompt": "a test"}}));
    let other = other.header("Authorization", &format!("DPoP {token}")).header("DPoP", &proof);
    refused(&stack.send(&other), &bad_proof());
    crate::steps::wait_until("both of the batch", || (stack.sent().len() == 2).then_some(()));
}

#[test]
fn a_request_refused_for_another_reason_does_not_use_its_proof_up() {
    let (stack, prover) = (stack(), Prover::new());
    let token = bound_to(&prover, &user("unused"));
    let send = |body: &Value, proof: &str| {
        let request = Request::post(MODEL).json(body).header("Authorization", &format!("DPoP {token}"));
        stack.send(&request.header("DPoP", proof)).status
    };
    let proof = prover.proof("POST", MODEL, &json!({"ath": token_hash(&token)}));
    assert_eq!(send(&json!({"input": {}}), &proof), 400);
    assert_eq!(send(&json!({"input": {"prompt": "a test"}}), &proof), 201);
    assert_eq!(send(&json!({"input": {"prompt": "a test"}}), &proof), 401);
}

#[test]
fn a_replay_needs_a_new_proof_and_returns_the_same_prediction() {
    let (stack, prover) = (stack(), Prover::new());
    let token = bound_to(&prover, &user("repeat"));
    let send = || stack.send(&prover.prove(create().header("Idempotency-Key", "k"), &token));
    let (first, again) = (send(), send());
    assert_eq!((first.status, again.header("idempotency-replayed")), (201, Some("true")));
    assert_eq!(first.json()["job_id"], again.json()["job_id"]);
    assert_eq!(stack.sent().len(), 1);
}

#[test]
fn a_rate_limited_request_does_not_use_its_proof_up() {
    let mut policy = crate::harness::policy();
    policy["plans"]["default"]["requests_per_minute"] = json!(10);
    let settings = vec![("PUBLIC_URL", Some(PUBLIC_URL.to_owned())), ("POLICY", Some(policy.to_string()))];
    let stack = Stack::start(&Options { settings, ..Options::default() });
    let prover = Prover::new();
    let token = bound_to(&prover, &user("limited"));
    let models = || prover.prove(Request::get("/v1/models"), &token);
    for _ in 0..5 {
        assert_eq!(stack.send(&models()).status, 200);
        assert_eq!(stack.send(&prover.prove(Request::get(LIST), &token)).status, 200);
    }
    let request = prover.prove(Request::get(LIST), &token);
    for _ in 0..2 {
        assert_refused(&stack.send(&request), 429, "rate_limit_error", "rate_limited");
    }
    assert_refused(&stack.send(&models()), 429, "rate_limit_error", "rate_limited");
}

#[test]
fn an_event_stream_needs_a_proof_only_when_it_opens() {
    let (stack, prover) = (stack(), Prover::new());
    let token = bound_to(&prover, &user("stream"));
    let id = stack.send(&prover.prove(create(), &token)).json()["job_id"].as_str().unwrap().to_owned();
    let events = stack.send(&prover.prove(Request::get(&format!("{LIST}/{id}/events")), &token));
    assert_eq!(events.status, 200);
    assert!(events.text().contains("\"succeeded\""), "{}", events.text());
}

#[test]
fn an_issuer_can_require_proofs() {
    let mut list = issuers();
    list[0]["dpop"] = json!("required");
    let settings = vec![("PUBLIC_URL", Some(PUBLIC_URL.to_owned())), ("ISSUERS", Some(list.to_string()))];
    let stack = Stack::start(&Options { settings, ..Options::default() });
    let (prover, name) = (Prover::new(), user("required"));
    let both = format!("Bearer error=\"invalid_token\", DPoP {ALGS}");
    refused(&stack.get(&token(&name), LIST), &both);
    assert_eq!(stack.send(&prover.prove(Request::get(LIST), &bound_to(&prover, &name))).status, 200);
    let nothing = stack.send(&Request::get(LIST));
    assert_refused(&nothing, 401, "authentication_error", "missing_token");
    assert_eq!(nothing.header("www-authenticate"), Some(format!("Bearer, DPoP {ALGS}").as_str()));
}

#[test]
fn without_a_public_url_every_proof_is_refused() {
    let (stack, prover) = (shared(), Prover::new());
    let token = bound_to(&prover, &user("no-url"));
    for answer in [stack.send(&prover.prove(Request::get(LIST), &token)), stack.get(&token, LIST)] {
        refused(&answer, "Bearer error=\"invalid_token\"");
    }
}

#[test]
fn an_exchange_with_a_proof_binds_the_new_token() {
    let stack = start(&[&SigningKey::new("k1")]);
    let (prover, thief, name) = (Prover::new(), Prover::new(), user("bind"));
    let exchange = |prover: &Prover, claims: &Value| {
        let request = exchange_of(&token_of(LOGIN, &name, claims), &[]);
        stack.send(&request.header("DPoP", &prover.proof("POST", "/auth/token", &json!({}))))
    };
    let answer = exchange(&prover, &json!({}));
    assert_eq!((answer.status, &answer.json()["token_type"]), (200, &json!("DPoP")), "{}", answer.text());
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(claims_of(&token)["cnf"]["jkt"], prover.thumbprint());
    assert_eq!(stack.send(&prover.prove(Request::get(LIST), &token)).status, 200);
    refused(&stack.send(&thief.prove(Request::get(LIST), &token)), &bad_token());
    refused(&stack.get(&token, LIST), &format!("Bearer error=\"invalid_token\", DPoP {ALGS}"));

    // Only its owner can exchange a bound token, and the new token is bound too.
    let bound = json!({"cnf": {"jkt": prover.thumbprint()}});
    assert_eq!(exchange(&prover, &bound).json()["token_type"], "DPoP");
    assert_oauth_error(&exchange(&thief, &bound), 400, "invalid_dpop_proof");
    assert_oauth_error(&stack.exchange(&token_of(LOGIN, &name, &bound), &[]), 400, "invalid_dpop_proof");
    // The token endpoint accepts a proof only once, too.
    let request = exchange_of(&token_of(LOGIN, &name, &json!({})), &[]);
    let request = request.header("DPoP", &prover.proof("POST", "/auth/token", &json!({})));
    assert_eq!(stack.send(&request).status, 200);
    assert_oauth_error(&stack.send(&request), 400, "invalid_dpop_proof");
    let other = exchange_of(&token_of(LOGIN, &name, &json!({})), &[]);
    let other = other.header("DPoP", &prover.proof("POST", "/auth/revoke", &json!({})));
    assert_oauth_error(&stack.send(&other), 400, "invalid_dpop_proof");
}

#[test]
fn an_issuer_that_requires_proofs_gets_only_bound_exchanges() {
    let mut all = settings(&[&SigningKey::new("k1")]);
    for (name, value) in &mut all {
        if *name == "ISSUERS" {
            let mut list: Value = serde_json::from_str(value.as_ref().unwrap()).unwrap();
            list[1]["dpop"] = json!("required");
            *value = Some(list.to_string());
        }
    }
    let stack = Stack::start(&Options { settings: all, ..Options::default() });
    let (prover, name) = (Prover::new(), user("insists"));
    assert_oauth_error(&stack.exchange(&token_of(LOGIN, &name, &json!({})), &[]), 400, "invalid_dpop_proof");
    let request = exchange_of(&token_of(LOGIN, &name, &json!({})), &[]);
    let answer = stack.send(&request.header("DPoP", &prover.proof("POST", "/auth/token", &json!({}))));
    assert_eq!((answer.status, &answer.json()["token_type"]), (200, &json!("DPoP")), "{}", answer.text());
}
