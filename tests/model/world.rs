//! The Dispatcher and its environment: its rows, the vendor, the Ledgers, and all requests and messages in flight.

use std::collections::{BTreeMap, BTreeSet};

use valetkey::dispatcher::{Action, Dispatcher, DispatcherLimits, Job, JobState, KEY_ACCOUNT, OutboxRow, StoredState};
use valetkey::messages::{Deadline, DispatcherReply, EnqueueRefusal, JobSpec, JobUpdate, QueueShare};
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::{JobId, UserKey};
use valetkey::types::model::ModelId;
use valetkey::types::prediction::{PredictionRecord, Status};
use valetkey::types::time::UnixMillis;
use valetkey::vendor::output::OutputRule;

use crate::ledger::Ledger;
use crate::vendor::{self, Vendor};

const SLOTS: usize = 3;
const REQUESTS: usize = 40;
const START: i64 = 1_768_473_000_000;
const KEY_DAILY: &str = "150";

/// One event.
#[derive(Clone, Debug)]
pub enum Step {
    Create {
        user: u8,
        count: u8,
        key: Option<u8>,
    },
    Repeat {
        pick: usize,
    },
    Cancel {
        pick: usize,
    },
    Hook {
        pick: usize,
    },
    /// A Ledger asks about a prediction that it has no recent job update for.
    Ask {
        pick: usize,
    },
    VendorReply {
        pick: usize,
        vendor: Vendor,
    },
    Crash,
    Wait {
        millis: i64,
    },
    ClockBack {
        millis: i64,
    },
}

/// A request or message in flight.
enum Work {
    Action(Action),
    Enqueue {
        user: UserKey,
        specs: Vec<JobSpec>,
        deadline: Deadline,
    },
    Withdraw {
        user: UserKey,
        job_ids: Vec<JobId>,
    },
    /// A withdrawal that its Ledger counts as lost. It arrives anyway, and its reply is dropped.
    LateWithdraw {
        job_ids: Vec<JobId>,
    },
    /// A restarted Ledger checks on a create that was never acknowledged.
    Find {
        user: UserKey,
        job_ids: Vec<JobId>,
    },
}

pub struct World {
    machine: Dispatcher,
    jobs: BTreeMap<JobId, Job>,
    outbox: BTreeMap<JobId, OutboxRow>,
    tombstones: BTreeSet<JobId>,
    state: StoredState,
    pending: Vec<Work>,
    now: UnixMillis,
    latest: UnixMillis,
    count: u8,
    owners: BTreeMap<JobId, (UserKey, JobSpec)>,
    creates: Vec<(UserKey, Vec<JobId>)>,
    ledgers: BTreeMap<UserKey, Ledger>,
    /// How often the vendor accepted each job.
    taken: BTreeMap<JobId, u32>,
    sent: Vec<UnixMillis>,
}

pub fn limits() -> DispatcherLimits {
    DispatcherLimits {
        requests_per_minute: REQUESTS,
        concurrent_predictions: SLOTS,
        daily_credits: MicroCredits::parse(KEY_DAILY),
        max_waiting: 12,
        max_wait_millis: 60_000,
        pools: BTreeMap::new(),
        key_fingerprint: "key".into(),
        other_key_fingerprint: Some("other".into()),
        outputs: OutputRule::for_upstream("https://vendor.example/v1"),
    }
}

pub fn share() -> QueueShare {
    QueueShare { plan: "default".into(), weight: 1, concurrent_predictions: 2, max_waiting: 6 }
}

impl World {
    pub fn new() -> Self {
        let state = StoredState::default();
        Self {
            machine: Dispatcher::load(limits(), state.clone(), Vec::new(), Vec::new()),
            jobs: BTreeMap::new(),
            outbox: BTreeMap::new(),
            tombstones: BTreeSet::new(),
            state,
            pending: Vec::new(),
            now: UnixMillis(START),
            latest: UnixMillis(START),
            count: 0,
            owners: BTreeMap::new(),
            creates: Vec::new(),
            ledgers: BTreeMap::new(),
            taken: BTreeMap::new(),
            sent: Vec::new(),
        }
    }

