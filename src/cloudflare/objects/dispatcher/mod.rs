//! The Dispatcher: one Durable Object per deployment, the only one that speaks to the vendor about predictions.
//!
//! A shell around [`crate::dispatcher`]: decode, one turn of the machine, store its changes in one transaction, then
//! start its actions under the object's own `wait_until`. Invariants: changes are stored before an action starts; no
//! borrow of the machine lives across an await; no request and no alarm awaits the vendor (but `outcome`, which only
//! listens); if storing fails, the memory is dropped and loaded anew.

mod store;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use futures_channel::oneshot;
use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

use self::store::DispatcherStore;
use crate::cloudflare::objects::client::{self, ledgers};
use crate::cloudflare::runtime::deployment::{Deployment, deployment};
use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{self, PlatformError, Sql};
use crate::constants::{ALARM_LATE_MILLIS, DELIVERY_MAX_MILLIS, TOMBSTONE_MILLIS};
use crate::dispatcher::{Action, Delivery, Dispatcher as Machine, DispatcherLimits, JobState};
use crate::messages::{
    CreateOutcome, DispatcherReply, DispatcherRequest, JobSpec, LedgerCall, LedgerEnvelope, LedgerReply, LedgerRequest,
};
use crate::types::ids::JobId;
use crate::types::time::UnixMillis;
use crate::vendor::models::read_models;
use crate::vendor::output::OutputRule;
use crate::vendor::webhook;
use crate::vendor::{reply::VendorReply, request};

/// See the module.
#[durable_object(alarm)]
pub struct Dispatcher {
    dispatcher: Rc<DispatcherActor>,
}

struct DispatcherActor {
    state: State,
    env: Env,
    store: std::result::Result<DispatcherStore, PlatformError>,
    machine: RefCell<Option<Machine>>,
    armed: Cell<Option<UnixMillis>>,
    /// Edges that await the vendor's answer to a create.
    waiters: RefCell<BTreeMap<JobId, Vec<oneshot::Sender<CreateOutcome>>>>,
    /// Answers that no edge has asked for yet; they may be lost.
    outcomes: RefCell<BTreeMap<JobId, CreateOutcome>>,
}

/// Outcomes kept for edges that have not asked yet: they ask within milliseconds.
const OUTCOMES_KEPT: usize = 100;

impl DurableObject for Dispatcher {
    fn new(state: State, env: Env) -> Self {
        let store = Sql::new(&state).and_then(DispatcherStore::new);
        Self {
            dispatcher: Rc::new(DispatcherActor {
                state,
                env,
                store,
                machine: RefCell::new(None),
                armed: Cell::new(None),
                waiters: RefCell::default(),
                outcomes: RefCell::default(),
            }),
        }
    }

    /// Never called: the shim of `scripts/finish-build.mjs` hands the message's text to `handle`.
    async fn fetch(&self, _request: Request) -> Result<Response> {
        Response::error("", 404)
    }

    /// Never fails: the platform deletes an alarm that failed six times.
    async fn alarm(&self) -> Result<Response> {
        self.dispatcher.armed.set(None);
        if self.dispatcher.turn(|_, _| ()).is_err() {
            log::alert("dispatcher_alarm_failed");
            self.dispatcher.arm(platform::now().plus_millis(ALARM_LATE_MILLIS));
        }
        Response::empty()
    }
}

#[wasm_bindgen]
impl Dispatcher {
    /// A message in, a reply out, both JSON: at once where nothing is awaited, else as a promise. The shim of
    /// `scripts/finish-build.mjs` calls it.
    pub fn handle(&self, message: &str) -> JsValue {
        let dispatcher = Rc::clone(&self.dispatcher);
        let request = serde_json::from_str::<DispatcherRequest>(message).map_err(|_| PlatformError);
        platform::at_once_or_promised(async move {
            let reply = match request {
                Ok(request) => dispatcher.answer(request).await,
                Err(error) => Err(error),
            };
            if reply.is_err() {
                log::alert("dispatcher_failed");
            }
            serde_json::to_string(&reply?).map_err(|_| PlatformError)
        })
    }
}

type Outcome<T> = std::result::Result<T, PlatformError>;

