//! Proofs of possession: each may be used once (RFC 9449 section 11.1).

use serde_json::json;

use super::actor::LedgerActor;
use super::marks;
use super::writes::Write;
use crate::cloudflare::objects::handle::ActorResult;
use crate::constants::{CLOCK_TOLERANCE_MILLIS, PROOF_SWEEP_MILLIS};
use crate::messages::ProofUse;
use crate::types::ids::RequestId;
use crate::types::time::UnixMillis;

/// Whether a proof may be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProofCheck {
    /// It was not used before.
    New,
    /// The same request has used it: its message arrived twice.
    SameRequest,
    /// It was used before, or is so old that its mark may have been deleted.
    Used,
}

impl LedgerActor {
    /// Looks for the mark of a proof.
    pub(super) fn check_proof(&self, proof: &ProofUse, now: UnixMillis) -> ActorResult<ProofCheck> {
        if now >= mark_expires_at(proof) {
            return Ok(ProofCheck::Used);
        }
        Ok(match self.store()?.mark::<RequestId>(&marks::proof(&proof.id), now)? {
            None => ProofCheck::New,
            Some(used_by) if used_by == proof.request => ProofCheck::SameRequest,
            Some(_) => ProofCheck::Used,
        })
    }

    /// Marks a new proof as used: a durable write, so that no restart makes the proof new again.
    pub(super) fn mark_proof(&self, proof: &ProofUse, now: UnixMillis) -> ActorResult<()> {
        let mut writes = vec![Write::Mark(marks::proof(&proof.id), json!(proof.request), mark_expires_at(proof))];
        if now.millis_since(self.proofs_swept_at.get()) >= PROOF_SWEEP_MILLIS {
            self.proofs_swept_at.set(now);
            writes.push(Write::DeleteExpiredMarks(marks::PROOFS, now));
        }
        self.store_and_arm_if_new(&writes, now)
    }
}

/// Returns when the mark of a proof is deleted. From then on the Ledger cannot know whether the proof was used.
const fn mark_expires_at(proof: &ProofUse) -> UnixMillis {
    proof.expires_at.millis().plus_millis(CLOCK_TOLERANCE_MILLIS)
}
