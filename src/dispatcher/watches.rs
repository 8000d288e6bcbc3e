//! Alerts about states that last: the credits of a day that run out, a queue that stands still, a rotation that does not end.

use super::accounts::KEY_ACCOUNT;
use super::enqueue::NewJob;
use super::machine::Dispatcher;
use crate::constants::{QUEUE_STUCK_MAX_MILLIS, QUEUE_STUCK_MIN_MILLIS};
use crate::limit::request_window::Lane;
use crate::types::alert::{Alert, RaisedAlert};
use crate::types::credits::MicroCredits;
use crate::types::time::{UnixMillis, UtcDay};

impl Dispatcher {
    /// Returns the credits that an account may spend in a day, if they are limited.
    pub(super) fn daily_credits_of(&self, account: &str) -> Option<MicroCredits> {
        match account {
            KEY_ACCOUNT => self.limits.daily_credits,
            plan => self.limits.pools.get(plan).and_then(|pool| pool.daily_credits),
        }
    }

    /// Raises an alert once an account has reserved or spent 80 % or all of its credits of a day.
    pub(super) fn watch_credits(&mut self, account: &str, day: UtcDay, now: UnixMillis) {
        let Some(cap) = self.daily_credits_of(account) else { return };
        let (spent, reserved) = self.state.accounts.usage(account, day);
        let used = spent.checked_add(reserved).unwrap_or(cap);
        let fifth = MicroCredits::from_micros(cap.micros().div_euclid(5)).unwrap_or_default();
        let low = cap.saturating_sub(fifth);
        if used >= cap {
            self.tell_credits(account, day, cap, Alert::DailyCreditsSpent, now);
        } else if used >= low {
            self.tell_credits(account, day, low, Alert::DailyCreditsLow, now);
        }
    }

    /// Raises the alert that an account's credits are spent, if a create was refused that has not even room for its first
    /// prediction. A large batch may be refused long before.
    pub(super) fn watch_refused_credits(&mut self, account: &str, jobs: &[NewJob], now: UnixMillis) {
        let (Some(cap), Some((first, _))) = (self.daily_credits_of(account), jobs.first()) else { return };
        let day = first.day();
        if !self.state.accounts.has_room(account, day, first.credits, cap) {
            self.tell_credits(account, day, cap, Alert::DailyCreditsSpent, now);
        }
    }

    fn tell_credits(&mut self, account: &str, day: UtcDay, used: MicroCredits, alert: Alert, now: UnixMillis) {
        if self.state.accounts.tell(account, day, used) {
            let detail = Some(account.to_owned()).filter(|account| account != KEY_ACCOUNT);
            self.raise(RaisedAlert { alert, detail }, now);
        }
    }

    /// Raises an alert if a prediction could start, a slot is free and nothing is paused, and still none has started for
    /// half of the longest wait.
    pub(super) fn watch_queue(&mut self, now: UnixMillis) {
        if !self.could_start(now) {
            self.queue_stands_since = None;
            return;
        }
        let last_start = self.state.window.newest_of(Lane::Create).unwrap_or(UnixMillis(0));
        let since = self.queue_stands_since.unwrap_or(now).max(last_start).min(now);
        self.queue_stands_since = Some(since);
        let patience = self.limits.max_wait_millis.div_euclid(2).clamp(QUEUE_STUCK_MIN_MILLIS, QUEUE_STUCK_MAX_MILLIS);
        if now.millis_since(since) >= patience {
            self.raise(Alert::QueueStuck, now);
        }
    }

    /// Returns whether a prediction waits that could start if the vendor's limits let a create pass.
    fn could_start(&self, now: UnixMillis) -> bool {
        self.held_slots() < self.slot_limit(now)
            && !self.state.health.is_paused()
            && !self.state.pauses.hold_all()
            && self.jobs.waiting().has_startable(|plan, model| self.is_open(plan, model, now))
    }

    /// Raises an alert if predictions of the old vendor key are left long after the last one must have ended.
    pub(super) fn watch_rotation(&mut self, now: UnixMillis) {
        if self.drains_since().is_some_and(|since| now.millis_since(since) > self.limits.longest_slot_millis)
            && self.has_jobs_of_old_key(now)
        {
            self.raise(Alert::RotationStuck, now);
        }
    }
}
