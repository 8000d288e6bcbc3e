//! Everything but the create: predictions, models, the account.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value, json};

use crate::cloudflare::http::context::Call;
use crate::cloudflare::http::response::Response;
use crate::cloudflare::http::routes::create::render_batch;
use crate::cloudflare::objects::client::{ask_dispatcher, ask_ledger, unexpected, use_proof};
use crate::constants::{ACK_TIMEOUT_MILLIS, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, MILLIS_PER_SECOND, MODEL_LIST_CACHE_MILLIS};
use crate::messages::{AccountUsage, DayUsage, DispatcherReply, DispatcherRequest, LedgerReply, LedgerRequest};
use crate::parse::digits::parse_digits;
use crate::token::Grant;
use crate::types::credits::MicroCredits;
use crate::types::ids::{BatchId, JobId};
use crate::types::model::ModelId;
use crate::types::prediction::Status;
use crate::types::time::{UnixMillis, UtcDay};
use crate::wire::rejection::{Code, Rejection};
use crate::wire::route::AccountView;

/// `GET /v1/predictions/{id}`: from the Ledger's row, never a vendor request.
pub async fn get(call: &Call<'_>, grant: &Grant, job_id: &JobId) -> Result<Response, Rejection> {
    one(call, grant, LedgerRequest::Get { job_id: job_id.clone() }).await
}

/// `POST /v1/predictions/{id}/cancel`: never waits for the vendor.
pub async fn cancel(call: &Call<'_>, grant: &Grant, job_id: &JobId) -> Result<Response, Rejection> {
    one(call, grant, LedgerRequest::Cancel { job_id: job_id.clone() }).await
}

async fn one(call: &Call<'_>, grant: &Grant, request: LedgerRequest) -> Result<Response, Rejection> {
    match ask_ledger(call, grant, request).await? {
        LedgerReply::Prediction(record) => Ok(Response::json_text(200, record.render(call.base))),
        _ => Err(unexpected()),
    }
}

/// `GET /v1/predictions/batch/{id}`.
pub async fn batch(call: &Call<'_>, grant: &Grant, batch_id: &BatchId) -> Result<Response, Rejection> {
    match ask_ledger(call, grant, LedgerRequest::GetBatch { batch_id: batch_id.clone() }).await? {
        LedgerReply::Created { records, .. } => {
            Ok(Response::json_text(200, render_batch(batch_id, &records, call.base)))
        }
        _ => Err(unexpected()),
    }
}

/// `DELETE /v1/predictions/{id}`.
pub async fn delete(call: &Call<'_>, grant: &Grant, job_id: &JobId) -> Result<Response, Rejection> {
    ask_ledger(call, grant, LedgerRequest::Delete { job_id: job_id.clone() }).await?;
    Ok(Response::empty(204))
}

/// `GET /v1/predictions?limit=&cursor=&status=`.
pub async fn list(call: &Call<'_>, grant: &Grant) -> Result<Response, Rejection> {
    let request = list_request(call.url.query)?;
    let LedgerReply::Page { records, has_more: more } = ask_ledger(call, grant, request).await? else {
        return Err(unexpected());
    };
    // The cursor is the last id of the page: it says nothing that the page does not.
    let next = json!(records.last().filter(|_| more).map(|record| record.job_id.as_str()));
    let data: Vec<String> = records.iter().map(|record| record.render(call.base)).collect();
    Ok(Response::json_text(200, format!("{{\"data\":[{}],\"next_cursor\":{next}}}", data.join(","))))
}

fn list_request(query: &str) -> Result<LedgerRequest, Rejection> {
    let [limit, before, status] = list_parameters(query, ["limit", "cursor", "status"])?;
    let bad = |name: &str| Rejection::parameter(Code::InvalidParameter, "list_parameter", name);
    Ok(LedgerRequest::List {
        limit: list_limit(limit)?,
        before: before.map(|cursor| JobId::parse(&cursor).ok_or_else(|| bad("cursor"))).transpose()?,
        status: status.map(|word| word.parse::<Status>().map_err(|_| bad("status"))).transpose()?,
    })
}

