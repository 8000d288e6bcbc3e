//! Revocation of all tokens up to a time (protocol 7).

use crate::constants::{
    DISPATCHER_ACK_TIMEOUT_MILLIS, REVOKED_FIRST_RETRY_MILLIS, REVOKED_FRESH_MILLIS, REVOKED_RETRY_MILLIS,
};
use crate::messages::Caller;
use crate::types::time::{UnixMillis, UnixSeconds};

/// Returns whether the caller's token was issued up to the revoked-before time.
#[must_use]
pub fn is_revoked(caller: &Caller, revoked_before: Option<UnixSeconds>) -> bool {
    revoked_before.is_some_and(|revoked_before| caller.issued_at <= revoked_before)
}

/// A request's next step toward the revoked-before time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokedStep {
    /// Use the known time. `None` if all users' tokens were never revoked.
    Use(Option<UnixSeconds>),
    /// Ask the Dispatcher.
    Ask,
    /// Another request is asking for the first reply: poll again soon.
    Wait,
    /// Refuse the request (503): the Dispatcher has never replied, and the last attempt has just failed.
    Refuse,
}

/// An isolate's copy of the revoked-before time of all users, which the Dispatcher keeps.
///
/// Invariants:
/// - The time never goes back. A token that this isolate has refused stays refused.
/// - No token is accepted before the Dispatcher's first reply. Otherwise revoked tokens could read again whenever an
///   isolate starts while the Dispatcher does not reply, which an attacker can wait for or cause.
/// - After the first reply, the isolate asks every [`REVOKED_FRESH_MILLIS`], and every [`REVOKED_RETRY_MILLIS`] after a
///   missing reply, however many requests it has. Meanwhile the Dispatcher's last reply counts.
/// - Only one request at a time asks for the first reply, so that a flood of requests does not become a flood of
///   messages.
/// - A clock that was set back makes none of these waits longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RevokedBefore {
    time: Option<UnixSeconds>,
    has_heard: bool,
    /// Time of the next question. Before the first reply: the earliest time at which another request may ask.
    ask_at: UnixMillis,
    /// Time until which a request's question for the first reply counts as pending.
    asking_until: UnixMillis,
}

impl RevokedBefore {
    /// The copy of a new isolate.
    pub const UNKNOWN: Self = Self { time: None, has_heard: false, ask_at: UnixMillis(0), asking_until: UnixMillis(0) };

    /// Returns the known time, however old it is. Tokens up to it are certainly revoked; later tokens may be revoked
    /// too.
    #[must_use]
    pub const fn known(&self) -> Option<UnixSeconds> {
        self.time
    }

    /// Returns whether the Dispatcher has ever replied.
    #[must_use]
    pub const fn has_heard(&self) -> bool {
        self.has_heard
    }

    /// Returns the time of the next question: `now` if it is due.
    #[must_use]
    pub fn fresh_until(&self, now: UnixMillis) -> UnixMillis {
        if self.is_fresh(now) { self.ask_at } else { now }
    }

    fn is_fresh(&self, now: UnixMillis) -> bool {
        is_ahead(self.ask_at, now, REVOKED_FRESH_MILLIS)
    }

    /// Decides what a request does at `now`.
    #[must_use]
    pub fn decide(&self, now: UnixMillis) -> RevokedStep {
        let is_asking = is_ahead(self.asking_until, now, DISPATCHER_ACK_TIMEOUT_MILLIS);
        match (self.has_heard, self.is_fresh(now)) {
            (true, true) => RevokedStep::Use(self.time),
            (true, false) => RevokedStep::Ask,
            (false, _) if is_asking => RevokedStep::Wait,
            (false, true) => RevokedStep::Refuse,
            (false, false) => RevokedStep::Ask,
        }
    }

    /// Records that a request asks the Dispatcher. Meanwhile, other requests use the known time or wait for the first
    /// reply.
    pub fn start(&mut self, now: UnixMillis) {
        if self.has_heard {
            self.ask_at = now.plus_millis(REVOKED_RETRY_MILLIS);
        } else {
            self.asking_until = now.plus_millis(DISPATCHER_ACK_TIMEOUT_MILLIS);
        }
    }

    /// Records the Dispatcher's reply to a question sent at `asked_at`.
    pub fn hear(&mut self, time: Option<UnixSeconds>, asked_at: UnixMillis) {
        self.time = self.time.max(time);
        self.has_heard = true;
        self.ask_at = asked_at.plus_millis(REVOKED_FRESH_MILLIS);
    }

    /// Records that the Dispatcher did not reply in time.
    pub fn miss(&mut self, now: UnixMillis) {
        let wait = if self.has_heard { REVOKED_RETRY_MILLIS } else { REVOKED_FIRST_RETRY_MILLIS };
        self.ask_at = now.plus_millis(wait);
        self.asking_until = UnixMillis(0);
    }

