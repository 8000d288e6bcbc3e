//! The actions of a turn: vendor requests, and deliveries to Ledgers. Each runs under the object's own `wait_until`, so
//! that no request and no alarm awaits it, and reports its result in a turn of its own.

use std::rc::Rc;

use super::actor::DispatcherActor;
use super::outcomes::Outcome;
use crate::cloudflare::objects::client;
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::objects::namespaces::ledgers;
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::{vendor_http, webhook_http};
use crate::constants::{DELIVERY_MAX_MILLIS, VENDOR_BODY_MAX_BYTES, VENDOR_POLL_BODY_MAX_BYTES};
use crate::dispatcher::{Action, Delivery, Dispatcher, JobState, JobTerms};
use crate::messages::{CreateOutcome, LedgerCall, LedgerEnvelope, LedgerReply, LedgerRequest};
use crate::types::alert::Alert;
use crate::types::ids::JobId;
use crate::types::time::UnixMillis;
use crate::vendor::reply::{VendorReply, read_models};
use crate::vendor::{request, webhook};

impl DispatcherActor {
    /// Starts an action whose turn is stored. It ends when what it reported is durable: the platform may end an object that
    /// has nothing in flight, with what is not.
    pub(super) fn start(self: &Rc<Self>, action: Action) {
        let this = Rc::clone(self);
        self.state.wait_until(async move {
            if this.carry_out(action).await.is_err() {
                alerts::raise(Alert::DispatcherFailed);
            }
            if let Ok(store) = this.store() {
                let _ = store.sql().flush().await;
            }
        });
    }

    async fn carry_out(self: &Rc<Self>, action: Action) -> ActorResult<()> {
        match action {
            Action::Submit { spec } => self.submit(&spec).await,
            Action::Poll { job_id, vendor_id, vendor_key_fingerprint } => {
                let make = |base: &str| request::status(base, &vendor_id);
                let reply = self.send(make, vendor_key_fingerprint.as_deref(), VENDOR_POLL_BODY_MAX_BYTES).await?;
                self.turn(|machine, now| machine.finish_poll(&job_id, &reply, now))
            }
            Action::Cancel { job_id, vendor_id, vendor_key_fingerprint } => {
                let make = |base: &str| request::cancel(base, &vendor_id);
                let reply = self.send(make, vendor_key_fingerprint.as_deref(), VENDOR_BODY_MAX_BYTES).await?;
                self.turn(|machine, now| machine.finish_cancel(&job_id, &reply, now))
            }
            Action::Deliver(delivery) => self.deliver(&delivery).await,
            Action::DeleteFile { vendor_id } => {
                let make = |base: &str| request::delete_file(base, &vendor_id);
                let key = self.key_of_creates();
                let reply = self.send(make, key.as_deref(), VENDOR_BODY_MAX_BYTES).await?;
                self.turn(|machine, now| machine.finish_file_deletion(&vendor_id, &reply, now))
            }
            Action::CheckKey { vendor_key_fingerprint: key } => {
                let reply = self.send(request::account, Some(&key), VENDOR_BODY_MAX_BYTES).await?;
                self.turn(|machine, now| machine.finish_key_check(&key, &reply, now))
            }
            Action::SendAlert(notification) => {
                let deployment = self.deployment()?;
                let is_delivered = match &deployment.config.alert_receiver {
                    Some(receiver) => webhook_http::post(receiver, &notification).await,
                    None => false,
                };
                self.turn(|machine, now| machine.finish_alert(&notification.id, is_delivered, now))
            }
            Action::FetchModels => {
                let key = self.key_of_creates();
                let reply = self.send(request::models, key.as_deref(), VENDOR_BODY_MAX_BYTES).await?;
                if reply.is_too_large() {
                    alerts::raise(Alert::VendorAnswerTooLarge);
                }
                let models = read_models(&reply);
                self.turn(|machine, now| machine.finish_models(models, now))
            }
        }
    }

    /// Returns the fingerprint of the vendor key that creates use.
    fn key_of_creates(&self) -> Option<String> {
        self.with_machine(|machine| machine.key_of_creates().to_owned())
    }

