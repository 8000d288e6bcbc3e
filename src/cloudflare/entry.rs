//! The exports of the core that worker.js calls for HTTP requests and for the cron trigger. The others are
//! [`start`](super::runtime::driver::start) and the two Durable Object classes.

use wasm_bindgen::prelude::*;
use worker::{Context, Env, ScheduleContext, ScheduledEvent, event};

use super::http::pipeline;
use super::objects::client::{hand_over_alerts, tick_dispatcher};
use super::runtime::driver;

/// Begins a request of the edge. Returns the same as [`driver::drive`].
#[wasm_bindgen]
pub fn begin(request: web_sys::Request, env: Env, context: worker::worker_sys::Context) -> JsValue {
    let failed = |_| JsValue::from_str("no response");
    #[cfg(feature = "test-exports")]
    super::test_exports::panic_if_at(super::test_exports::Place::Edge);
    driver::drive(Box::pin(async move { pipeline::handle(request, env, Context::new(context)).await.map_err(failed) }))
}

/// Handles the cron trigger, once a minute: sends the Dispatcher a tick. The platform can lose an alarm, and the tick
/// makes the Dispatcher arm it again (protocol 3).
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    if let Some(handing_over) = hand_over_alerts(&env) {
        handing_over.await;
    }
    tick_dispatcher(&env).await;
}
