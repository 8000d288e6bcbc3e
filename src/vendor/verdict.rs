//! The meaning of the vendor's replies: the tables of protocol 1 as exhaustive matches.

use crate::constants::{MILLIS_PER_SECOND, THROTTLE_DEFAULT_MILLIS};
use crate::types::time::UnixMillis;
use crate::vendor::reply::{
    VendorPrediction, VendorReply, VendorResponse, has_id_conflict, is_error_envelope, read_prediction,
};
use crate::vendor::retry_after::retry_after_secs;

/// The meaning of the vendor's reply to a create (protocol 1).
#[derive(Clone, Debug, PartialEq)]
pub enum CreateVerdict {
    /// The vendor accepted the prediction.
    Accepted {
        /// The vendor's id.
        vendor_id: String,
        /// The prediction, which may have ended already.
        prediction: VendorPrediction,
    },
    /// 429, or 503 with `Retry-After`: send it again later.
    Throttled {
        /// Milliseconds to wait before any create.
        wait_millis: i64,
    },
    /// 401 or 402: the vendor key is refused. Says nothing about the prediction.
    KeyRefused,
    /// 403 or 404 in the vendor's error envelope: the model is not available to this key, or this input is not allowed.
    ModelRefused,
    /// Any other 403 or 404, such as the page of a firewall that blocks the prompt. It says nothing about the model.
    Blocked,
    /// 400 or 422: the input is refused.
    InputRefused,
    /// Another 4xx, or a 2xx with the vendor's error envelope and no id.
    OtherRefusal,
    /// A 5xx with the vendor's error envelope: the vendor failed, and did not accept the prediction.
    VendorFailed,
    /// A 3xx: not documented, so hostile or broken. Never followed.
    Redirected,
    /// The vendor may or may not have the prediction.
    OutcomeUnknown(UnknownCause),
}

/// Why the outcome of a create is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownCause {
    /// No complete response arrived: 504 for the client.
    NoResponse,
    /// The response is unreadable: 502 for the client.
    Unreadable,
    /// The response exceeds Valetkey's size limit: 502 for the client, but no failure of the vendor.
    TooLarge,
}

/// The meaning of the vendor's reply to a poll or a cancel (protocol 1).
#[derive(Clone, Debug, PartialEq)]
pub enum PollVerdict {
    /// The prediction's present state.
    Found(VendorPrediction),
    /// 404 or 410: this key has no such prediction.
    NotFound,
    /// 401, 402 or 403: the key was refused. The reply says nothing about the prediction.
    KeyRefused,
    /// 429: send no vendor request for a while.
    Throttled {
        /// Milliseconds to wait.
        wait_millis: i64,
    },
    /// A response without information: an unreadable 2xx, a 3xx, another 4xx. It counts neither for the prediction nor
    /// for the circuit breaker.
    NothingSaid,
    /// A 5xx or no response: the vendor failed. The reply says nothing about the prediction.
    VendorFailed,
}

/// Reads the vendor's reply to a create.
#[must_use]
pub fn read_create_reply(reply: &VendorReply, now: UnixMillis) -> CreateVerdict {
    let response = match reply {
        VendorReply::Response(response) => response,
        VendorReply::TimedOut | VendorReply::Broken => return CreateVerdict::OutcomeUnknown(UnknownCause::NoResponse),
    };
    match response.status {
        200..=299 => read_accepted(reply, response),
        429 => CreateVerdict::Throttled { wait_millis: throttle_millis(response, now) },
        // Any `Retry-After`, whatever its value, means that the vendor did not take the prediction.
        503 if response.retry_after.is_some() => {
            CreateVerdict::Throttled { wait_millis: throttle_millis(response, now) }
        }
        401 | 402 => CreateVerdict::KeyRefused,
        403 | 404 if is_error_envelope(&response.body) => CreateVerdict::ModelRefused,
        403 | 404 => CreateVerdict::Blocked,
        400 | 422 => CreateVerdict::InputRefused,
        400..=499 => CreateVerdict::OtherRefusal,
        300..=399 => CreateVerdict::Redirected,
        500..=599 if is_error_envelope(&response.body) => CreateVerdict::VendorFailed,
        _ => CreateVerdict::OutcomeUnknown(UnknownCause::Unreadable),
    }
}

