//! The Dispatcher as its Durable Object runs it: the real machine, its rows, and what the platform does to them.

use std::collections::{BTreeMap, BTreeSet};

use valetkey::dispatcher::{
    Action, Booking, Dispatcher, DispatcherLimits, Job, JobState, KEY_ACCOUNT, LoadedState, OutboxRow, Pool,
    StoredState, UnreadableRows,
};
use valetkey::messages::{DispatcherReply, DispatcherRequest, OperatorReply, OperatorRequest};
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::{JobId, PauseId, UserKey};
use valetkey::types::model::ModelId;
use valetkey::types::prediction::Failure;
use valetkey::types::time::{UnixMillis, UnixSeconds, UtcDay};
use valetkey::vendor::output::OutputRule;

use crate::build_before;
use crate::pauses::ToldPauses;

pub const SLOTS: usize = 3;
pub const REQUESTS: usize = 40;
/// Requests of each minute that only cancels may use.
pub const RESERVED: usize = 3;
const KEY_DAILY: &str = "150";
/// The plan with a pool.
pub const GUEST: &str = "guest";
const GUEST_DAILY: &str = "25";
const GUEST_WAITING: usize = 4;
const MAX_WAIT_MILLIS: i64 = 60_000;
/// How long an unreadable job holds its slot: the longest wait and twice the longest run.
const LONGEST_SLOT_MILLIS: i64 = MAX_WAIT_MILLIS + 2 * 1_000 * crate::calls::MAX_SECONDS as i64;
/// How long an instance that was replaced may go on (docs/protocol.md).
const OLD_INSTANCE_MILLIS: i64 = 300_000;

/// A row that cannot be read: damaged, or of another version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowName {
    Job(JobId),
    Update(JobId),
    State(String),
}

pub struct DispatcherObject {
    pub machine: Dispatcher,
    pub jobs: BTreeMap<JobId, Job>,
    inputs: BTreeMap<JobId, String>,
    pub outbox: BTreeMap<JobId, OutboxRow>,
    tombstones: BTreeSet<JobId>,
    /// The rows of `spend`, by day.
    booked: BTreeMap<UtcDay, (i64, usize)>,
    /// Every prediction that ended, with the day that it was booked on.
    ended: BTreeMap<JobId, UtcDay>,
    pub files: BTreeSet<String>,
    state: BTreeMap<String, String>,
    /// The rows are as the build before wrote them.
    is_of_build_before: bool,
    /// Rows that the next load cannot read.
    unreadable: BTreeSet<RowName>,
    /// Jobs that this instance could not read when it was loaded.
    hidden: BTreeSet<JobId>,
    /// Jobs that an instance could not read, and gave up.
    ever_hidden: BTreeSet<JobId>,
    /// A row of the state was lost, or one about credits: the reservations of the day are estimates from then on.
    has_lost_state: bool,
    has_lost_spending: bool,
    /// The instance before, if it has been replaced and does not know yet, and the time of that.
    old: Option<(Dispatcher, UnixMillis)>,
    /// The next turn cannot store its changes.
    pub cannot_store: bool,
    /// What operators were told about pauses.
    pauses: ToldPauses,
    /// Vendor requests: when, and whether it was a cancel.
    sent: Vec<(UnixMillis, bool)>,
}

pub fn limits() -> DispatcherLimits {
    let guests = Pool {
        daily_credits: MicroCredits::parse(GUEST_DAILY),
        max_waiting: GUEST_WAITING,
        max_input_bytes: 1_000_000,
        weight: Some(2),
        concurrent_predictions: Some(SLOTS.div_ceil(2)),
    };
    DispatcherLimits {
        requests_per_minute: REQUESTS,
        expected_other_requests: 0,
        concurrent_predictions: SLOTS,
        daily_credits: MicroCredits::parse(KEY_DAILY),
        max_waiting: 12,
        max_wait_millis: MAX_WAIT_MILLIS,
        pools: BTreeMap::from([(GUEST.to_owned(), guests)]),
        key_fingerprint: "key".into(),
        other_key_fingerprint: Some("other".into()),
        outputs: OutputRule::for_upstream("https://vendor.example/v1"),
        longest_slot_millis: 2_000_000,
        sends_alerts: true,
    }
}

