//! The pictures that predictions produce: a landscape drawn from the prompt's hash.

mod landscape;
mod outputs;
mod spec;

pub use outputs::router;
