//! The demo app's backend: `POST /session`.

use jwt_simple::prelude::*;
use serde_json::json;
use valetkey_simulator::Config;

use crate::client::{Reply, send};
use crate::harness::{SECRET, Sim};

async fn post_session(sim: &Sim, origin: Option<&str>, body: &str) -> Reply {
    let headers: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
    send(sim.server.address(), "POST", "/session", &headers, body.as_bytes()).await
}

#[tokio::test]
async fn a_token_has_exactly_the_documented_header_and_claims() {
    let sim = Sim::start(10).await;
    let token =
        post_session(&sim, None, r#"{"sub":"alice","plan":"pro"}"#).await.json()["token"].as_str().unwrap().to_owned();
    let part = |index: usize| -> serde_json::Value {
        let segment = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&Base64UrlSafeNoPadding::decode_to_vec(segment, None).unwrap()).unwrap()
    };
    assert_eq!(part(0), json!({"alg": "HS256", "typ": "JWT", "kid": "k1"}));
    let claims = part(1);
    let expected = json!({
        "iss": "https://issuer.example", "aud": "bff-test", "sub": "alice", "plan": "pro",
        "iat": claims["iat"], "exp": claims["iat"].as_u64().unwrap() + 300, "jti": claims["jti"],
    });
    assert_eq!(claims, expected);
    assert!(claims["jti"].as_str().unwrap().len() >= 16);
    assert!(HS256Key::from_bytes(SECRET.as_bytes()).verify_token::<NoCustomClaims>(&token, None).is_ok());
}

#[tokio::test]
async fn a_subject_has_1_to_255_characters() {
    let sim = Sim::start(10).await;
    for (sub, status) in [("", 400), ("é", 200), (&"é".repeat(255), 200), (&"a".repeat(256), 400)] {
        assert_eq!(post_session(&sim, None, &json!({"sub": sub}).to_string()).await.status, status, "{}", sub.len());
    }
    assert_eq!(post_session(&sim, None, "{}").await.status, 400);
    assert_eq!(post_session(&sim, None, "no json").await.status, 400);
}

#[tokio::test]
async fn only_pages_on_this_machine_get_a_token() {
    let sim = Sim::start(10).await;
    let page = "http://127.0.0.1:8787";
    let allowed = post_session(&sim, Some(page), r#"{"sub":"alice"}"#).await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, Some(page)));
    assert_eq!(allowed.header("cache-control"), Some("no-store"));
    let foreign = post_session(&sim, Some("https://evil.example"), r#"{"sub":"alice"}"#).await;
    assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (403, None));
    let preflight = send(sim.server.address(), "OPTIONS", "/session", &[("origin", page)], b"").await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-headers")), (204, Some("content-type")));
}

#[tokio::test]
async fn without_a_secret_a_session_is_a_503_that_names_the_variable() {
    let sim = Sim::with(Config::default()).await;
    let reply = post_session(&sim, None, r#"{"sub":"alice"}"#).await;
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("SESSION_SECRET"));
}
