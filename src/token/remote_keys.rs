//! The key set that an identity provider publishes at a URL: when to fetch it, and how long to use it (protocol 8).
//!
//! Invariants:
//! - A fetched key set is parsed as strictly as any other. Keys that no rule allows are skipped.
//! - An isolate sends at most [`FETCHES_MAX`] requests in [`FETCH_WINDOW_MILLIS`] to a provider. The `kid`s of forged
//!   tokens cannot make this Worker flood it.
//! - While the provider is down, the last key set is used until it is [`KEY_SET_STALE_MILLIS`] old. Then no key is.
//! - A request does not await another request's promise, which the platform cancels together with that request. It
//!   polls [`RemoteKeys::decide_fetch`] instead.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::algorithm::Algorithm;
use super::key_set::KeySet;
use crate::constants::{
    KEY_SET_FETCH_MILLIS, KEY_SET_FRESH_MILLIS, KEY_SET_MAX_BYTES, KEY_SET_MAX_DEPTH, KEY_SET_STALE_MILLIS,
};
use crate::parse::json::parse_strict;
use crate::types::time::UnixMillis;

/// The largest number of requests to a provider in [`FETCH_WINDOW_MILLIS`].
const FETCHES_MAX: usize = 2;
/// The time in which at most [`FETCHES_MAX`] requests are sent.
const FETCH_WINDOW_MILLIS: i64 = 60_000;
/// The time between two requests once keys were loaded. An unknown `kid` is most often a forged one.
const REFRESH_INTERVAL_MILLIS: i64 = 30_000;
/// The time between two requests while no keys were loaded yet.
const RETRY_INTERVAL_MILLIS: i64 = 5_000;

/// The next step of a request that has a token to verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchDecision {
    /// Verify the token: its key is loaded, or no request may be sent now.
    Proceed,
    /// Fetch the key set. The caller calls [`RemoteKeys::start_fetch`] next.
    Fetch,
    /// Another request is fetching the key set. Call [`RemoteKeys::decide_fetch`] again soon.
    Wait,
}

/// An isolate's copy of the key set at one URL.
#[derive(Debug)]
pub struct RemoteKeys {
    url: String,
    algorithms: Vec<Algorithm>,
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    loaded_at: UnixMillis,
    /// The times of the last requests, oldest first. At most [`FETCHES_MAX`].
    fetch_times: Vec<UnixMillis>,
    /// When the request in flight started.
    fetching_since: Option<UnixMillis>,
}

impl State {
    /// Returns whether there are keys, and they were fresh less than `millis` ago.
    fn is_younger_than(&self, millis: i64, now: UnixMillis) -> bool {
        self.keys.is_some() && now.millis_since(self.loaded_at) < millis
    }

    fn has_key(&self, kid: Option<&str>) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.find(kid).is_ok())
    }

    fn may_fetch(&self, now: UnixMillis) -> bool {
        // A time in the future means that the clock was set back since. It does not block a fetch.
        let fetches =
            |within: i64| self.fetch_times.iter().filter(|at| (0..within).contains(&now.millis_since(**at))).count();
        let interval = if self.keys.is_some() { REFRESH_INTERVAL_MILLIS } else { RETRY_INTERVAL_MILLIS };
        fetches(FETCH_WINDOW_MILLIS) < FETCHES_MAX && fetches(interval) == 0
    }
}

impl RemoteKeys {
    /// Creates the copy of the key set at `url`, which is not loaded yet, for an issuer with these `algorithms`.
    pub(super) fn new(url: String, algorithms: Vec<Algorithm>) -> Self {
        Self { url, algorithms, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the URL of the key set.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Decides what the request of a token with this `kid` has to do at `now`.
    #[must_use]
    pub fn decide_fetch(&self, kid: Option<&str>, now: UnixMillis) -> FetchDecision {
        let state = self.state();
        let is_usable = state.is_younger_than(KEY_SET_STALE_MILLIS, now) && state.has_key(kid);
        if is_usable && state.is_younger_than(KEY_SET_FRESH_MILLIS, now) {
            return FetchDecision::Proceed;
        }
        let is_fetching = state.fetching_since.is_some_and(|since| now.millis_since(since) < KEY_SET_FETCH_MILLIS);
        match (is_fetching, is_usable) {
            (true, true) => FetchDecision::Proceed,
            (true, false) => FetchDecision::Wait,
            (false, _) if state.may_fetch(now) => FetchDecision::Fetch,
            (false, _) => FetchDecision::Proceed,
        }
    }

    /// Returns whether the keys are not fresh any more and may be fetched now, whatever the token's `kid` is.
    #[must_use]
    pub fn is_fetch_due(&self, now: UnixMillis) -> bool {
        let state = self.state();
        !state.is_younger_than(KEY_SET_FRESH_MILLIS, now) && state.fetching_since.is_none() && state.may_fetch(now)
    }

    /// Returns whether the keys are missing or older than [`KEY_SET_FRESH_MILLIS`]. Then a copy from the data center's
    /// cache may do. If fresh keys lack a `kid`, only the provider can help.
    #[must_use]
    pub fn is_stale(&self, now: UnixMillis) -> bool {
        !self.state().is_younger_than(KEY_SET_FRESH_MILLIS, now)
    }

    /// Records that the caller starts to fetch the key set. The caller calls [`Self::finish_fetch`] when the fetch
    /// ends.
    pub fn start_fetch(&self, now: UnixMillis) {
        let mut state = self.state();
        state.fetching_since = Some(now);
        if state.fetch_times.len() >= FETCHES_MAX {
            state.fetch_times.remove(0);
        }
        state.fetch_times.push(now);
    }

    /// Records that the fetch has ended, with or without a key set.
    pub fn finish_fetch(&self) {
        self.state().fetching_since = None;
    }

    /// Replaces the keys by those in a key set's JSON text that was fresh at `fresh_at`. Does nothing and returns
    /// `false` if the set has no usable key.
    pub fn replace_keys(&self, text: &[u8], fresh_at: UnixMillis) -> bool {
        let Some(keys) = parse_published_keys(text, &self.algorithms) else { return false };
        let mut state = self.state();
        state.keys = Some(Arc::new(keys));
        state.loaded_at = fresh_at;
        true
    }

    /// Returns whether the key for a token with this `kid` is loaded.
    #[must_use]
    pub fn has_key(&self, kid: Option<&str>) -> bool {
        self.state().has_key(kid)
    }

    /// Returns the keys, unless they are too old at `now`.
    pub(super) fn usable_keys(&self, now: UnixMillis) -> Option<Arc<KeySet>> {
        let state = self.state();
        state.keys.clone().filter(|_| state.is_younger_than(KEY_SET_STALE_MILLIS, now))
    }
}

fn parse_published_keys(text: &[u8], algorithms: &[Algorithm]) -> Option<KeySet> {
    let set: Value = (text.len() <= KEY_SET_MAX_BYTES).then(|| parse_strict(text, KEY_SET_MAX_DEPTH).ok())??;
    KeySet::parse_published(&set, algorithms)
}

#[cfg(test)]
#[path = "remote_keys_tests.rs"]
mod tests;
