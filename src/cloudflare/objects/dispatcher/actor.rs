//! The Dispatcher of one wasm instance: its storage, the state machine, and the turns that change both.

use std::cell::RefCell;
use std::rc::Rc;

use worker::{Env, State};

use super::outcomes::Outcomes;
use super::spend::DayCount;
use super::store::{DispatcherStore, newest_migration};
use crate::cloudflare::objects::alarm::Alarm;
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::objects::ledger;
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::deployment::{Deployment, deployment};
use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::cloudflare::runtime::sql::Sql;
use crate::cloudflare::runtime::version::Version;
use crate::constants::TOMBSTONE_MILLIS;
use crate::dispatcher::{Dispatcher as Machine, DispatcherLimits, KnownMigrations};
use crate::types::alert::Alert;
use crate::types::secret::VendorKey;
use crate::types::time::UnixMillis;
use crate::vendor::output::OutputRule;

/// The Dispatcher behind the Durable Object class. Its memory may be lost at any time: a new actor loads the rows.
pub struct DispatcherActor {
    pub(super) state: State,
    pub(super) env: Env,
    store: ActorResult<DispatcherStore>,
    /// The state machine. `None` until the first turn loads it, and after a turn that could neither store nor load.
    machine: RefCell<Option<Machine>>,
    pub(super) alarm: Alarm,
    pub(super) outcomes: Outcomes,
    pub(super) day_count: DayCount,
}

impl DispatcherActor {
    /// Makes the actor of the object. If the storage cannot be opened, every turn fails.
    pub(super) fn new(state: State, env: Env) -> Self {
        alerts::take_over_from_javascript();
        let store = Sql::new(&state).and_then(DispatcherStore::new);
        Self {
            state,
            env,
            store,
            machine: RefCell::new(None),
            alarm: Alarm::default(),
            outcomes: Outcomes::default(),
            day_count: DayCount::default(),
        }
    }

    pub(super) fn store(&self) -> ActorResult<&DispatcherStore> {
        self.store.as_ref().map_err(|error| *error)
    }

    pub(super) fn deployment(&self) -> ActorResult<Rc<Deployment>> {
        deployment(&self.env).map_err(|_| PlatformError)
    }

    /// Reads the machine outside of a turn, if it is loaded.
    pub(super) fn with_machine<R>(&self, read: impl FnOnce(&Machine) -> R) -> Option<R> {
        self.machine.borrow().as_ref().map(read)
    }

    /// Makes one turn. Nothing is awaited in it, so no other message sees a part of it.
    ///
    /// 1. Load the machine, if it is not in memory.
    /// 2. Change it with `change`, and decide which actions are due.
    /// 3. Store the changes in one transaction. If that fails, load what is stored and start no action.
    /// 4. Log the alerts, and start the actions.
    /// 5. Arm the alarm for the next due time.
    pub(super) fn turn<R>(self: &Rc<Self>, change: impl FnOnce(&mut Machine, UnixMillis) -> R) -> ActorResult<R> {
        let now = platform::now();
        // 1. Load.
        let mut slot = self.machine.borrow_mut();
        let mut machine = match slot.take() {
            Some(machine) => machine,
            None => self.load()?,
        };
        // 2. Change.
        let result = change(&mut machine, now);
        let handed_over = alerts::take();
        machine.take_over_alerts(&handed_over, now);
        let actions = machine.due(now);
        let changes = machine.take_changes();
        // 3. Store.
        if let Err(error) = self.store()?.store(&machine, &changes, now.plus_millis(TOMBSTONE_MILLIS)) {
            // Actions of earlier turns are still in flight, and report to the machine that is loaded here.
            *slot = self.load().ok().map(|stored| stored.resume_work_of(machine, &actions));
            alerts::put_back(handed_over);
            return Err(error);
        }
        self.day_count.add(&changes.bookings);
        let next_due = machine.next_due(now);
        *slot = Some(machine);
        drop(slot);
        // 4. Act.
        for raised in &changes.alerts {
            log::alert(raised);
        }
        for action in actions {
            self.start(action);
        }
        // 5. Arm the alarm.
        if let (Some(at), Ok(store)) = (next_due, self.store()) {
            self.alarm.arm(store.sql(), at);
        }
        Ok(result)
    }

    fn load(&self) -> ActorResult<Machine> {
        let deployment = self.deployment()?;
        let limits = DispatcherLimits {
            key_fingerprint: deployment.config.vendor_key.fingerprint(),
            other_key_fingerprint: deployment.config.vendor_key_next.as_ref().map(VendorKey::fingerprint),
            sends_alerts: deployment.config.alert_receiver.is_some(),
            outputs: OutputRule::for_upstream(deployment.config.upstream_url.as_str())
                .with_key_scan(deployment.key_scan.clone()),
            ..DispatcherLimits::new(&deployment.config.policy)
        };
        let now = platform::now();
        let mut machine = self.store()?.load(limits, now)?;
        if let Some(id) = Version::of(&self.env).id {
            let known = KnownMigrations { dispatcher: newest_migration(), ledger: ledger::newest_migration() };
            machine.note_version(&id, known, now);
        }
        if machine.unreadable_rows() > 0 {
            alerts::raise(Alert::RowUnreadable);
        }
        Ok(machine)
    }
}
