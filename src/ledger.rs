//! A user's Ledger as arithmetic: admission, news, settlement. The Durable Object around it loads the rows that a
//! function takes and stores those that it returns, in one transaction.

use serde::{Deserialize, Serialize};

use crate::constants::{POKE_AFTER_MILLIS, RETENTION_MILLIS, SILENCE_SLACK_MILLIS, WITHDRAW_RETRY_MILLIS};
use crate::credits::MicroCredits;
use crate::messages::{DayUsage, Deadline, EnqueueRefusal, JobNews, JtiCaps, LedgerRefusal, Order, PlanLimits, Stage};
use crate::prediction::{PredictionRecord, Status};
use crate::time::UnixMillis;

/// What a token has spent of its caps: a row of `jti`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JtiUsage {
    /// Created.
    pub predictions: u32,
    /// Held or booked.
    pub credits: MicroCredits,
}

/// Rows to store for an admitted prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct Admission {
    /// The new prediction.
    pub record: PredictionRecord,
    /// The day's use with the reservation.
    pub day: DayUsage,
    /// The token's use with the reservation.
    pub jti: Option<JtiUsage>,
}

/// Admits a prediction: the message is in time, and the day's credits and the token's caps suffice.
///
/// # Errors
/// [`LedgerRefusal::Unavailable`] when the edge gave up; [`LedgerRefusal::InsufficientCredits`].
pub fn decide_admission(
    order: &Order,
    limits: &PlanLimits,
    caps: Option<&JtiCaps>,
    usage: (DayUsage, JtiUsage),
    (deadline, max_wait_secs): (Deadline, u32),
    now: UnixMillis,
) -> Result<Admission, LedgerRefusal> {
    if deadline.is_expired(now) {
        return Err(LedgerRefusal::Unavailable);
    }
    let (day, jti) = usage;
    let short = LedgerRefusal::InsufficientCredits;
    let reserved = day.reserved.checked_add(order.credits).ok_or(short)?;
    if day.spent.checked_add(reserved).is_none_or(|total| total > limits.daily_credits) {
        return Err(short);
    }
    let jti = caps.map(|caps| spend_caps(caps, jti, order.credits)).transpose()?;
    let longest_secs = i64::from(max_wait_secs).saturating_add(i64::from(order.max_seconds));
    let record = PredictionRecord {
        job_id: order.job_id.clone(),
        model: order.model.clone(),
        status: Status::Queued,
        sequence: 0,
        created_at: now,
        completed_at: None,
        output: Vec::new(),
        failure: None,
        credits_reserved: order.credits,
        credits_used: None,
        predict_time: None,
        cancel_requested: false,
        queue: None,
        day: now.utc_day(),
        jti: caps.map(|caps| caps.jti.clone()),
        heard_at: now,
        ask_at: now.plus_millis(longest_secs.saturating_mul(1_000).saturating_add(SILENCE_SLACK_MILLIS)),
        withdrawing: false,
    };
    let day = DayUsage { reserved, predictions: day.predictions.saturating_add(1), ..day };
    Ok(Admission { record, day, jti })
}

fn spend_caps(caps: &JtiCaps, spent: JtiUsage, credits: MicroCredits) -> Result<JtiUsage, LedgerRefusal> {
    let short = LedgerRefusal::InsufficientCredits;
    let predictions = spent.predictions.checked_add(1).ok_or(short)?;
    let credits = spent.credits.checked_add(credits).ok_or(short)?;
    let too_many = caps.max_predictions.is_some_and(|most| predictions > most);
    let too_much = caps.max_credits.is_some_and(|most| credits > most);
    if too_many || too_much { Err(short) } else { Ok(JtiUsage { predictions, credits }) }
}

/// What a refused or withdrawn create gives back: as if it had never been.
#[must_use]
pub fn undo_admission(record: &PredictionRecord, day: DayUsage, jti: JtiUsage) -> (DayUsage, JtiUsage) {
    let day = DayUsage {
        reserved: day.reserved.saturating_sub(record.credits_reserved),
        predictions: day.predictions.saturating_sub(1),
        ..day
    };
    let jti = JtiUsage {
        predictions: jti.predictions.saturating_sub(1),
        credits: jti.credits.saturating_sub(record.credits_reserved),
    };
    (day, jti)
}

