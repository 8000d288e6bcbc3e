//! Sockets of a Ledger: who gets one, what it is told, and when it is closed.

use valetkey::constants::{EVENT_STREAMS_MAX, OTHER_SOCKETS_MAX, SOCKET_MAX_MILLIS};
use valetkey::ledger::{Answer, CloseReason, Continuation, Event, Next, Question, Socket};
use valetkey::messages::{
    DispatcherReply, DispatcherRequest, JobEnd, JobUpdate, LedgerCall, LedgerRefusal, LedgerReply, LedgerRequest,
    Revocation, Stage, StreamId,
};
use valetkey::types::ids::{JobId, RequestId};
use valetkey::types::prediction::{Failure, Status};
use valetkey::types::time::UnixMillis;

use crate::calls;
use crate::ledger::LedgerObject;

const NOW: UnixMillis = UnixMillis(1_768_473_000_000);

fn job_id() -> JobId {
    JobId::new(NOW, [1; 10])
}

fn update(sequence: u64, stage: Stage) -> JobUpdate {
    let end =
        (stage == Stage::Ended).then(|| JobEnd::failed(Failure::UpstreamFailed, calls::spec(job_id(), 0).credits));
    JobUpdate { job_id: job_id(), sequence, stage, at: NOW, cancel_requested: false, queue: None, end, late_at: None }
}

fn tell(ledger: &mut LedgerObject, now: UnixMillis, update: JobUpdate) {
    let request = LedgerRequest::JobUpdates { updates: vec![update] };
    ledger.turn(Event::Call(calls::uncounted(request)), now, None);
}

/// Returns a Ledger with one prediction at this stage.
fn ledger(stage: Stage) -> LedgerObject {
    let mut ledger = LedgerObject::default();
    let mut next = ledger.turn(Event::Call(calls::create(0, vec![calls::spec(job_id(), 0)], None, 0, NOW)), NOW, None);
    while let Some((Next::Continue(then), _)) = next {
        next = ledger.turn(Event::Resume(then, None), NOW, None);
    }
    let Some((Next::Ask(_, then), _)) = next else { panic!("not admitted") };
    let answer = Answer::Dispatcher(DispatcherReply::Jobs(vec![update(1, stage)]));
    ledger.turn(Event::Resume(then, Some(answer)), NOW, None).unwrap();
    ledger
}

fn events(number: u8) -> StreamId {
    StreamId { id: RequestId::new(NOW, [number; 10]), vendor: None, is_wait: false }
}

fn wait(number: u8) -> StreamId {
    StreamId { is_wait: true, ..events(number) }
}

fn vendor(number: u8) -> StreamId {
    StreamId { vendor: Some(job_id()), ..events(number) }
}

fn watch(stream: &StreamId, token: u8, is_socket: bool) -> LedgerCall {
    let request = LedgerRequest::Watch { job_id: job_id(), stream: stream.clone(), is_socket };
    let mut call = calls::counted(request, token, NOW);
    // As later polls, which were counted before.
    if let Some(caller) = &mut call.caller {
        caller.requests_per_minute = None;
    }
    call
}

/// Sends a message, and answers all its questions. Nothing is revoked for all users, and no queue position is known.
fn ask(ledger: &mut LedgerObject, call: LedgerCall, now: UnixMillis) -> LedgerReply {
    let mut next = ledger.turn(Event::Call(call), now, None).unwrap().0;
    loop {
        let event = match next {
            Next::Reply(reply) => return reply,
            Next::Continue(then) => Event::Resume(then, None),
            Next::Ask(Question::RevokedBefore, then) => Event::Resume(then, Some(Answer::RevokedBefore(None))),
            Next::Ask(_, then) => Event::Resume(then, None),
        };
        next = ledger.turn(event, now, None).unwrap().0;
    }
}

fn open(ledger: &mut LedgerObject, stream: &StreamId, now: UnixMillis) -> Result<(), LedgerRefusal> {
    match ask(ledger, watch(stream, 1, true), now) {
        LedgerReply::Prediction(_) => Ok(()),
        LedgerReply::Refused(refusal) => Err(refusal),
        reply => panic!("{reply:?}"),
    }
}

