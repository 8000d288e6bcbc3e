use super::*;
use crate::constants::{VENDOR_OUTPUTS_READ_MAX, VENDOR_TEXT_MAX_BYTES};
use crate::types::credits::MicroCredits;
use crate::types::model::ModelId;

fn read(text: &str) -> Option<VendorPrediction> {
    read_prediction(&VendorBody::read(text.as_bytes()))
}

fn known(credits: &str) -> Cost {
    Cost::Known(MicroCredits::parse(credits).unwrap())
}

fn file_id(text: &str) -> Option<String> {
    read_file_id(&VendorBody::read(text.as_bytes()))
}

#[test]
fn the_rest_shape_is_read() {
    let text = r#"{"job_id":"pred_abc123xyz","status":"succeeded","model":"flux-kontext-max","created_at":"2026-01-15T10:30:00.123Z",
        "completed_at":"2026-01-15T10:31:00Z","output":["https://cdn.example/a.png"],"metrics":{"predict_time":45.2},
        "urls":{"get":"https://elsewhere.example/v1/status/1"}}"#;
    assert_eq!(
        read(text).unwrap(),
        VendorPrediction {
            id: Some("pred_abc123xyz".into()),
            progress: Progress::Succeeded,
            unknown_status: None,
            output: vec!["https://cdn.example/a.png".into()],
            cost: Cost::Absent,
            predict_time: Some(45.2),
        }
    );
}

#[test]
fn the_flux_shape_is_read() {
    let text = r#"{"id":789,"user_id":"abc123","model":"black-forest-labs","model_version":"flux-kontext-max",
        "input_parameters":{"status":"failed","id":1},"output_data":{"urls":["https://cdn.example/a.png"]},"status":"processing",
        "credits_used":"2.5"}"#;
    let prediction = read(text).unwrap();
    assert_eq!(prediction.id.as_deref(), Some("789"));
    assert_eq!(prediction.progress, Progress::Running);
    assert_eq!(prediction.output, ["https://cdn.example/a.png"]);
    assert_eq!(prediction.cost, known("2.5"));
}

#[test]
fn oddities_that_are_harmless_are_read() {
    let lone_surrogate = r#"{"job_id":"x","status":"succeeded","logs":"a\ud83d"}"#;
    let deep = format!(r#"{{"job_id":"x","logs":{}{},"status":"succeeded"}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let long = format!(r#"{{"job_id":"x","logs":"{}","status":"succeeded"}}"#, "a".repeat(VENDOR_TEXT_MAX_BYTES * 2));
    for text in [
        r#"{"job_id":"x","status":"succeeded","metrics":{"predict_time":NaN}}"#,
        r#"{"job_id":"x","status":"succeeded","metrics":{"predict_time":-Infinity}}"#,
        "\u{feff}{\"job_id\":\"x\",\"status\":\"succeeded\"}",
        r#"{"job_id":"x","status":"processing","status":"succeeded"}"#,
        r#"{"job_id":"x","job_id":"x","status":"succeeded"}"#,
        r#"{"\u006aob_id":"x","st\u0061tus":"succ\u0065eded"}"#,
        lone_surrogate,
        &deep,
        &long,
    ] {
        let prediction = read(text).unwrap_or_else(|| panic!("{text:.80}"));
        assert_eq!((prediction.id.as_deref(), prediction.progress), (Some("x"), Progress::Succeeded), "{text:.80}");
        assert_eq!(prediction.predict_time, None, "{text:.80}");
    }
    let bytes = b"{\"job_id\":\"x\",\"status\":\"succeeded\",\"logs\":\"\xff\xfe\"}";
    assert_eq!(read_prediction(&VendorBody::read(bytes)).unwrap().progress, Progress::Succeeded);
}

#[test]
fn of_repeated_members_the_last_one_counts() {
    let text = r#"{"id":1,"output":["a","b"],"output":["c"],"output_data":{"urls":["d"]},"output_data":{},
        "metrics":{"predict_time":1},"metrics":{"predict_time":2,"predict_time":3},"error":{"code":"x"},"error":null}"#;
    let prediction = read(text).unwrap();
    assert_eq!((prediction.output, prediction.predict_time), (vec!["c".to_owned()], Some(3.0)));
    assert!(!is_error_envelope(&VendorBody::read(text.as_bytes())));
    let later = r#"{"id":1,"output":["a"],"output":null,"output_data":{"urls":["d"]},"metrics":{"predict_time":1},"metrics":{}}"#;
    let prediction = read(later).unwrap();
    assert_eq!((prediction.output, prediction.predict_time), (vec!["d".to_owned()], None));
}

