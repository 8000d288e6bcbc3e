//! Single turns of a Ledger: what the random interleavings found, and find again only once in a hundred thousand cases.

use valetkey::ledger::{Answer, Continuation, Event, Next, Question};
use valetkey::messages::{
    DispatcherReply, DispatcherRequest, JobEnd, JobUpdate, LedgerCall, LedgerReply, LedgerRequest, Stage,
};
use valetkey::types::ids::JobId;
use valetkey::types::prediction::{Failure, Status};
use valetkey::types::time::UnixMillis;

use crate::calls;
use crate::ledger::LedgerObject;

const NOW: UnixMillis = UnixMillis(1_768_473_000_000);

fn job_id() -> JobId {
    JobId::new(NOW, [1; 10])
}

fn create() -> LedgerCall {
    calls::create(0, vec![calls::spec(job_id(), 0)], None, 0, NOW)
}

fn take(ledger: &mut LedgerObject, event: Event) -> Next {
    ledger.turn(event, NOW, None).unwrap().0
}

/// Admits a create. Returns the continuation that gets the Dispatcher's reply to its enqueue.
fn admit(ledger: &mut LedgerObject) -> Continuation {
    let Next::Continue(then) = take(ledger, Event::Call(create())) else { panic!("not authorized") };
    let Next::Ask(_, then) = take(ledger, Event::Resume(then, None)) else { panic!("not admitted") };
    then
}

fn jobs(update: Option<(Stage, Option<JobEnd>)>) -> Option<Answer> {
    let update = update.map(|(stage, end)| JobUpdate {
        job_id: job_id(),
        sequence: 1,
        stage,
        at: NOW,
        cancel_requested: false,
        queue: None,
        end,
    });
    Some(Answer::Dispatcher(DispatcherReply::Jobs(update.into_iter().collect())))
}

/// A state check was answered before the enqueue arrived, and its answer came after the enqueue's and a withdrawal. The
/// prediction was booked as `outcome_unknown`, although the Dispatcher had dropped it.
#[test]
fn a_withdrawn_prediction_is_not_lost() {
    let mut ledger = LedgerObject::default();
    let conclude = admit(&mut ledger);
    take(&mut ledger, Event::Call(calls::uncounted(LedgerRequest::Withdraw { job_ids: vec![job_id()] })));
    take(&mut ledger, Event::Resume(conclude, jobs(Some((Stage::Waiting, None)))));
    let check = Continuation::ConcludeStateCheck { job_id: job_id(), was_acknowledged: false };
    let next = take(&mut ledger, Event::Resume(check, jobs(None)));
    let withdraw = Question::Dispatcher(DispatcherRequest::Withdraw { job_ids: vec![job_id()] });
    assert!(matches!(next, Next::Ask(question, _) if question == withdraw));
    assert_eq!(ledger.rows.record(&job_id()).unwrap().status, Status::Queued);
}

/// The message of a create arrived a second time after the prediction had ended and its owner had deleted it. The
/// Dispatcher still held a slot for it, reported its end again, and the Ledger booked it again.
#[test]
fn a_deleted_prediction_is_not_made_again() {
    let mut ledger = LedgerObject::default();
    let conclude = admit(&mut ledger);
    let price = calls::spec(job_id(), 0).credits;
    let end = JobEnd::failed(Failure::OutcomeUnknown, price);
    take(&mut ledger, Event::Resume(conclude, jobs(Some((Stage::Ended, Some(end))))));
    let delete = calls::uncounted(LedgerRequest::Delete { job_id: job_id() });
    assert_eq!(take(&mut ledger, Event::Call(delete)), Next::Reply(LedgerReply::Done));
    let Next::Continue(then) = take(&mut ledger, Event::Call(create())) else { panic!("not authorized") };
    take(&mut ledger, Event::Resume(then, None));
    assert!(ledger.rows.record(&job_id()).is_none());
    ledger.check(NOW);
}

/// The platform lost the alarm, and no row was due when that showed: the next rows never got an alarm.
#[test]
fn a_lost_alarm_is_set_again_for_rows_that_are_not_due_yet() {
    let mut ledger = LedgerObject::default();
    let conclude = admit(&mut ledger);
    take(&mut ledger, Event::Resume(conclude, jobs(Some((Stage::Running, None)))));
    let state_check_at = ledger.rows.record(&job_id()).unwrap().state_check_at;
    // An alarm for a mark, earlier than the row's own.
    let other = JobId::new(NOW, [2; 10]);
    take(&mut ledger, Event::Call(calls::uncounted(LedgerRequest::Withdraw { job_ids: vec![other] })));
    assert_eq!(ledger.alarm, Some(NOW.plus_millis(60_000)));
    ledger.alarm = None;
    let check = Event::Call(calls::uncounted(LedgerRequest::Check));
    ledger.turn(check, NOW.plus_millis(66_000), None).unwrap();
    assert_eq!(ledger.alarm, Some(state_check_at));
}
