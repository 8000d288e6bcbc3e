//! Single turns of the objects: what the random interleavings found, and find again only once in a hundred thousand cases.

use valetkey::dispatcher::Action;
use valetkey::ledger::{Answer, Continuation, Event, Next, Question};
use valetkey::messages::{
    Deadline, DispatcherReply, DispatcherRequest, FileUse, JobEnd, JobUpdate, LedgerCall, LedgerRefusal, LedgerReply,
    LedgerRequest, OperatorReply, QueueShare, Stage, UserOperation,
};
use valetkey::types::alert::Alert;
use valetkey::types::ids::{FileId, JobId};
use valetkey::types::prediction::{Failure, Status};
use valetkey::types::time::UnixMillis;

use crate::calls;
use crate::dispatcher::DispatcherObject;
use crate::ledger::{LedgerObject, REQUESTS_A_MINUTE};

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
    let Next::Ask(_, then) = take(ledger, Event::Call(create())) else { panic!("not admitted") };
    then
}

/// A create with a file whose row cannot be read fails after it was counted. It stays counted, and nothing else is stored.
#[test]
fn a_create_that_cannot_be_handled_stays_counted() {
    let (mut ledger, mut call) = (LedgerObject::default(), create());
    let file_id = FileId::new(NOW, [1; 10]);
    ledger.rows.unreadable_files.insert(file_id.clone());
    if let LedgerRequest::Create(request) = &mut call.request {
        request.files.push(FileUse { spec: 0, pointer: "/image".into(), file_id });
    }
    let mut refusals = Vec::new();
    for _ in 0..=REQUESTS_A_MINUTE {
        let Next::Reply(LedgerReply::Refused(refusal)) = take(&mut ledger, Event::Call(call.clone())) else {
            panic!("not refused")
        };
        refusals.push(refusal);
    }
    let last = refusals.pop().unwrap();
    assert!(refusals.iter().all(|refusal| *refusal == LedgerRefusal::Unavailable), "{refusals:?}");
    assert!(matches!(last, LedgerRefusal::RateLimited { .. }), "{last:?}");
    assert!(ledger.rows.record(&job_id()).is_none() && ledger.rows.days.is_empty());
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
        late_at: None,
    });
    Some(Answer::Dispatcher(DispatcherReply::Jobs(update.into_iter().collect())))
}

