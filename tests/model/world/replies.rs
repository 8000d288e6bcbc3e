//! The replies that senders of messages get, and the checks of what these promise.

use valetkey::dispatcher::{Job, JobState};
use valetkey::messages::{LedgerRefusal, LedgerReply, LedgerRequest, UserOperation};
use valetkey::types::ids::{JobId, UserKey};
use valetkey::types::prediction::PredictionRecord;
use valetkey::types::time::UnixMillis;

use super::World;
use super::flight::Chain;

impl World {
    /// Checks that no prediction is undone that the vendor has.
    pub(super) fn check_undone(&mut self, user: &UserKey) {
        for job_id in &self.ledgers[user].undone {
            assert_eq!(self.taken.get(job_id), None, "undone and sent");
        }
    }

    /// Checks and notes what the sender of a message learns. `reply` is `None` after a failure: 503.
    pub(super) fn note_end(&mut self, chain: &Chain, reply: Option<&LedgerReply>) {
        let Some(call) = &chain.call else { return };
        if let Some(caller) = &call.caller {
            let jti = caller.jti.clone().unwrap_or_default();
            let revoked_at = self.revoked.get(&(chain.user.clone(), jti)).copied();
            let is_served = is_served(reply);
            if let (Some(proof), true) = (&caller.proof, is_served) {
                let first = self.proofs.entry((chain.user.clone(), proof.id.clone())).or_insert(proof.request.clone());
                assert_eq!(*first, proof.request, "a proof was used twice");
            }
            // An instance that has been replaced may not know yet.
            let is_present = chain.instance == self.ledgers[&chain.user].instance;
            let is_revoked = chain.revoked_before.is_some_and(|time| caller.issued_at <= time);
            assert!(!is_served || !is_present || !is_revoked, "a token of all that were revoked was served");
            assert!(
                !is_served || !is_present || revoked_at.is_none_or(|at| at > chain.started),
                "a revoked token was served"
            );
            if is_served && !matches!(call.request, LedgerRequest::Create(_)) {
                self.served.entry(chain.user.clone()).or_default().push(chain.started);
            }
        }
        let is_erasure = matches!(call.request, LedgerRequest::Operate(UserOperation::Erase { .. }));
        if is_erasure && reply == Some(&LedgerReply::Done) {
            self.check_erased(&chain.user, chain.started);
        }
        if let (LedgerRequest::Withdraw { job_ids }, Some(LedgerReply::Done)) = (&call.request, reply) {
            // While the Dispatcher has not replied, the predictions stay, and may go on after all (protocol 1).
            let rows = &self.ledgers[&chain.user].rows;
            for job_id in job_ids.iter().filter(|job_id| rows.record(job_id).is_none()) {
                self.gone.insert(job_id.clone(), self.taken.get(job_id).copied().unwrap_or(0));
            }
        }
    }

    /// Checks that nothing of a deleted user is left, but for what the user has created since.
    fn check_erased(&self, user: &UserKey, started: UnixMillis) {
        let is_old = |job_id: &JobId| job_id.created_at() <= started;
        let rows = &self.ledgers[user].rows;
        let is_left = |record: &&PredictionRecord| {
            !record.is_erased && is_old(&record.job_id) && !rows.unreadable.contains(&record.job_id)
        };
        let left = rows.records().find(is_left);
        assert_eq!(left, None, "left of a deleted user");
        assert!(rows.records().filter(|record| record.is_erased).all(|record| record.output.is_empty()));
        let of_user = |(job_id, job): &(&JobId, &Job)| job.user == *user && is_old(job_id);
        for (job_id, job) in self.dispatcher.jobs.iter().filter(of_user) {
            // Rows that cannot be read are not changed, here or in the Ledger.
            if self.dispatcher.was_ever_hidden(job_id) || rows.unreadable.contains(job_id) {
                continue;
            }
            assert!(job.is_user_deleted && job.state != JobState::Waiting, "{job_id} of a deleted user goes on");
        }
    }
}

/// Returns whether a caller got past authorization and the limit of requests, as far as the reply shows that.
fn is_served(reply: Option<&LedgerReply>) -> bool {
    use LedgerRefusal::{ProofUsed, RateLimited, Revoked, Unavailable};
    !matches!(reply, None | Some(LedgerReply::Refused(Revoked | ProofUsed | RateLimited { .. } | Unavailable)))
}
