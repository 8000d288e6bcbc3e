//! Requests of the edge, driven by JavaScript: it awaits what the core waits for, and resumes the core with the result.
//!
//! A wait costs one crossing out and one back, instead of closures and promises of wasm-bindgen on both sides; a request
//! that waits for nothing is answered in the call that begins it. And a request leaves no callback in JavaScript that
//! could outlive the instance: when that ends, JavaScript answers in its place (worker.js), with what [`if_lost`] left.
//!
//! Invariant: while a future is driven it awaits one promise at a time, through [`wait`]. At any other wait (inside the
//! `worker` crate) it is handed over to wasm-bindgen's executor for good.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use js_sys::{Array, Function, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

type Work = Pin<Box<dyn Future<Output = Result<web_sys::Response, JsValue>>>>;

/// What a driven future and its driver tell each other during a poll.
enum Mailbox {
    /// No future is driven at this moment.
    Closed,
    /// A future is driven, and may wait for a promise.
    Open,
    /// It waits for this promise.
    Waiting(Promise),
    /// The promise has settled.
    Settled(Result<JsValue, JsValue>),
}

thread_local! {
    static MAILBOX: RefCell<Mailbox> = const { RefCell::new(Mailbox::Closed) };
    /// Set by [`if_lost`] during a poll, and taken by the driver after it.
    static FALLBACK: Cell<Option<JsValue>> = const { Cell::new(None) };
    /// `end` of instance.js.
    static ON_ABORT: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// Readies a new instance: `on_abort` is called at its end. It replaces the `worker` crate's hook, which would reset the
/// instance in the middle of the next call.
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
    /// Goes on with the request after its promise was fulfilled with `value`, or rejected with it. Returns what
    /// [`drive`] does.
    pub fn resume(self, is_fulfilled: bool, value: JsValue) -> JsValue {
        MAILBOX.set(Mailbox::Settled(if is_fulfilled { Ok(value) } else { Err(value) }));
        drive(self.work)
    }
}

/// Runs a request as far as it goes without waiting. Returns a `Response`; a step
/// `[promise, fallback, DrivenRequest]`, where `fallback` is what [`if_lost`] left since the last step, or `undefined`;
/// or a promise of a `Response`, where the future waits for something else.
pub fn drive(mut work: Work) -> JsValue {
    MAILBOX.with_borrow_mut(|mailbox| {
        if matches!(mailbox, Mailbox::Closed) {
            *mailbox = Mailbox::Open;
        }
    });
    let polled = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let mailbox = MAILBOX.replace(Mailbox::Closed);
    let fallback = FALLBACK.take().unwrap_or(JsValue::UNDEFINED);
    match (polled, mailbox) {
        (Poll::Ready(Ok(response)), _) => response.into(),
        (Poll::Ready(Err(error)), _) => Promise::reject(&error).into(),
        (Poll::Pending, Mailbox::Waiting(promise)) => {
            Array::of3(&promise, &fallback, &DrivenRequest { work }.into()).into()
        }
        // It is polled again there, with a waker.
        (Poll::Pending, _) => {
            wasm_bindgen_futures::future_to_promise(async move { work.await.map(JsValue::from) }).into()
        }
    }
}

/// Leaves what to answer if the instance ends before the request is answered: `[status, header lines, body]`, and
/// optionally `[…, namespace, name, message]`: a message to an object that takes back what may have been done. The last
/// one counts.
pub fn if_lost(fallback: &Array) {
    FALLBACK.set(Some(fallback.into()));
}

/// Waits for a promise: in a driven request through JavaScript, else through wasm-bindgen's executor.
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
        // Only if a driven future were polled outside of its driver.
        (None, None) => Err(JsValue::UNDEFINED),
    }
}
