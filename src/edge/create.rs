//! `POST /v1/{owner}/{model}/predictions`.

use super::answers::{ask_dispatcher, ask_ledger, limiter_unavailable};
use super::handler::Call;
use super::platform;
use super::respond::Answer;
use crate::constants::{ACK_TIMEOUT_MILLIS, BODY_MAX_DEPTH, CREATE_BODY_MAX_BYTES, OUTCOME_WAIT_MILLIS};
use crate::headers::is_json_media_type;
use crate::ids::JobId;
use crate::json::parse_strict_object;
use crate::messages::{
    CreateOutcome, Deadline, DispatcherReply, DispatcherRequest, JtiCaps, LedgerReply, LedgerRequest, Order, PlanLimits,
};
use crate::model::ModelId;
use crate::policy::{self, CreateOrder};
use crate::prediction::PredictionRecord;
use crate::rejection::{Code, Rejection};
use crate::token::Grant;

/// Steps 7 to 10: 7 media type, size, JSON 415, 413, 400 · 8 model 403, inputs 400 · 9 Ledger 402, 429, 503 ·
/// 10 the vendor's outcome 201, 202, 400, 502, 504.
pub async fn create(call: &Call<'_>, grant: &Grant, model: &ModelId) -> Result<Answer, Rejection> {
    // 7
    let body = read_json_body(call).await?;
    // 8
    let order = policy::check_create(&call.deployment.config.policy, grant, model, body)?;
    // 9
    let job_id = JobId::new(call.now, platform::random());
    let request = ledger_request(call, grant, order, &job_id)?;
    let reply = match ask_ledger(call.env, &grant.user, &request).await {
        Err(rejection) if rejection.code == Code::LimiterUnavailable => {
            withdraw_later(call, grant, &job_id);
            return Err(rejection);
        }
        reply => reply?,
    };
    let LedgerReply::Prediction { record, submitting } = reply else {
        return Err(limiter_unavailable("ledger_reply"));
    };
    // 10
    let outcome = if submitting { await_outcome(call, &job_id).await } else { CreateOutcome::Pending };
    let status = status_of(outcome, &job_id)?;
    let record = if submitting { present(call, grant, *record).await } else { *record };
    let body = record.render(call.base);
    let location = format!("{}/v1/predictions/{job_id}", call.base);
    Ok(Answer { location: Some(location), ..Answer::json_text(status, body) })
}

async fn read_json_body(call: &Call<'_>) -> Result<serde_json::Map<String, serde_json::Value>, Rejection> {
    let is_json = call.head.content_type.as_deref().is_some_and(is_json_media_type);
    let is_encoded =
        call.head.content_encoding.as_deref().is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"));
    if !is_json || is_encoded {
        return Err(Rejection::new(Code::UnsupportedMediaType, "media_type"));
    }
    let too_large = || Rejection::new(Code::BodyTooLarge, "body");
    let announced = call.head.content_length.as_deref().and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > CREATE_BODY_MAX_BYTES)) {
        return Err(too_large());
    }
    let body = platform::read_body(call.request, CREATE_BODY_MAX_BYTES).await;
    let body = body.map_err(|_| Rejection::new(Code::InvalidJson, "body_unreadable"))?.ok_or_else(too_large)?;
    parse_strict_object(&body, BODY_MAX_DEPTH).map_err(|_| Rejection::new(Code::InvalidJson, "json"))
}

fn ledger_request(
    call: &Call<'_>,
    grant: &Grant,
    order: CreateOrder,
    job_id: &JobId,
) -> Result<LedgerRequest, Rejection> {
    let policy = &call.deployment.config.policy;
    let plan = policy.limits_for(grant)?;
    Ok(LedgerRequest::Create {
        user: grant.user.clone(),
        order: Box::new(Order {
            job_id: job_id.clone(),
            model: order.model,
            input: order.input,
            image_count: order.image_count,
            credits: order.credits,
            max_seconds: order.max_seconds,
        }),
        limits: PlanLimits {
            plan: plan.name.clone(),
            requests_per_minute: plan.requests_per_minute,
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
        deadline: Deadline::after(call.now, ACK_TIMEOUT_MILLIS),
        max_wait_secs: policy.key.max_wait_secs,
    })
}

/// No acknowledgement: the Ledger may have admitted it all the same. Best effort; its deadline and alarm do the rest.
fn withdraw_later(call: &Call<'_>, grant: &Grant, job_id: &JobId) {
    let (env, user, job_id) = (call.env.clone(), grant.user.clone(), job_id.clone());
    call.context.wait_until(async move {
        let _ = ask_ledger(&env, &user, &LedgerRequest::Withdraw { job_id }).await;
    });
}

/// The vendor's answer, if it comes while the client waits.
async fn await_outcome(call: &Call<'_>, job_id: &JobId) -> CreateOutcome {
    let request = DispatcherRequest::Outcome { job_id: job_id.clone() };
    match ask_dispatcher(call.env, &request, OUTCOME_WAIT_MILLIS).await {
        Ok(DispatcherReply::Outcome { outcome }) => outcome,
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

/// The prediction as its Ledger has it after the outcome; what it said before, if it cannot say.
async fn present(call: &Call<'_>, grant: &Grant, before: PredictionRecord) -> PredictionRecord {
    let request = LedgerRequest::Get { job_id: before.job_id.clone() };
    match ask_ledger(call.env, &grant.user, &request).await {
        Ok(LedgerReply::Prediction { record, .. }) => *record,
        _ => before,
    }
}
