//! Values that every other module uses: each is right by its construction.

pub mod credits;
pub mod file;
pub mod ids;
pub mod model;
pub mod prediction;
pub mod secret;
pub mod time;
pub(crate) mod vocabulary;
