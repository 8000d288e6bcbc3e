//! `POST /v1/{owner}/{model}/predictions`, batches and estimates.

use serde_json::{Map, Value, json};

use crate::cloudflare::http::context::Call;
use crate::cloudflare::http::response::Response;
use crate::cloudflare::objects::client::{
    ask_dispatcher, ask_ledger, ask_ledger_again, tell_ledger, unexpected, use_proof,
};
use crate::cloudflare::runtime::platform;
use crate::constants::{
    ACK_TIMEOUT_MILLIS, BATCH_BODY_MAX_BYTES, BATCH_MAX_DEPTH, BODY_MAX_DEPTH, CREATE_BODY_MAX_BYTES,
    EVENT_POLL_MILLIS, MILLIS_PER_SECOND, OTHER_BODY_MAX_BYTES, OUTCOME_WAIT_MILLIS,
};
use crate::ledger::batch_status;
use crate::messages::{
    CreateOutcome, CreateRequest, Deadline, DispatcherReply, DispatcherRequest, FileUse, IdempotencyKey, JobSpec,
    JtiCaps, LedgerRefusal, LedgerReply, LedgerRequest, PlanLimits,
};
use crate::parse::digits::parse_digits;
use crate::parse::json::parse_strict_object;
use crate::policy::{self, CheckedCreate};
use crate::token::Grant;
use crate::types::ids::{BatchId, JobId, hex_digest};
use crate::types::model::ModelId;
use crate::types::prediction::{PredictionRecord, Status};
use crate::wire::headers::{is_idempotency_key, is_json_media_type, parse_preferred_wait_secs};
use crate::wire::rejection::{Code, Rejection};

/// Steps 7 to 10: 7 media type, size, JSON 415, 413, 400 · 8 model 403, inputs 400 · 9 Ledger 401, 409, 422, 429, 402,
/// 503 · 10 the vendor's outcome 201, 202, 400, 502, 504.
pub async fn create(call: &Call<'_>, grant: &Grant, model: &ModelId) -> Result<Response, Rejection> {
    // 7
    let (body, hash) = read_json(call, CREATE_BODY_MAX_BYTES, BODY_MAX_DEPTH).await?;
    let key = idempotency_key(call, hash)?;
    // 8
    let spec = policy::check_create(&call.deployment.config.policy, grant, model, body)?;
    // 9
    let created = admit(call, grant, vec![spec], None, key).await?;
    let record = created.records.into_iter().next().ok_or_else(unexpected)?;
    // 10
    let (status, mut record) = match created.submitting {
        true => {
            let status = status_of(await_outcome(call, &record.job_id).await, &record.job_id)?;
            (status, present(call, grant, record).await)
        }
        // A repeat of one that runs or has ended is answered as that one was.
        false if created.is_replayed && record.status != Status::Queued => (201, record),
        false => (202, record),
    };
    // A repeat is answered even where the minute has no room for it; it is not held as well.
    let is_over = created.is_replayed && call.rate.get().is_some_and(|rate| rate.remaining == 0);
    let waited_secs = call.head.prefer.as_deref().and_then(parse_preferred_wait_secs).filter(|_| !is_over);
    if let Some(secs) = waited_secs {
        record = wait_for_end(call, grant, record, secs).await;
    }
    let location = Some(format!("{}/v1/predictions/{}", call.base, record.job_id));
    let is_replayed = created.is_replayed;
    let body = record.render(call.base);
    Ok(Response {
        location,
        is_replayed,
        waited_secs,
        created: Some(record.job_id),
        ..Response::json_text(status, body)
    })
}

/// `POST /v1/predictions/batch`: the same steps for all of them together; what becomes of each is the batch's to tell.
pub async fn create_batch(call: &Call<'_>, grant: &Grant) -> Result<Response, Rejection> {
    // 7
    let (body, hash) = read_json(call, BATCH_BODY_MAX_BYTES, BATCH_MAX_DEPTH).await?;
    let key = idempotency_key(call, hash)?;
    // 8
    let specs = policy::check_batch(&call.deployment.config.policy, grant, body)?;
    // 9
    let batch_id = BatchId::new(call.now, platform::random());
    let created = admit(call, grant, specs, Some(batch_id), key).await?;
    let batch_id = created.batch_id.ok_or_else(unexpected)?;
    let location = Some(format!("{}/v1/predictions/batch/{batch_id}", call.base));
    let body = render_batch(&batch_id, &created.records, call.base);
    Ok(Response { location, is_replayed: created.is_replayed, ..Response::json_text(202, body) })
}

