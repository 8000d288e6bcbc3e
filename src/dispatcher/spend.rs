//! Spend: what ended predictions cost, by UTC day, plan, model and user, for the operator.
//!
//! Invariant: a prediction is booked once, in the turn that settles its credits on the accounts, and stored in the same
//! transaction. So the rows of a day add up to what the vendor key spent on it.

use super::actions::Booking;
use super::job::Job;
use super::machine::Dispatcher;
use crate::operator::days::first_kept_day;
use crate::types::credits::MicroCredits;
use crate::types::time::UtcDay;

/// Rows that one tick of the cron deletes: more than a Dispatcher books in a minute (docs/architecture.md, "A Dispatcher's
/// ceiling"), so that the table stays as large as [`crate::constants::SPEND_DAYS`] need.
const PRUNED_BY_TICK: u32 = 1_000;

impl Dispatcher {
    /// Books an ended prediction, also one that cost nothing.
    pub(super) fn book_spend(&mut self, job: &Job, used: MicroCredits) {
        self.changes.bookings.push(Booking {
            day: job.spec.day(),
            plan: job.share.plan.clone(),
            model: job.spec.model.clone(),
            user: Some(job.user.clone()).filter(|_| !job.is_user_deleted),
            credits: used,
        });
    }

    /// Deletes some rows of days before [`Self::first_spend_day`], in the cron's tick of each minute.
    pub const fn prune_spend(&mut self) {
        self.changes.pruned_spend = PRUNED_BY_TICK;
    }

    /// Returns the UTC day.
    #[must_use]
    pub fn today(&self) -> UtcDay {
        self.state.clock.utc_day()
    }

    /// Returns the first day whose spend is kept.
    #[must_use]
    pub fn first_spend_day(&self) -> UtcDay {
        first_kept_day(self.today())
    }
}
