//! Rust bindings of sockets.js: the sockets between responses of the edge and a user's Ledger.

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;

use crate::cloudflare::runtime::driver::wait;
use crate::cloudflare::runtime::platform::PlatformError;

mod js {
    use js_sys::Promise;
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(raw_module = "../../src/cloudflare/runtime/sockets.js")]
    extern "C" {
        #[wasm_bindgen(catch)]
        pub fn attachments(state: &JsValue) -> Result<String, JsValue>;
        #[wasm_bindgen(catch, js_name = acceptSocket)]
        pub fn accept_socket(
            state: &JsValue,
            socket: &JsValue,
            tag: &str,
            attachment: &str,
            message: &str,
        ) -> Result<(), JsValue>;
        #[wasm_bindgen(catch, js_name = tellSocket)]
        pub fn tell_socket(state: &JsValue, tag: &str, attachment: &str, message: &str) -> Result<(), JsValue>;
        #[wasm_bindgen(catch, js_name = closeSocket)]
        pub fn close_socket(state: &JsValue, tag: &str, code: u16) -> Result<(), JsValue>;
        #[wasm_bindgen(js_name = openSocket)]
        pub fn open_socket(namespace: &JsValue, name: &str, message: &str, timeout: i32) -> Promise;
        #[wasm_bindgen(js_name = nextOf)]
        pub fn next_of(socket: &JsValue, millis: i32) -> Promise;
        #[wasm_bindgen(js_name = closeLedgerSocket)]
        pub fn close_ledger_socket(socket: &JsValue);
    }
}

/// The sockets of a Durable Object. The platform keeps them while the object sleeps.
pub struct ObjectSockets<'a> {
    state: &'a JsValue,
}

impl<'a> ObjectSockets<'a> {
    /// Returns the sockets of an object.
    pub fn new(state: &'a worker::State) -> Self {
        Self { state: state.as_raw().as_ref() }
    }

    /// Reads what is attached to the open sockets. One that cannot be read, of a newer build, is left out.
    pub fn attached<T: DeserializeOwned>(&self) -> Vec<T> {
        let text = js::attachments(self.state).unwrap_or_default();
        let all: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap_or_default();
        all.into_iter().filter_map(|attachment| serde_json::from_value(attachment).ok()).collect()
    }

    /// Accepts a socket under a tag, and sends its first message.
    pub fn accept(
        &self,
        socket: &JsValue,
        tag: &str,
        attachment: &impl Serialize,
        message: &impl Serialize,
    ) -> Result<(), PlatformError> {
        Ok(js::accept_socket(self.state, socket, tag, &to_json(attachment)?, &to_json(message)?)?)
    }

    /// Sends a message to the socket with this tag, and attaches what it was told.
    pub fn tell(&self, tag: &str, attachment: &impl Serialize, message: &impl Serialize) -> Result<(), PlatformError> {
        Ok(js::tell_socket(self.state, tag, &to_json(attachment)?, &to_json(message)?)?)
    }

    /// Closes the socket with this tag, if there is one.
    pub fn close(&self, tag: &str, code: u16) -> Result<(), PlatformError> {
        Ok(js::close_socket(self.state, tag, code)?)
    }
}

fn to_json(value: &impl Serialize) -> Result<String, PlatformError> {
    serde_json::to_string(value).map_err(|_| PlatformError)
}

/// The edge's end of a socket. Dropping it closes the socket.
pub struct LedgerSocket {
    socket: JsValue,
}

/// A message or the end of a socket.
pub enum Received {
    /// A message.
    Message(String),
    /// The socket was closed with this code.
    Closed(u16),
    /// Nothing, in the given time.
    Nothing,
}

impl LedgerSocket {
    /// Sends a message that opens a socket. Returns the object's reply, and the socket unless it opened none.
    pub async fn open(
        namespace: &JsValue,
        name: &str,
        message: &str,
        timeout_millis: i32,
    ) -> Result<(String, Option<Self>), PlatformError> {
        let opened = wait(js::open_socket(namespace, name, message, timeout_millis)).await?;
        let parts = opened.dyn_into::<js_sys::Array>().map_err(|_| PlatformError)?;
        let socket = Some(parts.get(1)).filter(|socket| !socket.is_undefined()).map(|socket| Self { socket });
        Ok((parts.get(0).as_string().ok_or(PlatformError)?, socket))
    }

    /// Waits for the next message or for the end, for `millis` at most.
    pub async fn next(&self, millis: i32) -> Received {
        let Ok(item) = wait(js::next_of(&self.socket, millis)).await else { return Received::Nothing };
        #[allow(
            clippy::as_conversions,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "1000 to 4999"
        )]
        let code = item.as_f64().map(|code| code as u16);
        match (item.as_string(), code) {
            (Some(message), _) => Received::Message(message),
            (None, Some(code)) => Received::Closed(code),
            (None, None) => Received::Nothing,
        }
    }
}

impl Drop for LedgerSocket {
    fn drop(&mut self) {
        js::close_ledger_socket(&self.socket);
    }
}
