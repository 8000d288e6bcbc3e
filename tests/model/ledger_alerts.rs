//! The alerts of a Ledger: what raises each and what does not.

use valetkey::constants::{FOREIGN_IDS_MAX, MILLIS_PER_DAY};
use valetkey::ledger::{Answer, Event, Next, Question};
use valetkey::messages::{DispatcherReply, JobEnd, JobUpdate, LedgerCall, LedgerRequest, Stage};
use valetkey::types::alert::Alert;
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::JobId;
use valetkey::types::prediction::Status;
use valetkey::types::time::UnixMillis;

use crate::calls;
use crate::ledger::LedgerObject;

const NOON: UnixMillis = UnixMillis(1_768_478_400_000);

fn job_id(number: u8, at: UnixMillis) -> JobId {
    JobId::new(at, [number; 10])
}

fn update(job_id: &JobId, sequence: u64, end: Option<JobEnd>) -> JobUpdate {
    let stage = if end.is_some() { Stage::Ended } else { Stage::Submitting };
    let at = job_id.created_at();
    JobUpdate { job_id: job_id.clone(), sequence, stage, at, cancel_requested: false, queue: None, end, late_at: None }
}

/// Goes on until nothing is left to do. The Dispatcher knows `known` predictions as running.
fn finish(ledger: &mut LedgerObject, mut chains: Vec<Next>, known: &[JobId], now: UnixMillis) {
    while let Some(next) = chains.pop() {
        let event = match next {
            Next::Reply(_) => continue,
            Next::Continue(then) => Event::Resume(then, None),
            Next::Ask(Question::RevokedBefore, then) => Event::Resume(then, Some(Answer::RevokedBefore(None))),
            Next::Ask(_, then) => {
                let updates = known.iter().map(|id| update(id, 1, None)).collect();
                Event::Resume(then, Some(Answer::Dispatcher(DispatcherReply::Jobs(updates))))
            }
        };
        let (next, tasks) = ledger.turn(event, now, None).unwrap();
        chains.push(next);
        chains.extend(tasks);
    }
}

fn call(ledger: &mut LedgerObject, call: LedgerCall, known: &[JobId], now: UnixMillis) {
    let (next, tasks) = ledger.turn(Event::Call(call), now, None).unwrap();
    finish(ledger, std::iter::once(next).chain(tasks).collect(), known, now);
}

fn create(ledger: &mut LedgerObject, number: u8, at: UnixMillis) -> JobId {
    let id = job_id(number, at);
    let known = [id.clone()];
    call(ledger, calls::create(0, vec![calls::spec(id.clone(), 0)], None, 0, at), &known, at);
    id
}

fn end(ledger: &mut LedgerObject, id: &JobId, credits: &str) {
    let end = JobEnd {
        status: Status::Succeeded,
        failure: None,
        output: Vec::new(),
        credits: MicroCredits::parse(credits).unwrap(),
        predict_time: None,
    };
    let updates = vec![update(id, 2, Some(end))];
    let at = id.created_at().plus_millis(1_000);
    call(ledger, calls::uncounted(LedgerRequest::JobUpdates { updates }), &[], at);
}

/// Fires the alarm at which the Ledger asks for the state of a silent prediction.
fn ask_state(ledger: &mut LedgerObject, id: &JobId, known: &[JobId]) {
    // 60 s in the queue, 30 s at the vendor, 600 s more.
    let at = id.created_at().plus_millis(690_000);
    let tasks = ledger.fire_alarm(at);
    finish(ledger, tasks, known, at);
}

#[test]
fn a_prediction_that_the_dispatcher_still_has_is_silent_and_one_that_it_lost_is_lost() {
    for is_known in [true, false] {
        let mut ledger = LedgerObject::default();
        let id = create(&mut ledger, 1, NOON);
        let known = [id.clone()];
        ask_state(&mut ledger, &id, if is_known { &known } else { &[] });
        let lost = (!is_known).then_some(Alert::PredictionLostByDispatcher);
        let expected: Vec<Alert> = std::iter::once(Alert::PredictionSilent).chain(lost).collect();
        assert_eq!(ledger.alerts, expected);
    }
}

#[test]
fn a_prediction_that_ends_is_neither_silent_nor_lost() {
    let mut ledger = LedgerObject::default();
    let id = create(&mut ledger, 1, NOON);
    end(&mut ledger, &id, "2.5");
    ask_state(&mut ledger, &id, &[]);
    assert!(ledger.alerts.is_empty());
}

/// Spends these credits on the days before, one day each, then 2.5 credits with each of twelve creates. Returns the alerts
/// of that day.
fn alerts_after(days: &[&str]) -> Vec<Alert> {
    let mut ledger = LedgerObject::default();
    for (ago, credits) in (1_i64..).zip(days).collect::<Vec<_>>().into_iter().rev() {
        let id = create(&mut ledger, 1, NOON.plus_millis(-ago * MILLIS_PER_DAY));
        end(&mut ledger, &id, credits);
    }
    for number in 0..12 {
        create(&mut ledger, number, NOON.plus_millis(i64::from(number) * 10_000));
    }
    ledger.alerts
}

#[test]
fn a_user_who_spends_much_more_than_in_the_week_before_is_told_once() {
    // The plan has 60 credits a day: from 15 on they are looked at. Usual are 3 × 5.
    assert_eq!(alerts_after(&["5", "2", "1"]), [Alert::UnusualSpend]);
}

#[test]
fn a_user_who_spends_as_before_and_a_newcomer_are_not_told() {
    assert!(alerts_after(&["10", "2", "1"]).is_empty(), "30 are 3 × 10");
    assert!(alerts_after(&["5", "1"]).is_empty(), "known for two days");
    assert!(alerts_after(&[]).is_empty());
}

fn alerts_for_ids(count: usize, age_millis: i64) -> Vec<Alert> {
    let mut ledger = LedgerObject::default();
    for number in 0..count {
        let job_id = job_id(u8::try_from(number).unwrap(), NOON.plus_millis(-age_millis));
        call(&mut ledger, calls::uncounted(LedgerRequest::Get { job_id }), &[], NOON);
    }
    ledger.alerts
}

#[test]
fn a_user_who_asks_for_many_ids_of_others_is_told() {
    assert_eq!(alerts_for_ids(FOREIGN_IDS_MAX, 1_000), [Alert::ForeignIds]);
}

#[test]
fn few_ids_of_others_and_ids_of_long_ago_are_not_told() {
    assert!(alerts_for_ids(FOREIGN_IDS_MAX - 1, 1_000).is_empty());
    assert!(alerts_for_ids(200, 8 * MILLIS_PER_DAY).is_empty());
}
