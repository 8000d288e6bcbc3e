use super::*;
use proptest::prelude::*;

fn filled(lane: Lane, count: usize) -> RequestWindow {
    let mut window = RequestWindow::default();
    (0..count).for_each(|_| window.record(lane, 60, UnixMillis(0)));
    window
}

const NOW: UnixMillis = UnixMillis(10);
const LATER: UnixMillis = UnixMillis(VENDOR_WINDOW_MILLIS);

#[test]
fn window_format_unchanged() {
    let mut window = filled(Lane::Create, 1);
    window.record(Lane::Status, 60, UnixMillis(1));
    window.apply_vendor_count(VendorCount { remaining: 5, until: UnixMillis(9) });
    let text = r#"{"sent":[[0,"c",1],[1,"s",1]],"closed_until":0,"vendor":{"remaining":5,"until":9}}"#;
    assert_eq!(serde_json::to_string(&window).unwrap(), text);
    assert_eq!(serde_json::from_str::<RequestWindow>(text).unwrap(), window);
}

#[test]
fn cancels_find_room_when_nothing_else_does() {
    let mut window = filled(Lane::Create, 30);
    (0..27).for_each(|_| window.record(Lane::Status, 60, UnixMillis(0)));
    assert_eq!(window.earliest(Lane::Create, 60, NOW), LATER);
    assert_eq!(window.earliest(Lane::Other, 60, NOW), LATER);
    assert_eq!(window.earliest(Lane::Cancel, 60, NOW), NOW);
}

#[test]
fn creates_borrow_half_of_what_polls_do_not_use() {
    // 60, minus 3 for cancels, 11 of 21 for polls, and 2 of 3 for the lane `other`.
    assert_eq!(filled(Lane::Create, 43).earliest(Lane::Create, 60, NOW), NOW);
    let window = filled(Lane::Create, 44);
    assert_eq!(window.earliest(Lane::Create, 60, NOW), LATER);
    assert_eq!(window.earliest(Lane::Status, 60, NOW), NOW);
    assert_eq!(window.earliest(Lane::Other, 60, NOW), NOW);
}

#[test]
fn a_forecast_lets_a_lane_send_as_soon_as_its_oldest_requests_expire() {
    let mut forecast = filled(Lane::Create, 43).forecast(Lane::Create, 60, NOW);
    assert_eq!([NOW, NOW, NOW].map(|at| forecast.send(at)), [NOW, LATER, LATER]);
    let late = LATER.plus_millis(VENDOR_WINDOW_MILLIS);
    assert_eq!([LATER, late].map(|at| forecast.send(at)), [LATER, late]);
    let mut window = RequestWindow::default();
    window.close_until(LATER);
    assert_eq!(window.forecast(Lane::Status, 60, NOW).send(NOW), LATER);
}

#[test]
fn a_large_grant_is_counted_by_the_second() {
    let mut window = RequestWindow::default();
    (0..5_000).for_each(|millis| window.record(Lane::Create, 100_000, UnixMillis(millis)));
    assert_eq!((window.sent.len(), window.count(UnixMillis(5_000))), (6, 5_000));
}

#[test]
fn up_to_six_hundred_a_minute_each_request_counts_by_itself_and_for_its_own_minute() {
    let mut window = RequestWindow::default();
    (0..3).for_each(|millis| window.record(Lane::Create, VENDOR_EXACT_REQUESTS, UnixMillis(millis)));
    assert_eq!(window.sent.len(), 3);
    for (millis, counted) in [(-1, 3), (0, 2), (1, 1), (2, 0)] {
        assert_eq!(window.count(LATER.plus_millis(millis)), counted, "{millis}");
    }
}

#[test]
fn the_other_lane_never_borrows() {
    assert_eq!(filled(Lane::Other, 3).earliest(Lane::Other, 60, NOW), LATER);
}

#[test]
fn the_vendors_silence_holds_for_every_lane() {
    let mut window = RequestWindow::default();
    window.close_until(UnixMillis(500));
    window.close_until(UnixMillis(100));
    assert_eq!(window.earliest(Lane::Cancel, 60, NOW), UnixMillis(500));
}

