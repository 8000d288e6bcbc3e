//! When the jobs of the queue are expected to start. The queue is played through once, from event to event: O(log n) for
//! each job.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::job::{Job, JobState};
use super::job_changes::averaged;
use super::machine::Dispatcher;
use crate::constants::{AVERAGED_RUNS, RUN_LEFT_PARTS, UNKNOWN_RUN_LEFT_PARTS};
use crate::limit::lane_forecast::LaneForecast;
use crate::limit::request_window::Lane;
use crate::types::ids::UserKey;
use crate::types::model::ModelId;
use crate::types::time::UnixMillis;

/// An event that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event<'a> {
    /// The vendor ends a run of this user and plan. The next poll that the lane lets pass shows it.
    RunEnded(&'a UserKey, &'a str),
    /// The run's end is known, and its slot is free.
    SlotFreed(&'a UserKey, &'a str),
    /// A slot can be used that no job holds: a penalty is over, or an unreadable row is too old.
    SlotReturned,
    /// The pause of the model ends that this job waits for.
    ModelResumed(usize),
}

/// Jobs at the vendor of one user or one pool, and those that wait for one of them to end.
#[derive(Default)]
struct Peers {
    running: usize,
    blocked: BinaryHeap<Reverse<usize>>,
}

/// The queue as it is expected to move on. Jobs are called by their index in `order`.
pub(super) struct ExpectedStarts<'a> {
    machine: &'a Dispatcher,
    order: &'a [&'a Job],
    /// The time of the pass.
    now: UnixMillis,
    /// The expected run times of models with running jobs.
    runs: BTreeMap<&'a ModelId, i64>,
    creates: LaneForecast,
    polls: LaneForecast,
    held_slots: usize,
    users: BTreeMap<&'a UserKey, Peers>,
    pools: BTreeMap<&'a str, Peers>,
    /// Jobs that nothing but the slots and the lane keep from starting.
    ready: BinaryHeap<Reverse<usize>>,
    events: BinaryHeap<Reverse<(UnixMillis, Event<'a>)>>,
    starts: Vec<Option<UnixMillis>>,
    /// The number of jobs without an expected start.
    left: usize,
}

