//! The bindings of `platform.js`, with Rust's types on this side.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use js_sys::{Array, Uint8Array};
use serde::de::DeserializeOwned;
use serde_json::Value;
use wasm_bindgen::prelude::*;

use crate::cloudflare::runtime::driver::wait;
use crate::constants::{
    EVENT_HEARTBEAT_MILLIS, FILE_UPLOAD_MILLIS, STREAM_SILENCE_MILLIS, VENDOR_BODY_MAX_BYTES, VENDOR_FIRST_BYTE_MILLIS,
    VENDOR_TOTAL_MILLIS,
};
use crate::types::secret::VendorKey;
use crate::types::time::UnixMillis;
use crate::vendor::reply::{VendorReply, VendorResponse};
use crate::vendor::request::{USER_AGENT, VendorRequest};
use crate::wire::headers::RequestHead;

mod js {
    use js_sys::Promise;
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(raw_module = "../../src/cloudflare/runtime/object_channel.js")]
    extern "C" {
        #[wasm_bindgen(js_name = callObject)]
        pub fn call_object(namespace: &JsValue, name: &str, message: &str, timeout: i32) -> Promise;
    }

    // The path as the output of wasm-bindgen sees it (scripts/build.sh): entry.js and the core share the module.
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
        #[wasm_bindgen(js_name = textBindings)]
        pub fn text_bindings(env: &JsValue) -> String;
        #[wasm_bindgen(js_name = fetchVendor)]
        #[allow(clippy::too_many_arguments, reason = "one crossing instead of an object built member by member")]
        pub fn fetch_vendor(
            method: &str,
            url: &str,
            authorization: &str,
            user_agent: &str,
            body: Option<&str>,
            first_byte: u32,
            total: u32,
            max_bytes: u32,
        ) -> Promise;
        #[wasm_bindgen(js_name = uploadToVendor)]
        #[allow(clippy::too_many_arguments, reason = "one crossing instead of an object built member by member")]
        pub fn upload_to_vendor(
            request: &web_sys::Request,
            length: f64,
            url: &str,
            authorization: &str,
            user_agent: &str,
            content_type: &str,
            total: u32,
            max_bytes: u32,
        ) -> Promise;
        #[wasm_bindgen(js_name = relayStream)]
        pub fn relay_stream(
            url: &str,
            authorization: &str,
            user_agent: &str,
            forms: &str,
            first_byte: u32,
            silence: u32,
            header_lines: &str,
        ) -> Promise;
        #[wasm_bindgen(js_name = endedWithin)]
        pub fn ended_within(done: &JsValue, millis: i32) -> Promise;
        #[wasm_bindgen(catch, js_name = openStream)]
        pub fn open_stream(header_lines: &str) -> Result<js_sys::Array, JsValue>;
        #[wasm_bindgen(js_name = writeStream)]
        pub fn write_stream(writer: &JsValue, text: &str, timeout: i32) -> Promise;
        #[wasm_bindgen(js_name = closeStream)]
        pub fn close_stream(writer: &JsValue);
        pub fn sleep(millis: i32) -> Promise;
        #[wasm_bindgen(catch, js_name = sqlRows)]
        pub fn sql_rows(sql: &JsValue, statement: &str, parameters: &str) -> Result<String, JsValue>;
        #[wasm_bindgen(catch, js_name = sqlTransaction)]
        pub fn sql_transaction(storage: &JsValue, statements: &str) -> Result<(), JsValue>;
        #[wasm_bindgen(js_name = setAlarm)]
        pub fn set_alarm(storage: &JsValue, at: f64);
    }
}

/// Something on the platform's side failed; what exactly may hold secrets and is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformError;

impl From<JsValue> for PlatformError {
    fn from(_: JsValue) -> Self {
        Self
    }
}

/// The clock: milliseconds since the Unix epoch.
pub fn now() -> UnixMillis {
    // Whole milliseconds below 2^53 by the definition of Date.now.
    #[allow(clippy::as_conversions, clippy::cast_possible_truncation, reason = "an integer within i64")]
    UnixMillis(js_sys::Date::now() as i64)
}

/// Ten random bytes for an id.
pub fn random() -> [u8; 10] {
    let mut bytes = [0; 10];
    // The platform's crypto.getRandomValues does not fail; if it did, an id would still be unique by its time and
    // refused by its primary key otherwise.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// Reads a request's head in one crossing.
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
    }
}

/// Makes a response in one crossing. `header_lines` are `name: value`, joined by newlines.
pub fn respond(status: u16, header_lines: &str, body: Option<&str>) -> Result<web_sys::Response, PlatformError> {
    Ok(js::respond(status, header_lines, body)?)
}

/// Makes a response with the status and body of another, and headers of ours alone.
pub fn respond_with_body_of(
    source: &web_sys::Response,
    header_lines: &str,
) -> Result<web_sys::Response, PlatformError> {
    Ok(js::respond_with_body_of(source, header_lines)?)
}

