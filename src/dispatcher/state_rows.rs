//! The rows of the table `state`: the parts of [`StoredState`], so that an unreadable one is lost alone and only what
//! changed is written.
//!
//! Each row is a document with some members of [`StoredState`]. The build before had one document with all of them, in
//! the row `main`. It reads the first row by name, so after a rollback it still knows what everybody's revocation is:
//! no name may sort before `revocation`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::accounts::KEY_ACCOUNT;
use super::job::{Job, JobState};
use super::limits::{Pool, has_account};
use super::stored_state::StoredState;
use crate::constants::{CLOCK_STORED_MILLIS, VENDOR_WINDOW_MILLIS};
use crate::types::time::UnixMillis;

const REVOCATION: &str = "revocation";
/// Followed by a plan's name, or by nothing for the vendor key.
const SPENDING: &str = "spending";
const TIME: &str = "time";
const TOLD_ALERTS: &str = "told_alerts";
/// Followed by a plan's name for its users, or by nothing for the entries of the queue.
const TURNS: &str = "turns";
const VENDOR_HEALTH: &str = "vendor_health";
const VENDOR_MODELS: &str = "vendor_models";
const VENDOR_PAUSES: &str = "vendor_pauses";
const VENDOR_ROTATION: &str = "vendor_rotation";
const VERSIONS: &str = "versions";
const WINDOW: &str = "window";
/// The one document of the build before.
const MAIN: &str = "main";

const KINDS: [&str; 11] = [
    REVOCATION,
    SPENDING,
    TIME,
    TOLD_ALERTS,
    TURNS,
    VENDOR_HEALTH,
    VENDOR_MODELS,
    VENDOR_PAUSES,
    VENDOR_ROTATION,
    VERSIONS,
    WINDOW,
];
/// The rows that the document of the build before has no part of.
const NEWER_KINDS: [&str; 4] = [TOLD_ALERTS, VENDOR_PAUSES, VENDOR_ROTATION, VERSIONS];
/// The kind of each member. The document of the build before has those that it knows.
const MEMBERS: [(&str, &str); 15] = [
    ("revoked_by", REVOCATION),
    ("accounts", SPENDING),
    ("clock", TIME),
    ("average_run_ms", TIME),
    ("average_runs", TIME),
    ("alerts", TOLD_ALERTS),
    ("deficits", TURNS),
    ("pool_deficits", TURNS),
    ("health", VENDOR_HEALTH),
    ("models", VENDOR_MODELS),
    ("models_asked_at", VENDOR_MODELS),
    ("pauses", VENDOR_PAUSES),
    ("rotation", VENDOR_ROTATION),
    ("versions", VERSIONS),
    ("window", WINDOW),
];

/// The state as loaded from its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadedState {
    /// The state.
    pub state: StoredState,
    /// The kinds of rows that could not be read.
    pub unreadable: Vec<&'static str>,
    /// Rows to delete: the document of the build before, and accounts that are not needed. If there is one, all parts are
    /// written anew.
    pub replaced: Vec<String>,
}

impl LoadedState {
    /// Reads rows, each with its name. What cannot be read is the default, and:
    ///
    /// - an account has the reservations of the open jobs; what it spent today is lost
    /// - without the window, no vendor request is sent until those sent before no longer count
    #[must_use]
    pub fn read(rows: &[(String, String)], jobs: &[Job], pools: &BTreeMap<String, Pool>, now: UnixMillis) -> Self {
        let mut loaded = Self::default();
        let main = rows.iter().find(|(name, _)| name == MAIN);
        let lost: Vec<(&'static str, Option<&str>)> = match main {
            Some((_, doc)) => loaded.read_main(doc, rows),
            None => rows.iter().filter_map(|(name, doc)| loaded.read_row(name, doc)).collect(),
        };
        for (kind, account) in lost {
            if !loaded.unreadable.contains(&kind) {
                loaded.unreadable.push(kind);
            }
            if kind == SPENDING {
                loaded.state.reserve_open_jobs(account, jobs, pools);
            } else if kind == WINDOW {
                loaded.state.window.close_until(now.plus_millis(VENDOR_WINDOW_MILLIS));
            }
        }
        loaded.fit_accounts(rows, jobs, pools);
        // The clock is stored once in a while. It is not behind other stored times, or they would count only once it has
        // passed them: if it was ahead, it is set back with them.
        let newest = loaded.state.window.newest().unwrap_or_default().max(loaded.state.pauses.newest());
        loaded.state.clock = loaded.state.clock.max(newest);
        loaded
    }

