//! The jobs that wait, by user, and which users may start one: part of the job table.

use std::collections::{BTreeMap, BTreeSet};

use super::job::{Job, JobState};
use crate::types::ids::{JobId, UserKey};
use crate::types::model::ModelId;
use crate::types::time::UnixMillis;

/// The plan, model and limit by which jobs may start. Jobs of one class may start or not together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    plan: String,
    model: ModelId,
    weight: u32,
    concurrent_predictions: u32,
}

impl Class {
    fn of(job: &Job) -> Self {
        let (share, model) = (&job.share, job.spec.model.clone());
        let (weight, concurrent_predictions) = (share.weight, share.concurrent_predictions);
        Self { plan: share.plan.clone(), model, weight, concurrent_predictions }
    }

    fn group(&self) -> Group {
        (self.plan.clone(), self.model.clone())
    }

    fn allows(&self, held: usize) -> bool {
        held < usize::try_from(self.concurrent_predictions).unwrap_or(usize::MAX)
    }
}

/// A plan and a model: what may be closed for all users at once.
type Group = (String, ModelId);

/// The jobs of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct UserJobs {
    /// Held slots.
    held: usize,
    waiting: BTreeMap<Class, BTreeSet<JobId>>,
}

impl UserJobs {
    /// Returns the classes whose jobs may start, as far as the user's own limit decides.
    fn ready(&self) -> impl Iterator<Item = (&Class, &BTreeSet<JobId>)> {
        self.waiting.iter().filter(|(class, _)| class.allows(self.held))
    }
}

/// The oldest job of a user that may start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Head {
    /// The job.
    pub job_id: JobId,
    /// Its user.
    pub user: UserKey,
    /// The user's plan.
    pub plan: String,
    /// The user's weight.
    pub weight: u32,
}

/// The jobs that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WaitingJobs {
    /// Users with a job that waits or holds a slot.
    users: BTreeMap<UserKey, UserJobs>,
    /// The users that are below their own limit and have a job of this plan and model that waits.
    ready: BTreeMap<Group, BTreeSet<UserKey>>,
    /// How many jobs of each model wait.
    models: BTreeMap<ModelId, usize>,
    /// The jobs that come before all others, by the time of their enqueue.
    returned: BTreeSet<(UnixMillis, JobId)>,
}

impl WaitingJobs {
    /// Adds a job.
    pub(super) fn add(&mut self, job: &Job) {
        let is_waiting = job.state == JobState::Waiting;
        if is_waiting {
            let count = self.models.entry(job.spec.model.clone()).or_default();
            *count = count.saturating_add(1);
            if job.is_returned {
                self.returned.insert((job.enqueued_at, job.spec.job_id.clone()));
            }
        }
        self.change_user(&job.user, |user| {
            if is_waiting {
                user.waiting.entry(Class::of(job)).or_default().insert(job.spec.job_id.clone());
            } else {
                user.held = user.held.saturating_add(1);
            }
        });
    }

    /// Removes a job that was added as it is.
    pub(super) fn remove(&mut self, job: &Job) {
        let is_waiting = job.state == JobState::Waiting;
        if is_waiting {
            if let Some(count) = self.models.get_mut(&job.spec.model) {
                *count = count.saturating_sub(1);
            }
            self.models.retain(|_, count| *count > 0);
            self.returned.remove(&(job.enqueued_at, job.spec.job_id.clone()));
        }
        self.change_user(&job.user, |user| {
            if is_waiting {
                let class = Class::of(job);
                if let Some(ids) = user.waiting.get_mut(&class) {
                    ids.remove(&job.spec.job_id);
                    if ids.is_empty() {
                        user.waiting.remove(&class);
                    }
                }
            } else {
                user.held = user.held.saturating_sub(1);
            }
        });
    }

    fn change_user(&mut self, key: &UserKey, change: impl FnOnce(&mut UserJobs)) {
        let mut user = self.users.remove(key).unwrap_or_default();
        for (class, _) in user.ready() {
            let group = class.group();
            if let Some(users) = self.ready.get_mut(&group) {
                users.remove(key);
                if users.is_empty() {
                    self.ready.remove(&group);
                }
            }
        }
        change(&mut user);
        for (class, _) in user.ready() {
            self.ready.entry(class.group()).or_default().insert(key.clone());
        }
        if user != UserJobs::default() {
            self.users.insert(key.clone(), user);
        }
    }

    /// Returns how many slots the jobs of a user hold.
    pub(super) fn held_by(&self, user: &UserKey) -> usize {
        self.users.get(user).map_or(0, |user| user.held)
    }

    /// Returns whether a job of a user waits.
    pub(super) fn has_waiting(&self, user: &UserKey) -> bool {
        self.users.get(user).is_some_and(|user| !user.waiting.is_empty())
    }

    /// Returns the models of the jobs that wait.
    pub(super) fn has_model(&self, model: &ModelId) -> bool {
        self.models.contains_key(model)
    }

    /// Returns whether a job may start. `is_open` says so of a plan and a model.
    pub(super) fn has_startable(&self, is_open: impl Fn(&str, &ModelId) -> bool) -> bool {
        self.ready.keys().any(|(plan, model)| is_open(plan, model))
    }

    /// Returns the returned jobs, in the order of their starts, whose users are below their own limit.
    pub(super) fn returned(&self) -> impl Iterator<Item = &JobId> {
        self.returned.iter().map(|(_, job_id)| job_id)
    }

    /// Returns whether the user of a job is below its own limit.
    pub(super) fn is_ready(&self, job: &Job) -> bool {
        Class::of(job).allows(self.held_by(&job.user))
    }

    /// Returns the oldest job that may start of each user who has one, oldest first.
    pub(super) fn heads(&self, is_open: impl Fn(&str, &ModelId) -> bool) -> Vec<Head> {
        let mut heads: BTreeMap<&UserKey, (&JobId, &Class)> = BTreeMap::new();
        for ((plan, model), keys) in self.ready.iter().filter(|((plan, model), _)| is_open(plan, model)) {
            for key in keys {
                let classes = self.users.get(key).into_iter().flat_map(UserJobs::ready);
                let of_group = classes.filter(|(class, _)| class.plan == *plan && class.model == *model);
                for (class, first) in of_group.filter_map(|(class, ids)| Some((class, ids.first()?))) {
                    let head = heads.entry(key).or_insert((first, class));
                    if first < head.0 {
                        *head = (first, class);
                    }
                }
            }
        }
        let head = |(user, (job_id, class)): (&UserKey, (&JobId, &Class))| Head {
            job_id: job_id.clone(),
            user: user.clone(),
            plan: class.plan.clone(),
            weight: class.weight,
        };
        let mut heads: Vec<Head> = heads.into_iter().map(head).collect();
        heads.sort();
        heads
    }
}
