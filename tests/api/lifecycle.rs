//! The life of a prediction as its owner sees it; other users cannot see it.

use serde_json::{Value, json};

use crate::harness::{MODEL, shared, token, token_with, user};
use crate::http::Request;

#[test]
fn a_prompt_becomes_an_image() {
    let (stack, token) = (shared(), token(&user("alice")));
    let created = stack.create(&token);
    assert_eq!(created.status, 201, "{}", created.text());
    let prediction = created.json();
    let id = prediction["job_id"].as_str().unwrap();
    assert!(id.starts_with("pred_") && id.len() == 31, "{id}");
    assert_eq!(prediction["model"], "acme/model-x");
    assert_eq!(prediction["status"], "processing");
    let base = format!("http://{}", stack.worker);
    assert_eq!(created.header("location"), Some(&*format!("{base}/v1/predictions/{id}")));
    assert_eq!(prediction["urls"]["get"], format!("{base}/v1/predictions/{id}"));
    let ended = stack.ended(&token, id);
    assert_eq!(ended["status"], "succeeded");
    assert_eq!(ended["credits_used"], "2.5");
    assert!(ended["completed_at"].is_string() && ended["error"].is_null());
    let output = ended["output"][0].as_str().unwrap();
    let path = output.strip_prefix(&format!("http://{}", stack.vendor)).expect("the vendor's stand-in serves it");
    let picture = Request::get(path).send(&stack.vendor);
    assert_eq!(picture.header("content-type"), Some("image/png"));
    assert!(picture.body.starts_with(b"\x89PNG\r\n\x1a\n"));
}

#[test]
fn the_vendors_id_is_neither_shown_nor_accepted() {
    let (stack, token) = (shared(), token(&user("alice")));
    let id = stack.create(&token).json()["job_id"].as_str().unwrap().to_owned();
    let ended = stack.ended(&token, &id);
    let state = stack.control_get("/state");
    let vendor_ids: Vec<&str> =
        state["predictions"].as_array().unwrap().iter().filter_map(|row| row["id"].as_str()).collect();
    assert!(!vendor_ids.is_empty());
    for vendor_id in vendor_ids {
        // The output URL is the vendor's and contains its id; the client fetches the image from there.
        let shown = json!({"without_output": {"job_id": ended["job_id"], "urls": ended["urls"]}}).to_string();
        assert!(!shown.contains(vendor_id));
        assert_eq!(stack.get(&token, &format!("/v1/predictions/{vendor_id}")).status, 404);
    }
}

#[test]
fn another_users_prediction_gets_the_same_404_as_a_missing_one() {
    let (stack, alice, bob) = (shared(), token(&user("alice")), token(&user("bob")));
    let id = stack.create(&alice).json()["job_id"].as_str().unwrap().to_owned();
    let missing = "pred_01jh0000000000000000000000";
    let requests = |id: &str| {
        [
            Request::get(&format!("/v1/predictions/{id}")),
            Request::get(&format!("/v1/status/{id}")),
            Request::new("DELETE", &format!("/v1/predictions/{id}")),
            Request::post(&format!("/v1/predictions/{id}/cancel")),
            Request::post(&format!("/v1/cancel/{id}")),
        ]
    };
    for (foreign, unknown) in requests(&id).into_iter().zip(requests(missing)) {
        let (foreign, unknown) = (stack.send(&foreign.bearer(&bob)), stack.send(&unknown.bearer(&bob)));
        let expected = (404, "not_found_error".to_owned(), "not_found".to_owned());
        assert_eq!((foreign.error(), unknown.error()), (expected.clone(), expected));
        assert_eq!(without_ids(&foreign.json()), without_ids(&unknown.json()));
    }
    assert_eq!(stack.get(&alice, &format!("/v1/predictions/{id}")).status, 200);
}

fn without_ids(body: &Value) -> Value {
    let mut body = body.clone();
    body["error"]["request_id"] = Value::Null;
    body
}

#[test]
fn subjects_that_look_alike_are_different_users() {
    // The default stack has one issuer; unit tests cover the Ledger's name. This test uses subjects that look alike.
    let stack = shared();
    let name = user("alice");
    let id = stack.create(&token(&name)).json()["job_id"].as_str().unwrap().to_owned();
    for look_alike in [format!("{name}."), name.to_uppercase(), format!("{name}\u{301}")] {
        assert_eq!(stack.get(&token(&look_alike), &format!("/v1/predictions/{id}")).status, 404);
    }
}

#[test]
fn route_aliases_return_the_same_prediction() {
    let (stack, token) = (shared(), token(&user("alice")));
    let body = json!({"input": {"prompt": "p"}, "model": "model-x", "provider": "acme"});
    let created = stack.send(&Request::post("/v1/models/acme/model-x/predictions").bearer(&token).json(&body));
    assert_eq!(created.status, 201, "{}", created.text());
    let id = created.json()["job_id"].as_str().unwrap().to_owned();
    assert_eq!(stack.get(&token, &format!("/v1/status/{id}")).json()["job_id"], json!(id));
}