    /// Sends a vendor request, with the vendor key of this fingerprint while a secret holds it, else with the current
    /// one. Reads at most `max_bytes` of the response's body.
    async fn send(
        &self,
        make: impl FnOnce(&str) -> request::VendorRequest,
        vendor_key_fingerprint: Option<&str>,
        max_bytes: usize,
    ) -> ActorResult<VendorReply> {
        let deployment = self.deployment()?;
        let request = make(deployment.config.upstream_url.as_str());
        Ok(vendor_http::fetch_vendor(&request, deployment.key(vendor_key_fingerprint), max_bytes).await)
    }

    /// Sends a create with its stored input, and keeps its outcome for the edge.
    async fn submit(self: &Rc<Self>, spec: &JobTerms) -> ActorResult<()> {
        let read = |machine: &Dispatcher| {
            let key = machine.job(&spec.job_id).and_then(|job| job.vendor_key_fingerprint.clone());
            (machine.unstored_input(&spec.job_id).map(str::to_owned), key)
        };
        let (unstored, key) = self.with_machine(read).unwrap_or_default();
        let input = match unstored {
            Some(input) => Some(input),
            None => self.store()?.input(&spec.job_id).ok().flatten(),
        };
        let Some(input) = input else {
            return self.conclude(&spec.job_id, |machine, now| machine.reject_unsent(&spec.job_id, now));
        };
        let deployment = self.deployment()?;
        let webhook = deployment.config.public_url.as_deref().map(|public_url| {
            // Made with the key of the create, so that it stays valid when the other key is gone.
            let capability = webhook::capability(&spec.job_id, deployment.key(key.as_deref()));
            format!("{public_url}/hooks/{capability}")
        });
        let make = |base: &str| request::create(base, &spec.model, spec.image_count, &input, webhook.as_deref());
        let reply = self.send(make, key.as_deref(), VENDOR_BODY_MAX_BYTES).await?;
        self.conclude(&spec.job_id, |machine, now| machine.finish_submit(&spec.job_id, &reply, now))
    }

    /// Reports what became of a create, keeps its outcome for the edge, and wakes the requests that await it.
    fn conclude(
        self: &Rc<Self>,
        job_id: &JobId,
        finish: impl FnOnce(&mut Dispatcher, UnixMillis) -> CreateOutcome,
    ) -> ActorResult<()> {
        let concluded = self.turn(|machine, now| {
            let outcome = finish(machine, now);
            Outcome { outcome, update: machine.latest_update(job_id, now) }
        })?;
        self.outcomes.keep(job_id, concluded);
        self.wake_waiters(job_id);
        Ok(())
    }

    /// Delivers job updates to a Ledger, then wakes the requests that await the outcomes of these predictions.
    async fn deliver(self: &Rc<Self>, delivery: &Delivery) -> ActorResult<()> {
        let call =
            LedgerCall { caller: None, request: LedgerRequest::JobUpdates { updates: delivery.updates.clone() } };
        let message = client::encode_message(&call, true)?;
        let namespace = ledgers(&self.env)?;
        let reply = client::call_object(&namespace, delivery.user.as_str(), &message, DELIVERY_MAX_MILLIS / 10).await;
        let is_acknowledged = matches!(reply, Ok(LedgerEnvelope { reply: LedgerReply::Done, .. }));
        let reported = self.turn(|machine, now| {
            if is_acknowledged {
                machine.finish_delivery(&delivery.user, &delivery.updates);
            } else {
                machine.retry_delivery(&delivery.user, &delivery.updates, now);
            }
        });
        for update in &delivery.updates {
            self.wake_waiters(&update.job_id);
        }
        reported
    }

    /// Wakes the requests that await the outcome of a create, unless it is still in flight to the vendor, or the Ledger
    /// has not acknowledged an update of the job: a later read would go back behind the outcome.
    fn wake_waiters(&self, job_id: &JobId) {
        let read =
            |machine: &Dispatcher| (machine.job(job_id).map(|job| job.state), machine.outbox_row(job_id).is_some());
        let Some((state, false)) = self.with_machine(read) else { return };
        let outcome = match (self.outcomes.get(job_id), state) {
            (Some(outcome), _) => outcome,
            (None, Some(JobState::Submitting)) => return,
            // The actor that sent the create is gone, and the vendor's response with it.
            (None, Some(JobState::Unknown)) => CreateOutcome::TimedOut.into(),
            (None, _) => CreateOutcome::Pending.into(),
        };
        self.outcomes.wake(job_id, &outcome);
    }
}
