//! The Ledger: one Durable Object per user, the owner of that user's predictions.
//!
//! A shell around [`crate::ledger`], which decides everything and states the invariants: decode, turn, store in one
//! transaction, ask, encode. The rows of another user are in another Ledger, so a request for them is `NotFound`.
//!
//! The actor lives in one wasm instance. If that ends, worker.js makes a new object, whose actor starts from the rows.

mod actor;
mod store;
mod tables;
mod writes;

use std::rc::Rc;

use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

use self::actor::LedgerActor;
pub use self::tables::{newest_breaking_migration, newest_migration};
use crate::cloudflare::objects::handle::handle;
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::messages::{LedgerEnvelope, LedgerRefusal, LedgerReply};
use crate::types::alert::Alert;

/// The Durable Object class around a [`LedgerActor`].
#[durable_object(alarm)]
pub struct Ledger {
    actor: Rc<LedgerActor>,
}

impl DurableObject for Ledger {
    fn new(state: State, env: Env) -> Self {
        Self { actor: Rc::new(LedgerActor::new(state, env)) }
    }

    /// Never called: worker.js passes the text of each message to [`Ledger::handle`].
    async fn fetch(&self, _request: Request) -> Result<Response> {
        Response::error("", 404)
    }

    /// Runs the alarm. Never fails, because the platform deletes an alarm after six failures. Only a panic fails it: the
    /// platform then retries the alarm with a new wasm instance.
    async fn alarm(&self) -> Result<Response> {
        #[cfg(feature = "test-exports")]
        crate::cloudflare::test_exports::panic_if_at(crate::cloudflare::test_exports::Place::Alarm);
        self.actor.run_alarm().await;
        Response::empty()
    }
}

#[wasm_bindgen]
impl Ledger {
    /// Handles a message: JSON in, JSON out. Called by worker.js. A failure is a reply too: `Unavailable`.
    pub fn handle(&self, message: &str) -> JsValue {
        #[cfg(feature = "test-exports")]
        crate::cloudflare::test_exports::panic_if_at(crate::cloudflare::test_exports::Place::Ledger);
        let actor = Rc::clone(&self.actor);
        let recover = || {
            alerts::raise(Alert::LedgerFailed);
            Ok::<_, PlatformError>(unavailable())
        };
        handle(message, move |call| async move { actor.answer(call).await }, recover)
    }

    /// Handles a message that opens a socket: `socket` is its other end. Called by worker.js. Returns the reply of a
    /// refusal, or `null` if the socket was accepted: its first message is the reply.
    pub fn open(&self, message: &str, socket: JsValue) -> JsValue {
        #[cfg(feature = "test-exports")]
        crate::cloudflare::test_exports::panic_if_at(crate::cloudflare::test_exports::Place::Ledger);
        let actor = Rc::clone(&self.actor);
        let recover = || {
            alerts::raise(Alert::LedgerFailed);
            Ok::<_, PlatformError>(Some(unavailable()))
        };
        handle(message, move |call| async move { actor.open(call, &socket).await }, recover)
    }
}

/// The reply of a Ledger that failed.
const fn unavailable() -> LedgerEnvelope {
    LedgerEnvelope { rate: None, fresh_millis: None, reply: LedgerReply::Refused(LedgerRefusal::Unavailable) }
}