    /// Runs one turn of the Durable Object's shell: change, decide, store, start the actions.
    fn turn<R>(&mut self, change: impl FnOnce(&mut Dispatcher, UnixMillis) -> R) -> R {
        let result = change(&mut self.machine, self.now);
        let actions = self.machine.due(self.now);
        let changes = self.machine.take_changes();
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
        self.tombstones.extend(changes.tombstones);
        if !changes.state.is_empty() {
            self.state = self.machine.stored_state().clone();
        }
        self.latest = self.latest.max(self.now);
        let requests = actions.iter().filter(|action| !matches!(action, Action::Deliver(_))).count();
        self.sent.extend(std::iter::repeat_n(self.latest, requests));
        self.pending.extend(actions.into_iter().map(Work::Action));
        result
    }

    fn ledger(&mut self, user: &UserKey) -> &mut Ledger {
        self.ledgers.entry(user.clone()).or_default()
    }

    fn apply_updates(&mut self, user: &UserKey, updates: &[JobUpdate]) {
        let now = self.latest;
        updates.iter().for_each(|update| self.ledger(user).apply_update(update, now));
    }

    fn create(&mut self, user: u8, count: u8, key: Option<u8>) {
        let owner = UserKey::new("issuer", &user.to_string());
        let specs: Vec<JobSpec> = (0..count).map(|_| self.spec(user)).collect();
        let now = self.latest;
        let request = Ledger::request(&owner, specs.clone(), key.map(|key| key.to_string()), now);
        if let Ok(Some(job_ids)) = self.ledger(&owner).admit(&request, now) {
            self.creates.push((owner.clone(), job_ids));
            for spec in &specs {
                self.owners.insert(spec.job_id.clone(), (owner.clone(), spec.clone()));
            }
            self.pending.push(Work::Enqueue { user: owner, specs, deadline: Deadline::after(now, 1_600) });
        }
    }

    fn spec(&mut self, user: u8) -> JobSpec {
        self.count = self.count.wrapping_add(1);
        let mut random = [0; 10];
        random[0] = self.count;
        JobSpec {
            job_id: JobId::new(self.latest, random),
            model: ModelId::parse(if user == 0 { "acme/other" } else { "acme/model" }).unwrap(),
            input: serde_json::Map::new(),
            image_count: 1,
            credits: MicroCredits::parse("2.5").unwrap(),
            max_seconds: 30,
        }
    }

    fn pick(&self, pick: usize) -> Option<(JobId, UserKey)> {
        let (id, (user, _)) = self.owners.iter().nth(pick.checked_rem(self.owners.len())?)?;
        Some((id.clone(), user.clone()))
    }

    fn enqueue(
        &mut self,
        user: &UserKey,
        specs: &[JobSpec],
        deadline: Deadline,
    ) -> Result<Vec<JobUpdate>, EnqueueRefusal> {
        let has_tombstone = specs.iter().any(|spec| self.tombstones.contains(&spec.job_id));
        let job_ids: Vec<JobId> = specs.iter().map(|spec| spec.job_id.clone()).collect();
        self.turn(|machine, now| machine.enqueue(user, specs.to_vec(), &share(), deadline, has_tombstone, now))?;
        match self.turn(|machine, now| machine.report_jobs(&job_ids, now)) {
            DispatcherReply::Jobs(updates) => Ok(updates),
            reply => panic!("{reply:?}"),
        }
    }

    /// Sends an enqueue and applies its reply, or starts the withdrawal if there is none.
    fn hand_over(&mut self, user: UserKey, specs: Vec<JobSpec>, deadline: Deadline, fate: Vendor) {
        let (arrives, is_answered) = fate.message();
        let answer = arrives.then(|| self.enqueue(&user, &specs, deadline));
        let job_ids: Vec<JobId> = specs.into_iter().map(|spec| spec.job_id).collect();
        match answer.filter(|_| is_answered) {
            Some(Ok(updates)) => {
                assert_eq!(updates.len(), job_ids.len(), "all or none");
                self.apply_updates(&user, &updates);
            }
            Some(Err(_)) => {
                for job_id in &job_ids {
                    assert!(self.machine.job(job_id).is_none(), "refused and kept");
                    self.ledger(&user).undo(job_id);
                }
            }
            None => self.start_withdrawal(user, job_ids),
        }
    }

