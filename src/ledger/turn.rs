//! One turn: what it reads, and what it has decided so far.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::admission::JtiUsage;
use super::machine::Ledger;
use super::rows::{LedgerRows, RowError, Write};
use super::socket::{Notice, OpenSockets, Socket};
use super::step::{Effects, Next};
use crate::limit::minute_window::{Counted, MinuteWindow};
use crate::messages::DayUsage;
use crate::types::alert::Alert;
use crate::types::ids::JobId;
use crate::types::prediction::PredictionRecord;
use crate::types::time::{UnixMillis, UnixSeconds, UtcDay};

/// One turn: the memory, the rows as they are stored, and what the turn has decided so far.
pub(super) struct Turn<'a> {
    pub(super) ledger: &'a mut Ledger,
    pub(super) rows: &'a dyn LedgerRows,
    pub(super) sockets: OpenSockets<'a>,
    pub(super) now: UnixMillis,
    /// The revoked-before time of all users, as far as the isolate knows it.
    pub(super) revoked_before: Option<UnixSeconds>,
    writes: Vec<Write>,
    pub(super) alerts: Vec<Alert>,
    pub(super) tasks: Vec<Next>,
    pub(super) notices: Vec<Notice>,
    pub(super) accepted: Option<Socket>,
    /// What the request counts as.
    pub(super) counted: Option<Counted>,
    /// A revoked-before time of all users that this turn has heard of.
    pub(super) heard_revoked_before: Option<UnixSeconds>,
}

/// The writes and the counts of the minute at one point of a turn.
pub(super) struct Saved {
    writes: Vec<Write>,
    minute: Option<MinuteWindow>,
}

impl<'a> Turn<'a> {
    pub(super) const fn new(
        ledger: &'a mut Ledger,
        rows: &'a dyn LedgerRows,
        sockets: OpenSockets<'a>,
        now: UnixMillis,
        revoked_before: Option<UnixSeconds>,
    ) -> Self {
        Self {
            ledger,
            rows,
            sockets,
            now,
            revoked_before,
            writes: Vec::new(),
            alerts: Vec::new(),
            tasks: Vec::new(),
            notices: Vec::new(),
            accepted: None,
            counted: None,
            heard_revoked_before: None,
        }
    }

    /// Returns what the turn has decided.
    pub(super) fn into_effects(self, next: Next) -> Effects {
        let Self { writes, alerts, tasks, notices, accepted, counted, heard_revoked_before, .. } = self;
        let revoked_before = heard_revoked_before;
        Effects { writes, alerts, revoked_before, tasks, notices, accepted, counted, next }
    }

    /// Returns what the turn has decided so far, for [`Self::restore`].
    pub(super) fn save(&self) -> Saved {
        Saved { writes: self.writes.clone(), minute: self.ledger.minute.clone() }
    }

    /// Takes back what the turn has decided since. An alarm that it wanted may fire for nothing.
    pub(super) fn restore(&mut self, saved: Saved) {
        self.writes = saved.writes;
        self.ledger.minute = saved.minute;
        self.ledger.revocations = None;
        self.ledger.own_limits = None;
        self.tasks.clear();
        self.notices.clear();
    }

    /// Returns the writes so far.
    pub(super) fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// Makes the alarm fire at `at` or before.
    pub(super) fn wake_by(&mut self, at: UnixMillis) {
        self.ledger.wake_by(at);
    }

    /// Writes a row. It replaces an earlier write of the same row in this turn.
    pub(super) fn write(&mut self, mut write: Write) {
        for before in &mut self.writes {
            if is_same_row(before, &write) {
                if let (Write::Jti { expires_at, .. }, Write::Jti { expires_at: later, .. }) = (&*before, &mut write) {
                    *later = (*later).max(*expires_at);
                }
                *before = write;
                return;
            }
        }
        self.writes.push(write);
    }

    /// Writes a prediction, new or changed.
    pub(super) fn write_prediction(&mut self, record: PredictionRecord) {
        self.write(Write::Prediction(Box::new(record)));
    }

