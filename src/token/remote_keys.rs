//! The keys that an issuer publishes at a URL: when they are asked for, how long they count, and what counts meanwhile.
//!
//! Invariants:
//! - What comes from there is read like any other key set, and a key that no rule allows is left out.
//! - At most [`FETCHES_MAX`] requests in [`FETCHES_MILLIS`], whatever tokens name: nobody makes this Worker flood a provider.
//! - Without an answer the last keys count for [`KEY_SET_STALE_MILLIS`], and then nothing does.
//! - No request waits for another one's: each looks again by itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::algorithm::Algorithm;
use super::key_set::KeySet;
use crate::constants::{
    KEY_SET_FETCH_MILLIS, KEY_SET_FRESH_MILLIS, KEY_SET_MAX_BYTES, KEY_SET_MAX_DEPTH, KEY_SET_STALE_MILLIS,
};
use crate::parse::json::parse_strict;
use crate::types::time::UnixMillis;

/// Requests to a provider in [`FETCHES_MILLIS`].
const FETCHES_MAX: usize = 2;
/// See [`FETCHES_MAX`].
const FETCHES_MILLIS: i64 = 60_000;
/// Between two requests to a provider whose keys are here: an unknown `kid` is most often a forged one.
const LOOK_PAUSE_MILLIS: i64 = 30_000;
/// Between two requests to a provider whose keys are not here.
const RETRY_PAUSE_MILLIS: i64 = 5_000;

/// What a token needs before it can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: its key is here, or asking for it now would be one request too many.
    Nothing,
    /// The keys are to be asked for, by whoever hears this: [`RemoteKeys::begin`] comes next.
    Fetch,
    /// Somebody has asked for them: look again soon.
    Wait,
}

/// The keys of one issuer at one URL, as an isolate knows them.
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
    /// The last requests, oldest first; never more than [`FETCHES_MAX`].
    asked_at: Vec<UnixMillis>,
    /// Since when an answer is awaited.
    awaited_since: Option<UnixMillis>,
}

impl State {
    /// Whether there are keys that were fresh so long ago at most.
    fn is_within(&self, millis: i64, now: UnixMillis) -> bool {
        self.keys.is_some() && now.millis_since(self.loaded_at) < millis
    }

    fn has(&self, kid: Option<&str>) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.find(kid).is_ok())
    }

    fn may_ask(&self, now: UnixMillis) -> bool {
        // A time ahead of now is that of a clock which was put back since: it counts as long ago.
        let asked =
            |within: i64| self.asked_at.iter().filter(|at| (0..within).contains(&now.millis_since(**at))).count();
        let pause = if self.keys.is_some() { LOOK_PAUSE_MILLIS } else { RETRY_PAUSE_MILLIS };
        asked(FETCHES_MILLIS) < FETCHES_MAX && asked(pause) == 0
    }
}

impl RemoteKeys {
    /// Keys at `url` for these `algorithms`, none of which is known yet.
    pub(super) fn new(url: String, algorithms: Vec<Algorithm>) -> Self {
        Self { url, algorithms, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where they are.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What a token with this `kid` needs at `now`.
    #[must_use]
    pub fn need(&self, kid: Option<&str>, now: UnixMillis) -> Need {
        let state = self.state();
        let is_usable = state.is_within(KEY_SET_STALE_MILLIS, now) && state.has(kid);
        if is_usable && state.is_within(KEY_SET_FRESH_MILLIS, now) {
            return Need::Nothing;
        }
        let is_awaited = state.awaited_since.is_some_and(|since| now.millis_since(since) < KEY_SET_FETCH_MILLIS);
        match (is_awaited, is_usable) {
            (true, true) => Need::Nothing,
            (true, false) => Need::Wait,
            (false, _) if state.may_ask(now) => Need::Fetch,
            (false, _) => Need::Nothing,
        }
    }

    /// Whether the keys are so old that a look is due even without a new `kid`, and possible.
    #[must_use]
    pub fn is_due(&self, now: UnixMillis) -> bool {
        let state = self.state();
        !state.is_within(KEY_SET_FRESH_MILLIS, now) && state.awaited_since.is_none() && state.may_ask(now)
    }

    /// Whether the keys are older than a copy of somebody else's may be.
    #[must_use]
    pub fn is_stale(&self, now: UnixMillis) -> bool {
        !self.state().is_within(KEY_SET_FRESH_MILLIS, now)
    }

    /// Somebody asks for the keys now, and will say [`Self::end`].
    pub fn begin(&self, now: UnixMillis) {
        let mut state = self.state();
        state.awaited_since = Some(now);
        if state.asked_at.len() >= FETCHES_MAX {
            state.asked_at.remove(0);
        }
        state.asked_at.push(now);
    }

    /// No answer is awaited any more.
    pub fn end(&self) {
        self.state().awaited_since = None;
    }

    /// A key set, as text, and when it was fresh. Whether it has a usable key: only then it counts.
    pub fn take(&self, text: &[u8], fresh_at: UnixMillis) -> bool {
        let Some(keys) = read(text, &self.algorithms) else { return false };
        let mut state = self.state();
        state.keys = Some(Arc::new(keys));
        state.loaded_at = fresh_at;
        true
    }

    /// Whether a key has this name.
    #[must_use]
    pub fn has(&self, kid: Option<&str>) -> bool {
        self.state().has(kid)
    }

    /// The keys that count at `now`.
    pub(super) fn current(&self, now: UnixMillis) -> Option<Arc<KeySet>> {
        let state = self.state();
        state.keys.clone().filter(|_| state.is_within(KEY_SET_STALE_MILLIS, now))
    }
}

fn read(text: &[u8], algorithms: &[Algorithm]) -> Option<KeySet> {
    let set: Value = (text.len() <= KEY_SET_MAX_BYTES).then(|| parse_strict(text, KEY_SET_MAX_DEPTH).ok())??;
    KeySet::parse_published(&set, algorithms)
}

#[cfg(test)]
#[path = "remote_keys_tests.rs"]
mod tests;