    /// Drops the accounts of plans that have no daily credits: nothing is booked on them any more. A plan that has daily
    /// credits since this load starts with the reservations of its open jobs.
    fn fit_accounts(&mut self, rows: &[(String, String)], jobs: &[Job], pools: &BTreeMap<String, Pool>) {
        let is_needed = |plan: &str| plan == KEY_ACCOUNT || has_account(pools, plan);
        for (name, _) in rows {
            let is_needless = name.split_once(':').is_some_and(|(kind, plan)| kind == SPENDING && !is_needed(plan));
            if is_needless && !self.replaced.contains(name) {
                self.replaced.push(name.clone());
            }
        }
        self.state.accounts.retain(is_needed);
        for plan in pools.keys().filter(|plan| is_needed(plan)) {
            if !self.state.accounts.contains(plan) {
                self.state.reserve_open_jobs(Some(plan), jobs, pools);
            }
        }
    }

    /// Reads a row. Returns its kind, and the name of its account, if it cannot be read. A newer version's row of another
    /// kind is ignored.
    fn read_row<'a>(&mut self, name: &'a str, doc: &str) -> Option<(&'static str, Option<&'a str>)> {
        let (kind, account) = name.split_once(':').unwrap_or((name, ""));
        let kind = KINDS.into_iter().find(|known| *known == kind)?;
        let Some(mut part) = parse(doc) else { return Some((kind, Some(account))) };
        for (member, _) in MEMBERS.iter().filter(|(_, of)| *of == kind) {
            self.state.take_member(member, &mut part);
        }
        None
    }

    /// Reads the document of the build before, each member alone. Other rows are older, but no revocation is forgotten, and
    /// that document has no part of [`NEWER_KINDS`].
    fn read_main(&mut self, doc: &str, rows: &[(String, String)]) -> Vec<(&'static str, Option<&'static str>)> {
        let ours = |name: &&String| {
            let kind = name.split_once(':').map_or(name.as_str(), |(kind, _)| kind);
            kind == MAIN || KINDS.contains(&kind)
        };
        self.replaced = rows.iter().map(|(name, _)| name).filter(ours).cloned().collect();
        let mut lost = Vec::new();
        let is_kept = |name: &str| name == REVOCATION || NEWER_KINDS.contains(&name);
        for (name, doc) in rows.iter().filter(|(name, _)| is_kept(name)) {
            lost.extend(self.read_row(name, doc).map(|(kind, _)| (kind, None)));
        }
        let Ok(members) = serde_json::from_str::<Map<String, Value>>(doc) else {
            lost.extend(KINDS.into_iter().filter(|kind| !NEWER_KINDS.contains(kind)).map(|kind| (kind, None)));
            return lost;
        };
        for (member, kind) in MEMBERS {
            let Some(value) = members.get(member) else { continue };
            match parse(&wrapped(member, &value.to_string())) {
                Some(mut part) => self.state.take_member(member, &mut part),
                None => lost.push((kind, None)),
            }
        }
        lost
    }
}

impl StoredState {
    /// Takes over one member of another state.
    fn take_member(&mut self, member: &str, part: &mut Self) {
        match member {
            "revoked_by" => self.revoked_before = self.revoked_before.max(part.revoked_before),
            "accounts" => self.accounts.append(&mut part.accounts),
            "clock" => self.clock = part.clock,
            "alerts" => std::mem::swap(&mut self.alerts, &mut part.alerts),
            "average_run_ms" => self.average_run_ms = part.average_run_ms,
            "average_runs" => std::mem::swap(&mut self.average_runs, &mut part.average_runs),
            "deficits" => self.deficits.append(&mut part.deficits),
            "pool_deficits" => self.pool_deficits.append(&mut part.pool_deficits),
            "health" => std::mem::swap(&mut self.health, &mut part.health),
            "models" => std::mem::swap(&mut self.models, &mut part.models),
            "pauses" => std::mem::swap(&mut self.pauses, &mut part.pauses),
            "rotation" => std::mem::swap(&mut self.rotation, &mut part.rotation),
            "versions" => std::mem::swap(&mut self.versions, &mut part.versions),
            "models_asked_at" => self.models_asked_at = part.models_asked_at,
            _ => std::mem::swap(&mut self.window, &mut part.window),
        }
    }

    /// Reserves the credits of the open jobs on one account, or on all of them.
    fn reserve_open_jobs(&mut self, account: Option<&str>, jobs: &[Job], pools: &BTreeMap<String, Pool>) {
        for job in jobs.iter().filter(|job| job.state != JobState::Unknown) {
            let plan = Some(job.share.plan.as_str()).filter(|plan| has_account(pools, plan));
            for name in [Some(KEY_ACCOUNT), plan].into_iter().flatten() {
                if account.is_none_or(|account| account == name) {
                    self.accounts.reserve(name, job.spec.day(), job.spec.credits);
                }
            }
        }
    }

