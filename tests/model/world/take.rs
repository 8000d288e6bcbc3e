//! Lets the steps of an interleaving happen.

use valetkey::constants::FILE_UPLOAD_MILLIS;
use valetkey::dispatcher::{Action, Job, JobState};
use valetkey::ledger::{Answer, Event, Next};
use valetkey::messages::{
    DispatcherReply, DispatcherRequest, JobSpec, LedgerReply, LedgerRequest, LimitOverride, Revocation, StreamId,
    UserOperation,
};
use valetkey::types::ids::{JobId, RequestId, UserKey};
use valetkey::types::time::UnixMillis;

use super::flight::Work;
use super::{START, Step, USER_OF_BUILD_BEFORE, World};
use crate::build_before;
use crate::calls;
use crate::pauses;

impl World {
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

    /// Restarts the Dispatcher from its rows. Its requests in flight are lost: the vendor counts as having accepted each
    /// create. Every other message in flight goes on.
    pub(super) fn restart_dispatcher(&mut self, old_lives_on: bool) {
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

    pub(super) fn fire_alarm(&mut self, user: &UserKey) {
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
}
