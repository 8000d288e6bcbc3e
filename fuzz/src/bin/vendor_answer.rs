//! Input: a status, a `Retry-After` and a body as the vendor's response.
//!
//! - An id is one segment of a path.
//! - A shown output is an https URL without credentials.
//! - A wait is bounded.
//! - A prediction that was read, written in either shape, is read again as the same prediction.
//! - A rendered prediction never contains the vendor key.

#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;

use serde_json::{Value, json};
use url::Url;
use valetkey::constants::{
    MODEL_LIST_MAX, OUTPUT_URL_MAX_CHARS, OUTPUTS_MAX, RETRY_AFTER_MAX_SECS, VENDOR_ID_MAX_BYTES,
};
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::JobId;
use valetkey::types::model::ModelId;
use valetkey::types::prediction::{PredictionRecord, Status};
use valetkey::types::secret::VendorKey;
use valetkey::types::time::{UnixMillis, UtcDay};
use valetkey::vendor::body::VendorBody;
use valetkey::vendor::cost::Cost;
use valetkey::vendor::key_scan::KeyScan;
use valetkey::vendor::output::OutputRule;
use valetkey::vendor::progress::{Progress, loggable_word};
use valetkey::vendor::reply::{
    RateLimit, VendorPrediction, VendorReply, VendorResponse, has_id_conflict, is_error_envelope, read_file_id,
    read_models, read_prediction,
};
use valetkey::vendor::request;
use valetkey::vendor::verdict::{CreateVerdict, PollVerdict, read_create_reply, read_poll_reply};
use valetkey_fuzz::json;
use valetkey_fuzz::settings::VENDOR_KEY;

valetkey_fuzz::target!(check);

const VENDOR: &str = "https://api.vendor.example/v1";

static BASES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let leak = format!("https://cdn.vendor.example/{VENDOR_KEY}.png");
    vec![
        json!({"job_id": "pred_abc123xyz", "status": "succeeded", "model": "flux", "created_at": "2026-01-15T10:30:00Z",
            "output": ["https://cdn.vendor.example/a.png", leak], "metrics": {"predict_time": 45.2},
            "credits_used": 2.5, "urls": {"get": "https://elsewhere.example/v1/status/1"}}),
        json!({"id": 789, "user_id": "abc123", "model": "acme", "model_version": "model-x", "input_parameters": {},
            "output_data": {"urls": ["https://cdn.vendor.example/a.png"]}, "status": "processing",
            "credits_used": "2.5"}),
        json!({"error": {"type": "api_error", "message": VENDOR_KEY, "code": "X", "details": {"param": "p"}}}),
        json!({"data": [{"id": "acme/x", "price": 1}, {"owner": "acme", "name": "y"}, "acme/z"], "file_id": "f-1"}),
    ]
});

static SCAN: LazyLock<KeyScan> = LazyLock::new(|| KeyScan::new([&VendorKey::try_new(VENDOR_KEY).unwrap()]));

/// The first line of `data` is the status and `Retry-After`; the rest is the body.
fn check(data: &[u8]) {
    let line_end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let line = String::from_utf8_lossy(&data[..line_end]);
    let (status, retry_after) = line.split_once(' ').map_or((&*line, None), |(status, rest)| (status, Some(rest)));
    let body = json::text(data.get(line_end + 1..).unwrap_or_default(), &BASES);
    let response = VendorResponse {
        status: status.parse().unwrap_or(200),
        retry_after: retry_after.map(str::to_owned),
        rate_limit: RateLimit::default(),
        body: VendorBody::read(&body),
    };
    check_verdicts(&response);
    if let Some(id) = read_file_id(&response.body) {
        assert!(!has_id_conflict(&response.body));
        check_id(&id, &request::delete_file(VENDOR, &id).url, "files");
    }
    if let Some(models) = read_models(&VendorReply::Response(response.clone())) {
        assert!((1..=MODEL_LIST_MAX).contains(&models.len()));
        assert!(models.iter().all(|model| ModelId::parse(model.as_str()).as_ref() == Some(model)));
    }
    if let Some(prediction) = read_prediction(&response.body) {
        check_prediction(&prediction);
    }
}

fn check_verdicts(response: &VendorResponse) {
    let read = read_prediction(&response.body);
    let is_wait = |wait_millis: i64| (1..=RETRY_AFTER_MAX_SECS * 1_000).contains(&wait_millis);
    match read_create_reply(&VendorReply::Response(response.clone()), UnixMillis(1_792_567_670_000)) {
        CreateVerdict::Accepted { vendor_id, prediction } => {
            assert!((200..300).contains(&response.status));
            assert_eq!((Some(&vendor_id), Some(&prediction)), (prediction.id.as_ref(), read.as_ref()));
        }
        CreateVerdict::Throttled { wait_millis } => assert!(is_wait(wait_millis), "{wait_millis}"),
        CreateVerdict::Redirected => assert!((300..400).contains(&response.status)),
        CreateVerdict::OutcomeUnknown(_) => assert!(!(300..500).contains(&response.status)),
        CreateVerdict::VendorFailed => assert!((500..600).contains(&response.status)),
        CreateVerdict::OtherRefusal if (200..300).contains(&response.status) => {
            assert!(is_error_envelope(&response.body) && read.is_none_or(|read| read.id.is_none()));
        }
        CreateVerdict::KeyRefused
        | CreateVerdict::ModelRefused
        | CreateVerdict::Blocked
        | CreateVerdict::InputRefused
        | CreateVerdict::OtherRefusal => assert!((400..500).contains(&response.status)),
    }
    match read_poll_reply(&VendorReply::Response(response.clone()), UnixMillis(1_792_567_670_000)) {
        PollVerdict::Found(prediction) => assert_eq!(Some(prediction), read_prediction(&response.body)),
        PollVerdict::Throttled { wait_millis } => assert!(is_wait(wait_millis), "{wait_millis}"),
        PollVerdict::NotFound | PollVerdict::KeyRefused | PollVerdict::NothingSaid | PollVerdict::VendorFailed => {}
    }
}