/// Applies news to a prediction. `true` when they were new. Only a higher number counts, and a terminal prediction
/// absorbs everything, so that repeated and overtaken messages change nothing.
pub fn apply_news(record: &mut PredictionRecord, news: &JobNews, now: UnixMillis) -> bool {
    if record.status.is_terminal() || news.sequence <= record.sequence {
        return false;
    }
    record.sequence = news.sequence;
    record.heard_at = now;
    record.withdrawing = false;
    record.cancel_requested = news.cancel_requested;
    record.queue = news.queue;
    match (&news.end, news.stage) {
        (Some(end), _) => {
            record.status = end.status;
            record.failure = end.failure;
            record.output.clone_from(&end.output);
            record.predict_time = end.predict_time;
            record.credits_used = Some(end.credits);
            record.completed_at = Some(now);
        }
        (None, Stage::Waiting) => record.status = Status::Queued,
        (None, Stage::Submitting | Stage::Running | Stage::Ended) => record.status = Status::Processing,
    }
    true
}

/// Books what an ended prediction cost and releases the rest: once, when [`apply_news`] has just ended it. The
/// vendor's price is booked even where it exceeds the reservation (protocol 5).
#[must_use]
pub fn settle(record: &PredictionRecord, day: DayUsage, jti: JtiUsage) -> (DayUsage, JtiUsage) {
    let used = record.credits_used.unwrap_or_default();
    let most = |sum: Option<MicroCredits>, otherwise: MicroCredits| sum.unwrap_or(otherwise);
    let day = DayUsage {
        reserved: day.reserved.saturating_sub(record.credits_reserved),
        spent: most(day.spent.checked_add(used), day.spent),
        ..day
    };
    let rest = jti.credits.saturating_sub(record.credits_reserved);
    (day, JtiUsage { credits: most(rest.checked_add(used), jti.credits), ..jti })
}

/// Whether a prediction that is read now has been silent so long that the Dispatcher is poked (protocol 2).
#[must_use]
pub const fn wants_poke(record: &PredictionRecord, now: UnixMillis) -> bool {
    !record.status.is_terminal() && now.millis_since(record.heard_at) >= POKE_AFTER_MILLIS
}

/// When a row needs the Ledger's own alarm: to withdraw again, to ask for its state, or to be forgotten.
#[must_use]
pub fn wakes_at(record: &PredictionRecord) -> UnixMillis {
    match record.completed_at {
        Some(completed_at) => completed_at.plus_millis(RETENTION_MILLIS),
        None if record.withdrawing => record.heard_at.plus_millis(WITHDRAW_RETRY_MILLIS),
        None => record.ask_at,
    }
}