    /// Starts the withdrawal of a create whose client got 503, if its Ledger knows of no job that was sent. The
    /// withdrawal repeats until the Dispatcher replies.
    fn start_withdrawal(&mut self, user: UserKey, job_ids: Vec<JobId>) {
        if self.ledger(&user).is_unsent(&job_ids) {
            self.ledger(&user).set_withdrawing(&job_ids, true);
            self.pending.push(Work::Withdraw { user, job_ids });
        }
    }

    fn withdraw(&mut self, user: UserKey, job_ids: Vec<JobId>, fate: Vendor) {
        if !self.ledger(&user).is_unsent(&job_ids) {
            return self.ledger(&user).set_withdrawing(&job_ids, false);
        }
        let (arrives, is_answered) = fate.message();
        let reply = arrives.then(|| self.withdraw_arrives(&job_ids));
        let Some(updates) = reply.filter(|_| is_answered) else {
            if !arrives {
                self.pending.push(Work::LateWithdraw { job_ids: job_ids.clone() });
            }
            // The Ledger's alarm retries.
            return self.pending.push(Work::Withdraw { user, job_ids });
        };
        if updates.is_empty() {
            return self.undo(&user, &job_ids);
        }
        self.apply_updates(&user, &updates);
        self.ledger(&user).set_withdrawing(&job_ids, false);
    }

    fn withdraw_arrives(&mut self, job_ids: &[JobId]) -> Vec<JobUpdate> {
        let has_tombstone = job_ids.iter().any(|id| self.tombstones.contains(id));
        match self.turn(|machine, now| machine.withdraw(job_ids, has_tombstone, now)) {
            DispatcherReply::Jobs(updates) => updates,
            reply => panic!("{reply:?}"),
        }
    }

    fn undo(&mut self, user: &UserKey, job_ids: &[JobId]) {
        for job_id in job_ids {
            let has_ended = self.ledger(user).records.get(job_id).is_none_or(|record| record.status.is_terminal());
            assert!(has_ended || self.taken.get(job_id).copied().unwrap_or(0) == 0, "withdrawn and sent");
            self.ledger(user).undo(job_id);
        }
    }

    /// Asks the Dispatcher about one row at a time, as the Ledger's alarm does. A job that the Dispatcher does not know
    /// was never handed over.
    fn find(&mut self, user: UserKey, job_ids: Vec<JobId>, fate: Vendor) {
        if let (_, false) = fate.message() {
            return self.pending.push(Work::Find { user, job_ids });
        }
        for job_id in &job_ids {
            if self.ledger(&user).records.get(job_id).is_none_or(PredictionRecord::is_acknowledged) {
                continue;
            }
            match self.turn(|machine, now| machine.report_jobs(std::slice::from_ref(job_id), now)) {
                // The withdrawal leaves a tombstone, which refuses an enqueue that is still in flight.
                DispatcherReply::Jobs(updates) if updates.is_empty() => {
                    return self.pending.push(Work::Withdraw { user, job_ids });
                }
                DispatcherReply::Jobs(updates) => self.apply_updates(&user, &updates),
                reply => panic!("{reply:?}"),
            }
        }
    }

