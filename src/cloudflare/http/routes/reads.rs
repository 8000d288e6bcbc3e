//! Reads, cancels and deletes predictions; reads models and the account.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value, json};

use crate::cloudflare::http::context::{AuthenticatedCaller, RequestContext};
use crate::cloudflare::http::ledger_client::{ask_ledger, unexpected, use_proof};
use crate::cloudflare::http::outcome::{Reply, RouteResult};
use crate::cloudflare::http::query::{bad_list_parameter, list_limit, list_parameters};
use crate::cloudflare::http::response::Response;
use crate::cloudflare::http::routes::create::render_batch;
use crate::cloudflare::objects::client::ask_dispatcher;
use crate::constants::{ACK_TIMEOUT_MILLIS, MILLIS_PER_SECOND, MODEL_LIST_CACHE_MILLIS};
use crate::messages::{AccountUsage, DayUsage, DispatcherReply, DispatcherRequest, LedgerReply, LedgerRequest};
use crate::operator::user_export::render_day;
use crate::types::ids::{BatchId, JobId};
use crate::types::model::ModelId;
use crate::types::prediction::Status;
use crate::types::time::{UnixMillis, UtcDay};
use crate::wire::rejection::{Code, Rejection};
use crate::wire::route::AccountView;
use crate::wire::violation::{Rule, Violation};

/// `GET /v1/predictions/{id}`: reads the Ledger's row. Never causes a vendor request.
pub async fn get(context: &RequestContext<'_>, caller: &AuthenticatedCaller, job_id: &JobId) -> RouteResult {
    one(context, caller, LedgerRequest::Get { job_id: job_id.clone() }).await
}

/// `POST /v1/predictions/{id}/cancel`: never waits for the vendor.
pub async fn cancel(context: &RequestContext<'_>, caller: &AuthenticatedCaller, job_id: &JobId) -> RouteResult {
    one(context, caller, LedgerRequest::Cancel { job_id: job_id.clone() }).await
}

async fn one(context: &RequestContext<'_>, caller: &AuthenticatedCaller, request: LedgerRequest) -> RouteResult {
    let counted = ask_ledger(context, caller, request).await?;
    match &counted.value {
        LedgerReply::Prediction(record) => counted.complete(Response::json_text(200, record.render(context.base_url))),
        _ => Err(counted.reject(unexpected())),
    }
}

/// `GET /v1/predictions/batch/{id}`.
pub async fn batch(context: &RequestContext<'_>, caller: &AuthenticatedCaller, batch_id: &BatchId) -> RouteResult {
    let request = LedgerRequest::GetBatch { batch_id: batch_id.clone() };
    let counted = ask_ledger(context, caller, request).await?;
    match &counted.value {
        LedgerReply::Created { records, .. } => {
            counted.complete(Response::json_text(200, render_batch(batch_id, records, context.base_url)))
        }
        _ => Err(counted.reject(unexpected())),
    }
}

/// `DELETE /v1/predictions/{id}`.
pub async fn delete(context: &RequestContext<'_>, caller: &AuthenticatedCaller, job_id: &JobId) -> RouteResult {
    let request = LedgerRequest::Delete { job_id: job_id.clone() };
    ask_ledger(context, caller, request).await?.complete(Response::empty(204))
}

/// `GET /v1/predictions?limit=&cursor=&status=`.
pub async fn list(context: &RequestContext<'_>, caller: &AuthenticatedCaller) -> RouteResult {
    let request = list_request(context.url.query)?;
    let counted = ask_ledger(context, caller, request).await?;
    let LedgerReply::Page { records, has_more } = &counted.value else {
        return Err(counted.reject(unexpected()));
    };
    // The cursor is the last id of the page, so it reveals nothing that the page does not show.
    let next = json!(records.last().filter(|_| *has_more).map(|record| record.job_id.as_str()));
    let data: Vec<String> = records.iter().map(|record| record.render(context.base_url)).collect();
    counted.complete(Response::json_text(200, format!("{{\"data\":[{}],\"next_cursor\":{next}}}", data.join(","))))
}

fn list_request(query: &str) -> Result<LedgerRequest, Rejection> {
    let [limit, before, status] = list_parameters(query, ["limit", "cursor", "status"])?;
    let bad_cursor = || bad_list_parameter("cursor", Violation::plain(Rule::Format));
    let statuses: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
    let bad_status = |_| bad_list_parameter("status", Violation::new(Rule::Enum, statuses));
    Ok(LedgerRequest::List {
        limit: list_limit(limit)?,
        before: before.map(|cursor| JobId::parse(&cursor).ok_or_else(bad_cursor)).transpose()?,
        status: status.map(|word| word.parse::<Status>().map_err(bad_status)).transpose()?,
    })
}

