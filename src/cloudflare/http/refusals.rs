//! Counts this isolate's refused requests, and hands the counts over to the Dispatcher.

use std::cell::RefCell;

use worker::{Context, Env};

use crate::cloudflare::objects::client::ask_dispatcher;
use crate::cloudflare::runtime::platform;
use crate::constants::ACK_TIMEOUT_MILLIS;
use crate::messages::{DispatcherReply, DispatcherRequest, OperatorRequest};
use crate::operator::refusals::RefusalCounter;
use crate::types::time::UnixMillis;

thread_local! {
    static COUNTER: RefCell<RefusalCounter> = const { RefCell::new(RefusalCounter::NEW) };
}

/// Notes a request that has been handled, and its error code if it was refused. Once a minute, the isolate's counts are
/// handed over after the response to some request. No response waits for that.
pub fn note(env: &Env, execution: &Context, refused: Option<&'static str>, now: UnixMillis) {
    let due = COUNTER.with_borrow_mut(|counter| {
        if let Some(code) = refused {
            counter.count(code, now);
        }
        counter.take_due(now)
    });
    let Some(counts) = due else { return };
    let env = env.clone();
    execution.wait_until(async move {
        let request = DispatcherRequest::Operator(Box::new(OperatorRequest::CountRefusals(counts.clone())));
        let reply = ask_dispatcher(&env, &request, ACK_TIMEOUT_MILLIS).await;
        if !matches!(reply, Ok(DispatcherReply::Operator(_))) {
            COUNTER.with_borrow_mut(|counter| counter.put_back(&counts, platform::now()));
        }
    });
}