const FULL: Result<(), LedgerRefusal> = Err(LedgerRefusal::RateLimited { retry_after_secs: 15 });

fn reasons(ledger: &LedgerObject) -> Vec<CloseReason> {
    ledger.closed.iter().map(|(_, reason)| *reason).collect()
}

#[test]
fn a_socket_is_told_each_change_and_closed_at_the_end() {
    let mut ledger = ledger(Stage::Waiting);
    open(&mut ledger, &events(1), NOW).unwrap();
    assert_eq!(ledger.sockets[0].sequence, 1);
    tell(&mut ledger, NOW, update(2, Stage::Submitting));
    assert_eq!(ledger.sockets[0].sequence, 2);
    tell(&mut ledger, NOW, update(4, Stage::Ended));
    let [(Socket { sequence: 4, .. }, CloseReason::Ended)] = ledger.closed[..] else { panic!("{:?}", ledger.closed) };
    // A prediction that has ended needs no socket.
    open(&mut ledger, &events(2), NOW).unwrap();
    assert_eq!(ledger.sockets, []);
}

#[test]
fn an_update_that_was_stored_and_not_told_is_told_when_it_is_sent_again() {
    let mut ledger = ledger(Stage::Running);
    open(&mut ledger, &events(1), NOW).unwrap();
    ledger.ends_untold = true;
    tell(&mut ledger, NOW, update(2, Stage::Ended));
    assert_eq!((ledger.rows.record(&job_id()).unwrap().status, ledger.sockets.len()), (Status::Failed, 1));
    tell(&mut ledger, NOW, update(2, Stage::Ended));
    assert_eq!(reasons(&ledger), [CloseReason::Ended]);
}

#[test]
fn a_user_has_four_event_streams_beside_28_other_sockets() {
    let mut ledger = ledger(Stage::Running);
    let waits = u8::try_from(OTHER_SOCKETS_MAX).unwrap();
    for number in 0..waits {
        open(&mut ledger, &wait(100 + number), NOW).unwrap();
    }
    assert_eq!([wait(99), vendor(99)].map(|stream| open(&mut ledger, &stream, NOW)), [FULL, FULL]);
    for number in 0..u8::try_from(EVENT_STREAMS_MAX).unwrap() {
        open(&mut ledger, &events(number), NOW).unwrap();
    }
    assert_eq!(open(&mut ledger, &events(4), NOW), FULL, "the fifth event stream");
    // A response that opens its socket again replaces the old one.
    for again in [wait(100), events(3)] {
        assert!(open(&mut ledger, &again, NOW).is_ok());
    }
    assert_eq!((ledger.sockets.len(), reasons(&ledger)), (32, vec![CloseReason::Replaced; 2]));
    ledger.sockets.retain(|socket| socket.stream != wait(100));
    assert!(open(&mut ledger, &wait(99), NOW).is_ok());
}

#[test]
fn a_stream_that_polls_counts_beside_those_with_sockets() {
    let mut ledger = ledger(Stage::Running);
    for number in 0..3 {
        open(&mut ledger, &events(number), NOW).unwrap();
    }
    assert!(matches!(ask(&mut ledger, watch(&events(3), 1, false), NOW), LedgerReply::Prediction(_)));
    assert_eq!(open(&mut ledger, &events(4), NOW), FULL);
    let fifth = ask(&mut ledger, watch(&events(4), 1, false), NOW);
    assert!(matches!(fifth, LedgerReply::Refused(LedgerRefusal::RateLimited { .. })));
    let unwatch = LedgerRequest::Unwatch { stream: events(3), unopened: false };
    ask(&mut ledger, calls::uncounted(unwatch), NOW);
    assert!(open(&mut ledger, &events(4), NOW).is_ok());
}

#[test]
fn a_socket_that_is_older_than_any_response_is_closed_and_does_not_count() {
    let mut ledger = ledger(Stage::Running);
    for number in 0..4 {
        open(&mut ledger, &events(number), NOW).unwrap();
    }
    assert_eq!(open(&mut ledger, &events(4), NOW.plus_millis(SOCKET_MAX_MILLIS - 1)), FULL);
    assert!(open(&mut ledger, &events(4), NOW.plus_millis(SOCKET_MAX_MILLIS)).is_ok());
    assert_eq!((reasons(&ledger), ledger.sockets.len()), (vec![CloseReason::Stale; 4], 1));
}

