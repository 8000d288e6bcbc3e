use super::*;
use proptest::prelude::*;

const START: UnixMillis = UnixMillis(1_768_473_000_400);

#[test]
fn minute_format_unchanged() {
    let mut minute = MinuteWindow::default();
    minute.take(Counted::Request, 60, START).unwrap();
    minute.take_creates(2, 10, START).unwrap();
    let text = r#"{"requests":[[1768473000400,6]],"creates":[[1768473000,2]]}"#;
    assert_eq!(serde_json::to_string(&minute).unwrap(), text);
    assert_eq!(serde_json::from_str::<MinuteWindow>("{}").unwrap(), MinuteWindow::default());
}

#[test]
fn repeats_and_revocations_have_four_times_the_limit_and_use_up_nothing_else() {
    let mut minute = MinuteWindow::default();
    assert_eq!((0..100).filter(|_| minute.take(Counted::Repeat, 10, START).is_ok()).count(), 40);
    assert_eq!(minute.take(Counted::Repeat, 10, START).unwrap_err().retry_after_secs, 65);
    assert_eq!(minute.left(Counted::Request, 10, START).remaining, 10);
    assert_eq!((0..100).filter(|_| minute.take(Counted::Request, 10, START).is_ok()).count(), 10);
    assert_eq!((0..100).filter(|_| minute.take(Counted::Revocation, 10, START).is_ok()).count(), 40);
    assert_eq!(minute.left(Counted::Repeat, 10, START).limit, 40);
    assert_eq!(minute.ends_at(), START.plus_millis(65_000));
    assert!(minute.take(Counted::Repeat, 10, START.plus_millis(65_000)).is_ok());
    let text = r#"{"requests":[[1768473000400,6]],"repeats":[[1768473000400,24]],"creates":[]}"#;
    let mut minute = MinuteWindow::default();
    minute.take(Counted::Request, 60, START).unwrap();
    minute.take(Counted::Repeat, 60, START).unwrap();
    assert_eq!(serde_json::to_string(&minute).unwrap(), text);
}

#[test]
fn a_block_is_drawn_once_for_a_tenth_of_the_limit() {
    let mut minute = MinuteWindow::default();
    let drawn: Vec<bool> = (0..12).map(|_| minute.take(Counted::Request, 60, START).unwrap()).collect();
    assert_eq!(drawn.iter().filter(|drawn| **drawn).count(), 2);
    assert!(drawn[0] && drawn[6]);
    assert_eq!(minute.left(Counted::Request, 60, START).remaining, 48);
}

#[test]
fn what_a_block_did_not_serve_is_given_back() {
    let mut minute = MinuteWindow::default();
    let mut now = START;
    for _ in 0..20 {
        minute.take(Counted::Request, 18, now).unwrap();
        now = now.plus_millis(6_600);
    }
}

#[test]
fn the_limit_is_reached_exactly_and_comes_back_when_it_says() {
    let mut minute = MinuteWindow::default();
    for _ in 0..60 {
        minute.take(Counted::Request, 60, START).unwrap();
    }
    let left = minute.left(Counted::Request, 60, START);
    assert_eq!((left.remaining, left.reset), (0, UnixSeconds(1_768_473_066)));
    let refused = minute.take(Counted::Request, 60, START.plus_millis(1_000)).unwrap_err();
    assert_eq!(refused.retry_after_secs, 64);
    assert!(minute.take(Counted::Request, 60, START.plus_millis(65_000)).is_ok());
}

#[test]
fn an_instance_that_died_costs_a_tenth_at_most() {
    let mut minute = MinuteWindow::default();
    minute.take(Counted::Request, 60, START).unwrap();
    let text = serde_json::to_string(&minute).unwrap();
    let mut again: MinuteWindow = serde_json::from_str(&text).unwrap();
    assert_eq!(again.left(Counted::Request, 60, START).remaining, 54);
    let served = (0..100).filter(|_| again.take(Counted::Request, 60, START).is_ok()).count();
    assert_eq!(served, 54);
}

#[test]
fn a_batch_counts_whole_or_not_at_all() {
    let mut minute = MinuteWindow::default();
    minute.take_creates(8, 10, START).unwrap();
    let refused = minute.take_creates(3, 10, START.plus_millis(500)).unwrap_err();
    assert_eq!(refused.retry_after_secs, 61);
    minute.take_creates(2, 10, START).unwrap();
    minute.return_creates(2, START);
    assert_eq!(minute.creates_left(10, START).remaining, 2);
    assert_eq!(minute.creates_left(10, START).reset, UnixSeconds(1_768_473_061));
    assert!(minute.take_creates(10, 10, UnixSeconds(1_768_473_061).millis()).is_ok());
}

