//! A response whose body the core writes, event by event.

use wasm_bindgen::prelude::*;

use crate::cloudflare::runtime::driver::wait;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::constants::EVENT_HEARTBEAT_MILLIS;

mod js {
    use js_sys::Promise;
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(raw_module = "../../src/cloudflare/runtime/platform.js")]
    extern "C" {
        #[wasm_bindgen(catch, js_name = openStream)]
        pub fn open_stream(header_lines: &str) -> Result<js_sys::Array, JsValue>;
        #[wasm_bindgen(js_name = writeStream)]
        pub fn write_stream(writer: &JsValue, text: &str, timeout: i32) -> Promise;
        #[wasm_bindgen(js_name = closeStream)]
        pub fn close_stream(writer: &JsValue);
    }
}

/// The writer of a response whose body is not complete yet.
pub struct OpenStream {
    writer: JsValue,
}

impl OpenStream {
    /// Opens a response, and returns it with its writer.
    pub fn open(header_lines: &str) -> Result<(web_sys::Response, Self), PlatformError> {
        let parts = js::open_stream(header_lines)?;
        let response = parts.get(0).dyn_into::<web_sys::Response>().map_err(|_| PlatformError)?;
        Ok((response, Self { writer: parts.get(1) }))
    }

    /// Writes a text. Fails if the client has disconnected, or has read nothing for [`EVENT_HEARTBEAT_MILLIS`].
    pub async fn write(&self, text: &str) -> Result<(), PlatformError> {
        let timeout = i32::try_from(EVENT_HEARTBEAT_MILLIS).unwrap_or(i32::MAX);
        wait(js::write_stream(&self.writer, text, timeout)).await?;
        Ok(())
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        js::close_stream(&self.writer);
    }
}
