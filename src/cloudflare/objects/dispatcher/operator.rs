//! Handles a request of the operator's API.

use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::actor::DispatcherActor;
use super::{refusals, spend};
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::objects::migrations;
use crate::cloudflare::runtime::platform;
use crate::cloudflare::runtime::version::Version;
use crate::constants::{MILLIS_PER_SECOND, PAUSE_MAX_SECS};
use crate::dispatcher::{PauseRefusal, ReleaseRefusal};
use crate::messages::{OperatorRefusal, OperatorReply, OperatorRequest};

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
            OperatorRequest::State => OperatorReply::State(self.overview()?),
            OperatorRequest::Pause { id, model, for_secs, is_renewal } => {
                let millis = i64::from(for_secs.min(PAUSE_MAX_SECS)).saturating_mul(MILLIS_PER_SECOND);
                match self.turn(|machine, now| machine.pause(&id, model, millis, is_renewal, now))? {
                    Ok(ends_at) => OperatorReply::Paused { ends_at },
                    Err(PauseRefusal::Ended) => OperatorReply::Refused(OperatorRefusal::NotFound),
                    Err(PauseRefusal::TooMany { retry_after_secs }) => {
                        OperatorReply::Refused(OperatorRefusal::TooMany { retry_after_secs })
                    }
                }
            }
            OperatorRequest::Resume { id } => {
                self.turn(|machine, now| machine.resume(&id, now))?;
                OperatorReply::Done
            }
            OperatorRequest::ReleaseSlot { job_id } => {
                match self.turn(|machine, now| machine.release_slot(&job_id, now))? {
                    Ok(()) => OperatorReply::Done,
                    Err(ReleaseRefusal::NotFound) => OperatorReply::Refused(OperatorRefusal::NotFound),
                    Err(ReleaseRefusal::NotEnded) => OperatorReply::Refused(OperatorRefusal::NotEnded),
                }
            }
            OperatorRequest::CancelJobs { job_ids } => {
                let updates = self.turn(|machine, now| machine.cancel_all(&job_ids, now))?;
                OperatorReply::Jobs { updates, is_user_known: false }
            }
            OperatorRequest::ForgetUser { user, job_ids, by } => {
                let has_spend = spend::has_user(store.sql(), &user)?;
                let (updates, has_jobs) = self.turn(|machine, now| machine.forget_user(&user, &job_ids, by, now))?;
                OperatorReply::Jobs { updates, is_user_known: has_spend || has_jobs }
            }
            OperatorRequest::Inputs { job_ids } => {
                let mut inputs = Vec::new();
                for job_id in job_ids {
                    let input = store.input(&job_id)?;
                    inputs.extend(input.map(|input| (job_id, input)));
                }
                OperatorReply::Inputs(inputs)
            }
            OperatorRequest::Spend(query) => OperatorReply::Spend(spend::read(store.sql(), &query)?),
            OperatorRequest::CountRefusals(counts) => {
                refusals::count(store.sql(), &counts, platform::now().utc_day())?;
                OperatorReply::Done
            }
            OperatorRequest::Refusals { from, to } => OperatorReply::Refusals(refusals::read(store.sql(), from, to)?),
            OperatorRequest::Audit { before, limit } => OperatorReply::Audit(store.actions(before, limit)?),
        })
    }

    /// Returns the Dispatcher's members of `GET /admin/api/state`.
    fn overview(self: &Rc<Self>) -> ActorResult<Map<String, Value>> {
        let (mut members, today) = self.turn(|machine, now| (machine.overview(now), machine.today()))?;
        let store = self.store()?;
        if let Some(Value::Object(of_today)) = members.get_mut("today") {
            of_today.insert("predictions".to_owned(), json!(self.day_count.read(store.sql(), today)?));
        }
        members.insert("version".to_owned(), json!({"dispatcher": Version::of(&self.env).render()}));
        let recorded = migrations::recorded(store.sql())?;
        let newest = recorded.iter().map(|row| row.number).max().unwrap_or_default();
        let breaking = recorded.iter().filter(|row| row.is_breaking != 0).map(|row| row.number).max();
        let migrations = json!({"dispatcher": newest, "breaking": breaking.unwrap_or_default()});
        members.insert("migrations".to_owned(), migrations);
        Ok(members)
    }
}
