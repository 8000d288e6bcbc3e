//! The operator's API beside the objects: what a request asks for, and how the reply is written. Pure.
//!
//! | file | content |
//! |---|---|
//! | `days` | the range of days that a request names |
//! | `spend_query`, `spend_page` | `GET spend`: its parameters; its rows as JSON and as CSV |
//! | `csv` | cells of a CSV file |
//! | `refusals` | refused requests, counted by day and code |

mod csv;
pub mod days;
pub mod refusals;
pub mod spend_page;
pub mod spend_query;

use crate::wire::violation::Violation;

/// A parameter of the query that is refused, and the rule that it breaks.
pub type BadParameter = (&'static str, Violation);
