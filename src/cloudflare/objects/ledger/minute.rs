//! The counts of a user's minute: requests and creates (protocol 4).

use serde_json::json;

use super::actor::LedgerActor;
use super::marks;
use super::writes::Write;
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::limit::minute_window::{Counted, MinuteWindow};
use crate::messages::{LedgerRefusal, Rate};
use crate::types::time::UnixMillis;

impl LedgerActor {
    /// Passes the counts to `use_counts`. The first use reads them from their row.
    pub(super) fn with_minute<R>(
        &self,
        now: UnixMillis,
        use_counts: impl FnOnce(&mut MinuteWindow) -> R,
    ) -> ActorResult<R> {
        let mut slot = self.minute.borrow_mut();
        if slot.is_none() {
            *slot = Some(self.store()?.mark(marks::MINUTE, now)?.unwrap_or_default());
        }
        Ok(use_counts(slot.as_mut().ok_or(PlatformError)?))
    }

    /// Returns the write that stores the counts.
    pub(super) fn minute_write(&self, now: UnixMillis) -> ActorResult<Write<'static>> {
        self.with_minute(now, |minute| Write::Mark(marks::MINUTE.to_owned(), json!(minute), minute.ends_at()))
    }

    /// Counts a request. Returns the refusal if the limit is reached; then nothing is counted.
    pub(super) fn count_request(
        &self,
        counted: Counted,
        requests_per_minute: u32,
        now: UnixMillis,
    ) -> ActorResult<Option<LedgerRefusal>> {
        match self.with_minute(now, |minute| minute.take(counted, requests_per_minute, now))? {
            Ok(false) => Ok(None),
            Ok(true) => {
                // A new block was drawn. Its row comes before the request that it serves.
                self.store_and_arm_if_new(&[self.minute_write(now)?], now)?;
                Ok(None)
            }
            Err(full) => Ok(Some(LedgerRefusal::RateLimited { retry_after_secs: full.retry_after_secs })),
        }
    }

    /// Returns how many are left of what a request counts as.
    pub(super) fn rate(&self, counted: Counted, requests_per_minute: u32, now: UnixMillis) -> ActorResult<Rate> {
        self.with_minute(now, |minute| minute.left(counted, requests_per_minute, now))
    }
}