    /// Returns the rows but `time`, each with its document; `turns` only if asked for, because it can be long.
    fn rows(&self, with_turns: bool) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        let mut push = |name: &str, doc| rows.push((name.to_owned(), doc));
        if let Some(issued_by) = self.revoked_before {
            push(REVOCATION, row("revoked_by", &issued_by));
        }
        for (name, account) in self.accounts.by_name() {
            push(&format!("{SPENDING}:{name}"), row("accounts", &account));
        }
        if with_turns {
            push(TURNS, row("deficits", &self.deficits));
            for (plan, members) in &self.pool_deficits {
                push(&format!("{TURNS}:{plan}"), row("pool_deficits", &BTreeMap::from([(plan, members)])));
            }
        }
        if !self.alerts.is_empty() {
            push(TOLD_ALERTS, row("alerts", &self.alerts));
        }
        push(VENDOR_HEALTH, row("health", &self.health));
        push(WINDOW, row("window", &self.window));
        if !self.pauses.is_unused() {
            push(VENDOR_PAUSES, row("pauses", &self.pauses));
        }
        if let Some(rotation) = &self.rotation {
            push(VENDOR_ROTATION, row("rotation", rotation));
        }
        if !self.versions.is_empty() {
            push(VERSIONS, row("versions", &self.versions));
        }
        if self.models_asked_at.0 > 0 {
            let asked_at = row("models_asked_at", &self.models_asked_at);
            push(VENDOR_MODELS, joined(&row("models", &self.models), &asked_at));
        }
        rows
    }
}

/// The rows of `state` as they are in storage.
#[derive(Clone, Debug, Default)]
pub(super) struct StoredRows {
    /// Names and documents, without `time`.
    rows: Vec<(String, String)>,
    clock: UnixMillis,
}

impl StoredRows {
    /// Returns the rows from which `state` was loaded.
    pub(super) fn of(state: &StoredState) -> Self {
        Self { rows: state.rows(true), clock: state.clock }
    }

    /// Returns the rows of `state` that differ: each name with its document, or with `None` if the row is to be deleted.
    ///
    /// `is_queue_changed` says whether the deficits may have changed, `is_turn_stored` whether other rows are stored in the
    /// same turn. The clock moves in each turn, and the window's newest request is as good at a load; each end of a
    /// prediction changes the average run times. So `time` is stored once in a while, with other rows.
    pub(super) fn update(
        &mut self,
        state: &StoredState,
        is_queue_changed: bool,
        is_turn_stored: bool,
    ) -> Vec<(String, Option<String>)> {
        let rows = state.rows(is_queue_changed);
        let mut changed = Vec::new();
        let may_be_gone = |name: &str| {
            let kind = name.split_once(':').map(|(kind, _)| kind);
            name == VENDOR_ROTATION || kind == Some(SPENDING) || (is_queue_changed && kind == Some(TURNS))
        };
        let is_gone = |name: &str| may_be_gone(name) && !rows.iter().any(|(other, _)| other == name);
        self.rows.retain(|(name, _)| {
            let is_gone = is_gone(name);
            if is_gone {
                changed.push((name.clone(), None));
            }
            !is_gone
        });
        for (name, doc) in rows {
            match self.rows.iter_mut().find(|(other, _)| *other == name) {
                Some((_, stored)) if *stored == doc => continue,
                Some((_, stored)) => stored.clone_from(&doc),
                None => self.rows.push((name.clone(), doc.clone())),
            }
            changed.push((name, Some(doc)));
        }
        let is_old = state.clock.millis_since(self.clock) >= CLOCK_STORED_MILLIS;
        let is_set_back = state.clock < self.clock;
        let is_stored = is_turn_stored || !changed.is_empty();
        if is_set_back || (is_old && is_stored) {
            self.clock = state.clock;
            let doc = joined(&row("clock", &self.clock), &row("average_run_ms", &state.average_run_ms));
            changed.push((TIME.to_owned(), Some(joined(&doc, &row("average_runs", &state.average_runs)))));
        }
        changed
    }
}

/// Returns a document with one member.
fn row<T: Serialize>(member: &str, value: &T) -> String {
    wrapped(member, &serde_json::to_string(value).unwrap_or_default())
}

fn wrapped(member: &str, value: &str) -> String {
    format!(r#"{{"{member}":{value}}}"#)
}

/// Returns the members of two documents in one. The last member of the first one is a number, a text or a list.
fn joined(one: &str, other: &str) -> String {
    format!("{},{}", one.trim_end_matches('}'), other.trim_start_matches('{'))
}

#[inline(never)]
fn parse(doc: &str) -> Option<StoredState> {
    serde_json::from_str(doc).ok()
}

#[cfg(test)]
#[path = "state_rows_tests.rs"]
mod tests;
