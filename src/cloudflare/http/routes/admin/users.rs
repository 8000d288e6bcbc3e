//! Requests of an operator about one user.

use std::collections::BTreeMap;

use serde_json::json;

use super::audit::audited;
use super::client::ask;
use super::operator::Operator;
use super::revocations::parse_user;
use crate::cloudflare::http::body::{BodyKind, check_members, read_json};
use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::http::ledger_client::{limiter_unavailable, tell_ledger};
use crate::cloudflare::http::query::{bad_list_parameter, list_limit, list_parameters};
use crate::cloudflare::http::response::Response;
use crate::messages::{LedgerReply, LedgerRequest, OperatorReply, OperatorRequest, UserOperation};
use crate::operator::own_limits::{BadLimits, parse_own_limits};
use crate::operator::user_export::{ExportCursor, render_export};
use crate::types::ids::{JobId, UserKey};
use crate::types::prediction::Status;
use crate::wire::rejection::{Code, Rejection};
use crate::wire::violation::{Rule, Violation};

/// `POST /admin/api/users/lookup`: the key of a user, and whether its Ledger has stored anything.
///
/// # Errors
/// 415, 413, 400, 503.
pub async fn look_up(context: &RequestContext<'_>) -> Result<Response, Rejection> {
    let body = read_json(context, BodyKind::Other).await?;
    check_members(&body.members, &["issuer", "subject"], "lookup")?;
    let user = parse_user(context, &body.members)?;
    let is_known = match operate(context, &user, UserOperation::Know).await {
        Ok(_) => true,
        Err(rejection) if rejection.code == Code::NotFound => false,
        Err(rejection) => return Err(rejection),
    };
    Ok(Response::json(200, &json!({"user": user, "known": is_known})))
}

/// `GET /admin/api/users/{user}`: a page of all that is stored of a user.
///
/// # Errors
/// 400 for a parameter, 404 for an unknown user, 503.
pub async fn export(context: &RequestContext<'_>, user: &UserKey) -> Result<Response, Rejection> {
    let [limit, cursor] = list_parameters(context.url.query, ["limit", "cursor"])?;
    let limit = list_limit(limit)?;
    let cursor = cursor.map(|text| {
        ExportCursor::parse(&text).ok_or_else(|| bad_list_parameter("cursor", Violation::plain(Rule::Format)))
    });
    let (before, before_file) = match cursor.transpose()? {
        Some(ExportCursor::Prediction(job_id)) => (Some(job_id), None),
        Some(ExportCursor::File(file_id)) => (None, Some(file_id)),
        None => (None, None),
    };
    let operation = UserOperation::Export { limit, before, before_file };
    let LedgerReply::Export(export) = operate(context, user, operation).await? else {
        return Err(limiter_unavailable("ledger_reply"));
    };
    let waiting = export.predictions.iter().filter(|record| record.status == Status::Queued);
    let inputs = stored_inputs(context, waiting.map(|record| record.job_id.clone()).collect()).await?;
    Ok(Response::json(200, &render_export(user, &export, &inputs, context.base_url)))
}

/// Returns the inputs of predictions that wait: once the vendor has a prediction, its input is deleted.
async fn stored_inputs(
    context: &RequestContext<'_>,
    job_ids: Vec<JobId>,
) -> Result<BTreeMap<JobId, String>, Rejection> {
    if job_ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    match ask(context, OperatorRequest::Inputs { job_ids }).await? {
        OperatorReply::Inputs(inputs) => Ok(inputs.into_iter().collect()),
        _ => Err(limiter_unavailable("dispatcher_reply")),
    }
}

/// `PUT /admin/api/users/{user}/override`: limits of the user's own, in place of the plan's.
///
/// # Errors
/// 415, 413, 400, 404 for an unknown user, 503.
pub async fn set_limits(
    context: &RequestContext<'_>,
    operator: &Operator,
    user: &UserKey,
) -> Result<Response, Rejection> {
    let body = read_json(context, BodyKind::Other).await?;
    let limits = parse_own_limits(&body.members, body.read_at).map_err(|bad| match bad {
        BadLimits::Unknown(name) => Rejection::parameter(Code::UnsupportedParameter, "override", name),
        BadLimits::Invalid(name, violation) => {
            Rejection::parameter(Code::InvalidParameter, "override", name).because(violation)
        }
    })?;
    act(context, operator, "set_limits", user, UserOperation::Override(Some(limits))).await
}

/// `DELETE /admin/api/users/{user}/override`: the plan's limits count again.
///
/// # Errors
/// 404 for an unknown user, 503.
pub async fn remove_limits(
    context: &RequestContext<'_>,
    operator: &Operator,
    user: &UserKey,
) -> Result<Response, Rejection> {
    act(context, operator, "remove_limits", user, UserOperation::Override(None)).await
}

/// `POST /admin/api/users/{user}/cancel`: cancels all that waits or runs.
///
/// # Errors
/// 404 for an unknown user, 503. After 503, some may be canceled; a repeated request cancels the rest.
pub async fn cancel(context: &RequestContext<'_>, operator: &Operator, user: &UserKey) -> Result<Response, Rejection> {
    act(context, operator, "cancel_user", user, UserOperation::CancelAll).await
}

/// `DELETE /admin/api/users/{user}`: deletes the user (protocol 7).
///
/// # Errors
/// 404 for an unknown user, 503. After 503, the user's tokens may be revoked; a repeated request does the rest.
pub async fn delete(context: &RequestContext<'_>, operator: &Operator, user: &UserKey) -> Result<Response, Rejection> {
    act(context, operator, "delete_user", user, UserOperation::Erase { user: user.clone() }).await
}

/// Does an operation that is in the audit log.
async fn act(
    context: &RequestContext<'_>,
    operator: &Operator,
    action: &'static str,
    user: &UserKey,
    operation: UserOperation,
) -> Result<Response, Rejection> {
    let done = async {
        match operate(context, user, operation).await? {
            LedgerReply::Done => Ok(Response::empty(204)),
            _ => Err(limiter_unavailable("ledger_reply")),
        }
    };
    audited(context, operator, (action, Some(user.as_str())), done).await
}

async fn operate(
    context: &RequestContext<'_>,
    user: &UserKey,
    operation: UserOperation,
) -> Result<LedgerReply, Rejection> {
    tell_ledger(context.env, user, LedgerRequest::Operate(operation)).await
}