/// Reads at most `limit` bytes of a request's body; `None` if there are more.
pub async fn read_body(request: &web_sys::Request, limit: usize) -> Result<Option<Vec<u8>>, PlatformError> {
    let bytes = wait(js::read_body(request.as_ref(), u32::try_from(limit).unwrap_or(u32::MAX))).await?;
    Ok((!bytes.is_undefined()).then(|| Uint8Array::new(&bytes).to_vec()))
}

/// Sends a form and reads at most `max_bytes` of a 200; `None` for anything else. Never follows a redirect.
pub async fn post_form(url: &str, form: &str, timeout_millis: u32, max_bytes: u32) -> Option<Vec<u8>> {
    let bytes = wait(js::post_form(url, form, USER_AGENT, timeout_millis, max_bytes)).await.ok()?;
    bytes.dyn_into::<Uint8Array>().ok().map(|bytes| bytes.to_vec())
}

/// Every text binding of the deployment.
pub fn text_bindings(env: &worker::Env) -> std::collections::BTreeMap<String, String> {
    let env: &JsValue = env.as_ref();
    serde_json::from_str(&js::text_bindings(env)).unwrap_or_default()
}

/// Runs `work` as far as it goes in this turn: its text where it awaits nothing, which spares a promise on both sides of
/// the border; else a promise that goes on with it.
pub fn at_once_or_promised(work: impl Future<Output = Result<String, PlatformError>> + 'static) -> JsValue {
    let failed = |PlatformError| JsValue::from_str("failed");
    let mut work: Pin<Box<dyn Future<Output = Result<String, PlatformError>>>> = Box::pin(work);
    match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(text)) => JsValue::from_str(&text),
        Poll::Ready(Err(error)) => js_sys::Promise::reject(&failed(error)).into(),
        // It is polled again there, with a waker.
        Poll::Pending => wasm_bindgen_futures::future_to_promise(async move {
            work.await.map(|text| JsValue::from_str(&text)).map_err(failed)
        })
        .into(),
    }
}

/// Sends a message to an object and reads its reply.
pub async fn call_object<R: DeserializeOwned>(
    namespace: &JsValue,
    name: &str,
    message: &str,
    timeout_millis: i64,
) -> Result<R, PlatformError> {
    let timeout = i32::try_from(timeout_millis).unwrap_or(i32::MAX);
    let reply = wait(js::call_object(namespace, name, message, timeout)).await?;
    let text = reply.as_string().ok_or(PlatformError)?;
    serde_json::from_str(&text).map_err(|_| PlatformError)
}

/// A binding of the deployment that is not text.
pub fn binding(env: &worker::Env, name: &str) -> Result<JsValue, PlatformError> {
    let env: &JsValue = env.as_ref();
    Ok(js_sys::Reflect::get(env, &JsValue::from_str(name))?)
}

/// Sends a request to the vendor with `key` and reads the answer within all limits.
pub async fn fetch_vendor(request: &VendorRequest, key: &VendorKey) -> VendorReply {
    let authorization = format!("Bearer {}", key.expose());
    let limit = u32::try_from(VENDOR_BODY_MAX_BYTES).unwrap_or(u32::MAX);
    let answer = wait(js::fetch_vendor(
        request.method,
        &request.url,
        &authorization,
        USER_AGENT,
        request.body.as_deref(),
        VENDOR_FIRST_BYTE_MILLIS,
        VENDOR_TOTAL_MILLIS,
        limit,
    ))
    .await;
    answer.map_or(VendorReply::Broken, |answer| read_answer(&answer))
}

/// Hands a client's body of `length` bytes through to the vendor, and reads the answer.
pub async fn upload_to_vendor(
    body_of: &web_sys::Request,
    length: u64,
    content_type: &str,
    request: &VendorRequest,
    key: &VendorKey,
) -> VendorReply {
    let authorization = format!("Bearer {}", key.expose());
    let limit = u32::try_from(VENDOR_BODY_MAX_BYTES).unwrap_or(u32::MAX);
    // At most 90 million.
    #[allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "exact below 2^53")]
    let length = length as f64;
    let (url, total) = (&request.url, FILE_UPLOAD_MILLIS);
    let answer =
        wait(js::upload_to_vendor(body_of, length, url, &authorization, USER_AGENT, content_type, total, limit)).await;
    answer.map_or(VendorReply::Broken, |answer| read_answer(&answer))
}

/// The vendor's stream under way to a client.
pub struct Relay {
    response: JsValue,
    done: JsValue,
    stop: js_sys::Function,
}

/// What has become of a relayed stream.
pub enum RelayEnd {
    /// It goes on.
    Running,
    /// It has ended.
    Ended,
    /// It was cut: the key was in it.
    Leaked,
}

impl Relay {
    /// What the client gets.
    pub fn response(&self) -> Result<web_sys::Response, PlatformError> {
        self.response.clone().dyn_into().map_err(|_| PlatformError)
    }

