//! The audit log of the operators' writes. An action that cannot be recorded is not done.

use serde_json::{Value, json};

use super::client::ask;
use super::operator::Operator;
use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::http::ledger_client::limiter_unavailable;
use crate::cloudflare::http::query::{bad_list_parameter, list_limit, list_parameters};
use crate::cloudflare::http::response::Response;
use crate::messages::{ActionResult, AuditEntry, AuditRow, OperatorReply, OperatorRequest};
use crate::parse::digits::parse_digits;
use crate::wire::rejection::Rejection;
use crate::wire::violation::{Rule, Violation};

/// Does an action that is in the audit log: the record before it, its result after it. `subject` is the action's name and
/// its target: a user key, a prediction, or a name of the operator's API. The target never is a user's own name.
///
/// # Errors
/// 503 if the action cannot be recorded: then it is not done. Else those of the action.
pub async fn audited(
    context: &RequestContext<'_>,
    operator: &Operator,
    (action, target): (&'static str, Option<&str>),
    act: impl Future<Output = Result<Response, Rejection>>,
) -> Result<Response, Rejection> {
    let entry = AuditEntry {
        request_id: context.request_id.clone(),
        issuer: operator.issuer().to_owned(),
        operator: operator.name().to_owned(),
        action: action.to_owned(),
        target: target.map(str::to_owned),
    };
    ask(context, OperatorRequest::BeginAction(entry)).await?;
    let done = act.await;
    let result = match &done {
        Ok(_) => ActionResult::Ok,
        Err(rejection) if rejection.code.wire().status < 500 => ActionResult::Refused,
        Err(_) => ActionResult::Failed,
    };
    // Without it, the record says that the result is not known.
    let _ = ask(context, OperatorRequest::FinishAction { request_id: context.request_id.clone(), result }).await;
    done
}

/// `GET /admin/api/audit`: a page of the audit log, the latest action first.
///
/// # Errors
/// 400 for a parameter, 503.
pub async fn list(context: &RequestContext<'_>) -> Result<Response, Rejection> {
    let [limit, cursor] = list_parameters(context.url.query, ["limit", "cursor"])?;
    let limit = list_limit(limit)?;
    let read_cursor = |text: String| {
        parse_digits::<u64>(&text).ok_or_else(|| bad_list_parameter("cursor", Violation::plain(Rule::Format)))
    };
    let before = cursor.map(read_cursor).transpose()?;
    let OperatorReply::Audit(rows) = ask(context, OperatorRequest::Audit { before, limit }).await? else {
        return Err(limiter_unavailable("dispatcher_reply"));
    };
    let is_full = u32::try_from(rows.len()).is_ok_and(|count| count >= limit);
    let next = rows.last().filter(|_| is_full).map(|row| row.id.to_string());
    let data: Vec<Value> = rows.iter().map(show).collect();
    Ok(Response::json(200, &json!({"data": data, "next_cursor": next})))
}

fn show(row: &AuditRow) -> Value {
    json!({
        "id": row.id, "time": row.at.to_rfc3339(), "issuer": row.entry.issuer, "operator": row.entry.operator,
        "action": row.entry.action, "target": row.entry.target, "request_id": row.entry.request_id, "result": row.result,
    })
}
