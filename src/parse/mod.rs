//! Strict parsers for what callers send and operators configure.

pub mod digits;
pub mod json;
pub mod number;
pub mod problem;
pub mod shape;
pub mod url;
