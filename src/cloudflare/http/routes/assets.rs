//! What is served from the assets: the demo's files, with a strict policy for the page, and the API's description.

use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use worker::Env;

use crate::cloudflare::http::response;
use crate::cloudflare::runtime::deployment::Deployment;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::types::ids::RequestId;
use crate::wire::cors::OriginCheck;

/// The file of that name among the assets.
async fn asset(env: &Env, name: &str) -> Result<web_sys::Response, PlatformError> {
    let assets = platform::binding(env, "ASSETS")?;
    let fetch: js_sys::Function = js_sys::Reflect::get(&assets, &JsValue::from_str("fetch"))?.dyn_into()?;
    // The host does not matter to the assets binding.
    let promise: js_sys::Promise =
        fetch.call1(&assets, &JsValue::from_str(&format!("https://assets{name}")))?.dyn_into()?;
    Ok(JsFuture::from(promise).await?.dyn_into()?)
}

/// Serves a document that anybody may read.
pub async fn document(
    env: &Env,
    name: &str,
    request_id: &RequestId,
    origin: OriginCheck<'_>,
) -> Result<web_sys::Response, PlatformError> {
    let file = asset(env, name).await?;
    platform::respond_with_body_of(&file, &response::document_lines(request_id, origin))
}

/// Serves one of the files that [`crate::wire::route`] lists. The asset's own headers are not relayed.
pub async fn serve(
    env: &Env,
    deployment: &Deployment,
    asset: &'static str,
    request_id: &RequestId,
) -> Result<web_sys::Response, PlatformError> {
    let file = self::asset(env, asset).await?;
    let mut lines = response::common_lines(request_id, "no-cache");
    lines.push_str("\nContent-Type: ");
    lines.push_str(content_type(asset));
    lines.push_str("\nContent-Security-Policy: ");
    lines.push_str(&content_security_policy(deployment));
    platform::respond_with_body_of(&file, &lines)
}

fn content_type(asset: &str) -> &'static str {
    match asset.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// The page may load pictures over https, show one that the person picked (`blob:`), and talk to this API and to the app's
/// own origins, where its backend is.
fn content_security_policy(deployment: &Deployment) -> String {
    let config = &deployment.config;
    let backends = config.allowed_origins.join(" ");
    // In development the vendor's stand-in serves its pictures over http on loopback.
    let upstream = config.upstream_url.origin();
    let pictures = if upstream.starts_with("http:") { upstream } else { "" };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: https: {pictures}; connect-src 'self' {backends}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