#[test]
fn a_prediction_has_one_vendor_stream_and_no_other_for_ten_seconds() {
    let mut ledger = ledger(Stage::Running);
    open(&mut ledger, &vendor(1), NOW).unwrap();
    let later = NOW.plus_millis(60_000);
    let soon = Err(LedgerRefusal::RateLimited { retry_after_secs: 10 });
    assert_eq!(open(&mut ledger, &vendor(2), later), soon);
    let head = ask(&mut ledger, watch(&vendor(2), 1, false), later);
    assert!(matches!(head, LedgerReply::Refused(LedgerRefusal::RateLimited { .. })));
    ledger.sockets.clear();
    open(&mut ledger, &vendor(2), later).unwrap();
    ledger.sockets.clear();
    assert_eq!(open(&mut ledger, &vendor(3), later), soon);
    // No vendor request was made for this one.
    let unwatch = LedgerRequest::Unwatch { stream: vendor(2), unopened: true };
    ask(&mut ledger, calls::uncounted(unwatch), later);
    assert!(open(&mut ledger, &vendor(3), later).is_ok());
    // The vendor itself tells its stream: it learns of no change, and is not closed at the end.
    tell(&mut ledger, later, update(2, Stage::Ended));
    assert_eq!((ledger.sockets[0].sequence, ledger.closed.len()), (1, 0));
}

#[test]
fn a_revocation_closes_the_sockets_of_its_tokens() {
    let token = |number| Revocation::Token { jti: calls::jti(number).unwrap(), expires_at: NOW };
    let subject = |issued_by: i64| Revocation::Subject { issued_by: NOW.plus_millis(issued_by).seconds() };
    for (revocation, closed) in [(token(1), 1), (token(2), 0), (subject(0), 1)] {
        let mut ledger = ledger(Stage::Running);
        open(&mut ledger, &events(1), NOW).unwrap();
        ask(&mut ledger, calls::uncounted(LedgerRequest::Revoke(revocation)), NOW);
        assert_eq!(reasons(&ledger), vec![CloseReason::Revoked; closed]);
    }
}

/// A revocation, or a change, may come while the Ledger asks for the queue position of the first message.
#[test]
fn a_socket_is_accepted_in_the_turn_that_reads_its_first_message() {
    let mut changed = ledger(Stage::Waiting);
    let then = ask_for_position(&mut changed);
    tell(&mut changed, NOW, update(3, Stage::Submitting));
    let (reply, _) = changed.turn(Event::Resume(then, None), NOW, None).unwrap();
    assert!(matches!(reply, Next::Reply(LedgerReply::Prediction(record)) if record.sequence == 3));
    assert_eq!(changed.sockets[0].sequence, 3);

    let mut revoked = ledger(Stage::Waiting);
    let then = ask_for_position(&mut revoked);
    let revocation = Revocation::Token { jti: calls::jti(1).unwrap(), expires_at: NOW };
    revoked.turn(Event::Call(calls::uncounted(LedgerRequest::Revoke(revocation))), NOW, None).unwrap();
    let (reply, _) = revoked.turn(Event::Resume(then, None), NOW, None).unwrap();
    assert_eq!((reply, revoked.sockets.len()), (Next::refuse(LedgerRefusal::Revoked), 0));
}

/// Asks for a socket of a waiting prediction, up to the question for its queue position.
fn ask_for_position(ledger: &mut LedgerObject) -> Continuation {
    let mut next = ledger.turn(Event::Call(watch(&events(1), 1, true)), NOW, None).unwrap().0;
    loop {
        let event = match next {
            Next::Ask(Question::Dispatcher(DispatcherRequest::QueuePositions { .. }), then) => return then,
            Next::Ask(_, then) => Event::Resume(then, Some(Answer::RevokedBefore(None))),
            Next::Continue(then) => Event::Resume(then, None),
            Next::Reply(reply) => panic!("{reply:?}"),
        };
        next = ledger.turn(event, NOW, None).unwrap().0;
    }
}