#[test]
fn the_vendors_count_wins_when_it_says_less() {
    let mut window = RequestWindow::default();
    window.apply_vendor_count(VendorCount { remaining: 4, until: UnixMillis(30_000) });
    assert_eq!(window.earliest(Lane::Create, 60, NOW), NOW);
    window.record(Lane::Create, 60, NOW);
    assert_eq!(window.earliest(Lane::Create, 60, NOW), UnixMillis(30_000));
    assert_eq!(window.earliest(Lane::Cancel, 60, NOW), NOW);
    window.apply_vendor_count(VendorCount { remaining: 50, until: UnixMillis(30_000) });
    assert_eq!(window.earliest(Lane::Create, 60, NOW), UnixMillis(30_000));
    assert_eq!(window.earliest(Lane::Create, 60, UnixMillis(30_000)), UnixMillis(30_000));
}

#[test]
fn the_vendors_count_is_dropped_at_its_end() {
    let mut window = RequestWindow::default();
    window.apply_vendor_count(VendorCount { remaining: 9, until: UnixMillis(30_000) });
    for (now, remaining) in [(29_999, Some(8)), (30_000, None)] {
        window.record(Lane::Create, 60, UnixMillis(now));
        assert_eq!(window.vendor.map(|vendor| vendor.remaining), remaining, "{now}");
    }
}

#[test]
fn a_limit_of_one_still_lets_one_pass() {
    let mut window = RequestWindow::default();
    assert_eq!(window.earliest(Lane::Create, 1, UnixMillis(0)), UnixMillis(0));
    window.record(Lane::Create, 1, UnixMillis(0));
    assert_eq!(window.earliest(Lane::Create, 1, UnixMillis(5)), LATER);
}

proptest! {
    #![proptest_config(crate::testing::property_config())]

    #[test]
    fn no_minute_ever_holds_more_than_the_limit_and_cancels_always_find_three(
        limit in prop_oneof![8_usize..70, 601_usize..610], steps in proptest::collection::vec((0_i64..3_000, 0_usize..4), 1..400)
    ) {
        let mut window = RequestWindow::default();
        let mut now = UnixMillis(0);
        let mut sent = Vec::new();
        for (step, lane) in steps {
            now = now.plus_millis(step);
            let lane = Lane::VARIANTS[lane];
            if window.earliest(lane, limit, now) <= now {
                window.record(lane, limit, now);
                sent.push(now);
            }
            let inside = sent.iter().filter(|at| now.millis_since(**at) < 60_000).count();
            prop_assert!(inside <= limit);
            if lane != Lane::Cancel && window.count(now) + CANCEL_RESERVE_REQUESTS > limit {
                prop_assert!(window.sent.iter().any(|(_, lane, _)| *lane == Lane::Cancel));
            }
        }
    }

    #[test]
    fn the_time_it_names_is_the_first_that_passes(
        limit in 1_usize..20, lane in 0_usize..4, times in proptest::collection::vec((0_i64..10_000, 0_usize..4), 0..60)
    ) {
        let mut window = RequestWindow::default();
        let mut now = UnixMillis(0);
        for (step, lane) in times {
            now = now.plus_millis(step);
            if window.earliest(Lane::VARIANTS[lane], limit, now) <= now {
                window.record(Lane::VARIANTS[lane], limit, now);
            }
        }
        let lane = Lane::VARIANTS[lane];
        let earliest = window.earliest(lane, limit, now);
        prop_assert_eq!(window.earliest(lane, limit, earliest), earliest);
        if earliest > now {
            let before = earliest.plus_millis(-1);
            prop_assert!(window.earliest(lane, limit, before) > before);
        }
    }

    /// While the other lanes are silent, every request passes at its forecast time.
    #[test]
    fn no_forecast_is_too_early(
        limit in 20_usize..200,
        sent in proptest::collection::vec((0_i64..VENDOR_WINDOW_MILLIS, 0_usize..4), 0..300),
    ) {
        let mut window = RequestWindow::default();
        let mut sent = sent;
        sent.sort_unstable();
        for (at, lane) in sent {
            let (at, lane) = (UnixMillis(at), Lane::VARIANTS[lane]);
            if window.earliest(lane, limit, at) <= at {
                window.record(lane, limit, at);
            }
        }
        for lane in [Lane::Create, Lane::Status] {
            let (mut window, mut now) = (window.clone(), LATER);
            let mut forecast = window.forecast(lane, limit, now);
            for _ in 0..limit * 2 {
                now = forecast.send(now);
                prop_assert!(window.earliest(lane, limit, now) <= now, "{lane:?} at {now:?}");
                window.record(lane, limit, now);
            }
        }
    }
}
