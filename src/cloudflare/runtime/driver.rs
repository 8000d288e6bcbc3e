//! Runs the futures of edge requests, driven by JavaScript: when a future waits for a promise, worker.js awaits the
//! promise and resumes the future with the result.
//!
//! - A wait costs one call from wasm to JavaScript and one back, instead of closures and promises of wasm-bindgen on
//!   both sides. A request that waits for nothing gets its response in the call that begins it.
//! - A request leaves no callback in JavaScript that could outlive the wasm instance. When the instance ends, worker.js
//!   sends the response that [`if_lost`] left.
//!
//! Invariant: while a future is driven it awaits one promise at a time, through [`wait`]. If it waits for anything else
//! (inside the `worker` crate), it moves to wasm-bindgen's executor and stays there.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use js_sys::{Array, Function, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// Renders what [`if_lost`] left, if the request waits.
type Fallback = Box<dyn FnOnce() -> Array>;

type Work = Pin<Box<dyn Future<Output = Result<web_sys::Response, JsValue>>>>;

/// State that a driven future and its driver share during a poll.
enum Mailbox {
    /// No future is driven at this moment.
    Closed,
    /// A future is driven. It may wait for a promise.
    Open,
    /// The future waits for this promise.
    Waiting(Promise),
    /// The promise has settled.
    Settled(Result<JsValue, JsValue>),
}

thread_local! {
    static MAILBOX: RefCell<Mailbox> = const { RefCell::new(Mailbox::Closed) };
    /// Set by [`if_lost`] during a poll, and taken by the driver after it.
    static FALLBACK: Cell<Option<Fallback>> = const { Cell::new(None) };
    /// The function `end` of instance.js.
    static ON_ABORT: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// Prepares a new wasm instance: installs an abort hook that calls `on_abort` when the instance ends. It replaces the
/// hook of the `worker` crate, which would reset the instance in the middle of the next call.
#[wasm_bindgen]
pub fn start(on_abort: Function) {
    ON_ABORT.set(Some(on_abort));
    wasm_bindgen::handler::set_on_abort(|| {
        ON_ABORT.with_borrow(|on_abort| {
            if let Some(on_abort) = on_abort {
                let _ = on_abort.call0(&JsValue::NULL);
            }
        });
    });
}

/// A request whose future waits for a promise.
#[wasm_bindgen]
pub struct DrivenRequest {
    work: Work,
}

#[wasm_bindgen]
impl DrivenRequest {
    /// Resumes the request after its promise was fulfilled with `value`, or rejected with it. Returns the same as
    /// [`drive`].
    pub fn resume(self, is_fulfilled: bool, value: JsValue) -> JsValue {
        MAILBOX.set(Mailbox::Settled(if is_fulfilled { Ok(value) } else { Err(value) }));
        drive(self.work)
    }
}

/// Runs a request until it waits or ends. Returns one of:
///
/// - a `Response`
/// - a step `[promise, fallback, DrivenRequest]`, where `fallback` is what [`if_lost`] left since the last step, or
///   `undefined`
/// - a promise of a `Response`, if the request failed or waits for anything but [`wait`]
pub fn drive(mut work: Work) -> JsValue {
    MAILBOX.with_borrow_mut(|mailbox| {
        if matches!(mailbox, Mailbox::Closed) {
            *mailbox = Mailbox::Open;
        }
    });
    let polled = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let mailbox = MAILBOX.replace(Mailbox::Closed);
    let fallback = FALLBACK.take();
    match (polled, mailbox) {
        (Poll::Ready(Ok(response)), _) => response.into(),
        (Poll::Ready(Err(error)), _) => Promise::reject(&error).into(),
        (Poll::Pending, Mailbox::Waiting(promise)) => {
            let fallback = fallback.map_or(JsValue::UNDEFINED, |render| render().into());
            Array::of3(&promise, &fallback, &DrivenRequest { work }.into()).into()
        }
        // wasm-bindgen's executor polls the future again, with a waker.
        (Poll::Pending, _) => {
            wasm_bindgen_futures::future_to_promise(async move { work.await.map(JsValue::from) }).into()
        }
    }
}

/// Leaves the fallback that worker.js sends if the wasm instance ends before the request has its response:
/// `[status, header lines, body]`, and optionally `[…, namespace, name, message]`, a message to an object that undoes
/// what the request may have done. A later call replaces the fallback. It is rendered only if the request waits.
pub fn if_lost(render: impl FnOnce() -> Array + 'static) {
    // Outside of a drive the next one would take it, for another request.
    if MAILBOX.with_borrow(|mailbox| matches!(mailbox, Mailbox::Open)) {
        FALLBACK.set(Some(Box::new(render)));
    }
}

/// Awaits a promise: through worker.js in a driven request, else through wasm-bindgen's executor.
pub async fn wait(promise: Promise) -> Result<JsValue, JsValue> {
    let mut posted = Some(promise);
    let settled = std::future::poll_fn(|_| {
        MAILBOX.with_borrow_mut(|mailbox| match std::mem::replace(mailbox, Mailbox::Open) {
            Mailbox::Open if posted.is_some() => {
                if let Some(promise) = posted.take() {
                    *mailbox = Mailbox::Waiting(promise);
                }
                Poll::Pending
            }
            Mailbox::Settled(settled) if posted.is_none() => Poll::Ready(Some(settled)),
            other => {
                *mailbox = other;
                Poll::Ready(None)
            }
        })
    })
    .await;
    match (settled, posted) {
        (Some(settled), _) => settled,
        (None, Some(promise)) => JsFuture::from(promise).await,
        // Happens only if a driven future is polled outside of its driver.
        (None, None) => Err(JsValue::UNDEFINED),
    }
}
