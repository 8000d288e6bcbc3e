//! Revocation of tokens: by their holder, and by an operator for one token, for one user or for all users.

use serde_json::{Value, json};

use crate::harness::{ISSUER, Options, Stack, now, token, token_with, user};
use crate::http::{Request, Response};
use crate::identity::{LOGIN, PUBLIC_URL, STAFF, SigningKey, assert_oauth_error, form, start, token_of};
use crate::sse::Sse;
use crate::steps::{assert_refused, create_of, job_id};

const LIST: &str = "/v1/predictions";
const REVOCATIONS: &str = "/admin/api/revocations";

fn stack() -> Stack {
    start(&[&SigningKey::new("k1")])
}

impl Stack {
    fn revoke(&self, token: &str) -> Response {
        self.send(&form("/auth/revoke", &[("token", token), ("token_type_hint", "access_token")]))
    }

    fn admin_revoke(&self, operator: &str, body: &Value) -> Response {
        self.send(&Request::post(REVOCATIONS).bearer(operator).json(body))
    }
}

fn boss() -> String {
    token_of(STAFF, "boss", &json!({}))
}

#[track_caller]
fn assert_invalid_token(answer: &Response) {
    assert_refused(answer, 401, "authentication_error", "invalid_token");
}

#[test]
fn a_token_that_its_holder_revokes_is_refused_on_the_next_request() {
    let stack = stack();
    let name = user("logout");
    let (here, there) = (stack.own_token(&name, &json!({}), &[]), stack.own_token(&name, &json!({}), &[]));
    assert_eq!(stack.get(&here, LIST).status, 200);
    let answer = stack.revoke(&here);
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_invalid_token(&stack.get(&here, LIST));
    assert_invalid_token(&stack.create(&here));
    assert_eq!(stack.sent().len(), 0, "nothing went upstream");
    assert_eq!(stack.get(&there, LIST).status, 200, "the other one goes on");
    // A second time, and a provider's token that has a `jti`.
    assert_eq!(stack.revoke(&here).status, 200);
    let theirs = token_with(&name, json!({"jti": "j1"}));
    assert_eq!(stack.revoke(&theirs).status, 200);
    assert_invalid_token(&stack.get(&theirs, LIST));
    stack.assert_logged("revoked");
}

/// Its mark sorts after all others.
#[test]
fn a_token_whose_id_starts_with_the_last_character_of_unicode_can_be_revoked() {
    let stack = stack();
    let theirs = token_with(&user("odd"), json!({"jti": "\u{10ffff}x"}));
    assert_eq!(stack.get(&theirs, LIST).status, 200);
    assert_eq!(stack.revoke(&theirs).status, 200);
    assert_invalid_token(&stack.get(&theirs, LIST));
}

#[test]
fn revoking_an_invalid_token_succeeds() {
    let stack = stack();
    for token in ["a.b.c", "x", &token_with("u", json!({"aud": "other"}))] {
        let answer = stack.revoke(token);
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{token}");
    }
    // A token without a `jti` cannot be told apart from the user's other tokens.
    assert_oauth_error(&stack.revoke(&token(&user("no-jti"))), 400, "unsupported_token_type");
    assert_oauth_error(&stack.send(&form("/auth/revoke", &[])), 400, "invalid_request");
    assert_oauth_error(
        &stack.send(&Request::post("/auth/revoke").json(&json!({"token": "a"}))),
        415,
        "invalid_request",
    );
    assert_eq!(stack.send(&Request::get("/auth/revoke")).status, 405);
}

#[test]
fn a_bound_token_can_be_revoked_without_its_proof() {
    let stack = stack();
    let prover = crate::identity::Prover::new();
    let bound = token_with(&user("found"), json!({"jti": "j1", "cnf": {"jkt": prover.thumbprint()}}));
    assert_eq!(stack.send(&prover.prove(Request::get(LIST), &bound)).status, 200);
    assert_eq!(stack.revoke(&bound).status, 200);
    assert_invalid_token(&stack.send(&prover.prove(Request::get(LIST), &bound)));
}

