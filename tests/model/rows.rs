//! A user's rows in memory: what `src/cloudflare/objects/ledger/store.rs` reads and writes by SQL.

use std::collections::{BTreeMap, BTreeSet};

use valetkey::constants::FORGOTTEN_FILES_BATCH;
use valetkey::ledger::{
    FileUsage, FirstExpiries, JtiUsage, LedgerRows, RowError, SHORT_LIVED, Write, next_wake_at, read_readable,
};
use valetkey::messages::DayUsage;
use valetkey::types::file::FileRecord;
use valetkey::types::ids::{FileId, JobId};
use valetkey::types::prediction::{PredictionRecord, Status};
use valetkey::types::retention::Retention;
use valetkey::types::time::{UnixMillis, UtcDay};

use crate::build_before;

#[derive(Clone, Debug, Default)]
pub struct Rows {
    exists: bool,
    /// The predictions, each with the time when it needs the alarm.
    predictions: BTreeMap<JobId, (PredictionRecord, UnixMillis)>,
    pub days: BTreeMap<i64, DayUsage>,
    pub jtis: BTreeMap<String, (JtiUsage, UnixMillis)>,
    pub files: BTreeMap<FileId, FileRecord>,
    pub marks: BTreeMap<String, (String, UnixMillis)>,
    /// Predictions whose rows cannot be read.
    pub unreadable: BTreeSet<JobId>,
    /// Files whose rows cannot be read.
    pub unreadable_files: BTreeSet<FileId>,
}

impl Rows {
    /// Returns a prediction, whether its row can be read or not.
    pub fn record(&self, job_id: &JobId) -> Option<&PredictionRecord> {
        self.predictions.get(job_id).map(|(record, _)| record)
    }

    /// Returns all predictions, whether their rows can be read or not.
    pub fn records(&self) -> impl Iterator<Item = &PredictionRecord> {
        self.predictions.values().map(|(record, _)| record)
    }

    /// Returns whether nothing is stored, not even empty tables.
    pub fn is_deleted(&self) -> bool {
        !self.exists
    }

    /// Rewrites the rows without newer members, as the build before writes them.
    pub fn make_of_build_before(&mut self) {
        self.predictions.values_mut().for_each(|(record, _)| *record = build_before::without(record, &["token_id"]));
        self.files.values_mut().for_each(|file| *file = build_before::without(file, &["used_on"]));
        for (doc, _) in self.marks.iter_mut().filter(|(name, _)| name.starts_with("key:")).map(|(_, mark)| mark) {
            let record: serde_json::Value = serde_json::from_str(doc).unwrap();
            *doc = build_before::without(&record, &["request_hash"]).to_string();
        }
    }

    /// Makes the writes of a turn.
    pub fn apply(&mut self, writes: &[Write]) {
        self.exists |= !writes.is_empty();
        writes.iter().for_each(|write| self.apply_one(write));
    }

