//! Everything but the create: predictions, models, the account.

use serde_json::{Value, json};

use super::answers::{ask_dispatcher, ask_ledger, limiter_unavailable};
use super::handler::Call;
use super::respond::Answer;
use crate::constants::{ACK_TIMEOUT_MILLIS, LIST_DEFAULT, LIST_MAX};
use crate::credits::MicroCredits;
use crate::ids::JobId;
use crate::messages::{AccountUsage, DayUsage, DispatcherReply, DispatcherRequest, LedgerReply, LedgerRequest};
use crate::model::ModelId;
use crate::prediction::Status;
use crate::rejection::{Code, Rejection};
use crate::route::AccountView;
use crate::time::UtcDay;
use crate::token::Grant;

/// `GET /v1/predictions/{id}`: from the Ledger's row, never a vendor request.
pub async fn get(call: &Call<'_>, grant: &Grant, job_id: &JobId) -> Result<Answer, Rejection> {
    one(call, grant, &LedgerRequest::Get { job_id: job_id.clone() }).await
}

/// `POST /v1/predictions/{id}/cancel`: never waits for the vendor.
pub async fn cancel(call: &Call<'_>, grant: &Grant, job_id: &JobId) -> Result<Answer, Rejection> {
    one(call, grant, &LedgerRequest::Cancel { job_id: job_id.clone() }).await
}

async fn one(call: &Call<'_>, grant: &Grant, request: &LedgerRequest) -> Result<Answer, Rejection> {
    match ask_ledger(call.env, &grant.user, request).await? {
        LedgerReply::Prediction { record, .. } => Ok(Answer::json_text(200, record.render(call.base))),
        _ => Err(limiter_unavailable("ledger_reply")),
    }
}

/// `DELETE /v1/predictions/{id}`.
pub async fn delete(call: &Call<'_>, grant: &Grant, job_id: &JobId) -> Result<Answer, Rejection> {
    ask_ledger(call.env, &grant.user, &LedgerRequest::Delete { job_id: job_id.clone() }).await?;
    Ok(Answer::empty(204))
}

/// `GET /v1/predictions?limit=&cursor=&status=`.
pub async fn list(call: &Call<'_>, grant: &Grant) -> Result<Answer, Rejection> {
    let request = list_request(call.url.query)?;
    let LedgerReply::Page { records, more } = ask_ledger(call.env, &grant.user, &request).await? else {
        return Err(limiter_unavailable("ledger_reply"));
    };
    // The cursor is the last id of the page: it says nothing that the page does not.
    let next = json!(records.last().filter(|_| more).map(|record| record.job_id.as_str()));
    let data: Vec<String> = records.iter().map(|record| record.render(call.base)).collect();
    Ok(Answer::json_text(200, format!("{{\"data\":[{}],\"next_cursor\":{next}}}", data.join(","))))
}

/// Every parameter at most once, and no other.
fn list_request(query: &str) -> Result<LedgerRequest, Rejection> {
    let (mut limit, mut before, mut status) = (None, None, None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let bad = || Rejection::parameter(Code::InvalidParameter, "list_parameter", name.clone());
        let is_first = match &*name {
            "limit" => {
                let number = value.parse::<u32>().ok().filter(|number| (1..=LIST_MAX).contains(number));
                limit.replace(number.ok_or_else(bad)?).is_none()
            }
            "cursor" => before.replace(JobId::parse(&value).ok_or_else(bad)?).is_none(),
            "status" => status.replace(Status::parse(&value).ok_or_else(bad)?).is_none(),
            _ => return Err(Rejection::new(Code::UnsupportedParameter, "list_parameter")),
        };
        if !is_first {
            return Err(bad());
        }
    }
    Ok(LedgerRequest::List { limit: limit.unwrap_or(LIST_DEFAULT), before, status })
}

const MODELS_CACHE: &str = "private, max-age=60";

/// `GET /v1/models`: the plan's, without those that the vendor does not list.
pub async fn models(call: &Call<'_>, grant: &Grant) -> Result<Answer, Rejection> {
    let data = available_models(call, grant).await;
    let data: Vec<Value> = data.into_iter().map(|(_, view)| view).collect();
    Ok(Answer { cache_control: MODELS_CACHE, ..Answer::json(200, &json!({"data": data})) })
}

/// `GET /v1/models/{owner}/{model}`.
pub async fn model(call: &Call<'_>, grant: &Grant, model: &ModelId) -> Result<Answer, Rejection> {
    let found = available_models(call, grant).await.into_iter().find(|(id, _)| id == model);
    let (_, view) = found.ok_or_else(|| Rejection::new(Code::NotFound, "model"))?;
    Ok(Answer { cache_control: MODELS_CACHE, ..Answer::json(200, &view) })
}

async fn available_models(call: &Call<'_>, grant: &Grant) -> Vec<(ModelId, Value)> {
    let mut models = call.deployment.config.policy.models_for(grant);
    let reply = ask_dispatcher(call.env, &DispatcherRequest::Models, ACK_TIMEOUT_MILLIS).await;
    // A list that was never read, or cannot be had, hides nothing.
    if let Ok(DispatcherReply::Models { models: Some(listed) }) = reply {
        models.retain(|(id, _)| listed.contains(id));
    }
    models
}

/// `GET /v1/account` and its views: the caller's own.
pub async fn account(call: &Call<'_>, grant: &Grant, view: AccountView) -> Result<Answer, Rejection> {
    let LedgerReply::Account(usage) = ask_ledger(call.env, &grant.user, &LedgerRequest::Account).await? else {
        return Err(limiter_unavailable("ledger_reply"));
    };
    let plan = call.deployment.config.policy.limits_for(grant)?;
    let today = call.now.utc_day();
    let used = usage
        .days
        .iter()
        .find(|day| day.day == today.0)
        .copied()
        .unwrap_or(DayUsage { day: today.0, ..DayUsage::default() });
    let taken = used.spent.checked_add(used.reserved).unwrap_or(plan.daily_credits);
    let balance = plan.daily_credits.saturating_sub(taken).to_string();
    let body = match view {
        AccountView::Summary => json!({
            "plan": plan.name, "limits": plan.limits_view(), "usage": summary(&used, &usage), "credits_balance": balance,
        }),
        AccountView::Usage => json!({"data": usage.days.iter().map(day_view).collect::<Vec<_>>()}),
        AccountView::RateLimits => json!({
            "requests_per_minute": {"limit": plan.requests_per_minute},
            "predictions_per_minute": {"limit": plan.predictions_per_minute},
            "concurrent_predictions": {
                "limit": plan.concurrent_predictions, "running": usage.running, "waiting": usage.waiting,
            },
        }),
        AccountView::Balance => json!({
            "credits_balance": balance, "daily_credits": plan.daily_credits.to_string(),
            "resets_at": today.next().start().to_rfc3339(),
        }),
    };
    Ok(Answer::json(200, &body))
}

fn summary(today: &DayUsage, usage: &AccountUsage) -> Value {
    json!({
        "day": UtcDay(today.day).to_iso_date(), "credits_spent": today.spent.to_string(),
        "credits_reserved": today.reserved.to_string(), "predictions": today.predictions,
        "running": usage.running, "waiting": usage.waiting,
    })
}

fn day_view(day: &DayUsage) -> Value {
    let credits = |credits: MicroCredits| credits.to_string();
    json!({
        "day": UtcDay(day.day).to_iso_date(), "credits_spent": credits(day.spent),
        "credits_reserved": credits(day.reserved), "predictions": day.predictions,
    })
}