#[test]
fn an_operator_revokes_a_users_tokens_and_their_subject_tokens() {
    let stack = stack();
    let name = user("banned");
    let early = json!({"iat": now() - 10});
    let ours = stack.own_token(&name, &early, &[]);
    let provided = token_of(LOGIN, &name, &early);
    assert_eq!(stack.get(&ours, LIST).status, 200);
    assert_eq!(stack.admin_revoke(&boss(), &json!({"issuer": LOGIN, "subject": name})).status, 204);
    assert_invalid_token(&stack.get(&ours, LIST));
    assert_invalid_token(&stack.create(&ours));
    // The provider's token is still valid at the provider, but must not be exchanged for a new one.
    assert_oauth_error(&stack.exchange(&provided, &[]), 400, "invalid_request");
    // A new sign-in yields a token with a later `iat`.
    let later = token_of(LOGIN, &name, &json!({"iat": now() + 2, "exp": now() + 100}));
    let answer = stack.exchange(&later, &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(stack.exchange(&token_of(LOGIN, &user("other"), &early), &[]).status, 200, "others go on");
}

#[test]
fn an_operator_revokes_one_token() {
    let stack = stack();
    let name = user("one");
    let (bad, good) = (token_with(&name, json!({"jti": "bad"})), token_with(&name, json!({"jti": "good"})));
    assert_eq!(stack.admin_revoke(&boss(), &json!({"issuer": ISSUER, "subject": name, "jti": "bad"})).status, 204);
    assert_invalid_token(&stack.get(&bad, LIST));
    assert_eq!(stack.get(&good, LIST).status, 200);
    // A guest can be revoked like any user.
    let guest = json!({"issuer": "guest", "subject": "guest_01jh0000000000000000000000"});
    assert_eq!(stack.admin_revoke(&boss(), &guest).status, 204);
}

#[test]
fn an_operator_revokes_all_tokens_issued_up_to_a_time() {
    let mut stack = stack();
    let now = now();
    let old = token_with(&user("old"), json!({"iat": now - 100, "exp": now + 200}));
    let exchanged = token_of(LOGIN, &user("old"), &json!({"iat": now - 100, "exp": now + 200}));
    let new = token(&user("new"));
    assert_eq!(stack.get(&old, LIST).status, 200);
    assert_eq!(stack.admin_revoke(&boss(), &json!({"issued_by": now - 50})).status, 204);
    assert_invalid_token(&stack.get(&old, LIST));
    assert_invalid_token(&stack.send(&create_of(&old, "never")));
    assert_oauth_error(&stack.exchange(&exchanged, &[]), 400, "invalid_request");
    assert_eq!(stack.create(&new).status, 201);
    // An earlier time changes nothing, and the revoked-before time survives a restart.
    assert_eq!(stack.admin_revoke(&boss(), &json!({"issued_by": now - 1_000})).status, 204);
    stack.restart_workerd();
    assert_invalid_token(&stack.get(&old, LIST));
    assert_eq!(stack.get(&new, LIST).status, 200);
    assert_eq!(stack.sent().len(), 1, "nothing of the revoked tokens went upstream");
}

#[test]
fn creates_and_exchanges_see_a_revocation_at_once_in_every_isolate() {
    let stack = stack();
    let now = now();
    let early = json!({"iat": now - 100, "exp": now + 200});
    let (old, provided) = (token_with(&user("elsewhere"), early.clone()), token_of(LOGIN, &user("elsewhere"), &early));
    // From here the isolate caches for half a minute that nothing is revoked.
    assert_eq!(stack.get(&old, LIST).status, 200);
    stack.send_to_object("DISPATCHER", "main", &json!({"revoke_all": {"issued_by": now - 50}}));
    assert_oauth_error(&stack.exchange(&provided, &[]), 400, "invalid_request");
    let other = self::stack();
    assert_eq!(other.get(&old, LIST).status, 200);
    other.send_to_object("DISPATCHER", "main", &json!({"revoke_all": {"issued_by": now - 50}}));
    assert_invalid_token(&other.send(&create_of(&old, "never")));
    assert!(other.sent().is_empty() && stack.sent().is_empty(), "nothing went upstream");
}

#[test]
fn nothing_is_exchanged_while_the_dispatcher_is_unreachable() {
    let settings = crate::identity::settings(&[&SigningKey::new("k1")]);
    let stack = Stack::start(&Options { settings, unbound: Some("DISPATCHER"), ..Options::default() });
    let answer = stack.exchange(&token_of(LOGIN, &user("blind"), &json!({})), &[]);
    assert_oauth_error(&answer, 503, "temporarily_unavailable");
    let body = json!({"issuer": LOGIN, "subject": "u1"});
    let answer = stack.admin_revoke(&boss(), &body);
    assert_refused(&answer, 503, "api_error", "limiter_unavailable");
    // The operator's right is checked before any object is called.
    let answer = stack.admin_revoke(&token_of(STAFF, "nobody", &json!({})), &body);
    assert_refused(&answer, 403, "permission_error", "insufficient_permissions");
    // A new isolate does not know yet which tokens are revoked.
    let token = token(&user("blind"));
    let answer = stack.get(&token, LIST);
    assert_refused(&answer, 503, "api_error", "limiter_unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_refused(&stack.create(&token), 503, "api_error", "limiter_unavailable");
    // An estimate calls no Ledger.
    let estimate = json!({"model": "acme/model-x", "input": {"prompt": "p"}});
    assert_eq!(stack.send(&Request::post("/v1/estimate").bearer(&token).json(&estimate)).status, 200);
    assert!(stack.sent().is_empty(), "nothing went upstream");
}

/// Runs `steps` in a new isolate whose Dispatcher cannot read its storage, then starts another one whose Dispatcher can.
fn without_dispatcher(stack: &mut Stack, steps: impl FnOnce(&Stack)) {
    stack.kill_workerd();
    let folder = stack.directory.join("storage/dispatcher");
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    // Keeps the platform's own file next to the Dispatcher's, because workerd does not start without it.
    let files = files.filter(|file| !file.file_name().unwrap().to_string_lossy().starts_with("metadata"));
    let whole: Vec<_> = files.map(|file| (file.clone(), std::fs::read(file).unwrap())).collect();
    assert!(!whole.is_empty());
    for (file, _) in &whole {
        std::fs::write(file, "no database".repeat(1_000)).unwrap();
    }
    stack.start_workerd_again();
    steps(stack);
    stack.kill_workerd();
    for (file, bytes) in whole {
        std::fs::write(file, bytes).unwrap();
    }
    stack.start_workerd_again();
}

#[test]
fn a_new_isolate_serves_no_reads_to_revoked_tokens_before_the_dispatcher_answers() {
    let mut stack = stack();
    let old = token_with(&user("old"), json!({"iat": now() - 100, "exp": now() + 200}));
    assert_eq!(stack.get(&old, LIST).status, 200);
    assert_eq!(stack.admin_revoke(&boss(), &json!({"issued_by": now() - 50})).status, 204);
    assert_invalid_token(&stack.get(&old, LIST));
    let new = token(&user("new"));
    without_dispatcher(&mut stack, |stack| {
        for token in [&old, &new] {
            for _ in 0..3 {
                assert_refused(&stack.get(token, LIST), 503, "api_error", "limiter_unavailable");
            }
        }
    });
    assert_invalid_token(&stack.get(&old, LIST));
    assert_eq!(stack.get(&new, LIST).status, 200);
}

/// Returns a stack whose users have five requests a minute.
fn five_a_minute() -> Stack {
    let mut settings = crate::identity::settings(&[&SigningKey::new("k1")]);
    for (name, value) in &mut settings {
        if *name == "POLICY" {
            let mut policy: Value = serde_json::from_str(value.as_ref().unwrap()).unwrap();
            policy["plans"]["default"]["requests_per_minute"] = json!(5);
            *value = Some(policy.to_string());
        }
    }
    Stack::start(&Options { settings, ..Options::default() })
}

#[test]
fn a_revoked_token_does_not_use_up_its_owners_requests() {
    let stack = five_a_minute();
    let name = user("owner");
    let early = json!({"iat": now() - 100, "exp": now() + 200});
    let (stolen, older) = (token_with(&name, json!({"jti": "stolen"})), token_with(&name, early));
    assert_eq!(stack.revoke(&stolen).status, 200);
    assert_eq!(stack.admin_revoke(&boss(), &json!({"issued_by": now() - 50})).status, 204);
    for token in [&stolen, &older] {
        for _ in 0..10 {
            assert_invalid_token(&stack.get(token, LIST));
            assert_invalid_token(&stack.create(token));
        }
    }
    let good = token(&name);
    for _ in 0..5 {
        assert_eq!(stack.get(&good, LIST).status, 200);
    }
    assert_refused(&stack.get(&good, LIST), 429, "rate_limit_error", "rate_limited");
    assert!(stack.sent().is_empty(), "nothing went upstream");
}

#[test]
fn a_revoked_subject_token_does_not_use_up_its_owners_requests() {
    let stack = five_a_minute();
    let name = user("owner");
    let stolen = token_of(LOGIN, &name, &json!({"jti": "stolen"}));
    let older = token_of(LOGIN, &name, &json!({"iat": now() - 100, "exp": now() + 200}));
    assert_eq!(stack.revoke(&stolen).status, 200);
    assert_eq!(stack.admin_revoke(&boss(), &json!({"issued_by": now() - 50})).status, 204);
    for token in [&stolen, &older] {
        for _ in 0..10 {
            assert_oauth_error(&stack.exchange(token, &[]), 400, "invalid_request");
        }
    }
    let good = token_of(LOGIN, &name, &json!({}));
    // Four times five: the holder's revocation was counted apart.
    for _ in 0..20 {
        assert_eq!(stack.exchange(&good, &[]).status, 200);
    }
    assert_oauth_error(&stack.exchange(&good, &[]), 429, "temporarily_unavailable");
}

/// Whoever has stolen a token could otherwise keep its owner from revoking it.
#[test]
fn a_token_can_be_revoked_when_all_repeats_are_used_up() {
    let stack = five_a_minute();
    let name = user("owner");
    let stolen = token_with(&name, json!({"jti": "stolen"}));
    let create = create_of(&stolen, "once").header("Idempotency-Key", "k");
    assert_eq!(stack.send(&create).status, 201);
    let repeats: Vec<u16> = (0..25).map(|_| stack.send(&create).status).collect();
    assert_eq!(repeats.iter().filter(|status| **status == 429).count(), 5, "{repeats:?}");
    assert_eq!(stack.revoke(&stolen).status, 200);
    assert_invalid_token(&stack.get(&stolen, LIST));
}

#[test]
fn an_operators_token_can_be_revoked_by_its_holder() {
    let stack = stack();
    let operator = token_of(STAFF, "boss", &json!({"jti": "lost"}));
    let body = json!({"issuer": LOGIN, "subject": "u1"});
    assert_eq!(stack.admin_revoke(&operator, &body).status, 204);
    assert_eq!(stack.revoke(&operator).status, 200);
    assert_invalid_token(&stack.admin_revoke(&operator, &body));
}

#[test]
fn an_operator_has_240_requests_a_minute_whatever_the_plan() {
    let stack = five_a_minute();
    let operator = boss();
    // The body, which is read after the request is counted, is refused.
    let statuses: Vec<u16> = (0..241).map(|_| stack.admin_revoke(&operator, &json!({})).status).collect();
    assert!(statuses[..240].iter().all(|status| *status == 400), "{statuses:?}");
    let answer = stack.admin_revoke(&operator, &json!({"issuer": LOGIN, "subject": "u1"}));
    assert_refused(&answer, 429, "rate_limit_error", "rate_limited");
    assert!(answer.header("retry-after").is_some_and(|secs| (1..=65).contains(&secs.parse::<u32>().unwrap())));
    // A person who is not an operator is refused before the count.
    let nobody = stack.admin_revoke(&token_of(STAFF, "nobody", &json!({})), &json!({}));
    assert_refused(&nobody, 403, "permission_error", "insufficient_permissions");
}

#[test]
fn an_issuer_with_a_long_name_that_is_no_url_can_be_revoked() {
    let long = format!("stytch.com/project-{}", "0".repeat(400));
    let mut settings = crate::identity::settings(&[&SigningKey::new("k1")]);
    for (name, value) in &mut settings {
        if *name == "ISSUERS" {
            let mut issuers: Value = serde_json::from_str(value.as_ref().unwrap()).unwrap();
            issuers[1]["issuer"] = json!(long);
            *value = Some(issuers.to_string());
        }
    }
    let stack = Stack::start(&Options { settings, ..Options::default() });
    let name = user("named");
    let token = token_of(&long, &name, &json!({"iat": now() - 10}));
    let answer = stack.exchange(&token, &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let own = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(stack.get(&own, LIST).status, 200);
    assert_eq!(stack.admin_revoke(&boss(), &json!({"issuer": long, "subject": name})).status, 204);
    assert_invalid_token(&stack.get(&own, LIST));
    assert_oauth_error(&stack.exchange(&token, &[]), 400, "invalid_request");
}

#[test]
fn queued_predictions_of_a_revoked_token_are_canceled() {
    let settings = crate::identity::settings(&[&SigningKey::new("k1")]);
    let mut policy = crate::harness::policy();
    policy["key"]["concurrent_predictions"] = json!(1);
    policy["plans"]["guest"] = json!({"requests_per_minute": 60, "predictions_per_minute": 10,
        "concurrent_predictions": 1, "daily_credits": "5", "pool_daily_credits": "7.5", "pool_waiting_share": 0.5});
    let settings = settings.into_iter().filter(|(name, _)| *name != "POLICY");
    let settings = settings.chain([("POLICY", Some(policy.to_string()))]).collect();
    let mut stack = Stack::start(&Options { settings, ..Options::default() });
    stack.control_put("/settings", &json!({"manual": true}));
    let name = user("waits");
    let (lost, kept) = (token_with(&name, json!({"jti": "lost"})), token_with(&name, json!({"jti": "kept"})));
    assert_eq!(stack.send(&create_of(&kept, "runs")).status, 201);
    let waits = job_id(&stack.send(&create_of(&lost, "waits")));
    let stays = job_id(&stack.send(&create_of(&kept, "stays")));
    assert_eq!(stack.revoke(&lost).status, 200);
    let status = |id: &str| stack.get(&kept, &format!("/v1/predictions/{id}")).json()["status"].clone();
    assert_eq!((status(&waits), status(&stays)), (json!("canceled"), json!("queued")));
    // A revocation that could not cancel everything is repeated.
    let half = token_with(&name, json!({"jti": "half"}));
    let waits = job_id(&stack.send(&create_of(&half, "waits too")));
    without_dispatcher(&mut stack, |stack| {
        assert_oauth_error(&stack.revoke(&half), 503, "temporarily_unavailable");
    });
    assert_invalid_token(&stack.get(&half, LIST));
    assert_eq!(stack.revoke(&half).status, 200);
    assert_eq!(stack.get(&kept, &format!("/v1/predictions/{waits}")).json()["status"], "canceled");
    assert_eq!(stack.sent(), ["runs"]);
}

#[test]
fn a_subject_token_can_be_revoked_too() {
    let stack = stack();
    let provided = token_of(LOGIN, &user("logout"), &json!({"jti": "session-1"}));
    assert_eq!(stack.exchange(&provided, &[]).status, 200);
    assert_eq!(stack.revoke(&provided).status, 200);
    assert_oauth_error(&stack.exchange(&provided, &[]), 400, "invalid_request");
}

#[test]
fn an_operators_token_is_revoked_like_any_other() {
    let stack = stack();
    let body = json!({"issuer": LOGIN, "subject": "u1"});
    let stolen = token_of(STAFF, "boss", &json!({"iat": now() - 10}));
    assert_eq!(stack.admin_revoke(&stolen, &body).status, 204);
    let later = || token_of(STAFF, "boss", &json!({"iat": now() + 2}));
    assert_eq!(stack.admin_revoke(&boss(), &json!({"issuer": STAFF, "subject": "boss"})).status, 204);
    assert_invalid_token(&stack.admin_revoke(&stolen, &body));
    assert_eq!(stack.admin_revoke(&later(), &json!({"issued_by": now()})).status, 204);
    // Another operator's revoked token is 401. A token without the right is 403, because the right is checked first.
    let other = json!({"iat": now() - 10, "email": "boss@staff.example", "email_verified": true});
    assert_invalid_token(&stack.admin_revoke(&token_of(STAFF, "someone", &other), &body));
    let answer = stack.admin_revoke(&token_of(STAFF, "someone", &json!({"iat": now() - 10})), &body);
    assert_refused(&answer, 403, "permission_error", "insufficient_permissions");
}

#[test]
fn another_isolate_learns_of_a_revocation_within_half_a_minute() {
    let stack = stack();
    let now = now();
    let old = token_with(&user("reader"), json!({"iat": now - 100, "exp": now + 200}));
    assert_eq!(stack.get(&old, LIST).status, 200);
    // Sent directly to the Dispatcher, as if an operator used another isolate.
    stack.send_to_object("DISPATCHER", "main", &json!({"revoke_all": {"issued_by": now - 50}}));
    let start = std::time::Instant::now();
    let refused = crate::steps::wait_until("a refusal", || {
        let answer = stack.get(&old, LIST);
        (answer.status != 200).then_some(answer)
    });
    assert_invalid_token(&refused);
    // 60 s instead of 30 s, for a busy machine: an isolate that never polled again would never refuse.
    assert!(start.elapsed().as_secs() < 60);
}

#[test]
fn only_an_operator_with_write_access_revokes_tokens() {
    let stack = stack();
    let body = json!({"issuer": LOGIN, "subject": "u1"});
    let answer = stack.send(&Request::post(REVOCATIONS).json(&body));
    assert_refused(&answer, 401, "authentication_error", "missing_token");
    for token in [token("boss"), token_of(LOGIN, "boss", &json!({})), token_of(STAFF, "boss", &json!({"aud": "x"}))] {
        assert_invalid_token(&stack.admin_revoke(&token, &body));
    }
    for (subject, claims, status) in [
        ("viewer", json!({}), 403),
        ("nobody", json!({}), 403),
        ("nobody", json!({"email": "other@staff.example"}), 403),
        ("nobody", json!({"email": "boss@staff.example", "email_verified": false}), 403),
        ("nobody", json!({"email": "boss@staff.example"}), 403),
        ("nobody", json!({"email": "boss@staff.example", "email_verified": null}), 403),
        ("nobody", json!({"email": "boss@staff.example", "email_verified": "yes"}), 403),
        ("nobody", json!({"email": "boss@staff.example", "email_verified": true}), 204),
        // Apple's notation.
        ("nobody", json!({"email": "boss@staff.example", "email_verified": "true"}), 204),
    ] {
        let answer = stack.admin_revoke(&token_of(STAFF, subject, &claims), &body);
        assert_eq!(answer.status, status, "{subject} {claims}");
        if status == 403 {
            assert_refused(&answer, 403, "permission_error", "insufficient_permissions");
        }
    }
    assert!(stack.sent().is_empty(), "nothing went upstream");
}

#[test]
fn an_address_without_email_verified_counts_where_the_issuer_is_trusted_with_it() {
    let settings = crate::identity::settings(&[&SigningKey::new("k1")]);
    let trust = |(name, value): (&'static str, Option<String>)| {
        let mut issuers: Value = serde_json::from_str(value.as_deref().unwrap_or_default()).unwrap_or_default();
        if name != "ISSUERS" {
            return (name, value);
        }
        let staff = issuers.as_array_mut().unwrap().iter_mut().find(|issuer| issuer["issuer"] == STAFF).unwrap();
        staff["email_trusted"] = json!(true);
        (name, Some(issuers.to_string()))
    };
    let settings = settings.into_iter().map(trust).collect();
    let stack = Stack::start(&Options { settings, ..Options::default() });
    let body = json!({"issuer": LOGIN, "subject": "u1"});
    let status = |claims: &Value| stack.admin_revoke(&token_of(STAFF, "nobody", claims), &body).status;
    // Cloudflare Access never sends the claim.
    assert_eq!(status(&json!({"email": "boss@staff.example"})), 204);
    assert_eq!(status(&json!({"email": "boss@staff.example", "email_verified": true})), 204);
    // An issuer's own `false` overrides the setting.
    assert_eq!(status(&json!({"email": "boss@staff.example", "email_verified": false})), 403);
    assert_eq!(status(&json!({"email": "other@staff.example"})), 403);
}

#[test]
fn an_invalid_revocation_is_refused() {
    let stack = stack();
    let later = now() + 3_600;
    for (body, code) in [
        (json!({}), "invalid_parameter"),
        (json!({"issuer": LOGIN}), "invalid_parameter"),
        (json!({"subject": "u1"}), "invalid_parameter"),
        (json!({"issuer": "https://login.example/", "subject": "u1"}), "invalid_parameter"),
        (json!({"issuer": LOGIN, "subject": ""}), "invalid_parameter"),
        (json!({"issuer": LOGIN, "subject": "u1 "}), "invalid_parameter"),
        // A user of our own tokens is named by the issuer of the token that was exchanged.
        (json!({"issuer": PUBLIC_URL, "subject": "u1"}), "invalid_parameter"),
        (json!({"issuer": LOGIN, "subject": 1}), "invalid_parameter"),
        (json!({"issuer": LOGIN, "subject": "u1", "jti": ""}), "invalid_parameter"),
        (json!({"issuer": LOGIN, "subject": "u1", "token": "a"}), "unsupported_parameter"),
        (json!({"issued_by": later}), "invalid_parameter"),
        (json!({"issued_by": "2026-01-15T10:30:00Z"}), "invalid_parameter"),
        (json!({"issued_by": 1, "subject": "u1"}), "invalid_parameter"),
    ] {
        assert_refused(&stack.admin_revoke(&boss(), &body), 400, "invalid_request_error", code);
    }
    let text = Request::post(REVOCATIONS).bearer(&boss()).header("Content-Type", "text/plain").body("{}");
    assert_refused(&stack.send(&text), 415, "invalid_request_error", "unsupported_media_type");
}

#[test]
fn the_admin_api_allows_only_its_own_origin_and_sends_no_cors_headers() {
    let stack = stack();
    let from = |origin: &str| {
        let request = Request::post(REVOCATIONS).bearer(&boss()).header("Origin", origin);
        stack.send(&request.json(&json!({"issuer": LOGIN, "subject": "u1"})))
    };
    // The app's origins are not operators' pages.
    for origin in ["https://app.example", "https://evil.example", "null"] {
        let answer = from(origin);
        assert_refused(&answer, 403, "permission_error", "origin_not_allowed");
        assert!(answer.header("access-control-allow-origin").is_none());
    }
    let own = from(PUBLIC_URL);
    assert_eq!((own.status, own.header("access-control-allow-origin")), (204, None));
    assert_eq!(own.header("cache-control"), Some("no-store"));
}

/// Opens a stream of a prediction that runs until a test ends it, and reads its first event.
fn open_stream(stack: &Stack, token: &str, kind: &str) -> Sse {
    stack.control_put("/settings", &json!({"manual": true}));
    let id = job_id(&stack.prompt(token, "watched"));
    let mut stream = Sse::open(&stack.worker, &format!("/v1/predictions/{id}/{kind}"), token, &[]);
    assert_eq!(stream.status(), 200, "{}", stream.head);
    assert!(stream.next_event().is_some());
    stream
}

/// The Ledger closes the socket: no heartbeat, which would be the next thing to come, is sent before the end.
#[test]
fn a_revocation_ends_the_open_streams_of_its_tokens_at_once() {
    let stack = stack();
    for kind in ["events", "stream"] {
        let name = user("logout");
        let (here, there) = (stack.own_token(&name, &json!({}), &[]), stack.own_token(&name, &json!({}), &[]));
        let (mut mine, mut other) = (open_stream(&stack, &here, kind), open_stream(&stack, &there, kind));
        assert_eq!(stack.revoke(&here).status, 200);
        assert_eq!(mine.rest(), "", "{kind}");
        assert!(!other.is_over(), "{kind}");
        let body = json!({"issuer": LOGIN, "subject": name});
        assert_eq!(stack.admin_revoke(&boss(), &body).status, 204);
        assert_eq!(other.rest(), "", "{kind}");
    }
}

/// Only the Dispatcher knows this revocation, and the isolate asks it within 30 s: the time of two heartbeats.
#[test]
fn a_revocation_of_all_users_ends_open_streams_within_half_a_minute() {
    let stack = stack();
    let token = stack.own_token(&user("everybody"), &json!({}), &[]);
    let mut stream = open_stream(&stack, &token, "events");
    stack.send_to_object("DISPATCHER", "main", &json!({"revoke_all": {"issued_by": now()}}));
    let rest = stream.rest();
    let heartbeats = rest.matches(": heartbeat").count();
    assert!(heartbeats <= 2 && !rest.contains("event"), "{rest}");
}
