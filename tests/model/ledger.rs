//! A user's Ledger as its Durable Object runs it: the real machine, its rows, its alarm, and what the platform does to
//! them.

use std::collections::{BTreeMap, BTreeSet};

use valetkey::constants::{ALARM_LATE_MILLIS, FILE_UNUSED_MAX_DAYS};
use valetkey::ledger::{AlarmChange, CloseReason, Effects, Event, Ledger, Next, Notice, Socket, Write};
use valetkey::types::alert::Alert;
use valetkey::types::credits::MicroCredits;
use valetkey::types::file::FileRecord;
use valetkey::types::ids::JobId;
use valetkey::types::prediction::PredictionRecord;
use valetkey::types::time::{UnixMillis, UnixSeconds};

use crate::rows::Rows;

/// Daily credits: enough for 24 predictions, so that some cases reach the limit.
pub const DAILY: &str = "60";
pub const CREATES_A_MINUTE: u32 = 12;
pub const REQUESTS_A_MINUTE: u32 = 20;
/// Predictions of the token with caps.
pub const CAP: u32 = 9;

/// What follows a turn: the next step of its chain, and the tasks that it started.
pub type Followed = (Next, Vec<Next>);

#[derive(Default)]
pub struct LedgerObject {
    pub rows: Rows,
    machine: Ledger,
    /// The instance before, if it has been replaced and does not know yet.
    old: Option<Ledger>,
    /// Counts the instances. The answers to questions of an earlier instance reach nobody.
    pub instance: u32,
    pub alarm: Option<UnixMillis>,
    /// The open sockets. They outlive the instance.
    pub sockets: Vec<Socket>,
    /// The sockets that were closed, and why.
    pub closed: Vec<(Socket, CloseReason)>,
    /// The instance ends after the next turn that tells a socket: its changes are stored, and not told.
    pub ends_untold: bool,
    /// The next turn cannot store its writes.
    pub cannot_store: bool,
    /// The time of each admitted prediction: an independent check of the rate limit.
    admitted: Vec<(UnixMillis, JobId)>,
    /// The predictions that ended, deleted ones too.
    ended: BTreeMap<JobId, PredictionRecord>,
    /// Predictions that were deleted before they had ended: as if they had never been.
    pub undone: Vec<JobId>,
    /// Predictions that ran when their user was deleted.
    erased: BTreeSet<JobId>,
    /// The alerts that were raised.
    pub alerts: Vec<Alert>,
    /// True if the ends of predictions are told to a receiver.
    sends_events: bool,
}

impl LedgerObject {
    pub fn with_events() -> Self {
        let mut this = Self { sends_events: true, ..Self::default() };
        this.machine = this.new_machine();
        this
    }

    fn new_machine(&self) -> Ledger {
        Ledger::default().with_events(self.sends_events)
    }

    /// Runs one turn as the shell does. `None` if it failed.
    pub fn turn(&mut self, event: Event, now: UnixMillis, revoked_before: Option<UnixSeconds>) -> Option<Followed> {
        let sockets = self.sockets.clone();
        let decided = self.machine.turn(event, &self.rows, &|| sockets.clone(), now, revoked_before);
        let is_stored = |effects: &Effects| effects.writes.is_empty() || !std::mem::take(&mut self.cannot_store);
        let effects = decided.ok().filter(is_stored);
        match &effects {
            Some(effects) => {
                effects.writes.iter().for_each(|write| self.note(write, now));
                self.rows.apply(&effects.writes);
            }
            None => self.machine.roll_back(),
        }
        match self.machine.change_alarm(&self.rows, now).ok()? {
            AlarmChange::Keep => {}
            AlarmChange::Set(at) => self.alarm = Some(at),
            AlarmChange::SetUnlessEarlier(at) => self.alarm = Some(self.alarm.map_or(at, |set| set.min(at))),
            AlarmChange::DeleteAll => {
                self.rows = Rows::default();
                self.machine = self.new_machine();
                self.alarm = None;
            }
        }
        let effects = effects?;
        if !effects.notices.is_empty() && std::mem::take(&mut self.ends_untold) {
            self.restart(false);
            return None;
        }
        effects.notices.into_iter().for_each(|notice| self.notify(notice));
        self.alerts.extend(effects.alerts);
        self.sockets.extend(effects.accepted);
        self.check_sockets();
        Some((effects.next, effects.tasks))
    }

