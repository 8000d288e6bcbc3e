//! The Dispatcher, the Ledgers, the vendor, and all requests and messages in flight.

use std::collections::BTreeMap;

use valetkey::constants::FILE_UPLOAD_MILLIS;
use valetkey::dispatcher::{Action, Dispatcher, Job, JobState};
use valetkey::ledger::{Answer, Continuation, Event, Next, Question};
use valetkey::messages::{
    DispatcherReply, DispatcherRequest, JobSpec, LedgerCall, LedgerRefusal, LedgerReply, LedgerRequest, LimitOverride,
    Revocation, StreamId, UserOperation,
};
use valetkey::types::ids::{JobId, RequestId, UserKey};
use valetkey::types::prediction::{PredictionRecord, Status};
use valetkey::types::time::{UnixMillis, UnixSeconds};

use crate::build_before;
use crate::calls;
use crate::dispatcher::DispatcherObject;
use crate::files::Files;
use crate::ledger::{LedgerObject, REQUESTS_A_MINUTE};
use crate::pauses;
use crate::vendor::{self, Vendor};

const START: i64 = 1_768_473_000_000;
/// How long everything takes to end at most: a row that could not be read is tried again after a day, and a lost alarm
/// is noticed at the next message.
const DRAIN_MILLIS: i64 = 2 * 86_400_000;
/// More steps than a drain needs.
const DRAIN_STEPS_MAX: u32 = 5_000;
/// Number of users. The last one is a guest.
pub const USERS: u8 = 4;
/// The edge and the Ledger of this user are of the build before: their messages have no newer members.
const USER_OF_BUILD_BEFORE: u8 = 2;

/// One event.
#[derive(Clone, Debug)]
pub enum Step {
    /// A create is sent. A late one arrives when its turn comes in [`Step::Answer`].
    Create {
        user: u8,
        count: u8,
        key: Option<u8>,
        token: u8,
        is_late: bool,
    },
    /// The message of a create arrives again.
    Repeat {
        pick: usize,
    },
    /// The edge withdraws a create.
    Withdraw {
        pick: usize,
    },
    Cancel {
        pick: usize,
    },
    Delete {
        pick: usize,
    },
    Get {
        pick: usize,
    },
    /// A user opens a socket for a prediction.
    Watch {
        pick: usize,
        token: u8,
    },
    /// A user asks for something that reads no prediction, and may show a proof of possession.
    Check {
        user: u8,
        token: u8,
        proof: Option<u8>,
    },
    /// The same reaches the instance before, if it goes on.
    CheckOld {
        user: u8,
    },
    Revoke {
        user: u8,
        token: u8,
    },
    /// An operator revokes all tokens that were issued until now.
    RevokeAll,
    /// An operator deletes a user, cancels all of the user's predictions, or sets limits.
    Erase {
        user: u8,
    },
    CancelAll {
        user: u8,
    },
    OwnLimits {
        user: u8,
        creates: Option<u32>,
    },
    /// The vendor calls a webhook.
    Hook {
        pick: usize,
    },
    /// Something in flight arrives, or does not.
    Answer {
        pick: usize,
        vendor: Vendor,
    },
    /// An alarm fires, if it is due.
    Alarm {
        user: u8,
    },
    /// The platform loses an alarm.
    LoseAlarm {
        user: u8,
    },
    /// Both objects restart: the process was killed.
    Crash,
    RestartLedger {
        user: u8,
        old_lives_on: bool,
    },
    /// The instance of a Ledger ends after its next turn that tells a socket, before it tells it.
    EndUntold {
        user: u8,
    },
    RestartDispatcher {
        old_lives_on: bool,
    },
    /// The rows are rewritten by the build before, which ran for a moment after a rollback.
    RollBackDispatcher,
    RollBackLedger {
        user: u8,
    },
    /// A Dispatcher of the build before reports the state of a prediction that it reports no more today.
    OldUpdate {
        pick: usize,
    },
    /// A Ledger of the build before wakes the Dispatcher.
    Tick,
    /// An upload asks for a permit and for room.
    Upload {
        user: u8,
    },
    /// An upload ends: the vendor has the file, or not. The file was last used so many days ago.
    EndUpload {
        pick: usize,
        is_stored: bool,
        days_ago: Option<i64>,
    },
    /// The next turn of an object cannot be stored.
    FailLedger {
        user: u8,
    },
    FailDispatcher,
    /// A row of a Ledger cannot be read any more, or can again.
    Unreadable {
        pick: usize,
    },
    /// The same for the row of a file.
    UnreadableFile {
        user: u8,
        pick: usize,
    },
    /// The same for a row of the Dispatcher, from its next start on.
    UnreadableAtDispatcher {
        pick: usize,
    },
    /// An operator pauses creates, or renews a pause.
    Pause {
        id: u8,
        model: u8,
        millis: i64,
        is_renewal: bool,
    },
    Resume {
        id: u8,
    },
    /// Time passes. The Dispatcher's alarm fires, or is late.
    Wait {
        millis: i64,
        is_alarm_late: bool,
    },
    ClockBack {
        millis: i64,
    },
}

