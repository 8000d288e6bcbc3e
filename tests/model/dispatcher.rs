//! The Dispatcher as its Durable Object runs it: the real machine, its rows, and what the platform does to them.

use std::collections::{BTreeMap, BTreeSet};

use valetkey::dispatcher::{
    Action, Dispatcher, DispatcherLimits, Job, JobState, KEY_ACCOUNT, OutboxRow, Pool, StoredState,
};
use valetkey::messages::{DispatcherReply, DispatcherRequest};
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::JobId;
use valetkey::types::time::{UnixMillis, UnixSeconds};
use valetkey::vendor::output::OutputRule;

pub const SLOTS: usize = 3;
pub const REQUESTS: usize = 40;
/// Requests of each minute that only cancels may use.
pub const RESERVED: usize = 3;
const KEY_DAILY: &str = "150";
/// The plan with a pool.
pub const GUEST: &str = "guest";
const GUEST_DAILY: &str = "25";
const GUEST_WAITING: usize = 4;

pub struct DispatcherObject {
    pub machine: Dispatcher,
    pub jobs: BTreeMap<JobId, Job>,
    pub outbox: BTreeMap<JobId, OutboxRow>,
    tombstones: BTreeSet<JobId>,
    files: BTreeSet<String>,
    state: StoredState,
    /// The next turn cannot store its changes.
    pub cannot_store: bool,
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
        max_wait_millis: 60_000,
        pools: BTreeMap::from([(GUEST.to_owned(), guests)]),
        key_fingerprint: "key".into(),
        other_key_fingerprint: Some("other".into()),
        outputs: OutputRule::for_upstream("https://vendor.example/v1"),
    }
}

impl DispatcherObject {
    pub fn new() -> Self {
        let state = StoredState::default();
        Self {
            machine: Dispatcher::load(limits(), state.clone(), Vec::new(), Vec::new()),
            jobs: BTreeMap::new(),
            outbox: BTreeMap::new(),
            tombstones: BTreeSet::new(),
            files: BTreeSet::new(),
            state,
            cannot_store: false,
            sent: Vec::new(),
        }
    }

    /// Runs one turn as the shell does: change, decide, store. Returns the actions to start, or `None` if the turn could
    /// not be stored. `latest` is a clock that never goes back.
    pub fn turn<R>(
        &mut self,
        change: impl FnOnce(&mut Dispatcher, UnixMillis) -> R,
        (now, latest): (UnixMillis, UnixMillis),
    ) -> Option<(R, Vec<Action>)> {
        let result = change(&mut self.machine, now);
        let actions = self.machine.due(now);
        let changes = self.machine.take_changes();
        if std::mem::take(&mut self.cannot_store) {
            let loaded = self.load();
            let before = std::mem::replace(&mut self.machine, loaded.clone());
            self.machine = loaded.resume_work_of(before, &actions);
            return None;
        }
        for id in changes.jobs {
            match self.machine.job(&id) {
                Some(job) => drop(self.jobs.insert(id, job.clone())),
                None => drop(self.jobs.remove(&id)),
            }
        }
        for id in changes.outbox {
            match self.machine.outbox_row(&id) {
                Some(row) => drop(self.outbox.insert(id, row.clone())),
                None => drop(self.outbox.remove(&id)),
            }
        }
        for vendor_id in changes.file_deletions {
            match self.machine.deletes_file(&vendor_id) {
                true => self.files.insert(vendor_id),
                false => self.files.remove(&vendor_id),
            };
        }
        self.tombstones.extend(changes.tombstones);
        if !changes.state.is_empty() {
            self.state = self.machine.stored_state().clone();
        }
        let requests = actions.iter().filter(|action| !matches!(action, Action::Deliver(_)));
        self.sent.extend(requests.map(|action| (latest, matches!(action, Action::Cancel { .. }))));
        Some((result, actions))
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
            DispatcherRequest::Tick => self.turn(|_, _| DispatcherReply::Done, clock),
            other => panic!("no Ledger sends {other:?}"),
        };
        let (reply, actions) = turned.unzip();
        (reply, actions.unwrap_or_default())
    }

    fn load(&self) -> Dispatcher {
        let (jobs, outbox) = (self.jobs.values().cloned().collect(), self.outbox.values().cloned().collect());
        let state: StoredState = serde_json::from_str(&serde_json::to_string(&self.state).unwrap()).unwrap();
        Dispatcher::load(limits(), state, jobs, outbox).with_file_deletions(self.files.iter().cloned())
    }

    /// Starts a new instance from the rows.
    pub fn restart(&mut self) {
        self.machine = self.load();
    }

    pub fn revoked_before(&self) -> Option<UnixSeconds> {
        self.machine.revoked_before()
    }

    /// Checks slots, vendor requests and accounts. `taken` is how many predictions the vendor accepted.
    pub fn check(&self, latest: UnixMillis, taken: usize) {
        let open = self.machine.held_slots();
        let unknown = self.jobs.values().filter(|job| job.state == JobState::Unknown).count();
        assert!(open.saturating_sub(unknown) <= SLOTS, "more than the slots: {open}, unknown {unknown}");
        let of_minute = || self.sent.iter().filter(|(at, _)| latest.millis_since(*at) < 60_000);
        assert!(of_minute().count() <= REQUESTS, "too many requests in a minute");
        let others = of_minute().filter(|(_, is_cancel)| !is_cancel).count();
        assert!(others <= REQUESTS - RESERVED, "{others} requests leave no room for cancels");
        let days: BTreeSet<_> = self.jobs.values().map(|job| job.spec.day()).collect();
        for day in days {
            let (spent, reserved) = self.state.accounts.usage(KEY_ACCOUNT, day);
            self.check_account(day, (spent, reserved), KEY_DAILY, taken, |_| true);
            let guests = self.state.accounts.usage(GUEST, day);
            self.check_account(day, guests, GUEST_DAILY, taken, |job| job.share.plan == GUEST);
        }
        self.check_memory_is_stored();
    }

    /// Checks that an account's reservations are the prices of its open jobs, and that spent plus reserved credits stay
    /// within the day's, apart from the 1.5 credits that each `EndedDearer` costs above its price.
    fn check_account(
        &self,
        day: valetkey::types::time::UtcDay,
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
        for (id, job) in &self.jobs {
            let in_memory = self.machine.job(id).unwrap();
            assert_eq!((in_memory.state, in_memory.sequence), (job.state, job.sequence), "not stored");
        }
    }
}
