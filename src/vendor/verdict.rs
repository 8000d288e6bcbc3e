//! The meaning of the vendor's replies: the tables of protocol 1 as exhaustive matches.

use crate::constants::{RETRY_AFTER_MAX_SECS, THROTTLE_DEFAULT_MILLIS};
use crate::parse::digits::parse_digits;
use crate::vendor::reply::{VendorPrediction, VendorReply, VendorResponse, is_error_envelope, read_prediction};

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
    /// 403 or 404: the model is not available to this key.
    ModelRefused,
    /// 400 or 422: the input is refused.
    InputRefused,
    /// Another 4xx.
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
}

/// The meaning of the vendor's reply to a poll or a cancel (protocol 1).
#[derive(Clone, Debug, PartialEq)]
pub enum PollVerdict {
    /// The prediction's present state.
    Found(VendorPrediction),
    /// 404 or 401: this key has no such prediction.
    NotFound,
    /// 429: send no vendor request for a while.
    Throttled {
        /// Milliseconds to wait.
        wait_millis: i64,
    },
    /// The vendor failed. Says nothing about the prediction.
    VendorFailed,
}

/// Reads the vendor's reply to a create.
#[must_use]
pub fn read_create_reply(reply: &VendorReply) -> CreateVerdict {
    let response = match reply {
        VendorReply::Response(response) => response,
        VendorReply::TimedOut | VendorReply::Broken => return CreateVerdict::OutcomeUnknown(UnknownCause::NoResponse),
    };
    match response.status {
        200..=299 => read_accepted(response).unwrap_or(CreateVerdict::OutcomeUnknown(UnknownCause::Unreadable)),
        429 => {
            CreateVerdict::Throttled { wait_millis: retry_after_millis(response).unwrap_or(THROTTLE_DEFAULT_MILLIS) }
        }
        503 if retry_after_millis(response).is_some() => {
            CreateVerdict::Throttled { wait_millis: retry_after_millis(response).unwrap_or(THROTTLE_DEFAULT_MILLIS) }
        }
        401 | 402 => CreateVerdict::KeyRefused,
        403 | 404 => CreateVerdict::ModelRefused,
        400 | 422 => CreateVerdict::InputRefused,
        400..=499 => CreateVerdict::OtherRefusal,
        300..=399 => CreateVerdict::Redirected,
        500..=599 if response.body.as_deref().is_some_and(is_error_envelope) => CreateVerdict::VendorFailed,
        _ => CreateVerdict::OutcomeUnknown(UnknownCause::Unreadable),
    }
}

fn read_accepted(response: &VendorResponse) -> Option<CreateVerdict> {
    let prediction = read_prediction(response.body.as_deref()?)?;
    let vendor_id = prediction.id.clone()?;
    Some(CreateVerdict::Accepted { vendor_id, prediction })
}

/// Reads the vendor's reply to a poll or a cancel.
#[must_use]
pub fn read_poll_reply(reply: &VendorReply) -> PollVerdict {
    let VendorReply::Response(response) = reply else { return PollVerdict::VendorFailed };
    match response.status {
        200..=299 => {
            response.body.as_deref().and_then(read_prediction).map_or(PollVerdict::VendorFailed, PollVerdict::Found)
        }
        401 | 404 => PollVerdict::NotFound,
        429 => PollVerdict::Throttled { wait_millis: retry_after_millis(response).unwrap_or(THROTTLE_DEFAULT_MILLIS) },
        _ => PollVerdict::VendorFailed,
    }
}