impl From<EnqueueRefusal> for LedgerRefusal {
    fn from(refusal: EnqueueRefusal) -> Self {
        match refusal {
            EnqueueRefusal::QueueFull { retry_after_secs } => Self::QueueFull { retry_after_secs },
            EnqueueRefusal::UpstreamUnavailable { retry_after_secs } => Self::UpstreamUnavailable { retry_after_secs },
            EnqueueRefusal::Expired => Self::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::JobId;
    use crate::messages::JobEnd;
    use crate::model::ModelId;
    use crate::prediction::Failure;
    use proptest::prelude::*;

    const NOW: UnixMillis = UnixMillis(1_768_473_000_000);

    fn credits(text: &str) -> MicroCredits {
        MicroCredits::parse(text).unwrap()
    }

    fn order() -> Order {
        Order {
            job_id: JobId::new(NOW, [1; 10]),
            model: ModelId::parse("acme/model-x").unwrap(),
            input: serde_json::Map::new(),
            image_count: 1,
            credits: credits("2.5"),
            max_seconds: 600,
        }
    }

    fn limits(daily: &str) -> PlanLimits {
        PlanLimits {
            plan: "default".into(),
            requests_per_minute: 60,
            predictions_per_minute: 10,
            concurrent_predictions: 2,
            daily_credits: credits(daily),
            weight: 1,
            max_waiting: 20,
        }
    }

    fn admit(daily: &str, caps: Option<&JtiCaps>, usage: (DayUsage, JtiUsage)) -> Result<Admission, LedgerRefusal> {
        decide_admission(&order(), &limits(daily), caps, usage, (Deadline::after(NOW, 2_000), 600), NOW)
    }

    fn ended(credits_used: &str) -> JobNews {
        let end = JobEnd {
            status: Status::Succeeded,
            failure: None,
            output: vec!["https://a.example/b".into()],
            credits: credits(credits_used),
            predict_time: None,
        };
        JobNews {
            job_id: order().job_id,
            sequence: 3,
            stage: Stage::Ended,
            at: NOW,
            cancel_requested: false,
            queue: None,
            end: Some(end),
        }
    }

    #[test]
    fn the_days_credits_are_spent_exactly() {
        let mut usage = DayUsage::default();
        for _ in 0..4 {
            usage = admit("10", None, (usage, JtiUsage::default())).unwrap().day;
        }
        assert_eq!((usage.reserved, usage.predictions), (credits("10"), 4));
        let refused = admit("10", None, (usage, JtiUsage::default()));
        assert_eq!(refused.unwrap_err(), LedgerRefusal::InsufficientCredits);
    }

    #[test]
    fn a_tokens_caps_are_spent_exactly() {
        let caps = |predictions, most| JtiCaps {
            jti: "j".into(),
            max_predictions: predictions,
            max_credits: most,
            expires_at: NOW,
        };
        let by_count = caps(Some(2), None);
        let mut spent = JtiUsage::default();
        for _ in 0..2 {
            spent = admit("50", Some(&by_count), (DayUsage::default(), spent)).unwrap().jti.unwrap();
        }
        assert!(admit("50", Some(&by_count), (DayUsage::default(), spent)).is_err());
        let by_credits = caps(None, Some(credits("2.4")));
        assert!(admit("50", Some(&by_credits), Default::default()).is_err());
    }

    #[test]
    fn a_message_that_came_too_late_is_refused() {
        let deadline = Deadline::after(NOW.plus_millis(-4_001), 2_000);
        let refused = decide_admission(&order(), &limits("50"), None, Default::default(), (deadline, 600), NOW);
        assert_eq!(refused.unwrap_err(), LedgerRefusal::Unavailable);
    }

    #[test]
    fn only_newer_news_count_and_an_end_is_final() {
        let mut record = admit("50", None, Default::default()).unwrap().record;
        let running = JobNews { sequence: 2, stage: Stage::Running, end: None, ..ended("0") };
        assert!(apply_news(&mut record, &running, NOW));
        assert_eq!(record.status, Status::Processing);
        assert!(!apply_news(&mut record, &running, NOW));
        assert!(apply_news(&mut record, &ended("2.5"), NOW));
        let failed = JobEnd { status: Status::Failed, failure: Some(Failure::TimedOut), ..ended("0").end.unwrap() };
        assert!(!apply_news(&mut record, &JobNews { sequence: 9, end: Some(failed), ..ended("0") }, NOW));
        assert_eq!((record.status, record.credits_used), (Status::Succeeded, Some(credits("2.5"))));
    }

    #[test]
    fn settlement_books_the_real_price_even_above_the_reservation() {
        let mut admission = admit("50", None, Default::default()).unwrap();
        apply_news(&mut admission.record, &ended("7"), NOW);
        let (day, _) = settle(&admission.record, admission.day, JtiUsage::default());
        assert_eq!((day.reserved, day.spent, day.predictions), (MicroCredits::ZERO, credits("7"), 1));
    }

    proptest! {
        #[test]
        fn reservations_and_settlements_balance(ends in proptest::collection::vec((any::<bool>(), 0_i64..20_000_000), 1..40)) {
            let mut day = DayUsage::default();
            let mut spent = MicroCredits::ZERO;
            for (is_refused, used) in ends {
                let Ok(admission) = admit("1000", None, (day, JtiUsage::default())) else { continue };
                let mut record = admission.record;
                if is_refused {
                    day = undo_admission(&record, admission.day, JtiUsage::default()).0;
                } else {
                    let used = MicroCredits::from_micros(used).unwrap();
                    apply_news(&mut record, &ended(&used.to_string()), NOW);
                    day = settle(&record, admission.day, JtiUsage::default()).0;
                    spent = spent.checked_add(used).unwrap();
                }
                prop_assert_eq!(day.reserved, MicroCredits::ZERO);
                prop_assert_eq!(day.spent, spent);
            }
        }
    }
}