#[test]
fn two_different_ids_are_no_id() {
    for text in [
        r#"{"id":1,"id":2,"status":"processing"}"#,
        r#"{"job_id":"a","job_id":"b","status":"processing"}"#,
        r#"{"job_id":"a","job_id":"b","id":"c","status":"processing"}"#,
    ] {
        assert_eq!(read(text).unwrap().id, None, "{text}");
        assert!(has_id_conflict(&VendorBody::read(text.as_bytes())), "{text}");
    }
    assert_eq!(file_id(r#"{"file_id":"a","file_id":"b","id":"c"}"#), None);
    let same = r#"{"id":1,"id":1,"status":"processing"}"#;
    assert_eq!(read(same).unwrap().id.as_deref(), Some("1"));
    assert!(!has_id_conflict(&VendorBody::read(same.as_bytes())));
}

#[test]
fn what_is_no_prediction_is_none() {
    for bad in [
        "",
        "{",
        "[]",
        "{}",
        "null",
        r#"{"detail":"x"}"#,
        r#"{"id":{}}"#,
        r#"{"id":1,"id":2}"#,
        r#"{"id":-1}"#,
        r#"{"id":1.5}"#,
        r#"[{"id":1,"status":"succeeded"}]"#,
        r#"{"data":{"id":1,"status":"succeeded"}}"#,
        r#"{"job_id":"x","status":"succeeded""#,
    ] {
        assert_eq!(read(bad), None, "{bad}");
    }
}

#[test]
fn an_id_that_could_break_out_of_a_url_or_a_row_is_no_id() {
    let long = "a".repeat(129);
    for bad in ["", "a b", "a\\n", "é", "\\ud83d", ".", "..", &long] {
        assert_eq!(read(&format!(r#"{{"id":"{bad}","status":"x"}}"#)).unwrap().id, None, "{bad}");
    }
}

#[test]
fn a_job_id_that_is_none_does_not_hide_the_id() {
    for bad in ["\"\"", "\"a b\"", "\"..\"", "null", "{}", "-1", "NaN"] {
        let text = format!(r#"{{"job_id":{bad},"id":789}}"#);
        assert_eq!(read(&text).unwrap().id.as_deref(), Some("789"), "{text}");
    }
    // Both shapes at once are two members, not two values of one member.
    assert_eq!(read(r#"{"job_id":"a","id":"b"}"#).unwrap().id.as_deref(), Some("a"));
    assert_eq!(file_id(r#"{"file_id":"","id":"f"}"#).as_deref(), Some("f"));
}

#[test]
fn a_files_id_is_read_from_either_name() {
    assert_eq!(file_id(r#"{"file_id":"file_1","id":2}"#).as_deref(), Some("file_1"));
    assert_eq!(file_id(r#"{"id":2}"#).as_deref(), Some("2"));
    assert_eq!(file_id(r#"{"id":"a b"}"#), None);
    assert_eq!(file_id("<html>"), None);
}

#[test]
fn a_cost_that_cannot_be_read_is_told_apart_from_none() {
    for (members, cost) in [
        ("", Cost::Absent),
        (r#","credits_used":null"#, Cost::Absent),
        (r#","credits_used":-5"#, Cost::Unreadable),
        (r#","credits_used":"a lot""#, Cost::Unreadable),
        (r#","credits_used":{"amount":5}"#, Cost::Unreadable),
        (r#","credits_used":[5]"#, Cost::Unreadable),
        (r#","credits_used":NaN"#, Cost::Unreadable),
        (r#","credits_used":true"#, Cost::Unreadable),
        (r#","credits_used":2.5"#, known("2.5")),
        (r#","credits_used":" 2.5 ""#, known("2.5")),
        (r#","credits_used":7.300000000000001"#, known("7.300001")),
        (r#","credits_used":9,"credits_used":2"#, known("9")),
        (r#","credits_used":2,"credits_used":"9""#, known("9")),
        (r#","credits_used":2,"credits_used":null"#, known("2")),
        (r#","credits_used":2,"credits_used":"x""#, Cost::Unreadable),
        (r#","credits_used":{},"credits_used":2"#, Cost::Unreadable),
        (r#","metrics":{"credits_used":9}"#, Cost::Absent),
    ] {
        assert_eq!(read(&format!(r#"{{"id":1{members}}}"#)).unwrap().cost, cost, "{members}");
    }
}

#[test]
fn an_unknown_status_word_is_in_progress_and_is_told() {
    let prediction = read(r#"{"status":"archived"}"#).unwrap();
    assert_eq!((prediction.progress, prediction.unknown_status.as_deref()), (Progress::Running, Some("archived")));
    for text in [r#"{"status":"queued"}"#, r#"{"status":null,"id":1}"#, r#"{"status":5}"#, r#"{"id":1}"#] {
        let prediction = read(text).unwrap();
        assert_eq!((prediction.progress, prediction.unknown_status), (Progress::Running, None), "{text}");
    }
}

#[test]
fn odd_times_and_outputs_are_left_out() {
    for time in ["-1", "\"5\"", "null", "1e999", "{}"] {
        let text = format!(r#"{{"id":1,"metrics":{{"predict_time":{time}}},"output":[1,null,["x"],{{"url":"x"}}]}}"#);
        let prediction = read(&text).unwrap();
        assert_eq!((prediction.predict_time, prediction.output.len()), (None, 0), "{time}");
    }
    assert_eq!(read(r#"{"id":1,"output":"a"}"#).unwrap().output, ["a"]);
    assert_eq!(read(r#"{"id":1,"output_data":{"urls":"a"}}"#).unwrap().output, ["a"]);
    let many = vec!["\"a\""; VENDOR_OUTPUTS_READ_MAX + 5].join(",");
    assert_eq!(read(&format!(r#"{{"id":1,"output":[{many}]}}"#)).unwrap().output.len(), VENDOR_OUTPUTS_READ_MAX);
}

#[test]
fn both_error_envelopes_are_known() {
    let is_envelope = |text: &str| is_error_envelope(&VendorBody::read(text.as_bytes()));
    assert!(is_envelope(r#"{"error":{"type":"api_error","message":"x","code":"Y"}}"#));
    assert!(is_envelope(r#"{"error":{"code":"invalid_request","message":"x","details":{"param":"p"}}}"#));
    assert!(is_envelope(&format!(r#"{{"error":{{"message":"{}"}}}}"#, "a".repeat(VENDOR_TEXT_MAX_BYTES + 1))));
    for bad in [
        "",
        "{}",
        "<html>",
        r#"{"error":"x"}"#,
        r#"{"detail":"x"}"#,
        r#"{"error":{}}"#,
        r#"{"error":{"code":5}}"#,
        r#"{"error":{"code":"x","code":null}}"#,
        r#"{"error":[{"code":"x"}]}"#,
    ] {
        assert!(!is_envelope(bad), "{bad}");
    }
}

#[test]
fn model_lists_of_several_shapes_are_read() {
    let expected = [ModelId::parse("acme/x").unwrap()];
    for text in [
        r#"["acme/x"]"#,
        r#"{"data":[{"id":"acme/x","price":1}]}"#,
        r#"{"models":[{"owner":"acme","name":"x"}]}"#,
        r#"{"data":[{"provider":"acme","id":"x"},{"id":"../y"},5]}"#,
        r#"{"data":null,"models":["acme/x"]}"#,
        r#"{"data":["acme/z"],"data":["acme/x"]}"#,
        "\u{feff}{\"data\":[{\"id\":\"acme/x\",\"price\":NaN}]}",
    ] {
        let body = VendorBody::read(text.as_bytes());
        assert_eq!(body.document().and_then(Document::models), Some(&expected[..]), "{text}");
    }
}

#[test]
fn a_response_without_a_model_is_no_list() {
    for text in ["", "{}", "[]", r#"{"data":[]}"#, r#"{"data":[{"id":5}]}"#, "null", r#"{"data":{"id":"acme/x"}}"#] {
        let body = VendorBody::read(text.as_bytes());
        assert_eq!(body.document().and_then(Document::models), None, "{text}");
    }
}
