//! The queue positions that reads show. The Dispatcher says how long each stays fresh, and is asked no sooner: one user's
//! readers, however many, cost it one question in that time.

use super::known_positions::{KnownPositions, is_queued, records_of};
use super::rows::RowError;
use super::step::{Answer, Continuation, Next, Question};
use super::turn::Turn;
use crate::constants::PAGE_SIZE_MAX;
use crate::messages::{DispatcherReply, DispatcherRequest, LedgerReply};
use crate::types::prediction::Status;
use crate::types::time::UnixMillis;

impl Turn<'_> {
    /// Replies with the present queue position in each waiting prediction. If one of them is not fresh any more, asks the
    /// Dispatcher for all that waits.
    pub(super) fn reply_with_positions(&mut self, mut reply: LedgerReply) -> Result<Next, RowError> {
        if self.ledger.queue_positions.fresh_millis_of(&mut reply, self.now).is_none_or(|fresh| fresh > 0) {
            return Ok(Next::Reply(self.fill_in_positions(reply)));
        }
        let asked_at = self.now;
        self.ledger.queue_positions.ask(asked_at);
        let waiting = self.rows.page(PAGE_SIZE_MAX, None, Some(Status::Queued))?;
        let job_ids = waiting.into_iter().map(|record| record.job_id).collect();
        let question = Question::Dispatcher(DispatcherRequest::QueuePositions { job_ids });
        Ok(Next::Ask(question, Continuation::AddQueuePositions { reply: Box::new(reply), asked_at }))
    }

    /// Puts the Dispatcher's queue positions into a reply. If the Dispatcher did not reply, the last known ones stay.
    pub(super) fn add_queue_positions(
        &mut self,
        reply: LedgerReply,
        asked_at: UnixMillis,
        answer: Option<Answer>,
    ) -> LedgerReply {
        if let Some(Answer::Dispatcher(DispatcherReply::QueuePositions(positions))) = answer {
            self.ledger.queue_positions = KnownPositions { asked_at, positions: positions.into_iter().collect() };
        }
        self.fill_in_positions(reply)
    }

    fn fill_in_positions(&self, mut reply: LedgerReply) -> LedgerReply {
        let known = &self.ledger.queue_positions.positions;
        for record in records_of(&mut reply).iter_mut().filter(|record| is_queued(record)) {
            record.queue = known.get(&record.job_id).map(|position| position.shown()).or(record.queue);
        }
        reply
    }
}
