//! A lenient JSON reader for the vendor's responses. It shares no code with `crate::parse`, which is strict because
//! callers may be attackers.
//!
//! A harmless oddity in a response must not cost a user money. The reader therefore accepts everything that
//! `JSON.parse` accepts, and also:
//!
//! - a byte order mark in front, bytes that are not UTF-8 (each becomes U+FFFD), unpaired surrogates (U+FFFD too)
//! - any depth of nesting, at one bit per level
//! - `NaN` and `Infinity`, raw control characters and unknown escapes in strings, numbers in unusual notation
//!
//! It makes one pass over the chunks of a body, without recursion and without a tree. A [`Listener`] receives each
//! event and keeps the values it needs. Repeated members are reported in their order, so the last one wins.

mod listener;
mod nesting;
mod scanner;
mod string;

pub use listener::{Container, Listener, Scalar};
pub use scanner::Scanner;
