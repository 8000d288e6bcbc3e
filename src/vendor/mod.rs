//! Requests to the vendor, and the meaning of its responses.
//!
//! Invariant: both directions are built anew from validated parts. No client header goes out, and no vendor header or
//! vendor text comes back. The vendor's documentation contradicts itself in places (vendor-api 2), so a separate,
//! lenient reader parses its responses. They never go through `crate::parse`, which is strict because callers may be
//! attackers.
//!
//! | file | content |
//! |---|---|
//! | `json`, `body` | the lenient reader, chunk by chunk |
//! | `document`, `cost`, `vendor_id`, `progress`, `model_list` | the members that are used |
//! | `reply`, `verdict`, `retry_after` | the content of a reply, and its meaning for a prediction |
//! | `request`, `webhook` | the requests to the vendor |
//! | `output`, `key_scan`, `key_forms` | what may reach a client |

pub mod body;
pub mod cost;
pub mod document;
pub mod json;
mod key_forms;
pub mod key_scan;
mod model_list;
pub mod output;
pub mod progress;
pub mod reply;
pub mod request;
pub mod retry_after;
mod vendor_id;
pub mod verdict;
pub mod webhook;
