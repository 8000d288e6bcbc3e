//! Handles a request to a Ledger: authorizes it, counts it, and replies.

use std::rc::Rc;

use super::actor::LedgerActor;
use super::writes::Write;
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::platform;
use crate::messages::{Caller, LedgerCall, LedgerEnvelope, LedgerRefusal, LedgerReply, LedgerRequest};
use crate::types::time::UnixMillis;

impl LedgerActor {
    /// Handles a message. The reply comes with the caller's rate-limit numbers.
    pub(super) async fn answer(self: &Rc<Self>, call: LedgerCall) -> ActorResult<LedgerEnvelope> {
        let now = platform::now();
        let limit = request_limit(call.caller.as_ref());
        let reply = self.authorize_and_handle(call, now).await?;
        // A revoked token or a used proof gets the same response as any invalid token: without rate-limit headers.
        let is_unauthorized = matches!(reply, LedgerReply::Refused(LedgerRefusal::Revoked | LedgerRefusal::ProofUsed));
        let limit = limit.filter(|_| !is_unauthorized);
        Ok(LedgerEnvelope { rate: limit.map(|limit| self.requests_left(limit, now)).transpose()?, reply })
    }

    /// Authorizes, counts and handles a request. A message without a caller skips steps 2, 3, 4 and 6.
    ///
    /// 1. Arm the alarm again if it was lost. Never refuses.
    /// 2. Check that the token is not known to be revoked: `Revoked` (401). This comes before the request is counted,
    ///    so that a revoked token does not use up its owner's requests. It does not ask the Dispatcher.
    /// 3. Mark the proof of possession as used: `RateLimited` (429), `ProofUsed` (401).
    /// 4. Check that no revocation of all users' tokens covers the token: `Revoked` (401), `Unavailable` (503). Ask the
    ///    Dispatcher if its last reply is too old.
    /// 5. A create has [steps of its own](LedgerActor::create), because it looks for its idempotency key before it is
    ///    counted.
    /// 6. Count the request in the minute: `RateLimited` (429).
    /// 7. Handle the request. The handler has refusals of its own.
    async fn authorize_and_handle(self: &Rc<Self>, call: LedgerCall, now: UnixMillis) -> ActorResult<LedgerReply> {
        let LedgerCall { caller, request } = call;
        let limit = request_limit(caller.as_ref());
        // 1. A lost alarm.
        self.catch_up(now)?;
        if let Some(caller) = &caller {
            // 2. Known revocations.
            if self.is_known_revoked(caller, now)? {
                return Ok(LedgerReply::Refused(LedgerRefusal::Revoked));
            }
            // 3. The proof of possession.
            if let Some(refusal) = self.use_proof_of(caller, is_replayable(&request), now)? {
                return Ok(LedgerReply::Refused(refusal));
            }
            // 4. Revocation of all users' tokens.
            if let Some(refusal) = self.check_revoked_for_all(caller, now).await {
                return Ok(LedgerReply::Refused(refusal));
            }
        }
        // 5. A create.
        let request = match request {
            LedgerRequest::Create(request) => return self.create(*request, caller.as_ref(), now).await,
            request => request,
        };
        // 6. The minute.
        if let Some(refusal) = self.count_request(limit, now)? {
            return Ok(LedgerReply::Refused(refusal));
        }
        // 7. The request.
        self.handle(request, now).await
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
            LedgerRequest::PutFile { file } => self.store()?.store(&[Write::File(&file)]).map(|()| LedgerReply::Done),
            LedgerRequest::GetFile { file_id } => self.get_file(&file_id),
            LedgerRequest::ListFiles { limit, before } => self.list_files(limit, before.as_ref()),
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

/// Returns the requests per minute that the request counts against.
fn request_limit(caller: Option<&Caller>) -> Option<u32> {
    caller.and_then(|caller| caller.requests_per_minute)
}

/// Returns whether the request may be the replay of an idempotency key.
fn is_replayable(request: &LedgerRequest) -> bool {
    matches!(request, LedgerRequest::Create(request) if request.idempotency_key.is_some())
}
