//! Open streams of a user: leases that each look renews (contract 1). In memory: an instance that is new hears of those
//! that are open within seconds, since each looks again.

use std::collections::BTreeMap;

use crate::constants::{
    EVENT_FAST_POLL_MILLIS, EVENT_HEARTBEAT_MILLIS, EVENT_POLL_MILLIS, EVENT_STREAMS_MAX, STREAM_LEASE_MILLIS,
    STREAM_REOPEN_MILLIS,
};
use crate::limit::minute_window::whole_seconds;
use crate::messages::{LedgerRefusal, StreamId};
use crate::types::ids::{JobId, RequestId};
use crate::types::time::UnixMillis;

/// The streams that looked lately.
#[derive(Clone, Debug, Default)]
pub struct OpenStreams {
    /// Event streams, with their last look.
    events: BTreeMap<RequestId, UnixMillis>,
    /// For each prediction the vendor stream that was opened last, when that was, and its last look.
    vendor: BTreeMap<JobId, (RequestId, UnixMillis, UnixMillis)>,
}

impl OpenStreams {
    /// A stream looks; its first look opens it.
    ///
    /// # Errors
    /// [`LedgerRefusal::RateLimited`] when too many are open, or this prediction's was opened less than 10 s ago.
    pub fn renew(&mut self, stream: &StreamId, now: UnixMillis) -> Result<(), LedgerRefusal> {
        self.events.retain(|_, at| now.millis_since(*at) < STREAM_LEASE_MILLIS);
        self.vendor.retain(|_, (_, opened, at)| {
            now.millis_since(*at) < STREAM_LEASE_MILLIS || now.millis_since(*opened) < STREAM_REOPEN_MILLIS
        });
        match &stream.vendor {
            None => self.look_at_events(&stream.id, now),
            Some(job_id) => self.look_at_vendor(job_id, &stream.id, now),
        }
    }

    fn look_at_events(&mut self, id: &RequestId, now: UnixMillis) -> Result<(), LedgerRefusal> {
        if !self.events.contains_key(id) && self.events.len() >= EVENT_STREAMS_MAX {
            let oldest = self.events.values().min().copied().unwrap_or(now);
            return Err(wait(oldest.plus_millis(STREAM_LEASE_MILLIS).millis_since(now)));
        }
        self.events.insert(id.clone(), now);
        Ok(())
    }

    fn look_at_vendor(&mut self, job_id: &JobId, id: &RequestId, now: UnixMillis) -> Result<(), LedgerRefusal> {
        match self.vendor.get_mut(job_id) {
            Some((holder, _, at)) if holder == id => *at = now,
            Some((_, opened, at)) => {
                let open_until = at.plus_millis(STREAM_LEASE_MILLIS).max(opened.plus_millis(STREAM_REOPEN_MILLIS));
                return Err(wait(open_until.millis_since(now)));
            }
            None => drop(self.vendor.insert(job_id.clone(), (id.clone(), now, now))),
        }
        Ok(())
    }

    /// A stream has ended. A vendor stream's prediction is remembered for as long as it may not be opened again; one that
    /// was `unopened`, because nothing was asked of the vendor for it, is forgotten.
    pub fn close(&mut self, stream: &StreamId, unopened: bool) {
        self.events.remove(&stream.id);
        let Some(job_id) = &stream.vendor else { return };
        match self.vendor.get_mut(job_id) {
            Some((holder, ..)) if *holder == stream.id && unopened => drop(self.vendor.remove(job_id)),
            Some((holder, opened, at)) if *holder == stream.id => {
                *at = opened.plus_millis(STREAM_LEASE_MILLIS.saturating_neg());
            }
            _ => {}
        }
    }
}

/// How long an open event stream waits before it looks again: for the next look, the next heartbeat or its end, whichever
/// is first. At least a millisecond.
#[must_use]
pub fn event_wait_millis(now: UnixMillis, opened: UnixMillis, written: UnixMillis, ends: UnixMillis) -> i32 {
    let is_eager = now.millis_since(opened) < EVENT_FAST_POLL_MILLIS;
    let look = if is_eager { EVENT_POLL_MILLIS.0 } else { EVENT_POLL_MILLIS.1 };
    let due = written.plus_millis(EVENT_HEARTBEAT_MILLIS).min(ends).millis_since(now);
    i32::try_from(due).unwrap_or(i32::MAX).clamp(1, look)
}

