//! Serves the static assets: the demo page and the operator's page, each with a strict content security policy, and the
//! OpenAPI document.

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

/// The headers of the operator's page. It loads and calls nothing but this Worker, and no text becomes markup or a script
/// (W3C Trusted Types). No page may frame it or keep a handle to its window: a click there acts on all users.
const ADMIN_PAGE_LINES: &str = "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'\nX-Frame-Options: DENY\n\
    Cross-Origin-Opener-Policy: same-origin\nCross-Origin-Resource-Policy: same-origin";

/// Serves one of the demo page's files.
pub async fn demo(context: &RequestContext<'_>, asset: &'static str) -> Result<web_sys::Response, PlatformError> {
    let policy = context.deployment.config.demo_security_policy();
    serve(context, asset, &format!("Content-Security-Policy: {policy}")).await
}

/// Serves one of the files of the operator's page.
pub async fn admin_page(context: &RequestContext<'_>, asset: &'static str) -> Result<web_sys::Response, PlatformError> {
    serve(context, asset, ADMIN_PAGE_LINES).await
}

/// Serves one of the files that [`crate::wire::route`] lists, with these headers. The asset's own are not relayed.
async fn serve(
    context: &RequestContext<'_>,
    asset: &'static str,
    page_lines: &str,
) -> Result<web_sys::Response, PlatformError> {
    let file = self::asset(context.env, asset).await?;
    let lines = response::common_lines(context.request_id, "no-cache");
    let content_type = content_type(asset);
    platform::respond_with_body_of(&file, &format!("{lines}\nContent-Type: {content_type}\n{page_lines}"))
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
