//! The delivery of job updates to Ledgers, until each is acknowledged (protocol 2).

use std::collections::BTreeMap;

use super::actions::{Action, Delivery};
use super::machine::Dispatcher;
use crate::constants::{DEAD_LETTER_MILLIS, DELIVERY_BATCH, DELIVERY_FIRST_MILLIS, DELIVERY_MAX_MILLIS};
use crate::messages::JobUpdate;
use crate::types::ids::UserKey;
use crate::types::time::UnixMillis;

impl Dispatcher {
    /// Starts one delivery for each Ledger with due updates, and turns day-old rows into dead letters.
    ///
    /// An update that a Ledger did not acknowledge is delivered alone: a Ledger takes all updates of a message or none, so
    /// one prediction whose row it cannot read would hold up the others.
    pub(super) fn due_deliveries(&mut self, now: UnixMillis, actions: &mut Vec<Action>) {
        let mut by_user: BTreeMap<UserKey, (bool, Vec<JobUpdate>)> = BTreeMap::new();
        for (id, row) in &mut self.outbox {
            if row.is_dead || row.next_at > now || self.in_flight.deliveries.contains(&row.user) {
                continue;
            }
            if now.millis_since(row.created_at) >= DEAD_LETTER_MILLIS {
                row.is_dead = true;
                self.changes.outbox.insert(id.clone());
                self.changes.alerts.push("dead_letter");
                continue;
            }
            let (is_repeat, batch) = by_user.entry(row.user.clone()).or_default();
            if batch.is_empty() {
                *is_repeat = row.attempts > 0;
                batch.push(row.update.clone());
            } else if batch.len() < DELIVERY_BATCH && row.attempts == 0 && !*is_repeat {
                batch.push(row.update.clone());
            }
        }
        for (user, (_, updates)) in by_user {
            self.in_flight.deliveries.insert(user.clone());
            actions.push(Action::Deliver(Delivery { user, updates }));
        }
    }

    /// Deletes the rows of updates that a Ledger acknowledged. A newer update of the same job stays.
    pub fn finish_delivery(&mut self, user: &UserKey, updates: &[JobUpdate]) {
        self.in_flight.deliveries.remove(user);
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
        self.in_flight.deliveries.remove(user);
        for update in updates {
            let Some(row) = self.outbox.get_mut(&update.job_id) else { continue };
            row.attempts = row.attempts.saturating_add(1);
            let wait = DELIVERY_FIRST_MILLIS.saturating_mul(1_i64 << row.attempts.min(10));
            row.next_at = now.plus_millis(wait.min(DELIVERY_MAX_MILLIS));
            self.changes.outbox.insert(update.job_id.clone());
        }
    }
}
