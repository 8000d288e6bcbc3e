//! Sends notifications to the operator's receivers. Rust bindings of webhook_http.js.

use crate::cloudflare::runtime::driver::wait;
use crate::cloudflare::runtime::platform;
use crate::constants::NOTIFICATION_TIMEOUT_MILLIS;
use crate::notification::{Notification, Receiver};
use crate::vendor::request::USER_AGENT;

mod js {
    use js_sys::Promise;
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(raw_module = "../../src/cloudflare/runtime/webhook_http.js")]
    extern "C" {
        #[wasm_bindgen(js_name = postNotification)]
        pub fn post_notification(
            url: &str,
            user_agent: &str,
            id: &str,
            timestamp: &str,
            signature: &str,
            body: &str,
            timeout: u32,
        ) -> Promise;
    }
}

/// Sends a notification once. Returns whether the receiver took it: it responded with 2xx in time.
pub async fn post(receiver: &Receiver, notification: &Notification) -> bool {
    let now = platform::now().seconds();
    let signature = receiver.sign(notification, now);
    let Notification { id, body } = notification;
    let (url, time) = (receiver.url.as_str(), now.0.to_string());
    let sent = js::post_notification(url, USER_AGENT, id, &time, &signature, body, NOTIFICATION_TIMEOUT_MILLIS);
    wait(sent).await.is_ok_and(|response| response.as_bool() == Some(true))
}
