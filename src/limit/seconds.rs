//! Milliseconds as whole seconds, for `Retry-After` and ETAs.

/// Returns the whole seconds that cover `millis`, at least one.
#[must_use]
pub fn whole_seconds(millis: i64) -> u32 {
    u32::try_from(millis.max(0).saturating_add(999).div_euclid(1_000)).unwrap_or(u32::MAX).max(1)
}
