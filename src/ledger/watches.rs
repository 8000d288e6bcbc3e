//! Alerts about what the user does.

use super::rows::RowError;
use super::turn::Turn;
use crate::limit::unusual_spend::{self, UsualSpend};
use crate::messages::{DayUsage, LedgerRefusal, LedgerReply};
use crate::types::alert::Alert;
use crate::types::credits::MicroCredits;
use crate::types::ids::JobId;
use crate::types::time::UtcDay;

impl Turn<'_> {
    /// Returns the refusal of a prediction that the user does not have. Many of them are an alert.
    pub(super) fn no_prediction(&mut self, job_id: &JobId) -> LedgerReply {
        let retention = self.ledger.retention.millis();
        if self.ledger.foreign_ids.note(job_id, retention, self.now) {
            self.alerts.push(Alert::ForeignIds);
        }
        LedgerReply::Refused(LedgerRefusal::NotFound)
    }

    /// Raises an alert if a create takes the user's spend of the day above what is usual. The rows of the days before are
    /// read once a day, and only of a user who has spent a good part of the plan's credits.
    pub(super) fn watch_spend(
        &mut self,
        before: DayUsage,
        after: DayUsage,
        daily_credits: MicroCredits,
    ) -> Result<(), RowError> {
        let used = |day: DayUsage| day.spent.checked_add(day.reserved).unwrap_or(day.spent);
        if used(after) < unusual_spend::floor(daily_credits) {
            return Ok(());
        }
        let day = UtcDay(after.day);
        let usual = match self.ledger.usual_spend.filter(|usual| usual.day == day) {
            Some(usual) => usual,
            None => UsualSpend::new(day, self.rows.days(day)?.iter().map(|usage| (UtcDay(usage.day), usage.spent))),
        };
        self.ledger.usual_spend = Some(usual);
        if usual.is_exceeded(used(before), used(after)) {
            self.alerts.push(Alert::UnusualSpend);
        }
        Ok(())
    }
}
