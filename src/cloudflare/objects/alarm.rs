//! The alarm of the Dispatcher: the one timer that the platform gives a Durable Object
//! (<https://developers.cloudflare.com/durable-objects/api/alarms/>). The Ledger's is in [`crate::ledger`].
//!
//! Invariants (protocol 3):
//!
//! - Only an earlier time replaces what is armed.
//! - An alarm that is late is armed again, because the platform can lose one. The Dispatcher checks that in each turn.
//! - A handler never fails, because the platform deletes an alarm after six failures. Only a panic fails it: the
//!   platform then retries the alarm with a new wasm instance.

use std::cell::Cell;

use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::platform::{self};
use crate::cloudflare::runtime::sql::Sql;
use crate::constants::ALARM_LATE_MILLIS;
use crate::types::time::UnixMillis;

/// The time for which this actor armed the alarm. A new actor does not know what its predecessor armed.
#[derive(Default)]
pub struct Alarm {
    armed: Cell<Option<UnixMillis>>,
}

impl Alarm {
    /// Returns the time for which the alarm is armed, as far as this actor knows. `None` if the alarm is late: it should
    /// have fired more than five seconds ago.
    pub fn armed_at(&self) -> Option<UnixMillis> {
        self.armed.get().filter(|armed| platform::now().millis_since(*armed) <= ALARM_LATE_MILLIS)
    }

    /// Arms the alarm for `at`, unless it is armed for an earlier time and not late.
    pub fn arm(&self, sql: &Sql, at: UnixMillis) {
        if self.armed_at().is_none_or(|armed| at < armed) {
            self.armed.set(Some(at));
            sql.set_alarm(at);
        }
    }

    /// Runs `handler` for an alarm that has fired. A failure is logged by `alert`, and the alarm is armed again. `sql`
    /// is `None` if the storage could not be opened; then nothing can be armed.
    pub async fn run(
        &self,
        sql: Option<&Sql>,
        handler: impl Future<Output = ActorResult<()>>,
        alert: impl FnOnce(),
    ) -> worker::Result<worker::Response> {
        self.armed.set(None);
        #[cfg(feature = "test-exports")]
        crate::cloudflare::test_exports::panic_if_at(crate::cloudflare::test_exports::Place::Alarm);
        if handler.await.is_err() {
            alert();
            if let Some(sql) = sql {
                self.arm(sql, platform::now().plus_millis(ALARM_LATE_MILLIS));
            }
        }
        worker::Response::empty()
    }
}