impl DispatcherObject {
    pub fn new() -> Self {
        Self {
            machine: Dispatcher::load(limits(), StoredState::default(), Vec::new(), Vec::new()),
            jobs: BTreeMap::new(),
            inputs: BTreeMap::new(),
            outbox: BTreeMap::new(),
            tombstones: BTreeSet::new(),
            booked: BTreeMap::new(),
            ended: BTreeMap::new(),
            files: BTreeSet::new(),
            state: BTreeMap::new(),
            is_of_build_before: false,
            unreadable: BTreeSet::new(),
            hidden: BTreeSet::new(),
            ever_hidden: BTreeSet::new(),
            has_lost_state: false,
            has_lost_spending: false,
            old: None,
            cannot_store: false,
            pauses: ToldPauses::default(),
            sent: Vec::new(),
        }
    }

    /// Runs one turn as the shell does: change, decide, store. Returns the actions to start, or `None` if the turn could
    /// not be stored. `real` is the vendor's clock, which never goes back.
    pub fn turn<R>(
        &mut self,
        change: impl FnOnce(&mut Dispatcher, UnixMillis) -> R,
        (now, real): (UnixMillis, UnixMillis),
    ) -> Option<(R, Vec<Action>)> {
        self.pauses.pass(&self.jobs, real);
        let result = change(&mut self.machine, now);
        let actions = self.machine.due(now);
        let changes = self.machine.take_changes();
        if std::mem::take(&mut self.cannot_store) {
            let loaded = self.load(now);
            let before = std::mem::replace(&mut self.machine, loaded.clone());
            self.machine = loaded.resume_work_of(before, &actions);
            return None;
        }
        for id in changes.jobs {
            assert!(!self.hidden.contains(&id), "a row that cannot be read is replaced");
            match self.machine.job(&id) {
                Some(job) => drop(self.jobs.insert(id, job.clone())),
                None => drop(self.jobs.remove(&id)),
            }
        }
        for (id, input) in changes.inputs {
            match input {
                Some(input) => drop(self.inputs.insert(id, input)),
                None => drop(self.inputs.remove(&id)),
            }
        }
        for id in changes.outbox {
            self.unreadable.remove(&RowName::Update(id.clone()));
            match self.machine.outbox_row(&id) {
                Some(row) => {
                    let failure = row.update.end.as_ref().and_then(|end| end.failure);
                    let is_early = self.pauses.waited(&id).is_some_and(|waited| waited < MAX_WAIT_MILLIS);
                    assert!(failure != Some(Failure::QueueTimeout) || !is_early, "the time in a pause counts");
                    self.ended.extend(row.update.end.as_ref().map(|_| (id.clone(), id.created_at().utc_day())));
                    self.outbox.insert(id, row.clone());
                }
                None => drop(self.outbox.remove(&id)),
            }
        }
        self.store_files(changes.file_deletions);
        self.tombstones.extend(changes.tombstones);
        self.book(&changes.bookings);
        for (name, doc) in changes.state {
            self.unreadable.remove(&RowName::State(name.clone()));
            match doc {
                Some(doc) => drop(self.state.insert(name, doc)),
                None => drop(self.state.remove(&name)),
            }
        }
        for action in &actions {
            if let Action::Submit { spec } = action {
                let has_input = self.inputs.contains_key(&spec.job_id);
                assert!(has_input || self.machine.unstored_input(&spec.job_id).is_some(), "a create without its input");
            }
        }
        self.pauses.check(&actions, real);
        let requests = actions.iter().filter(|action| !matches!(action, Action::Deliver(_)));
        self.sent.extend(requests.map(|action| (real, matches!(action, Action::Cancel { .. }))));
        Some((result, actions))
    }

