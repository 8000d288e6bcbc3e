//! Handles a request to a Ledger: authorizes it, counts it, and replies.

use std::rc::Rc;

use super::actor::LedgerActor;
use super::proofs::ProofCheck;
use super::writes::Write;
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::platform;
use crate::limit::minute_window::Counted;
use crate::messages::{Caller, LedgerCall, LedgerEnvelope, LedgerRefusal, LedgerReply, LedgerRequest};
use crate::types::time::UnixMillis;

impl LedgerActor {
    /// Handles a message. The reply comes with the caller's rate-limit numbers.
    pub(super) async fn answer(self: &Rc<Self>, call: LedgerCall) -> ActorResult<LedgerEnvelope> {
        let now = platform::now();
        let limit = call.caller.as_ref().and_then(|caller| caller.requests_per_minute);
        let (counted, reply) = self.authorize_and_handle(call, now).await?;
        // The headers show the requests that are left; after a refused repeat, its own limit.
        let shown = match reply {
            // A revoked token or a used proof gets the same response as any invalid token: without rate-limit headers.
            LedgerReply::Refused(LedgerRefusal::Revoked | LedgerRefusal::ProofUsed) => None,
            LedgerReply::Refused(LedgerRefusal::RateLimited { .. }) => counted,
            _ => Some(Counted::Request),
        };
        let rate = shown.zip(limit).map(|(counted, limit)| self.rate(counted, limit, now)).transpose()?;
        Ok(LedgerEnvelope { rate, reply })
    }

    /// Authorizes, counts and handles a request. A message without a caller skips steps 2, 3 and 4.
    ///
    /// 1. Arm the alarm again if it was lost. Never refuses.
    /// 2. Check that the token is not known as revoked: `Revoked` (401). Uncounted, so that a revoked token does not use
    ///    up its owner's requests. A revocation that left predictions waiting may be repeated.
    /// 3. Count the request, and mark its proof of possession as used: `ProofUsed` (401), `RateLimited` (429).
    /// 4. Check that the tokens of all users are not revoked: `Revoked` (401), `Unavailable` (503). This may ask the
    ///    Dispatcher, which serves everybody, so it comes after the request was counted. Of a create the Dispatcher
    ///    checks the token itself. A revocation is stored whatever the Dispatcher says.
    /// 5. Handle the request, with the refusals of its handler.
    ///
    /// Returns what the request counts as, too.
    async fn authorize_and_handle(
        self: &Rc<Self>,
        call: LedgerCall,
        now: UnixMillis,
    ) -> ActorResult<(Option<Counted>, LedgerReply)> {
        let LedgerCall { caller, request } = call;
        // 1. A lost alarm.
        self.catch_up(now)?;
        let mut counted = None;
        if let Some(caller) = &caller {
            // 2. Revocation, as far as it is known.
            if self.is_known_revoked(caller, now)? && !self.has_waiting_to_cancel(&request)? {
                return Ok((None, LedgerReply::Refused(LedgerRefusal::Revoked)));
            }
            // 3. The minute, and the proof of possession.
            counted = self.choose_limit(caller, &request, now)?;
            if let Some(refusal) = self.count_and_use_proof(caller, counted, now)? {
                return Ok((counted, LedgerReply::Refused(refusal)));
            }
        }
        // 4. Revocation of all users' tokens.
        if !matches!(request, LedgerRequest::Create(_) | LedgerRequest::Revoke(_))
            && let Some(refusal) = self.check_revoked_for_all(caller.as_ref(), now).await
        {
            return Ok((counted, LedgerReply::Refused(refusal)));
        }
        // 5. The request.
        let reply = match request {
            LedgerRequest::Create(request) => self.create(*request, caller.as_ref(), now).await?,
            request => self.handle(request, now).await?,
        };
        Ok((counted, reply))
    }

