//! Identity providers: published keys, tokens of known shapes, rotation.

use jwt_simple::prelude::*;
use serde_json::{Value, json};

use crate::client::send;
use crate::harness::Sim;

async fn key_ids(sim: &Sim, provider: &str) -> Vec<String> {
    let set = send(sim.server.address(), "GET", &format!("/idp/{provider}/keys"), &[], b"").await.json();
    set["keys"].as_array().unwrap().iter().map(|jwk| jwk["kid"].as_str().unwrap().to_owned()).collect()
}

async fn token(sim: &Sim, provider: &str, request: &Value) -> String {
    let path = format!("/identity/{provider}/token");
    let body = request.to_string();
    let reply = send(sim.server.control_address(), "POST", &path, &[], body.as_bytes()).await;
    reply.json()["token"].as_str().unwrap().to_owned()
}

fn part(token: &str, index: usize) -> Value {
    let segment = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&Base64UrlSafeNoPadding::decode_to_vec(segment, None).unwrap()).unwrap()
}

#[tokio::test]
async fn a_provider_signs_in_its_own_shape_with_the_key_that_it_publishes() {
    let sim = Sim::start(10).await;
    let of_cognito = token(&sim, "cognito", &json!({"sub": "u"})).await;
    assert_eq!(part(&of_cognito, 0), json!({"alg": "RS256", "kid": "cognito-0"}));
    assert!(part(&of_cognito, 1).get("aud").is_none());
    let of_supabase = token(&sim, "supabase", &json!({"sub": "u"})).await;
    assert_eq!(part(&of_supabase, 0), json!({"alg": "ES256", "typ": "JWT", "kid": "supabase-0"}));
    assert_eq!(
        (key_ids(&sim, "cognito").await, key_ids(&sim, "supabase").await),
        (vec!["cognito-0".into()], vec!["supabase-0".into()])
    );
}

#[tokio::test]
async fn requested_claims_and_header_members_replace_those_of_the_shape() {
    let sim = Sim::start(10).await;
    let request = json!({"sub": "u", "claims": {"exp": 7, "iss": null}, "header": {"typ": null, "kid": "mine"}});
    let token = token(&sim, "auth0", &request).await;
    assert_eq!(part(&token, 0), json!({"alg": "RS256", "kid": "mine"}));
    let claims = part(&token, 1);
    assert_eq!((&claims["exp"], claims.get("iss")), (&json!(7), None));
}

#[tokio::test]
async fn after_a_rotation_the_next_key_signs_and_the_previous_one_is_still_published() {
    let sim = Sim::start(10).await;
    for rotation in 1..=2 {
        send(sim.server.control_address(), "POST", "/identity/supabase/rotate", &[], b"").await;
        let published = vec![format!("supabase-{}", rotation - 1), format!("supabase-{rotation}")];
        assert_eq!(key_ids(&sim, "supabase").await, published);
        assert_eq!(part(&token(&sim, "supabase", &json!({"sub": "u"})).await, 0)["kid"], json!(published[1]));
    }
}