fn read_accepted(reply: &VendorReply, response: &VendorResponse) -> CreateVerdict {
    let prediction = read_prediction(&response.body);
    match prediction.and_then(|prediction| Some((prediction.id.clone()?, prediction))) {
        Some((vendor_id, prediction)) => CreateVerdict::Accepted { vendor_id, prediction },
        None if reply.is_too_large() => CreateVerdict::OutcomeUnknown(UnknownCause::TooLarge),
        None if is_error_envelope(&response.body) && !has_id_conflict(&response.body) => CreateVerdict::OtherRefusal,
        None => CreateVerdict::OutcomeUnknown(UnknownCause::Unreadable),
    }
}

/// Reads the vendor's reply to a poll or a cancel.
#[must_use]
pub fn read_poll_reply(reply: &VendorReply, now: UnixMillis) -> PollVerdict {
    let VendorReply::Response(response) = reply else { return PollVerdict::VendorFailed };
    match response.status {
        200..=299 => read_prediction(&response.body).map_or(PollVerdict::NothingSaid, PollVerdict::Found),
        401..=403 => PollVerdict::KeyRefused,
        404 | 410 => PollVerdict::NotFound,
        429 => PollVerdict::Throttled { wait_millis: throttle_millis(response, now) },
        300..=499 => PollVerdict::NothingSaid,
        _ => PollVerdict::VendorFailed,
    }
}