    /// Returns what the request counts as, or `None` if it is not counted: it was counted before.
    fn choose_limit(&self, caller: &Caller, request: &LedgerRequest, now: UnixMillis) -> ActorResult<Option<Counted>> {
        if caller.requests_per_minute.is_none() {
            return Ok(None);
        }
        let is_repeat = match request {
            LedgerRequest::Revoke(_) => return Ok(Some(Counted::Revocation)),
            LedgerRequest::Create(request) if self.arrived_before(request, now)? => return Ok(None),
            LedgerRequest::Create(request) => caller.is_repeat || self.is_key_known(request, now)?,
            _ => caller.is_repeat,
        };
        Ok(Some(if is_repeat { Counted::Repeat } else { Counted::Request }))
    }

    /// Counts a request and marks its proof of possession as used. Returns the refusal:
    ///
    /// - `ProofUsed` if the proof was used before, or is too old to tell. Then the request is not counted.
    /// - `RateLimited` if the limit is reached. Then the proof is not used up, and no row is written.
    fn count_and_use_proof(
        &self,
        caller: &Caller,
        counted: Option<Counted>,
        now: UnixMillis,
    ) -> ActorResult<Option<LedgerRefusal>> {
        let use_of_proof = caller.proof.as_ref().map(|proof| self.check_proof(proof, now)).transpose()?;
        if use_of_proof == Some(ProofCheck::Used) {
            return Ok(Some(LedgerRefusal::ProofUsed));
        }
        if let (Some(counted), Some(limit)) = (counted, caller.requests_per_minute)
            && let Some(refusal) = self.count_request(counted, limit, now)?
        {
            return Ok(Some(refusal));
        }
        if let (Some(proof), Some(ProofCheck::New)) = (&caller.proof, use_of_proof) {
            self.mark_proof(proof, now)?;
        }
        Ok(None)
    }

    async fn handle(self: &Rc<Self>, request: LedgerRequest, now: UnixMillis) -> ActorResult<LedgerReply> {
        match request {
            LedgerRequest::Get { job_id } => self.get(&job_id, now).await,
            LedgerRequest::GetBatch { batch_id } => self.get_batch(&batch_id, now).await,
            LedgerRequest::List { limit, before, status } => self.list(limit, before.as_ref(), status, now).await,
            LedgerRequest::Cancel { job_id } => self.cancel(&job_id, now).await,
            LedgerRequest::Delete { job_id } => self.delete(&job_id),
            LedgerRequest::Account { predictions_per_minute } => self.account(predictions_per_minute, now),
            LedgerRequest::Watch { job_id, stream } => self.watch(&job_id, &stream, now).await,
            LedgerRequest::Unwatch { stream, unopened } => {
                self.streams.borrow_mut().close(&stream, unopened);
                Ok(LedgerReply::Done)
            }
            LedgerRequest::ReserveFile { upload, bytes, limits } => self.reserve_file(&upload, bytes, limits, now),
            LedgerRequest::ReleaseFile { upload } => self.release_file(&upload),
            LedgerRequest::PutFile { file, upload } => self.put_file(&file, upload.as_ref()),
            LedgerRequest::GetFile { file_id } => self.get_file(&file_id, now.utc_day()),
            LedgerRequest::ListFiles { limit, before } => self.list_files(limit, before.as_ref(), now.utc_day()),
            LedgerRequest::DeleteFile { file_id } => {
                self.store()?.store(&[Write::DeleteFile(&file_id)]).map(|()| LedgerReply::Done)
            }
            LedgerRequest::Withdraw { job_ids } => self.withdraw_and_report(&job_ids, now).await,
            LedgerRequest::JobUpdates { updates } => self.apply_updates(&updates, now).map(|()| LedgerReply::Done),
            LedgerRequest::Revoke(revocation) => self.revoke(revocation, now).await,
            // A check is complete once the request is authorized and counted. A create never comes here.
            LedgerRequest::Check | LedgerRequest::Create(_) => Ok(LedgerReply::Done),
        }
    }
}
