//! One prediction, and the vendor's two response shapes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::catalog::Model;
use crate::clock::iso8601;
use crate::credits::Credits;
use crate::settings::ResponseShape;

/// The status of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Accepted over the concurrency limit: waits until another prediction ends.
    Queued,
    /// Running.
    Processing,
    /// Ended with outputs.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Canceled by its account.
    Canceled,
}

impl Status {
    /// Returns whether this status is final.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }
}

/// One prediction to be made, as its create request describes it.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// The model in the path.
    pub model: &'static Model,
    /// The `input` object.
    pub input: Map<String, Value>,
    /// Number of outputs.
    pub image_count: u64,
    /// URL that the ended prediction is posted to.
    pub webhook: Option<String>,
}

impl JobSpec {
    /// Returns the price of all outputs.
    pub fn cost(&self) -> Credits {
        self.model.credits.times(self.image_count)
    }

    /// Returns the prompt.
    pub fn prompt(&self) -> &str {
        self.input.get("prompt").and_then(Value::as_str).unwrap_or_default()
    }
}

/// A prediction, running or ended.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// `pred_…`, shape 1's `job_id`.
    pub id: String,
    /// Shape 2's integer `id`. Newer predictions have higher numbers.
    pub number: u64,
    /// The account that pays.
    pub account: String,
    /// The create request.
    pub spec: JobSpec,
    /// The status now.
    pub status: Status,
    /// When it was created.
    pub created_ms: u64,
    /// When it started to run; the time of its create while it is queued.
    pub started_ms: u64,
    /// When it ended.
    pub completed_ms: Option<u64>,
    /// The cost that the control API set, instead of the price.
    pub credits_used: Option<Credits>,
}

impl Prediction {
    /// Returns the cost: the price while it runs and after success, nothing after failure or cancel.
    pub fn credits(&self) -> Credits {
        match (self.credits_used, self.status) {
            (Some(credits), _) => credits,
            (None, Status::Failed | Status::Canceled) => Credits::default(),
            (None, _) => self.spec.cost(),
        }
    }

    /// Renders the prediction in the given shape; `Mixed` renders shape 1. `base` is this server's `http://host:port`,
    /// and `outputs_base` is the prefix of output URLs.
    pub fn to_json(&self, shape: ResponseShape, base: &str, outputs_base: &str) -> Value {
        match shape {
            ResponseShape::Rest | ResponseShape::Mixed => self.rest(base, outputs_base),
            ResponseShape::Flux => self.flux(outputs_base),
        }
    }

    fn rest(&self, base: &str, outputs_base: &str) -> Value {
        let mut members = json!({
            "job_id": self.id,
            "status": self.status,
            "model": self.spec.model.name,
            "created_at": iso8601(self.created_ms),
            "urls": {"get": format!("{base}/v1/status/{}", self.id), "cancel": format!("{base}/v1/cancel/{}", self.id)},
        });
        let mut set =
            |name: &str, value: Value| members.as_object_mut().map(|members| members.insert(name.to_owned(), value));
        if let Some(completed_ms) = self.completed_ms {
            let seconds = Self::seconds(completed_ms.saturating_sub(self.started_ms));
            set("completed_at", json!(iso8601(completed_ms)));
            set("metrics", json!({"predict_time": seconds}));
        }
        if let Some(credits) = self.credits_used {
            set("credits_used", json!(credits));
        }
        match self.status {
            Status::Succeeded => drop(set("output", json!(self.outputs(outputs_base)))),
            Status::Failed => drop(set("error", Self::failure())),
            Status::Queued | Status::Processing | Status::Canceled => {}
        }
        members
    }

    fn flux(&self, outputs_base: &str) -> Value {
        let urls = if self.status == Status::Succeeded { self.outputs(outputs_base) } else { Vec::new() };
        let mut members = json!({
            "id": self.number,
            "user_id": self.account,
            "model": self.spec.model.owner,
            "model_version": self.spec.model.name,
            "input_parameters": self.spec.input,
            "output_data": {"urls": urls},
            "status": self.status,
            "credits_used": self.credits(),
            "created_at": iso8601(self.created_ms),
            "updated_at": iso8601(self.completed_ms.unwrap_or(self.started_ms)),
        });
        if self.status == Status::Failed
            && let Some(members) = members.as_object_mut()
        {
            members.insert("error".to_owned(), Self::failure());
        }
        members
    }

    /// Returns one URL for each output: `…/outputs/<id>.png`, `…/outputs/<id>-2.png` and so on.
    fn outputs(&self, outputs_base: &str) -> Vec<String> {
        let name = |number| if number == 1 { self.id.clone() } else { format!("{}-{number}", self.id) };
        (1..=self.spec.image_count).map(|number| format!("{outputs_base}/outputs/{}.png", name(number))).collect()
    }

    /// Returns the error of a failed prediction. The vendor does not document it; an object is one of the two likely
    /// forms.
    fn failure() -> Value {
        json!({"code": "generation_failed", "message": "The model could not make this picture."})
    }

    /// Converts milliseconds to seconds.
    fn seconds(ms: u64) -> f64 {
        ms as f64 / 1000.0
    }
}
