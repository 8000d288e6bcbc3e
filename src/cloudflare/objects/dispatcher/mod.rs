//! The Dispatcher: one Durable Object per deployment, the only one that sends the vendor requests about predictions.
//!
//! A shell around [`crate::dispatcher`]: decode a message, make one turn of the machine, store its changes in one
//! transaction, start its actions. Invariants:
//!
//! - Changes are stored before an action of the same turn starts.
//! - No borrow of the machine lives across an `await`.
//! - No message and no alarm awaits the vendor. `Outcome` awaits what a submit reports.
//! - If a turn cannot be stored, the memory is dropped and the rows are loaded again.
//!
//! The actor lives in one wasm instance. If that ends, worker.js makes a new object, whose actor loads the rows: a job
//! that was being submitted has an unknown outcome then (protocol 1).

mod actions;
mod actor;
mod audit;
mod operator;
mod outcomes;
mod refusals;
mod requests;
mod spend;
mod store;
mod upgrade;

use std::rc::Rc;

use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

use self::actor::DispatcherActor;
use crate::cloudflare::objects::handle::handle;
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::types::alert::Alert;

/// The Durable Object class around a [`DispatcherActor`].
#[durable_object(alarm)]
pub struct Dispatcher {
    actor: Rc<DispatcherActor>,
}

impl DurableObject for Dispatcher {
    fn new(state: State, env: Env) -> Self {
        Self { actor: Rc::new(DispatcherActor::new(state, env)) }
    }

    /// Never called: worker.js passes the text of each message to [`Dispatcher::handle`].
    async fn fetch(&self, _request: Request) -> Result<Response> {
        Response::error("", 404)
    }

    /// Runs the alarm: a turn, which looks for due work. Never fails (see [`crate::cloudflare::objects::alarm`]).
    async fn alarm(&self) -> Result<Response> {
        let actor = &self.actor;
        let sql = actor.store().ok().map(|store| store.sql());
        actor.alarm.run(sql, async { actor.turn(|_, _| ()) }, || alerts::raise(Alert::DispatcherAlarmFailed)).await
    }
}

#[wasm_bindgen]
impl Dispatcher {
    /// Handles a message: JSON in, JSON out. Called by worker.js. A failure fails the sender's call.
    pub fn handle(&self, message: &str) -> JsValue {
        #[cfg(feature = "test-exports")]
        crate::cloudflare::test_exports::panic_if_at(crate::cloudflare::test_exports::Place::Dispatcher);
        let actor = Rc::clone(&self.actor);
        let recover = || {
            alerts::raise(Alert::DispatcherFailed);
            Err(PlatformError)
        };
        handle(message, move |request| async move { actor.answer(request).await }, recover)
    }
}
