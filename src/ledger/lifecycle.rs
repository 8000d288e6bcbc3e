//! The life of an admitted prediction: job updates, settlement, and when its Ledger acts by itself.

use super::admission::JtiUsage;
use crate::constants::{WITHDRAW_RETRY_MILLIS, WITHDRAWN_MILLIS};
use crate::messages::{DayUsage, JobEnd, JobUpdate, Stage};
use crate::types::prediction::{Failure, PredictionRecord, Status};
use crate::types::retention::Retention;
use crate::types::time::UnixMillis;

/// Applies a job update to a prediction. Returns whether it was new. The Ledger and the edge apply the same updates, so
/// the prediction ends at the same time in both.
///
/// Only a higher sequence number is new, and a terminal prediction absorbs every update. So repeated and overtaken
/// messages change nothing.
pub fn apply_update(record: &mut PredictionRecord, update: &JobUpdate, now: UnixMillis) -> bool {
    if record.status.is_terminal() || update.sequence <= record.sequence {
        return false;
    }
    record.sequence = update.sequence;
    record.last_update_at = now;
    // A withdrawal stands while the prediction waits: the reply to it decides. A prediction that was sent goes on.
    record.withdrawing = record.withdrawing && update.stage == Stage::Waiting;
    record.cancel_requested = update.cancel_requested;
    record.queue = update.queue;
    match (&update.end, update.stage) {
        (Some(end), _) => {
            record.status = end.status;
            record.failure = end.failure;
            if !record.is_erased {
                record.output.clone_from(&end.output);
            }
            record.predict_time = end.predict_time;
            record.credits_used = Some(end.credits);
            record.completed_at = Some(update.at.max(record.created_at));
        }
        (None, Stage::Waiting) => record.status = Status::Queued,
        (None, Stage::Submitting | Stage::Running | Stage::Ended) => record.status = Status::Processing,
    }
    true
}

/// Returns the update that ends a prediction which the Dispatcher acknowledged once and no longer knows. Its outcome is
/// unknown, so its reservation is booked: the vendor may have charged for it (protocol 2).
#[must_use]
pub fn build_lost_update(record: &PredictionRecord, now: UnixMillis) -> JobUpdate {
    JobUpdate {
        job_id: record.job_id.clone(),
        sequence: record.sequence.saturating_add(1),
        stage: Stage::Ended,
        at: now,
        cancel_requested: record.cancel_requested,
        queue: None,
        end: Some(JobEnd {
            status: Status::Failed,
            failure: Some(Failure::OutcomeUnknown),
            output: Vec::new(),
            credits: record.credits_reserved,
            predict_time: None,
        }),
        late_at: None,
    }
}

/// Books the cost of an ended prediction and releases the rest of its reservation. Call it once, when [`apply_update`]
/// has just ended the prediction. The vendor's price is booked even if it exceeds the reservation (protocol 5).
#[must_use]
pub fn settle(record: &PredictionRecord, day: DayUsage, jti: JtiUsage) -> (DayUsage, JtiUsage) {
    let used = record.credits_used.unwrap_or_default();
    let day = DayUsage {
        reserved: day.reserved.saturating_sub(record.credits_reserved),
        spent: day.spent.checked_add(used).unwrap_or(day.spent),
        ..day
    };
    let rest = jti.credits.saturating_sub(record.credits_reserved);
    (day, JtiUsage { credits: rest.checked_add(used).unwrap_or(jti.credits), ..jti })
}

/// Returns when a row needs the Ledger's alarm:
///
/// - an ended prediction, to be deleted after its retention, with all that ended in the same hour
/// - a withdrawal, to be retried
/// - a prediction that the Dispatcher has not acknowledged, to ask for its state soon: the instance died in its create
/// - any other prediction, to ask for its state after its longest life
#[must_use]
pub fn next_wake_at(record: &PredictionRecord, retention: Retention) -> UnixMillis {
    match record.completed_at {
        // Not before its create can no longer arrive again.
        Some(completed_at) if record.is_erased => completed_at.plus_millis(WITHDRAWN_MILLIS).hour_end(),
        Some(completed_at) => completed_at.plus_millis(retention.millis()).hour_end(),
        None if record.withdrawing || !record.is_acknowledged() => {
            record.last_update_at.plus_millis(WITHDRAW_RETRY_MILLIS)
        }
        None => record.state_check_at,
    }
}

