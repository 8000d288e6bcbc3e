//! Cancellation and deletion of a prediction.

use super::actor::LedgerActor;
use super::writes::Write;
use crate::cloudflare::objects::client::ask_dispatcher;
use crate::cloudflare::objects::handle::ActorResult;
use crate::constants::DISPATCHER_ACK_TIMEOUT_MILLIS;
use crate::messages::{DispatcherReply, DispatcherRequest, LedgerRefusal, LedgerReply};
use crate::types::ids::JobId;
use crate::types::time::UnixMillis;

impl LedgerActor {
    /// Cancels a prediction, and returns it in its present state. The Dispatcher decides in which state that is
    /// (protocol 1): a running prediction ends only when the vendor says so. `Unavailable` (503) if the Dispatcher has
    /// not acknowledged the prediction yet, or does not reply.
    pub(super) async fn cancel(&self, job_id: &JobId, now: UnixMillis) -> ActorResult<LedgerReply> {
        let Some(record) = self.store()?.prediction(job_id)? else {
            return Ok(LedgerReply::Refused(LedgerRefusal::NotFound));
        };
        if !record.is_acknowledged() {
            return Ok(LedgerReply::Refused(LedgerRefusal::Unavailable));
        }
        if !record.status.is_terminal() {
            let request = DispatcherRequest::Cancel { job_id: job_id.clone() };
            match ask_dispatcher(&self.env, &request, DISPATCHER_ACK_TIMEOUT_MILLIS).await {
                // No update means that the prediction ended long ago. The Ledger's row has its end.
                Ok(DispatcherReply::Jobs(updates)) => self.apply_updates(&updates, now)?,
                Ok(_) | Err(_) => return Ok(LedgerReply::Refused(LedgerRefusal::Unavailable)),
            }
        }
        Ok(match self.store()?.prediction(job_id)? {
            Some(record) => LedgerReply::Prediction(Box::new(record)),
            None => LedgerReply::Refused(LedgerRefusal::NotFound),
        })
    }

    /// Deletes an ended prediction.
    pub(super) fn delete(&self, job_id: &JobId) -> ActorResult<LedgerReply> {
        let store = self.store()?;
        match store.prediction(job_id)? {
            None => Ok(LedgerReply::Refused(LedgerRefusal::NotFound)),
            Some(record) if !record.status.is_terminal() => Ok(LedgerReply::Refused(LedgerRefusal::NotEnded)),
            Some(_) => store.store(&[Write::DeletePrediction(job_id)]).map(|()| LedgerReply::Done),
        }
    }
}
