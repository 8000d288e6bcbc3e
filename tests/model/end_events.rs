//! The events about the ends of predictions: told at least once, whatever the receiver and the instances do.

use std::collections::VecDeque;

use valetkey::constants::MILLIS_PER_DAY;
use valetkey::ledger::{Answer, Event, Next, Question};
use valetkey::messages::{
    DispatcherReply, JobEnd, JobUpdate, LedgerCall, LedgerReply, LedgerRequest, OperatorReply, UserOperation,
};
use valetkey::notification::Notification;
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::JobId;
use valetkey::types::prediction::Status;
use valetkey::types::time::UnixMillis;

use crate::calls;
use crate::ledger::LedgerObject;

const CREATED_AT: UnixMillis = UnixMillis(1_768_478_460_000);
const ENDED_AT: UnixMillis = UnixMillis(CREATED_AT.0 + 1_000);

/// Runs turns until nothing is left to do. The Dispatcher answers a create, and the receiver each notification.
fn run(
    ledger: &mut LedgerObject,
    first: VecDeque<Next>,
    now: UnixMillis,
    receiver: &mut dyn FnMut(Notification) -> bool,
) {
    let mut chains = first;
    while let Some(next) = chains.pop_front() {
        let event = match next {
            Next::Reply(_) => continue,
            Next::Continue(then) => Event::Resume(then, None),
            Next::Ask(Question::Notify(notification), then) => {
                Event::Resume(then, Some(Answer::Notified(receiver(notification))))
            }
            Next::Ask(_, then) => Event::Resume(then, None),
        };
        let (next, tasks) = ledger.turn(event, now, None).unwrap();
        chains.push_back(next);
        chains.extend(tasks);
    }
}

fn start(ledger: &mut LedgerObject, call: LedgerCall, now: UnixMillis) -> VecDeque<Next> {
    let (next, tasks) = ledger.turn(Event::Call(call), now, None).unwrap();
    std::iter::once(next).chain(tasks).collect()
}

/// Returns a Ledger with this many predictions that run.
fn running(count: u8) -> (LedgerObject, Vec<JobId>) {
    let mut ledger = LedgerObject::with_events();
    let ids: Vec<JobId> = (0..count).map(|number| JobId::new(CREATED_AT, [number; 10])).collect();
    for id in &ids {
        create(&mut ledger, id, CREATED_AT);
    }
    (ledger, ids)
}

/// Creates a prediction, which runs.
fn create(ledger: &mut LedgerObject, id: &JobId, now: UnixMillis) {
    let create = calls::create(0, vec![calls::spec(id.clone(), 0)], None, 0, now);
    let Some(Next::Ask(_, then)) = start(ledger, create, now).pop_front() else { panic!("no question") };
    let taken = Answer::Dispatcher(DispatcherReply::Jobs(vec![calls::update(id, 1, None)]));
    ledger.turn(Event::Resume(then, Some(taken)), now, None).unwrap();
}

/// Ends predictions in one message. Returns what the turn started.
fn end(ledger: &mut LedgerObject, ids: &[JobId]) -> VecDeque<Next> {
    end_at(ledger, ids, ENDED_AT)
}

fn end_at(ledger: &mut LedgerObject, ids: &[JobId], now: UnixMillis) -> VecDeque<Next> {
    let updates = ends(ids, Status::Succeeded);
    start(ledger, calls::uncounted(LedgerRequest::JobUpdates { updates }), now)
}

fn ends(ids: &[JobId], status: Status) -> Vec<JobUpdate> {
    let credits = MicroCredits::parse("2.5").unwrap();
    let end = JobEnd { status, failure: None, output: Vec::new(), credits, predict_time: None };
    ids.iter().map(|id| calls::update(id, 2, Some(end.clone()))).collect()
}

