//! `GET /v1/account…`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use serde_json::json;

use super::error::HandlerResult;
use super::guard::CallerAccount;
use crate::app::App;
use crate::clock::now_ms;
use crate::response::json_response;

/// `GET /v1/account`: the balance and the limits.
pub async fn account(
    State(app): State<Arc<App>>,
    Extension(CallerAccount(account)): Extension<CallerAccount>,
) -> HandlerResult {
    let mut world = app.world();
    let balance = world.accounts.account(&account).balance;
    let settings = &world.settings;
    Ok(json_response(&json!({
        "id": account,
        "credits_balance": balance,
        "rate_limit_per_minute": settings.requests_per_minute,
        "concurrent_limit": settings.concurrent_limit,
        "daily_limit": settings.daily_limit,
    })))
}

/// `GET /v1/account/balance`.
pub async fn balance(
    State(app): State<Arc<App>>,
    Extension(CallerAccount(account)): Extension<CallerAccount>,
) -> HandlerResult {
    let balance = app.world().accounts.account(&account).balance;
    Ok(json_response(&json!({"credits_balance": balance})))
}

/// `GET /v1/account/usage`: `{"data":[{"day","credits_spent","predictions"}]}`.
pub async fn usage(
    State(app): State<Arc<App>>,
    Extension(CallerAccount(account)): Extension<CallerAccount>,
) -> HandlerResult {
    let usage = app.world().accounts.account(&account).usage();
    Ok(json_response(&json!({"data": usage})))
}

/// `GET /v1/account/rate-limits`: the limits and their use now. A limit that is off is `null`.
pub async fn rate_limits(
    State(app): State<Arc<App>>,
    Extension(CallerAccount(account)): Extension<CallerAccount>,
) -> HandlerResult {
    let mut world = app.world();
    let now_ms = now_ms();
    let limit = world.settings.requests_per_minute;
    let status = limit.map(|limit| world.accounts.account(&account).window.status(limit, now_ms));
    Ok(json_response(&json!({
        "rate_limit_per_minute": limit,
        "remaining": status.map(|status| status.remaining),
        "reset": status.map(|status| status.next_free_ms.div_ceil(1000)),
        "concurrent_limit": world.settings.concurrent_limit,
        "running": world.predictions.running(&account),
    })))
}
