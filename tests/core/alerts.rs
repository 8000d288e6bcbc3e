//! The alerts: the operator's table, the code, and the tests agree on one list.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use valetkey::types::alert::Alert;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|_| panic!("{path} is missing"))
}

/// Returns the texts of all sources in a folder with this extension.
fn sources(folder: &str, extension: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                texts.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    texts
}

/// Returns the words in backticks of the first column of the table of alerts.
fn listed() -> Vec<String> {
    let page = read("docs/operate.md");
    let section = page.split("\n## Alerts\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let cells = section.lines().filter(|line| line.starts_with("| `")).map(|line| line.split('|').nth(1).unwrap());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned)).collect()
}

/// Returns the words with which JavaScript calls `alert`.
fn words_of_javascript() -> BTreeSet<String> {
    let calls = |text: String| -> Vec<String> {
        let words = text.split("alert(\"").skip(1);
        words.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    sources("src", "js").into_iter().flat_map(calls).collect()
}

#[test]
fn docs_operate_lists_every_alert_once_and_no_other() {
    let mut listed = listed();
    listed.sort();
    let mut known: Vec<String> = Alert::ALL.iter().map(|alert| alert.name().to_owned()).collect();
    known.sort();
    assert_eq!(listed, known);
}

#[test]
fn every_alert_is_raised_somewhere_and_javascript_raises_no_other() {
    let rust = sources("src", "rs");
    let javascript = words_of_javascript();
    assert_eq!(javascript.len(), 2, "{javascript:?}");
    for alert in Alert::ALL {
        let is_raised = rust.iter().any(|text| text.contains(&format!("Alert::{alert:?}")));
        assert!(is_raised || javascript.contains(alert.name()), "{alert:?}");
    }
    let names: BTreeSet<String> = Alert::ALL.iter().map(|alert| alert.name().to_owned()).collect();
    assert!(javascript.is_subset(&names), "{javascript:?}");
}

/// A test: its file, and its name.
type Test = (&'static str, &'static str);

const VENDOR: &str = "tests/core/dispatcher_vendor.rs";
const DISPATCHER: &str = "tests/core/dispatcher_alerts.rs";
const LEDGER: &str = "tests/model/ledger_alerts.rs";
const FILES: &str = "src/dispatcher/file_deletions.rs";
const ODD: &str = "tests/api/odd_vendor.rs";
const ANSWERS: &str = "tests/api/upstream_answers.rs";
const SECRECY: &str = "tests/api/secrecy.rs";
const STREAM: &str = "tests/api/vendor_stream.rs";
const STORED: &str = "tests/api/stored.rs";
const SHELLS: &str = "tests/api/alerts.rs";
/// A day of ordinary requests raises none of the alerts of the edge and of the shells.
const NONE: Test = (SHELLS, "ordinary_requests_raise_no_alert");

/// Returns a test that raises an alert, and one that comes close and does not.
fn tests_of(alert: Alert) -> [Test; 2] {
    use Alert as A;
    let same = |test: Test| [test, test];
    match alert {
        A::VendorKeyRefused | A::VendorPollRefused => {
            [(VENDOR, "a_refused_key_says_nothing_about_the_prediction"), NONE]
        }
        A::VendorRedirected => [(ANSWERS, "other_refusals_are_a_502_and_cost_nothing"), NONE],
        A::UnknownVendorStatus => same((VENDOR, "status_words_end_a_prediction_and_unknown_ones_are_an_alert")),
        A::UnreadableCost => same((VENDOR, "the_cost_is_booked_as_far_as_it_can_be_read")),
        A::VendorIdsConflict => [(VENDOR, "an_envelope_in_a_200_is_a_refusal_and_two_ids_are_not"), NONE],
        A::VendorAnswerTooLarge => [(VENDOR, "a_body_that_is_too_large_is_an_alert_and_no_failure"), NONE],
        A::RateLimitResetIgnored => same((VENDOR, "a_reset_far_ahead_is_ignored_with_one_alert")),
        A::VendorKeyInOutput => {
            [(SECRECY, "an_output_that_contains_the_key_is_dropped_and_the_prediction_stays_readable"), NONE]
        }
        A::VendorKeyInAnswer => {
            [(SECRECY, "a_response_that_would_contain_the_key_is_replaced_by_a_useful_error"), NONE]
        }
        A::VendorKeyInStream => [(STREAM, "a_stream_that_contains_the_key_is_cut_before_it"), NONE],
        A::InputMissing => {
            [("tests/core/dispatcher_rows.rs", "a_create_without_its_stored_input_is_not_sent_and_costs_nothing"), NONE]
        }
        A::KeyLeak => [
            (VENDOR, "a_key_that_somebody_else_uses_is_told_once"),
            (VENDOR, "requests_of_programs_that_are_expected_are_no_leak"),
        ],
        A::DailyCreditsLow => {
            same((DISPATCHER, "the_credits_of_a_day_are_told_at_80_percent_and_at_the_end_once_each"))
        }
        A::DailyCreditsSpent => same((
            DISPATCHER,
            "credits_that_do_not_suffice_for_one_prediction_are_spent_and_a_large_batch_says_nothing",
        )),
        A::QueueStuck => [
            (DISPATCHER, "a_queue_that_stands_although_a_slot_is_free_is_told_once"),
            (DISPATCHER, "a_queue_that_moves_or_is_full_or_paused_is_not_stuck"),
        ],
        A::BadTokens => [(SHELLS, "many_bad_tokens_are_told_to_the_log_alone"), NONE],
        A::UnusualSpend => [
            (LEDGER, "a_user_who_spends_much_more_than_in_the_week_before_is_told_once"),
            (LEDGER, "a_user_who_spends_as_before_and_a_newcomer_are_not_told"),
        ],
        A::ForeignIds => [
            (LEDGER, "a_user_who_asks_for_many_ids_of_others_is_told"),
            (LEDGER, "few_ids_of_others_and_ids_of_long_ago_are_not_told"),
        ],
        A::NextKeyRefused => [
            ("tests/core/dispatcher_rotation.rs", "a_refused_next_key_is_an_alert_and_work_stays_with_the_old_one"),
            NONE,
        ],
        A::RotationStuck => {
            same((DISPATCHER, "a_rotation_whose_old_predictions_never_end_is_told_and_one_that_drains_is_not"))
        }
        A::CircuitOpened => [
            (ANSWERS, "five_failures_in_a_row_open_the_circuit"),
            (ODD, "unreadable_polls_do_not_stop_the_creates_of_everybody"),
        ],
        A::CreateOutcomeUnknown => {
            same((DISPATCHER, "a_create_in_flight_at_a_restart_is_told_and_one_that_was_answered_is_not"))
        }
        A::PredictionLostByVendor => {
            [(VENDOR, "a_key_that_stays_refused_loses_the_prediction_when_the_slot_ends"), NONE]
        }
        A::PredictionLostByDispatcher | A::PredictionSilent => [
            (LEDGER, "a_prediction_that_the_dispatcher_still_has_is_silent_and_one_that_it_lost_is_lost"),
            (LEDGER, "a_prediction_that_ends_is_neither_silent_nor_lost"),
        ],
        A::PredictionTimedOut => {
            same((DISPATCHER, "a_prediction_that_does_not_end_in_time_is_told_and_one_that_ends_is_not"))
        }
        A::FileNotDeleted => [
            (FILES, "a_failed_deletion_is_tried_again_and_a_refused_one_is_an_alert"),
            (FILES, "each_file_is_deleted_once_and_one_at_a_time"),
        ],
        A::DeadLetter => same((DISPATCHER, "an_update_that_is_never_acknowledged_is_told_after_a_day")),
        A::KeySetUnavailable => [("tests/api/providers.rs", "without_a_key_set_the_client_is_told_to_retry"), NONE],
        A::TurnstileSecretRefused => {
            [("tests/api/tokens.rs", "an_invalid_turnstile_secret_is_a_503_and_is_logged"), NONE]
        }
        A::RowUnreadable => [(STORED, "an_unreadable_job_row_stays_and_is_tried_at_each_load"), NONE],
        A::StorageTooNew => [(STORED, "storage_with_a_breaking_migration_of_a_newer_build_is_left_alone"), NONE],
        A::StateUnreadable => [(STORED, "an_unreadable_part_of_the_state_is_lost_alone"), NONE],
        A::InstanceEnded | A::NoAnswer => [
            (
                "tests/js/worker.test.mjs",
                "a trap while a request begins is answered with the last resort, and the next request gets a new instance",
            ),
            NONE,
        ],
        A::LedgerFailed | A::DispatcherFailed => [(SHELLS, "a_message_that_an_object_cannot_handle_is_told"), NONE],
        A::LedgerAlarmFailed | A::DispatcherAlarmFailed => {
            [(SHELLS, "an_alarm_that_an_object_cannot_handle_is_told"), NONE]
        }
    }
}

/// Returns the body of a test: from its name to the end of its block.
fn body_of((file, name): Test) -> String {
    let text = read(file);
    let starts = [format!("fn {name}()"), format!("test(\"{name}\",")];
    let start = starts.iter().find_map(|start| text.find(start.as_str()));
    let rest = &text[start.unwrap_or_else(|| panic!("{file} has no test {name}"))..];
    rest.split("\n}\n").next().unwrap().split("\n    }\n}").next().unwrap().to_owned()
}

#[test]
fn each_alert_has_a_test_that_raises_it_and_one_that_does_not() {
    for alert in Alert::ALL {
        let [raises, does_not] = tests_of(*alert).map(body_of);
        let mentions = |word: &str| raises.contains(word);
        assert!(mentions(alert.name()) || mentions(&format!("Alert::{alert:?}")), "{alert:?}: {raises}");
        assert!(does_not.contains("assert"), "{alert:?}");
    }
}
