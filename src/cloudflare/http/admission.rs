//! Step 9 of a create: its admission by the caller's Ledger, or its withdrawal.

use crate::cloudflare::http::context::{AuthenticatedCaller, RequestContext};
use crate::cloudflare::http::ledger_client::{ask_ledger, tell_ledger, unexpected};
use crate::cloudflare::http::lost;
use crate::cloudflare::http::outcome::{Counted, RouteError};
use crate::cloudflare::runtime::platform;
use crate::constants::ACK_TIMEOUT_MILLIS;
use crate::messages::{
    CreateRequest, Deadline, FileUse, IdempotencyKey, JobSpec, JtiCaps, LedgerRefusal, LedgerReply, LedgerRequest,
    PlanLimits,
};
use crate::policy::{CheckedCreate, Plan};
use crate::token::Grant;
use crate::types::ids::{BatchId, JobId};
use crate::types::prediction::PredictionRecord;
use crate::wire::rejection::{Code, Rejection};
use crate::wire::violation::{Rule, Violation};

/// Predictions that the Ledger has admitted, or found by their idempotency key.
pub struct Admitted {
    /// The rows of the predictions, in the order of the request.
    pub records: Vec<PredictionRecord>,
    /// True if the Dispatcher is submitting a prediction to the vendor, so that the edge can wait for the outcome.
    pub is_submitting: bool,
    /// The id of the batch, if the request was for one.
    pub batch_id: Option<BatchId>,
    /// True if this is a replay: the idempotency key was used before.
    pub is_replayed: bool,
}

/// Asks the caller's Ledger to admit predictions, all or none.
///
/// # Errors
/// The Ledger's refusal. 503 without an acknowledgement in time: then the predictions are withdrawn.
pub async fn admit(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    checked: Vec<CheckedCreate>,
    batch_id: Option<BatchId>,
    key: Option<IdempotencyKey>,
) -> Result<Counted<Admitted>, RouteError> {
    let is_batch = batch_id.is_some();
    let plan = context.plan_of(caller)?;
    let request = create_request(context, &caller.grant, plan, checked, batch_id, key);
    let job_ids: Vec<JobId> = request.specs.iter().map(|spec| spec.job_id.clone()).collect();
    let files = request.files.clone();
    // If the wasm instance ends meanwhile, worker.js sends the message that `withdraw_later` would send.
    let _ = lost::in_admission(context, caller, plan.requests_per_minute, &job_ids);
    let counted = match ask_ledger(context, caller, LedgerRequest::Create(Box::new(request))).await {
        Ok(counted) => counted,
        Err(error) => {
            if error.rejection.code == Code::LimiterUnavailable {
                withdraw_later(context, &caller.grant, job_ids);
            }
            return Err(error);
        }
    };
    let Counted { value, rate } = counted;
    match value {
        LedgerReply::Created { records, is_submitting, batch_id, is_replayed } => {
            Ok(Counted { value: Admitted { records, is_submitting, batch_id, is_replayed }, rate })
        }
        LedgerReply::Refused(LedgerRefusal::UnknownFile { index }) => {
            Err(RouteError { rejection: unknown_file(files.get(index), is_batch), rate })
        }
        _ => Err(RouteError { rejection: unexpected(), rate }),
    }
}

/// Returns the refusal of a file id that is not the caller's: the same as for any other invalid input.
fn unknown_file(used: Option<&FileUse>, is_batch: bool) -> Rejection {
    let param = used.map_or_else(String::new, |used| {
        let prediction = if is_batch { format!("predictions[{}].", used.spec) } else { String::new() };
        format!("{prediction}input{}", used.pointer.replace('/', "."))
    });
    Rejection::parameter(Code::InvalidParameter, "file", param).because(Violation::new(Rule::Format, "file"))
}

fn create_request(
    context: &RequestContext<'_>,
    grant: &Grant,
    plan: &Plan,
    checked: Vec<CheckedCreate>,
    batch_id: Option<BatchId>,
    idempotency_key: Option<IdempotencyKey>,
) -> CreateRequest {
    let (specs, files) = job_specs(context, checked);
    CreateRequest {
        user: grant.user.clone(),
        specs,
        files,
        batch_id,
        idempotency_key,
        limits: plan_limits(plan),
        caps: grant.caps.as_ref().map(|caps| JtiCaps {
            jti: caps.jti.clone(),
            max_predictions: caps.max_predictions,
            max_credits: caps.max_credits,
            expires_at: grant.expires_at.millis(),
        }),
        token_id: grant.jti.clone(),
        deadline: Deadline::after(context.now, ACK_TIMEOUT_MILLIS),
        max_wait_secs: context.deployment.config.policy.key.max_wait_secs,
    }
}

/// Returns the job specs in the order of the request, and the files that their inputs use. The ids of the jobs sort in
/// the same order.
fn job_specs(context: &RequestContext<'_>, checked: Vec<CheckedCreate>) -> (Vec<JobSpec>, Vec<FileUse>) {
    // Ids of the same millisecond differ only in random bytes. Sort them, so that lists keep the order of a batch.
    let mut job_ids: Vec<JobId> = checked.iter().map(|_| JobId::new(context.now, platform::random())).collect();
    job_ids.sort();
    let mut files = Vec::new();
    let mut specs = Vec::new();
    for (index, (create, job_id)) in checked.into_iter().zip(job_ids).enumerate() {
        let file_use = |(pointer, file_id)| FileUse { spec: index, pointer, file_id };
        files.extend(create.files.into_iter().map(file_use));
        specs.push(JobSpec {
            job_id,
            model: create.model,
            input: create.input,
            image_count: create.image_count,
            credits: create.credits,
            max_seconds: create.max_seconds,
        });
    }
    (specs, files)
}

fn plan_limits(plan: &Plan) -> PlanLimits {
    PlanLimits {
        plan: plan.name.clone(),
        predictions_per_minute: plan.predictions_per_minute,
        concurrent_predictions: plan.concurrent_predictions,
        daily_credits: plan.daily_credits,
        weight: plan.weight,
        max_waiting: plan.max_waiting,
    }
}

/// Withdraws a create that the Ledger did not acknowledge. The Ledger may have admitted it, or may still admit it. This
/// is best effort: without it, the message's deadline and the Ledger's alarm have the same effect.
fn withdraw_later(context: &RequestContext<'_>, grant: &Grant, job_ids: Vec<JobId>) {
    let (env, user) = (context.env.clone(), grant.user.clone());
    context.execution.wait_until(async move {
        let _ = tell_ledger(&env, &user, LedgerRequest::Withdraw { job_ids }).await;
    });
}
