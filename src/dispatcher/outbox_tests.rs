use proptest::prelude::*;

use super::*;
use crate::constants::{DEAD_LETTER_MILLIS, DELIVERY_BATCH};
use crate::dispatcher::{Action, Delivery, Dispatcher, DispatcherLimits, StoredState};
use crate::messages::{JobUpdate, Stage};
use crate::policy::parse_policy;

const NOW: UnixMillis = UnixMillis(1_768_473_000_000);

fn job_id(number: usize) -> JobId {
    JobId::new(NOW.plus_millis(i64::try_from(number).unwrap()), [0; 10])
}

fn user(number: usize) -> UserKey {
    UserKey::new("i", &number.to_string())
}

/// An update of a prediction that is due at a time.
fn row(number: usize, of: usize, at: i64) -> OutboxRow {
    let update = JobUpdate {
        job_id: job_id(number),
        sequence: 2,
        stage: Stage::Submitting,
        at: NOW,
        cancel_requested: false,
        queue: None,
        end: None,
        late_at: None,
    };
    OutboxRow::new(user(of), update, NOW.plus_millis(at))
}

/// Compares everything that the outbox says with a scan of all rows.
fn check(outbox: &Outbox, in_flight: &BTreeSet<UserKey>) {
    let alive = || outbox.rows.values().filter(|row| !row.is_dead);
    let free = || alive().filter(|row| !in_flight.contains(&row.user));
    assert!(outbox.dead().eq(outbox.rows.values().filter(|row| row.is_dead).map(OutboxRow::job_id)));
    assert_eq!(outbox.next_delivery(), free().map(|row| row.next_at).min());
    assert_eq!(outbox.awaits_report(), alive().any(|row| in_flight.contains(&row.user)));
    for now in [0, 10, 30].map(|millis| NOW.plus_millis(millis)) {
        let due: BTreeSet<&UserKey> = free().filter(|row| row.next_at <= now).map(|row| &row.user).collect();
        assert_eq!(outbox.due_ledgers(now).collect::<BTreeSet<_>>(), due);
        for of in (0..4).map(user) {
            let mut due: Vec<&OutboxRow> = alive().filter(|row| row.user == of && row.next_at <= now).collect();
            due.sort_by_key(|row| (row.next_at, row.job_id()));
            assert_eq!(outbox.due_rows(&of, now).collect::<Vec<_>>(), due);
        }
    }
}

proptest! {
    #![proptest_config(crate::testing::property_config())]

    #[test]
    fn the_indexes_are_what_a_scan_of_all_rows_finds(
        steps in prop::collection::vec((0_u8..8, 0_usize..12, 0_i64..50), 1..80)
    ) {
        let (mut outbox, mut in_flight) = (Outbox::new(Vec::new()), BTreeSet::new());
        for (kind, number, at) in steps {
            let of = user(number % 4);
            match kind {
                0 => drop(outbox.remove(&job_id(number))),
                1 => drop(outbox.change(&job_id(number), |row| row.next_at = NOW.plus_millis(at))),
                2 => drop(outbox.change(&job_id(number), |row| row.is_dead = !row.is_dead)),
                3 => {
                    outbox.start_delivery(&of);
                    in_flight.insert(of);
                }
                4 => {
                    outbox.end_delivery(&of);
                    in_flight.remove(&of);
                }
                _ => outbox.insert(row(number, number % 4, at)),
            }
            check(&outbox, &in_flight);
        }
        let mut loaded = Outbox::new(outbox.rows.values().cloned().collect());
        loaded.resume_deliveries_of(&outbox);
        prop_assert_eq!(&loaded.indexes, &outbox.indexes, "nothing is left over");
    }
}

