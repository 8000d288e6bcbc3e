//! A lenient JSON reader for the vendor's responses. It has nothing in common with `crate::parse`, which is strict
//! because callers may be attackers.
//!
//! A harmless oddity of the vendor must not cost a user money, so the reader accepts whatever `JSON.parse` accepts, and:
//!
//! - a byte order mark in front, bytes that are not UTF-8 (each becomes U+FFFD), unpaired surrogates (U+FFFD too)
//! - any depth: nesting costs one bit a level
//! - `NaN` and `Infinity`, raw control characters and unknown escapes in strings, numbers in unusual notation
//!
//! It makes one pass over chunks of the body, without recursion and without a tree. A [`Listener`] is told each event
//! and keeps what it uses. Repeated members are told one after the other, so the last one wins.

mod listener;
mod nesting;
mod scanner;
mod string;

pub use listener::{Container, Listener, Scalar};
pub use scanner::Scanner;
