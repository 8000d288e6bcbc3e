//! Handles a request of the operator's API.

use std::rc::Rc;

use super::actor::DispatcherActor;
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::platform;
use crate::messages::{OperatorReply, OperatorRequest};

impl DispatcherActor {
    /// Handles a request of the operator's API. The platform sends the reply when everything that was written is durable.
    pub(super) fn answer_operator(self: &Rc<Self>, request: OperatorRequest) -> ActorResult<OperatorReply> {
        let store = self.store()?;
        Ok(match request {
            OperatorRequest::BeginAction(entry) => {
                store.begin_action(&entry, platform::now())?;
                OperatorReply::Done
            }
            OperatorRequest::FinishAction { request_id, result } => {
                store.finish_action(&request_id, result)?;
                OperatorReply::Done
            }
            OperatorRequest::Audit { before, limit } => OperatorReply::Audit(store.actions(before, limit)?),
        })
    }
}