    fn store_files(&mut self, vendor_ids: BTreeSet<String>) {
        for vendor_id in vendor_ids {
            match self.machine.deletes_file(&vendor_id) {
                true => self.files.insert(vendor_id),
                false => self.files.remove(&vendor_id),
            };
        }
    }

    fn book(&mut self, bookings: &[Booking]) {
        for booking in bookings {
            let (credits, predictions) = self.booked.entry(booking.day).or_default();
            *credits += booking.credits.micros();
            *predictions += 1;
        }
    }

    /// Handles a message of a Ledger, as the shell does. The reply is `None` if a turn could not be stored.
    pub fn answer(
        &mut self,
        request: DispatcherRequest,
        clock: (UnixMillis, UnixMillis),
    ) -> (Option<DispatcherReply>, Vec<Action>) {
        let has_tombstone = |ids: &[JobId]| ids.iter().any(|id| self.tombstones.contains(id));
        let turned = match request {
            DispatcherRequest::Enqueue { user, specs, share, deadline, issued_at } => {
                let job_ids: Vec<JobId> = specs.iter().map(|spec| spec.job_id.clone()).collect();
                let is_ended = has_tombstone(&job_ids);
                let enqueued = self.turn(
                    |machine, now| {
                        machine.check_revoked(&specs, issued_at)?;
                        machine.enqueue(&user, specs, &share, deadline, is_ended, now)
                    },
                    clock,
                );
                match enqueued {
                    None => None,
                    Some((Err(refusal), actions)) => {
                        assert!(job_ids.iter().all(|id| self.machine.job(id).is_none()), "refused and kept");
                        Some((DispatcherReply::Refused(refusal), actions))
                    }
                    Some((Ok(()), mut actions)) => {
                        let reported = self.turn(|machine, now| machine.report_jobs(&job_ids, now), clock);
                        let (reply, more) = reported.unzip();
                        actions.extend(more.unwrap_or_default());
                        return (reply, actions);
                    }
                }
            }
            DispatcherRequest::Withdraw { job_ids } => {
                let is_ended = has_tombstone(&job_ids);
                self.turn(|machine, now| machine.withdraw(&job_ids, is_ended, now), clock)
            }
            DispatcherRequest::Cancel { job_id } => self.turn(|machine, now| machine.cancel(&job_id, now), clock),
            DispatcherRequest::State { job_id } => self.turn(|machine, now| machine.report_jobs(&[job_id], now), clock),
            DispatcherRequest::QueuePositions { job_ids } => {
                self.turn(|machine, now| DispatcherReply::QueuePositions(machine.queue_positions(&job_ids, now)), clock)
            }
            DispatcherRequest::DeleteFiles { vendor_ids } => {
                self.turn(|machine, _| machine.delete_files(vendor_ids), clock)
            }
            DispatcherRequest::RevokeAll { issued_by } => {
                let revoke = |machine: &mut Dispatcher, _| {
                    machine.revoke_all(issued_by);
                    DispatcherReply::Done
                };
                self.turn(revoke, clock)
            }
            DispatcherRequest::Operator(request) => self.answer_operator(*request, clock),
            DispatcherRequest::Tick => self.turn(|_, _| DispatcherReply::Done, clock),
            other => panic!("no Ledger sends {other:?}"),
        };
        let (reply, actions) = turned.unzip();
        (reply, actions.unwrap_or_default())
    }