const MODELS_CACHE: &str = "private, max-age=60";

/// `GET /v1/models`: the plan's models, without those that are not in the vendor's list.
pub async fn models(context: &RequestContext<'_>, caller: &AuthenticatedCaller) -> RouteResult {
    use_proof(context, caller).await?;
    let data = available_models(context, caller).await;
    let data: Vec<Value> = data.into_iter().map(|(_, view)| view).collect();
    let response = Response { cache_control: MODELS_CACHE, ..Response::json(200, &json!({"data": data})) };
    Ok(Reply::Complete(response))
}

/// `GET /v1/models/{owner}/{model}`.
pub async fn model(context: &RequestContext<'_>, caller: &AuthenticatedCaller, model: &ModelId) -> RouteResult {
    use_proof(context, caller).await?;
    let found = available_models(context, caller).await.into_iter().find(|(id, _)| id == model);
    let (_, view) = found.ok_or_else(|| Rejection::new(Code::NotFound, "model"))?;
    Ok(Reply::Complete(Response { cache_control: MODELS_CACHE, ..Response::json(200, &view) }))
}

async fn available_models(context: &RequestContext<'_>, caller: &AuthenticatedCaller) -> Vec<(ModelId, Value)> {
    let mut models = context.deployment.config.policy.models_for(&caller.grant);
    // If the vendor's list was never read or cannot be fetched, no model is hidden.
    if let Some(listed) = listed_models(context).await {
        models.retain(|(id, _)| listed.contains(id));
    }
    models
}

thread_local! {
    /// The time from which the Dispatcher is asked again, and the vendor's model list.
    static LISTED: RefCell<(UnixMillis, Option<Rc<[ModelId]>>)> = const { RefCell::new((UnixMillis(0), None)) };
}

/// Returns the vendor's model list: from memory for a minute (protocol 4), else from the Dispatcher. Asks the
/// Dispatcher again after a second if it has no list.
async fn listed_models(context: &RequestContext<'_>) -> Option<Rc<[ModelId]>> {
    let (again_at, known) = LISTED.with_borrow(Clone::clone);
    if context.now < again_at {
        return known;
    }
    // Set before the Dispatcher is asked, so that other requests do not ask it at the same time.
    LISTED.set((context.now.plus_millis(MILLIS_PER_SECOND), known.clone()));
    match ask_dispatcher(context.env, &DispatcherRequest::Models, ACK_TIMEOUT_MILLIS).await {
        Ok(DispatcherReply::Models(Some(listed))) => {
            let listed: Rc<[ModelId]> = listed.into();
            LISTED.set((context.now.plus_millis(MODEL_LIST_CACHE_MILLIS), Some(Rc::clone(&listed))));
            Some(listed)
        }
        _ => known,
    }
}

/// `GET /v1/account` and its views: the caller's own limits and usage.
pub async fn account(context: &RequestContext<'_>, caller: &AuthenticatedCaller, view: AccountView) -> RouteResult {
    let mut plan = context.plan_of(caller)?.clone();
    let request = LedgerRequest::Account { predictions_per_minute: plan.predictions_per_minute };
    let counted = ask_ledger(context, caller, request).await?;
    let LedgerReply::Account(usage) = &counted.value else { return Err(counted.reject(unexpected())) };
    if let Some(own) = &usage.limits {
        plan.replace_limits(own);
    }
    let today = context.now.utc_day();
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
            "plan": plan.name, "limits": plan.limits_view(), "usage": summary(&used, usage), "credits_balance": balance,
        }),
        AccountView::Usage => json!({"data": usage.days.iter().map(render_day).collect::<Vec<_>>()}),
        AccountView::RateLimits => json!({
            "requests_per_minute": counted.rate,
            "predictions_per_minute": usage.creates,
            "concurrent_predictions": {
                "limit": plan.concurrent_predictions, "running": usage.running, "waiting": usage.waiting,
            },
        }),
        AccountView::Balance => json!({
            "credits_balance": balance, "daily_credits": plan.daily_credits.to_string(),
            "resets_at": today.next().start().to_rfc3339(),
        }),
    };
    counted.complete(Response::json(200, &body))
}

fn summary(today: &DayUsage, usage: &AccountUsage) -> Value {
    json!({
        "day": UtcDay(today.day).to_iso_date(), "credits_spent": today.spent.to_string(),
        "credits_reserved": today.reserved.to_string(), "predictions": today.predictions,
        "running": usage.running, "waiting": usage.waiting,
    })
}
