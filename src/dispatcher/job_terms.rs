//! The terms of a prediction to be made: everything but its input.

use serde::de::IgnoredAny;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::messages::JobSpec;
use crate::types::credits::MicroCredits;
use crate::types::ids::JobId;
use crate::types::model::ModelId;
use crate::types::time::UtcDay;

/// A [`JobSpec`] whose input is in the table `inputs`, or deleted. Inputs can be large, so the machine never holds one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTerms {
    /// Valetkey's id of the prediction.
    pub job_id: JobId,
    /// The model to run.
    pub model: ModelId,
    /// True once the input is deleted. Such a row has an empty `input`, as in the build before, which can read it. The
    /// build before cannot read a row whose input is in the table `inputs`, and so never sends a create without it.
    #[serde(
        rename = "input",
        default,
        skip_serializing_if = "std::ops::Not::not",
        serialize_with = "write_empty_object",
        deserialize_with = "skip_value"
    )]
    is_input_deleted: bool,
    /// Number of images, at least 1.
    pub image_count: u32,
    /// Reserved credits.
    pub credits: MicroCredits,
    /// The model's longest run, seconds.
    pub max_seconds: u32,
    /// Length of the stored input, bytes of JSON. 0 once it is deleted.
    #[serde(default, skip_serializing_if = "is_zero")]
    input_bytes: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
const fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn write_empty_object<S: Serializer>(_: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_map(Some(0))?.end()
}

fn skip_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl JobTerms {
    /// Returns the terms of a prediction, and its input as JSON.
    #[must_use]
    pub fn split(spec: JobSpec) -> (Self, String) {
        let JobSpec { job_id, model, input, image_count, credits, max_seconds } = spec;
        let input = serde_json::Value::Object(input).to_string();
        let input_bytes = u32::try_from(input.len()).unwrap_or(u32::MAX);
        (Self { job_id, model, is_input_deleted: false, image_count, credits, max_seconds, input_bytes }, input)
    }

    /// Returns the length of the stored input in bytes.
    #[must_use]
    pub fn input_bytes(&self) -> usize {
        usize::try_from(self.input_bytes).unwrap_or(usize::MAX)
    }

    /// Notes that the stored input is deleted.
    pub(super) const fn drop_input(&mut self) {
        self.input_bytes = 0;
        self.is_input_deleted = true;
    }

    /// Returns the UTC day on which the credits are booked ([`JobSpec::day`]).
    #[must_use]
    pub fn day(&self) -> UtcDay {
        self.job_id.created_at().utc_day()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_format_unchanged() {
        let spec: JobSpec = serde_json::from_str(
            r#"{"job_id":"pred_01jh0000000000000000000000","model":"acme/x","input":{"b":"\u0001","a":[1.0,1e300]},"image_count":1,"credits":2,"max_seconds":3}"#,
        )
        .unwrap();
        let (mut terms, input) = JobTerms::split(spec);
        assert_eq!(input, r#"{"a":[1.0,1e+300],"b":"\u0001"}"#);
        let text = r#"{"job_id":"pred_01jh0000000000000000000000","model":"acme/x","image_count":1,"credits":2,"max_seconds":3,"input_bytes":31}"#;
        assert_eq!(serde_json::to_string(&terms).unwrap(), text);
        assert_eq!(serde_json::from_str::<JobTerms>(text).unwrap(), terms);
        assert!(serde_json::from_str::<JobSpec>(text).is_err(), "the build before must not send it without its input");
        terms.drop_input();
        let text = r#"{"job_id":"pred_01jh0000000000000000000000","model":"acme/x","input":{},"image_count":1,"credits":2,"max_seconds":3}"#;
        assert_eq!(serde_json::to_string(&terms).unwrap(), text);
        assert_eq!(serde_json::from_str::<JobTerms>(text).unwrap(), terms);
        assert!(serde_json::from_str::<JobSpec>(text).is_ok(), "the build before polls it");
    }
}
