//! Replies of the vendor to the Dispatcher.

use valetkey::vendor::body::VendorBody;
use valetkey::vendor::reply::{RateLimit, VendorReply, VendorResponse};

/// The vendor's error envelope.
pub const ENVELOPE: &str = r#"{"error":{"type":"t","message":"m","code":"c"}}"#;
/// The reply to a create or a poll: the prediction runs.
pub const RUNNING: &str = r#"{"job_id":"v","status":"processing"}"#;

/// Returns a response without headers.
pub fn answer(status: u16, body: &str) -> VendorReply {
    VendorReply::Response(VendorResponse {
        status,
        retry_after: None,
        rate_limit: RateLimit::default(),
        body: VendorBody::read(body.as_bytes()),
    })
}
