//! The messages that a Ledger gets.

use valetkey::messages::{
    Caller, CreateRequest, Deadline, IdempotencyKey, JobEnd, JobSpec, JobUpdate, JtiCaps, LedgerCall, LedgerRequest,
    PlanLimits, ProofUse, Stage,
};
use valetkey::types::credits::MicroCredits;
use valetkey::types::file::FileLimits;
use valetkey::types::ids::{BatchId, JobId, RequestId, UserKey};
use valetkey::types::model::ModelId;
use valetkey::types::time::UnixMillis;

use crate::dispatcher::GUEST;
use crate::files::MAX_FILES;
use crate::ledger::{CAP, CREATES_A_MINUTE, DAILY, REQUESTS_A_MINUTE};
use crate::world::USERS;

/// The model's longest run.
pub const MAX_SECONDS: u32 = 30;
/// How long a token is valid.
pub const TOKEN_MILLIS: i64 = 30 * 86_400_000;

pub fn user(number: u8) -> UserKey {
    UserKey::new("issuer", &number.to_string())
}

/// Returns the `jti` of a user's token. Token 0 has none, and token 1 has caps.
pub fn jti(token: u8) -> Option<String> {
    (token > 0).then(|| format!("token {token}"))
}

pub fn spec(job_id: JobId, user: u8) -> JobSpec {
    JobSpec {
        job_id,
        model: ModelId::parse(if user == 0 { "acme/other" } else { "acme/model" }).unwrap(),
        input: serde_json::Map::new(),
        image_count: 1,
        credits: MicroCredits::parse("2.5").unwrap(),
        max_seconds: MAX_SECONDS,
    }
}

/// Returns an update by the Dispatcher of a prediction that is being sent, or has ended.
pub fn update(job_id: &JobId, sequence: u64, end: Option<JobEnd>) -> JobUpdate {
    let stage = if end.is_some() { Stage::Ended } else { Stage::Submitting };
    JobUpdate {
        job_id: job_id.clone(),
        sequence,
        stage,
        at: job_id.created_at(),
        cancel_requested: false,
        queue: None,
        end,
        late_at: None,
    }
}

pub fn create(user_number: u8, specs: Vec<JobSpec>, key: Option<u8>, token: u8, now: UnixMillis) -> LedgerCall {
    let caps = (token == 1).then(|| JtiCaps {
        jti: jti(token).unwrap(),
        max_predictions: Some(CAP),
        max_credits: None,
        expires_at: now.plus_millis(TOKEN_MILLIS),
    });
    let batch_id = (specs.len() > 1).then(|| {
        let text = specs[0].job_id.as_str().replace("pred_", "batch_");
        BatchId::parse(&text).unwrap()
    });
    let request = CreateRequest {
        token_id: jti(token),
        user: user(user_number),
        specs,
        files: Vec::new(),
        batch_id,
        idempotency_key: key.map(|key| IdempotencyKey {
            hash: "h".into(),
            request_hash: None,
            value: format!("key {key}"),
        }),
        limits: PlanLimits {
            plan: if user_number + 1 == USERS { GUEST } else { "default" }.into(),
            predictions_per_minute: CREATES_A_MINUTE,
            concurrent_predictions: 2,
            daily_credits: MicroCredits::parse(DAILY).unwrap(),
            weight: 1,
            max_waiting: 6,
        },
        caps,
        deadline: Deadline::after(now, 2_000),
        max_wait_secs: 60,
    };
    counted(LedgerRequest::Create(Box::new(request)), token, now)
}

/// Returns the use of a proof of possession by a request.
pub fn proof(number: u8, request: RequestId, start: UnixMillis) -> ProofUse {
    ProofUse { id: format!("proof {number}"), request, expires_at: start.plus_millis(3_600_000).seconds() }
}

/// Returns the message that reserves room for an upload.
pub fn reserve_file(upload: &RequestId, now: UnixMillis) -> LedgerCall {
    let limits = FileLimits { max_files: MAX_FILES, max_bytes: 1_000 };
    counted(LedgerRequest::ReserveFile { upload: upload.clone(), bytes: 1, limits }, 0, now)
}

/// Returns the message of a caller, who is counted.
pub fn counted(request: LedgerRequest, token: u8, now: UnixMillis) -> LedgerCall {
    let caller = Caller {
        issued_at: now.seconds(),
        jti: jti(token),
        requests_per_minute: Some(REQUESTS_A_MINUTE),
        is_repeat: false,
        proof: None,
    };
    LedgerCall { caller: Some(caller), request }
}

/// Returns a message of the edge or of the Dispatcher.
pub fn uncounted(request: LedgerRequest) -> LedgerCall {
    LedgerCall { caller: None, request }
}

/// Returns the predictions of a create.
pub fn job_ids(call: &LedgerCall) -> Vec<JobId> {
    match &call.request {
        LedgerRequest::Create(request) => request.specs.iter().map(|spec| spec.job_id.clone()).collect(),
        _ => Vec::new(),
    }
}
