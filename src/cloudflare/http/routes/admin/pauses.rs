//! `POST /admin/api/pause` and `POST /admin/api/resume`: creates wait while a lease is held.

use serde_json::{Map, Value, json};

use super::audit::audited;
use super::client::{ask, refused};
use super::operator::Operator;
use crate::cloudflare::http::body::{BodyKind, check_members, read_json};
use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::http::response::Response;
use crate::cloudflare::runtime::platform;
use crate::constants::PAUSE_MAX_SECS;
use crate::messages::{OperatorReply, OperatorRequest};
use crate::parse::number::parse_whole;
use crate::policy::Policy;
use crate::types::ids::PauseId;
use crate::types::model::ModelId;
use crate::wire::rejection::{Code, Rejection};
use crate::wire::violation::{Rule, Violation};

/// Pauses creates of all models, or of one: `{"for_secs":120,"model":"acme/x","id":"pause_…"}`. With `id` it renews that
/// lease, from now on.
///
/// # Errors
/// 404 if the lease to renew has ended, 429 if there are too many, 503.
pub async fn pause(context: &RequestContext<'_>, operator: &Operator) -> Result<Response, Rejection> {
    let body = read_json(context, BodyKind::Other).await?;
    let wanted = WantedPause::parse(&body.members, &context.deployment.config.policy)?;
    let is_renewal = wanted.id.is_some();
    let id = wanted.id.unwrap_or_else(|| PauseId::new(platform::now(), platform::random()));
    let action = if is_renewal { "renew_pause" } else { "pause" };
    let request = OperatorRequest::Pause { id: id.clone(), model: wanted.model, for_secs: wanted.for_secs, is_renewal };
    audited(context, operator, (action, Some(id.as_str())), async {
        match ask(context, request).await? {
            OperatorReply::Paused { ends_at } => {
                Ok(Response::json(200, &json!({"id": id, "ends_at": ends_at.to_rfc3339()})))
            }
            reply => Err(refused(&reply)),
        }
    })
    .await
}

/// Gives a lease back: `{"id":"pause_…"}`. Done as well if it has ended.
pub async fn resume(context: &RequestContext<'_>, operator: &Operator) -> Result<Response, Rejection> {
    let body = read_json(context, BodyKind::Other).await?;
    check_members(&body.members, &["id"], "pause")?;
    let id = read_id(&body.members)?.ok_or_else(|| wrong("id").because(Violation::plain(Rule::Required)))?;
    audited(context, operator, ("resume", Some(id.as_str())), async {
        match ask(context, OperatorRequest::Resume { id: id.clone() }).await? {
            OperatorReply::Done => Ok(Response::empty(204)),
            reply => Err(refused(&reply)),
        }
    })
    .await
}

struct WantedPause {
    for_secs: u32,
    model: Option<ModelId>,
    id: Option<PauseId>,
}

impl WantedPause {
    fn parse(body: &Map<String, Value>, policy: &Policy) -> Result<Self, Rejection> {
        check_members(body, &["for_secs", "model", "id"], "pause")?;
        let violation = match body.get("for_secs").map(parse_whole::<i64>) {
            None => Violation::plain(Rule::Required),
            Some(None) => Violation::new(Rule::Type, "integer"),
            Some(Some(..1)) => Violation::new(Rule::Min, 1),
            Some(Some(secs)) => match u32::try_from(secs).ok().filter(|secs| *secs <= PAUSE_MAX_SECS) {
                Some(for_secs) => return Ok(Self { for_secs, model: read_model(body, policy)?, id: read_id(body)? }),
                None => Violation::new(Rule::Max, PAUSE_MAX_SECS),
            },
        };
        Err(wrong("for_secs").because(violation))
    }
}

fn wrong(name: &str) -> Rejection {
    Rejection::parameter(Code::InvalidParameter, "pause", name)
}

fn read_text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Rejection> {
    match body.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(name).because(Violation::new(Rule::Type, "string"))),
    }
}

fn read_id(body: &Map<String, Value>) -> Result<Option<PauseId>, Rejection> {
    let parse = |text| PauseId::parse(text).ok_or_else(|| wrong("id").because(Violation::plain(Rule::Format)));
    read_text(body, "id")?.map(parse).transpose()
}

/// Only a model of `POLICY`: a misspelled one would pause nothing, without an error.
fn read_model(body: &Map<String, Value>, policy: &Policy) -> Result<Option<ModelId>, Rejection> {
    let known = |text| ModelId::parse(text).filter(|model| policy.models.contains_key(model));
    let parse = |text| known(text).ok_or_else(|| wrong("model").because(Violation::plain(Rule::Enum)));
    read_text(body, "model")?.map(parse).transpose()
}
