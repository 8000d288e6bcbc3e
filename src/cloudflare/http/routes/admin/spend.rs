//! Spend and refusals: what the objects have counted.

use serde_json::{Value, json};

use super::client::ask;
use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::http::ledger_client::limiter_unavailable;
use crate::cloudflare::http::query::{bad_list_parameter, list_parameters};
use crate::cloudflare::http::response::Response;
use crate::messages::{OperatorReply, OperatorRequest, RefusalCount};
use crate::operator::BadParameter;
use crate::operator::days::parse_days;
use crate::operator::spend_page::SpendPage;
use crate::operator::spend_query::{PARAMETERS, SpendRequest, parse_spend_request};
use crate::wire::rejection::Rejection;

/// `GET /admin/api/spend`: a page of spend, as JSON or as CSV. Its groups are sorted by day, plan, model and user.
///
/// # Errors
/// 400 for a parameter, 503.
pub async fn list(context: &RequestContext<'_>) -> Result<Response, Rejection> {
    let values = list_parameters(context.url.query, PARAMETERS)?;
    let today = context.now.utc_day();
    let SpendRequest { query, is_csv } =
        parse_spend_request(&values, context.head.accept.as_deref(), today).map_err(refuse)?;
    let OperatorReply::Spend(rows) = ask(context, OperatorRequest::Spend(query.clone())).await? else {
        return Err(limiter_unavailable("dispatcher_reply"));
    };
    let page = SpendPage::new(&query, &rows);
    Ok(if is_csv { Response::csv(page.to_csv(), page.next_cursor()) } else { Response::json(200, &page.to_json()) })
}

/// `GET /admin/api/refusals`: refused requests by day and code, the first day first.
///
/// # Errors
/// 400 for a parameter, 503.
pub async fn refusals(context: &RequestContext<'_>) -> Result<Response, Rejection> {
    let [from, to] = list_parameters(context.url.query, ["from", "to"])?;
    let (from, to) = parse_days(from.as_deref(), to.as_deref(), context.now.utc_day()).map_err(refuse)?;
    let OperatorReply::Refusals(counts) = ask(context, OperatorRequest::Refusals { from, to }).await? else {
        return Err(limiter_unavailable("dispatcher_reply"));
    };
    let show = |count: &RefusalCount| json!({"day": count.day.to_iso_date(), "code": count.code, "count": count.count});
    Ok(Response::json(200, &json!({"data": counts.iter().map(show).collect::<Vec<Value>>()})))
}

fn refuse((name, violation): BadParameter) -> Rejection {
    bad_list_parameter(name, violation)
}
