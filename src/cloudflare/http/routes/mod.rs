//! The handlers of the routes, one file for each group.

pub mod admin;
pub mod assets;
pub mod create;
pub mod events;
pub mod files;
pub mod reads;
pub mod token_endpoint;
pub mod vendor_stream;
