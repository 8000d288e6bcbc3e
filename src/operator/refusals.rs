//! Refused requests, counted by day and code.
//!
//! An isolate counts in memory, and hands its counts over to the Dispatcher with a request that runs anyway, at most once a
//! minute, whatever it refuses. So nobody can make the Dispatcher busy with refusals. An isolate that ends before loses
//! what it has counted since; one that gets no reply keeps its counts, and may count a request twice.

use std::collections::BTreeMap;

use crate::constants::REFUSALS_HAND_OVER_MILLIS;
use crate::messages::RefusalCount;
use crate::oauth::OAuthError;
use crate::types::time::{UnixMillis, UtcDay};
use crate::wire::rejection::Code;

/// The counts of an isolate. The codes are those of our own responses, so their number is bounded.
#[derive(Debug)]
pub struct RefusalCounter {
    counts: BTreeMap<(UtcDay, &'static str), u32>,
    /// Time of the first count, or of the last hand-over.
    since: UnixMillis,
}

impl RefusalCounter {
    /// The counts of a new isolate.
    pub const NEW: Self = Self { counts: BTreeMap::new(), since: UnixMillis(0) };

    /// Counts a refused request.
    pub fn count(&mut self, code: &'static str, now: UnixMillis) {
        self.add(now.utc_day(), code, 1, now);
    }

    fn add(&mut self, day: UtcDay, code: &'static str, more: u32, now: UnixMillis) {
        if self.counts.is_empty() {
            self.since = now;
        }
        let count = self.counts.entry((day, code)).or_default();
        *count = count.saturating_add(more);
    }

    /// Takes the counts if it is time to hand them over.
    pub fn take_due(&mut self, now: UnixMillis) -> Option<Vec<RefusalCount>> {
        // A clock that went back starts anew.
        self.since = self.since.min(now);
        if self.counts.is_empty() || now.millis_since(self.since) < REFUSALS_HAND_OVER_MILLIS {
            return None;
        }
        let counts = std::mem::take(&mut self.counts).into_iter();
        Some(
            counts
                .map(|((day, code), count)| RefusalCount { day, code: code.to_owned(), count: count.into() })
                .collect(),
        )
    }

    /// Puts counts back whose hand-over failed. They are tried again after a minute.
    pub fn put_back(&mut self, counts: &[RefusalCount], now: UnixMillis) {
        self.since = now;
        for RefusalCount { day, code, count } in counts {
            if let Some(code) = find_code(code) {
                self.add(*day, code, u32::try_from(*count).unwrap_or(u32::MAX), now);
            }
        }
    }
}

/// Returns the code of one of our own responses.
fn find_code(text: &str) -> Option<&'static str> {
    let of_api = Code::ALL.iter().map(|code| code.wire().code);
    of_api.chain(OAuthError::ALL.iter().map(|error| error.wire().error)).find(|code| *code == text)
}

/// Returns the document of a day with more counts in it. Codes that this build does not have are dropped: whoever sends
/// a message cannot invent any.
#[must_use]
pub fn add_counts<'a>(doc: Option<&str>, counts: impl IntoIterator<Item = &'a RefusalCount>) -> String {
    let mut of_day = read_counts(doc.unwrap_or_default());
    for RefusalCount { code, count, .. } in counts {
        if let Some(code) = find_code(code) {
            let before = of_day.entry(code.to_owned()).or_default();
            *before = before.saturating_add(*count).min(COUNT_MAX);
        }
    }
    serde_json::to_string(&of_day).unwrap_or_default()
}

/// The largest count: exact in JavaScript.
const COUNT_MAX: u64 = 1 << 53;

/// Reads the document of a day. An unreadable one is empty.
#[must_use]
pub fn read_counts(doc: &str) -> BTreeMap<String, u64> {
    serde_json::from_str(doc).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_768_473_000_000);

    fn after(millis: i64) -> UnixMillis {
        NOW.plus_millis(millis)
    }

    fn counts(counter: &mut RefusalCounter, now: UnixMillis) -> Option<Vec<(String, u64)>> {
        let taken = counter.take_due(now)?;
        Some(taken.into_iter().map(|count| (count.code, count.count)).collect())
    }

    #[test]
    fn counts_are_handed_over_once_a_minute_whatever_is_refused() {
        let mut counter = RefusalCounter::NEW;
        assert_eq!(counts(&mut counter, NOW), None, "nothing to hand over");
        for millis in 0..60_000 {
            counter.count("rate_limited", after(millis));
            assert_eq!(counter.take_due(after(millis)), None);
        }
        counter.count("not_found", after(60_000));
        let handed = vec![("not_found".to_owned(), 1), ("rate_limited".to_owned(), 60_000)];
        assert_eq!(counts(&mut counter, after(60_000)), Some(handed));
        counter.count("not_found", after(60_001));
        assert_eq!(counts(&mut counter, after(120_000)), None);
        assert_eq!(counts(&mut counter, after(120_001)).map(|counts| counts.len()), Some(1));
    }

    #[test]
    fn counts_whose_hand_over_failed_are_tried_again_a_minute_later() {
        let mut counter = RefusalCounter::NEW;
        counter.count("not_found", NOW);
        let taken = counter.take_due(after(60_000)).unwrap();
        counter.count("not_found", after(60_500));
        counter.put_back(&taken, after(61_000));
        assert_eq!(counts(&mut counter, after(120_999)), None);
        assert_eq!(counts(&mut counter, after(121_000)), Some(vec![("not_found".to_owned(), 2)]));
    }

    #[test]
    fn a_clock_that_goes_back_delays_nothing_for_long() {
        let mut counter = RefusalCounter::NEW;
        counter.count("not_found", after(1_000_000));
        assert_eq!(counts(&mut counter, NOW), None);
        assert!(counts(&mut counter, after(60_000)).is_some());
    }

    #[test]
    fn a_days_document_has_only_codes_of_this_build() {
        let count = |code: &str, count| RefusalCount { day: NOW.utc_day(), code: code.into(), count };
        let doc = add_counts(None, &[count("rate_limited", 2), count("<script>", 9), count("invalid_grant", 1)]);
        assert_eq!(doc, r#"{"rate_limited":2}"#);
        let doc = add_counts(Some(&doc), &[count("rate_limited", u64::MAX), count("invalid_target", 1)]);
        assert_eq!(doc, r#"{"invalid_target":1,"rate_limited":9007199254740992}"#);
        assert_eq!(add_counts(Some("?"), &[]), "{}");
        let bound = Code::ALL.len() + OAuthError::ALL.len();
        let all: Vec<_> = Code::ALL.iter().map(|code| count(code.wire().code, 1)).collect();
        assert!(read_counts(&add_counts(None, &all)).len() <= bound);
    }
}