/// Asserts that the id is one segment of `url`, whatever it contains.
fn check_id(id: &str, url: &str, folder: &str) {
    assert!((1..=VENDOR_ID_MAX_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()), "{id:?}");
    let parsed = Url::parse(url).unwrap();
    assert_eq!(parsed.as_str(), url, "the parser writes the URL differently");
    assert_eq!((parsed.origin().ascii_serialization().as_str(), parsed.query()), ("https://api.vendor.example", None));
    let segments: Vec<&str> = parsed.path_segments().unwrap().collect();
    assert_eq!((segments.len(), segments[0], segments[1], parsed.fragment()), (3, "v1", folder, None), "{url}");
}

fn check_prediction(prediction: &VendorPrediction) {
    if let Some(id) = &prediction.id {
        check_id(id, &request::status(VENDOR, id).url, "predictions");
        let cancel = request::cancel(VENDOR, id).url;
        assert_eq!(cancel, format!("{}/cancel", request::status(VENDOR, id).url));
    }
    assert!(prediction.predict_time.is_none_or(|seconds| seconds.is_finite() && seconds >= 0.0));
    if let Some(word) = &prediction.unknown_status {
        assert!(prediction.progress == Progress::Running && loggable_word(word).len() <= 16, "{word:?}");
    }
    check_is_read_again(prediction);

    let output = OutputRule::for_upstream(VENDOR).with_key_scan(SCAN.clone()).keep(prediction.output.clone());
    assert!(output.len() <= OUTPUTS_MAX);
    for text in &output {
        assert!(prediction.output.contains(text) && text.chars().count() <= OUTPUT_URL_MAX_CHARS);
        let url = Url::parse(text).unwrap();
        assert!(url.scheme() == "https" && url.has_host() && url.username().is_empty() && url.password().is_none());
        assert!(text.starts_with("https://") && !text.contains(|odd: char| odd.is_control() || odd.is_whitespace()));
        assert!(!text.contains(['\\', '"', '<', '>']) && !SCAN.finds_in(text), "{text:?}");
    }
    let shown = record(prediction, output).render("https://api.example");
    let strings = serde_json::from_str::<Value>(&shown).expect("the rendered prediction is JSON");
    let tail = VENDOR_KEY.strip_prefix("sk_live_").unwrap();
    let has_key = json::strings(&strings).iter().any(|text| text.contains(&tail[..16]) || text.contains(&tail[8..]));
    assert!(!has_key, "the prediction contains the key: {shown}");
}

fn check_is_read_again(prediction: &VendorPrediction) {
    let status = match prediction.progress {
        Progress::Running => "processing",
        Progress::Succeeded => "succeeded",
        Progress::Failed => "failed",
        Progress::Canceled => "canceled",
    };
    let credits = match prediction.cost {
        Cost::Absent => None,
        Cost::Known(credits) => Some(credits.to_string()),
        Cost::Unreadable => Some("much".to_owned()),
    };
    let metrics = json!({"predict_time": prediction.predict_time});
    let rest = json!({"job_id": prediction.id, "status": status, "output": prediction.output, "credits_used": credits,
        "metrics": metrics});
    let flux = json!({"id": prediction.id, "status": status, "output_data": {"urls": prediction.output},
        "credits_used": credits, "metrics": metrics});
    let known = VendorPrediction { unknown_status: None, ..prediction.clone() };
    for shape in [rest, flux] {
        let read = read_prediction(&VendorBody::read(shape.to_string().as_bytes()));
        assert_eq!(read.as_ref(), Some(&known), "{shape}");
    }
}

fn record(prediction: &VendorPrediction, output: Vec<String>) -> PredictionRecord {
    PredictionRecord {
        token_id: None,
        job_id: JobId::parse("pred_01jh0000000000000000000000").unwrap(),
        model: ModelId::parse("acme/model-x").unwrap(),
        status: Status::Succeeded,
        sequence: 1,
        created_at: UnixMillis(0),
        completed_at: Some(UnixMillis(1)),
        output,
        failure: None,
        credits_reserved: MicroCredits::ZERO,
        credits_used: match prediction.cost {
            Cost::Known(credits) => Some(credits),
            Cost::Absent | Cost::Unreadable => None,
        },
        predict_time: prediction.predict_time,
        cancel_requested: false,
        queue: None,
        day: UtcDay(0),
        jti: None,
        idempotency_key: None,
        batch_id: None,
        last_update_at: UnixMillis(0),
        state_check_at: UnixMillis(0),
        withdrawing: false,
        is_erased: false,
        user: None,
    }
}
