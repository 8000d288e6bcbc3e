//! The operator's API beside the objects: what a request asks for, and how the reply is written. Pure.
//!
//! | file | content |
//! |---|---|
//! | `days` | the range of days that a request names |
//! | `spend_query`, `spend_page` | `GET spend`: its parameters; its rows as JSON and as CSV |
//! | `own_limits` | limits of a user's own: their JSON |
//! | `user_export` | all that is stored of a user, as JSON |
//! | `csv` | cells of a CSV file |
//! | `refusals` | refused requests, counted by day and code |

mod csv;
pub mod days;
pub mod own_limits;
pub mod refusals;
pub mod spend_page;
pub mod spend_query;
pub mod user_export;

use crate::wire::violation::Violation;

/// A parameter of the query that is refused, and the rule that it breaks.
pub type BadParameter = (&'static str, Violation);
