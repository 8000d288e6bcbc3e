//! Proofs of possession: each may be used once (RFC 9449 section 11.1).

use serde_json::json;

use super::actor::LedgerActor;
use super::marks;
use super::writes::Write;
use crate::cloudflare::objects::handle::ActorResult;
use crate::constants::{CLOCK_TOLERANCE_MILLIS, PROOF_SWEEP_MILLIS};
use crate::messages::{Caller, LedgerRefusal, ProofUse};
use crate::types::ids::RequestId;
use crate::types::time::UnixMillis;

impl LedgerActor {
    /// Marks the caller's proof of possession as used, if there is one. Returns the refusal:
    ///
    /// - `RateLimited` if no request of the minute is left: a flood of requests writes no rows. A request that
    ///   `may_be_replay` is not refused for that, since a replay must find the predictions of its create.
    /// - `ProofUsed` if the proof was used before, or is too old to tell.
    pub(super) fn use_proof_of(
        &self,
        caller: &Caller,
        may_be_replay: bool,
        now: UnixMillis,
    ) -> ActorResult<Option<LedgerRefusal>> {
        let Some(proof) = &caller.proof else { return Ok(None) };
        let limit = caller.requests_per_minute;
        let rate = limit.map(|limit| self.requests_left(limit, now)).transpose()?;
        if rate.is_some_and(|rate| rate.remaining == 0)
            && !may_be_replay
            && let Some(full) = self.count_request(limit, now)?
        {
            return Ok(Some(full));
        }
        Ok(if self.use_proof(proof, now)? { None } else { Some(LedgerRefusal::ProofUsed) })
    }

    /// Marks a proof as used. Returns whether it is new, or was used by this same request, whose message arrived twice.
    /// The mark of a new proof is a durable write, so that no restart makes the proof new again.
    fn use_proof(&self, proof: &ProofUse, now: UnixMillis) -> ActorResult<bool> {
        // The mark is deleted then. From then on the Ledger cannot know whether the proof was used.
        let expires_at = proof.expires_at.millis().plus_millis(CLOCK_TOLERANCE_MILLIS);
        if now >= expires_at {
            return Ok(false);
        }
        let name = marks::proof(&proof.id);
        if let Some(used_by) = self.store()?.mark::<RequestId>(&name, now)? {
            return Ok(used_by == proof.request);
        }
        let mut writes = vec![Write::Mark(name, json!(proof.request), expires_at)];
        if now.millis_since(self.proofs_swept_at.get()) >= PROOF_SWEEP_MILLIS {
            self.proofs_swept_at.set(now);
            writes.push(Write::DeleteExpiredMarks(marks::PROOFS, now));
        }
        self.store_and_arm_if_new(&writes, now)?;
        Ok(true)
    }
}
