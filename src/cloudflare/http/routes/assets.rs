//! Serves the static assets: the demo page with a strict content security policy, and the OpenAPI document.

use wasm_bindgen::{JsCast, JsValue};
use worker::Env;

use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::http::response;
use crate::cloudflare::runtime::driver::wait;
use crate::cloudflare::runtime::platform::{self, PlatformError};

/// Fetches an asset by its path.
async fn asset(env: &Env, name: &str) -> Result<web_sys::Response, PlatformError> {
    let assets = platform::binding(env, "ASSETS")?;
    let fetch: js_sys::Function = js_sys::Reflect::get(&assets, &JsValue::from_str("fetch"))?.dyn_into()?;
    // The assets binding ignores the host.
    let promise: js_sys::Promise =
        fetch.call1(&assets, &JsValue::from_str(&format!("https://assets{name}")))?.dyn_into()?;
    Ok(wait(promise).await?.dyn_into()?)
}

/// Serves a public document.
pub async fn document(context: &RequestContext<'_>, name: &str) -> Result<web_sys::Response, PlatformError> {
    let file = asset(context.env, name).await?;
    platform::respond_with_body_of(&file, &response::document_lines(context.request_id, context.origin))
}

/// Serves one of the files that [`crate::wire::route`] lists. The asset's own headers are not relayed.
pub async fn serve(context: &RequestContext<'_>, asset: &'static str) -> Result<web_sys::Response, PlatformError> {
    let file = self::asset(context.env, asset).await?;
    let mut lines = response::common_lines(context.request_id, "no-cache");
    lines.push_str("\nContent-Type: ");
    lines.push_str(content_type(asset));
    lines.push_str("\nContent-Security-Policy: ");
    lines.push_str(&context.deployment.config.demo_security_policy());
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
