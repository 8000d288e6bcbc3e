//! The Ledger: one Durable Object per user, the owner of that user's predictions.
//!
//! A shell around [`crate::ledger`]: decode, decide, store in one transaction, encode. Invariants:
//!
//! - A prediction's row exists, with its credits reserved in the same transaction, before the Dispatcher hears of it.
//! - A prediction is settled once, in the transaction that stores its end.
//! - Nothing that was read before an `await` is written after it: each `await` is followed by a fresh read.
//! - The rows of another user are in another Ledger, so a request for them is `NotFound`.
//!
//! The actor lives in one wasm instance. If that ends, worker.js makes a new object, whose actor starts from the rows.

mod actor;
mod cancel;
mod create;
mod files;
mod maintenance;
mod marks;
mod minute;
mod proofs;
mod queue_positions;
mod reads;
mod requests;
mod revocation;
mod store;
mod withdrawal;
mod writes;

use std::rc::Rc;

use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

use self::actor::LedgerActor;
use crate::cloudflare::objects::handle::handle;
use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::messages::{LedgerEnvelope, LedgerRefusal, LedgerReply};

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

    /// Runs the alarm. Never fails (see [`crate::cloudflare::objects::alarm`]).
    async fn alarm(&self) -> Result<Response> {
        let actor = &self.actor;
        let sql = actor.store().ok().map(|store| store.sql());
        actor.alarm.run(sql, actor.run_alarm(platform::now()), || log::alert("ledger_alarm_failed")).await
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
            log::alert("ledger_failed");
            let reply = LedgerReply::Refused(LedgerRefusal::Unavailable);
            Ok::<_, PlatformError>(LedgerEnvelope { rate: None, reply })
        };
        handle(message, move |call| async move { actor.answer(call).await }, recover)
    }
}
