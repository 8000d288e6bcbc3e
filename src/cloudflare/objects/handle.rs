//! The handling of a message, the same for both objects.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;

use crate::cloudflare::runtime::platform::PlatformError;

/// The result of work in an object. The error names no cause, which may hold secrets.
pub type ActorResult<T> = Result<T, PlatformError>;

/// Handles a message: decodes it, runs `answer`, encodes the reply. Message and reply are JSON.
///
/// Returns the text of the reply if `answer` awaits nothing, else a promise of it; worker.js accepts both. If the
/// message cannot be decoded or `answer` fails, `recover` logs an alert. It returns the reply for this case, or an
/// error: then the promise is rejected and the sender's call fails.
pub fn handle<M, R, W>(
    message: &str,
    answer: impl FnOnce(M) -> W + 'static,
    recover: impl FnOnce() -> ActorResult<R> + 'static,
) -> JsValue
where
    M: DeserializeOwned + 'static,
    R: Serialize + 'static,
    W: Future<Output = ActorResult<R>> + 'static,
{
    let message = serde_json::from_str::<M>(message).map_err(|_| PlatformError);
    at_once_or_promised(async move {
        let answered = match message {
            Ok(message) => answer(message).await,
            Err(error) => Err(error),
        };
        let reply = answered.or_else(|PlatformError| recover())?;
        serde_json::to_string(&reply).map_err(|_| PlatformError)
    })
}

/// Runs `work` until it waits or ends. Returns its text if it awaits nothing, which saves a promise in wasm and in
/// JavaScript; else a promise that continues `work`.
fn at_once_or_promised(work: impl Future<Output = Result<String, PlatformError>> + 'static) -> JsValue {
    let failed = |PlatformError| JsValue::from_str("failed");
    let mut work: Pin<Box<dyn Future<Output = Result<String, PlatformError>>>> = Box::pin(work);
    match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(text)) => JsValue::from_str(&text),
        Poll::Ready(Err(error)) => js_sys::Promise::reject(&failed(error)).into(),
        // wasm-bindgen's executor polls the future again, with a waker.
        Poll::Pending => wasm_bindgen_futures::future_to_promise(async move {
            work.await.map(|text| JsValue::from_str(&text)).map_err(failed)
        })
        .into(),
    }
}
