//! Parses the body of a create.

use serde_json::{Map, Value};

use super::error::VendorError;
use crate::catalog::{ASPECT_RATIOS, Model};
use crate::prediction::JobSpec;
use crate::webhook;

/// Maximum number of outputs of one prediction.
const MAX_IMAGE_COUNT: u64 = 10;

/// Parses `{"input":{"prompt",…},"image_count"?,"webhook"?,"model"?,"provider"?}` for a model.
///
/// # Errors
/// 400 that names the invalid member. Unknown members and inputs are ignored, because the vendor does not document that
/// it refuses them.
pub fn parse_job_spec(model: &'static Model, body: &Map<String, Value>) -> Result<JobSpec, VendorError> {
    let Some(Value::Object(input)) = body.get("input") else {
        return Err(invalid("input", "It must be an object."));
    };
    check_input(input)?;
    check_same(body, "model", &[model.name.to_owned(), model.full_name()])?;
    check_same(body, "provider", &[model.owner.to_owned()])?;
    Ok(JobSpec { model, input: input.clone(), image_count: image_count(body)?, webhook: webhook(body)? })
}

fn check_input(input: &Map<String, Value>) -> Result<(), VendorError> {
    match input.get("prompt") {
        Some(Value::String(prompt)) if !prompt.is_empty() => {}
        _ => return Err(invalid("prompt", "It must be a text that is not empty.")),
    }
    if input.get("input_image").is_some_and(|image| !image.is_string()) {
        return Err(invalid("input_image", "It must be a text."));
    }
    let known = |ratio: &Value| ratio.as_str().is_some_and(|ratio| ASPECT_RATIOS.contains(&ratio));
    match input.get("aspect_ratio") {
        Some(ratio) if !known(ratio) => Err(invalid("aspect_ratio", "It is none of the known ratios.")),
        _ => Ok(()),
    }
}

/// Checks that a member that repeats a part of the path agrees with it.
fn check_same(body: &Map<String, Value>, name: &str, allowed: &[String]) -> Result<(), VendorError> {
    match body.get(name) {
        None => Ok(()),
        Some(Value::String(value)) if allowed.contains(value) => Ok(()),
        Some(_) => Err(invalid(name, "It differs from the path.")),
    }
}

fn image_count(body: &Map<String, Value>) -> Result<u64, VendorError> {
    let Some(value) = body.get("image_count") else { return Ok(1) };
    let count = value.as_u64().filter(|count| (1..=MAX_IMAGE_COUNT).contains(count));
    count.ok_or_else(|| invalid("image_count", "It must be an integer from 1 to 10."))
}

fn webhook(body: &Map<String, Value>) -> Result<Option<String>, VendorError> {
    let Some(value) = body.get("webhook") else { return Ok(None) };
    let url = value.as_str().filter(|url| webhook::parse_url(url).is_some());
    url.map(|url| Some(url.to_owned())).ok_or_else(|| invalid("webhook", "This stand-in calls http://<loopback> only."))
}

fn invalid(param: &str, problem: &str) -> VendorError {
    VendorError::invalid_request(&format!("Invalid {param}. {problem}"), Some(param))
}
