//! The deployment's settings (contract 4).
//!
//! Every setting is parsed, then every problem is reported at once. A problem names the setting and the rule, never the
//! value: it may be a secret.

mod demo;
mod demo_page;
mod origins;
mod parse;
mod problem;
mod reader;
mod settings;
mod storage;

pub use demo::Demo;
pub use parse::parse;
pub use problem::Problem;
pub use settings::{Config, LogLevel};
pub use storage::{Jurisdiction, Location, StorageSettings};
