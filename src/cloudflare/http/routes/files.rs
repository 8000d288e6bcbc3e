//! `/v1/files`: a body goes from the client through the edge to the vendor, untouched; its record stays in the Ledger.

use serde_json::{Value, json};

use crate::cloudflare::http::context::Call;
use crate::cloudflare::http::response::Response;
use crate::cloudflare::http::routes::create::is_encoded;
use crate::cloudflare::http::routes::reads::{list_limit, list_parameters};
use crate::cloudflare::objects::client::{
    ask_ledger, ask_ledger_again, ask_permit, tell_ledger, unexpected, vendor_refusal,
};
use crate::cloudflare::runtime::platform;
use crate::constants::FILE_MAX_BYTES;
use crate::messages::{LedgerReply, LedgerRequest};
use crate::parse::digits::parse_digits;
use crate::token::Grant;
use crate::types::file::{FileRecord, parse_file_type};
use crate::types::ids::FileId;
use crate::vendor::reply::{VendorReply, read_file_id};
use crate::vendor::request;
use crate::wire::rejection::{Code, Rejection};

/// Steps 7 to 11: 7 media type, length 415, 400, 413 · 9 Ledger 401, 429, 503 · 10 Dispatcher 503 · 11 the vendor 502, 503,
/// 504 · 12 the record, without which the file is nobody's and goes again.
pub async fn upload(call: &Call<'_>, grant: &Grant) -> Result<Response, Rejection> {
    // 7
    let media_type = call.head.content_type.as_deref().filter(|_| !is_encoded(call)).and_then(parse_file_type);
    let content_type = media_type.ok_or_else(|| Rejection::new(Code::UnsupportedMediaType, "media_type"))?;
    let bytes = content_length(call)?;
    // 9
    ask_ledger(call, grant, LedgerRequest::Check).await?;
    // 10
    ask_permit(call, None).await?;
    // 11
    let (base, key) = (call.deployment.config.upstream_url.as_str(), call.deployment.key(None));
    let answer = platform::upload_to_vendor(call.request, bytes, content_type, &request::upload(base), key).await;
    let vendor_id = uploaded(&answer)?;
    // 12
    let file = FileRecord {
        file_id: FileId::new(call.now, platform::random()),
        vendor_id,
        content_type: content_type.to_owned(),
        bytes,
        created_at: call.now,
    };
    if let Err(rejection) = tell_ledger(call.env, &grant.user, LedgerRequest::PutFile { file: file.clone() }).await {
        // It may have written it all the same.
        let _ = tell_ledger(call.env, &grant.user, LedgerRequest::DeleteFile { file_id: file.file_id }).await;
        if ask_permit(call, None).await.is_ok() {
            platform::fetch_vendor(&request::delete_file(base, &file.vendor_id), key).await;
        }
        return Err(rejection);
    }
    let location = Some(format!("{}/v1/files/{}", call.base, file.file_id));
    Ok(Response { location, ..Response::json(201, &file.render()) })
}

fn content_length(call: &Call<'_>) -> Result<u64, Rejection> {
    let length = call.head.content_length.as_deref().and_then(parse_digits::<u64>);
    match length {
        Some(length) if length > FILE_MAX_BYTES => Err(Rejection::new(Code::BodyTooLarge, "file")),
        Some(length) if length > 0 => Ok(length),
        _ => Err(Rejection::parameter(Code::InvalidParameter, "content_length", "content_length")),
    }
}

/// The vendor's id of an uploaded file.
fn uploaded(answer: &VendorReply) -> Result<String, Rejection> {
    match answer {
        VendorReply::Response(response) if (200..=299).contains(&response.status) => {
            let id = response.body.as_deref().and_then(read_file_id);
            id.ok_or_else(|| Rejection::new(Code::UpstreamError, "vendor_unreadable"))
        }
        other => Err(vendor_refusal(other)),
    }
}

/// `GET /v1/files?limit=&cursor=`.
pub async fn list(call: &Call<'_>, grant: &Grant) -> Result<Response, Rejection> {
    let [limit, cursor] = list_parameters(call.url.query, ["limit", "cursor"])?;
    let bad = || Rejection::parameter(Code::InvalidParameter, "list_parameter", "cursor");
    let before = cursor.map(|cursor| FileId::parse(&cursor).ok_or_else(bad)).transpose()?;
    let request = LedgerRequest::ListFiles { limit: list_limit(limit)?, before };
    let LedgerReply::Files { files, has_more: more } = ask_ledger(call, grant, request).await? else {
        return Err(unexpected());
    };
    let next = files.last().filter(|_| more).map(|file| file.file_id.as_str());
    let data: Vec<Value> = files.iter().map(FileRecord::render).collect();
    Ok(Response::json(200, &json!({"data": data, "next_cursor": next})))
}

/// `GET /v1/files/{id}`: what is known of it, never its bytes.
pub async fn get(call: &Call<'_>, grant: &Grant, file_id: &FileId) -> Result<Response, Rejection> {
    Ok(Response::json(200, &find(call, grant, file_id).await?.render()))
}

async fn find(call: &Call<'_>, grant: &Grant, file_id: &FileId) -> Result<FileRecord, Rejection> {
    match ask_ledger(call, grant, LedgerRequest::GetFile { file_id: file_id.clone() }).await? {
        LedgerReply::Files { files, .. } => files.into_iter().next().ok_or_else(unexpected),
        _ => Err(unexpected()),
    }
}

/// `DELETE /v1/files/{id}`: at the vendor first, so that a failure leaves something that can be tried again.
pub async fn delete(call: &Call<'_>, grant: &Grant, file_id: &FileId) -> Result<Response, Rejection> {
    let file = find(call, grant, file_id).await?;
    ask_permit(call, None).await?;
    let request = request::delete_file(call.deployment.config.upstream_url.as_str(), &file.vendor_id);
    let answer = platform::fetch_vendor(&request, call.deployment.key(None)).await;
    let is_gone = |status: u16| (200..=299).contains(&status) || matches!(status, 404 | 410);
    match &answer {
        VendorReply::Response(response) if is_gone(response.status) => {}
        other => return Err(vendor_refusal(other)),
    }
    ask_ledger_again(call.env, grant, LedgerRequest::DeleteFile { file_id: file_id.clone() }).await?;
    Ok(Response::empty(204))
}
