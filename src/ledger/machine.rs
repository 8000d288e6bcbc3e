//! The machine's memory, and the object's alarm.

use super::known_positions::KnownPositions;
use super::rows::{LedgerRows, RowError};
use super::step::AlarmChange;
use super::streams::OpenStreams;
use crate::constants::{ALARM_LATE_MILLIS, WITHDRAW_RETRY_MILLIS};
use crate::limit::foreign_ids::ForeignIds;
use crate::limit::minute_window::MinuteWindow;
use crate::limit::unusual_spend::UsualSpend;
use crate::messages::LimitOverride;
use crate::types::retention::Retention;
use crate::types::time::{UnixMillis, UnixSeconds};

/// The memory of a Ledger. It may be lost at any time: a new one starts from the rows.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// How long ended predictions are kept: a setting.
    pub(super) retention: Retention,
    /// The counts of the minute, once they were read.
    pub(super) minute: Option<MinuteWindow>,
    /// The counts as they were before this turn, for a turn that cannot be stored.
    minute_before: Option<MinuteWindow>,
    /// The user's own limits, once they were read.
    pub(super) own_limits: Option<Option<LimitOverride>>,
    /// The user's revocations, once they were read.
    pub(super) revocations: Option<Revocations>,
    pub(super) streams: OpenStreams,
    /// True once this memory has told every socket what its predecessor may not have told.
    pub(super) has_looked_at_sockets: bool,
    pub(super) queue_positions: KnownPositions,
    /// When the marks of expired proofs were last deleted.
    pub(super) proofs_swept_at: UnixMillis,
    /// True if the ends of predictions are told to a receiver: `EVENTS_WEBHOOK_URL`.
    pub(super) sends_events: bool,
    /// True while an event is in flight.
    pub(super) is_sending_event: bool,
    /// True once this memory has looked for events that its predecessor left.
    pub(super) has_looked_at_events: bool,
    /// The ids that the user asked for and does not have.
    pub(super) foreign_ids: ForeignIds,
    /// The user's usual spend of a day, once it was read.
    pub(super) usual_spend: Option<UsualSpend>,
    /// When forgotten files were last looked for.
    pub(super) files_swept_at: UnixMillis,
    /// True once this memory has checked for work that its predecessor left unfinished.
    has_caught_up: bool,
    /// When the rows needed the alarm before the first turn of this memory changed them.
    found_wake: Option<Option<UnixMillis>>,
    /// The time for which the alarm is set, as far as it is known. A new memory does not know what its predecessor set.
    alarm_at: Option<UnixMillis>,
    /// The latest time at which the alarm must fire because of this turn.
    must_wake_by: Option<UnixMillis>,
    /// True while a turn handles the alarm.
    is_alarm: bool,
}

/// The user's revoked tokens, as read from the marks.
#[derive(Clone, Debug)]
pub(super) struct Revocations {
    /// The revoked-before time: all tokens issued up to it are revoked.
    pub revoked_before: Option<UnixSeconds>,
    /// The `jti` of tokens that were revoked one by one.
    pub tokens: Vec<String>,
}

