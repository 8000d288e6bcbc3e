//! `POST /v1/{owner}/{model}/predictions`, batches and estimates.

use serde_json::json;

use crate::cloudflare::http::admission::{Admitted, admit};
use crate::cloudflare::http::body::{BodyKind, read_json};
use crate::cloudflare::http::context::{AuthenticatedCaller, RequestContext};
use crate::cloudflare::http::follower::wait_for_end;
use crate::cloudflare::http::ledger_client::{ask_ledger_again, unexpected, use_proof};
use crate::cloudflare::http::lost;
use crate::cloudflare::http::outcome::{Counted, Reply, RouteResult};
use crate::cloudflare::http::response::Response;
use crate::cloudflare::objects::client::ask_dispatcher;
use crate::cloudflare::runtime::platform;
use crate::constants::OUTCOME_WAIT_MILLIS;
use crate::ledger::{apply_update, batch_status};
use crate::messages::{CreateOutcome, DispatcherReply, DispatcherRequest, IdempotencyKey, LedgerReply, LedgerRequest};
use crate::policy;
use crate::types::ids::{BatchId, JobId};
use crate::types::model::ModelId;
use crate::types::prediction::{PredictionRecord, Status};
use crate::wire::headers::{is_idempotency_key, parse_preferred_wait_secs};
use crate::wire::rejection::{Code, Rejection};

/// Creates a prediction:
///
/// 7. Read the body and check its media type, size and form: 415, 413, 400. 401 if the token expired meanwhile.
/// 8. Check the model: 403. Check its inputs: 400.
/// 9. Let the Ledger admit it: 401, 409, 422, 429, 402, 503.
/// 10. Wait for the vendor's outcome: 201, 202, 400, 502, 504.
pub async fn create(context: &RequestContext<'_>, caller: &AuthenticatedCaller, model: &ModelId) -> RouteResult {
    // 7
    let body = read_json(context, BodyKind::Create).await?;
    let context = &context.at(body.read_at);
    caller.check_not_expired(context.now)?;
    let key = idempotency_key(context, body.hash, || policy::request_hash_of_create(model, &body.members))?;
    // 8
    let checked = policy::check_create(&context.deployment.config.policy, &caller.grant, model, body.members)?;
    // 9
    let admitted = admit(context, caller, vec![checked], None, key).await?;
    let Admitted { is_submitting, is_replayed, .. } = admitted.value;
    let Some(record) = admitted.value.records.first().cloned() else { return Err(admitted.reject(unexpected())) };
    lost::after_admission(context, &admitted, &record.job_id);
    // 10
    let (status, record) = if is_submitting {
        let (outcome, record) = await_outcome(context, caller, record).await;
        let status = status_of(outcome, &record.job_id).map_err(|rejection| admitted.reject(rejection))?;
        (status, record)
    } else if is_replayed && record.status != Status::Queued {
        // The replay of a prediction that is running or has ended gets the status of the first response.
        (201, record)
    } else {
        (202, record)
    };
    let (record, waited_secs) = match wait_secs(context, &admitted) {
        Some(secs) => {
            let (record, has_waited) = wait_for_end(context, caller, record, secs).await;
            (record, has_waited.then_some(secs))
        }
        None => (record, None),
    };
    let location = Some(format!("{}/v1/predictions/{}", context.base_url, record.job_id));
    let body = record.render(context.base_url);
    admitted.complete(Response {
        location,
        is_replayed,
        waited_secs,
        created: Some(record.job_id),
        ..Response::json_text(status, body)
    })
}

/// Creates a batch: runs steps 7 to 9 for all of its predictions together. Clients read the outcomes from the batch.
pub async fn create_batch(context: &RequestContext<'_>, caller: &AuthenticatedCaller) -> RouteResult {
    // 7
    let body = read_json(context, BodyKind::Batch).await?;
    let context = &context.at(body.read_at);
    caller.check_not_expired(context.now)?;
    let key = idempotency_key(context, body.hash, || policy::request_hash_of_batch(&body.members))?;
    // 8
    let checked = policy::check_batch(&context.deployment.config.policy, &caller.grant, body.members)?;
    // 9
    let batch_id = BatchId::new(context.now, platform::random());
    let admitted = admit(context, caller, checked, Some(batch_id), key).await?;
    let Admitted { records, batch_id, is_replayed, .. } = &admitted.value;
    let Some(batch_id) = batch_id else { return Err(admitted.reject(unexpected())) };
    let location = Some(format!("{}/v1/predictions/batch/{batch_id}", context.base_url));
    let body = render_batch(batch_id, records, context.base_url);
    admitted.complete(Response { location, is_replayed: *is_replayed, ..Response::json_text(202, body) })
}