fn machine(rows: Vec<OutboxRow>) -> Dispatcher {
    let plan =
        r#"{"requests_per_minute":60,"predictions_per_minute":10,"concurrent_predictions":2,"daily_credits":"50"}"#;
    let policy =
        format!(r#"{{"plans":{{"default":{plan}}},"models":{{"acme/model-x":{{"credits":"1","input":{{}}}}}}}}"#);
    let limits = DispatcherLimits::new(&parse_policy(&policy).unwrap());
    Dispatcher::load(limits, StoredState::default(), Vec::new(), rows)
}

fn deliveries(actions: Vec<Action>) -> Vec<Delivery> {
    let delivery = |action| if let Action::Deliver(delivery) = action { Some(delivery) } else { None };
    actions.into_iter().filter_map(delivery).collect()
}

/// Returns the map operations of each kind of turn while `count` Ledgers have an update each, every other one in flight.
/// The last Ledger has `count` updates, which have failed.
fn costs(count: usize) -> Vec<(&'static str, usize)> {
    let late = |number: usize| row(number, number, if number.is_multiple_of(2) { 0 } else { 60_000 });
    let failed = |number| OutboxRow { attempts: 1, ..row(count + number, count, 50_000) };
    let mut machine = machine((0..count).map(late).chain((0..count).map(failed)).collect());
    assert_eq!(deliveries(machine.due(NOW)).len(), count / 2);
    let mut turn = |millis: i64, change: &dyn Fn(&mut Dispatcher, UnixMillis) -> usize| {
        let (before, now) = (machine.outbox.visits.get(), NOW.plus_millis(millis));
        let expected = change(&mut machine, now);
        assert_eq!(deliveries(machine.due(now)).len(), expected);
        let _ = machine.next_due(now);
        machine.outbox.visits.get() - before
    };
    let newest = row(2 * count, count + 1, 2);
    vec![
        ("nothing due", turn(1, &|_, _| 0)),
        (
            "a new update",
            turn(2, &|machine, _| {
                machine.outbox.insert(newest.clone());
                1
            }),
        ),
        (
            "an acknowledgement",
            turn(3, &|machine, _| {
                machine.finish_delivery(&newest.user, std::slice::from_ref(&newest.update));
                0
            }),
        ),
        (
            "a failed delivery",
            turn(4, &|machine, now| {
                machine.retry_delivery(&user(0), &[row(0, 0, 0).update], now);
                0
            }),
        ),
        ("a Ledger with many failed updates", turn(50_000, &|_, _| 2)),
    ]
}

#[test]
fn a_turn_makes_as_many_map_operations_with_ten_thousand_updates_as_with_a_hundred() {
    let (few, many) = (costs(100), costs(10_000));
    for ((name, few), (_, many)) in few.iter().zip(&many) {
        assert!(many <= few && *many < 60, "{name}: {few} with 100 updates, {many} with 10,000");
    }
}

#[test]
fn a_failed_update_is_delivered_alone_and_new_ones_together() {
    let failed = OutboxRow { attempts: 1, ..row(30, 1, 0) };
    let mut machine = machine((0..30).map(|number| row(number, 1, 1)).chain([failed]).collect());
    let sizes: Vec<usize> = (0..3)
        .map(|_| {
            let now = NOW.plus_millis(10);
            let [delivery] = &deliveries(machine.due(now))[..] else { panic!("one delivery for the Ledger") };
            assert!(deliveries(machine.due(now)).is_empty(), "none while one is in flight");
            machine.finish_delivery(&delivery.user, &delivery.updates);
            delivery.updates.len()
        })
        .collect();
    assert_eq!(sizes, [1, DELIVERY_BATCH, 10]);
    assert_eq!((machine.due(NOW.plus_millis(10)), machine.next_due(NOW.plus_millis(10))), (Vec::new(), None));
}

#[test]
fn day_old_updates_of_a_ledger_become_dead_letters_and_newer_ones_are_delivered() {
    let old = |number| OutboxRow { attempts: 1_440, ..row(number, 1, 0) };
    let newer = row(2 * DELIVERY_BATCH, 1, 1);
    let mut machine = machine((0..2 * DELIVERY_BATCH).map(old).chain([newer.clone()]).collect());
    let now = NOW.plus_millis(DEAD_LETTER_MILLIS);
    // Each turn looks at the rows of one message, and the alarm goes on.
    for dead in [DELIVERY_BATCH, 2 * DELIVERY_BATCH] {
        assert_eq!((machine.due(now), machine.outbox.dead().count()), (Vec::new(), dead));
        assert_eq!(machine.next_due(now), Some(now));
    }
    let sent = deliveries(machine.due(now));
    assert_eq!(sent, [Delivery { user: user(1), updates: vec![newer.update] }]);
}