    /// Waits for its end, so long at most.
    pub async fn ended_within(&self, millis: i32) -> RelayEnd {
        match wait(js::ended_within(&self.done, millis)).await {
            Ok(end) if end.is_undefined() => RelayEnd::Running,
            Ok(end) if end.as_string().as_deref() == Some("leaked") => RelayEnd::Leaked,
            Ok(_) | Err(_) => RelayEnd::Ended,
        }
    }

    /// Ends it.
    pub fn stop(&self) {
        let _ = self.stop.call0(&JsValue::NULL);
    }
}

/// Opens the vendor's stream; anything but 200 is an answer without a body.
pub async fn relay_stream(
    request: &VendorRequest,
    key: &VendorKey,
    forms: &str,
    header_lines: &str,
) -> Result<Relay, VendorReply> {
    let authorization = format!("Bearer {}", key.expose());
    let (first_byte, silence) = (VENDOR_FIRST_BYTE_MILLIS, STREAM_SILENCE_MILLIS);
    let relayed =
        wait(js::relay_stream(&request.url, &authorization, USER_AGENT, forms, first_byte, silence, header_lines))
            .await;
    let relayed = relayed.map_err(|_| VendorReply::Broken)?;
    let Some(parts) = relayed.dyn_ref::<Array>().filter(|parts| parts.length() == 4) else {
        return Err(read_answer(&relayed));
    };
    let stop = parts.get(3).dyn_into().map_err(|_| VendorReply::Broken)?;
    Ok(Relay { response: parts.get(1), done: parts.get(2), stop })
}

/// A response whose body is written later.
pub struct OpenStream {
    writer: JsValue,
}

impl OpenStream {
    /// Opens one with the response that goes to the client.
    pub fn open(header_lines: &str) -> Result<(web_sys::Response, Self), PlatformError> {
        let parts = js::open_stream(header_lines)?;
        let response = parts.get(0).dyn_into::<web_sys::Response>().map_err(|_| PlatformError)?;
        Ok((response, Self { writer: parts.get(1) }))
    }

    /// Writes a text; an error when the client has gone.
    pub async fn write(&self, text: &str) -> Result<(), PlatformError> {
        let patience = i32::try_from(EVENT_HEARTBEAT_MILLIS).unwrap_or(i32::MAX);
        wait(js::write_stream(&self.writer, text, patience)).await?;
        Ok(())
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        js::close_stream(&self.writer);
    }
}

/// Waits.
pub async fn sleep(millis: i32) {
    let _ = wait(js::sleep(millis)).await;
}

fn read_answer(answer: &JsValue) -> VendorReply {
    if answer.as_string().as_deref() == Some("timed_out") {
        return VendorReply::TimedOut;
    }
    let Some(parts) = answer.dyn_ref::<Array>() else { return VendorReply::Broken };
    #[allow(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "100 to 599")]
    let status = parts.get(0).as_f64().unwrap_or_default() as u16;
    let body = parts.get(4);
    VendorReply::Response(VendorResponse {
        status,
        retry_after: parts.get(1).as_string(),
        rate_limit_remaining: parts.get(2).as_string(),
        rate_limit_reset: parts.get(3).as_string(),
        body: (!body.is_undefined()).then(|| Uint8Array::new(&body).to_vec()),
    })
}

/// An object's SQLite.
#[derive(Clone, Debug)]
pub struct Sql {
    storage: JsValue,
    sql: JsValue,
}

impl Sql {
    /// The storage of this object.
    pub fn new(state: &worker::State) -> Result<Self, PlatformError> {
        let storage: JsValue = state.storage().as_raw().into();
        let sql = js_sys::Reflect::get(&storage, &JsValue::from_str("sql"))?;
        Ok(Self { storage, sql })
    }

    /// Runs a statement and reads its rows. Parameters are integers below 2^53, texts and nulls.
    pub fn rows<T: DeserializeOwned>(&self, statement: &str, parameters: &[Value]) -> Result<Vec<T>, PlatformError> {
        let parameters = serde_json::to_string(parameters).map_err(|_| PlatformError)?;
        let rows = js::sql_rows(&self.sql, statement, &parameters)?;
        serde_json::from_str(&rows).map_err(|_| PlatformError)
    }

    /// Runs statements in one transaction: all or none.
    pub fn transaction(&self, statements: &[Statement]) -> Result<(), PlatformError> {
        if statements.is_empty() {
            return Ok(());
        }
        let statements = serde_json::to_string(statements).map_err(|_| PlatformError)?;
        Ok(js::sql_transaction(&self.storage, &statements)?)
    }

    /// Arms the object's alarm for a moment.
    pub fn set_alarm(&self, at: UnixMillis) {
        // Milliseconds are far below 2^53.
        #[allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "exact below 2^53")]
        js::set_alarm(&self.storage, at.0 as f64);
    }
}

/// A statement with its parameters: a JSON array, as `platform.js` takes it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Statement(Vec<Value>);

impl Statement {
    /// `sql` with its parameters in order.
    pub fn new(sql: &str, parameters: impl IntoIterator<Item = Value>) -> Self {
        Self(std::iter::once(Value::from(sql)).chain(parameters).collect())
    }
}