impl Ledger {
    /// Makes a memory of which nothing is known yet.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self { retention, ..Self::default() }
    }

    /// Sets whether the ends of predictions are told to a receiver.
    #[must_use]
    pub fn with_events(self, sends_events: bool) -> Self {
        Self { sends_events, ..self }
    }

    /// Prepares the memory for a turn.
    pub(super) fn begin_turn(&mut self, is_alarm: bool) {
        self.minute_before.clone_from(&self.minute);
        self.must_wake_by = None;
        self.is_alarm = is_alarm;
        if is_alarm {
            self.alarm_at = None;
        }
    }

    /// Notes when the rows need the alarm, before the first turn of this memory changes them: a create that it admits is no
    /// work of its predecessor.
    pub(super) fn note_found_wake(&mut self, rows: &dyn LedgerRows) -> Result<(), RowError> {
        if !self.has_caught_up && self.found_wake.is_none() {
            self.found_wake = Some(rows.next_wake()?);
        }
        Ok(())
    }

    /// Takes back what a turn changed in memory. Call it if the turn failed, or if its writes could not be stored.
    pub fn roll_back(&mut self) {
        self.minute = self.minute_before.take();
        self.revocations = None;
        self.own_limits = None;
        // The sockets were not told what this turn decided.
        self.has_looked_at_sockets = false;
        self.has_looked_at_events = false;
        self.is_sending_event = false;
        self.must_wake_by = None;
        self.is_alarm = false;
    }

    /// Decides what happens to the alarm. Call it after each turn, once its writes are stored or it is rolled back.
    ///
    /// Invariants (protocol 3):
    ///
    /// - Only an earlier time replaces what is set.
    /// - An alarm that is late is set again, because the platform can lose one. So is the alarm of rows that are due, in
    ///   the first turn of a memory: its predecessor may have died in the middle of a create.
    /// - As long as there are rows, an alarm is set: the first row sets it, and each alarm the next. It fires when a
    ///   prediction needs it, or when rows expire.
    ///
    /// # Errors
    /// [`RowError`] if the rows do not say when they need the alarm.
    pub fn change_alarm(&mut self, rows: &dyn LedgerRows, now: UnixMillis) -> Result<AlarmChange, RowError> {
        let found_wake = self.found_wake.take();
        if std::mem::take(&mut self.is_alarm) {
            if rows.is_empty()? {
                return Ok(AlarmChange::DeleteAll);
            }
            self.wake_by(next_alarm(rows, rows.next_wake()?, now)?.max(now.plus_millis(WITHDRAW_RETRY_MILLIS)));
            self.has_caught_up = true;
        }
        let is_late = self.alarm_at.is_some_and(|at| now.millis_since(at) > ALARM_LATE_MILLIS);
        if is_late {
            self.alarm_at = None;
        }
        let is_first = !std::mem::replace(&mut self.has_caught_up, true);
        let next_wake = || match found_wake {
            Some(found) if is_first && !is_late => Ok(found),
            _ => rows.next_wake(),
        };
        if is_first || is_late {
            match next_wake()? {
                Some(wake) if wake <= now.plus_millis(WITHDRAW_RETRY_MILLIS) => self.wake_by(wake.max(now)),
                _ if is_late && rows.exists()? => self.wake_by(next_alarm(rows, next_wake()?, now)?),
                // Its predecessor set it. If it was lost, that shows when it is late.
                Some(wake) => self.alarm_at = self.alarm_at.or(Some(wake)),
                // Rows that wait for their expiry alone. Nothing says when their alarm should have fired, and a row may expire
                // before the alarm that its predecessor set.
                None if self.must_wake_by.is_none() && self.alarm_at.is_none() && rows.exists()? => {
                    let at = next_alarm(rows, None, now)?;
                    self.alarm_at = Some(at);
                    return Ok(AlarmChange::SetUnlessEarlier(at));
                }
                None => {}
            }
        }
        let Some(by) = self.must_wake_by.take() else { return Ok(AlarmChange::Keep) };
        let at = match self.alarm_at {
            Some(_) => by,
            None => next_alarm(rows, next_wake()?, now)?.min(by),
        };
        if self.alarm_at.is_some_and(|set| set <= at) {
            return Ok(AlarmChange::Keep);
        }
        self.alarm_at = Some(at);
        Ok(AlarmChange::Set(at))
    }

    /// Returns whether the alarm is expected at this time, and at no earlier one.
    #[must_use]
    pub fn expects_alarm_at(&self, at: UnixMillis) -> bool {
        self.alarm_at == Some(at)
    }

    /// Returns when to try the alarm again after its turn failed: set it to this time. A handler never fails, because the
    /// platform deletes an alarm after six failures.
    pub fn retry_alarm(&mut self, now: UnixMillis, wait_millis: i64) -> UnixMillis {
        let at = now.plus_millis(wait_millis);
        self.alarm_at = Some(at);
        at
    }

    /// Makes the alarm fire at `at` or before, once this turn is stored.
    pub(super) fn wake_by(&mut self, at: UnixMillis) {
        self.must_wake_by = Some(self.must_wake_by.map_or(at, |by| by.min(at)));
    }
}

/// Returns when the alarm must fire for the rows as they are: when a prediction needs it, at `wake`, or when rows expire.
fn next_alarm(rows: &dyn LedgerRows, wake: Option<UnixMillis>, now: UnixMillis) -> Result<UnixMillis, RowError> {
    let deletion = rows.first_expiries()?.next_deletion(now);
    Ok(wake.map_or(deletion, |wake| wake.min(deletion)))
}
