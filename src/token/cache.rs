//! Verified tokens that are remembered for a while, so that one token is not verified at every request: in wasm an
//! ES256 signature takes half a millisecond, a SHA-256 of the token microseconds (protocol 8).
//!
//! Invariants:
//! - The key is SHA-256 over the whole token, signature included: a token that differs in one bit is another token.
//! - Only what [`verify`](super::verify()) accepted is stored, under the token that it accepted. A refusal is never
//!   remembered, so that nothing can be poisoned.
//! - A hit counts only under the settings and the key that verified it, for the same purpose, and at a time at
//!   which the token is good. Everything else is as if nothing had been stored.
//! - A proof of possession is never remembered: a token that is bound to a key counts with a proof of each request.

use std::collections::{HashMap, VecDeque};

use super::grant::Grant;
use super::issuer::{Issuer, Purpose};
use super::refusal::Refusal;
use super::token_hash::{TokenHash, hash_token};
use super::verify::{Possession, SignedToken, Verified};
use crate::constants::{TOKEN_CACHE_ENTRIES, TOKEN_CACHE_EVICTION_TRIES, TOKEN_MAX_BYTES};
use crate::types::time::UnixSeconds;

#[derive(Debug)]
struct Entry {
    verified: Verified,
    /// Whether it was used since it was last looked at for eviction.
    used: bool,
}

/// A bounded memory of verified tokens.
#[derive(Debug, Default)]
pub struct TokenCache {
    entries: HashMap<TokenHash, Entry>,
    /// The same keys, in the order in which they are looked at for eviction.
    order: VecDeque<TokenHash>,
}

impl TokenCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What `token` grants, if [`verify`](super::verify()) accepted it before and would accept it now: one SHA-256
    /// and one look-up. `None` says nothing about the token.
    pub fn get(
        &mut self,
        token: &str,
        issuers: &[Issuer],
        purpose: Purpose,
        possession: Possession<'_>,
        now: UnixSeconds,
    ) -> Option<Grant> {
        let signed = self.get_signed(token, issuers, purpose, now)?;
        signed.held_with(possession).ok().map(|verified| verified.grant)
    }

    /// The same for a caller whose proof of possession is not read yet.
    pub fn get_signed(
        &mut self,
        token: &str,
        issuers: &[Issuer],
        purpose: Purpose,
        now: UnixSeconds,
    ) -> Option<SignedToken> {
        if token.len() > TOKEN_MAX_BYTES {
            return None;
        }
        let entry = self.entries.get_mut(&hash_token(token))?;
        let verified = &entry.verified;
        let issuer = issuers.iter().find(|issuer| issuer.settings_hash == verified.settings_hash)?;
        // Keys that are due for a look may have lost the one that verified it.
        if issuer.remote_keys().is_some_and(|remote| remote.is_due(now.millis())) {
            return None;
        }
        let keys = issuer.keys.current(now).ok()?;
        let key = keys.find(verified.kid()).ok()?;
        let same = verified.purpose == purpose && key.thumbprint == verified.thumbprint;
        if !same || verified.times.check(now).is_err() {
            return None;
        }
        entry.used = true;
        Some(verified.clone().without_possession(issuer))
    }

    /// Remembers that `token` was verified. Nothing happens if it was another one that `verified` is about.
    pub fn insert(&mut self, token: &str, verified: &Verified) {
        if hash_token(token) != verified.token_hash {
            return;
        }
        let entry = Entry { verified: verified.clone(), used: false };
        if self.entries.insert(verified.token_hash, entry).is_none() {
            self.order.push_back(verified.token_hash);
        }
        if self.entries.len() > TOKEN_CACHE_ENTRIES {
            self.evict(verified.verified_at);
        }
    }

    /// Drops the first token in line that has expired or was not used since it was last looked at; one that was used
    /// goes to the end of the line, so that a burst of new tokens does not drive out the busy ones. After a few
    /// looks the next one goes whatever it is: an insert costs the same however full the cache is.
    fn evict(&mut self, now: UnixSeconds) {
        for _ in 0..TOKEN_CACHE_EVICTION_TRIES {
            let Some(hash) = self.order.pop_front() else { return };
            match self.entries.get_mut(&hash) {
                Some(entry) if entry.used && entry.verified.times.check(now) != Err(Refusal::Expired) => {
                    entry.used = false;
                    self.order.push_back(hash);
                }
                _ => {
                    self.entries.remove(&hash);
                    return;
                }
            }
        }
        if let Some(hash) = self.order.pop_front() {
            self.entries.remove(&hash);
        }
    }

    /// How many tokens are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
