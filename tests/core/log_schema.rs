//! docs/log.schema.json and the code agree on the words of the log. `tests/api/log_schema.rs` checks its lines.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use valetkey::types::alert::Alert;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|_| panic!("{path} is missing"))
}

/// Returns the words that the schema allows for a member of an event.
fn words(event: &str, member: &str) -> BTreeSet<String> {
    let schema: Value = serde_json::from_str(&read("docs/log.schema.json")).unwrap();
    let pointer = format!("/$defs/{event}/properties/{member}/enum");
    let listed = schema.pointer(&pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("no {pointer}"));
    listed.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// Returns each text after `start` up to the next quote.
fn quoted(text: &str, start: &str) -> BTreeSet<String> {
    text.split(start).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn the_schema_has_every_route_and_no_other() {
    let mut routes = quoted(&read("src/wire/route/routes.rs"), "#[strum(serialize = \"");
    assert!(routes.contains("predictions.create"));
    routes.insert("none".to_owned());
    assert_eq!(words("request", "route"), routes, "docs/log.schema.json lists the routes");
}

#[test]
fn the_schema_has_every_alert_and_no_other() {
    let alerts: BTreeSet<String> = Alert::ALL.iter().map(|alert| alert.name().to_owned()).collect();
    assert_eq!(words("alert", "alert"), alerts, "docs/log.schema.json lists the alerts");
}

#[test]
fn the_schema_has_every_warning_and_no_other() {
    let mut warnings = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cloudflare")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
            match path.extension() {
                None => folders.push(path),
                Some(_) => warnings.extend(quoted(&fs::read_to_string(path).unwrap(), "log::warn(\"")),
            }
        }
    }
    assert_eq!(words("warning", "warning"), warnings, "docs/log.schema.json lists the warnings");
}