/// Returns the `status` of a batch (contract 1).
#[must_use]
pub fn batch_status(records: &[PredictionRecord]) -> &'static str {
    let all = |wanted: Status| records.iter().all(|record| record.status == wanted);
    match records {
        _ if records.iter().any(|record| !record.status.is_terminal()) => "processing",
        _ if all(Status::Succeeded) => "succeeded",
        _ if all(Status::Failed) => "failed",
        _ => "partial",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constants::{MILLIS_PER_DAY, MILLIS_PER_HOUR};
    use crate::ledger::admission::{decide_admission, undo_admission};
    use crate::ledger::testing::{NOW, admit, credits, request, spec};
    use crate::limit::minute_window::MinuteWindow;
    use crate::types::credits::MicroCredits;
    use proptest::prelude::*;

    fn ended(credits_used: &str) -> JobUpdate {
        let end = JobEnd {
            status: Status::Succeeded,
            failure: None,
            output: vec!["https://a.example/b".into()],
            credits: credits(credits_used),
            predict_time: None,
        };
        JobUpdate {
            job_id: spec(1).job_id,
            sequence: 3,
            stage: Stage::Ended,
            at: NOW,
            cancel_requested: false,
            queue: None,
            end: Some(end),
            late_at: None,
        }
    }

    fn record() -> PredictionRecord {
        admit(&request("50")).unwrap().records.remove(0)
    }

    #[test]
    fn only_newer_updates_count_and_an_end_is_final() {
        let mut record = record();
        let running = JobUpdate { sequence: 2, stage: Stage::Running, end: None, ..ended("0") };
        assert!(apply_update(&mut record, &running, NOW));
        assert_eq!(record.status, Status::Processing);
        assert!(!apply_update(&mut record, &running, NOW));
        assert!(apply_update(&mut record, &ended("2.5"), NOW));
        let failed = JobEnd { status: Status::Failed, failure: Some(Failure::TimedOut), ..ended("0").end.unwrap() };
        assert!(!apply_update(&mut record, &JobUpdate { sequence: 9, end: Some(failed), ..ended("0") }, NOW));
        assert_eq!((record.status, record.credits_used), (Status::Succeeded, Some(credits("2.5"))));
    }

    #[test]
    fn a_withdrawal_stands_until_its_reply_or_until_the_prediction_was_sent() {
        let mut record = PredictionRecord { withdrawing: true, ..record() };
        let update = |sequence, stage| JobUpdate { sequence, stage, end: None, ..ended("0") };
        apply_update(&mut record, &update(1, Stage::Waiting), NOW);
        assert!(record.withdrawing);
        assert_eq!(next_wake_at(&record, Retention::default()), NOW.plus_millis(WITHDRAW_RETRY_MILLIS));
        apply_update(&mut record, &update(2, Stage::Submitting), NOW);
        assert!(!record.withdrawing);
    }

    #[test]
    fn the_state_of_an_unacknowledged_prediction_is_asked_for_soon() {
        let mut record = record();
        assert_eq!(next_wake_at(&record, Retention::default()), NOW.plus_millis(WITHDRAW_RETRY_MILLIS));
        apply_update(&mut record, &JobUpdate { sequence: 1, stage: Stage::Waiting, end: None, ..ended("0") }, NOW);
        assert_eq!(next_wake_at(&record, Retention::default()), record.state_check_at);
    }

    #[test]
    fn an_ended_prediction_is_kept_for_the_retention_and_to_the_end_of_that_hour() {
        let mut record = record();
        apply_update(&mut record, &ended("1"), NOW);
        for days in [1, 7, 30] {
            let kept = next_wake_at(&record, Retention::from_days(days)).millis_since(NOW);
            let least = i64::from(days) * MILLIS_PER_DAY;
            assert!(kept >= least && kept <= least + MILLIS_PER_HOUR, "{days} days: {kept}");
        }
    }

    #[test]
    fn settlement_books_the_real_price_even_above_the_reservation() {
        let mut admission = admit(&request("50")).unwrap();
        apply_update(&mut admission.records[0], &ended("7"), NOW);
        let (day, _) = settle(&admission.records[0], admission.day, JtiUsage::default());
        assert_eq!((day.reserved, day.spent, day.predictions), (MicroCredits::ZERO, credits("7"), 1));
    }

    #[test]
    fn a_prediction_that_the_dispatcher_lost_ends_as_unknown_and_counts_as_spent() {
        let mut record = record();
        let update = build_lost_update(&record, NOW);
        assert!(apply_update(&mut record, &update, NOW));
        assert_eq!((record.failure, record.credits_used), (Some(Failure::OutcomeUnknown), Some(credits("2.5"))));
    }

    #[test]
    fn a_batch_is_as_its_predictions_are() {
        let with = |statuses: &[Status]| {
            let records: Vec<_> =
                statuses.iter().map(|status| PredictionRecord { status: *status, ..record() }).collect();
            batch_status(&records)
        };
        assert_eq!(with(&[Status::Succeeded, Status::Queued]), "processing");
        assert_eq!(with(&[Status::Succeeded, Status::Succeeded]), "succeeded");
        assert_eq!(with(&[Status::Failed, Status::Failed]), "failed");
        assert_eq!(with(&[Status::Failed, Status::Succeeded]), "partial");
        assert_eq!(with(&[Status::Canceled]), "partial");
    }

    proptest! {
        #![proptest_config(crate::testing::property_config())]

        #[test]
        fn reservations_and_settlements_balance(ends in proptest::collection::vec((any::<bool>(), 0_i64..20_000_000), 1..40)) {
            let mut day = DayUsage::default();
            let mut spent = MicroCredits::ZERO;
            for (is_refused, used) in ends {
                let usage = (day, JtiUsage::default());
                let Ok(admission) = decide_admission(&request("1000"), usage, &mut MinuteWindow::default(), NOW) else { continue };
                let mut record = admission.records[0].clone();
                if is_refused {
                    day = undo_admission(&record, admission.day, JtiUsage::default()).0;
                } else {
                    let used = MicroCredits::from_micros(used).unwrap();
                    apply_update(&mut record, &ended(&used.to_string()), NOW);
                    day = settle(&record, admission.day, JtiUsage::default()).0;
                    spent = spent.checked_add(used).unwrap();
                }
                prop_assert_eq!(day.reserved, MicroCredits::ZERO);
                prop_assert_eq!(day.spent, spent);
            }
        }
    }
}