    fn answer(&mut self, pick: usize, vendor: Vendor) {
        let Some(index) = pick.checked_rem(self.pending.len()) else { return };
        match self.pending.remove(index) {
            Work::Enqueue { user, specs, deadline } => self.hand_over(user, specs, deadline, vendor),
            Work::Withdraw { user, job_ids } => self.withdraw(user, job_ids, vendor),
            Work::LateWithdraw { job_ids } => drop(self.withdraw_arrives(&job_ids)),
            Work::Find { user, job_ids } => self.find(user, job_ids, vendor),
            Work::Action(Action::Submit { spec }) => {
                *self.taken.entry(spec.job_id.clone()).or_default() += u32::from(vendor.accepts_create());
                let answer = vendor::to_create(vendor);
                self.turn(|machine, now| machine.finish_submit(&spec.job_id, &answer, now));
            }
            Work::Action(Action::Poll { job_id, .. }) => {
                let answer = vendor::to_poll(vendor);
                self.turn(|machine, now| machine.finish_poll(&job_id, &answer, now));
            }
            Work::Action(Action::Cancel { job_id, .. }) => {
                let answer = vendor::to_poll(vendor);
                self.turn(|machine, now| machine.finish_cancel(&job_id, &answer, now));
            }
            Work::Action(Action::Deliver(delivery)) => {
                let (arrives, is_acknowledged) = vendor.message();
                if arrives {
                    self.apply_updates(&delivery.user, &delivery.updates);
                }
                self.turn(|machine, now| match is_acknowledged {
                    true => machine.finish_delivery(&delivery.user, &delivery.updates),
                    false => machine.retry_delivery(&delivery.user, &delivery.updates, now),
                });
            }
            Work::Action(Action::FetchModels) => self.turn(|machine, now| machine.finish_models(None, now)),
            Work::Action(Action::DeleteFile { vendor_id }) => {
                let answer = vendor::to_poll(vendor);
                self.turn(|machine, now| machine.finish_file_deletion(&vendor_id, &answer, now));
            }
        }
    }

    /// Restarts every object from its rows. Requests in flight are lost: the vendor counts as having accepted each
    /// create, and half of the enqueues arrive. Each Ledger then checks on its unacknowledged creates.
    fn crash(&mut self) {
        let mut found = Vec::new();
        for work in std::mem::take(&mut self.pending) {
            match work {
                Work::Action(Action::Submit { spec }) => {
                    *self.taken.entry(spec.job_id.clone()).or_default() += 1;
                }
                Work::Action(_) => {}
                Work::Enqueue { user, specs, deadline } => {
                    if self.count.is_multiple_of(2) {
                        let _ = self.enqueue(&user, &specs, deadline);
                    }
                    let job_ids = specs.into_iter().map(|spec| spec.job_id).collect();
                    found.push(Work::Find { user, job_ids });
                }
                work @ (Work::Withdraw { .. } | Work::LateWithdraw { .. } | Work::Find { .. }) => found.push(work),
            }
        }
        let (jobs, outbox) = (self.jobs.values().cloned().collect(), self.outbox.values().cloned().collect());
        let state: StoredState = serde_json::from_str(&serde_json::to_string(&self.state).unwrap()).unwrap();
        self.machine = Dispatcher::load(limits(), state, jobs, outbox);
        self.ledgers.values_mut().for_each(Ledger::crash);
        self.pending = found;
        self.turn(|_, _| ());
    }

    /// Asks the Dispatcher about a prediction without recent job updates. If the Dispatcher does not know it, the
    /// prediction is lost.
    fn ask(&mut self, job_id: &JobId, user: &UserKey) {
        let ledger = self.ledger(user);
        let is_handed_over =
            ledger.records.get(job_id).is_some_and(|record| record.sequence > 0 && !record.withdrawing);
        if !is_handed_over {
            return;
        }
        let DispatcherReply::Jobs(updates) =
            self.turn(|machine, now| machine.report_jobs(std::slice::from_ref(job_id), now))
        else {
            return;
        };
        if updates.is_empty() {
            let now = self.latest;
            let ledger = self.ledger(user);
            let is_open = ledger.records.get(job_id).is_some_and(|record| !record.status.is_terminal());
            assert!(!is_open, "lost: nothing in this world loses a row");
            ledger.lose(job_id, now);
        }
        self.apply_updates(user, &updates);
    }

