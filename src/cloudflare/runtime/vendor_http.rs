//! Sends requests to the vendor, with the vendor key and within limits of time and size. Rust bindings of
//! vendor_http.js.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::cloudflare::runtime::driver::wait;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::constants::{
    FILE_UPLOAD_MILLIS, STREAM_SILENCE_MILLIS, VENDOR_BODIES_MAX_BYTES, VENDOR_BODY_CHUNK_BYTES, VENDOR_BODY_MAX_BYTES,
    VENDOR_FIRST_BYTE_MILLIS, VENDOR_TOTAL_MILLIS,
};
use crate::types::secret::VendorKey;
use crate::vendor::body::{BodyReader, VendorBody};
use crate::vendor::reply::{RateLimit, VendorReply, VendorResponse};
use crate::vendor::request::{USER_AGENT, VendorRequest};

mod js {
    use js_sys::Promise;
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(raw_module = "../../src/cloudflare/runtime/vendor_http.js")]
    extern "C" {
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
            small_bytes: u32,
            all_bytes: u32,
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
            small_bytes: u32,
            all_bytes: u32,
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
    }
}

/// Sends a request to the vendor with `key`, and reads the reply within the time-out. Reads at most `max_bytes` of its
/// body.
pub async fn fetch_vendor(request: &VendorRequest, key: &VendorKey, max_bytes: usize) -> VendorReply {
    let authorization = format!("Bearer {}", key.expose());
    let reply = wait(js::fetch_vendor(
        request.method,
        &request.url,
        &authorization,
        USER_AGENT,
        request.body.as_deref(),
        VENDOR_FIRST_BYTE_MILLIS,
        VENDOR_TOTAL_MILLIS,
        to_u32(max_bytes),
        to_u32(VENDOR_BODY_MAX_BYTES),
        to_u32(VENDOR_BODIES_MAX_BYTES),
    ))
    .await;
    reply.map_or(VendorReply::Broken, |reply| read_reply(&reply))
}

/// Streams a client's body of `length` bytes to the vendor, and reads the reply.
pub async fn upload_to_vendor(
    body_of: &web_sys::Request,
    length: u64,
    content_type: &str,
    request: &VendorRequest,
    key: &VendorKey,
) -> VendorReply {
    let authorization = format!("Bearer {}", key.expose());
    // At most 90 million.
    #[allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "exact below 2^53")]
    let length = length as f64;
    let reply = wait(js::upload_to_vendor(
        body_of,
        length,
        &request.url,
        &authorization,
        USER_AGENT,
        content_type,
        FILE_UPLOAD_MILLIS,
        to_u32(VENDOR_BODY_MAX_BYTES),
        to_u32(VENDOR_BODY_MAX_BYTES),
        to_u32(VENDOR_BODIES_MAX_BYTES),
    ))
    .await;
    reply.map_or(VendorReply::Broken, |reply| read_reply(&reply))
}

/// A stream of the vendor that is being relayed to a client.
pub struct Relay {
    response: JsValue,
    done: js_sys::Promise,
    stop: js_sys::Function,
}

/// How a relayed stream ended.
pub enum RelayEnd {
    /// One side ended it, or it was stopped.
    Ended,
    /// The stream was cut off, because it contained the vendor key.
    Leaked,
}

impl Relay {
    /// Returns the response for the client.
    pub fn response(&self) -> Result<web_sys::Response, PlatformError> {
        self.response.clone().dyn_into().map_err(|_| PlatformError)
    }

    /// Waits for the end of the stream.
    pub async fn end(&self) -> RelayEnd {
        match wait(self.done.clone()).await {
            Ok(end) if end.as_string().as_deref() == Some("leaked") => RelayEnd::Leaked,
            Ok(_) | Err(_) => RelayEnd::Ended,
        }
    }

    /// Stops the stream.
    pub fn stop(&self) {
        let _ = self.stop.call0(&JsValue::NULL);
    }
}

/// Opens the vendor's stream.
///
/// # Errors
/// The vendor's reply, without a body, if its status is not 200 or there is no response.
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
        return Err(read_reply(&relayed));
    };
    let broken = |_| VendorReply::Broken;
    let (done, stop) = (parts.get(2).dyn_into().map_err(broken)?, parts.get(3).dyn_into().map_err(broken)?);
    Ok(Relay { response: parts.get(1), done, stop })
}

fn read_reply(reply: &JsValue) -> VendorReply {
    if reply.as_string().as_deref() == Some("timed_out") {
        return VendorReply::TimedOut;
    }
    let Some(parts) = reply.dyn_ref::<Array>() else { return VendorReply::Broken };
    #[allow(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "100 to 599")]
    let status = parts.get(0).as_f64().unwrap_or_default() as u16;
    VendorReply::Response(VendorResponse {
        status,
        retry_after: parts.get(1).as_string(),
        rate_limit: RateLimit {
            limit: parts.get(2).as_string(),
            remaining: parts.get(3).as_string(),
            reset: parts.get(4).as_string(),
        },
        body: read_body(&parts.get(5)),
    })
}

/// Reads a body from its chunks, which are absent if the body was too large. Copies and reads one piece at a time: wasm
/// memory never shrinks, so it must never hold a whole body.
fn read_body(chunks: &JsValue) -> VendorBody {
    let Some(chunks) = chunks.dyn_ref::<Array>() else { return VendorBody::TooLarge };
    let mut reader = BodyReader::default();
    let mut piece = vec![0; VENDOR_BODY_CHUNK_BYTES];
    for chunk in chunks.iter().filter_map(|chunk| chunk.dyn_into::<Uint8Array>().ok()) {
        let mut at = 0;
        while at < chunk.length() {
            let end = at.saturating_add(to_u32(VENDOR_BODY_CHUNK_BYTES)).min(chunk.length());
            let part = chunk.subarray(at, end);
            let length = usize::try_from(part.length()).unwrap_or_default();
            if let Some(bytes) = piece.get_mut(..length) {
                part.copy_to(bytes);
                reader.push(bytes);
            }
            at = end;
        }
    }
    reader.finish()
}

fn to_u32(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