    fn answer_operator(
        &mut self,
        request: OperatorRequest,
        clock: (UnixMillis, UnixMillis),
    ) -> Option<(DispatcherReply, Vec<Action>)> {
        let turned = match request {
            OperatorRequest::CancelJobs { job_ids } => {
                self.turn(|machine, now| (machine.cancel_all(&job_ids, now), false), clock)
            }
            OperatorRequest::ForgetUser { user, job_ids, by } => {
                self.turn(|machine, now| machine.forget_user(&user, &job_ids, by, now), clock)
            }
            other => panic!("no Ledger sends {other:?}"),
        };
        let ((updates, is_user_known), actions) = turned?;
        Some((DispatcherReply::Operator(Box::new(OperatorReply::Jobs { updates, is_user_known })), actions))
    }

    /// Asks for a vendor request of the edge's own, as an upload does.
    pub fn permit(&mut self, user: UserKey, clock: (UnixMillis, UnixMillis)) -> Vec<Action> {
        let Some((reply, actions)) = self.turn(|machine, now| machine.grant_permit(None, Some(user), 1, now), clock)
        else {
            return Vec::new();
        };
        if matches!(reply, DispatcherReply::Permit { .. }) {
            self.sent.push((clock.1, false));
        }
        actions
    }

    /// Takes or renews a pause, as an operator does.
    pub fn pause(
        &mut self,
        id: &PauseId,
        model: Option<ModelId>,
        millis: i64,
        is_renewal: bool,
        clock: (UnixMillis, UnixMillis),
    ) -> Vec<Action> {
        let paused = self.turn(|machine, now| machine.pause(id, model.clone(), millis, is_renewal, now), clock);
        let Some((taken, actions)) = paused else { return Vec::new() };
        let pauses = &self.machine.stored_state().pauses;
        if let (Ok(_), Some((_, lease))) = (taken, pauses.leases().find(|(other, _)| *other == id)) {
            self.pauses.take(id.clone(), lease.model.clone(), millis, clock.1);
        }
        self.pauses.check(&actions, clock.1);
        actions
    }

    pub fn resume(&mut self, id: &PauseId, clock: (UnixMillis, UnixMillis)) -> Vec<Action> {
        self.pauses.give_back(id);
        self.turn(|machine, now| machine.resume(id, now), clock).map_or(Vec::new(), |(_, actions)| actions)
    }

    /// Loads the machine as the shell does.
    fn load(&mut self, now: UnixMillis) -> Dispatcher {
        if std::mem::take(&mut self.is_of_build_before) {
            let inputs = &mut self.inputs;
            self.jobs.values_mut().for_each(|job| *job = build_before::upgraded_job(job, inputs));
            inputs.retain(|job_id, _| self.jobs.contains_key(job_id));
            self.outbox.values_mut().for_each(|row| *row = build_before::upgraded_update(row));
        }
        let mut unreadable = UnreadableRows::default();
        let (mut jobs, mut outbox) = (Vec::new(), Vec::new());
        self.hidden.clear();
        for (job_id, job) in &self.jobs {
            if self.unreadable.contains(&RowName::Job(job_id.clone())) {
                unreadable.add_job(job_id.as_str(), LONGEST_SLOT_MILLIS);
                self.hidden.insert(job_id.clone());
            } else {
                jobs.push(job.clone());
            }
        }
        self.ever_hidden.extend(self.hidden.iter().cloned());
        for (job_id, row) in &self.outbox {
            if self.unreadable.contains(&RowName::Update(job_id.clone())) {
                unreadable.add_update(job_id.as_str(), LONGEST_SLOT_MILLIS);
            } else {
                outbox.push(row.clone());
            }
        }
        let loaded = LoadedState::read(&self.readable_state(), &jobs, &limits().pools, now);
        self.has_lost_state |= !loaded.unreadable.is_empty();
        if loaded.unreadable.contains(&"vendor_pauses") {
            self.pauses.lose();
        }
        self.has_lost_spending |= loaded.unreadable.contains(&"spending");
        Dispatcher::load(limits(), loaded.state, jobs, outbox)
            .with_replaced_state(loaded.replaced)
            .with_unreadable(unreadable)
            .with_file_deletions(self.files.iter().cloned())
    }