/// Deletes the user while the Dispatcher cancels some predictions. Returns what the turn started.
fn erase(ledger: &mut LedgerObject, canceled: &[JobId]) -> VecDeque<Next> {
    let erase = UserOperation::Erase { user: calls::user(0) };
    let asked = start(ledger, calls::uncounted(LedgerRequest::Operate(erase)), ENDED_AT).pop_front();
    let Some(Next::Ask(_, then)) = asked else { panic!("the Dispatcher is not asked") };
    let reply = OperatorReply::Jobs { updates: ends(canceled, Status::Canceled), is_user_known: true };
    let answer = Answer::Dispatcher(DispatcherReply::Operator(Box::new(reply)));
    let (next, tasks) = ledger.turn(Event::Resume(then, Some(answer)), ENDED_AT, None).unwrap();
    assert_eq!(next, Next::Reply(LedgerReply::Done));
    tasks.into()
}

fn has_event_marks(ledger: &LedgerObject) -> bool {
    ledger.rows.marks.keys().any(|name| name.starts_with("event:") || name == "receiver")
}

/// Fires the alarms until `until`. Returns how many fired.
fn fire_alarms(
    ledger: &mut LedgerObject,
    until: UnixMillis,
    receiver: &mut dyn FnMut(Notification, UnixMillis) -> bool,
) -> usize {
    let mut fired = 0;
    while let Some(at) = ledger.alarm.filter(|at| *at <= until) {
        fired += 1;
        let tasks = ledger.fire_alarm(at).into();
        run(ledger, tasks, at, &mut |notification| receiver(notification, at));
    }
    fired
}

#[test]
fn each_end_is_told_once() {
    let (mut ledger, ids) = running(3);
    let mut told = Vec::new();
    let started = end(&mut ledger, &ids);
    run(&mut ledger, started, ENDED_AT, &mut |notification| {
        told.push(notification.id);
        true
    });
    assert_eq!(told, ids.iter().map(|id| format!("event_{id}")).collect::<Vec<_>>());
    fire_alarms(&mut ledger, ENDED_AT.plus_millis(2 * MILLIS_PER_DAY), &mut |_, _| panic!("told again"));
}