    fn notify(&mut self, notice: Notice) {
        match notice {
            Notice::Tell(socket, record) => {
                let told = self.sockets.iter_mut().find(|open| open.stream.id == socket.stream.id).unwrap();
                assert!(told.sequence < socket.sequence, "told twice");
                assert_eq!(record.sequence, socket.sequence);
                *told = socket;
            }
            Notice::Close(id, reason) => {
                let (closed, open) = std::mem::take(&mut self.sockets).into_iter().partition(|one| one.stream.id == id);
                self.sockets = open;
                for socket in closed {
                    // The turn that deletes a user may store the end and delete the row.
                    let record = self.rows.record(&socket.job_id).or_else(|| self.ended.get(&socket.job_id));
                    let is_told = record.is_some_and(|record| record.sequence == socket.sequence);
                    assert!(reason != CloseReason::Ended || is_told, "closed before it was told the end");
                    self.closed.push((socket, reason));
                }
            }
        }
    }

    /// Checks that every socket was told the present state of its prediction, and is closed at its end.
    fn check_sockets(&self) {
        let is_told = |socket: &&Socket| socket.stream.vendor.is_none();
        let is_readable = |socket: &&Socket| !self.rows.unreadable.contains(&socket.job_id);
        for socket in self.sockets.iter().filter(is_told).filter(is_readable) {
            let record = self.rows.record(&socket.job_id).unwrap();
            assert_eq!((socket.sequence, record.status.is_terminal()), (record.sequence, false), "not told");
        }
    }

    /// Runs a turn of the instance before. It sees the rows, its memory is stale, and it cannot store: then it ends.
    pub fn turn_of_old(&mut self, event: Event, now: UnixMillis) -> Option<Followed> {
        let mut old = self.old.take()?;
        let effects =
            old.turn(event, &self.rows, &Vec::new, now, None).ok().filter(|effects| effects.writes.is_empty())?;
        self.old = Some(old);
        Some((effects.next, effects.tasks))
    }

    /// Fires the alarm, if it is due. Returns the tasks.
    pub fn fire_alarm(&mut self, now: UnixMillis) -> Vec<Next> {
        if self.alarm.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.alarm = None;
        match self.turn(Event::Alarm, now, None) {
            Some((_, tasks)) => tasks,
            None => {
                self.alarm = Some(self.machine.retry_alarm(now, ALARM_LATE_MILLIS));
                Vec::new()
            }
        }
    }

    /// Starts a new instance. The one before has ended, or goes on for a while.
    pub fn restart(&mut self, old_lives_on: bool) {
        let new = self.new_machine();
        let old = std::mem::replace(&mut self.machine, new);
        self.old = old_lives_on.then_some(old);
        self.instance += 1;
    }

    pub fn is_old(&self, instance: u32) -> bool {
        self.old.is_some() && instance + 1 == self.instance
    }

    /// Returns whether the user has this file: it is not forgotten.
    pub fn has_file(&self, vendor_id: &str, now: UnixMillis) -> bool {
        let last_forgotten = now.utc_day().0 - FILE_UNUSED_MAX_DAYS - 1;
        let is_kept = |file: &FileRecord| file.used_on.is_none_or(|day| day.0 > last_forgotten);
        self.rows.files.values().any(|file| file.vendor_id == vendor_id && is_kept(file))
    }

    /// Returns whether a prediction ended here. It may be deleted.
    pub fn has_ended(&self, job_id: &JobId) -> bool {
        self.ended.contains_key(job_id)
    }

    /// Returns whether a prediction goes on without its user, who was deleted, and without its batch.
    pub fn was_erased(&self, job_id: &JobId) -> bool {
        self.erased.contains(job_id)
    }

