//! One prediction, and the two shapes in which the vendor shows it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::catalog::Model;
use crate::clock::iso8601;
use crate::credits::Credits;
use crate::settings::ResponseShape;

/// Where a prediction is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Accepted over the concurrency limit, waits for another to end.
    Queued,
    /// Runs.
    Processing,
    /// Completion with outputs.
    Succeeded,
    /// Completion with an error.
    Failed,
    /// Completion by its owner.
    Canceled,
}

impl Status {
    /// Nothing changes a prediction after this.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }
}

/// What a client asked for.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// The model in the path.
    pub model: &'static Model,
    /// The `input` object.
    pub input: Map<String, Value>,
    /// How many outputs.
    pub image_count: u64,
    /// Where to report the end.
    pub webhook: Option<String>,
}

impl JobSpec {
    /// The price.
    pub fn cost(&self) -> Credits {
        self.model.credits.times(self.image_count)
    }

    /// The prompt.
    pub fn prompt(&self) -> &str {
        self.input.get("prompt").and_then(Value::as_str).unwrap_or_default()
    }
}

/// A prediction.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// `pred_…`, shape 1's `job_id`.
    pub id: String,
    /// ResponseShape 2's integer `id`; higher is newer.
    pub number: u64,
    /// The account that pays.
    pub account: String,
    /// What was asked for.
    pub spec: JobSpec,
    /// Where it is in its life.
    pub status: Status,
    /// When it was created.
    pub created_ms: u64,
    /// When it began to run; the time of its create while it is queued.
    pub started_ms: u64,
    /// When it ended.
    pub completed_ms: Option<u64>,
    /// The cost that the control API decided.
    pub credits_used: Option<Credits>,
}

impl Prediction {
    /// What it cost, or will.
    pub fn credits(&self) -> Credits {
        match (self.credits_used, self.status) {
            (Some(credits), _) => credits,
            (None, Status::Failed | Status::Canceled) => Credits::default(),
            (None, _) => self.spec.cost(),
        }
    }

    /// The answer in the given shape; `Mixed` shows shape 1. `base` is this server's `http://host:port`, and
    /// `outputs_base` what output URLs start with.
    pub fn to_json(&self, shape: ResponseShape, base: &str, outputs_base: &str) -> Value {
        match shape {
            ResponseShape::Rest | ResponseShape::Mixed => self.rest(base, outputs_base),
            ResponseShape::Flux => self.flux(outputs_base),
        }
    }

    fn rest(&self, base: &str, outputs_base: &str) -> Value {
        let mut answer = json!({
            "job_id": self.id,
            "status": self.status,
            "model": self.spec.model.name,
            "created_at": iso8601(self.created_ms),
            "urls": {"get": format!("{base}/v1/status/{}", self.id), "cancel": format!("{base}/v1/cancel/{}", self.id)},
        });
        let mut set =
            |name: &str, value: Value| answer.as_object_mut().map(|members| members.insert(name.to_owned(), value));
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
        answer
    }

    fn flux(&self, outputs_base: &str) -> Value {
        let urls = if self.status == Status::Succeeded { self.outputs(outputs_base) } else { Vec::new() };
        let mut answer = json!({
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
            && let Some(members) = answer.as_object_mut()
        {
            members.insert("error".to_owned(), Self::failure());
        }
        answer
    }

    /// One URL for each output: `…/outputs/<id>.png`, then `…/outputs/<id>-2.png` and so on.
    fn outputs(&self, outputs_base: &str) -> Vec<String> {
        let name = |number| if number == 1 { self.id.clone() } else { format!("{}-{number}", self.id) };
        (1..=self.spec.image_count).map(|number| format!("{outputs_base}/outputs/{}.png", name(number))).collect()
    }

    /// The vendor does not document a failed prediction's error; an object is one of the two likely forms.
    fn failure() -> Value {
        json!({"code": "generation_failed", "message": "The model could not make this picture."})
    }

    /// Seconds with milliseconds after the point.
    fn seconds(ms: u64) -> f64 {
        ms as f64 / 1000.0
    }
}
