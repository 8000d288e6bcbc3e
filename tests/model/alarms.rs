//! The alarms of a Ledger that gets no messages any more.

use valetkey::constants::{MILLIS_PER_DAY, MILLIS_PER_HOUR};
use valetkey::ledger::{Answer, Event, Next};
use valetkey::messages::{DispatcherReply, JobEnd, LedgerCall, LedgerRequest};
use valetkey::types::credits::MicroCredits;
use valetkey::types::file::FileLimits;
use valetkey::types::ids::{JobId, RequestId};
use valetkey::types::prediction::Status;
use valetkey::types::time::UnixMillis;

use crate::calls;
use crate::ledger::LedgerObject;

const NOON: UnixMillis = UnixMillis(1_768_478_400_000);
const CREATED_AT: UnixMillis = UnixMillis(NOON.0 + 60_000);

/// Handles a message. Everything it asks gets `answer`.
fn call(ledger: &mut LedgerObject, call: LedgerCall, answer: Answer, now: UnixMillis) {
    let mut event = Event::Call(call);
    loop {
        event = match ledger.turn(event, now, None).unwrap().0 {
            Next::Reply(_) => return,
            Next::Continue(then) => Event::Resume(then, None),
            Next::Ask(_, then) => Event::Resume(then, Some(answer.clone())),
        };
    }
}

/// Fires one alarm after the other until none is left. Returns when each fired.
fn fire_alarms(ledger: &mut LedgerObject) -> Vec<UnixMillis> {
    let mut fired = Vec::new();
    while let Some(at) = ledger.alarm {
        assert!(fired.len() < 100, "{fired:?}");
        ledger.fire_alarm(at);
        fired.push(at);
    }
    fired
}

#[test]
fn an_idle_ledger_has_an_alarm_only_when_something_expires() {
    let mut ledger = LedgerObject::default();
    let job_id = JobId::new(CREATED_AT, [1; 10]);
    let create = calls::create(0, vec![calls::spec(job_id.clone(), 0)], Some(1), 0, CREATED_AT);
    let accepted = DispatcherReply::Jobs(vec![calls::update(&job_id, 1, None)]);
    call(&mut ledger, create, Answer::Dispatcher(accepted), CREATED_AT);
    let end = JobEnd {
        status: Status::Succeeded,
        failure: None,
        output: Vec::new(),
        credits: MicroCredits::parse("2.5").unwrap(),
        predict_time: None,
    };
    let ended = LedgerRequest::JobUpdates { updates: vec![calls::update(&job_id, 2, Some(end))] };
    let ended_at = CREATED_AT.plus_millis(1_000);
    call(&mut ledger, calls::uncounted(ended), Answer::RevokedBefore(None), ended_at);
    let hour_after = NOON.plus_millis(MILLIS_PER_HOUR);
    let expected = [
        // The prediction should have ended long before: 60 s in the queue, 30 s at the vendor, 600 s more.
        CREATED_AT.plus_millis(690_000),
        // The idempotency key expires, then the prediction, then the day.
        hour_after.plus_millis(MILLIS_PER_DAY),
        hour_after.plus_millis(7 * MILLIS_PER_DAY),
        NOON.utc_day().start().plus_millis(30 * MILLIS_PER_DAY),
    ];
    assert_eq!(fire_alarms(&mut ledger), expected);
    assert!(ledger.rows.is_deleted(), "nothing is left");
}

#[test]
fn a_ledger_that_only_counted_requests_is_deleted_after_a_week() {
    let mut ledger = LedgerObject::default();
    let read = calls::counted(LedgerRequest::Check, 0, NOON);
    call(&mut ledger, read, Answer::RevokedBefore(None), NOON);
    assert_eq!(fire_alarms(&mut ledger), [NOON.plus_millis(7 * MILLIS_PER_DAY)]);
    assert!(ledger.rows.is_deleted());
}

/// A new memory once believed that the alarm fires for the first row that expires, while one was set for much later. It
/// then set none for a create.
#[test]
fn the_alarm_of_a_create_is_set_whatever_expires_before_it() {
    let mut ledger = LedgerObject::default();
    call(&mut ledger, calls::counted(LedgerRequest::Check, 0, NOON), Answer::RevokedBefore(None), NOON);
    let reserved_at = NOON.plus_millis(50 * 60_000);
    let upload = RequestId::new(reserved_at, [1; 10]);
    let reserve = LedgerRequest::ReserveFile { upload, bytes: 1, limits: FileLimits { max_files: 1, max_bytes: 1 } };
    call(&mut ledger, calls::uncounted(reserve), Answer::RevokedBefore(None), reserved_at);
    ledger.restart(false);
    let created_at = NOON.plus_millis(54 * 60_000);
    let job_id = JobId::new(created_at, [1; 10]);
    let create = calls::create(0, vec![calls::spec(job_id.clone(), 0)], None, 0, created_at);
    let accepted = DispatcherReply::Jobs(vec![calls::update(&job_id, 1, None)]);
    call(&mut ledger, create, Answer::Dispatcher(accepted), created_at);
    assert!(ledger.alarm.unwrap() <= created_at.plus_millis(690_000), "{:?}", ledger.alarm);
}
