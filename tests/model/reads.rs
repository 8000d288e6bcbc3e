//! Reads of waiting predictions ask the Dispatcher no sooner than it said.

use valetkey::constants::{QUEUE_POSITION_FRESH_MAX_MILLIS, QUEUE_POSITION_FRESH_MIN_MILLIS};
use valetkey::ledger::{Answer, Event, Ledger, Next, Question};
use valetkey::messages::{
    DispatcherReply, DispatcherRequest, FreshPosition, JobUpdate, LedgerCall, LedgerReply, LedgerRequest, Stage,
};
use valetkey::types::ids::JobId;
use valetkey::types::prediction::QueuePosition;
use valetkey::types::time::UnixMillis;

use crate::calls;
use crate::rows::Rows;

const NOW: UnixMillis = UnixMillis(1_768_473_000_000);
const NEAR: FreshPosition = FreshPosition { position: 1, eta_seconds: 9, fresh_millis: 2_000 };
const FAR: FreshPosition = FreshPosition { position: 7, eta_seconds: 80, fresh_millis: 8_000 };

/// A Ledger with two predictions that wait, `job(0)` and `job(1)`.
struct Reader {
    ledger: Ledger,
    rows: Rows,
}

fn job(number: u8) -> JobId {
    JobId::new(NOW, [number; 10])
}

fn millis(after: i64) -> UnixMillis {
    NOW.plus_millis(after)
}

impl Reader {
    fn new() -> Self {
        let mut this = Self { ledger: Ledger::default(), rows: Rows::default() };
        [0, 1].into_iter().for_each(|number| this.create(number));
        this
    }

    fn turn(&mut self, event: Event, now: UnixMillis) -> Next {
        let effects = self.ledger.turn(event, &self.rows, &Vec::new, now, None).unwrap();
        self.rows.apply(&effects.writes);
        match effects.next {
            Next::Continue(then) => self.turn(Event::Resume(then, None), now),
            next => next,
        }
    }

    fn create(&mut self, number: u8) {
        let create = calls::create(0, vec![calls::spec(job(number), 0)], None, 0, NOW);
        let call = calls::uncounted(create.request);
        let Next::Ask(_, then) = self.turn(Event::Call(call), NOW) else { panic!("no enqueue") };
        let update = JobUpdate {
            job_id: job(number),
            sequence: 1,
            stage: Stage::Waiting,
            at: NOW,
            cancel_requested: false,
            queue: Some(QueuePosition { position: 9, eta_seconds: 99 }),
            end: None,
            late_at: None,
        };
        let answer = Answer::Dispatcher(DispatcherReply::Jobs(vec![update]));
        let next = self.turn(Event::Resume(then, Some(answer)), NOW);
        assert!(matches!(next, Next::Ask(..) | Next::Reply(LedgerReply::Created { .. })), "{next:?}");
    }

    /// Reads a prediction. If the Dispatcher is asked, it says `positions`, or nothing. Returns whether it was asked, and
    /// the position and its freshness as the edge hears of them.
    fn read(
        &mut self,
        number: u8,
        now: UnixMillis,
        positions: Option<&[(u8, FreshPosition)]>,
    ) -> (bool, Option<QueuePosition>, Option<i64>) {
        let call = LedgerCall { caller: None, request: LedgerRequest::Get { job_id: job(number) } };
        let mut next = self.turn(Event::Call(call), now);
        let mut is_asked = false;
        if let Next::Ask(Question::Dispatcher(DispatcherRequest::QueuePositions { job_ids }), then) = next {
            assert_eq!(job_ids, [job(1), job(0)], "one question about all that waits");
            is_asked = true;
            let told = |told: &[(u8, FreshPosition)]| told.iter().map(|(number, told)| (job(*number), *told)).collect();
            let answer =
                positions.map(|positions| Answer::Dispatcher(DispatcherReply::QueuePositions(told(positions))));
            next = self.turn(Event::Resume(then, answer), now);
        }
        let Next::Reply(reply) = next else { panic!("{next:?}") };
        let envelope = self.ledger.envelop(reply, (None, None), &self.rows, now).unwrap();
        let LedgerReply::Prediction(record) = envelope.reply else { panic!("{:?}", envelope.reply) };
        (is_asked, record.queue, envelope.fresh_millis)
    }
}

#[test]
fn a_position_is_asked_for_when_it_stops_being_fresh() {
    let mut reader = Reader::new();
    let told: Option<&[_]> = Some(&[(0, NEAR), (1, FAR)]);
    let start = 10_000;
    assert_eq!(reader.read(1, millis(start), told), (true, Some(FAR.shown()), Some(8_000)));
    assert_eq!(reader.read(0, millis(start + 1_999), told), (false, Some(NEAR.shown()), Some(1)));
    assert_eq!(reader.read(1, millis(start + 7_999), told), (false, Some(FAR.shown()), Some(1)));
    assert_eq!(reader.read(1, millis(start + 8_000), told), (true, Some(FAR.shown()), Some(8_000)));
    assert_eq!(reader.read(0, millis(start + 10_000), told), (true, Some(NEAR.shown()), Some(2_000)));
    // A clock that steps back leaves no position fresh for longer.
    assert!(reader.read(1, millis(start - 5_000), told).0);
}

#[test]
fn a_dispatcher_that_does_not_answer_is_asked_every_two_seconds() {
    let mut reader = Reader::new();
    let (start, told) = (10_000, QueuePosition { position: 9, eta_seconds: 99 });
    assert_eq!(reader.read(0, millis(start), None), (true, Some(told), Some(2_000)), "the position of the create");
    assert!(!reader.read(1, millis(start + 1_999), None).0);
    assert_eq!(reader.read(1, millis(start + 2_000), Some(&[(1, FAR)])), (true, Some(FAR.shown()), Some(8_000)));
    // A prediction that the Dispatcher does not name is asked for after the shortest time.
    assert_eq!(reader.read(0, millis(start + 3_999), None), (false, Some(told), Some(1)));
    assert_eq!(reader.read(0, millis(start + 4_000), None), (true, Some(told), Some(2_000)));
    assert_eq!(reader.read(1, millis(start + 5_999), None), (false, Some(FAR.shown()), Some(1)));
    assert!(reader.read(1, millis(start + 6_000), None).0);
}

#[test]
fn no_time_that_the_dispatcher_says_is_out_of_bounds() {
    for (said, used) in [(0, QUEUE_POSITION_FRESH_MIN_MILLIS), (i64::MAX, QUEUE_POSITION_FRESH_MAX_MILLIS)] {
        let told = FreshPosition { fresh_millis: said, ..FAR };
        assert_eq!(Reader::new().read(0, millis(10_000), Some(&[(0, told)])).2, Some(used));
    }
}
