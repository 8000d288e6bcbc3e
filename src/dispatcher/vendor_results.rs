//! The effects of any reply of the vendor (rate limits, alerts about oddities), and those of the model list.

use super::machine::Dispatcher;
use crate::constants::{RATE_LIMIT_RESET_MAX_MILLIS, VENDOR_WINDOW_MILLIS};
use crate::limit::key_leak::KeyUsage;
use crate::limit::request_window::VendorCount;
use crate::parse::digits::parse_digits;
use crate::types::alert::{Alert, RaisedAlert};
use crate::types::ids::JobId;
use crate::types::model::ModelId;
use crate::types::time::{UnixMillis, UnixSeconds};
use crate::vendor::progress::loggable_word;
use crate::vendor::reply::{VendorReply, has_id_conflict};

impl Dispatcher {
    /// Applies the rate limit of any reply, and raises alerts about oddities.
    pub(super) fn apply_reply(&mut self, reply: &VendorReply, now: UnixMillis) {
        self.apply_rate_limit(reply, now);
        if reply.is_too_large() {
            self.raise(Alert::VendorAnswerTooLarge, now);
        }
        if matches!(reply, VendorReply::Response(response) if has_id_conflict(&response.body)) {
            self.raise(Alert::VendorIdsConflict, now);
        }
    }

    /// Applies the vendor's `X-RateLimit-*` headers until their reset (vendor-api 5). They apply if they allow fewer
    /// requests than the request window. A reset far ahead has the wrong unit or comes from a wrong clock. Obeying it
    /// would stop every request until then.
    fn apply_rate_limit(&mut self, reply: &VendorReply, now: UnixMillis) {
        let VendorReply::Response(response) = reply else { return };
        let number = |text: &Option<String>| text.as_deref().and_then(|text| parse_digits::<i64>(text.trim()));
        let (remaining, reset) = (number(&response.rate_limit.remaining), number(&response.rate_limit.reset));
        let (Some(remaining), Some(reset)) = (remaining.and_then(|left| u32::try_from(left).ok()), reset) else {
            return;
        };
        let until = UnixSeconds(reset).millis();
        if until.millis_since(now) > RATE_LIMIT_RESET_MAX_MILLIS {
            self.raise(Alert::RateLimitResetIgnored, now);
        } else if until > now {
            let limit = number(&response.rate_limit.limit).and_then(|limit| u32::try_from(limit).ok());
            if let Some(limit) = limit {
                self.look_for_key_leak(limit.saturating_sub(remaining), UnixSeconds(reset), now);
            }
            self.state.window.apply_vendor_count(VendorCount { remaining, until });
        }
    }

    /// Compares the requests that the vendor counted in its minute with our own. Those of the second before count too: the
    /// reset has whole seconds, and a vendor that rounds it up counts requests from up to a second earlier. A minute that
    /// begins after `now`, by our clock, has nothing to compare.
    fn look_for_key_leak(&mut self, used: u32, reset: UnixSeconds, now: UnixMillis) {
        let began_at = reset.millis().plus_millis(VENDOR_WINDOW_MILLIS.saturating_neg());
        if began_at > now {
            return;
        }
        let usage = KeyUsage {
            reset,
            used: usize::try_from(used).unwrap_or(usize::MAX),
            own: self.state.window.count_since(began_at),
            expected_other: self.limits.expected_other_requests,
        };
        if self.key_leak.observe(&usage) {
            self.raise(Alert::KeyLeak, now);
        }
    }

    /// Raises the alert about an unknown status word. It has at most 16 letters of the word, and none if the word contains
    /// the vendor key.
    pub(super) fn report_unknown_status(&mut self, word: &str, now: UnixMillis) {
        let has_key = self.limits.outputs.finds_key_in(&[word.to_owned()]);
        let word = if has_key { String::new() } else { loggable_word(word) };
        self.raise(RaisedAlert::about(Alert::UnknownVendorStatus, word), now);
    }

    /// Records that the vendor answered a create. Closes the circuit breaker and ends the pause of the key.
    pub(super) fn record_vendor_success(&mut self, job_id: &JobId) {
        if let Some(key) = self.jobs.get(job_id).and_then(|job| job.vendor_key_fingerprint.clone()) {
            self.note_key_taken(&key);
        }
        self.state.health.record_success();
        self.state.health.resume_key();
    }

    pub(super) fn record_vendor_failure(&mut self, now: UnixMillis) {
        if self.state.health.record_failure(now) {
            self.raise(Alert::CircuitOpened, now);
        }
    }

    /// Stores the model list. `None`, a list that could not be read, leaves the last good one.
    pub fn finish_models(&mut self, models: Option<Vec<ModelId>>, now: UnixMillis) {
        self.advance(now);
        self.in_flight.has_model_fetch = false;
        if models.is_some() {
            self.state.models = models;
        }
    }
}
