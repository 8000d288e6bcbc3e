//! The operator's question for spend, and its rows.

use serde::{Deserialize, Serialize};

use crate::types::credits::MicroCredits;
use crate::types::time::UtcDay;

/// The columns by which spend is grouped. The others are summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendColumns {
    /// The UTC day on which the credits were booked.
    pub day: bool,
    /// The model.
    pub model: bool,
    /// The plan.
    pub plan: bool,
    /// The user.
    pub user: bool,
}

/// One group of spend. A column by which nothing is grouped is zero or empty. An empty user is one that was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SpendGroup {
    /// The UTC day.
    pub day: UtcDay,
    /// The plan.
    pub plan: String,
    /// The model.
    pub model: String,
    /// The user's key.
    pub user: String,
}

/// A page of spend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendQuery {
    /// Group by these.
    pub by: SpendColumns,
    /// The first day.
    pub from: UtcDay,
    /// The last day.
    pub to: UtcDay,
    /// Only groups after this one. Groups sort by their members, in the order of the declaration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<SpendGroup>,
    /// Rows.
    pub limit: u32,
}

/// A [`SpendGroup`] with its sums.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendRow {
    /// The UTC day.
    pub day: UtcDay,
    /// The plan.
    pub plan: String,
    /// The model.
    pub model: String,
    /// The user's key.
    pub user: String,
    /// Credits of its predictions.
    pub credits: MicroCredits,
    /// Number of its predictions that ended.
    pub predictions: u64,
}

impl SpendRow {
    /// Returns the group.
    #[must_use]
    pub fn group(&self) -> SpendGroup {
        SpendGroup { day: self.day, plan: self.plan.clone(), model: self.model.clone(), user: self.user.clone() }
    }
}
