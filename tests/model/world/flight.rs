//! Messages in flight: they arrive, or are lost, and their chains of turns go on.

use valetkey::dispatcher::Action;
use valetkey::ledger::{Answer, Continuation, Event, Next, Question};
use valetkey::messages::{DispatcherRequest, LedgerCall, LedgerReply, LedgerRequest};
use valetkey::types::ids::UserKey;
use valetkey::types::time::{UnixMillis, UnixSeconds};

use super::{USER_OF_BUILD_BEFORE, World};
use crate::build_before;
use crate::calls;
use crate::vendor::{self, Vendor};

/// A message in flight.
pub(super) enum Work {
    Action(Action),
    Call(UserKey, LedgerCall),
    Question(Chain, Question, Continuation),
    Answer(Chain, Option<Answer>, Continuation),
    /// A message that its sender counts as lost. It arrives, and its reply reaches nobody.
    Late(DispatcherRequest),
}

/// The turns of a Ledger that handle one message or one task.
#[derive(Clone)]
pub(super) struct Chain {
    pub(super) user: UserKey,
    pub(super) instance: u32,
    pub(super) started: UnixMillis,
    /// The message. `None` for a task.
    pub(super) call: Option<LedgerCall>,
    /// The revoked-before time when the message arrived.
    pub(super) revoked_before: Option<UnixSeconds>,
}

impl World {
    pub(super) fn chain(&self, user: &UserKey, instance: u32, call: Option<LedgerCall>) -> Chain {
        let (started, revoked_before) = (self.latest, self.dispatcher.revoked_before());
        Chain { user: user.clone(), instance, started, call, revoked_before }
    }

    /// Sends a message to a Ledger, and follows its chain to the first question. Returns its reply if there is none.
    pub(super) fn call(&mut self, user: &UserKey, call: LedgerCall) -> Option<LedgerReply> {
        let chain = self.chain(user, self.ledgers.get(user).map_or(0, |ledger| ledger.instance), Some(call.clone()));
        self.run(chain, Event::Call(call))
    }

    /// Runs the turns of a chain, from an event to its end or its next question.
    pub(super) fn run(&mut self, chain: Chain, mut event: Event) -> Option<LedgerReply> {
        loop {
            let (now, revoked_before) = (self.latest, self.dispatcher.revoked_before());
            let ledger = self.ledger(&chain.user);
            let followed = if ledger.instance == chain.instance {
                ledger.turn(event, now, revoked_before)
            } else if ledger.is_old(chain.instance) {
                ledger.turn_of_old(event, now)
            } else {
                return None;
            };
            let Some((next, tasks)) = followed else {
                self.note_end(&chain, None);
                return None;
            };
            self.check_undone(&chain.user);
            for task in tasks {
                let task_chain = Chain { call: None, ..chain.clone() };
                match task {
                    Next::Continue(then) => drop(self.run(task_chain, Event::Resume(then, None))),
                    Next::Ask(question, then) => self.pending.push(Work::Question(task_chain, question, then)),
                    Next::Reply(_) => {}
                }
            }
            match next {
                Next::Continue(then) => event = Event::Resume(then, None),
                Next::Ask(question, then) => {
                    self.pending.push(Work::Question(chain, question, then));
                    return None;
                }
                Next::Reply(reply) => {
                    self.note_end(&chain, Some(&reply));
                    return Some(reply);
                }
            }
        }
    }

    /// Lets something in flight arrive, or get lost.
    pub(super) fn answer(&mut self, pick: usize, vendor: Vendor) {
        let Some(index) = pick.checked_rem(self.pending.len()) else { return };
        match self.pending.remove(index) {
            Work::Call(user, call) => drop(self.call(&user, call)),
            Work::Question(chain, question, then) => self.ask(chain, question, then, vendor),
            Work::Answer(chain, answer, then) => drop(self.run(chain, Event::Resume(then, answer))),
            Work::Late(request) => drop(self.arrive(request)),
            Work::Action(action) => self.report(action, vendor),
        }
    }