    fn readable_state(&self) -> Vec<(String, String)> {
        let is_unreadable = |name: &String| self.unreadable.contains(&RowName::State(name.clone()));
        let doc = |name: &String, doc: &String| if is_unreadable(name) { "?".to_owned() } else { doc.clone() };
        self.state.iter().map(|(name, text)| (name.clone(), doc(name, text))).collect()
    }

    /// Starts a new instance from the rows. The one before has ended, or goes on for a while.
    pub fn restart(&mut self, old_lives_on: bool, (now, real): (UnixMillis, UnixMillis)) {
        if !self.has_lost_state && self.unreadable.is_empty() && !self.is_of_build_before {
            self.check_state_is_stored(now);
        }
        let loaded = self.load(now);
        let before = std::mem::replace(&mut self.machine, loaded);
        self.old = old_lives_on.then_some((before, real));
    }

    /// Handles a message at the instance before, if that goes on. It cannot store: then it ends. Returns its reply. A
    /// message for which the shell reads storage ends it too.
    pub fn answer_of_old(
        &mut self,
        request: &DispatcherRequest,
        (now, real): (UnixMillis, UnixMillis),
    ) -> Option<Option<DispatcherReply>> {
        let (mut old, since) = self.old.take()?;
        if real.millis_since(since) > OLD_INSTANCE_MILLIS {
            return None;
        }
        let reply = match request {
            DispatcherRequest::Cancel { job_id } => old.cancel(job_id, now),
            DispatcherRequest::State { job_id } => old.report_jobs(std::slice::from_ref(job_id), now),
            DispatcherRequest::QueuePositions { job_ids } => {
                DispatcherReply::QueuePositions(old.queue_positions(job_ids, now))
            }
            _ => return Some(None),
        };
        let _ = old.due(now);
        let changes = old.take_changes();
        if !changes.jobs.is_empty() || !changes.outbox.is_empty() || !changes.state.is_empty() {
            return Some(None);
        }
        self.old = Some((old, since));
        Some(Some(reply))
    }

    /// Rewrites the rows as the build before would, which ran for a moment after a rollback.
    pub fn roll_back(&mut self) {
        self.is_of_build_before = true;
        let main = build_before::state(self.machine.stored_state());
        self.state.insert("main".to_owned(), main);
    }

    /// Makes a row unreadable for the next load, or readable again.
    pub fn toggle_unreadable(&mut self, pick: usize) {
        let jobs = self.jobs.keys().cloned().map(RowName::Job);
        let updates = self.outbox.keys().cloned().map(RowName::Update);
        let mut rows: Vec<RowName> = jobs.chain(updates).collect();
        rows.extend(self.state.keys().cloned().map(RowName::State));
        let Some(index) = pick.checked_rem(rows.len()) else { return };
        let row = rows.swap_remove(index);
        if !self.unreadable.remove(&row) {
            self.unreadable.insert(row);
        }
    }

    /// Makes every row readable, as a newer version does.
    pub fn make_readable(&mut self) {
        self.unreadable.clear();
    }

    /// Returns whether a part of the state could not be read at a load.
    pub fn has_lost_state(&self) -> bool {
        self.has_lost_state
    }

    /// Returns whether some instance could not read the job's row.
    pub fn was_ever_hidden(&self, job_id: &JobId) -> bool {
        self.ever_hidden.contains(job_id)
    }

    pub fn revoked_before(&self) -> Option<UnixSeconds> {
        self.machine.revoked_before()
    }

