//! Rust bindings of platform.js.

use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

use crate::cloudflare::runtime::driver::wait;
use crate::types::time::UnixMillis;
use crate::vendor::request::USER_AGENT;
use crate::wire::headers::RequestHead;

mod js {
    use js_sys::Promise;
    use wasm_bindgen::prelude::*;

    // The path is relative to wasm-bindgen's output (scripts/build.sh), so that worker.js and the core share one
    // module.
    #[wasm_bindgen(raw_module = "../../src/cloudflare/runtime/platform.js")]
    extern "C" {
        #[wasm_bindgen(js_name = requestHead)]
        pub fn request_head(request: &web_sys::Request) -> String;
        #[wasm_bindgen(catch, js_name = respond)]
        pub fn respond(status: u16, header_lines: &str, body: Option<&str>) -> Result<web_sys::Response, JsValue>;
        #[wasm_bindgen(catch, js_name = respondWithBodyOf)]
        pub fn respond_with_body_of(
            source: &web_sys::Response,
            header_lines: &str,
        ) -> Result<web_sys::Response, JsValue>;
        #[wasm_bindgen(js_name = readBody)]
        pub fn read_body(source: &JsValue, limit: u32) -> Promise;
        #[wasm_bindgen(js_name = postForm)]
        pub fn post_form(url: &str, form: &str, user_agent: &str, timeout: u32, max_bytes: u32) -> Promise;
        #[wasm_bindgen(js_name = isWithinRate)]
        pub fn is_within_rate(limiter: &JsValue, key: &str) -> Promise;
        #[wasm_bindgen(js_name = textBindings)]
        pub fn text_bindings(env: &JsValue) -> String;
        pub fn sleep(millis: i32) -> Promise;
    }
}

/// A failed call of the platform. The cause is not kept, because its text may contain secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformError;

impl From<JsValue> for PlatformError {
    fn from(_: JsValue) -> Self {
        Self
    }
}

/// Returns the present time, in milliseconds since the Unix epoch.
pub fn now() -> UnixMillis {
    // `Date.now` returns whole milliseconds, below 2^53.
    #[allow(clippy::as_conversions, clippy::cast_possible_truncation, reason = "an integer within i64")]
    UnixMillis(js_sys::Date::now() as i64)
}

/// Returns ten random bytes for an id.
pub fn random() -> [u8; 10] {
    let mut bytes = [0; 10];
    // The platform's crypto.getRandomValues does not fail. If it did, the id's time would still make the id unique, or
    // the primary key would refuse the duplicate.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// Reads method, URL and headers of a request with one call to JavaScript.
pub fn request_head(request: &web_sys::Request) -> RequestHead {
    let text = js::request_head(request);
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default().to_owned();
    let (method, url) = (next(), next());
    let mut header = || Some(next()).filter(|value| value != "\0");
    RequestHead {
        method,
        url,
        authorization: header(),
        origin: header(),
        content_type: header(),
        content_encoding: header(),
        content_length: header(),
        request_id: header(),
        idempotency_key: header(),
        prefer: header(),
        last_event_id: header(),
        proof: header(),
        attestation: header(),
        accept: header(),
        access_assertion: header(),
        admin_marker: header(),
    }
}

/// Makes a response with one call to JavaScript. `header_lines` are `name: value`, separated by newlines.
pub fn respond(status: u16, header_lines: &str, body: Option<&str>) -> Result<web_sys::Response, PlatformError> {
    Ok(js::respond(status, header_lines, body)?)
}

/// Makes a response with the status and the body of `source`, and `header_lines` instead of its headers.
pub fn respond_with_body_of(
    source: &web_sys::Response,
    header_lines: &str,
) -> Result<web_sys::Response, PlatformError> {
    Ok(js::respond_with_body_of(source, header_lines)?)
}

/// Reads a request's body of at most `limit` bytes. Returns `None` if it is longer.
pub async fn read_body(request: &web_sys::Request, limit: usize) -> Result<Option<Vec<u8>>, PlatformError> {
    let bytes = wait(js::read_body(request.as_ref(), u32::try_from(limit).unwrap_or(u32::MAX))).await?;
    Ok((!bytes.is_undefined()).then(|| Uint8Array::new(&bytes).to_vec()))
}

/// Posts a form. Returns the body of a 200 response of at most `max_bytes`, and `None` for any other response. Follows
/// no redirect.
pub async fn post_form(url: &str, form: &str, timeout_millis: u32, max_bytes: u32) -> Option<Vec<u8>> {
    let bytes = wait(js::post_form(url, form, USER_AGENT, timeout_millis, max_bytes)).await.ok()?;
    bytes.dyn_into::<Uint8Array>().ok().map(|bytes| bytes.to_vec())
}

/// Returns every text binding of the deployment: its variables and secrets.
pub fn text_bindings(env: &worker::Env) -> std::collections::BTreeMap<String, String> {
    let env: &JsValue = env.as_ref();
    serde_json::from_str(&js::text_bindings(env)).unwrap_or_default()
}

/// Returns a text binding: a variable or a secret.
pub fn text_binding(env: &worker::Env, name: &str) -> Option<String> {
    binding(env, name).ok()?.as_string()
}

/// Returns a binding that is not text, such as a namespace of Durable Objects.
pub fn binding(env: &worker::Env, name: &str) -> Result<JsValue, PlatformError> {
    let env: &JsValue = env.as_ref();
    Ok(js_sys::Reflect::get(env, &JsValue::from_str(name))?)
}

/// Keeps a request going although its client has left, until this is dropped. The platform allows it for half a minute.
pub struct KeepAlive {
    finish: Option<js_sys::Function>,
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        if let Some(finish) = &self.finish {
            let _ = finish.call0(&JsValue::NULL);
        }
    }
}

/// Keeps a request going although its client leaves.
pub fn keep_alive(execution: &worker::Context) -> KeepAlive {
    let mut finish = None;
    let finished = js_sys::Promise::new(&mut |resolve, _| finish = Some(resolve));
    execution.wait_until(async move {
        let _ = wait(finished).await;
    });
    KeepAlive { finish }
}

/// Returns the address of the client as the platform saw it, or `None` outside of Cloudflare's network.
pub fn client_address(request: &web_sys::Request) -> Option<String> {
    request.headers().get("cf-connecting-ip").ok().flatten()
}

/// Counts a request of `key` with the platform's rate-limit binding of this name, and returns whether it is within the
/// limit. A missing or failing binding lets every request pass.
pub async fn is_within_rate(env: &worker::Env, name: &str, key: &str) -> bool {
    let Ok(limiter) = binding(env, name) else { return true };
    !matches!(wait(js::is_within_rate(&limiter, key)).await.map(|passed| passed.as_bool()), Ok(Some(false)))
}

/// Waits for `millis`.
pub async fn sleep(millis: i32) {
    let _ = wait(js::sleep(millis)).await;
}