impl DispatcherActor {
    async fn answer(self: &Rc<Self>, request: DispatcherRequest) -> Outcome<DispatcherReply> {
        match request {
            DispatcherRequest::Enqueue { user, specs, share, deadline, issued_at } => {
                let job_ids: Vec<JobId> = specs.iter().map(|spec| spec.job_id.clone()).collect();
                let has_tombstone = self.store()?.has_tombstone(&job_ids)?;
                let enqueue = |machine: &mut Machine, now| {
                    machine.check_revoked(&specs, issued_at)?;
                    machine.enqueue(&user, specs, &share, deadline, has_tombstone, now)
                };
                match self.turn(enqueue)? {
                    // The turn that took them may have started some: the Ledger is told where they are after it.
                    Ok(()) => self.turn(|machine, now| machine.report_jobs(&job_ids, now)),
                    Err(refusal) => Ok(DispatcherReply::Refused(refusal)),
                }
            }
            DispatcherRequest::Withdraw { job_ids } => {
                let has_tombstone = self.store()?.has_tombstone(&job_ids)?;
                self.turn(|machine, now| machine.withdraw(&job_ids, has_tombstone, now))
            }
            DispatcherRequest::Cancel { job_id } => self.turn(|machine, now| machine.cancel(&job_id, now)),
            DispatcherRequest::State { job_id } => self.turn(|machine, now| machine.report_jobs(&[job_id], now)),
            DispatcherRequest::QueuePositions { job_ids } => {
                self.turn(|machine, now| DispatcherReply::QueuePositions(machine.queue_positions(&job_ids, now)))
            }
            DispatcherRequest::Outcome { job_id } => self.outcome(&job_id).await,
            DispatcherRequest::Webhook { job_id } => self.turn(|machine, now| {
                machine.receive_webhook(&job_id, now);
                DispatcherReply::Done
            }),
            DispatcherRequest::Permit { job_id } => {
                self.turn(|machine, now| machine.grant_permit(job_id.as_ref(), now))
            }
            DispatcherRequest::Tick => self.turn(|_, _| DispatcherReply::Done),
            DispatcherRequest::Models => self.turn(|machine, _| {
                machine.request_models();
                DispatcherReply::Models(machine.models().map(<[_]>::to_vec))
            }),
            DispatcherRequest::RevokeAll { issued_by } => self.turn(|machine, _| {
                machine.revoke_all(issued_by);
                DispatcherReply::Done
            }),
            DispatcherRequest::Revoked => self.turn(|machine, _| DispatcherReply::Revoked(machine.revoked_before())),
            DispatcherRequest::Anomalies => self.turn(|machine, _| DispatcherReply::Anomalies(machine.anomalies())),
        }
    }

    fn store(&self) -> Outcome<&DispatcherStore> {
        self.store.as_ref().map_err(|error| *error)
    }

    fn deployment(&self) -> Outcome<Rc<Deployment>> {
        deployment(&self.env).map_err(|_| PlatformError)
    }

    /// One turn: change the machine, decide what is due, store, start the actions, arm the alarm. No await inside.
    fn turn<R>(self: &Rc<Self>, change: impl FnOnce(&mut Machine, UnixMillis) -> R) -> Outcome<R> {
        let now = platform::now();
        let mut slot = self.machine.borrow_mut();
        let mut machine = match slot.take() {
            Some(machine) => machine,
            None => self.load()?,
        };
        let result = change(&mut machine, now);
        let actions = machine.due(now);
        let changes = machine.take_changes();
        if let Err(error) = self.store()?.store(&machine, &changes, now.plus_millis(TOMBSTONE_MILLIS)) {
            // What is stored counts; what is under way already still reports to this instance.
            *slot = self.load().ok().map(|stored| stored.resume_work_of(machine, &actions));
            return Err(error);
        }
        let next_due = machine.next_due(now);
        *slot = Some(machine);
        drop(slot);
        for alert in changes.alerts {
            log::alert(alert);
        }
        for action in actions {
            self.start(action);
        }
        if let Some(at) = next_due {
            self.arm(at);
        }
        Ok(result)
    }

    fn load(&self) -> Outcome<Machine> {
        let deployment = self.deployment()?;
        let limits = DispatcherLimits {
            key_fingerprint: deployment.config.vendor_key.fingerprint(),
            outputs: OutputRule::for_upstream(deployment.config.upstream_url.as_str())
                .with_key_scan(deployment.key_scan.clone()),
            ..DispatcherLimits::new(&deployment.config.policy)
        };
        let machine = self.store()?.load(limits, platform::now())?;
        if machine.anomalies().unreadable > 0 {
            log::alert("row_unreadable");
        }
        Ok(machine)
    }

    fn arm(&self, at: UnixMillis) {
        let is_late = self.armed.get().is_some_and(|armed| platform::now().millis_since(armed) > ALARM_LATE_MILLIS);
        if is_late || self.armed.get().is_none_or(|armed| at < armed) {
            self.armed.set(Some(at));
            if let Ok(store) = &self.store {
                store.set_alarm(at);
            }
        }
    }

    fn start(self: &Rc<Self>, action: Action) {
        let this = Rc::clone(self);
        self.state.wait_until(async move {
            if this.carry_out(action).await.is_err() {
                log::alert("dispatcher_failed");
            }
        });
    }

