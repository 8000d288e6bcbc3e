//! A cache of verified tokens, so that a token is not verified again at each request (protocol 8). In wasm an ES256
//! signature takes half a millisecond; a SHA-256 of the token takes microseconds.
//!
//! Invariants:
//! - The cache key is SHA-256 over the whole token, signature included. A token that differs in one bit misses.
//! - Only a token that [`verify`](super::verify()) accepted is stored. Refusals are not stored, so that the cache
//!   cannot be poisoned.
//! - An entry is used only if the issuer's settings and the key that verified the token are unchanged, the purpose is
//!   the same, and the token is valid at the present time. Otherwise the look-up misses.
//! - Proofs of possession are not cached: a token that is bound to a key needs a new proof with each request.

use std::collections::{HashMap, VecDeque};

use super::grant::Grant;
use super::issuer::{Issuer, Purpose};
use super::refusal::Refusal;
use super::token_hash::{TokenHash, hash_token};
use super::verify::{Possession, SignedToken, VerifiedToken};
use crate::constants::{TOKEN_CACHE_ENTRIES, TOKEN_CACHE_EVICTION_TRIES, TOKEN_MAX_BYTES};
use crate::types::time::UnixSeconds;

#[derive(Debug)]
struct Entry {
    verified: VerifiedToken,
    /// Whether the entry was used since eviction last considered it.
    used: bool,
}

/// A cache of at most [`TOKEN_CACHE_ENTRIES`] verified tokens.
#[derive(Debug, Default)]
pub struct TokenCache {
    entries: HashMap<TokenHash, Entry>,
    /// The keys of `entries`, in the order in which eviction considers them.
    order: VecDeque<TokenHash>,
}

impl TokenCache {
    /// Creates an empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the grant of `token` if [`verify`](super::verify()) accepted it before and would accept it now. Costs
    /// one SHA-256 and one look-up. `None` says nothing about the token: the caller has to verify it.
    pub fn get(
        &mut self,
        token: &str,
        issuers: &[Issuer],
        purpose: Purpose,
        possession: Possession<'_>,
        now: UnixSeconds,
    ) -> Option<Grant> {
        let signed = self.get_signed(token, issuers, purpose, now)?;
        signed.verify_possession(possession).ok().map(|verified| verified.grant)
    }

    /// Like [`Self::get`], for a caller that has not read the proof of possession yet.
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
        // The issuer may have removed the key since: fetch the key set before using the entry.
        if issuer.remote_keys().is_some_and(|remote| remote.is_fetch_due(now.millis())) {
            return None;
        }
        let keys = issuer.keys.usable_keys(now).ok()?;
        let key = keys.find(verified.kid()).ok()?;
        let same = verified.purpose == purpose && key.thumbprint == verified.thumbprint;
        if !same || verified.times.check(now).is_err() {
            return None;
        }
        entry.used = true;
        Some(verified.clone().into_signed(issuer))
    }

    /// Stores the result of verifying `token`. Does nothing if `verified` is the result of another token.
    pub fn insert(&mut self, token: &str, verified: &VerifiedToken) {
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

    /// Evicts one token (second chance, also called CLOCK).
    ///
    /// Evicts the first token in the queue that has expired or was not used since it was last considered. A token that
    /// was used moves to the end of the queue, so that a burst of new tokens does not evict the busy ones. After
    /// [`TOKEN_CACHE_EVICTION_TRIES`] tokens the next one is evicted in any case, which bounds the cost of an insert.
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

    /// Returns the number of tokens in the cache.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether the cache is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
