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
