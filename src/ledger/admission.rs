//! The admission of a create: checks every limit, then reserves credits.

use serde::{Deserialize, Serialize};

use crate::constants::STATE_CHECK_SLACK_MILLIS;
use crate::limit::minute_window::{Exhausted, MinuteWindow};
use crate::messages::{CreateRequest, DayUsage, JobSpec, JtiCaps, LedgerRefusal};
use crate::types::credits::MicroCredits;
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::time::UnixMillis;

/// The part of its caps that a token has used: a row of `jti`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JtiUsage {
    /// Number of creates.
    pub predictions: u32,
    /// Credits, reserved or spent.
    pub credits: MicroCredits,
}

/// The rows to store for admitted predictions.
#[derive(Clone, Debug, PartialEq)]
pub struct Admission {
    /// The new predictions.
    pub records: Vec<PredictionRecord>,
    /// The day's usage, with the reservations.
    pub day: DayUsage,
    /// The token's usage, with the reservations. `None` for a token without caps.
    pub jti: Option<JtiUsage>,
}

/// Admits predictions, all or none, if the message is in time and the minute window, the day's credits and the token's
/// caps suffice. `usage` is the usage of the day that the ids name ([`JobSpec::day`]), and of the token.
///
/// # Errors
/// - [`LedgerRefusal::Unavailable`] if the edge has given up
/// - [`LedgerRefusal::RateLimited`] if the minute window is full
/// - [`LedgerRefusal::InsufficientCredits`] if credits or caps do not suffice
///
/// Then nothing was counted.
pub fn decide_admission(
    request: &CreateRequest,
    usage: (DayUsage, JtiUsage),
    minute: &mut MinuteWindow,
    now: UnixMillis,
) -> Result<Admission, LedgerRefusal> {
    if request.deadline.is_expired(now) {
        return Err(LedgerRefusal::Unavailable);
    }
    let count = u32::try_from(request.specs.len()).unwrap_or(u32::MAX);
    let most = request.limits.predictions_per_minute;
    let rate_limited = |full: Exhausted| LedgerRefusal::RateLimited { retry_after_secs: full.retry_after_secs };
    minute.check_creates(count, most, now).map_err(rate_limited)?;
    let (mut day, mut jti) = usage;
    for spec in &request.specs {
        day = reserve(day, spec, request.limits.daily_credits)?;
        if let Some(caps) = &request.caps {
            jti = spend_caps(caps, jti, spec.credits)?;
        }
    }
    // Last, because it is the only change here. A create that is refused later gives it back.
    minute.take_creates(count, most, now).map_err(rate_limited)?;
    let records = request.specs.iter().map(|spec| new_record(request, spec, now)).collect();
    Ok(Admission { records, day, jti: request.caps.as_ref().map(|_| jti) })
}

fn reserve(day: DayUsage, spec: &JobSpec, allowance: MicroCredits) -> Result<DayUsage, LedgerRefusal> {
    let reserved = day.reserved.checked_add(spec.credits).ok_or(LedgerRefusal::InsufficientCredits)?;
    if day.spent.checked_add(reserved).is_none_or(|total| total > allowance) {
        return Err(LedgerRefusal::InsufficientCredits);
    }
    Ok(DayUsage { reserved, predictions: day.predictions.saturating_add(1), ..day })
}

fn spend_caps(caps: &JtiCaps, spent: JtiUsage, credits: MicroCredits) -> Result<JtiUsage, LedgerRefusal> {
    let short = LedgerRefusal::InsufficientCredits;
    let predictions = spent.predictions.checked_add(1).ok_or(short)?;
    let credits = spent.credits.checked_add(credits).ok_or(short)?;
    let too_many = caps.max_predictions.is_some_and(|most| predictions > most);
    let too_much = caps.max_credits.is_some_and(|most| credits > most);
    if too_many || too_much { Err(short) } else { Ok(JtiUsage { predictions, credits }) }
}