    fn apply_one(&mut self, write: &Write) {
        match write {
            Write::Prediction(record) => {
                self.predictions
                    .insert(record.job_id.clone(), ((**record).clone(), next_wake_at(record, Retention::default())));
            }
            Write::DeletePrediction(job_id) => drop(self.predictions.remove(job_id)),
            Write::DeleteEndedPredictions(by) => {
                self.predictions.retain(|_, (record, wake)| !record.status.is_terminal() || *wake > *by);
            }
            Write::Day(day) => drop(self.days.insert(day.day, *day)),
            Write::Jti { jti, usage, expires_at } => {
                let before = self.jtis.get(jti).map_or(UnixMillis(0), |(_, expires_at)| *expires_at);
                self.jtis.insert(jti.clone(), (*usage, before.max(*expires_at)));
            }
            Write::File(file) => drop(self.files.insert(file.file_id.clone(), file.clone())),
            Write::DeleteFile(file_id) => drop(self.files.remove(file_id)),
            Write::Mark { name, doc, expires_at } => {
                self.marks.insert(name.clone(), (doc.clone(), *expires_at));
            }
            Write::DeleteMark(name) => drop(self.marks.remove(name)),
            Write::DeleteShortLivedMarks { prefix, by } => {
                self.marks.retain(|name, (_, expires_at)| !name.starts_with(prefix) || *expires_at > *by);
            }
            Write::DeleteExpiredMarks(by) => {
                self.marks.retain(|name, (_, expires_at)| is_short_lived(name) || *expires_at > *by);
            }
            Write::DeleteDays(until) => self.days.retain(|day, usage| *day > until.0 || usage.reserved.micros() != 0),
            Write::ExpireJtis(at) => {
                self.jtis.values_mut().for_each(|(_, expires_at)| *expires_at = (*expires_at).min(*at));
            }
            Write::DeleteExpiredJtis(by) => self.jtis.retain(|_, (_, expires_at)| *expires_at > *by),
            Write::Postpone { now, until } => {
                for job_id in self.due_ids(*now) {
                    self.predictions.get_mut(&job_id).unwrap().1 = *until;
                }
            }
        }
    }

    fn due_ids(&self, now: UnixMillis) -> Vec<JobId> {
        let mut due: Vec<_> = self.open().filter(|(_, wake)| *wake <= now).collect();
        due.sort_by_key(|(_, wake)| *wake);
        due.into_iter().take(50).map(|(job_id, _)| job_id.clone()).collect()
    }

    /// Returns the predictions that have not ended, each with the time when it needs the alarm.
    fn open(&self) -> impl Iterator<Item = (&JobId, UnixMillis)> {
        let open = self.predictions.iter().filter(|(_, (record, _))| !record.status.is_terminal());
        open.map(|(job_id, (_, wake))| (job_id, *wake))
    }

    fn readable_files<'a>(&self, files: impl Iterator<Item = &'a FileRecord>) -> impl Iterator<Item = FileRecord> {
        files.filter(|file| !self.unreadable_files.contains(&file.file_id)).cloned()
    }

    fn readable(&self, job_id: &JobId) -> Option<PredictionRecord> {
        if self.unreadable.contains(job_id) { None } else { self.record(job_id).cloned() }
    }
}

impl LedgerRows for Rows {
    fn exists(&self) -> Result<bool, RowError> {
        Ok(self.exists)
    }

    fn is_empty(&self) -> Result<bool, RowError> {
        let has_small = self.days.is_empty() && self.jtis.is_empty() && self.files.is_empty() && self.marks.is_empty();
        Ok(has_small && self.predictions.is_empty())
    }

    fn prediction(&self, job_id: &JobId) -> Result<Option<PredictionRecord>, RowError> {
        if self.unreadable.contains(job_id) && self.record(job_id).is_some() {
            return Err(RowError);
        }
        Ok(self.record(job_id).cloned())
    }

    fn page(
        &self,
        limit: u32,
        before: Option<&JobId>,
        status: Option<Status>,
    ) -> Result<Vec<PredictionRecord>, RowError> {
        let before = before.map_or("pred_z", JobId::as_str);
        read_readable(limit as usize + 1, before, |before, count| {
            let older = self.records().filter(|record| record.job_id.as_str() < before);
            let mut wanted: Vec<_> =
                older.filter(|record| status.is_none_or(|status| record.status == status)).collect();
            wanted.reverse();
            let ids = wanted.into_iter().take(count).map(|record| &record.job_id);
            let shown = |job_id| self.readable(job_id).filter(|record| !record.is_erased);
            Ok(ids.map(|job_id| (job_id.to_string(), shown(job_id))).collect())
        })
    }

    fn due(&self, now: UnixMillis) -> Result<Vec<PredictionRecord>, RowError> {
        Ok(self.due_ids(now).iter().filter_map(|job_id| self.readable(job_id)).collect())
    }

    fn next_wake(&self) -> Result<Option<UnixMillis>, RowError> {
        Ok(self.open().map(|(_, wake)| wake).min())
    }