/// A batch as contract 1 shows it.
pub fn render_batch(batch_id: &BatchId, records: &[PredictionRecord], base: &str) -> String {
    let predictions: Vec<String> = records.iter().map(|record| record.render(base)).collect();
    let status = batch_status(records);
    format!(r#"{{"batch_id":"{batch_id}","status":"{status}","predictions":[{}]}}"#, predictions.join(","))
}

/// `POST /v1/estimate`: steps 7 and 8 alone. Nobody is called, but the Ledger for a proof of possession.
pub async fn estimate(call: &Call<'_>, grant: &Grant) -> Result<Response, Rejection> {
    let (body, _) = read_json(call, OTHER_BODY_MAX_BYTES, BODY_MAX_DEPTH).await?;
    let spec = policy::check_named_create(&call.deployment.config.policy, grant, body)?;
    use_proof(call, grant).await?;
    Ok(Response::json(200, &json!({"credits": spec.credits.to_string()})))
}

/// The body, and the hash of path and body that tells one request from another (contract 2).
pub async fn read_json(
    call: &Call<'_>,
    max_bytes: usize,
    max_depth: usize,
) -> Result<(Map<String, Value>, String), Rejection> {
    let is_json = call.head.content_type.as_deref().is_some_and(is_json_media_type);
    if !is_json || is_encoded(call) {
        return Err(Rejection::new(Code::UnsupportedMediaType, "media_type"));
    }
    let too_large = || Rejection::new(Code::BodyTooLarge, "body");
    let announced = call.head.content_length.as_deref().and_then(parse_digits::<u64>);
    if announced.is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > max_bytes)) {
        return Err(too_large());
    }
    let bytes = platform::read_body(call.request, max_bytes).await;
    let bytes = bytes.map_err(|_| Rejection::new(Code::InvalidJson, "body_unreadable"))?.ok_or_else(too_large)?;
    let body = parse_strict_object(&bytes, max_depth).map_err(|_| Rejection::new(Code::InvalidJson, "json"))?;
    Ok((body, hex_digest(&[call.url.path.as_bytes(), b"\0", &bytes])))
}

/// Whether a body is compressed, which no route accepts.
pub fn is_encoded(call: &Call<'_>) -> bool {
    call.head.content_encoding.as_deref().is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"))
}

fn idempotency_key(call: &Call<'_>, hash: String) -> Result<Option<IdempotencyKey>, Rejection> {
    match &call.head.idempotency_key {
        None => Ok(None),
        Some(key) if is_idempotency_key(key) => Ok(Some(IdempotencyKey { value: key.clone(), hash })),
        Some(_) => Err(Rejection::new(Code::InvalidIdempotencyKey, "idempotency_key")),
    }
}

/// What a Ledger said to a create.
struct Created {
    records: Vec<PredictionRecord>,
    submitting: bool,
    batch_id: Option<BatchId>,
    is_replayed: bool,
}

/// Step 9. No acknowledgement in time is 503, and withdrawn.
async fn admit(
    call: &Call<'_>,
    grant: &Grant,
    specs: Vec<CheckedCreate>,
    batch_id: Option<BatchId>,
    key: Option<IdempotencyKey>,
) -> Result<Created, Rejection> {
    let is_batch = batch_id.is_some();
    let request = create_request(call, grant, specs, batch_id, key)?;
    let job_ids: Vec<JobId> = request.specs.iter().map(|spec| spec.job_id.clone()).collect();
    let files = request.files.clone();
    match ask_ledger(call, grant, LedgerRequest::Create(Box::new(request))).await {
        Ok(LedgerReply::Created { records, is_submitting: submitting, batch_id, is_replayed: replayed }) => {
            Ok(Created { records, submitting, batch_id, is_replayed: replayed })
        }
        Ok(LedgerReply::Refused(LedgerRefusal::UnknownFile { index })) => Err(unknown_file(files.get(index), is_batch)),
        Ok(_) => Err(unexpected()),
        Err(rejection) if rejection.code == Code::LimiterUnavailable => {
            withdraw_later(call, grant, job_ids);
            Err(rejection)
        }
        Err(rejection) => Err(rejection),
    }
}

/// A file that is not the caller's is refused like any other input that is not acceptable.
fn unknown_file(used: Option<&FileUse>, is_batch: bool) -> Rejection {
    let param = used.map_or_else(String::new, |used| {
        let place = if is_batch { format!("predictions[{}].", used.spec) } else { String::new() };
        format!("{place}input{}", used.pointer.replace('/', "."))
    });
    Rejection::parameter(Code::InvalidParameter, "file", param)
}

