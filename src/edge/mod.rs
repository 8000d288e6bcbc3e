//! The thin edge: the only folder that names the platform.
//!
//! [`exchange`] is where a request comes in; [`handler`] takes it through the numbered checks, [`identity`] says who calls; [`ledger_object`] and [`dispatcher_object`] are shells
//! around the pure state machines; JavaScript is called in [`platform`], and for key sets in [`key_sets`].

mod admin;
mod answers;
mod create;
mod demo;
mod deployment;
mod dispatcher_object;
mod dispatcher_store;
mod events;
mod exchange;
mod files;
mod handler;
mod identity;
mod key_sets;
mod ledger_care;
mod ledger_create;
mod ledger_object;
mod ledger_store;
mod log;
mod platform;
mod reads;
mod respond;
mod tokens;
mod vendor_stream;

use worker::{Env, ScheduleContext, ScheduledEvent, event};

/// The cron trigger of each minute: an alarm can be lost, and this finds it (docs/architecture.md, alarms).
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    answers::tick_dispatcher(&env).await;
}
