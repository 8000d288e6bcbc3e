//! The machine's clock (protocol 5). It never goes back, except after a step forward that turns out to have been wrong: the
//! stored times would stop everything until the real time has caught up.

use super::job::Job;
use super::machine::Dispatcher;
use super::outbox_row::OutboxRow;
use super::positions::Positions;
use crate::constants::{CLOCK_CONFIRM_MILLIS, CLOCK_STEP_MILLIS, VENDOR_WINDOW_MILLIS};
use crate::types::time::UnixMillis;

impl Dispatcher {
    /// Moves the clock to `now` and returns it.
    ///
    /// - A `now` that is a little behind is not followed.
    /// - Two looks that are far behind, at least [`CLOCK_CONFIRM_MILLIS`] apart, set the clock back. One may be a mistake of
    ///   the platform.
    pub(super) fn advance(&mut self, now: UnixMillis) -> UnixMillis {
        if self.is_clock_ahead(now) {
            match self.clock_ahead_since {
                Some(first) if now.millis_since(first) >= CLOCK_CONFIRM_MILLIS => self.set_clock_back(now),
                Some(first) if now >= first => {}
                _ => self.clock_ahead_since = Some(now),
            }
        } else {
            self.clock_ahead_since = None;
            self.state.clock = self.state.clock.max(now);
        }
        self.state.clock
    }

    /// Returns whether the clock is so far ahead that it is to be set back if another look confirms it.
    const fn is_clock_ahead(&self, now: UnixMillis) -> bool {
        self.state.clock.millis_since(now) > CLOCK_STEP_MILLIS
    }

    /// Returns when the look is due that sets the clock back.
    pub(super) fn clock_look_due(&self, now: UnixMillis) -> Option<UnixMillis> {
        let first = self.clock_ahead_since.filter(|first| *first <= now).unwrap_or(now);
        self.is_clock_ahead(now).then(|| first.plus_millis(CLOCK_CONFIRM_MILLIS).max(now))
    }

    /// Sets the clock back, and every later time with it. Which vendor requests were sent in the last minute is not known any
    /// more, so none is sent for as long as they count. The revoked-before time is a claim of tokens, and stays.
    fn set_clock_back(&mut self, now: UnixMillis) {
        self.clock_ahead_since = None;
        self.state.clock = now;
        self.state.pauses.set_back(now);
        let pauses = &self.state.pauses;
        let changed = self.jobs.change_all(|job| {
            let paused_millis = pauses.paused_millis(&job.spec.model, now);
            set_job_back(job, paused_millis, now)
        });
        self.changes.jobs.extend(changed);
        let times = |row: &mut OutboxRow| set_back([&mut row.update.at, &mut row.created_at, &mut row.next_at], now);
        self.changes.outbox.extend(self.outbox.change_all(times));
        set_back([&mut self.state.models_asked_at, &mut self.file_deletion_at], now);
        self.state.health.set_back(now);
        if let Some(rotation) = &mut self.state.rotation {
            rotation.set_back(now);
        }
        self.state.alerts.set_back(now);
        self.state.window.set_back(now);
        self.state.window.close_until(now.plus_millis(VENDOR_WINDOW_MILLIS));
        self.permit_turns.set_back(now);
        self.file_retries.clear();
        self.positions = Positions::default();
        self.queue_stands_since = None;
    }
}

fn set_job_back(job: &mut Job, paused_millis: i64, now: UnixMillis) -> bool {
    let is_paused_before = job.paused_before_ms > paused_millis;
    job.paused_before_ms = job.paused_before_ms.min(paused_millis);
    let times = [&mut job.enqueued_at, &mut job.poll_at, &mut job.polled_at, &mut job.webhook_at, &mut job.cancel_at];
    job.expiry_seen_at = None;
    let optional = [&mut job.submitted_at, &mut job.not_found_since];
    set_back(times.into_iter().chain(optional.into_iter().flatten()), now) | is_paused_before
}

/// Sets times that are later than `now` to it. Returns whether there was one.
fn set_back<'a>(times: impl IntoIterator<Item = &'a mut UnixMillis>, now: UnixMillis) -> bool {
    let mut is_any_later = false;
    for time in times {
        is_any_later |= *time > now;
        *time = (*time).min(now);
    }
    is_any_later
}
