//! What worker.js calls in the core, besides [`start`](super::runtime::driver::start) and the two classes of objects.

use wasm_bindgen::prelude::*;
use worker::{Context, Env, ScheduleContext, ScheduledEvent, event};

use super::http::pipeline;
use super::objects::client::tick_dispatcher;
use super::runtime::driver;

/// Begins a request of the edge. Returns what [`driver::drive`] does.
#[wasm_bindgen]
pub fn begin(request: web_sys::Request, env: Env, context: worker::worker_sys::Context) -> JsValue {
    let failed = |_| JsValue::from_str("no response");
    #[cfg(feature = "test-exports")]
    super::test_exports::panic_if_at(super::test_exports::Place::Edge);
    driver::drive(Box::pin(async move { pipeline::handle(request, env, Context::new(context)).await.map_err(failed) }))
}

/// The cron trigger of each minute: an alarm can be lost, and this finds it (docs/architecture.md, alarms).
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    tick_dispatcher(&env).await;
}
