//! Every statement of both objects finds its rows by an index: SQLite says so of the tables that the Worker made.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Options, Stack, root, token, user};
use crate::stored::{damage, dispatcher_state, run_sql};

/// Tables that the Dispatcher loads as a whole when it starts. The queue's limits bound them.
const LOADED: [&str; 6] = ["jobs", "inputs", "outbox", "state", "file_deletions", "quarantine"];
/// Tables of the database itself, with a row for each table or migration.
const SMALL: [&str; 3] = ["sqlite_master", "sqlite_schema", "migrations"];
/// Steps of a plan that read no table.
const NO_TABLE: [&str; 2] = ["CONSTANT", "(subquery"];
/// Tables whose oldest rows are read in the order of their key, as many as are deleted.
const BOUNDED: [(&str, &str); 2] = [
    ("tombstones", "IN (SELECT job_id FROM tombstones ORDER BY job_id LIMIT ?)"),
    ("audit", "IN (SELECT id FROM audit ORDER BY id LIMIT 2)"),
];

/// Returns the statements in a source: its text literals that begin as a statement does.
fn statements(source: &str) -> BTreeSet<String> {
    let code: String =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect();
    let mut found = BTreeSet::new();
    let mut rest = code.as_str();
    while let Some((_, text)) = rest.split_once('"') {
        let mut end = 0;
        while !text[end..].starts_with('"') {
            end += if text[end..].starts_with('\\') { 2 } else { text[end..].chars().next().unwrap().len_utf8() };
        }
        // A backslash at the end of a line continues the literal without the next line's indentation.
        let lines: Vec<&str> = text[..end].split("\\\n").collect();
        let literal = lines
            .iter()
            .enumerate()
            .map(|(at, line)| if at == 0 { line } else { line.trim_start() })
            .collect::<String>();
        if ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "].iter().any(|word| literal.starts_with(word)) {
            found.insert(literal);
        }
        rest = &text[end + 1..];
    }
    found
}

/// Returns the statements of the files in a folder and of the code that both objects share.
fn statements_of(folder: &str) -> BTreeSet<String> {
    let objects = root().join("src/cloudflare/objects");
    let mut found = statements(&fs::read_to_string(objects.join("migrations.rs")).unwrap());
    for entry in fs::read_dir(objects.join(Path::new(folder))).unwrap().flatten() {
        found.extend(statements(&fs::read_to_string(entry.path()).unwrap()));
    }
    found
}

#[test]
fn every_statement_of_both_objects_has_an_index() {
    let stack = Stack::start(&Options::default());
    assert_eq!(stack.create(&token(&user("plans"))).status, 201);
    dispatcher_state(&stack);
    stack.kill_workerd();
    damage(&stack, "CREATE TABLE quarantine (name TEXT PRIMARY KEY, doc TEXT, attempts INTEGER) WITHOUT ROWID");
    let mut scans = Vec::new();
    for (class, at_least) in [("ledger", 30), ("dispatcher", 15)] {
        let all = statements_of(class);
        assert!(all.len() >= at_least, "{} statements in {class}", all.len());
        // Statements of the Dispatcher that are the same for two tables.
        let for_table = |table| all.iter().map(move |statement| statement.replace("{table}", table));
        for statement in for_table("jobs").chain(for_table("outbox")).collect::<BTreeSet<_>>() {
            assert!(
                !statement.contains('{'),
                "{class}: a statement that is put together cannot be checked: {statement}"
            );
            let plan = run_sql(&stack, class, "", &format!("EXPLAIN QUERY PLAN {statement}"));
            let steps: Vec<Value> = serde_json::from_str(&plan).unwrap();
            for step in steps {
                let detail = step["detail"].as_str().unwrap();
                let Some(table) = detail.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next()) else {
                    continue;
                };
                let is_small = SMALL.contains(&table) || NO_TABLE.iter().any(|start| table.starts_with(start));
                let is_loaded = class == "dispatcher" && LOADED.contains(&table);
                let is_bounded = BOUNDED.iter().any(|(name, oldest)| table == *name && statement.contains(oldest));
                if !(is_small || is_loaded || is_bounded) {
                    scans.push(format!("{class}: {detail}: {statement}"));
                }
            }
        }
    }
    assert!(scans.is_empty(), "scanned as a whole:\n{}", scans.join("\n"));
}
