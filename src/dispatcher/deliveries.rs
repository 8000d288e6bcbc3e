//! The delivery of job updates to Ledgers, until each is acknowledged (protocol 2).

use super::actions::{Action, Delivery};
use super::machine::Dispatcher;
use super::outbox_row::OutboxRow;
use crate::constants::{DEAD_LETTER_MILLIS, DELIVERY_BATCH, DELIVERY_FIRST_MILLIS, DELIVERY_MAX_MILLIS};
use crate::messages::JobUpdate;
use crate::types::alert::Alert;
use crate::types::ids::UserKey;
use crate::types::time::UnixMillis;

impl Dispatcher {
    /// Starts one delivery for each Ledger with due updates, and turns day-old rows into dead letters. Of each Ledger, it
    /// looks at as many rows as a message has room for, those first that are due first.
    pub(super) fn due_deliveries(&mut self, now: UnixMillis, actions: &mut Vec<Action>) {
        let ledgers: Vec<UserKey> = self.outbox.due_ledgers(now).cloned().collect();
        for user in ledgers {
            let due: Vec<OutboxRow> = self.outbox.due_rows(&user, now).take(DELIVERY_BATCH).cloned().collect();
            let is_old = |row: &OutboxRow| now.millis_since(row.created_at) >= DEAD_LETTER_MILLIS;
            let (old, due): (Vec<OutboxRow>, Vec<OutboxRow>) = due.into_iter().partition(is_old);
            for row in old {
                self.outbox.change(row.job_id(), |row| row.is_dead = true);
                self.changes.outbox.insert(row.job_id().clone());
                self.raise(Alert::DeadLetter, now);
            }
            let updates = updates_of_one_message(due);
            if !updates.is_empty() {
                self.outbox.start_delivery(&user);
                actions.push(Action::Deliver(Delivery { user, updates }));
            }
        }
    }

    /// Deletes the rows of updates that a Ledger acknowledged. A newer update of the same job stays.
    pub fn finish_delivery(&mut self, user: &UserKey, updates: &[JobUpdate]) {
        self.outbox.end_delivery(user);
        for update in updates {
            if self.outbox.get(&update.job_id).is_some_and(|row| row.update.sequence <= update.sequence) {
                self.outbox.remove(&update.job_id);
                self.changes.outbox.insert(update.job_id.clone());
            }
        }
    }

    /// Schedules another delivery of updates that a Ledger did not acknowledge, with back-off.
    pub fn retry_delivery(&mut self, user: &UserKey, updates: &[JobUpdate], now: UnixMillis) {
        let now = self.advance(now);
        self.outbox.end_delivery(user);
        for update in updates {
            let is_known = self.outbox.change(&update.job_id, |row| {
                row.attempts = row.attempts.saturating_add(1);
                let wait = DELIVERY_FIRST_MILLIS.saturating_mul(1_i64 << row.attempts.min(10));
                row.next_at = now.plus_millis(wait.min(DELIVERY_MAX_MILLIS));
            });
            if is_known.is_some() {
                self.changes.outbox.insert(update.job_id.clone());
            }
        }
    }
}

/// Returns the updates of a Ledger's due rows that one message delivers.
///
/// An update that a Ledger did not acknowledge is delivered alone: a Ledger takes all updates of a message or none, so one
/// prediction whose row it cannot read would hold up the others.
fn updates_of_one_message(due: Vec<OutboxRow>) -> Vec<JobUpdate> {
    let is_repeat = |row: &OutboxRow| row.attempts > 0;
    let is_first_repeat = due.first().is_some_and(is_repeat);
    let is_in = |(index, row): &(usize, OutboxRow)| *index == 0 || !(is_first_repeat || is_repeat(row));
    due.into_iter().enumerate().filter(is_in).map(|(_, row)| row.update).collect()
}
