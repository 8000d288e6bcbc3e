//! Leases of streams (contract 1): of those that poll, which are of an edge of the build before, and of a vendor stream
//! for the time in which its prediction gets no other.
//!
//! They are in memory only. A new instance learns of a stream that polls within seconds.

use std::collections::BTreeMap;

use crate::constants::{EVENT_STREAMS_MAX, STREAM_LEASE_MILLIS, STREAM_REOPEN_MILLIS};
use crate::limit::seconds::whole_seconds;
use crate::messages::{LedgerRefusal, StreamId};
use crate::types::ids::{JobId, RequestId};
use crate::types::time::UnixMillis;

/// The streams that have polled lately.
#[derive(Clone, Debug, Default)]
pub struct OpenStreams {
    /// Event streams, with the time of their last poll.
    events: BTreeMap<RequestId, UnixMillis>,
    /// Per prediction, the vendor stream that was opened last.
    vendor: BTreeMap<JobId, VendorStream>,
}

#[derive(Clone, Debug)]
struct VendorStream {
    id: RequestId,
    opened_at: UnixMillis,
    polled_at: UnixMillis,
}

impl OpenStreams {
    /// Renews the lease of a stream that polls. The first poll opens the stream.
    ///
    /// # Errors
    /// [`LedgerRefusal::RateLimited`] if too many event streams are open, or if another vendor stream of the prediction
    /// is open or was opened less than 10 s ago.
    pub fn renew(&mut self, stream: &StreamId, now: UnixMillis) -> Result<(), LedgerRefusal> {
        match &stream.vendor {
            None => self.renew_event_stream(&stream.id, now),
            Some(job_id) => self.renew_vendor_stream(job_id, &stream.id, now),
        }
    }

    /// Returns how many other event streams have a lease.
    pub fn other_events(&mut self, id: &RequestId, now: UnixMillis) -> usize {
        self.events.retain(|_, at| now.millis_since(*at) < STREAM_LEASE_MILLIS);
        self.events.keys().filter(|other| *other != id).count()
    }

    fn renew_event_stream(&mut self, id: &RequestId, now: UnixMillis) -> Result<(), LedgerRefusal> {
        if self.other_events(id, now) >= EVENT_STREAMS_MAX {
            let oldest = self.events.values().min().copied().unwrap_or(now);
            return Err(rate_limited(oldest.plus_millis(STREAM_LEASE_MILLIS).millis_since(now)));
        }
        self.events.insert(id.clone(), now);
        Ok(())
    }

    /// Opens a vendor stream, or renews its lease.
    ///
    /// # Errors
    /// As [`Self::renew`].
    pub fn renew_vendor_stream(
        &mut self,
        job_id: &JobId,
        id: &RequestId,
        now: UnixMillis,
    ) -> Result<(), LedgerRefusal> {
        self.vendor.retain(|_, open| {
            now.millis_since(open.polled_at) < STREAM_LEASE_MILLIS
                || now.millis_since(open.opened_at) < STREAM_REOPEN_MILLIS
        });
        match self.vendor.get_mut(job_id) {
            Some(open) if open.id == *id => open.polled_at = now,
            Some(other) => {
                let lease_ends_at = other.polled_at.plus_millis(STREAM_LEASE_MILLIS);
                let free_at = lease_ends_at.max(other.opened_at.plus_millis(STREAM_REOPEN_MILLIS));
                return Err(rate_limited(free_at.millis_since(now)));
            }
            None => {
                let open = VendorStream { id: id.clone(), opened_at: now, polled_at: now };
                self.vendor.insert(job_id.clone(), open);
            }
        }
        Ok(())
    }

    /// Closes a stream that has ended. A vendor stream is remembered until its prediction may be streamed again, unless
    /// it is `unopened`: no vendor request was made for it.
    pub fn close(&mut self, stream: &StreamId, unopened: bool) {
        self.events.remove(&stream.id);
        let Some(job_id) = &stream.vendor else { return };
        match self.vendor.get_mut(job_id) {
            Some(open) if open.id == stream.id && unopened => drop(self.vendor.remove(job_id)),
            // The lease has expired. Only the time of opening still counts.
            Some(open) if open.id == stream.id => {
                open.polled_at = open.opened_at.plus_millis(STREAM_LEASE_MILLIS.saturating_neg());
            }
            _ => {}
        }
    }
}

fn rate_limited(millis: i64) -> LedgerRefusal {
    LedgerRefusal::RateLimited { retry_after_secs: whole_seconds(millis) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(number: u8, vendor: Option<&JobId>) -> StreamId {
        StreamId { id: RequestId::new(UnixMillis(0), [number; 10]), vendor: vendor.cloned(), is_wait: false }
    }

    #[test]
    fn a_fifth_event_stream_waits_until_one_has_ended() {
        let mut open = OpenStreams::default();
        for number in 0..4 {
            assert!(open.renew(&stream(number, None), UnixMillis(0)).is_ok());
        }
        let refused = LedgerRefusal::RateLimited { retry_after_secs: 10 };
        assert_eq!(open.renew(&stream(4, None), UnixMillis(0)), Err(refused));
        assert!(open.renew(&stream(0, None), UnixMillis(5_000)).is_ok());
        open.close(&stream(1, None), false);
        assert!(open.renew(&stream(4, None), UnixMillis(5_000)).is_ok());
        // The leases of the two that never polled again have expired.
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
    fn a_vendor_stream_without_a_vendor_request_does_not_count_as_opened() {
        let job_id = JobId::new(UnixMillis(0), [1; 10]);
        let mut open = OpenStreams::default();
        assert!(open.renew(&stream(1, Some(&job_id)), UnixMillis(0)).is_ok());
        open.close(&stream(1, Some(&job_id)), true);
        assert!(open.renew(&stream(2, Some(&job_id)), UnixMillis(1)).is_ok());
    }
}
