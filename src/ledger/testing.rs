//! A create for the unit tests.

use super::admission::{Admission, decide_admission};
use crate::limit::minute_window::MinuteWindow;
use crate::messages::{CreateRequest, Deadline, JobSpec, LedgerRefusal, PlanLimits};
use crate::types::credits::MicroCredits;
use crate::types::ids::{JobId, UserKey};
use crate::types::model::ModelId;
use crate::types::time::UnixMillis;

pub const NOW: UnixMillis = UnixMillis(1_768_473_000_000);

pub fn credits(text: &str) -> MicroCredits {
    MicroCredits::parse(text).unwrap()
}

pub fn spec(number: u8) -> JobSpec {
    JobSpec {
        job_id: JobId::new(NOW, [number; 10]),
        model: ModelId::parse("acme/model-x").unwrap(),
        input: serde_json::Map::new(),
        image_count: 1,
        credits: credits("2.5"),
        max_seconds: 600,
    }
}

/// Returns a create of one prediction, by a user with `daily` credits per day and ten creates per minute.
pub fn request(daily: &str) -> CreateRequest {
    CreateRequest {
        token_id: None,
        user: UserKey::new("i", "s"),
        specs: vec![spec(1)],
        files: Vec::new(),
        batch_id: None,
        idempotency_key: None,
        limits: PlanLimits {
            plan: "default".into(),
            predictions_per_minute: 10,
            concurrent_predictions: 2,
            daily_credits: credits(daily),
            weight: 1,
            max_waiting: 20,
        },
        caps: None,
        deadline: Deadline::after(NOW, 2_000),
        max_wait_secs: 600,
    }
}

pub fn admit(request: &CreateRequest) -> Result<Admission, LedgerRefusal> {
    decide_admission(request, Default::default(), &mut MinuteWindow::default(), NOW)
}