    async fn carry_out(self: &Rc<Self>, action: Action) -> Outcome<()> {
        match action {
            Action::Submit { spec } => self.submit(&spec).await,
            Action::Poll { job_id, vendor_id, vendor_key_fingerprint } => {
                let reply =
                    self.send(|base| request::status(base, &vendor_id), vendor_key_fingerprint.as_deref()).await?;
                self.turn(|machine, now| machine.finish_poll(&job_id, &reply, now))
            }
            Action::Cancel { job_id, vendor_id, vendor_key_fingerprint } => {
                let reply =
                    self.send(|base| request::cancel(base, &vendor_id), vendor_key_fingerprint.as_deref()).await?;
                self.turn(|machine, now| machine.finish_cancel(&job_id, &reply, now))
            }
            Action::Deliver(delivery) => self.deliver(&delivery).await,
            Action::FetchModels => {
                let models = match self.send(request::models, None).await? {
                    VendorReply::Response(response) if response.status == 200 => {
                        response.body.as_deref().and_then(read_models)
                    }
                    _ => None,
                };
                self.turn(|machine, now| machine.finish_models(models, now))
            }
        }
    }

    async fn send(&self, make: impl FnOnce(&str) -> request::VendorRequest, key: Option<&str>) -> Outcome<VendorReply> {
        let deployment = self.deployment()?;
        let request = make(deployment.config.upstream_url.as_str());
        Ok(platform::fetch_vendor(&request, deployment.key(key)).await)
    }

    async fn submit(self: &Rc<Self>, spec: &JobSpec) -> Outcome<()> {
        let deployment = self.deployment()?;
        let webhook = deployment.config.public_url.as_deref().map(|public_url| {
            let capability = webhook::capability(&spec.job_id, &deployment.config.vendor_key);
            format!("{public_url}/hooks/{capability}")
        });
        let reply = self.send(|base| request::create(base, spec, webhook.as_deref()), None).await?;
        let outcome = self.turn(|machine, now| machine.finish_submit(&spec.job_id, &reply, now))?;
        let mut outcomes = self.outcomes.borrow_mut();
        while outcomes.len() >= OUTCOMES_KEPT {
            outcomes.pop_first();
        }
        outcomes.insert(spec.job_id.clone(), outcome);
        Ok(())
    }

    /// Tells a Ledger, then the edges that wait for these predictions: what they read next is what they were told.
    async fn deliver(self: &Rc<Self>, delivery: &Delivery) -> Outcome<()> {
        let message =
            LedgerCall { caller: None, request: LedgerRequest::JobUpdates { updates: delivery.updates.clone() } };
        let message = client::message(&message, true)?;
        let namespace = ledgers(&self.env)?;
        let answer =
            platform::call_object(&namespace, delivery.user.as_str(), &message, DELIVERY_MAX_MILLIS / 10).await;
        let is_done = matches!(answer, Ok(LedgerEnvelope { reply: LedgerReply::Done, .. }));
        let told = self.turn(|machine, now| {
            if is_done {
                machine.finish_delivery(&delivery.user, &delivery.updates);
            } else {
                machine.retry_delivery(&delivery.user, &delivery.updates, now);
            }
        });
        for update in &delivery.updates {
            self.wake_waiters(&update.job_id);
        }
        told
    }

    fn wake_waiters(&self, job_id: &JobId) {
        let known = self.outcomes.borrow().get(job_id).copied();
        let state = self.machine.borrow().as_ref().and_then(|machine| machine.job(job_id).map(|job| job.state));
        let outcome = match (known, state) {
            (Some(outcome), _) => outcome,
            (None, Some(JobState::Submitting)) => return,
            // Its answer came to an instance that is gone.
            (None, Some(JobState::Unknown)) => CreateOutcome::TimedOut,
            (None, _) => CreateOutcome::Pending,
        };
        for waiter in self.waiters.borrow_mut().remove(job_id).unwrap_or_default() {
            // An edge that has gone away does not matter.
            let _ = waiter.send(outcome);
        }
    }

    /// The vendor's answer to a create: at once if it is known and its Ledger has heard of it, else when it is.
    async fn outcome(self: &Rc<Self>, job_id: &JobId) -> Outcome<DispatcherReply> {
        let (is_open, is_unheard) =
            self.turn(|machine, _| (machine.is_submitting(job_id), machine.outbox_row(job_id).is_some()))?;
        let known = self.outcomes.borrow().get(job_id).copied();
        let outcome = match known {
            Some(outcome) if !is_unheard => outcome,
            None if !is_open && !is_unheard => CreateOutcome::Pending,
            _ => {
                let (sender, receiver) = oneshot::channel();
                self.waiters.borrow_mut().entry(job_id.clone()).or_default().push(sender);
                receiver.await.unwrap_or(CreateOutcome::Pending)
            }
        };
        Ok(DispatcherReply::Outcome(outcome))
    }
}
