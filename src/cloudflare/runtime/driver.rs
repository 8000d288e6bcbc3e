//! A request that JavaScript drives: what is answered without waiting is answered in the call that asks, and a call of an
//! object costs one crossing out and one back instead of promises and closures on both sides.
//!
//! Invariant: while a future is driven it awaits one thing at a time. An object's reply comes through [`DrivenRequest::resume`];
//! at any other wait the future is handed over to the ordinary executor for good.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use js_sys::Array;
use wasm_bindgen::prelude::*;

type Work = Pin<Box<dyn Future<Output = Result<web_sys::Response, JsValue>>>>;

/// What a driven future and its driver tell each other during a poll.
enum Mailbox {
    /// No future is driven at this moment.
    Closed,
    /// One is, and may ask for a call.
    Open,
    /// It asked for this call: namespace, name, message, milliseconds.
    Asked(Array),
    /// The reply to that call; `None` if it failed or came too late.
    Replied(Option<String>),
}

thread_local! {
    static MAILBOX: RefCell<Mailbox> = const { RefCell::new(Mailbox::Closed) };
}

/// A request that waits for an object. JavaScript owns it, so that one that is dropped is collected.
#[wasm_bindgen]
pub struct DrivenRequest {
    work: Work,
}

#[wasm_bindgen]
impl DrivenRequest {
    /// A request comes in. Returns a `Response`, a promise of one, or an array: a call to make (namespace, name,
    /// message, milliseconds) and the exchange that its reply resumes.
    pub fn begin(request: web_sys::Request, env: worker::Env, context: worker::worker_sys::Context) -> JsValue {
        let context = worker::Context::new(context);
        drive(Box::pin(async move {
            let failed = crate::cloudflare::http::pipeline::handle(request, env, context).await;
            failed.map_err(|_| JsValue::from_str("no response"))
        }))
    }

    /// The reply is here, or `undefined` if there is none. Returns the same as `begin`.
    pub fn resume(self, reply: Option<String>) -> JsValue {
        MAILBOX.set(Mailbox::Replied(reply));
        drive(self.work)
    }
}

fn drive(mut work: Work) -> JsValue {
    MAILBOX.with_borrow_mut(|mailbox| {
        if matches!(mailbox, Mailbox::Closed) {
            *mailbox = Mailbox::Open;
        }
    });
    let polled = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    match (polled, MAILBOX.replace(Mailbox::Closed)) {
        (Poll::Ready(Ok(response)), _) => response.into(),
        (Poll::Ready(Err(error)), _) => js_sys::Promise::reject(&error).into(),
        (Poll::Pending, Mailbox::Asked(call)) => {
            call.push(&DrivenRequest { work }.into());
            call.into()
        }
        // A body, or an asset: it is polled again there, with a waker.
        (Poll::Pending, _) => {
            wasm_bindgen_futures::future_to_promise(async move { work.await.map(JsValue::from) }).into()
        }
    }
}

/// Asks the driver for a call of an object. `None`: nobody drives, the caller makes the call itself.
pub async fn ask(namespace: &JsValue, name: &str, message: &str, timeout: i32) -> Option<Option<String>> {
    let mut asked = false;
    std::future::poll_fn(move |_| {
        MAILBOX.with_borrow_mut(|mailbox| match std::mem::replace(mailbox, Mailbox::Open) {
            Mailbox::Open if !asked => {
                asked = true;
                *mailbox = Mailbox::Asked(Array::of4(namespace, &name.into(), &message.into(), &timeout.into()));
                Poll::Pending
            }
            Mailbox::Replied(reply) if asked => Poll::Ready(Some(reply)),
            other => {
                *mailbox = other;
                Poll::Ready(if asked { Some(None) } else { None })
            }
        })
    })
    .await
}
