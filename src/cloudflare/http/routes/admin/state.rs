//! `GET /admin/api/state`, and the slots of unknown outcomes.

use serde_json::{Value, json};

use super::audit::audited;
use super::client::{ask, refused};
use super::operator::Operator;
use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::http::ledger_client::limiter_unavailable;
use crate::cloudflare::http::response::Response;
use crate::cloudflare::objects::ledger;
use crate::cloudflare::runtime::version::Version;
use crate::messages::{OperatorReply, OperatorRequest};
use crate::types::ids::JobId;
use crate::wire::rejection::Rejection;

/// Shows what the Dispatcher does, and who asks: the operator's page has actions only with the right to write.
///
/// Its version and the edge's may differ for minutes at a deployment.
pub async fn show(context: &RequestContext<'_>, operator: &Operator) -> Result<Response, Rejection> {
    let OperatorReply::State(mut state) = ask(context, OperatorRequest::State).await? else {
        return Err(limiter_unavailable("dispatcher_reply"));
    };
    state.insert("time".to_owned(), json!(context.now.to_rfc3339()));
    let rights: Vec<&str> = operator.rights(context).collect();
    state.insert("operator".to_owned(), json!({"name": operator.name(), "rights": rights}));
    if let Some(Value::Object(version)) = state.get_mut("version") {
        version.insert("edge".to_owned(), Version::of(context.env).render());
    }
    if let Some(Value::Object(migrations)) = state.get_mut("migrations") {
        migrations.insert("ledger".to_owned(), json!(ledger::newest_migration()));
        migrations.insert("breaking_ledger".to_owned(), json!(ledger::newest_breaking_migration()));
    }
    Ok(Response::json(200, &Value::Object(state)))
}

/// `POST /admin/api/jobs/{id}/release`: frees the slot of an unknown outcome before its time is over. The prediction stays
/// `failed`.
///
/// # Errors
/// 404 if the Dispatcher has no such prediction, 409 if it waits or runs, 503.
pub async fn release(context: &RequestContext<'_>, operator: &Operator, job_id: &JobId) -> Result<Response, Rejection> {
    audited(context, operator, ("release", Some(job_id.as_str())), async {
        match ask(context, OperatorRequest::ReleaseSlot { job_id: job_id.clone() }).await? {
            OperatorReply::Done => Ok(Response::empty(204)),
            reply => Err(refused(&reply)),
        }
    })
    .await
}
