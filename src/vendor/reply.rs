//! Reads the vendor's responses. Two shapes of a prediction become one (vendor-api 3).

use super::body::VendorBody;
use super::cost::Cost;
use super::document::Document;
use super::progress::Progress;
use super::vendor_id::IdMember;
use crate::types::model::ModelId;

/// The vendor's reply to a request: a response, a time-out, or a broken connection.
#[derive(Clone, Debug, PartialEq)]
pub enum VendorReply {
    /// A complete response.
    Response(VendorResponse),
    /// No complete response arrived in time.
    TimedOut,
    /// The connection failed or broke.
    Broken,
}

/// A complete response of the vendor.
#[derive(Clone, Debug, PartialEq)]
pub struct VendorResponse {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`, as sent.
    pub retry_after: Option<String>,
    /// The headers `X-RateLimit-*`.
    pub rate_limit: RateLimit,
    /// The content of the body.
    pub body: VendorBody,
}

/// The headers `X-RateLimit-*`, as sent (vendor-api 5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// `X-RateLimit-Limit`.
    pub limit: Option<String>,
    /// `X-RateLimit-Remaining`.
    pub remaining: Option<String>,
    /// `X-RateLimit-Reset`.
    pub reset: Option<String>,
}

impl VendorReply {
    /// Returns the HTTP status, if there is a response.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Response(response) => Some(response.status),
            Self::TimedOut | Self::Broken => None,
        }
    }

    /// Returns whether the body exceeded Valetkey's size limits. It raises an alert, but is no failure of the vendor.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::Response(response) if response.body == VendorBody::TooLarge)
    }
}

/// A prediction as the vendor reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct VendorPrediction {
    /// The vendor's id: `job_id`, else `id`, as text.
    pub id: Option<String>,
    /// The vendor's status.
    pub progress: Progress,
    /// The vendor's status word if it is unknown. It is never shown, and never logged unchanged.
    pub unknown_status: Option<String>,
    /// Output URLs as sent. [`super::output::OutputRule`] decides which reach the client.
    pub output: Vec<String>,
    /// `credits_used`.
    pub cost: Cost,
    /// `metrics.predict_time` in seconds, if it is finite and not negative.
    pub predict_time: Option<f64>,
}

/// Reads a prediction of either shape. Returns `None` if the body is not one JSON object with an id or a status.
#[must_use]
pub fn read_prediction(body: &VendorBody) -> Option<VendorPrediction> {
    let document = body.document()?;
    let word = document.status.as_ref().and_then(Option::as_deref);
    let progress = word.and_then(Progress::of_word);
    let prediction = VendorPrediction {
        id: read_first_id([&document.job_id, &document.id]),
        progress: progress.unwrap_or(Progress::Running),
        unknown_status: word.filter(|_| progress.is_none()).map(str::to_owned),
        output: if document.output.is_empty() { document.output_urls.clone() } else { document.output.clone() },
        cost: document.cost,
        predict_time: document.predict_time,
    };
    (prediction.id.is_some() || document.status.is_some()).then_some(prediction)
}

/// Reads the id of an uploaded file: `file_id`, else `id`, as text. The vendor documents neither.
#[must_use]
pub fn read_file_id(body: &VendorBody) -> Option<String> {
    body.document().and_then(|document| read_first_id([&document.file_id, &document.id]))
}

/// Reads the reply to a fetch of the model list. Returns `None` if it has no readable model.
#[must_use]
pub fn read_models(reply: &VendorReply) -> Option<Vec<ModelId>> {
    match reply {
        VendorReply::Response(response) if (200..=299).contains(&response.status) => {
            response.body.document().and_then(Document::models).map(<[_]>::to_vec)
        }
        VendorReply::Response(_) | VendorReply::TimedOut | VendorReply::Broken => None,
    }
}

/// Returns whether a body is the vendor's error envelope (vendor-api 4).
#[must_use]
pub fn is_error_envelope(body: &VendorBody) -> bool {
    body.document().is_some_and(Document::is_error_envelope)
}

/// Returns whether a body repeats an id with a different value. Such an id is not used.
#[must_use]
pub fn has_id_conflict(body: &VendorBody) -> bool {
    let conflicts =
        |document: &Document| [&document.job_id, &document.id, &document.file_id].map(IdMember::has_conflict);
    body.document().is_some_and(|document| conflicts(document).contains(&true))
}

/// Returns the first usable id. An unusable member does not hide the other one. If one member has two different values,
/// the response cannot be trusted about ids, so the other member is not used either.
fn read_first_id(members: [&IdMember; 2]) -> Option<String> {
    let is_trusted = !members.iter().any(|member| member.has_conflict());
    members.iter().find_map(|member| member.get()).filter(|_| is_trusted).map(str::to_owned)
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