/// Returns the milliseconds of a `Retry-After` in seconds (RFC 9110 section 10.2.3), from 1 s to an hour. A date is not
/// read: the vendor documents seconds.
fn retry_after_millis(response: &VendorResponse) -> Option<i64> {
    let secs: i64 = parse_digits(response.retry_after.as_deref()?.trim())?;
    Some(secs.clamp(1, RETRY_AFTER_MAX_SECS).saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVELOPE: &str = r#"{"error":{"type":"api_error","message":"m","code":"c"}}"#;

    fn answer(status: u16, body: &str, retry_after: Option<&str>) -> VendorReply {
        VendorReply::Response(VendorResponse {
            status,
            retry_after: retry_after.map(str::to_owned),
            rate_limit_remaining: None,
            rate_limit_reset: None,
            body: Some(body.as_bytes().to_vec()),
        })
    }

    #[test]
    fn every_reply_to_a_create_means_what_the_table_says() {
        let unreadable = CreateVerdict::OutcomeUnknown(UnknownCause::Unreadable);
        let cases = [
            (429, "", None, CreateVerdict::Throttled { wait_millis: 5_000 }),
            (429, "", Some("7"), CreateVerdict::Throttled { wait_millis: 7_000 }),
            (429, "", Some("-1"), CreateVerdict::Throttled { wait_millis: 5_000 }),
            (429, "", Some("99999999999"), CreateVerdict::Throttled { wait_millis: 3_600_000 }),
            (503, "", Some("2"), CreateVerdict::Throttled { wait_millis: 2_000 }),
            (503, "", None, unreadable.clone()),
            (503, ENVELOPE, None, CreateVerdict::VendorFailed),
            (401, ENVELOPE, None, CreateVerdict::KeyRefused),
            (402, ENVELOPE, None, CreateVerdict::KeyRefused),
            (403, ENVELOPE, None, CreateVerdict::ModelRefused),
            (404, "{\"detail\":\"x\"}", None, CreateVerdict::ModelRefused),
            (400, ENVELOPE, None, CreateVerdict::InputRefused),
            (422, "", None, CreateVerdict::InputRefused),
            (409, "", None, CreateVerdict::OtherRefusal),
            (451, "", None, CreateVerdict::OtherRefusal),
            (500, ENVELOPE, None, CreateVerdict::VendorFailed),
            (500, "oops", None, unreadable.clone()),
            (599, "{\"detail\":\"x\"}", None, unreadable.clone()),
            (301, "", None, CreateVerdict::Redirected),
            (304, "", None, CreateVerdict::Redirected),
            (200, "{\"id\":", None, unreadable.clone()),
            (201, "{}", None, unreadable.clone()),
            (201, "{\"status\":\"processing\"}", None, unreadable.clone()),
            (204, "", None, unreadable),
        ];
        for (status, body, retry_after, verdict) in cases {
            assert_eq!(
                read_create_reply(&answer(status, body, retry_after)),
                verdict,
                "{status} {body} {retry_after:?}"
            );
        }
        for lost in [VendorReply::TimedOut, VendorReply::Broken] {
            assert_eq!(read_create_reply(&lost), CreateVerdict::OutcomeUnknown(UnknownCause::NoResponse));
        }
        assert!(matches!(
            read_create_reply(&answer(200, r#"{"id":1,"status":"succeeded"}"#, None)),
            CreateVerdict::Accepted { vendor_id, .. } if vendor_id == "1"
        ));
    }

    #[test]
    fn a_body_over_the_limit_says_nothing() {
        let response = VendorResponse {
            status: 200,
            retry_after: None,
            rate_limit_remaining: None,
            rate_limit_reset: None,
            body: None,
        };
        assert_eq!(
            read_create_reply(&VendorReply::Response(response)),
            CreateVerdict::OutcomeUnknown(UnknownCause::Unreadable)
        );
    }

    #[test]
    fn a_poll_says_something_about_the_prediction_or_about_the_vendor() {
        assert!(matches!(read_poll_reply(&answer(200, r#"{"status":"failed"}"#, None)), PollVerdict::Found(_)));
        assert_eq!(read_poll_reply(&answer(404, "", None)), PollVerdict::NotFound);
        assert_eq!(read_poll_reply(&answer(401, "", None)), PollVerdict::NotFound);
        assert_eq!(read_poll_reply(&answer(429, "", Some("3"))), PollVerdict::Throttled { wait_millis: 3_000 });
        for failed in [
            answer(500, ENVELOPE, None),
            answer(200, "x", None),
            answer(302, "", None),
            VendorReply::TimedOut,
            VendorReply::Broken,
        ] {
            assert_eq!(read_poll_reply(&failed), PollVerdict::VendorFailed);
        }
    }
}
