//! Where data is, and for how long: the jurisdiction of the objects, near where the Dispatcher is created, the retention.

use serde_json::{Value, json};

use crate::harness::{Options, Stack, token, user};
use crate::http::Request;
use crate::stored::run_sql;

fn settings() -> Vec<(&'static str, Option<String>)> {
    [("JURISDICTION", "eu"), ("DISPATCHER_LOCATION", "weur")].map(|(name, value)| (name, Some(value.to_owned()))).into()
}

/// The edge, the Ledgers, the Dispatcher and the cron trigger address objects, each by itself.
#[test]
fn every_object_is_addressed_in_the_jurisdiction_and_the_dispatcher_near_its_location() {
    let stack = Stack::start(&Options { settings: settings(), has_jurisdictions: true, ..Options::default() });
    let places = || stack.send(&Request::get("/test/places")).json();
    stack.send(&Request::get("/test/cron"));
    assert_eq!(places(), json!(["DISPATCHER eu weur"]), "the cron trigger");
    let token = token(&user("places"));
    let created = stack.create(&token).json();
    let job_id = created["job_id"].as_str().unwrap();
    // The Dispatcher tells the Ledger, so the prediction can only end if both name the same objects.
    assert_eq!(stack.ended(&token, job_id)["status"], "succeeded");
    let events = stack.get(&token, &format!("/v1/predictions/{job_id}/events"));
    assert_eq!(events.status, 200, "the socket to a Ledger");
    assert_eq!(places(), json!(["DISPATCHER eu weur", "LEDGER eu none"]), "everything else");
}

#[test]
fn without_the_settings_objects_are_addressed_as_before() {
    let stack = Stack::start(&Options { has_jurisdictions: true, ..Options::default() });
    let token = token(&user("places"));
    let created = stack.create(&token).json();
    assert_eq!(stack.ended(&token, created["job_id"].as_str().unwrap())["status"], "succeeded");
    let places = stack.send(&Request::get("/test/places")).json();
    assert_eq!(places, json!(["DISPATCHER none none", "LEDGER none none"]));
}

/// workerd throws on `.jurisdiction()`.
#[test]
fn a_runtime_without_jurisdictions_serves_a_loopback_host_with_a_warning_and_no_public_host() {
    let mut settings = settings();
    // The simulator's address is local, and would be a problem of its own on a public host.
    settings.push(("UPSTREAM_URL", Some("https://vendor.example/v1".to_owned())));
    let stack = Stack::start(&Options { settings, ..Options::default() });
    assert_eq!(stack.send(&Request::get("/readyz")).json(), json!({"status": "ready"}));
    assert_eq!(stack.get(&token(&user("places")), "/v1/account").status, 200);
    let public = stack.send(&Request::get("/readyz").header("Host", "api.example"));
    assert_eq!((public.status, public.json()["errors"][0]["name"].clone()), (503, json!("JURISDICTION")));
    let refused =
        stack.send(&Request::get("/v1/account").header("Host", "api.example").bearer(&token(&user("places"))));
    assert_eq!(refused.error(), (503, "api_error".into(), "misconfigured".into()));
    stack.assert_logged("jurisdiction_ignored");
    let warnings = stack.worker_log().matches("\"event\":\"warning\"").count();
    assert_eq!(warnings, 1, "once in an isolate");
}

/// With another jurisdiction, the same names would be other objects.
#[test]
fn a_wrong_jurisdiction_addresses_no_object() {
    let settings = vec![("JURISDICTION", Some("EU".to_owned()))];
    let stack = Stack::start(&Options { settings, has_jurisdictions: true, ..Options::default() });
    stack.send(&Request::get("/test/cron"));
    assert_eq!(stack.create(&token(&user("places"))).error().2, "misconfigured");
    assert_eq!(stack.send(&Request::get("/test/places")).json(), json!([]));
}

/// The alarm deletes a row at its `wakes_at`, which is at the end of an hour.
#[test]
fn an_ended_prediction_and_its_batch_are_stored_until_the_retention_is_over() {
    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;
    for (setting, days) in [(None, 7), (Some("1"), 1), (Some("30"), 30)] {
        let settings = vec![("RETENTION_DAYS", setting.map(str::to_owned))];
        let stack = Stack::start(&Options { settings, ..Options::default() });
        let token = token(&user("retention"));
        let item = json!({"model": "acme/model-x", "input": {"prompt": "kept"}});
        let batch = Request::post("/v1/predictions/batch").bearer(&token).json(&json!({"predictions": [item]}));
        let created = stack.send(&batch).json();
        stack.ended(&token, created["predictions"][0]["job_id"].as_str().unwrap());
        stack.kill_workerd();
        let query = "SELECT wakes_at - json_extract(doc, '$.completed_at') AS kept, \
             (SELECT expires_at FROM marks WHERE name LIKE 'batch_%') - json_extract(doc, '$.created_at') AS batch FROM predictions";
        let rows: Value = serde_json::from_str(&run_sql(&stack, "ledger", "", query)).unwrap();
        let (kept, batch) = (rows[0]["kept"].as_i64().unwrap(), rows[0]["batch"].as_i64().unwrap());
        assert!((days * DAY..=days * DAY + HOUR).contains(&kept), "{setting:?}: {kept}");
        assert!(batch >= (days + 2) * DAY && batch < (days + 2) * DAY + HOUR, "{setting:?}: {batch}");
    }
}