fn create_request(
    call: &Call<'_>,
    grant: &Grant,
    specs: Vec<CheckedCreate>,
    batch_id: Option<BatchId>,
    key: Option<IdempotencyKey>,
) -> Result<CreateRequest, Rejection> {
    let policy = &call.deployment.config.policy;
    let plan = policy.limits_for(grant)?;
    let mut files = Vec::new();
    let mut spec = |(index, spec): (usize, CheckedCreate)| {
        files.extend(spec.files.into_iter().map(|(pointer, file_id)| FileUse { spec: index, pointer, file_id }));
        JobSpec {
            job_id: JobId::new(call.now, platform::random()),
            model: spec.model,
            input: spec.input,
            image_count: spec.image_count,
            credits: spec.credits,
            max_seconds: spec.max_seconds,
        }
    };
    let mut specs: Vec<JobSpec> = specs.into_iter().enumerate().map(&mut spec).collect();
    if batch_id.is_some() {
        // Ids of the same moment sort by chance: the batch keeps the order in which it was sent.
        specs = in_order(specs);
    }
    Ok(CreateRequest {
        user: grant.user.clone(),
        specs,
        files,
        batch_id,
        idempotency_key: key,
        limits: PlanLimits {
            plan: plan.name.clone(),
            predictions_per_minute: plan.predictions_per_minute,
            concurrent_predictions: plan.concurrent_predictions,
            daily_credits: plan.daily_credits,
            weight: plan.weight,
            max_waiting: plan.max_waiting,
        },
        caps: grant.caps.as_ref().map(|caps| JtiCaps {
            jti: caps.jti.clone(),
            max_predictions: caps.max_predictions,
            max_credits: caps.max_credits,
            expires_at: grant.expires_at.millis(),
        }),
        token_id: grant.jti.clone(),
        deadline: Deadline::after(call.now, ACK_TIMEOUT_MILLIS),
        max_wait_secs: policy.key.max_wait_secs,
    })
}

/// Gives the smaller id to the earlier order.
fn in_order(specs: Vec<JobSpec>) -> Vec<JobSpec> {
    let mut job_ids: Vec<JobId> = specs.iter().map(|spec| spec.job_id.clone()).collect();
    job_ids.sort();
    specs.into_iter().zip(job_ids).map(|(spec, job_id)| JobSpec { job_id, ..spec }).collect()
}

/// No acknowledgement: the Ledger may have admitted it all the same, or may still. Best effort; its deadline and alarm do
/// the rest.
fn withdraw_later(call: &Call<'_>, grant: &Grant, job_ids: Vec<JobId>) {
    let (env, user) = (call.env.clone(), grant.user.clone());
    call.context.wait_until(async move {
        let _ = tell_ledger(&env, &user, LedgerRequest::Withdraw { job_ids }).await;
    });
}

/// The vendor's answer, if it comes while the client waits.
async fn await_outcome(call: &Call<'_>, job_id: &JobId) -> CreateOutcome {
    let request = DispatcherRequest::Outcome { job_id: job_id.clone() };
    match ask_dispatcher(call.env, &request, OUTCOME_WAIT_MILLIS).await {
        Ok(DispatcherReply::Outcome(outcome)) => outcome,
        // Nothing is lost: the Dispatcher goes on, and the client follows the prediction.
        Ok(_) | Err(_) => CreateOutcome::Pending,
    }
}

/// 201, 202, or the refusal that names the prediction.
fn status_of(outcome: CreateOutcome, job_id: &JobId) -> Result<u16, Rejection> {
    let refused = |code, reason| Err(Rejection::new(code, reason).with_job(job_id.clone()));
    match outcome {
        CreateOutcome::Accepted => Ok(201),
        CreateOutcome::Pending => Ok(202),
        CreateOutcome::InputRefused => {
            Err(Rejection::parameter(Code::InvalidParameter, "vendor_refused_input", "input").with_job(job_id.clone()))
        }
        CreateOutcome::Rejected => refused(Code::UpstreamRejected, "vendor_refused"),
        CreateOutcome::Failed => refused(Code::UpstreamError, "vendor_failed"),
        CreateOutcome::Unreadable => refused(Code::UpstreamError, "vendor_unreadable"),
        CreateOutcome::TimedOut => refused(Code::UpstreamTimeout, "vendor_silent"),
    }
}

/// The prediction as its Ledger has it now; what it said before, if it cannot say.
async fn present(call: &Call<'_>, grant: &Grant, before: PredictionRecord) -> PredictionRecord {
    let request = LedgerRequest::Get { job_id: before.job_id.clone() };
    match ask_ledger_again(call.env, grant, request).await {
        Ok(LedgerReply::Prediction(record)) => *record,
        _ => before,
    }
}

/// `Prefer: wait=N`: held here, since an object that is kept awake is paid by the second (protocol 1).
async fn wait_for_end(call: &Call<'_>, grant: &Grant, mut record: PredictionRecord, secs: u32) -> PredictionRecord {
    let until = call.now.plus_millis(i64::from(secs).saturating_mul(MILLIS_PER_SECOND));
    while !record.status.is_terminal() {
        let left = i32::try_from(until.millis_since(platform::now())).unwrap_or_default();
        if left <= 0 {
            break;
        }
        platform::sleep(left.min(EVENT_POLL_MILLIS.0)).await;
        record = present(call, grant, record).await;
    }
    record
}