fn wait(millis: i64) -> LedgerRefusal {
    LedgerRefusal::RateLimited { retry_after_secs: whole_seconds(millis) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(number: u8, vendor: Option<&JobId>) -> StreamId {
        StreamId { id: RequestId::new(UnixMillis(0), [number; 10]), vendor: vendor.cloned() }
    }

    #[test]
    fn a_fifth_event_stream_waits_until_one_is_gone() {
        let mut open = OpenStreams::default();
        for number in 0..4 {
            assert!(open.renew(&stream(number, None), UnixMillis(0)).is_ok());
        }
        let refused = LedgerRefusal::RateLimited { retry_after_secs: 10 };
        assert_eq!(open.renew(&stream(4, None), UnixMillis(0)), Err(refused));
        assert!(open.renew(&stream(0, None), UnixMillis(5_000)).is_ok());
        open.close(&stream(1, None), false);
        assert!(open.renew(&stream(4, None), UnixMillis(5_000)).is_ok());
        // The two that never looked again are gone after their leases.
        assert!(open.renew(&stream(5, None), UnixMillis(10_000)).is_ok());
    }

    #[test]
    fn a_vendor_stream_is_one_at_a_time_and_not_opened_again_for_ten_seconds() {
        let job_id = JobId::new(UnixMillis(0), [1; 10]);
        let mut open = OpenStreams::default();
        let (first, second) = (stream(1, Some(&job_id)), stream(2, Some(&job_id)));
        assert!(open.renew(&first, UnixMillis(0)).is_ok());
        assert!(open.renew(&first, UnixMillis(9_000)).is_ok());
        assert_eq!(open.renew(&second, UnixMillis(12_000)), Err(LedgerRefusal::RateLimited { retry_after_secs: 7 }));
        open.close(&first, false);
        assert!(open.renew(&second, UnixMillis(12_000)).is_ok());
        open.close(&second, false);
        assert_eq!(open.renew(&first, UnixMillis(13_000)), Err(LedgerRefusal::RateLimited { retry_after_secs: 9 }));
        let other = JobId::new(UnixMillis(0), [2; 10]);
        open.close(&first, true);
        let wait = Err(LedgerRefusal::RateLimited { retry_after_secs: 9 });
        assert_eq!(open.renew(&first, UnixMillis(13_000)), wait, "another stream's end changes nothing");
        assert!(open.renew(&stream(3, Some(&other)), UnixMillis(13_000)).is_ok());
    }

    #[test]
    fn a_vendor_stream_that_the_vendor_was_not_asked_for_does_not_count_as_opened() {
        let job_id = JobId::new(UnixMillis(0), [1; 10]);
        let mut open = OpenStreams::default();
        assert!(open.renew(&stream(1, Some(&job_id)), UnixMillis(0)).is_ok());
        open.close(&stream(1, Some(&job_id)), true);
        assert!(open.renew(&stream(2, Some(&job_id)), UnixMillis(1)).is_ok());
    }

    #[test]
    fn an_event_stream_waits_for_whatever_is_due_first() {
        let [opened, written, ends] = [UnixMillis(0), UnixMillis(100_000), UnixMillis(300_000)];
        let wait = |now: i64| event_wait_millis(UnixMillis(now), opened, written, ends);
        assert_eq!(wait(100_000), 3_000);
        assert_eq!(event_wait_millis(UnixMillis(1_000), opened, UnixMillis(1_000), ends), 1_000, "eager at first");
        assert_eq!(wait(113_500), 1_500, "the heartbeat");
        assert_eq!(event_wait_millis(UnixMillis(299_200), opened, UnixMillis(299_000), ends), 800, "its end");
        assert_eq!((wait(115_000), wait(400_000)), (1, 1), "never without a pause");
    }
}