#[test]
fn what_is_left_comes_back_in_the_moment_that_was_named() {
    let mut minute = MinuteWindow::default();
    for _ in 0..60 {
        minute.take(Counted::Request, 60, START).unwrap();
    }
    minute.take_creates(10, 10, START).unwrap();
    for (millis, requests, creates) in [(60_599, 0, 0), (60_600, 0, 10), (64_999, 0, 10), (65_000, 60, 10)] {
        let now = START.plus_millis(millis);
        let left = (minute.left(Counted::Request, 60, now).remaining, minute.creates_left(10, now).remaining);
        assert_eq!(left, (requests, creates), "{millis}");
    }
}

#[test]
fn creates_of_one_second_are_one_count_and_given_back_as_one() {
    let mut minute = MinuteWindow::default();
    minute.take_creates(1, 10, START).unwrap();
    minute.take_creates(2, 10, START.plus_millis(500)).unwrap();
    assert_eq!(minute.creates, [(START.seconds(), 3)]);
    minute.return_creates(3, START);
    let left = minute.creates_left(10, START);
    assert_eq!((left.remaining, left.reset), (10, START.seconds()));
}

#[test]
fn a_refused_batch_hears_of_the_first_second_that_has_room_for_it() {
    let mut minute = MinuteWindow::default();
    minute.take_creates(5, 10, START).unwrap();
    minute.take_creates(5, 10, START.plus_millis(10_000)).unwrap();
    for (count, retry_after_secs) in [(1, 41), (5, 41), (6, 51), (10, 51)] {
        let refused = minute.check_creates(count, 10, START.plus_millis(20_000)).unwrap_err();
        assert_eq!(refused, Exhausted { retry_after_secs }, "{count}");
    }
}

#[test]
fn a_minute_ends_with_what_counts_longest() {
    let mut minute = MinuteWindow::default();
    assert_eq!(minute.ends_at(), UnixMillis(0));
    minute.take(Counted::Request, 60, START).unwrap();
    assert_eq!((0..100).filter(|_| minute.take(Counted::Revocation, 10, START).is_ok()).count(), 40);
    assert_eq!(minute.left(Counted::Repeat, 10, START).limit, 40);
    assert_eq!(minute.ends_at(), START.plus_millis(65_000));
    minute.take_creates(1, 10, START.plus_millis(5_000)).unwrap();
    assert_eq!(minute.ends_at(), UnixSeconds(1_768_473_066).millis());
    minute.take(Counted::Request, 60, START.plus_millis(10_000)).unwrap();
    assert_eq!(minute.ends_at(), START.plus_millis(75_000));
}

/// Steps of at most two seconds, as a client would take, with a restart now and then.
fn steps() -> impl Strategy<Value = Vec<(i64, bool, bool)>> {
    proptest::collection::vec((-500_i64..2_000, any::<bool>(), proptest::bool::weighted(0.05)), 1..400)
}

proptest! {
    #![proptest_config(crate::testing::property_config())]

    #[test]
    fn no_sixty_seconds_hold_more_than_the_limit(limit in 1_u32..40, steps in steps()) {
        let mut minute = MinuteWindow::default();
        let (mut now, mut latest) = (START, START);
        // The first request shows the window a time before the clock can step back.
        minute.take(Counted::Request, limit, START).unwrap();
        let (mut requests, mut creates) = (vec![START], Vec::new());
        for (step, is_create, dies) in steps {
            now = now.plus_millis(step);
            latest = latest.max(now);
            if dies {
                now = latest;
                minute = serde_json::from_str(&serde_json::to_string(&minute).unwrap()).unwrap();
            }
            let passed = if is_create {
                minute.take_creates(1, limit, now).map(|()| creates.push(latest)).err()
            } else {
                minute.take(Counted::Request, limit, now).map(|_| requests.push(latest)).err()
            };
            for times in [&requests, &creates] {
                let inside = times.iter().filter(|at| latest.millis_since(**at) < 60_000).count();
                prop_assert!(inside <= usize::try_from(limit).unwrap());
            }
            if let Some(refused) = passed {
                // Waiting for `retry_after_secs` is enough.
                let mut later = minute.clone();
                let at = latest.plus_millis(i64::from(refused.retry_after_secs) * 1_000);
                let is_over = if is_create { later.take_creates(1, limit, at).is_ok() } else { later.take(Counted::Request, limit, at).is_ok() };
                prop_assert!(is_over);
            }
        }
    }

    #[test]
    fn remaining_is_what_would_pass_now(limit in 1_u32..50, times in proptest::collection::vec(0_i64..4_000, 0..80)) {
        let mut minute = MinuteWindow::default();
        let mut now = START;
        for step in times {
            now = now.plus_millis(step);
            let _ = minute.take(Counted::Request, limit, now);
            let _ = minute.take_creates(1, limit, now);
        }
        let left = minute.left(Counted::Request, limit, now).remaining;
        let mut probe = minute.clone();
        prop_assert_eq!((0..100).take_while(|_| probe.take(Counted::Request, limit, now).is_ok()).count(), usize::try_from(left).unwrap());
        let left = minute.creates_left(limit, now).remaining;
        let mut probe = minute.clone();
        prop_assert_eq!((0..100).take_while(|_| probe.take_creates(1, limit, now).is_ok()).count(), usize::try_from(left).unwrap());
    }
}