    pub fn take(&mut self, step: Step) {
        match step {
            Step::Create { user, count, key } => self.create(user, count, key),
            Step::Repeat { pick } => {
                let Some((id, user)) = self.pick(pick) else { return };
                if self.ledger(&user).records.contains_key(&id) {
                    let (spec, deadline) = (self.owners[&id].1.clone(), Deadline::after(self.latest, 1_600));
                    // A duplicate enqueue. A real one repeats the whole batch; this job stands for all of it.
                    let is_known = self.machine.job(&id).is_some() || self.tombstones.contains(&id);
                    if is_known {
                        let _ = self.enqueue(&user, &[spec], deadline);
                    }
                }
            }
            Step::Cancel { pick } => {
                let Some((id, user)) = self.pick(pick) else { return };
                if let DispatcherReply::Jobs(updates) = self.turn(|machine, now| machine.cancel(&id, now)) {
                    self.apply_updates(&user, &updates);
                }
            }
            Step::Hook { pick } => {
                let Some((id, _)) = self.pick(pick) else { return };
                self.turn(|machine, now| machine.receive_webhook(&id, now));
            }
            Step::Ask { pick } => {
                let Some((id, user)) = self.pick(pick) else { return };
                self.ask(&id, &user);
            }
            Step::VendorReply { pick, vendor } => self.answer(pick, vendor),
            Step::Crash => self.crash(),
            Step::Wait { millis } => {
                self.now = self.now.plus_millis(millis);
                self.turn(|_, _| ());
            }
            Step::ClockBack { millis } => {
                self.now = self.now.plus_millis(-millis);
                self.turn(|_, _| ());
            }
        }
    }

    pub fn check(&self) {
        let open = self.machine.held_slots();
        let unknown = self.jobs.values().filter(|job| job.state == JobState::Unknown).count();
        assert!(open.saturating_sub(unknown) <= SLOTS, "more than the slots: {open}, unknown {unknown}");
        assert!(self.taken.values().all(|count| *count <= 1), "paid twice");
        let minute = self.sent.iter().filter(|at| self.latest.millis_since(**at) < 60_000).count();
        assert!(minute <= REQUESTS, "{minute} requests in a minute");
        self.ledgers.values().for_each(|ledger| ledger.check(self.latest));
        self.check_key_account();
        self.check_memory_is_stored();
    }

    /// Checks that the key's reservations are the prices of its open jobs, and that spent plus reserved credits stay
    /// within the day's, apart from the 1.5 credits that each `EndedDearer` costs above its price.
    fn check_key_account(&self) {
        let days: BTreeSet<_> = self.owners.values().map(|(_, spec)| spec.day()).collect();
        for day in days {
            let (spent, reserved) = self.state.accounts.usage(KEY_ACCOUNT, day);
            let open = self.jobs.values().filter(|job| job.state != JobState::Unknown && job.spec.day() == day);
            assert_eq!(
                reserved.micros(),
                open.map(|job| job.spec.credits.micros()).sum::<i64>(),
                "the key's reservations"
            );
            let dearer = self.taken.len() as i64 * 1_500_000;
            assert!(spent.micros() + reserved.micros() <= MicroCredits::parse(KEY_DAILY).unwrap().micros() + dearer);
        }
    }

    /// Checks that the machine's memory is what it would load after a crash.
    fn check_memory_is_stored(&self) {
        for (id, job) in &self.jobs {
            let in_memory = self.machine.job(id).unwrap();
            assert_eq!((in_memory.state, in_memory.sequence), (job.state, job.sequence), "not stored");
        }
    }

    /// Runs without further faults until nothing is due. Every accepted prediction must end, and no job, message or
    /// part of a batch may be left over.
    pub fn drain(&mut self) {
        for _ in 0..3_000 {
            while !self.pending.is_empty() {
                self.answer(0, Vendor::Ended);
                self.check();
            }
            let Some(due) = self.machine.next_due(self.now) else { break };
            self.now = due.max(self.now.plus_millis(1));
            self.turn(|_, _| ());
            self.check();
        }
        assert!(self.jobs.is_empty(), "left over: {:?}", self.jobs);
        assert!(self.outbox.values().all(|row| row.is_dead), "not told: {:?}", self.outbox);
        for (user, job_ids) in &self.creates {
            let kept = job_ids.iter().filter(|id| self.ledgers[user].records.contains_key(id)).count();
            assert!(kept == 0 || kept == job_ids.len(), "a part of a batch");
        }
        for ledger in self.ledgers.values() {
            for (id, record) in &ledger.records {
                assert!(record.status.is_terminal(), "never ended: {id}");
                if record.status == Status::Succeeded {
                    assert_eq!(self.taken.get(id), Some(&1));
                }
            }
        }
    }
}