    /// Writes a mark.
    pub(super) fn write_mark(
        &mut self,
        name: String,
        doc: &impl Serialize,
        expires_at: UnixMillis,
    ) -> Result<(), RowError> {
        let doc = serde_json::to_string(doc).map_err(|_| RowError)?;
        self.write(Write::Mark { name, doc, expires_at });
        Ok(())
    }

    /// Reads a prediction, as this turn leaves it.
    pub(super) fn prediction(&self, job_id: &JobId) -> Result<Option<PredictionRecord>, RowError> {
        for write in &self.writes {
            match write {
                Write::Prediction(record) if record.job_id == *job_id => return Ok(Some((**record).clone())),
                Write::DeletePrediction(deleted) if deleted == job_id => return Ok(None),
                _ => {}
            }
        }
        self.rows.prediction(job_id)
    }

    /// Reads a prediction that its user may see, as this turn leaves it.
    pub(super) fn visible(&self, job_id: &JobId) -> Result<Option<PredictionRecord>, RowError> {
        Ok(self.prediction(job_id)?.filter(|record| !record.is_erased))
    }

    /// Reads those of the predictions that exist, as this turn leaves them.
    pub(super) fn predictions(&self, job_ids: &[JobId]) -> Result<Vec<PredictionRecord>, RowError> {
        let found: Result<Vec<_>, _> = job_ids.iter().map(|job_id| self.prediction(job_id)).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// Reads the usage of a day, and of a token with caps, as this turn leaves them.
    pub(super) fn usage(&self, day: UtcDay, jti: Option<&str>) -> Result<(DayUsage, JtiUsage), RowError> {
        let written_day = self.writes.iter().find_map(|write| match write {
            Write::Day(usage) if usage.day == day.0 => Some(*usage),
            _ => None,
        });
        let written_jti = self.writes.iter().find_map(|write| match write {
            Write::Jti { jti: written, usage, .. } if Some(written.as_str()) == jti => Some(*usage),
            _ => None,
        });
        let day = written_day.map_or_else(|| self.rows.day(day), Ok)?;
        let jti = match (written_jti, jti) {
            (Some(usage), _) => usage,
            (None, Some(jti)) => self.rows.jti(jti)?,
            (None, None) => JtiUsage::default(),
        };
        Ok((day, jti))
    }

    /// Writes the usage of a day, and of a token with caps. The token's row keeps its expiry.
    pub(super) fn write_usage(&mut self, (day, usage): (DayUsage, JtiUsage), jti: Option<&str>) {
        self.write(Write::Day(day));
        if let Some(jti) = jti {
            self.write(Write::Jti { jti: jti.to_owned(), usage, expires_at: UnixMillis(0) });
        }
    }

    /// Reads a mark as it is stored, whatever this turn writes.
    pub(super) fn mark<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, RowError> {
        let doc = self.rows.mark(name, self.now)?;
        doc.map(|doc| serde_json::from_str(&doc).map_err(|_| RowError)).transpose()
    }

    /// Reads all marks whose names start with `prefix`, as they are stored.
    pub(super) fn marks<T: DeserializeOwned>(&self, prefix: &str) -> Result<Vec<T>, RowError> {
        let docs = self.rows.marks(prefix, self.now)?;
        docs.iter().map(|doc| serde_json::from_str(doc).map_err(|_| RowError)).collect()
    }
}

fn is_same_row(one: &Write, other: &Write) -> bool {
    use Write::{Day, DeleteFile, DeleteMark, DeletePrediction, File, Jti, Mark, Prediction};
    match (one, other) {
        (Prediction(one), Prediction(other)) => one.job_id == other.job_id,
        (Prediction(record), DeletePrediction(job_id)) | (DeletePrediction(job_id), Prediction(record)) => {
            record.job_id == *job_id
        }
        (DeletePrediction(one), DeletePrediction(other)) => one == other,
        (Day(one), Day(other)) => one.day == other.day,
        (Jti { jti: one, .. }, Jti { jti: other, .. }) => one == other,
        (File(one), File(other)) => one.file_id == other.file_id,
        (DeleteFile(one), DeleteFile(other)) => one == other,
        (Mark { name: one, .. } | DeleteMark(one), Mark { name: other, .. } | DeleteMark(other)) => one == other,
        _ => false,
    }
}
