//! `/v1/files`: the edge streams an uploaded file to the vendor, unchanged. The Ledger keeps its record.

use serde_json::{Value, json};

use crate::cloudflare::http::body::is_encoded;
use crate::cloudflare::http::context::{AuthenticatedCaller, RequestContext};
use crate::cloudflare::http::ledger_client::{
    ask_ledger, ask_ledger_again, ask_permit, tell_ledger, unexpected, vendor_refusal,
};
use crate::cloudflare::http::lost;
use crate::cloudflare::http::outcome::{Counted, RouteError, RouteResult};
use crate::cloudflare::http::query::{bad_list_parameter, list_limit, list_parameters};
use crate::cloudflare::http::response::Response;
use crate::cloudflare::objects::client::ask_dispatcher;
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::platform;
use crate::cloudflare::runtime::vendor_http;
use crate::constants::{ACK_TIMEOUT_MILLIS, FILE_MAX_BYTES, VENDOR_BODY_MAX_BYTES};
use crate::messages::{DispatcherRequest, LedgerReply, LedgerRequest};
use crate::parse::digits::parse_digits;
use crate::types::alert::Alert;
use crate::types::file::{FileLimits, FileRecord, parse_file_type};
use crate::types::ids::FileId;
use crate::types::time::UnixMillis;
use crate::vendor::reply::{VendorReply, has_id_conflict, read_file_id};
use crate::vendor::request;
use crate::wire::rejection::{Code, Rejection};
use crate::wire::violation::{Rule, Violation};

/// Uploads a file:
///
/// 7. Check media type and length: 415, 400, 413.
/// 9. Let the Ledger reserve room: 401, 403, 429, 503. After a failure of a later step the room is given back.
/// 10. Get a permit of the Dispatcher: 503.
/// 11. Stream the file to the vendor: 502, 503, 504.
/// 12. Store the record in the Ledger: 503. Without a record the file belongs to no user, so it is deleted again.
pub async fn upload(context: &RequestContext<'_>, caller: &AuthenticatedCaller) -> RouteResult {
    // 7
    let media_type = context.head.content_type.as_deref().filter(|_| !is_encoded(context)).and_then(parse_file_type);
    let content_type = media_type.ok_or_else(|| Rejection::bad_file_type("media_type"))?;
    let bytes = content_length(context)?;
    // 9
    let plan = context.plan_of(caller)?;
    let limits = FileLimits { max_files: plan.max_files, max_bytes: plan.max_file_bytes };
    let upload = context.request_id.clone();
    let reserve = LedgerRequest::ReserveFile { upload: upload.clone(), bytes, limits };
    // The platform drops a request whose client left, unless something is left to do: without the steps after the vendor's
    // response, the vendor would keep a file that nobody knows.
    let _alive = platform::keep_alive(context.execution);
    let counted = match ask_ledger(context, caller, reserve).await {
        Ok(counted) => counted,
        Err(error) => {
            // The Ledger may have reserved the room although it did not reply.
            if error.rejection.code == Code::LimiterUnavailable {
                let _ = tell_ledger(context.env, &caller.grant.user, LedgerRequest::ReleaseFile { upload }).await;
            }
            return Err(error);
        }
    };
    // 10 to 12
    match send_and_store(context, caller, &counted, content_type, bytes).await {
        Ok(file) => {
            let location = Some(format!("{}/v1/files/{}", context.base_url, file.file_id));
            counted.complete(Response { location, ..Response::json(201, &file.render()) })
        }
        Err(rejection) => {
            // If this fails, the reservation ends by itself.
            let _ = tell_ledger(context.env, &caller.grant.user, LedgerRequest::ReleaseFile { upload }).await;
            Err(counted.reject(rejection))
        }
    }
}

/// Runs steps 10 to 12 of an upload.
async fn send_and_store(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    counted: &Counted<LedgerReply>,
    content_type: &'static str,
    bytes: u64,
) -> Result<FileRecord, Rejection> {
    // 10
    let permit = ask_permit(context, caller, None).await?;
    // 11
    lost::while_sending(context, counted);
    let base = context.deployment.config.upstream_url.as_str();
    let key = context.deployment.key(permit.vendor_key_fingerprint.as_deref());
    let reply = vendor_http::upload_to_vendor(context.request, bytes, content_type, &request::upload(base), key).await;
    let vendor_id = uploaded(&reply, platform::now())?;
    // 12
    let now = platform::now();
    let file = FileRecord {
        file_id: FileId::new(now, platform::random()),
        vendor_id,
        content_type: content_type.to_owned(),
        bytes,
        // The upload may have taken minutes.
        created_at: now,
        used_on: Some(now.utc_day()),
    };
    let (env, user) = (context.env, &caller.grant.user);
    let put = LedgerRequest::PutFile { file: file.clone(), upload: Some(context.request_id.clone()) };
    if let Err(rejection) = tell_ledger(env, user, put).await {
        // The Ledger may have stored the record although it did not reply.
        let _ = tell_ledger(env, user, LedgerRequest::DeleteFile { file_id: file.file_id }).await;
        let delete = DispatcherRequest::DeleteFiles { vendor_ids: vec![file.vendor_id] };
        let _ = ask_dispatcher(env, &delete, ACK_TIMEOUT_MILLIS).await;
        return Err(rejection);
    }
    Ok(file)
}

