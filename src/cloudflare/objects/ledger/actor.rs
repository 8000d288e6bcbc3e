//! The Ledger of one wasm instance: its storage, and what it keeps in memory.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use worker::{Env, State};

use super::store::LedgerStore;
use super::writes::Write;
use crate::cloudflare::objects::alarm::Alarm;
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::sql::Sql;
use crate::constants::RETENTION_MILLIS;
use crate::ledger::OpenStreams;
use crate::limit::minute_window::MinuteWindow;
use crate::types::ids::JobId;
use crate::types::prediction::QueuePosition;
use crate::types::time::{UnixMillis, UnixSeconds};

/// The Ledger behind the Durable Object class. Its memory may be lost at any time: a new actor starts from the rows.
pub struct LedgerActor {
    pub(super) state: State,
    pub(super) env: Env,
    store: ActorResult<LedgerStore>,
    pub(super) alarm: Alarm,
    /// Whether this actor has checked for work that its predecessor left unfinished.
    pub(super) has_caught_up: Cell<bool>,
    /// When the Dispatcher was last sent a tick.
    pub(super) ticked_at: Cell<UnixMillis>,
    /// When the marks of expired proofs were last deleted.
    pub(super) proofs_swept_at: Cell<UnixMillis>,
    /// When forgotten files were last looked for.
    pub(super) files_swept_at: Cell<UnixMillis>,
    /// The counts of the minute, once they were read.
    pub(super) minute: RefCell<Option<MinuteWindow>>,
    /// The user's revocations, once they were read.
    pub(super) revocations: RefCell<Option<Revocations>>,
    pub(super) streams: RefCell<OpenStreams>,
    /// Queue positions, with the time at which the Dispatcher was asked for them.
    pub(super) queue_positions: RefCell<(UnixMillis, BTreeMap<JobId, QueuePosition>)>,
}

/// The user's revoked tokens, as read from the marks.
pub struct Revocations {
    /// The revoked-before time: all tokens issued up to it are revoked.
    pub(super) revoked_before: Option<UnixSeconds>,
    /// The `jti` of tokens that were revoked one by one.
    pub(super) tokens: Vec<String>,
}

impl LedgerActor {
    /// Makes the actor of an object. If the storage cannot be opened, every request fails.
    pub(super) fn new(state: State, env: Env) -> Self {
        let store = Sql::new(&state).map(LedgerStore::new);
        Self {
            state,
            env,
            store,
            alarm: Alarm::default(),
            has_caught_up: Cell::new(false),
            ticked_at: Cell::new(UnixMillis(0)),
            proofs_swept_at: Cell::new(UnixMillis(0)),
            files_swept_at: Cell::new(UnixMillis(0)),
            minute: RefCell::default(),
            revocations: RefCell::default(),
            streams: RefCell::default(),
            queue_positions: RefCell::default(),
        }
    }

    pub(super) fn store(&self) -> ActorResult<&LedgerStore> {
        self.store.as_ref().map_err(|error| *error)
    }

    /// Arms the alarm for `at`, or for the next row that needs it if this actor does not know what is armed.
    pub(super) fn arm(&self, at: UnixMillis) -> ActorResult<()> {
        let store = self.store()?;
        let at = match self.alarm.armed_at() {
            Some(_) => at,
            None => store.next_wake()?.map_or(at, |wake| wake.min(at)),
        };
        self.alarm.arm(store.sql(), at);
        Ok(())
    }

    /// Stores rows of a user who may never create anything. If they are the Ledger's first rows, the alarm is armed, so
    /// that the Ledger is deleted again.
    pub(super) fn store_and_arm_if_new(&self, writes: &[Write<'_>], now: UnixMillis) -> ActorResult<()> {
        let store = self.store()?;
        let is_new = !store.exists()?;
        store.store(writes)?;
        if is_new { self.arm(now.plus_millis(RETENTION_MILLIS)) } else { Ok(()) }
    }

    /// Evicts the data that was read from rows, after the platform deleted every row.
    pub(super) fn evict_rows(&self) {
        *self.minute.borrow_mut() = None;
        *self.revocations.borrow_mut() = None;
    }
}