/// The values of a query's parameters: each at most once, and no other.
pub fn list_parameters<const N: usize>(query: &str, names: [&str; N]) -> Result<[Option<String>; N], Rejection> {
    let mut values = [const { None }; N];
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let place = names.iter().zip(&mut values).find(|(known, _)| **known == name);
        let Some((known, place)) = place else {
            return Err(Rejection::new(Code::UnsupportedParameter, "list_parameter"));
        };
        if place.replace(value.into_owned()).is_some() {
            return Err(Rejection::parameter(Code::InvalidParameter, "list_parameter", *known));
        }
    }
    Ok(values)
}

/// The rows of a page.
pub fn list_limit(value: Option<String>) -> Result<u32, Rejection> {
    let Some(value) = value else { return Ok(PAGE_SIZE_DEFAULT) };
    let limit = parse_digits(&value).filter(|limit| (1..=PAGE_SIZE_MAX).contains(limit));
    limit.ok_or_else(|| Rejection::parameter(Code::InvalidParameter, "list_parameter", "limit"))
}

const MODELS_CACHE: &str = "private, max-age=60";

/// `GET /v1/models`: the plan's, without those that the vendor does not list.
pub async fn models(call: &Call<'_>, grant: &Grant) -> Result<Response, Rejection> {
    use_proof(call, grant).await?;
    let data = available_models(call, grant).await;
    let data: Vec<Value> = data.into_iter().map(|(_, view)| view).collect();
    Ok(Response { cache_control: MODELS_CACHE, ..Response::json(200, &json!({"data": data})) })
}

/// `GET /v1/models/{owner}/{model}`.
pub async fn model(call: &Call<'_>, grant: &Grant, model: &ModelId) -> Result<Response, Rejection> {
    use_proof(call, grant).await?;
    let found = available_models(call, grant).await.into_iter().find(|(id, _)| id == model);
    let (_, view) = found.ok_or_else(|| Rejection::new(Code::NotFound, "model"))?;
    Ok(Response { cache_control: MODELS_CACHE, ..Response::json(200, &view) })
}

async fn available_models(call: &Call<'_>, grant: &Grant) -> Vec<(ModelId, Value)> {
    let mut models = call.deployment.config.policy.models_for(grant);
    // A list that was never read, or cannot be had, hides nothing.
    if let Some(listed) = listed_models(call).await {
        models.retain(|(id, _)| listed.contains(id));
    }
    models
}

thread_local! {
    /// The vendor's list, and when the Dispatcher is asked for it again.
    static LISTED: RefCell<(UnixMillis, Option<Rc<[ModelId]>>)> = const { RefCell::new((UnixMillis(0), None)) };
}

/// The vendor's list: from memory for a minute (protocol 4), and for a second where there is none yet.
async fn listed_models(call: &Call<'_>) -> Option<Rc<[ModelId]>> {
    let (again_at, known) = LISTED.with_borrow(Clone::clone);
    if call.now < again_at {
        return known;
    }
    // Before the question: others are not to ask as well while the answer is on its way.
    LISTED.set((call.now.plus_millis(MILLIS_PER_SECOND), known.clone()));
    match ask_dispatcher(call.env, &DispatcherRequest::Models, ACK_TIMEOUT_MILLIS).await {
        Ok(DispatcherReply::Models(Some(listed))) => {
            let listed: Rc<[ModelId]> = listed.into();
            LISTED.set((call.now.plus_millis(MODEL_LIST_CACHE_MILLIS), Some(Rc::clone(&listed))));
            Some(listed)
        }
        _ => known,
    }
}

/// `GET /v1/account` and its views: the caller's own.
pub async fn account(call: &Call<'_>, grant: &Grant, view: AccountView) -> Result<Response, Rejection> {
    let plan = call.deployment.config.policy.limits_for(grant)?;
    let request = LedgerRequest::Account { predictions_per_minute: plan.predictions_per_minute };
    let LedgerReply::Account(usage) = ask_ledger(call, grant, request).await? else {
        return Err(unexpected());
    };
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
            "requests_per_minute": call.rate.get(),
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
    Ok(Response::json(200, &body))
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