    /// Handles a message at the Dispatcher.
    pub(super) fn arrive(&mut self, request: DispatcherRequest) -> Option<Answer> {
        let (reply, actions) = self.dispatcher.answer(request, self.clock());
        self.pending.extend(actions.into_iter().map(Work::Action));
        reply.map(Answer::Dispatcher)
    }

    /// Handles a message at the Dispatcher, or at the instance before if that goes on.
    fn arrive_at_either(&mut self, request: DispatcherRequest, fate: Vendor) -> Option<Answer> {
        if matches!(fate, Vendor::Canceled | Vendor::Odd)
            && let Some(reply) = self.dispatcher.answer_of_old(&request, self.clock())
        {
            return reply.map(Answer::Dispatcher);
        }
        self.arrive(request)
    }

    fn ask(&mut self, chain: Chain, question: Question, then: Continuation, fate: Vendor) {
        let (arrives, is_answered) = fate.message();
        let answer = match question {
            Question::RevokedBefore => {
                Some(Answer::RevokedBefore(self.dispatcher.revoked_before())).filter(|_| is_answered)
            }
            Question::Notify(_) => is_answered.then_some(Answer::Notified(arrives)),
            Question::Dispatcher(request) if arrives => {
                let is_old = chain.user == calls::user(USER_OF_BUILD_BEFORE);
                let request = if is_old { build_before::of_ledger(request) } else { request };
                self.arrive_at_either(request, fate).filter(|_| is_answered)
            }
            Question::Dispatcher(request) => {
                self.pending.push(Work::Late(request));
                None
            }
        };
        self.pending.push(Work::Answer(chain, answer, then));
    }

    /// Reports the result of a Dispatcher's action.
    fn report(&mut self, action: Action, vendor: Vendor) {
        match action {
            Action::Submit { spec } => {
                let accepts = vendor.accepts_create();
                if accepts {
                    *self.taken.entry(spec.job_id.clone()).or_default() += 1;
                    assert!(!self.gone.contains_key(&spec.job_id), "withdrawn and sent");
                }
                let answer = vendor::to_create(vendor);
                self.turn(|machine, now| machine.finish_submit(&spec.job_id, &answer, now));
            }
            Action::Poll { job_id, .. } => {
                let answer = vendor::to_poll(vendor);
                self.turn(|machine, now| machine.finish_poll(&job_id, &answer, now));
            }
            Action::Cancel { job_id, .. } => {
                let answer = vendor::to_poll(vendor);
                self.turn(|machine, now| machine.finish_cancel(&job_id, &answer, now));
            }
            Action::Deliver(delivery) => {
                let (arrives, is_answered) = vendor.message();
                let updates = delivery.updates.clone();
                let call = calls::uncounted(LedgerRequest::JobUpdates { updates });
                let reply = arrives.then(|| self.call(&delivery.user, call)).flatten();
                let is_acknowledged = is_answered && reply == Some(LedgerReply::Done);
                self.turn(|machine, now| match is_acknowledged {
                    true => machine.finish_delivery(&delivery.user, &delivery.updates),
                    false => machine.retry_delivery(&delivery.user, &delivery.updates, now),
                });
            }
            Action::CheckKey { vendor_key_fingerprint: key } => {
                let answer = vendor::to_poll(vendor);
                self.turn(|machine, now| machine.finish_key_check(&key, &answer, now));
            }
            Action::SendAlert(notification) => {
                let (_, is_delivered) = vendor.message();
                self.turn(|machine, now| machine.finish_alert(&notification.id, is_delivered, now));
            }
            Action::FetchModels => self.turn(|machine, now| machine.finish_models(None, now)),
            Action::DeleteFile { vendor_id } => {
                let user = self.files.owner(&vendor_id);
                assert!(!self.ledgers[&user].has_file(&vendor_id, self.latest), "a file that its user has is deleted");
                let answer = vendor::to_poll(vendor);
                self.turn(|machine, now| machine.finish_file_deletion(&vendor_id, &answer, now));
                if !self.dispatcher.files.contains(&vendor_id) {
                    self.files.deleted.insert(vendor_id);
                }
            }
        }
    }
}
