//! What each vendor answer means: the tables of docs/architecture.md as exhaustive matches.

use crate::constants::{RETRY_AFTER_MAX_SECS, THROTTLE_DEFAULT_MILLIS};
use crate::parse::digits::parse_digits;
use crate::vendor::reply::{
    Progress, VendorPrediction, VendorReply, VendorResponse, is_error_envelope, read_prediction,
};

/// What the vendor said to a create.
#[derive(Clone, Debug, PartialEq)]
pub enum CreateVerdict {
    /// It took the prediction.
    Accepted {
        /// The vendor's id.
        vendor_id: String,
        /// What else it told; it may have ended already.
        prediction: VendorPrediction,
    },
    /// Try again after so many milliseconds.
    Throttled {
        /// Wait.
        wait_millis: i64,
    },
    /// 401 or 402: the key is in trouble, not the prediction.
    KeyRefused,
    /// 403 or 404: this model is not ours.
    ModelRefused,
    /// 400 or 422: the input is wrong.
    InputRefused,
    /// Another 4xx: refused.
    OtherRefusal,
    /// A 5xx with the vendor's envelope: refused, and a failure of the vendor.
    VendorFailed,
    /// A 3xx: refused, and hostile or broken.
    Redirected,
    /// Nobody can tell whether the vendor has it.
    OutcomeUnknown(UnknownCause),
}

/// Why an outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownCause {
    /// No complete answer in time: 504.
    NoAnswer,
    /// An answer that says nothing: 502.
    Unreadable,
}

/// What the vendor said to a poll or a cancel.
#[derive(Clone, Debug, PartialEq)]
pub enum PollVerdict {
    /// Where the prediction is.
    Found(VendorPrediction),
    /// 404 or 401: no such prediction for this key.
    NotFound,
    /// Not now: wait so many milliseconds with every poll.
    Throttled {
        /// Wait.
        wait_millis: i64,
    },
    /// The vendor failed, which says nothing about the prediction.
    VendorFailed,
}

/// Reads the answer to a create.
#[must_use]
pub fn read_create_reply(answer: &VendorReply) -> CreateVerdict {
    let response = match answer {
        VendorReply::Response(response) => response,
        VendorReply::TimedOut | VendorReply::Broken => return CreateVerdict::OutcomeUnknown(UnknownCause::NoAnswer),
    };
    match response.status {
        200..=299 => accepted(response).unwrap_or(CreateVerdict::OutcomeUnknown(UnknownCause::Unreadable)),
        429 => CreateVerdict::Throttled { wait_millis: wait_millis(response).unwrap_or(THROTTLE_DEFAULT_MILLIS) },
        503 if wait_millis(response).is_some() => {
            CreateVerdict::Throttled { wait_millis: wait_millis(response).unwrap_or(THROTTLE_DEFAULT_MILLIS) }
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

fn accepted(response: &VendorResponse) -> Option<CreateVerdict> {
    let prediction = read_prediction(response.body.as_deref()?)?;
    let vendor_id = prediction.id.clone()?;
    Some(CreateVerdict::Accepted { vendor_id, prediction })
}

/// Reads the answer to a status request or a cancel.
#[must_use]
pub fn read_poll_reply(answer: &VendorReply) -> PollVerdict {
    let VendorReply::Response(response) = answer else { return PollVerdict::VendorFailed };
    match response.status {
        200..=299 => {
            response.body.as_deref().and_then(read_prediction).map_or(PollVerdict::VendorFailed, PollVerdict::Found)
        }
        401 | 404 => PollVerdict::NotFound,
        429 => PollVerdict::Throttled { wait_millis: wait_millis(response).unwrap_or(THROTTLE_DEFAULT_MILLIS) },
        _ => PollVerdict::VendorFailed,
    }
}

/// Milliseconds of a `Retry-After` in seconds (RFC 9110 section 10.2.3), from 1 s to an hour. The vendor documents
/// seconds; a date is not read.
fn wait_millis(response: &VendorResponse) -> Option<i64> {
    let secs: i64 = parse_digits(response.retry_after.as_deref()?.trim())?;
    Some(secs.clamp(1, RETRY_AFTER_MAX_SECS).saturating_mul(1_000))
}

impl Progress {
    /// Whether nothing can follow.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Canceled => true,
        }
    }
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
    fn every_answer_to_a_create_means_what_the_table_says() {
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
            assert_eq!(read_create_reply(&lost), CreateVerdict::OutcomeUnknown(UnknownCause::NoAnswer));
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
