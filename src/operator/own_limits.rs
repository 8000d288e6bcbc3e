//! The body of `PUT /admin/api/users/{user}/override`: a user's own limits.

use serde_json::{Map, Value, json};

use crate::constants::{FILE_BYTES_MAX, OWN_LIMITS_MAX_MILLIS, POLICY_NUMBER_MAX};
use crate::messages::LimitOverride;
use crate::parse::number::parse_whole;
use crate::types::credits::MicroCredits;
use crate::types::time::UnixMillis;
use crate::wire::violation::{Rule, Violation};

/// The members of the body.
const MEMBERS: [&str; 8] = [
    "requests_per_minute",
    "predictions_per_minute",
    "concurrent_predictions",
    "max_waiting",
    "daily_credits",
    "max_files",
    "max_file_bytes",
    "expires_at",
];

/// A body that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadLimits {
    /// It has a member that is no limit.
    Unknown(String),
    /// A member breaks a rule.
    Invalid(&'static str, Violation),
}

/// Reads a user's own limits. Each has the range that it has in `POLICY`. Only creates of a minute may be 0 as well, which
/// stops the user's new predictions.
///
/// # Errors
/// The first member that is not as it should be.
pub fn parse_own_limits(body: &Map<String, Value>, now: UnixMillis) -> Result<LimitOverride, BadLimits> {
    if let Some(unknown) = body.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(BadLimits::Unknown(unknown.clone()));
    }
    let small = |name, least| number(body, name, least, POLICY_NUMBER_MAX);
    let credits = match body.get("daily_credits") {
        None => None,
        Some(value) => {
            let credits = value.as_str().and_then(MicroCredits::parse);
            Some(credits.ok_or(BadLimits::Invalid("daily_credits", Violation::plain(Rule::Format)))?)
        }
    };
    Ok(LimitOverride {
        requests_per_minute: small("requests_per_minute", 1)?,
        predictions_per_minute: small("predictions_per_minute", 0)?,
        concurrent_predictions: small("concurrent_predictions", 1)?,
        max_waiting: small("max_waiting", 0)?,
        daily_credits: credits,
        max_files: small("max_files", 0)?,
        max_file_bytes: number(body, "max_file_bytes", 0, FILE_BYTES_MAX)?,
        expires_at: parse_expiry(body.get("expires_at"), now)?,
    })
}

fn number<T: TryFrom<i128> + PartialOrd + Into<Value> + Copy>(
    body: &Map<String, Value>,
    name: &'static str,
    least: T,
    most: T,
) -> Result<Option<T>, BadLimits> {
    let Some(value) = body.get(name) else { return Ok(None) };
    let violation = match parse_whole::<T>(value) {
        None => Violation::new(Rule::Type, "integer"),
        Some(number) if number < least => Violation::new(Rule::Min, least),
        Some(number) if number > most => Violation::new(Rule::Max, most),
        Some(number) => return Ok(Some(number)),
    };
    Err(BadLimits::Invalid(name, violation))
}

fn parse_expiry(value: Option<&Value>, now: UnixMillis) -> Result<UnixMillis, BadLimits> {
    let latest = now.plus_millis(OWN_LIMITS_MAX_MILLIS);
    let violation = match value.map(|value| value.as_str().and_then(UnixMillis::parse_rfc3339)) {
        None => Violation::plain(Rule::Required),
        Some(None) => Violation::plain(Rule::Format),
        Some(Some(time)) if time <= now => Violation::new(Rule::Min, now.to_rfc3339()),
        Some(Some(time)) if time > latest => Violation::new(Rule::Max, latest.to_rfc3339()),
        Some(Some(time)) => return Ok(time),
    };
    Err(BadLimits::Invalid("expires_at", violation))
}

/// Returns the limits as JSON.
#[must_use]
pub fn render_own_limits(limits: &LimitOverride) -> Value {
    let all = [
        ("requests_per_minute", limits.requests_per_minute.map(|limit| json!(limit))),
        ("predictions_per_minute", limits.predictions_per_minute.map(|limit| json!(limit))),
        ("concurrent_predictions", limits.concurrent_predictions.map(|limit| json!(limit))),
        ("max_waiting", limits.max_waiting.map(|limit| json!(limit))),
        ("daily_credits", limits.daily_credits.map(|limit| json!(limit.to_string()))),
        ("max_files", limits.max_files.map(|limit| json!(limit))),
        ("max_file_bytes", limits.max_file_bytes.map(|limit| json!(limit))),
        ("expires_at", Some(json!(limits.expires_at.to_rfc3339()))),
    ];
    all.into_iter().filter_map(|(name, limit)| Some((name.to_owned(), limit?))).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_768_473_000_000);

    fn parse(body: &Value) -> Result<LimitOverride, BadLimits> {
        parse_own_limits(body.as_object().unwrap(), NOW)
    }

    #[test]
    fn every_limit_is_optional_and_shown_as_it_was_set() {
        let all = json!({"requests_per_minute": 1, "predictions_per_minute": 0, "concurrent_predictions": 3,
            "max_waiting": 0, "daily_credits": "2.5", "max_files": 4, "max_file_bytes": 1_000_000_000_000_u64,
            "expires_at": "2026-02-14T10:30:00Z"});
        let limits = parse(&all).unwrap();
        assert_eq!(limits.daily_credits, MicroCredits::parse("2.5"));
        assert_eq!(render_own_limits(&limits), all);
        let none = json!({"expires_at": "2026-01-15T10:30:01Z"});
        assert_eq!(render_own_limits(&parse(&none).unwrap()), none);
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        let at = "2026-01-16T00:00:00Z";
        let invalid = |name, violation| Err(BadLimits::Invalid(name, violation));
        for (body, refusal) in [
            (json!({"expires_at": at, "models": ["*"]}), Err(BadLimits::Unknown("models".into()))),
            (json!({"expires_at": at, "max_files": "1"}), invalid("max_files", Violation::new(Rule::Type, "integer"))),
            (json!({"expires_at": at, "max_files": null}), invalid("max_files", Violation::new(Rule::Type, "integer"))),
            (
                json!({"expires_at": at, "requests_per_minute": 0}),
                invalid("requests_per_minute", Violation::new(Rule::Min, 1)),
            ),
            (
                json!({"expires_at": at, "max_waiting": POLICY_NUMBER_MAX + 1}),
                invalid("max_waiting", Violation::new(Rule::Max, POLICY_NUMBER_MAX)),
            ),
            (json!({"expires_at": at, "daily_credits": 2}), invalid("daily_credits", Violation::plain(Rule::Format))),
            (json!({"max_files": 1}), invalid("expires_at", Violation::plain(Rule::Required))),
            (json!({"expires_at": "tomorrow"}), invalid("expires_at", Violation::plain(Rule::Format))),
            (
                json!({"expires_at": "2026-01-15T10:30:00Z"}),
                invalid("expires_at", Violation::new(Rule::Min, "2026-01-15T10:30:00Z")),
            ),
            (
                json!({"expires_at": "2026-02-14T10:30:01Z"}),
                invalid("expires_at", Violation::new(Rule::Max, "2026-02-14T10:30:00Z")),
            ),
        ] {
            assert_eq!(parse(&body), refusal, "{body}");
        }
    }
}
