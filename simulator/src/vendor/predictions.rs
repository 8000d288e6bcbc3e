//! Reads, lists and cancels predictions.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::json;

use super::error::{HandlerResult, VendorError};
use super::guard::CallerAccount;
use crate::app::App;
use crate::prediction::{Prediction, Status};
use crate::response::json_response;

/// Rows of a page without `limit`.
const DEFAULT_ROWS: usize = 25;
/// Maximum rows of a page.
const MAX_ROWS: usize = 100;

/// `GET /v1/predictions/:id` and `GET /v1/status/:id`: the prediction as it is now.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(CallerAccount(account)): Extension<CallerAccount>,
    Path(id): Path<String>,
) -> HandlerResult {
    let prediction = find(&app, &account, &id)?;
    *app.world().recorder.status_polls.entry(prediction.id.clone()).or_default() += 1;
    Ok(json_response(&app.render(&prediction)))
}

/// `POST /v1/predictions/:id/cancel` and `POST /v1/cancel/:id`: cancels a prediction → 200 with the prediction. An
/// ended prediction is returned unchanged.
pub async fn cancel(
    State(app): State<Arc<App>>,
    Extension(CallerAccount(account)): Extension<CallerAccount>,
    Path(id): Path<String>,
) -> HandlerResult {
    let prediction = find(&app, &account, &id)?;
    *app.world().recorder.cancels.entry(prediction.id.clone()).or_default() += 1;
    let canceled = app.end(prediction.number, Status::Canceled, None).unwrap_or(prediction);
    Ok(json_response(&app.render(&canceled)))
}

/// The query of a list.
#[derive(Debug, Deserialize)]
pub struct Page {
    limit: Option<usize>,
    cursor: Option<u64>,
}

/// `GET /v1/predictions?limit=&cursor=`: `{"data":[…],"next_cursor":null}`, newest first. The vendor documents neither
/// this envelope nor the member that carries the next cursor.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(CallerAccount(account)): Extension<CallerAccount>,
    page: Result<Query<Page>, QueryRejection>,
) -> HandlerResult {
    let Query(page) = page.map_err(|_| VendorError::invalid_request("Invalid limit or cursor.", None))?;
    let rows = page.limit.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS);
    let before = page.cursor.unwrap_or(u64::MAX);
    let mut found: Vec<Prediction> =
        app.world().predictions.newest_first(&account, before).take(rows + 1).cloned().collect();
    let has_more = found.len() > rows;
    found.truncate(rows);
    let last = found.last().filter(|_| has_more).map(|prediction| prediction.number.to_string());
    let data: Vec<_> = found.iter().map(|prediction| app.render(prediction)).collect();
    Ok(json_response(&json!({"data": data, "next_cursor": last})))
}

/// Finds a prediction by either id.
///
/// # Errors
/// 404 for a missing prediction and for another account's.
pub fn find(app: &App, account: &str, id: &str) -> Result<Prediction, VendorError> {
    let missing = || VendorError::not_found("There is no such prediction.");
    app.world().find_owned(account, id).cloned().ok_or_else(missing)
}