#[test]
fn the_list_shows_the_callers_predictions_newest_first_in_pages() {
    let (stack, token) = (shared(), token(&user("lister")));
    let ids: Vec<String> = (0..5).map(|_| stack.create(&token).json()["job_id"].as_str().unwrap().to_owned()).collect();
    let page = stack.get(&token, "/v1/predictions?limit=2").json();
    let shown = |page: &Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|row| row["job_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(shown(&page), [ids[4].clone(), ids[3].clone()]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = stack.get(&token, &format!("/v1/predictions?limit=3&cursor={cursor}")).json();
    assert_eq!(shown(&next), [ids[2].clone(), ids[1].clone(), ids[0].clone()]);
    assert!(next["next_cursor"].is_null());
    stack.ended(&token, &ids[0]);
    let succeeded = stack.get(&token, "/v1/predictions?status=succeeded").json();
    assert!(shown(&succeeded).contains(&ids[0]));
    assert_eq!(stack.get(&token, "/v1/predictions?status=canceled").json(), json!({"data": [], "next_cursor": null}));
}

#[test]
fn list_parameters_are_checked() {
    let (stack, token) = (shared(), token(&user("lister")));
    for bad in ["limit=0", "limit=101", "limit=x", "limit=1&limit=2", "cursor=abc", "status=done"] {
        let answer = stack.get(&token, &format!("/v1/predictions?{bad}"));
        assert_eq!(answer.error(), (400, "invalid_request_error".into(), "invalid_parameter".into()), "{bad}");
        assert_eq!(answer.json()["error"]["details"]["param"], bad.split('=').next().unwrap());
    }
    let answer = stack.get(&token, "/v1/predictions?offset=3");
    assert_eq!(answer.error().2, "unsupported_parameter");
}

#[test]
fn a_running_prediction_is_canceled_when_the_vendor_confirms() {
    let (stack, token) = (shared(), token(&user("canceler")));
    let body = json!({"input": {"prompt": "[slow] a test"}});
    let created = stack.send(&Request::post(MODEL).bearer(&token).json(&body)).json();
    let id = created["job_id"].as_str().unwrap();
    let canceled = stack.send(&Request::post(&format!("/v1/predictions/{id}/cancel")).bearer(&token));
    assert_eq!(canceled.status, 200, "{}", canceled.text());
    let shown = canceled.json();
    assert!(shown["cancel_requested"] == true || shown["status"] == "canceled", "{shown}");
    let ended = stack.ended(&token, id);
    assert_eq!(ended["status"], "canceled");
    assert!(ended.get("cancel_requested").is_none());
    let again = stack.send(&Request::post(&format!("/v1/cancel/{id}")).bearer(&token));
    assert_eq!((again.status, again.json()), (200, ended));
}

#[test]
fn an_ended_prediction_can_be_deleted_and_a_running_one_cannot() {
    let (stack, token) = (shared(), token(&user("deleter")));
    let body = json!({"input": {"prompt": "[slow] a test"}});
    let slow = stack.send(&Request::post(MODEL).bearer(&token).json(&body)).json();
    let path = format!("/v1/predictions/{}", slow["job_id"].as_str().unwrap());
    let refused = stack.send(&Request::new("DELETE", &path).bearer(&token));
    assert_eq!(refused.error(), (409, "invalid_request_error".into(), "not_ended".into()));
    stack.send(&Request::post(&format!("{path}/cancel")).bearer(&token));
    stack.ended(&token, slow["job_id"].as_str().unwrap());
    let deleted = stack.send(&Request::new("DELETE", &path).bearer(&token));
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    assert_eq!(stack.get(&token, &path).status, 404);
}

#[test]
fn head_follows_get_without_a_body() {
    let (stack, token) = (shared(), token(&user("head")));
    let id = stack.create(&token).json()["job_id"].as_str().unwrap().to_owned();
    let answer = stack.send(&Request::new("HEAD", &format!("/v1/predictions/{id}")).bearer(&token));
    assert_eq!((answer.status, answer.body.len()), (200, 0));
}

#[test]
fn images_multiply_the_price_and_the_outputs() {
    let (stack, token) = (shared(), token(&user("images")));
    let body = json!({"input": {"prompt": "p"}, "image_count": 2});
    let created = stack.send(&Request::post(MODEL).bearer(&token).json(&body)).json();
    let ended = stack.ended(&token, created["job_id"].as_str().unwrap());
    assert_eq!(ended["output"].as_array().unwrap().len(), 2);
    assert_eq!(ended["credits_used"], "5");
}

#[test]
fn the_caps_of_a_token_are_spent_exactly() {
    let (stack, name) = (shared(), user("capped"));
    let capped = |jti: &str| token_with(&name, json!({"jti": jti, "vk": {"max_predictions": 2}}));
    let (first, second) = (capped("one"), capped("two"));
    let statuses: Vec<u16> = (0..3).map(|_| stack.create(&first).status).collect();
    assert_eq!(statuses, [201, 201, 402]);
    assert_eq!(stack.create(&second).status, 201);
    let by_credits = token_with(&name, json!({"jti": "three", "vk": {"max_credits": "2.4"}}));
    let refused = stack.create(&by_credits);
    assert_eq!(refused.error(), (402, "payment_error".into(), "insufficient_credits".into()));
}