/// A message in flight.
enum Work {
    Action(Action),
    Call(UserKey, LedgerCall),
    Question(Chain, Question, Continuation),
    Answer(Chain, Option<Answer>, Continuation),
    /// A message that its sender counts as lost. It arrives, and its reply reaches nobody.
    Late(DispatcherRequest),
}

/// The turns of a Ledger that handle one message or one task.
#[derive(Clone)]
struct Chain {
    user: UserKey,
    instance: u32,
    started: UnixMillis,
    /// The message. `None` for a task.
    call: Option<LedgerCall>,
    /// The revoked-before time when the message arrived.
    revoked_before: Option<UnixSeconds>,
}

pub struct World {
    pub dispatcher: DispatcherObject,
    pub ledgers: BTreeMap<UserKey, LedgerObject>,
    pending: Vec<Work>,
    now: UnixMillis,
    /// The Ledgers' clock, which never goes back.
    latest: UnixMillis,
    /// The vendor's clock: the time that has passed, whatever the clocks of the objects say.
    real: UnixMillis,
    files: Files,
    count: u16,
    creates: Vec<(UserKey, LedgerCall)>,
    owners: BTreeMap<JobId, UserKey>,
    /// How often the vendor accepted each job.
    pub taken: BTreeMap<JobId, u32>,
    /// Predictions whose creates were withdrawn, and how often the vendor had accepted each by then.
    gone: BTreeMap<JobId, u32>,
    /// For each user, its requests that passed the limit.
    served: BTreeMap<UserKey, Vec<UnixMillis>>,
    revoked: BTreeMap<(UserKey, String), UnixMillis>,
    /// The revoked-before time of all users that the Dispatcher has acknowledged.
    revoked_before: Option<UnixSeconds>,
    /// For each proof of possession, the request that used it.
    proofs: BTreeMap<(UserKey, String), RequestId>,
}

impl World {
    pub fn new() -> Self {
        Self {
            dispatcher: DispatcherObject::new(),
            ledgers: BTreeMap::new(),
            pending: Vec::new(),
            now: UnixMillis(START),
            latest: UnixMillis(START),
            real: UnixMillis(START),
            files: Files::default(),
            count: 0,
            creates: Vec::new(),
            owners: BTreeMap::new(),
            taken: BTreeMap::new(),
            gone: BTreeMap::new(),
            served: BTreeMap::new(),
            revoked: BTreeMap::new(),
            revoked_before: None,
            proofs: BTreeMap::new(),
        }
    }

    fn advance(&mut self, millis: i64) {
        self.now = self.now.plus_millis(millis);
        self.latest = self.latest.max(self.now);
        self.real = self.real.plus_millis(millis.max(0));
    }

    /// Returns the Dispatcher's clock and the vendor's.
    fn clock(&self) -> (UnixMillis, UnixMillis) {
        (self.now, self.real)
    }

    fn turn<R>(&mut self, change: impl FnOnce(&mut Dispatcher, UnixMillis) -> R) {
        if let Some((_, actions)) = self.dispatcher.turn(change, self.clock()) {
            self.pending.extend(actions.into_iter().map(Work::Action));
        }
    }

    fn ledger(&mut self, user: &UserKey) -> &mut LedgerObject {
        self.ledgers.entry(user.clone()).or_default()
    }

    fn pick(&self, pick: usize) -> Option<(JobId, UserKey)> {
        let (id, user) = self.owners.iter().nth(pick.checked_rem(self.owners.len())?)?;
        Some((id.clone(), user.clone()))
    }

    fn chain(&self, user: &UserKey, instance: u32, call: Option<LedgerCall>) -> Chain {
        let (started, revoked_before) = (self.latest, self.dispatcher.revoked_before());
        Chain { user: user.clone(), instance, started, call, revoked_before }
    }