impl<'a> ExpectedStarts<'a> {
    /// Returns in how many milliseconds each job of `order` is expected to start. A job starts in its turn, as soon as
    ///
    /// - a slot is free, and its user and pool are below their own limits,
    /// - the create lane has let all creates before it pass,
    /// - the vendor is no longer paused, and neither is its model.
    pub(super) fn waits(machine: &'a Dispatcher, order: &'a [&'a Job], now: UnixMillis) -> Vec<i64> {
        let mut this = Self {
            machine,
            order,
            now,
            runs: machine.expected_runs(now),
            creates: machine.state.window.forecast(Lane::Create, machine.limits.requests_per_minute, now),
            polls: machine.state.window.forecast(Lane::Status, machine.limits.requests_per_minute, now),
            held_slots: 0,
            users: BTreeMap::new(),
            pools: BTreeMap::new(),
            ready: BinaryHeap::new(),
            events: BinaryHeap::new(),
            starts: vec![None; order.len()],
            left: order.len(),
        };
        this.hold_slots(now);
        this.queue_jobs(now);
        this.play(now.plus_millis(machine.expected_pause_millis(now)));
        let last = this.starts.iter().flatten().max().copied().unwrap_or(now);
        this.starts.into_iter().map(|start| start.unwrap_or(last).millis_since(now)).collect()
    }

    /// Holds the slots that are held now, each until it is expected to be free.
    fn hold_slots(&mut self, now: UnixMillis) {
        let machine = self.machine;
        for job in machine.jobs.holding() {
            self.hold(job, now.plus_millis(self.time_left_millis(job, now)));
        }
        let penalty = machine.limits.concurrent_predictions.saturating_sub(machine.slot_limit(now));
        let penalties = std::iter::repeat_n(machine.state.health.slot_penalty_until, penalty);
        for until in penalties.chain(machine.unreadable.slots_until(now)) {
            self.held_slots = self.held_slots.saturating_add(1);
            self.events.push(Reverse((until, Event::SlotReturned)));
        }
    }

    fn queue_jobs(&mut self, now: UnixMillis) {
        for (index, job) in self.order.iter().enumerate() {
            match self.machine.model_paused_until(&job.spec.model, now) {
                Some(until) => self.events.push(Reverse((until, Event::ModelResumed(index)))),
                None => self.ready.push(Reverse(index)),
            }
        }
    }

    /// Starts job after job, from event to event.
    fn play(&mut self, mut at: UnixMillis) {
        let slots = self.machine.limits.concurrent_predictions;
        loop {
            while let Some(Reverse((time, event))) =
                self.events.peek().copied().filter(|Reverse((time, _))| *time <= at)
            {
                self.events.pop();
                self.apply(event, time);
            }
            while self.held_slots < slots
                && let Some(Reverse(index)) = self.ready.pop()
            {
                self.try_start(index, at);
            }
            match self.events.peek() {
                Some(Reverse((time, _))) if self.left > 0 => at = at.max(*time),
                _ => return,
            }
        }
    }

    fn apply(&mut self, event: Event<'a>, at: UnixMillis) {
        let mut resumed = Vec::new();
        match event {
            Event::ModelResumed(index) => resumed.push(Reverse(index)),
            Event::SlotReturned => self.held_slots = self.held_slots.saturating_sub(1),
            Event::RunEnded(user, plan) => {
                self.events.push(Reverse((self.polls.send(at), Event::SlotFreed(user, plan))));
            }
            Event::SlotFreed(user, plan) => {
                self.held_slots = self.held_slots.saturating_sub(1);
                for peers in [self.users.entry(user).or_default(), self.pools.entry(plan).or_default()] {
                    peers.running = peers.running.saturating_sub(1);
                    resumed.extend(peers.blocked.pop());
                }
            }
        }
        self.ready.extend(resumed);
    }

    /// Starts a job, unless its user or its pool is at its limit.
    fn try_start(&mut self, index: usize, at: UnixMillis) {
        let (order, machine) = (self.order, self.machine);
        let Some(job) = order.get(index) else { return };
        let plan = job.share.plan.as_str();
        let (user, pool) = (self.users.entry(&job.user).or_default(), self.pools.entry(plan).or_default());
        if user.running >= usize::try_from(job.share.concurrent_predictions).unwrap_or(usize::MAX) {
            user.blocked.push(Reverse(index));
            // Another user of the pool may start instead.
            self.ready.extend(pool.blocked.pop());
            return;
        }
        if pool.running >= machine.pool_limit(plan) {
            pool.blocked.push(Reverse(index));
            return;
        }
        let start = if at > machine.wait_ends_at(job, self.now) {
            // It will have left the queue by then.
            at
        } else {
            let start = self.creates.send(at);
            let run =
                self.runs.get(&job.spec.model).copied().unwrap_or_else(|| machine.mean_run_millis(&job.spec.model));
            self.hold(job, start.plus_millis(run));
            start
        };
        if let Some(expected) = self.starts.get_mut(index) {
            *expected = Some(start);
            self.left = self.left.saturating_sub(1);
        }
    }

    fn hold(&mut self, job: &'a Job, until: UnixMillis) {
        let plan = job.share.plan.as_str();
        self.held_slots = self.held_slots.saturating_add(1);
        for peers in [self.users.entry(&job.user).or_default(), self.pools.entry(plan).or_default()] {
            peers.running = peers.running.saturating_add(1);
        }
        self.events.push(Reverse((until, Event::RunEnded(&job.user, plan))));
    }

    /// Returns how long the run of a job is expected to go on. One that is late, compared with the mean, is expected to
    /// take as long again as it is late: it has not ended, so that "any moment now" would be wrong again and again.
    fn time_left_millis(&self, job: &Job, now: UnixMillis) -> i64 {
        if job.state == JobState::Unknown {
            return job.run_deadline().millis_since(now).max(0);
        }
        let (mean, age) = (self.machine.mean_run_millis(&job.spec.model), job.run_millis(now));
        let shortest = match self.machine.state.average_runs.get(&job.spec.model) {
            Some(mean) => mean.div_euclid(RUN_LEFT_PARTS),
            None => age.div_euclid(UNKNOWN_RUN_LEFT_PARTS),
        };
        mean.saturating_sub(age).saturating_abs().max(shortest)
    }
}

impl Dispatcher {
    /// Returns the mean run time of a model, or of all models before one of its own has ended.
    fn mean_run_millis(&self, model: &ModelId) -> i64 {
        self.state.average_runs.get(model).copied().unwrap_or_else(|| self.average_run_millis())
    }

    /// Returns the expected run times of the models with running jobs: the mean run time. If even the youngest run of a
    /// model has outlasted it, all of them are averaged in, as if they ended at that age.
    fn expected_runs(&self, now: UnixMillis) -> BTreeMap<&ModelId, i64> {
        let mut ages: BTreeMap<&ModelId, (i64, usize)> = BTreeMap::new();
        for job in [JobState::Submitting, JobState::Running].into_iter().flat_map(|state| self.jobs.in_state(state)) {
            let age = job.run_millis(now);
            let (youngest, count) = ages.entry(&job.spec.model).or_insert((age, 0));
            (*youngest, *count) = ((*youngest).min(age), count.saturating_add(1));
        }
        let expected = |(model, (youngest, count)): (&'_ ModelId, (i64, usize))| {
            let mean = self.mean_run_millis(model);
            let late = if youngest > mean { count } else { 0 };
            (0..late).fold(mean, |mean, _| averaged(mean, youngest, AVERAGED_RUNS))
        };
        ages.into_iter().map(|(model, ages)| (model, expected((model, ages)))).collect()
    }
}