#[test]
fn a_dead_receiver_is_tried_for_a_day_with_every_event_and_few_alarms() {
    let (mut ledger, ids) = running(3);
    let mut tries = Vec::new();
    let started = end(&mut ledger, &ids);
    run(&mut ledger, started, ENDED_AT, &mut |notification| {
        tries.push((ENDED_AT, notification));
        false
    });
    let fired = fire_alarms(&mut ledger, ENDED_AT.plus_millis(3 * MILLIS_PER_DAY), &mut |notification, at| {
        tries.push((at, notification));
        false
    });
    let last = tries.last().unwrap().0.millis_since(ENDED_AT);
    assert!((MILLIS_PER_DAY - 3_600_000..=MILLIS_PER_DAY).contains(&last), "{last}");
    assert!((30..35).contains(&tries.len()) && fired < 80, "{} tries, {fired} alarms", tries.len());
    for id in &ids {
        let of_event = tries.iter().filter(|(_, notification)| notification.id == format!("event_{id}"));
        let bodies: Vec<&str> = of_event.map(|(_, notification)| notification.body.as_str()).collect();
        assert!(bodies.len() >= 10 && bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    }
}

#[test]
fn a_new_event_is_a_reason_to_try_a_receiver_that_is_left_alone_for_an_hour_but_not_more_than_each_ten_minutes() {
    let (mut ledger, ids) = running(8);
    let started = end(&mut ledger, &ids[..1]);
    run(&mut ledger, started, ENDED_AT, &mut |_| false);
    let six_hours = ENDED_AT.plus_millis(6 * 3_600_000);
    fire_alarms(&mut ledger, six_hours, &mut |_, _| false);
    // The last try was at most an hour ago, and the next one is at most an hour away.
    let mut tries = Vec::new();
    for (minute, id) in (0_i64..).step_by(6).zip(&ids[1..7]) {
        let now = six_hours.plus_millis(minute * 60_000);
        let started = end_at(&mut ledger, std::slice::from_ref(id), now);
        run(&mut ledger, started, now, &mut |_| {
            tries.push(minute);
            false
        });
    }
    assert!((2..=4).contains(&tries.len()), "{tries:?}");
    assert!(tries.windows(2).all(|pair| pair[1] - pair[0] >= 10), "{tries:?}");
    // Once it is back, the next end tells of all.
    let now = six_hours.plus_millis(50 * 60_000);
    let mut told = Vec::new();
    let started = end_at(&mut ledger, &ids[7..], now);
    run(&mut ledger, started, now, &mut |notification| {
        told.push(notification.id);
        true
    });
    assert_eq!(told.len(), ids.len(), "{told:?}");
}

#[test]
fn an_event_of_an_instance_that_died_is_told_within_a_minute_whatever_comes_before() {
    for has_request in [false, true] {
        let (mut ledger, ids) = running(1);
        let started = end(&mut ledger, &ids);
        assert!(!started.is_empty());
        drop(started);
        ledger.restart(false);
        let mut told = 0;
        if has_request {
            let later = ENDED_AT.plus_millis(5_000);
            let started = start(&mut ledger, calls::uncounted(LedgerRequest::Check), later);
            run(&mut ledger, started, later, &mut |_| {
                told += 1;
                true
            });
        }
        fire_alarms(&mut ledger, ENDED_AT.plus_millis(61_000), &mut |_, _| {
            told += 1;
            true
        });
        assert_eq!(told, 1, "{has_request}");
    }
}

#[test]
fn an_event_whose_receiver_recovers_is_told_with_all_others() {
    let (mut ledger, ids) = running(4);
    let started = end(&mut ledger, &ids);
    let mut told = Vec::new();
    run(&mut ledger, started, ENDED_AT, &mut |_| false);
    fire_alarms(&mut ledger, ENDED_AT.plus_millis(600_000), &mut |notification, at| {
        let is_up = at.millis_since(ENDED_AT) > 100_000;
        if is_up {
            told.push(notification.id);
        }
        is_up
    });
    told.sort();
    assert_eq!(told, ids.iter().map(|id| format!("event_{id}")).collect::<Vec<_>>());
}

#[test]
fn of_a_deleted_user_nothing_is_told() {
    let (mut ledger, ids) = running(3);
    let started = end(&mut ledger, &ids[..1]);
    run(&mut ledger, started, ENDED_AT, &mut |_| false);
    assert!(has_event_marks(&ledger));
    let started = erase(&mut ledger, &ids[1..2]);
    assert!(!has_event_marks(&ledger), "{:?}", ledger.rows.marks);
    run(&mut ledger, started, ENDED_AT, &mut |_| panic!("told"));
    // It ran while its user was deleted.
    assert_eq!(ledger.rows.record(&ids[2]).map(|record| &record.user), Some(&None));
    let started = end(&mut ledger, &ids[2..]);
    run(&mut ledger, started, ENDED_AT, &mut |_| panic!("told"));
    assert!(!has_event_marks(&ledger), "{:?}", ledger.rows.marks);
    fire_alarms(&mut ledger, ENDED_AT.plus_millis(3 * MILLIS_PER_DAY), &mut |_, _| panic!("told"));
    assert!(ledger.rows.is_deleted(), "{:?}", ledger.rows);
}

#[test]
fn an_event_in_flight_while_its_user_is_deleted_leaves_nothing_and_delays_no_later_one() {
    for is_taken in [false, true] {
        let (mut ledger, ids) = running(1);
        let Some(Next::Continue(send)) = end(&mut ledger, &ids).pop_back() else { panic!("no task") };
        let (Next::Ask(Question::Notify(_), then), _) = ledger.turn(Event::Resume(send, None), ENDED_AT, None).unwrap()
        else {
            panic!("nothing is sent")
        };
        erase(&mut ledger, &[]);
        let answer = Some(Answer::Notified(is_taken));
        let (_, tasks) = ledger.turn(Event::Resume(then, answer), ENDED_AT, None).unwrap();
        run(&mut ledger, tasks.into(), ENDED_AT, &mut |_| panic!("told again"));
        assert!(!has_event_marks(&ledger), "{is_taken}: {:?}", ledger.rows.marks);
        let later = ENDED_AT.plus_millis(5_000);
        let id = JobId::new(later, [9; 10]);
        create(&mut ledger, &id, later);
        let started = end(&mut ledger, std::slice::from_ref(&id));
        let mut told = Vec::new();
        run(&mut ledger, started, later, &mut |notification| {
            told.push(notification.id);
            true
        });
        assert_eq!(told, [format!("event_{id}")], "{is_taken}");
    }
}
