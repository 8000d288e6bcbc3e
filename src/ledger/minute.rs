//! The counts of a user's minute: requests and creates (protocol 4).

use super::marks;
use super::rows::{RowError, Write};
use super::turn::Turn;
use crate::constants::IDLE_LEDGER_MILLIS;
use crate::limit::minute_window::{Counted, MinuteWindow};
use crate::messages::LedgerRefusal;

impl Turn<'_> {
    /// Returns the counts. The first use reads them from their row.
    pub(super) fn minute(&mut self) -> Result<&mut MinuteWindow, RowError> {
        let minute = match self.ledger.minute.take() {
            Some(minute) => minute,
            None => self.mark(marks::MINUTE)?.unwrap_or_default(),
        };
        Ok(self.ledger.minute.insert(minute))
    }

    /// Writes the counts.
    pub(super) fn write_minute(&mut self) -> Result<(), RowError> {
        let minute = self.minute()?;
        let expires_at = minute.ends_at();
        let doc = serde_json::to_string(minute).map_err(|_| RowError)?;
        self.write(Write::Mark { name: marks::MINUTE.to_owned(), doc, expires_at });
        Ok(())
    }

    /// Counts a request. Returns the refusal if the limit is reached; then nothing is counted.
    pub(super) fn count_request(
        &mut self,
        counted: Counted,
        requests_per_minute: u32,
    ) -> Result<Option<LedgerRefusal>, RowError> {
        let now = self.now;
        match self.minute()?.take(counted, requests_per_minute, now) {
            Ok(false) => Ok(None),
            Ok(true) => {
                // A new block was drawn. Its row comes before the request that it serves.
                self.write_minute()?;
                self.wake_if_new()?;
                Ok(None)
            }
            Err(full) => Ok(Some(LedgerRefusal::RateLimited { retry_after_secs: full.retry_after_secs })),
        }
    }

    /// Sets the alarm if this turn writes the Ledger's first row. Its user may never create anything, and the alarm
    /// deletes the Ledger again.
    pub(super) fn wake_if_new(&mut self) -> Result<(), RowError> {
        if !self.rows.exists()? {
            self.wake_by(self.now.plus_millis(IDLE_LEDGER_MILLIS));
        }
        Ok(())
    }
}