    fn first_expiries(&self) -> Result<FirstExpiries, RowError> {
        let ended = self.predictions.values().filter(|(record, _)| record.status.is_terminal());
        let lasting = self.marks.iter().filter(|(name, _)| !is_short_lived(name));
        let file = self.files.values().filter(|file| file.used_on.is_some()).min_by_key(|file| file.used_on);
        Ok(FirstExpiries {
            prediction: ended.map(|(_, wake)| *wake).min(),
            day: self.days.values().filter(|day| day.reserved.micros() == 0).map(|day| UtcDay(day.day)).min(),
            jti: self.jtis.values().map(|(_, expires_at)| *expires_at).min(),
            mark: lasting.map(|(_, (_, expires_at))| *expires_at).min(),
            file_used_on: file.and_then(|file| file.used_on),
            file: file.map(|file| file.file_id.clone()),
        })
    }

    fn count(&self, status: Status) -> Result<u32, RowError> {
        Ok(self.records().filter(|record| record.status == status).count() as u32)
    }

    fn day(&self, day: UtcDay) -> Result<DayUsage, RowError> {
        Ok(self.days.get(&day.0).copied().unwrap_or(DayUsage { day: day.0, ..DayUsage::default() }))
    }

    fn days(&self, _today: UtcDay) -> Result<Vec<DayUsage>, RowError> {
        Ok(self.days.values().rev().copied().collect())
    }

    fn jti(&self, jti: &str) -> Result<JtiUsage, RowError> {
        Ok(self.jtis.get(jti).map(|(usage, _)| *usage).unwrap_or_default())
    }

    fn file(&self, file_id: &FileId, forgotten: UtcDay) -> Result<Option<FileRecord>, RowError> {
        if self.unreadable_files.contains(file_id) {
            return Err(RowError);
        }
        Ok(self.files.get(file_id).filter(|file| is_kept(file, forgotten)).cloned())
    }

    fn files(&self, limit: u32, before: Option<&FileId>, forgotten: UtcDay) -> Result<Vec<FileRecord>, RowError> {
        let older = self.files.values().rev().filter(|file| before.is_none_or(|before| file.file_id < *before));
        let kept = older.filter(|file| is_kept(file, forgotten));
        Ok(self.readable_files(kept).take(limit as usize + 1).collect())
    }

    fn file_usage(&self, forgotten: UtcDay) -> Result<FileUsage, RowError> {
        let kept = self.files.values().filter(|file| is_kept(file, forgotten));
        Ok(kept.fold(FileUsage::default(), |usage, file| usage.with_file(file.bytes)))
    }

    fn forgotten_files(&self, forgotten: UtcDay) -> Result<Vec<FileRecord>, RowError> {
        let dropped = self.files.values().rev().filter(|file| !is_kept(file, forgotten));
        Ok(self.readable_files(dropped).take(FORGOTTEN_FILES_BATCH).collect())
    }

    fn files_without_use(&self) -> Result<Vec<FileRecord>, RowError> {
        Ok(self.readable_files(self.files.values().filter(|file| file.used_on.is_none())).collect())
    }

    fn mark(&self, name: &str, now: UnixMillis) -> Result<Option<String>, RowError> {
        Ok(self.marks.get(name).filter(|(_, expires_at)| *expires_at > now).map(|(doc, _)| doc.clone()))
    }

    fn marks(&self, prefix: &str, now: UnixMillis) -> Result<Vec<String>, RowError> {
        let named = self.marks.iter().filter(|(name, (_, expires_at))| name.starts_with(prefix) && *expires_at > now);
        Ok(named.map(|(_, (doc, _))| doc.clone()).collect())
    }
}

fn is_short_lived(name: &str) -> bool {
    SHORT_LIVED.iter().any(|prefix| name.starts_with(prefix))
}

fn is_kept(file: &FileRecord, forgotten: UtcDay) -> bool {
    file.used_on.is_none_or(|day| day > forgotten)
}