fn new_record(request: &CreateRequest, spec: &JobSpec, now: UnixMillis) -> PredictionRecord {
    let longest_secs = i64::from(request.max_wait_secs).saturating_add(i64::from(spec.max_seconds));
    PredictionRecord {
        job_id: spec.job_id.clone(),
        model: spec.model.clone(),
        status: Status::Queued,
        sequence: 0,
        created_at: now,
        completed_at: None,
        output: Vec::new(),
        failure: None,
        credits_reserved: spec.credits,
        credits_used: None,
        predict_time: None,
        cancel_requested: false,
        queue: None,
        day: spec.day(),
        jti: request.caps.as_ref().map(|caps| caps.jti.clone()),
        token_id: request.token_id.clone(),
        idempotency_key: request.idempotency_key.as_ref().map(|key| key.value.clone()),
        last_update_at: now,
        state_check_at: now.plus_millis(longest_secs.saturating_mul(1_000).saturating_add(STATE_CHECK_SLACK_MILLIS)),
        batch_id: request.batch_id.clone(),
        withdrawing: false,
        is_erased: false,
        user: None,
    }
}

/// Undoes the admission of a prediction whose create was refused or withdrawn. Returns the usage without it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::testing::{NOW, admit, credits, request, spec};
    use crate::messages::{Deadline, PlanLimits};

    fn caps(max_predictions: Option<u32>, max_credits: Option<&str>) -> JtiCaps {
        JtiCaps { jti: "j".into(), max_predictions, max_credits: max_credits.map(credits), expires_at: NOW }
    }

    #[test]
    fn an_admitted_prediction_reserves_its_price() {
        let admission = admit(&request("2.5")).unwrap();
        assert_eq!((admission.day.reserved, admission.day.predictions), (credits("2.5"), 1));
        assert_eq!(admission.records[0].status, Status::Queued);
        assert_eq!(admission.records[0].state_check_at, NOW.plus_millis(1_800_000));
        assert_eq!(undo_admission(&admission.records[0], admission.day, JtiUsage::default()).0, DayUsage::default());
    }

    #[test]
    fn a_days_credits_are_never_overspent() {
        let short = Err(LedgerRefusal::InsufficientCredits);
        assert_eq!(admit(&request("2.4")), short);
        let spent = DayUsage { spent: credits("48"), ..DayUsage::default() };
        let mut minute = MinuteWindow::default();
        assert_eq!(decide_admission(&request("50"), (spent, JtiUsage::default()), &mut minute, NOW), short);
        assert_eq!(minute.creates_left(10, NOW).remaining, 10);
    }

    #[test]
    fn a_full_minute_is_told_before_credits_that_are_spent() {
        let spent = DayUsage { spent: credits("50"), ..DayUsage::default() };
        let mut minute = MinuteWindow::default();
        let request = request("50");
        minute.take_creates(request.limits.predictions_per_minute, request.limits.predictions_per_minute, NOW).unwrap();
        let refusal = decide_admission(&request, (spent, JtiUsage::default()), &mut minute, NOW).unwrap_err();
        assert!(matches!(refusal, LedgerRefusal::RateLimited { .. }));
    }

    #[test]
    fn a_batch_is_admitted_whole_or_not_at_all() {
        let three = CreateRequest { specs: vec![spec(1), spec(2), spec(3)], ..request("7.5") };
        assert_eq!(admit(&three).unwrap().day.reserved, credits("7.5"));
        let poorer = CreateRequest {
            limits: PlanLimits { daily_credits: credits("7.4"), ..three.limits.clone() },
            ..three.clone()
        };
        assert_eq!(admit(&poorer), Err(LedgerRefusal::InsufficientCredits));
        let slower =
            CreateRequest { limits: PlanLimits { predictions_per_minute: 2, ..three.limits.clone() }, ..three };
        assert!(matches!(admit(&slower), Err(LedgerRefusal::RateLimited { .. })));
    }

    #[test]
    fn a_tokens_caps_are_spent_exactly() {
        let by_count = CreateRequest { caps: Some(caps(Some(2), None)), ..request("50") };
        let mut spent = JtiUsage::default();
        for _ in 0..2 {
            let usage = (DayUsage::default(), spent);
            spent = decide_admission(&by_count, usage, &mut MinuteWindow::default(), NOW).unwrap().jti.unwrap();
        }
        let usage = (DayUsage::default(), spent);
        assert!(decide_admission(&by_count, usage, &mut MinuteWindow::default(), NOW).is_err());
        assert!(admit(&CreateRequest { caps: Some(caps(None, Some("2.4"))), ..request("50") }).is_err());
    }

    #[test]
    fn a_message_that_came_too_late_is_refused() {
        let late = CreateRequest { deadline: Deadline::after(NOW.plus_millis(-4_001), 2_000), ..request("50") };
        assert_eq!(admit(&late).unwrap_err(), LedgerRefusal::Unavailable);
    }
}
