//! Proofs of possession: each may be used once (RFC 9449 section 11.1).

use super::marks;
use super::rows::{RowError, Write};
use super::turn::Turn;
use crate::constants::{CLOCK_TOLERANCE_MILLIS, PROOF_SWEEP_MILLIS};
use crate::messages::ProofUse;
use crate::types::ids::RequestId;
use crate::types::time::UnixMillis;

/// The answer to whether a proof may be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProofCheck {
    /// It was not used before.
    New,
    /// The same request has used it: its message arrived twice.
    SameRequest,
    /// It was used before, or is so old that its mark may have been deleted.
    Used,
}

impl Turn<'_> {
    /// Looks for the mark of a proof.
    pub(super) fn check_proof(&self, proof: &ProofUse) -> Result<ProofCheck, RowError> {
        if self.now >= mark_expires_at(proof) {
            return Ok(ProofCheck::Used);
        }
        Ok(match self.mark::<RequestId>(&marks::proof(&proof.id))? {
            None => ProofCheck::New,
            Some(used_by) if used_by == proof.request => ProofCheck::SameRequest,
            Some(_) => ProofCheck::Used,
        })
    }

    /// Marks a new proof as used: a durable write, so that no restart makes the proof new again.
    pub(super) fn mark_proof(&mut self, proof: &ProofUse) -> Result<(), RowError> {
        self.write_mark(marks::proof(&proof.id), &proof.request, mark_expires_at(proof))?;
        if self.now.millis_since(self.ledger.proofs_swept_at) >= PROOF_SWEEP_MILLIS {
            self.ledger.proofs_swept_at = self.now;
            self.write(Write::DeleteShortLivedMarks { prefix: marks::PROOFS, by: self.now });
        }
        self.wake_if_new()
    }
}

/// Returns when the mark of a proof is deleted. From then on the Ledger cannot know whether the proof was used.
const fn mark_expires_at(proof: &ProofUse) -> UnixMillis {
    proof.expires_at.millis().plus_millis(CLOCK_TOLERANCE_MILLIS)
}
