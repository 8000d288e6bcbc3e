//! Every hostile token over HTTP: the same 401 for every reason, nothing upstream, nothing of the token in the log.

use serde_json::Value;

use crate::harness::{Options, Stack, now};
use crate::hostile::{SECRET_NAME, build_jwt, issuers, keys::Keys, lines};
use crate::http::Request;

#[test]
fn hostile_tokens_all_get_the_same_answer() {
    let keys = Keys::generate();
    let stack = Stack::start(&Options {
        settings: vec![("ISSUERS", Some(issuers(&keys).to_string())), (SECRET_NAME, Some(keys.secret()))],
        ..Options::default()
    });
    let mut sent = 0;
    let mut generic = None;
    for line in lines() {
        let token = build_jwt(&line, &keys, now());
        // What cannot stand in a header field is refused before it could be a token.
        if token.bytes().any(|byte| !(b' '..=b'~').contains(&byte)) || token != token.trim() || token.len() > 12_000 {
            continue;
        }
        sent += 1;
        let answer = stack.send(&Request::get("/v1/predictions").bearer(&token));
        if line.expect == "accepted" {
            assert_eq!(answer.status, 200, "{}: {}", line.id, answer.text());
            continue;
        }
        assert_eq!(answer.error(), (401, "authentication_error".into(), "invalid_token".into()), "{}", line.id);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{}", line.id);
        let mut body = answer.json();
        body["error"]["request_id"] = Value::Null;
        assert_eq!(generic.get_or_insert_with(|| body.clone()), &body, "{}", line.id);
        if token.len() > 20 {
            assert!(!stack.worker_log().contains(&token), "{}", line.id);
        }
    }
    assert!(sent > 300, "{sent}");
    assert!(stack.vendor_requests().is_empty());
}
