//! The alerts that this isolate raises: those of the edge and of the objects' shells. The Dispatcher's machine limits its
//! own.

use std::cell::RefCell;

use crate::cloudflare::runtime::{log, platform};
use crate::limit::alert_limiter::AlertLimiter;
use crate::types::alert::RaisedAlert;

thread_local! {
    static LIMITER: RefCell<AlertLimiter> = const { RefCell::new(AlertLimiter::NEW) };
}

/// Logs an alert, unless this isolate has seen its cause in the last ten minutes.
pub fn raise(alert: impl Into<RaisedAlert>) {
    let raised = alert.into();
    if LIMITER.with_borrow_mut(|limiter| limiter.admit(&raised, platform::now())) {
        log::alert(&raised);
    }
}