/// A prediction that waits in a pause by operators has not ended for longer than its Ledger reckons, and that is no
/// alert. It is one when the Dispatcher does not say that there is a pause, or says nothing.
#[test]
fn a_prediction_in_a_pause_is_not_silent() {
    let late_at = NOW.plus_millis(9_000_000);
    for (late_at, is_answered, is_silent) in [(Some(late_at), true, false), (None, true, true), (None, false, true)] {
        let mut ledger = LedgerObject::default();
        let conclude = admit(&mut ledger);
        take(&mut ledger, Event::Resume(conclude, jobs(Some((Stage::Waiting, None)))));
        let check_at = ledger.rows.record(&job_id()).unwrap().state_check_at;
        let (_, tasks) = ledger.turn(Event::Alarm, check_at, None).unwrap();
        let [Next::Ask(_, then)] = &tasks[..] else { panic!("{tasks:?}") };
        let Some(Answer::Dispatcher(DispatcherReply::Jobs(mut updates))) = jobs(Some((Stage::Waiting, None))) else {
            panic!()
        };
        updates[0].late_at = late_at;
        let answer = is_answered.then_some(Answer::Dispatcher(DispatcherReply::Jobs(updates)));
        ledger.turn(Event::Resume(then.clone(), answer), check_at, None).unwrap();
        assert_eq!(ledger.alerts, if is_silent { vec![Alert::PredictionSilent] } else { vec![] });
        let next = late_at.unwrap_or(check_at).plus_millis(600_000);
        assert_eq!(ledger.rows.record(&job_id()).unwrap().state_check_at, next);
    }
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

/// The instance of a Ledger died in a create, and the state check of its prediction overtook the enqueue. The withdrawal
/// that followed was not stored. The Dispatcher took the prediction over, reported it and dropped it for the withdrawal,
/// and that reply was lost. The prediction was waiting until its last state check, and then booked as `outcome_unknown`.
#[test]
fn a_withdrawal_that_a_state_check_began_is_repeated_until_it_is_answered() {
    let mut ledger = LedgerObject::default();
    drop(admit(&mut ledger));
    let at = |millis| NOW.plus_millis(millis);
    let (_, tasks) = ledger.turn(Event::Alarm, at(5_000), None).unwrap();
    let [Next::Ask(Question::Dispatcher(DispatcherRequest::State { .. }), then)] = &tasks[..] else {
        panic!("{tasks:?}")
    };
    let overtaken = Event::Resume(then.clone(), jobs(None));
    let Next::Ask(_, conclude_withdrawal) = ledger.turn(overtaken, at(5_000), None).unwrap().0 else {
        panic!("not withdrawn")
    };
    let Some(Answer::Dispatcher(DispatcherReply::Jobs(updates))) = jobs(Some((Stage::Waiting, None))) else { panic!() };
    let report = calls::uncounted(LedgerRequest::JobUpdates { updates });
    ledger.turn(Event::Call(report), at(5_000), None).unwrap();
    ledger.turn(Event::Resume(conclude_withdrawal, None), at(7_000), None).unwrap();
    let (_, tasks) = ledger.turn(Event::Alarm, at(10_000), None).unwrap();
    let [Next::Continue(withdraw)] = &tasks[..] else { panic!("{tasks:?}") };
    let Next::Ask(_, then) = take(&mut ledger, Event::Resume(withdraw.clone(), None)) else { panic!("not withdrawn") };
    take(&mut ledger, Event::Resume(then, jobs(None)));
    assert!(ledger.rows.record(&job_id()).is_none());
    ledger.check(NOW);
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
    take(&mut ledger, Event::Call(create()));
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

/// The row of one prediction of a batch could not be read when the Dispatcher started. The Ledger had the other one's
/// end, asked for this one each minute for ever, and kept its credits.
#[test]
fn a_part_of_a_batch_that_the_dispatcher_lost_ends() {
    let mut ledger = LedgerObject::default();
    let ids = [job_id(), JobId::new(NOW, [2; 10])];
    let batch = calls::create(0, ids.iter().map(|id| calls::spec(id.clone(), 0)).collect(), None, 0, NOW);
    take(&mut ledger, Event::Call(batch));
    let Some(Answer::Dispatcher(DispatcherReply::Jobs(updates))) = jobs(Some((Stage::Running, None))) else { panic!() };
    take(&mut ledger, Event::Call(calls::uncounted(LedgerRequest::JobUpdates { updates })));
    let (_, tasks) = ledger.turn(Event::Alarm, NOW.plus_millis(120_000), None).unwrap();
    let [Next::Ask(Question::Dispatcher(DispatcherRequest::State { job_id }), then)] = &tasks[..] else {
        panic!("{tasks:?}")
    };
    assert_eq!(*job_id, ids[1]);
    take(&mut ledger, Event::Resume(then.clone(), jobs(None)));
    let record = ledger.rows.record(&ids[1]).unwrap();
    assert_eq!((record.status, record.failure), (Status::Failed, Some(Failure::OutcomeUnknown)));
    assert_eq!(ledger.rows.record(&ids[0]).unwrap().status, Status::Processing);
    ledger.check(NOW);
}

/// The Dispatcher started without the row of a prediction that it could not read, and said that it knew none. The Ledger
/// gave the credits back, although the vendor had the prediction; and a repeated enqueue was sent again.
#[test]
fn a_prediction_whose_row_cannot_be_read_is_neither_dropped_nor_sent_again() {
    let mut dispatcher = DispatcherObject::new();
    let clock = (NOW, NOW);
    let enqueue = || {
        let LedgerRequest::Create(create) = create().request else { panic!() };
        DispatcherRequest::Enqueue {
            user: create.user,
            specs: create.specs,
            share: QueueShare { plan: "default".into(), weight: 1, concurrent_predictions: 2, max_waiting: 6 },
            deadline: Deadline::after(NOW, 2_000),
            issued_at: None,
        }
    };
    let (_, actions) = dispatcher.answer(enqueue(), clock);
    assert!(actions.iter().any(|action| matches!(action, Action::Submit { .. })));
    dispatcher.toggle_unreadable(0);
    dispatcher.restart(false, clock);
    let stage = |(reply, actions): (Option<DispatcherReply>, Vec<Action>)| {
        assert!(!actions.iter().any(|action| matches!(action, Action::Submit { .. })), "sent again");
        let Some(DispatcherReply::Jobs(updates)) = reply else { panic!("{reply:?}") };
        updates.first().map(|update| update.stage)
    };
    assert_eq!(stage(dispatcher.answer(enqueue(), clock)), Some(Stage::Submitting));
    let later = (NOW.plus_millis(600_000), NOW.plus_millis(600_000));
    let withdraw = DispatcherRequest::Withdraw { job_ids: vec![job_id()] };
    assert_eq!(stage(dispatcher.answer(withdraw, later)), Some(Stage::Submitting));
    // Its Ledger may give it up once it has given up its slot.
    assert_eq!(stage(dispatcher.answer(DispatcherRequest::State { job_id: job_id() }, later)), None);
}

fn erase() -> Event {
    Event::Call(calls::uncounted(LedgerRequest::Operate(UserOperation::Erase { user: calls::user(0) })))
}

/// Returns the Dispatcher's answer to the deletion of a user.
fn forgotten(is_user_known: bool) -> Option<Answer> {
    let reply = OperatorReply::Jobs { updates: Vec::new(), is_user_known };
    Some(Answer::Dispatcher(DispatcherReply::Operator(Box::new(reply))))
}

/// A user is deleted while a prediction runs: nobody sees it any more, its end is booked once, and after 48 hours the
/// Ledger is empty.
#[test]
fn the_prediction_of_a_deleted_user_is_settled_once_and_leaves_nothing() {
    let mut ledger = LedgerObject::default();
    let then = admit(&mut ledger);
    take(&mut ledger, Event::Resume(then, jobs(Some((Stage::Running, None)))));
    let Next::Ask(Question::Dispatcher(DispatcherRequest::Operator(_)), then) = take(&mut ledger, erase()) else {
        panic!("the Dispatcher is not asked")
    };
    assert_eq!(take(&mut ledger, Event::Resume(then, forgotten(true))), Next::Reply(LedgerReply::Done));
    let get = || Event::Call(calls::uncounted(LedgerRequest::Get { job_id: job_id() }));
    assert_eq!(take(&mut ledger, get()), Next::refuse(LedgerRefusal::NotFound));
    let mut end = JobEnd::failed(Failure::UpstreamFailed, calls::spec(job_id(), 0).credits);
    end.output = vec!["https://vendor.example/canary.png".into()];
    let Some(Answer::Dispatcher(DispatcherReply::Jobs(updates))) = jobs(Some((Stage::Ended, Some(end)))) else {
        panic!("no update")
    };
    let updates: Vec<JobUpdate> = updates.into_iter().map(|update| JobUpdate { sequence: 9, ..update }).collect();
    for _ in 0..2 {
        let told = Event::Call(calls::uncounted(LedgerRequest::JobUpdates { updates: updates.clone() }));
        assert_eq!(take(&mut ledger, told), Next::Reply(LedgerReply::Done));
        let day = ledger.rows.days.values().next().unwrap();
        assert_eq!((day.spent, day.reserved.micros()), (calls::spec(job_id(), 0).credits, 0));
        ledger.check(NOW);
    }
    assert_eq!(ledger.rows.record(&job_id()).map(|record| record.output.len()), Some(0));
    assert_eq!(take(&mut ledger, get()), Next::refuse(LedgerRefusal::NotFound));
    let hour = |hours: i64| NOW.plus_millis(hours * 3_600_000);
    ledger.fire_alarm(hour(1));
    assert!(ledger.rows.record(&job_id()).is_none() && !ledger.rows.is_deleted());
    for hours in 2..=47 {
        ledger.fire_alarm(hour(hours));
    }
    assert!(ledger.rows.marks.contains_key("revoked") && ledger.rows.days.len() == 1);
    for hours in 48..=50 {
        ledger.fire_alarm(hour(hours));
    }
    assert!(ledger.rows.is_deleted(), "{:?}", ledger.rows);
}

/// A create reached the empty Ledger of a user while the Dispatcher was asked to forget that user. The deletion replied
/// that it was done: no token was revoked, and the prediction was left. So it was when the deletion was repeated meanwhile.
#[test]
fn a_create_that_overtakes_the_deletion_of_its_user_delays_it() {
    for (is_user_known, is_repeated) in [(true, false), (false, false), (true, true), (false, true)] {
        let mut ledger = LedgerObject::default();
        let Next::Ask(_, conclude_erasure) = take(&mut ledger, erase()) else { panic!("the Dispatcher is not asked") };
        let conclude_create = admit(&mut ledger);
        if is_repeated {
            assert_eq!(take(&mut ledger, erase()), Next::refuse(LedgerRefusal::Unavailable));
        }
        let forgotten = Event::Resume(conclude_erasure, forgotten(is_user_known));
        assert_eq!(take(&mut ledger, forgotten), Next::refuse(LedgerRefusal::Unavailable));
        let old = Event::Call(calls::counted(LedgerRequest::Check, 0, NOW));
        assert_eq!(take(&mut ledger, old), Next::refuse(LedgerRefusal::Revoked));
        take(&mut ledger, Event::Resume(conclude_create, jobs(Some((Stage::Running, None)))));
        assert!(matches!(take(&mut ledger, erase()), Next::Ask(..)));
    }
}

/// The row of a prediction could not be read when the deletion of its user began, in the millisecond of its create. The
/// deletion left it.
#[test]
fn a_row_that_can_be_read_again_in_time_is_part_of_a_deletion() {
    let mut ledger = LedgerObject::default();
    let then = admit(&mut ledger);
    take(&mut ledger, Event::Resume(then, jobs(Some((Stage::Running, None)))));
    ledger.rows.unreadable.insert(job_id());
    let Next::Ask(_, then) = take(&mut ledger, erase()) else { panic!("the Dispatcher is not asked") };
    ledger.rows.unreadable.clear();
    assert_eq!(take(&mut ledger, Event::Resume(then, forgotten(true))), Next::Reply(LedgerReply::Done));
    assert!(ledger.rows.record(&job_id()).unwrap().is_erased);
}

/// Of a user who has a create on the way, the deletion is refused once: its tokens are revoked, and it is repeated.
#[test]
fn a_create_on_its_way_delays_the_deletion_of_its_user() {
    let mut ledger = LedgerObject::default();
    let then = admit(&mut ledger);
    assert_eq!(take(&mut ledger, erase()), Next::refuse(LedgerRefusal::Unavailable));
    let old = Event::Call(calls::counted(LedgerRequest::Check, 0, NOW));
    assert_eq!(take(&mut ledger, old), Next::refuse(LedgerRefusal::Revoked));
    take(&mut ledger, Event::Resume(then, jobs(Some((Stage::Running, None)))));
    assert!(matches!(take(&mut ledger, erase()), Next::Ask(..)));
}
