//! Handles a request to the Dispatcher, in one turn of the machine; an enqueue takes two. Only `Outcome` awaits
//! anything.

use std::rc::Rc;

use super::actor::DispatcherActor;
use super::outcomes::Outcome;
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::platform;
use crate::dispatcher::Dispatcher as Machine;
use crate::messages::{CreateOutcome, Deadline, DispatcherReply, DispatcherRequest, JobSpec, QueueShare};
use crate::types::ids::{JobId, UserKey};
use crate::types::time::UnixSeconds;

impl DispatcherActor {
    /// Handles a message.
    pub(super) async fn answer(self: &Rc<Self>, request: DispatcherRequest) -> ActorResult<DispatcherReply> {
        match request {
            DispatcherRequest::Enqueue { user, specs, share, deadline, issued_at } => {
                self.enqueue(&user, specs, &share, deadline, issued_at)
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
            DispatcherRequest::Outcome { job_id, with_update } => {
                let Outcome { outcome, update } = self.await_outcome(&job_id).await?;
                Ok(match with_update {
                    true => DispatcherReply::OutcomeWithUpdate { outcome, update: update.map(Box::new) },
                    false => DispatcherReply::Outcome(outcome),
                })
            }
            DispatcherRequest::Webhook { job_id } => self.turn(|machine, now| {
                machine.receive_webhook(&job_id, now);
                DispatcherReply::Done
            }),
            DispatcherRequest::Permit { job_id, user, weight } => {
                self.turn(|machine, now| machine.grant_permit(job_id.as_ref(), user, weight.unwrap_or(1), now))
            }
            DispatcherRequest::DeleteFiles { vendor_ids } => self.turn(|machine, _| machine.delete_files(vendor_ids)),
            DispatcherRequest::Alerts { alerts } => self.turn(|machine, now| {
                machine.take_over_alerts(&alerts, now);
                DispatcherReply::Done
            }),
            // Every turn looks for due work.
            DispatcherRequest::Tick => {
                self.store()?.prune_actions(platform::now())?;
                self.turn(|machine, _| {
                    machine.prune_spend();
                    DispatcherReply::Done
                })
            }
            DispatcherRequest::Models => self.turn(|machine, _| {
                machine.request_models();
                DispatcherReply::Models(machine.models().map(<[_]>::to_vec))
            }),
            DispatcherRequest::RevokeAll { issued_by } => self.turn(|machine, _| {
                machine.revoke_all(issued_by);
                DispatcherReply::Done
            }),
            DispatcherRequest::Revoked => self.turn(|machine, _| DispatcherReply::Revoked(machine.revoked_before())),
            DispatcherRequest::Operator(request) => {
                self.answer_operator(*request).map(|reply| DispatcherReply::Operator(Box::new(reply)))
            }
        }
    }

    fn enqueue(
        self: &Rc<Self>,
        user: &UserKey,
        specs: Vec<JobSpec>,
        share: &QueueShare,
        deadline: Deadline,
        issued_at: Option<UnixSeconds>,
    ) -> ActorResult<DispatcherReply> {
        let job_ids: Vec<JobId> = specs.iter().map(|spec| spec.job_id.clone()).collect();
        let has_tombstone = self.store()?.has_tombstone(&job_ids)?;
        let enqueued = self.turn(|machine: &mut Machine, now| {
            machine.check_revoked(&specs, issued_at)?;
            machine.enqueue(user, specs, share, deadline, has_tombstone, now)
        })?;
        match enqueued {
            // That turn may have started some of them. A second turn reports their present state.
            Ok(()) => self.turn(|machine, now| machine.report_jobs(&job_ids, now)),
            Err(refusal) => Ok(DispatcherReply::Refused(refusal)),
        }
    }

    /// Returns the outcome of a create: at once if it is known and the Ledger has acknowledged the job's updates, else
    /// when that has happened. So no later read of the Ledger goes back.
    async fn await_outcome(self: &Rc<Self>, job_id: &JobId) -> ActorResult<Outcome> {
        let (is_submitting, is_undelivered) =
            self.turn(|machine, _| (machine.is_submitting(job_id), machine.outbox_row(job_id).is_some()))?;
        Ok(match self.outcomes.get(job_id) {
            Some(outcome) if !is_undelivered => outcome,
            None if !is_submitting && !is_undelivered => CreateOutcome::Pending.into(),
            _ => self.outcomes.wait(job_id).await.unwrap_or(CreateOutcome::Pending.into()),
        })
    }
}
