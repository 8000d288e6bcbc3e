//! The alerts that this isolate raises: those of the edge and of the objects' shells. The Dispatcher's machine has its own.

use std::cell::RefCell;

use crate::cloudflare::runtime::{log, platform};
use crate::limit::alert_relay::AlertRelay;
use crate::types::alert::{Alert, RaisedAlert};

mod js {
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(raw_module = "../../src/cloudflare/runtime/last_resort.js")]
    extern "C" {
        #[wasm_bindgen(js_name = takeAlerts)]
        pub fn take_alerts() -> String;
    }
}

thread_local! {
    static RELAY: RefCell<AlertRelay> = const { RefCell::new(AlertRelay::NEW) };
}

/// Logs an alert, unless this isolate has seen its cause in the last ten minutes. [`take`] returns it later.
pub fn raise(alert: impl Into<RaisedAlert>) {
    let raised = alert.into();
    if RELAY.with_borrow_mut(|relay| relay.admit(&raised, platform::now())) {
        log::alert(&raised);
    }
}

/// Takes over the alerts that JavaScript has raised and logged, those of an ended wasm instance among them.
pub fn take_over_from_javascript() {
    for alert in js::take_alerts().split_terminator(' ').filter_map(Alert::parse) {
        RELAY.with_borrow_mut(|relay| relay.admit(&alert.into(), platform::now()));
    }
}

/// Returns the alerts to hand over to the Dispatcher now. Put them [back](put_back) if that fails.
pub fn take() -> Vec<RaisedAlert> {
    RELAY.with_borrow_mut(|relay| relay.take(platform::now()))
}

/// Takes back what could not be handed over.
pub fn put_back(alerts: Vec<RaisedAlert>) {
    RELAY.with_borrow_mut(|relay| relay.put_back(alerts, platform::now()));
}
