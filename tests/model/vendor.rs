//! The vendor's possible responses to a request in flight.

use valetkey::vendor::body::VendorBody;
use valetkey::vendor::reply::{RateLimit, VendorReply, VendorResponse};

/// The outcome of a vendor request, or of a message between the objects.
#[derive(Clone, Copy, Debug)]
pub enum Vendor {
    Good,
    Ended,
    EndedDearer,
    Canceled,
    LostAfterwards,
    NeverArrived,
    Throttled,
    KeyRefused,
    ModelRefused,
    InputRefused,
    Failed,
    Garbage,
    /// Harmless oddities around a prediction that has ended.
    Odd,
    /// A page of a firewall.
    Blocked,
    /// The error envelope in a 200.
    EnvelopeIn200,
    /// 503 with a date, or a body that is too large.
    Later,
}

impl Vendor {
    /// Returns whether a create with this outcome exists at the vendor.
    pub fn accepts_create(self) -> bool {
        matches!(self, Self::Good | Self::Ended | Self::EndedDearer | Self::Canceled | Self::LostAfterwards | Self::Odd)
    }

    /// Returns whether a message between the objects arrives, and whether its reply does.
    pub fn message(self) -> (bool, bool) {
        match self {
            Self::Good | Self::Ended | Self::EndedDearer | Self::Canceled | Self::InputRefused | Self::Odd => {
                (true, true)
            }
            Self::LostAfterwards | Self::Throttled | Self::Failed | Self::Blocked | Self::Later => (true, false),
            Self::NeverArrived | Self::KeyRefused | Self::ModelRefused | Self::Garbage | Self::EnvelopeIn200 => {
                (false, false)
            }
        }
    }
}

const ENVELOPE: &str = r#"{"error":{"type":"t","message":"m","code":"c"}}"#;
const ENDED: &str = r#"{"job_id":"v1","status":"succeeded","output":["https://a.example/b"]}"#;
const DEARER: &str = r#"{"job_id":"v1","status":"succeeded","credits_used":"4"}"#;

/// A byte order mark, `NaN`, a cost that cannot be read, repeated members, an unpaired surrogate.
const ODD: &str = concat!(
    "\u{feff}",
    r#"{"job_id":"v1","status":"running","status":"Completed","metrics":{"predict_time":NaN},"#,
    r#""credits_used":"much","logs":"\ud83d"}"#
);

fn too_large() -> VendorReply {
    VendorReply::Response(VendorResponse {
        status: 200,
        retry_after: None,
        rate_limit: RateLimit::default(),
        body: VendorBody::TooLarge,
    })
}

pub fn answer(status: u16, body: &str, retry_after: Option<&str>) -> VendorReply {
    VendorReply::Response(VendorResponse {
        status,
        retry_after: retry_after.map(str::to_owned),
        rate_limit: RateLimit::default(),
        body: VendorBody::read(body.as_bytes()),
    })
}

/// Returns the response to a create.
pub fn to_create(vendor: Vendor) -> VendorReply {
    match vendor {
        Vendor::Good | Vendor::Canceled => answer(201, r#"{"job_id":"v1","status":"processing"}"#, None),
        Vendor::Ended => answer(201, ENDED, None),
        Vendor::EndedDearer => answer(201, DEARER, None),
        Vendor::LostAfterwards => VendorReply::Broken,
        Vendor::NeverArrived => VendorReply::TimedOut,
        Vendor::Throttled => answer(429, "", Some("2")),
        Vendor::KeyRefused => answer(401, ENVELOPE, None),
        Vendor::ModelRefused => answer(404, ENVELOPE, None),
        Vendor::InputRefused => answer(422, ENVELOPE, None),
        Vendor::Failed => answer(500, ENVELOPE, None),
        Vendor::Garbage => answer(200, "<html>", None),
        Vendor::Odd => answer(201, ODD, None),
        Vendor::Blocked => answer(403, "<html>", None),
        Vendor::EnvelopeIn200 => answer(200, ENVELOPE, None),
        Vendor::Later => answer(503, "", Some("Wed, 21 Oct 2015 07:28:00 GMT")),
    }
}

/// Returns the response to a poll or a cancel.
pub fn to_poll(vendor: Vendor) -> VendorReply {
    match vendor {
        Vendor::Good | Vendor::InputRefused => answer(200, r#"{"job_id":"v1","status":"processing"}"#, None),
        Vendor::Ended => answer(200, ENDED, None),
        Vendor::EndedDearer => answer(200, DEARER, None),
        Vendor::Canceled => answer(200, r#"{"job_id":"v1","status":"canceled"}"#, None),
        Vendor::ModelRefused => answer(404, ENVELOPE, None),
        Vendor::KeyRefused => answer(401, ENVELOPE, None),
        Vendor::Throttled => answer(429, "", Some("3")),
        Vendor::Failed => answer(500, ENVELOPE, None),
        Vendor::Garbage => answer(200, "<html>", None),
        Vendor::Odd => answer(200, ODD, None),
        Vendor::Blocked => answer(403, "<html>", None),
        Vendor::EnvelopeIn200 => answer(200, ENVELOPE, None),
        Vendor::Later => too_large(),
        Vendor::LostAfterwards | Vendor::NeverArrived => VendorReply::TimedOut,
    }
}