/// Renders a batch as contract 1 shows it.
pub fn render_batch(batch_id: &BatchId, records: &[PredictionRecord], base_url: &str) -> String {
    let predictions: Vec<String> = records.iter().map(|record| record.render(base_url)).collect();
    let status = batch_status(records);
    format!(r#"{{"batch_id":"{batch_id}","status":"{status}","predictions":[{}]}}"#, predictions.join(","))
}

/// Estimates a prediction: runs only steps 7 and 8. Calls no object, except the Ledger for a proof of possession.
pub async fn estimate(context: &RequestContext<'_>, caller: &AuthenticatedCaller) -> RouteResult {
    let body = read_json(context, BodyKind::Estimate).await?;
    caller.check_not_expired(body.read_at)?;
    let checked = policy::check_named_create(&context.deployment.config.policy, &caller.grant, body.members)?;
    use_proof(context, caller).await?;
    Ok(Reply::Complete(Response::json(200, &json!({"credits": checked.credits.to_string()}))))
}

fn idempotency_key(
    context: &RequestContext<'_>,
    hash: String,
    request_hash: impl FnOnce() -> String,
) -> Result<Option<IdempotencyKey>, Rejection> {
    match &context.head.idempotency_key {
        None => Ok(None),
        Some(key) if is_idempotency_key(key) => {
            Ok(Some(IdempotencyKey { value: key.clone(), hash, request_hash: Some(request_hash()) }))
        }
        Some(_) => Err(Rejection::new(Code::InvalidIdempotencyKey, "idempotency_key")),
    }
}

/// Waits for the vendor's outcome of a create. Returns it with the prediction's state then: the reply says it, else the
/// Ledger is asked.
async fn await_outcome(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    mut record: PredictionRecord,
) -> (CreateOutcome, PredictionRecord) {
    let request = DispatcherRequest::Outcome { job_id: record.job_id.clone(), with_update: true };
    let outcome = match ask_dispatcher(context.env, &request, OUTCOME_WAIT_MILLIS).await {
        Ok(DispatcherReply::OutcomeWithUpdate { outcome, update: Some(update) }) => {
            apply_update(&mut record, &update, platform::now());
            return (outcome, record);
        }
        Ok(DispatcherReply::OutcomeWithUpdate { outcome, update: None } | DispatcherReply::Outcome(outcome)) => outcome,
        // Nothing is lost: the Dispatcher continues, and the client polls the prediction.
        Ok(_) | Err(_) => CreateOutcome::Pending,
    };
    let record = reread(context, caller, record).await;
    (outcome, record)
}

/// Returns 201 or 202, or the refusal, which names the prediction.
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

/// Reads a prediction again from its Ledger. Returns `before` if the Ledger does not reply.
async fn reread(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    before: PredictionRecord,
) -> PredictionRecord {
    let request = LedgerRequest::Get { job_id: before.job_id.clone() };
    match ask_ledger_again(context.env, &caller.grant, request).await {
        Ok(LedgerReply::Prediction(record)) => *record,
        _ => before,
    }
}

/// Returns N of `Prefer: wait=N`. A replay gets its response even if the caller has no requests left in this minute,
/// but then without waiting.
fn wait_secs(context: &RequestContext<'_>, admitted: &Counted<Admitted>) -> Option<u32> {
    let is_full = admitted.rate.is_some_and(|rate| rate.remaining == 0);
    let may_wait = !(admitted.value.is_replayed && is_full);
    context.head.prefer.as_deref().and_then(parse_preferred_wait_secs).filter(|_| may_wait)
}