    /// Remembers that all tokens issued up to `time` are revoked, as another kind of reply from the Dispatcher has
    /// shown. Makes the next request ask, because later tokens may be revoked too.
    pub fn remember(&mut self, time: UnixSeconds) {
        self.time = self.time.max(Some(time));
        self.ask_at = UnixMillis(0);
    }
}

/// Returns whether a time lies ahead, by no more than it was set ahead: the clock may have been set back since.
fn is_ahead(at: UnixMillis, now: UnixMillis, set_ahead_millis: i64) -> bool {
    (1..=set_ahead_millis).contains(&at.millis_since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_768_473_000_000);

    fn after(millis: i64) -> UnixMillis {
        NOW.plus_millis(millis)
    }

    #[test]
    fn before_the_first_answer_no_request_passes() {
        let mut copy = RevokedBefore::UNKNOWN;
        assert_eq!(copy.decide(NOW), RevokedStep::Ask);
        copy.start(NOW);
        assert_eq!(copy.decide(NOW), RevokedStep::Wait, "one asks, the others wait");
        assert_eq!(copy.decide(after(1_599)), RevokedStep::Wait);
        assert_eq!(copy.decide(after(1_600)), RevokedStep::Ask, "the one that asked may be gone");
        copy.miss(after(1_600));
        assert_eq!(copy.decide(after(1_601)), RevokedStep::Refuse);
        assert_eq!(copy.decide(after(2_599)), RevokedStep::Refuse);
        assert_eq!(copy.decide(after(2_600)), RevokedStep::Ask);
        // A single known revocation does not replace the Dispatcher's first reply.
        copy.remember(UnixSeconds(5));
        assert_eq!((copy.decide(after(2_600)), copy.known()), (RevokedStep::Ask, Some(UnixSeconds(5))));
        assert!(!copy.has_heard());
        copy.start(after(2_600));
        copy.hear(None, after(2_600));
        assert_eq!(copy.decide(after(2_601)), RevokedStep::Use(Some(UnixSeconds(5))));
    }

    #[test]
    fn the_last_answer_counts_while_the_dispatcher_is_silent() {
        let mut copy = RevokedBefore::UNKNOWN;
        copy.start(NOW);
        copy.hear(Some(UnixSeconds(7)), NOW);
        let known = RevokedStep::Use(Some(UnixSeconds(7)));
        assert_eq!(copy.decide(after(24_999)), known);
        assert_eq!(copy.decide(after(25_000)), RevokedStep::Ask);
        copy.start(after(25_000));
        assert_eq!(copy.decide(after(25_000)), known, "others do not wait for the one that asks");
        copy.miss(after(26_600));
        assert_eq!(copy.decide(after(31_599)), known);
        assert_eq!(copy.decide(after(31_600)), RevokedStep::Ask);
        assert!(copy.has_heard());
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_wait_longer() {
        let mut copy = RevokedBefore::UNKNOWN;
        // An hour ahead, and then not.
        copy.start(after(3_600_000));
        assert_eq!(copy.decide(NOW), RevokedStep::Ask);
        copy.miss(after(3_600_000));
        assert_eq!(copy.decide(NOW), RevokedStep::Ask);
        copy.hear(None, after(3_600_000));
        assert_eq!((copy.decide(NOW), copy.fresh_until(NOW)), (RevokedStep::Ask, NOW));
        copy.hear(None, NOW);
        assert_eq!((copy.decide(NOW), copy.fresh_until(NOW)), (RevokedStep::Use(None), after(25_000)));
    }

    #[test]
    fn a_revocation_is_remembered_for_good() {
        let mut copy = RevokedBefore::UNKNOWN;
        copy.hear(Some(UnixSeconds(9)), NOW);
        for lower in [None, Some(UnixSeconds(8))] {
            copy.hear(lower, NOW);
            assert_eq!(copy.known(), Some(UnixSeconds(9)));
        }
        copy.remember(UnixSeconds(3));
        assert_eq!((copy.known(), copy.decide(after(1))), (Some(UnixSeconds(9)), RevokedStep::Ask));
        copy.remember(UnixSeconds(10));
        assert_eq!(copy.known(), Some(UnixSeconds(10)));
    }

    #[test]
    fn tokens_issued_up_to_the_revocation_are_refused() {
        let caller = |issued_at| Caller {
            issued_at: UnixSeconds(issued_at),
            jti: None,
            requests_per_minute: None,
            is_repeat: false,
            proof: None,
        };
        assert!(is_revoked(&caller(10), Some(UnixSeconds(10))));
        assert!(!is_revoked(&caller(11), Some(UnixSeconds(10))));
        assert!(!is_revoked(&caller(1), None));
    }
}
