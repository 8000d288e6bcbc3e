//! Types that every other module uses. A value that exists is valid: the constructors check it.

pub mod alert;
pub mod credits;
pub mod file;
pub mod ids;
pub mod model;
pub mod prediction;
pub mod retention;
pub mod secret;
pub mod time;