/// Returns the wait that the vendor asks for, or the default if it cannot be read.
fn throttle_millis(response: &VendorResponse, now: UnixMillis) -> i64 {
    let secs = response.retry_after.as_deref().and_then(|text| retry_after_secs(text, now));
    secs.map_or(THROTTLE_DEFAULT_MILLIS, |secs| secs.saturating_mul(MILLIS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vendor::body::VendorBody;
    use crate::vendor::reply::RateLimit;

    const ENVELOPE: &str = r#"{"error":{"type":"api_error","message":"m","code":"c"}}"#;
    /// 2026-10-21T07:27:50Z.
    const NOW: UnixMillis = UnixMillis(1_792_567_670_000);

    fn answer(status: u16, body: &str, retry_after: Option<&str>) -> VendorReply {
        with_body(status, VendorBody::read(body.as_bytes()), retry_after)
    }

    fn with_body(status: u16, body: VendorBody, retry_after: Option<&str>) -> VendorReply {
        let retry_after = retry_after.map(str::to_owned);
        VendorReply::Response(VendorResponse { status, retry_after, rate_limit: RateLimit::default(), body })
    }

    #[test]
    fn every_reply_to_a_create_means_what_the_table_says() {
        let unreadable = CreateVerdict::OutcomeUnknown(UnknownCause::Unreadable);
        let throttled = |wait_millis| CreateVerdict::Throttled { wait_millis };
        let cases = [
            (429, "", None, throttled(5_000)),
            (429, "", Some("7"), throttled(7_000)),
            (429, "", Some("-1"), throttled(5_000)),
            (429, "", Some("1.5"), throttled(2_000)),
            (429, "", Some("99999999999"), throttled(3_600_000)),
            (503, "", Some("2"), throttled(2_000)),
            (503, "", Some("1.5"), throttled(2_000)),
            (503, "", Some("Wed, 21 Oct 2026 07:28:00 GMT"), throttled(10_000)),
            (503, "", Some("Wed, 21 Oct 2015 07:28:00 GMT"), throttled(1_000)),
            (503, "", Some("soon"), throttled(5_000)),
            (503, ENVELOPE, Some(""), throttled(5_000)),
            (503, "", None, unreadable.clone()),
            (502, "", Some("2"), unreadable.clone()),
            (503, ENVELOPE, None, CreateVerdict::VendorFailed),
            (401, ENVELOPE, None, CreateVerdict::KeyRefused),
            (402, ENVELOPE, None, CreateVerdict::KeyRefused),
            (403, ENVELOPE, None, CreateVerdict::ModelRefused),
            (404, ENVELOPE, None, CreateVerdict::ModelRefused),
            (403, "<h1>blocked</h1>", None, CreateVerdict::Blocked),
            (404, "{\"detail\":\"x\"}", None, CreateVerdict::Blocked),
            (400, ENVELOPE, None, CreateVerdict::InputRefused),
            (422, "", None, CreateVerdict::InputRefused),
            (409, "", None, CreateVerdict::OtherRefusal),
            (451, "", None, CreateVerdict::OtherRefusal),
            (200, ENVELOPE, None, CreateVerdict::OtherRefusal),
            (201, r#"{"status":"failed","error":{"message":"m"}}"#, None, CreateVerdict::OtherRefusal),
            (500, ENVELOPE, None, CreateVerdict::VendorFailed),
            (500, "oops", None, unreadable.clone()),
            (599, "{\"detail\":\"x\"}", None, unreadable.clone()),
            (301, "", None, CreateVerdict::Redirected),
            (304, "", None, CreateVerdict::Redirected),
            (200, "{\"id\":", None, unreadable.clone()),
            (200, r#"{"error":"x"}"#, None, unreadable.clone()),
            (200, r#"{"id":1,"id":2,"error":{"code":"x"}}"#, None, unreadable.clone()),
            (201, "{}", None, unreadable.clone()),
            (201, "{\"status\":\"processing\"}", None, unreadable.clone()),
            (204, "", None, unreadable),
        ];
        for (status, body, retry_after, verdict) in cases {
            assert_eq!(
                read_create_reply(&answer(status, body, retry_after), NOW),
                verdict,
                "{status} {body} {retry_after:?}"
            );
        }
        for lost in [VendorReply::TimedOut, VendorReply::Broken] {
            assert_eq!(read_create_reply(&lost, NOW), CreateVerdict::OutcomeUnknown(UnknownCause::NoResponse));
        }
        for body in [r#"{"id":1,"status":"succeeded"}"#, r#"{"id":1,"error":{"message":"m"}}"#] {
            assert!(matches!(
                read_create_reply(&answer(200, body, None), NOW),
                CreateVerdict::Accepted { vendor_id, .. } if vendor_id == "1"
            ));
        }
    }

    #[test]
    fn a_body_over_the_limit_says_nothing() {
        let reply = with_body(200, VendorBody::TooLarge, None);
        assert_eq!(read_create_reply(&reply, NOW), CreateVerdict::OutcomeUnknown(UnknownCause::TooLarge));
        assert_eq!(read_poll_reply(&reply, NOW), PollVerdict::NothingSaid);
        let refused = with_body(422, VendorBody::TooLarge, None);
        assert_eq!(read_create_reply(&refused, NOW), CreateVerdict::InputRefused);
    }

    #[test]
    fn a_poll_says_something_about_the_prediction_the_key_or_the_vendor() {
        assert!(matches!(read_poll_reply(&answer(200, r#"{"status":"failed"}"#, None), NOW), PollVerdict::Found(_)));
        let cases = [
            (404, "", None, PollVerdict::NotFound),
            (410, "", None, PollVerdict::NotFound),
            (401, "", None, PollVerdict::KeyRefused),
            (402, ENVELOPE, None, PollVerdict::KeyRefused),
            (403, "<html>", None, PollVerdict::KeyRefused),
            (429, "", Some("3"), PollVerdict::Throttled { wait_millis: 3_000 }),
            (429, "", Some("Wed, 21 Oct 2026 07:28:00 GMT"), PollVerdict::Throttled { wait_millis: 10_000 }),
            (200, "x", None, PollVerdict::NothingSaid),
            (200, ENVELOPE, None, PollVerdict::NothingSaid),
            (302, "", None, PollVerdict::NothingSaid),
            (400, ENVELOPE, None, PollVerdict::NothingSaid),
            (409, "", None, PollVerdict::NothingSaid),
            (500, ENVELOPE, None, PollVerdict::VendorFailed),
            (503, "", Some("3"), PollVerdict::VendorFailed),
        ];
        for (status, body, retry_after, verdict) in cases {
            assert_eq!(read_poll_reply(&answer(status, body, retry_after), NOW), verdict, "{status} {body}");
        }
        for failed in [VendorReply::TimedOut, VendorReply::Broken] {
            assert_eq!(read_poll_reply(&failed, NOW), PollVerdict::VendorFailed);
        }
    }
}