fn content_length(context: &RequestContext<'_>) -> Result<u64, Rejection> {
    let refuse = |violation| {
        Err(Rejection::parameter(Code::InvalidParameter, "content_length", "content_length").because(violation))
    };
    match context.head.content_length.as_deref().map(parse_digits::<u64>) {
        None => refuse(Violation::plain(Rule::Required)),
        Some(None) => refuse(Violation::new(Rule::Type, "integer")),
        Some(Some(0)) => refuse(Violation::new(Rule::Min, 1)),
        Some(Some(length)) if length > FILE_MAX_BYTES => Err(Rejection::new(Code::BodyTooLarge, "file")),
        Some(Some(length)) => Ok(length),
    }
}

/// The vendor's id of an uploaded file.
fn uploaded(reply: &VendorReply, now: UnixMillis) -> Result<String, Rejection> {
    report_oddities(reply);
    match reply {
        VendorReply::Response(response) if (200..=299).contains(&response.status) => {
            read_file_id(&response.body).ok_or_else(|| vendor_refusal(reply, now))
        }
        VendorReply::Response(_) | VendorReply::TimedOut | VendorReply::Broken => Err(vendor_refusal(reply, now)),
    }
}

/// Raises an alert for an odd reply.
fn report_oddities(reply: &VendorReply) {
    if reply.is_too_large() {
        alerts::raise(Alert::VendorAnswerTooLarge);
    }
    if matches!(reply, VendorReply::Response(response) if has_id_conflict(&response.body)) {
        alerts::raise(Alert::VendorIdsConflict);
    }
}

/// `GET /v1/files?limit=&cursor=`.
pub async fn list(context: &RequestContext<'_>, caller: &AuthenticatedCaller) -> RouteResult {
    let [limit, cursor] = list_parameters(context.url.query, ["limit", "cursor"])?;
    let bad = || bad_list_parameter("cursor", Violation::plain(Rule::Format));
    let before = cursor.map(|cursor| FileId::parse(&cursor).ok_or_else(bad)).transpose()?;
    let request = LedgerRequest::ListFiles { limit: list_limit(limit)?, before };
    let counted = ask_ledger(context, caller, request).await?;
    let LedgerReply::Files { files, has_more } = &counted.value else {
        return Err(counted.reject(unexpected()));
    };
    let next = files.last().filter(|_| *has_more).map(|file| file.file_id.as_str());
    let data: Vec<Value> = files.iter().map(FileRecord::render).collect();
    counted.complete(Response::json(200, &json!({"data": data, "next_cursor": next})))
}

/// `GET /v1/files/{id}`: the file's record, never its bytes.
pub async fn get(context: &RequestContext<'_>, caller: &AuthenticatedCaller, file_id: &FileId) -> RouteResult {
    let file = find(context, caller, file_id).await?;
    file.complete(Response::json(200, &file.value.render()))
}

async fn find(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    file_id: &FileId,
) -> Result<Counted<FileRecord>, RouteError> {
    let request = LedgerRequest::GetFile { file_id: file_id.clone() };
    let Counted { value, rate } = ask_ledger(context, caller, request).await?;
    let file = match value {
        LedgerReply::Files { files, .. } => files.into_iter().next(),
        _ => None,
    };
    match file {
        Some(value) => Ok(Counted { value, rate }),
        None => Err(RouteError { rejection: unexpected(), rate }),
    }
}

/// `DELETE /v1/files/{id}`: deletes the file at the vendor first. If that fails, the record remains, and the client can
/// retry.
pub async fn delete(context: &RequestContext<'_>, caller: &AuthenticatedCaller, file_id: &FileId) -> RouteResult {
    let file = find(context, caller, file_id).await?;
    let reject = |rejection| file.reject(rejection);
    let permit = ask_permit(context, caller, None).await.map_err(reject)?;
    let request = request::delete_file(context.deployment.config.upstream_url.as_str(), &file.value.vendor_id);
    let key = context.deployment.key(permit.vendor_key_fingerprint.as_deref());
    let mut reply = vendor_http::fetch_vendor(&request, key, VENDOR_BODY_MAX_BYTES).await;
    if let Some(other) = context.deployment.other_key(key).filter(|_| reply.status() == Some(401)) {
        ask_permit(context, caller, None).await.map_err(reject)?;
        reply = vendor_http::fetch_vendor(&request, other, VENDOR_BODY_MAX_BYTES).await;
    }
    let is_gone = |status: u16| (200..=299).contains(&status) || matches!(status, 404 | 410);
    match &reply {
        VendorReply::Response(response) if is_gone(response.status) => {}
        other => return Err(file.reject(vendor_refusal(other, platform::now()))),
    }
    let request = LedgerRequest::DeleteFile { file_id: file_id.clone() };
    ask_ledger_again(context.env, &caller.grant, request).await.map_err(reject)?;
    file.complete(Response::empty(204))
}