    pub fn has_open(&self) -> bool {
        self.rows.records().any(|record| !record.status.is_terminal())
    }

    /// Checks a write against what may ever change.
    fn note(&mut self, write: &Write, now: UnixMillis) {
        match write {
            Write::Prediction(record) => {
                match self.rows.record(&record.job_id) {
                    Some(before) if before.status.is_terminal() => {
                        assert_eq!(before, &**record, "a terminal prediction changed");
                    }
                    Some(before) => assert!(before.sequence <= record.sequence, "went back"),
                    None => {
                        // A create that was refused is admitted if its message arrives again in time.
                        self.undone.retain(|job_id| *job_id != record.job_id);
                        self.admitted.retain(|(_, job_id)| *job_id != record.job_id);
                        self.admitted.push((now, record.job_id.clone()));
                    }
                }
                if record.is_erased {
                    self.erased.insert(record.job_id.clone());
                }
                if record.status.is_terminal() {
                    self.ended.insert(record.job_id.clone(), (**record).clone());
                }
            }
            Write::DeletePrediction(job_id)
                if self.rows.record(job_id).is_some_and(|record| !record.status.is_terminal()) =>
            {
                self.undone.push(job_id.clone());
            }
            _ => {}
        }
    }

    /// Returns all predictions that were not undone.
    fn all(&self) -> impl Iterator<Item = &PredictionRecord> {
        self.rows.records().filter(|record| !record.status.is_terminal()).chain(self.ended.values())
    }

    /// Checks that credits, caps and keys add up, and that no limit is exceeded.
    pub fn check(&self, now: UnixMillis) {
        for day in self.rows.days.values() {
            let of_day = self.all().filter(|record| record.day.0 == day.day);
            let (spent, reserved, above) = sums(of_day);
            assert_eq!((day.reserved.micros(), day.spent.micros()), (reserved, spent), "the day does not add up");
            // A charge above the reservation is still booked (protocol 5).
            assert!(reserved + spent <= MicroCredits::parse(DAILY).unwrap().micros() + above, "overspent");
        }
        for (jti, (usage, _)) in &self.rows.jtis {
            let of_token = || self.all().filter(|record| record.jti.as_ref() == Some(jti));
            let (spent, reserved, _) = sums(of_token());
            assert_eq!(usage.credits.micros(), spent + reserved, "the token's credits do not add up");
            assert_eq!(usage.predictions as usize, of_token().count(), "the token's predictions do not add up");
            assert!(usage.predictions <= CAP, "more than the token's cap");
        }
        // A deletion of the user deletes the keys, and leaves a row that cannot be read as it is.
        let is_erased = self.rows.marks.contains_key("erased");
        for record in self.rows.records().filter(|_| !is_erased) {
            let Some(key) = &record.idempotency_key else { continue };
            let mark = self.rows.marks.get(&format!("key:{key}"));
            let is_named = mark.is_some_and(|(doc, _)| doc.contains(record.job_id.as_str()));
            assert!(is_named || now.millis_since(record.created_at) >= 86_400_000, "a key that is not marked");
        }
        let is_counted =
            |(at, job_id): &&(UnixMillis, JobId)| now.millis_since(*at) < 60_000 && !self.undone.contains(job_id);
        let minute = self.admitted.iter().filter(is_counted).count();
        assert!(minute <= CREATES_A_MINUTE as usize, "{minute} creates in a minute");
    }
}

/// Returns the credits that are spent, the credits that are reserved, and what was charged above reservations.
fn sums<'a>(records: impl Iterator<Item = &'a PredictionRecord>) -> (i64, i64, i64) {
    records.fold((0, 0, 0), |(spent, reserved, above), record| match record.credits_used {
        Some(used) => {
            let more = (used.micros() - record.credits_reserved.micros()).max(0);
            (spent + used.micros(), reserved, above + more)
        }
        None => (spent, reserved + record.credits_reserved.micros(), above),
    })
}
