//! The cost of a prediction for the objects, by counting: rows that workerd's cursors report as written (those of indexes
//! too), messages, alarms that fired, and the durable commits that a client waits for.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Options, Stack, token, user};
use crate::steps::{create_of, wait_until};

/// The alarm that looks after a delivery in flight comes 10 s after the end.
const QUIET: Duration = Duration::from_secs(12);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cost {
    rows: BTreeMap<String, u64>,
    messages: u64,
    alarms: u64,
    alarms_set: u64,
    commits: u64,
}

impl Cost {
    fn of(stack: &Stack) -> Self {
        let costs = stack.object_costs();
        let mut all = Self::default();
        for class in ["Ledger", "Dispatcher"] {
            let count = |name: &str| costs[class][name].as_u64().unwrap();
            all.messages += count("messages");
            all.alarms += count("alarms");
            all.alarms_set += count("alarms_set");
            all.commits += count("commits");
            let tables = costs[class]["rows"].as_object().unwrap();
            // Migrations are applied once.
            for (table, rows) in tables.iter().filter(|(table, _)| *table != "migrations") {
                all.rows.insert(format!("{class} {table}"), rows.as_u64().unwrap());
            }
        }
        all
    }

    fn since(&self, before: &Self) -> Self {
        let rows = self.rows.iter().map(|(table, rows)| {
            let before = before.rows.get(table).copied().unwrap_or_default();
            (table.clone(), rows - before)
        });
        Self {
            rows: rows.filter(|(_, rows)| *rows > 0).collect(),
            messages: self.messages - before.messages,
            alarms: self.alarms - before.alarms,
            alarms_set: self.alarms_set - before.alarms_set,
            commits: self.commits - before.commits,
        }
    }

    fn total_rows(&self) -> u64 {
        self.rows.values().sum()
    }
}

fn polls(stack: &Stack) -> usize {
    stack.vendor_requests().iter().filter(|request| request["route"] == "get").count()
}

/// Waits until the vendor got this many polls.
fn wait_for_polls(stack: &Stack, count: usize) {
    wait_until("the polls", || (polls(stack) >= count).then_some(()));
}

fn stack() -> Stack {
    let stack = Stack::start(&Options { is_observed: true, stores_in_memory: true, ..Options::default() });
    // The isolate learns which tokens are revoked.
    assert_eq!(stack.get(&token(&user("first")), "/v1/predictions").status, 200);
    stack
}

#[test]
fn a_prediction_that_ends_at_its_first_poll_stays_within_its_budget() {
    let stack = stack();
    let good = token(&user("thrifty"));
    for number in 1..=2 {
        let before = Cost::of(&stack);
        assert_eq!(stack.send(&create_of(&good, "p")).status, 201);
        wait_for_polls(&stack, number);
        std::thread::sleep(QUIET);
        let cost = Cost::of(&stack).since(&before);
        let rows = cost.total_rows();
        // The figures of docs/schema.md and docs/capacity.md: --nocapture shows them.
        eprintln!("prediction {number}: {rows} rows, {cost:?}");
        assert!(rows <= 28 && cost.messages <= 4 && cost.alarms <= 2, "prediction {number}: {rows} rows, {cost:#?}");
    }
    assert_eq!(polls(&stack), 2, "each ended at its first poll");
}

#[test]
fn each_further_poll_costs_four_rows_and_one_alarm() {
    let stack = stack();
    stack.control_put("/settings", &json!({"manual": true}));
    assert_eq!(stack.send(&create_of(&token(&user("patient")), "p")).status, 201);
    wait_for_polls(&stack, 1);
    let before = Cost::of(&stack);
    // Between two alarms, there are as many as polls. With more alarms than polls, this never comes.
    let (cost, further) = wait_until("four further polls, each of one alarm", || {
        let (cost, further) = (Cost::of(&stack).since(&before), u64::try_from(polls(&stack)).unwrap() - 1);
        (further >= 4 && cost.alarms <= further).then_some((cost, further))
    });
    assert!(cost.total_rows() <= 4 * further && cost.messages == 0, "{further} polls, {cost:#?}");
}

#[test]
fn a_client_waits_for_two_commits_before_the_vendor_is_asked_and_for_one_after_it_answered() {
    let stack = stack();
    let hasty = token(&user("hasty"));
    // The first create of a user makes the tables of the Ledger.
    assert_eq!(stack.send(&create_of(&hasty, "p")).status, 201);
    wait_for_polls(&stack, 1);
    std::thread::sleep(QUIET);
    // By the vendor's response, the Ledger has stored all that it stores beside the request.
    stack.fault("create", 1, &json!({"delay_ms": 3_000}));
    let before = Cost::of(&stack).commits;
    assert_eq!(stack.send(&create_of(&hasty, "p")).status, 201);
    let moments = stack.object_costs()["moments"].clone();
    let moments = moments.as_array().unwrap();
    let at = |name: &str| {
        let last: Option<&Value> = moments.iter().rev().find(|moment| moment[0] == name);
        last.unwrap()[1].as_u64().unwrap()
    };
    assert_eq!((at("asked") - before, at("responded") - at("answered")), (2, 1), "{moments:?}");
}