    /// Checks slots, vendor requests and accounts. `taken` is how many predictions the vendor accepted.
    pub fn check(&self, (latest, real): (UnixMillis, UnixMillis), taken: usize) {
        let is_given_up = |job_id: &JobId| {
            self.ever_hidden.contains(job_id) && latest.millis_since(job_id.created_at()) >= LONGEST_SLOT_MILLIS
        };
        let held = self.jobs.iter().filter(|(job_id, job)| {
            matches!(job.state, JobState::Submitting | JobState::Running) && !is_given_up(job_id)
        });
        assert!(held.count() <= SLOTS, "more than the slots");
        let of_minute = || self.sent.iter().filter(|(at, _)| real.millis_since(*at) < 60_000);
        assert!(of_minute().count() <= REQUESTS, "too many requests in a minute");
        let others = of_minute().filter(|(_, is_cancel)| !is_cancel).count();
        assert!(others <= REQUESTS - RESERVED, "{others} requests leave no room for cancels");
        self.check_spend();
        let days: BTreeSet<_> = self.jobs.values().map(|job| job.spec.day()).collect();
        for day in days {
            if self.has_lost_spending {
                continue;
            }
            let accounts = &self.machine.stored_state().accounts;
            self.check_account(day, accounts.usage(KEY_ACCOUNT, day), KEY_DAILY, taken, |_| true);
            let guests = accounts.usage(GUEST, day);
            self.check_account(day, guests, GUEST_DAILY, taken, |job| job.share.plan == GUEST);
        }
        self.check_memory_is_stored();
    }

    /// Checks that each prediction that ended was booked once, with the credits that the key's account has for it.
    fn check_spend(&self) {
        let accounts = &self.machine.stored_state().accounts;
        for (day, (credits, predictions)) in &self.booked {
            let ended = self.ended.values().filter(|of| *of == day).count();
            assert_eq!(*predictions, ended, "each prediction is booked once");
            // Accounts of earlier days are dropped.
            if !self.has_lost_spending && Some(day) == self.booked.keys().next_back() {
                assert_eq!(*credits, accounts.usage(KEY_ACCOUNT, *day).0.micros(), "spend and account differ");
            }
        }
    }

    /// Checks that an account's reservations are the prices of its open jobs, and that spent plus reserved credits stay
    /// within the day's, apart from the 1.5 credits that each `EndedDearer` costs above its price.
    fn check_account(
        &self,
        day: UtcDay,
        (spent, reserved): (MicroCredits, MicroCredits),
        daily: &str,
        taken: usize,
        is_in: impl Fn(&Job) -> bool,
    ) {
        let open =
            self.jobs.values().filter(|job| job.state != JobState::Unknown && job.spec.day() == day && is_in(job));
        assert_eq!(reserved.micros(), open.map(|job| job.spec.credits.micros()).sum::<i64>(), "reservations");
        let dearer = taken as i64 * 1_500_000;
        assert!(spent.micros() + reserved.micros() <= MicroCredits::parse(daily).unwrap().micros() + dearer);
    }

    /// Checks that the machine's memory is what it would load after a crash.
    fn check_memory_is_stored(&self) {
        for (id, job) in self.jobs.iter().filter(|(id, _)| !self.hidden.contains(*id)) {
            let in_memory = self.machine.job(id).unwrap();
            assert_eq!((in_memory.state, in_memory.sequence), (job.state, job.sequence), "not stored");
        }
    }

    fn check_state_is_stored(&self, now: UnixMillis) {
        let jobs: Vec<Job> = self.jobs.values().cloned().collect();
        let stored = LoadedState::read(&self.readable_state(), &jobs, &limits().pools, now).state;
        let memory = self.machine.stored_state();
        let accounts = |state: &StoredState| {
            let mut accounts = serde_json::to_value(&state.accounts).unwrap().as_array().cloned().unwrap();
            accounts.sort_by_key(serde_json::Value::to_string);
            accounts
        };
        // In its stored form: times of accepted creates are stored to the minute.
        let health = |state: &StoredState| serde_json::to_value(&state.health).unwrap();
        assert_eq!((accounts(&stored), health(&stored)), (accounts(memory), health(memory)), "not stored");
        assert_eq!((&stored.window, &stored.deficits), (&memory.window, &memory.deficits), "not stored");
        assert_eq!(stored.pool_deficits, memory.pool_deficits, "not stored");
    }
}
