//! Single-use tokens that were used.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The tokens that were used so far.
#[derive(Debug, Default)]
pub struct UsedTokens(Mutex<BTreeSet<String>>);

impl UsedTokens {
    /// Marks a token as used. Returns whether this was its first use.
    pub fn insert(&self, token: String) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(token)
    }
}