    /// Sends a message to a Ledger, and follows its chain to the first question. Returns its reply if there is none.
    fn call(&mut self, user: &UserKey, call: LedgerCall) -> Option<LedgerReply> {
        let chain = self.chain(user, self.ledgers.get(user).map_or(0, |ledger| ledger.instance), Some(call.clone()));
        self.run(chain, Event::Call(call))
    }

    /// Runs the turns of a chain, from an event to its end or its next question.
    fn run(&mut self, chain: Chain, mut event: Event) -> Option<LedgerReply> {
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

    /// Checks that no prediction is undone that the vendor has.
    fn check_undone(&mut self, user: &UserKey) {
        for job_id in &self.ledgers[user].undone {
            assert_eq!(self.taken.get(job_id), None, "undone and sent");
        }
    }

    /// Checks and notes what the sender of a message learns. `reply` is `None` after a failure: 503.
    fn note_end(&mut self, chain: &Chain, reply: Option<&LedgerReply>) {
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

    fn create(&mut self, user: u8, count: u8, key: Option<u8>, token: u8, is_late: bool) {
        let specs: Vec<JobSpec> = (0..count).map(|_| self.spec(user)).collect();
        let mut call = calls::create(user, specs.clone(), key, token, self.latest);
        if user == USER_OF_BUILD_BEFORE {
            call = build_before::of_edge(&call);
        }
        let owner = calls::user(user);
        self.owners.extend(specs.into_iter().map(|spec| (spec.job_id, owner.clone())));
        self.creates.push((owner.clone(), call.clone()));
        if is_late {
            self.pending.push(Work::Call(owner, call));
        } else {
            self.call(&owner, call);
        }
    }

    fn spec(&mut self, user: u8) -> JobSpec {
        let random = self.next_random();
        calls::spec(JobId::new(self.latest, random), user)
    }

    /// Returns the random part of the next id.
    fn next_random(&mut self) -> [u8; 10] {
        self.count += 1;
        let [high, low] = self.count.to_be_bytes();
        [high, low, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    fn withdraw(&mut self, pick: usize) {
        let Some((user, call)) = pick.checked_rem(self.creates.len()).map(|index| self.creates[index].clone()) else {
            return;
        };
        let job_ids = calls::job_ids(&call);
        self.call(&user, calls::uncounted(LedgerRequest::Withdraw { job_ids }));
    }

    fn revoke(&mut self, user: u8, token: u8) {
        let owner = calls::user(user);
        let Some(jti) = calls::jti(token) else { return };
        let revocation =
            Revocation::Token { jti: jti.clone(), expires_at: self.latest.plus_millis(calls::TOKEN_MILLIS) };
        let is_stored = !self.ledger(&owner).cannot_store;
        let instance = self.ledger(&owner).instance;
        self.call(&owner, calls::uncounted(LedgerRequest::Revoke(revocation)));
        let ledger = self.ledger(&owner);
        let is_open = ledger.sockets.iter().any(|socket| socket.caller.jti.as_ref() == Some(&jti));
        assert!(!is_stored || !is_open || ledger.instance != instance, "a socket of a revoked token is open");
        if is_stored {
            self.revoked.entry((owner, jti)).or_insert(self.latest.plus_millis(1));
        }
    }

    fn operate(&mut self, user: u8, operation: UserOperation) {
        // The build before does not know these messages.
        if user != USER_OF_BUILD_BEFORE {
            self.call(&calls::user(user), calls::uncounted(LedgerRequest::Operate(operation)));
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

    /// Lets something in flight arrive, or get lost.
    fn answer(&mut self, pick: usize, vendor: Vendor) {
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
    fn arrive(&mut self, request: DispatcherRequest) -> Option<Answer> {
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

    /// Restarts the Dispatcher from its rows. Its requests in flight are lost: the vendor counts as having accepted each
    /// create. Every other message in flight goes on.
    fn restart_dispatcher(&mut self, old_lives_on: bool) {
        self.dispatcher.restart(old_lives_on, self.clock());
        let (lost, kept) =
            std::mem::take(&mut self.pending).into_iter().partition(|work| matches!(work, Work::Action(_)));
        self.pending = kept;
        for work in lost {
            if let Work::Action(Action::Submit { spec }) = work {
                *self.taken.entry(spec.job_id).or_default() += 1;
            }
        }
        self.turn(|_, _| ());
    }

    fn fire_alarm(&mut self, user: &UserKey) {
        let now = self.latest;
        let ledger = self.ledger(user);
        let instance = ledger.instance;
        let tasks = ledger.fire_alarm(now);
        let chain = self.chain(user, instance, None);
        self.check_undone(user);
        for task in tasks {
            match task {
                Next::Continue(then) => drop(self.run(chain.clone(), Event::Resume(then, None))),
                Next::Ask(question, then) => self.pending.push(Work::Question(chain.clone(), question, then)),
                Next::Reply(_) => {}
            }
        }
    }

    fn upload(&mut self, user: u8) {
        let owner = calls::user(user);
        let actions = self.dispatcher.permit(owner.clone(), self.clock());
        self.pending.extend(actions.into_iter().map(Work::Action));
        let random = self.next_random();
        let upload = RequestId::new(self.latest, random);
        if self.call(&owner, calls::reserve_file(&upload, self.latest)) == Some(LedgerReply::Done) {
            self.files.uploads.push((owner, upload, self.latest));
        }
    }

    fn end_upload(&mut self, pick: usize, is_stored: bool, days_ago: Option<i64>) {
        let Some(index) = pick.checked_rem(self.files.uploads.len()) else { return };
        let (user, upload, since) = self.files.uploads.remove(index);
        // The edge gives up before the reserved room is given back.
        if !is_stored || self.latest.millis_since(since) > i64::from(FILE_UPLOAD_MILLIS) {
            self.call(&user, calls::uncounted(LedgerRequest::ReleaseFile { upload }));
            return;
        }
        let random = self.next_random();
        let file = self.files.record(&user, self.latest, days_ago, random);
        let vendor_id = file.vendor_id.clone();
        let put = calls::uncounted(LedgerRequest::PutFile { file, upload: Some(upload) });
        if self.call(&user, put).is_none() {
            // The edge hands the file over by itself, or raises an alert.
            let request = DispatcherRequest::DeleteFiles { vendor_ids: vec![vendor_id.clone()] };
            if self.arrive(request) != Some(Answer::Dispatcher(DispatcherReply::Done)) {
                self.files.deleted.insert(vendor_id);
            }
        }
    }

    fn call_about(&mut self, pick: usize, request: impl FnOnce(JobId) -> LedgerRequest) {
        let Some((job_id, user)) = self.pick(pick) else { return };
        let call = calls::counted(request(job_id), 0, self.latest);
        self.call(&user, call);
    }

    fn watch(&mut self, pick: usize, token: u8) {
        let Some((job_id, user)) = self.pick(pick) else { return };
        let stream = StreamId { id: RequestId::new(self.latest, self.next_random()), vendor: None, is_wait: false };
        let watch = LedgerRequest::Watch { job_id, stream, is_socket: true };
        self.call(&user, calls::counted(watch, token, self.latest));
    }

    fn send_check(&mut self, user: u8, token: u8, proof: Option<u8>) {
        let random = self.next_random();
        let mut call = calls::counted(LedgerRequest::Check, token, self.latest);
        if let (Some(proof), Some(caller)) = (proof, &mut call.caller) {
            let request = RequestId::new(self.latest, random);
            caller.proof = Some(calls::proof(proof, request, UnixMillis(START)));
        }
        self.call(&calls::user(user), call);
    }

    #[allow(clippy::too_many_lines, reason = "one arm for each kind of step")]
    pub fn take(&mut self, step: Step) {
        match step {
            Step::Create { user, count, key, token, is_late } => self.create(user, count, key, token, is_late),
            Step::Repeat { pick } => {
                if let Some(index) = pick.checked_rem(self.creates.len()) {
                    let (user, call) = self.creates[index].clone();
                    self.call(&user, call);
                }
            }
            Step::Withdraw { pick } => self.withdraw(pick),
            Step::Cancel { pick } => self.call_about(pick, |job_id| LedgerRequest::Cancel { job_id }),
            Step::Delete { pick } => self.call_about(pick, |job_id| LedgerRequest::Delete { job_id }),
            Step::Get { pick } => self.call_about(pick, |job_id| LedgerRequest::Get { job_id }),
            Step::Watch { pick, token } => self.watch(pick, token),
            Step::Check { user, token, proof } => self.send_check(user, token, proof),
            Step::CheckOld { user } => {
                let owner = calls::user(user);
                let Some(instance) = self.ledger(&owner).instance.checked_sub(1) else { return };
                let call = calls::counted(LedgerRequest::Check, 0, self.latest);
                self.run(self.chain(&owner, instance, Some(call.clone())), Event::Call(call));
            }
            Step::Revoke { user, token } => self.revoke(user, token),
            Step::RevokeAll => {
                let issued_by = self.latest.seconds();
                if self.arrive(DispatcherRequest::RevokeAll { issued_by }).is_some() {
                    self.revoked_before = Some(issued_by);
                }
            }
            Step::Erase { user } => self.operate(user, UserOperation::Erase { user: calls::user(user) }),
            Step::CancelAll { user } => self.operate(user, UserOperation::CancelAll),
            Step::OwnLimits { user, creates } => {
                let expires_at = self.latest.plus_millis(3_600_000);
                let limits = creates.map(|creates| LimitOverride {
                    predictions_per_minute: Some(creates),
                    expires_at,
                    ..LimitOverride::default()
                });
                self.operate(user, UserOperation::Override(limits));
            }
            Step::Hook { pick } => {
                let Some((id, _)) = self.pick(pick) else { return };
                self.turn(|machine, now| machine.receive_webhook(&id, now));
            }
            Step::Answer { pick, vendor } => self.answer(pick, vendor),
            Step::Alarm { user } => self.fire_alarm(&calls::user(user)),
            Step::LoseAlarm { user } => self.ledger(&calls::user(user)).alarm = None,
            Step::Crash => {
                self.ledgers.values_mut().for_each(|ledger| ledger.restart(false));
                self.restart_dispatcher(false);
            }
            Step::RestartLedger { user, old_lives_on } => self.ledger(&calls::user(user)).restart(old_lives_on),
            Step::EndUntold { user } => self.ledger(&calls::user(user)).ends_untold = true,
            Step::RestartDispatcher { old_lives_on } => self.restart_dispatcher(old_lives_on),
            Step::RollBackDispatcher => {
                self.dispatcher.roll_back();
                self.restart_dispatcher(false);
            }
            Step::RollBackLedger { user } => {
                let ledger = self.ledger(&calls::user(user));
                ledger.rows.make_of_build_before();
                ledger.restart(false);
            }
            Step::OldUpdate { pick } => {
                let Some((job_id, user)) = self.pick(pick) else { return };
                let is_at_vendor = |job: &&Job| matches!(job.state, JobState::Submitting | JobState::Running);
                let Some(job) = self.dispatcher.jobs.get(&job_id).filter(is_at_vendor) else { return };
                let updates = vec![job.update_for_ledger(self.now, None, None)];
                self.call(&user, calls::uncounted(LedgerRequest::JobUpdates { updates }));
            }
            Step::Tick => drop(self.arrive(DispatcherRequest::Tick)),
            Step::Upload { user } => self.upload(user),
            Step::EndUpload { pick, is_stored, days_ago } => self.end_upload(pick, is_stored, days_ago),
            Step::FailLedger { user } => self.ledger(&calls::user(user)).cannot_store = true,
            Step::FailDispatcher => self.dispatcher.cannot_store = true,
            Step::Unreadable { pick } => {
                let Some((job_id, user)) = self.pick(pick) else { return };
                let unreadable = &mut self.ledger(&user).rows.unreadable;
                if !unreadable.remove(&job_id) {
                    unreadable.insert(job_id);
                }
            }
            Step::UnreadableFile { user, pick } => {
                let rows = &mut self.ledger(&calls::user(user)).rows;
                let Some(index) = pick.checked_rem(rows.files.len()) else { return };
                let file_id = rows.files.keys().nth(index).unwrap().clone();
                if !rows.unreadable_files.remove(&file_id) {
                    rows.unreadable_files.insert(file_id);
                }
            }
            Step::UnreadableAtDispatcher { pick } => self.dispatcher.toggle_unreadable(pick),
            Step::Pause { id, model, millis, is_renewal } => {
                let actions =
                    self.dispatcher.pause(&pauses::id(id), pauses::model(model), millis, is_renewal, self.clock());
                self.pending.extend(actions.into_iter().map(Work::Action));
            }
            Step::Resume { id } => {
                let actions = self.dispatcher.resume(&pauses::id(id), self.clock());
                self.pending.extend(actions.into_iter().map(Work::Action));
            }
            Step::Wait { millis, is_alarm_late } => {
                self.advance(millis);
                if !is_alarm_late {
                    self.turn(|_, _| ());
                }
            }
            Step::ClockBack { millis } => {
                self.advance(-millis);
                self.turn(|_, _| ());
            }
        }
    }

    pub fn check(&self) {
        assert!(self.taken.values().all(|count| *count <= 1), "paid twice");
        let is_kept = self.dispatcher.revoked_before() >= self.revoked_before || self.dispatcher.has_lost_state();
        assert!(is_kept, "a revocation of all tokens is forgotten");
        self.dispatcher.check((self.latest, self.real), self.taken.len());
        self.files.check(&self.ledgers, &self.dispatcher.files, self.latest);
        self.ledgers.values().for_each(|ledger| ledger.check(self.latest));
        for (job_id, taken) in &self.gone {
            assert_eq!(self.taken.get(job_id).copied().unwrap_or(0), *taken, "withdrawn and sent");
        }
        for served in self.served.values() {
            let minute = served.iter().filter(|at| self.latest.millis_since(**at) < 60_000).count();
            assert!(minute <= REQUESTS_A_MINUTE as usize, "{minute} requests of a user in a minute");
        }
    }

    /// Runs without further faults until everything has ended. Every accepted prediction must end, and no job, message
    /// or part of a batch may be left over.
    pub fn drain(&mut self) {
        self.dispatcher.cannot_store = false;
        for ledger in self.ledgers.values_mut() {
            ledger.cannot_store = false;
            ledger.rows.unreadable.clear();
            ledger.rows.unreadable_files.clear();
        }
        self.dispatcher.make_readable();
        self.restart_dispatcher(false);
        let end = self.latest.plus_millis(DRAIN_MILLIS);
        let mut steps = 0;
        while self.latest < end {
            while !self.pending.is_empty() {
                self.answer(0, Vendor::Ended);
                self.check();
                steps += 1;
                assert!(steps < DRAIN_STEPS_MAX, "the work does not end");
            }
            steps += 1;
            assert!(steps < DRAIN_STEPS_MAX, "woken for nothing, again and again");
            if self.has_ended() {
                break;
            }
            let is_lost = self.ledgers.values().any(|ledger| ledger.has_open() && ledger.alarm.is_none());
            let look = is_lost.then_some(self.now.plus_millis(60_000));
            let alarms = self.ledgers.values().filter_map(|ledger| ledger.alarm);
            let due = self.dispatcher.machine.next_due(self.now).into_iter().chain(alarms).chain(look).min();
            let due = due.unwrap_or(self.now);
            self.advance(due.millis_since(self.now).max(1));
            self.turn(|_, _| ());
            for user in self.ledgers.keys().cloned().collect::<Vec<_>>() {
                self.fire_alarm(&user);
                // A lost alarm is noticed at the next message.
                if self.ledgers[&user].alarm.is_none() {
                    self.call(&user, calls::uncounted(LedgerRequest::Check));
                }
            }
            self.check();
        }
        self.check_end();
    }

    fn has_ended(&self) -> bool {
        let is_idle = self.dispatcher.jobs.is_empty() && self.dispatcher.outbox.values().all(|row| row.is_dead);
        let is_idle = is_idle && self.dispatcher.files.is_empty();
        is_idle && !self.ledgers.values().any(LedgerObject::has_open)
    }

    fn check_end(&self) {
        assert!(self.dispatcher.jobs.is_empty(), "left over: {:?}", self.dispatcher.jobs);
        let outbox = &self.dispatcher.outbox;
        assert!(outbox.values().all(|row| row.is_dead), "not told: {outbox:?}");
        for (user, call) in &self.creates {
            let job_ids = calls::job_ids(call);
            let rows = &self.ledgers[user].rows;
            let is_kept = |id: &&JobId| rows.record(id).is_some() || self.ledgers[user].has_ended(id);
            let kept = job_ids.iter().filter(is_kept).count();
            assert!(kept == 0 || kept == job_ids.len(), "a part of a batch");
        }
        for ledger in self.ledgers.values() {
            for record in ledger.rows.records() {
                assert!(record.status.is_terminal(), "never ended: {}", record.job_id);
                if record.status == Status::Succeeded {
                    assert_eq!(self.taken.get(&record.job_id), Some(&1));
                }
            }
        }
    }
}

/// Returns whether a caller got past authorization and the limit of requests, as far as the reply shows that.
fn is_served(reply: Option<&LedgerReply>) -> bool {
    use LedgerRefusal::{ProofUsed, RateLimited, Revoked, Unavailable};
    !matches!(reply, None | Some(LedgerReply::Refused(Revoked | ProofUsed | RateLimited { .. } | Unavailable)))
}
