//! The end of a case: everything that was begun ends.

use valetkey::messages::LedgerRequest;
use valetkey::types::ids::JobId;
use valetkey::types::prediction::Status;

use super::World;
use crate::calls;
use crate::ledger::LedgerObject;
use crate::vendor::Vendor;

/// How long everything takes to end at most: a row that could not be read is tried again after a day, and a lost alarm
/// is noticed at the next message.
const DRAIN_MILLIS: i64 = 2 * 86_400_000;
/// More steps than a drain needs.
const DRAIN_STEPS_MAX: u32 = 5_000;

impl World {
    /// Runs without further faults until everything has ended. Every accepted prediction must end, and no job, message
    /// or part of a batch may be left over.
    pub fn drain(&mut self) {
        self.dispatcher.cannot_store = false;
        for ledger in self.ledgers.values_mut() {
            ledger.cannot_store = false;
            ledger.rows.unreadable.clear();
            ledger.rows.unreadable_files.clear();
        }
        self.dispatcher.make_readable();
        self.restart_dispatcher(false);
        let end = self.latest.plus_millis(DRAIN_MILLIS);
        let mut steps = 0;
        while self.latest < end {
            while !self.pending.is_empty() {
                self.answer(0, Vendor::Ended);
                self.check();
                steps += 1;
                assert!(steps < DRAIN_STEPS_MAX, "the work does not end");
            }
            steps += 1;
            assert!(steps < DRAIN_STEPS_MAX, "woken for nothing, again and again");
            if self.has_ended() {
                break;
            }
            let is_lost = self.ledgers.values().any(|ledger| ledger.has_open() && ledger.alarm.is_none());
            let look = is_lost.then_some(self.now.plus_millis(60_000));
            let alarms = self.ledgers.values().filter_map(|ledger| ledger.alarm);
            let due = self.dispatcher.machine.next_due(self.now).into_iter().chain(alarms).chain(look).min();
            let due = due.unwrap_or(self.now);
            self.advance(due.millis_since(self.now).max(1));
            self.turn(|_, _| ());
            for user in self.ledgers.keys().cloned().collect::<Vec<_>>() {
                self.fire_alarm(&user);
                // A lost alarm is noticed at the next message.
                if self.ledgers[&user].alarm.is_none() {
                    self.call(&user, calls::uncounted(LedgerRequest::Check));
                }
            }
            self.check();
        }
        self.check_end();
    }

    fn has_ended(&self) -> bool {
        let is_idle = self.dispatcher.jobs.is_empty() && self.dispatcher.outbox.values().all(|row| row.is_dead);
        let is_idle = is_idle && self.dispatcher.files.is_empty();
        is_idle && !self.ledgers.values().any(LedgerObject::has_open)
    }

    fn check_end(&self) {
        assert!(self.dispatcher.jobs.is_empty(), "left over: {:?}", self.dispatcher.jobs);
        let outbox = &self.dispatcher.outbox;
        assert!(outbox.values().all(|row| row.is_dead), "not told: {outbox:?}");
        for (user, call) in &self.creates {
            let job_ids = calls::job_ids(call);
            let rows = &self.ledgers[user].rows;
            let is_kept = |id: &&JobId| rows.record(id).is_some() || self.ledgers[user].has_ended(id);
            let kept = job_ids.iter().filter(is_kept).count();
            let is_whole = kept == 0 || kept == job_ids.len();
            // The deletion of a user ends batches: one part may be canceled, and another one that was not sent be withdrawn.
            assert!(is_whole || job_ids.iter().any(|id| self.ledgers[user].was_erased(id)), "a part of a batch");
        }
        for ledger in self.ledgers.values() {
            for record in ledger.rows.records() {
                assert!(record.status.is_terminal(), "never ended: {}", record.job_id);
                if record.status == Status::Succeeded {
                    assert_eq!(self.taken.get(&record.job_id), Some(&1));
                }
            }
        }
    }
}
