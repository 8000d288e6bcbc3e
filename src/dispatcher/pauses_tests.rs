use proptest::prelude::*;

use super::*;

const START: i64 = 1_768_473_000_000;

fn at(millis: i64) -> UnixMillis {
    UnixMillis(START + millis)
}

fn id(number: u8) -> PauseId {
    PauseId::new(UnixMillis(START), [number; 10])
}

fn model(name: &str) -> ModelId {
    ModelId::parse(name).unwrap()
}

fn x() -> ModelId {
    model("acme/x")
}

fn take(pauses: &mut Pauses, number: u8, model: Option<ModelId>, now: i64, millis: i64) -> Result<(), PauseRefusal> {
    pauses.take(&id(number), model, at(now + millis), false, at(now))
}

#[test]
fn pauses_format_unchanged() {
    let mut pauses = Pauses::default();
    take(&mut pauses, 0, None, 0, 1_000).unwrap();
    take(&mut pauses, 1, Some(x()), 1, 2_000).unwrap();
    pauses.release(&id(0), at(3));
    pauses.release(&id(1), at(7));
    take(&mut pauses, 1, Some(x()), 8, 2_000).unwrap();
    let text = format!(
        r#"{{"leases":{{"{}":{{"model":"acme/x","started_at":1768473000008,"renewed_at":1768473000008,"ends_at":1768473002008}}}},"counted_to":1768473000008,"all_ms":3,"models_ms":{{"acme/x":4}}}}"#,
        id(1)
    );
    assert_eq!(serde_json::to_string(&pauses).unwrap(), text);
    assert_eq!(serde_json::from_str::<Pauses>(&text).unwrap(), pauses);
    assert!(Pauses::default().is_unused() && !pauses.is_unused());
}

#[test]
fn a_lease_ends_by_itself_at_the_second_check_after_its_end() {
    let mut pauses = Pauses::default();
    take(&mut pauses, 0, None, 0, 120_000).unwrap();
    let mut held = |now| {
        pauses.end_expired(at(now));
        (pauses.hold_all(), pauses.next_check())
    };
    assert_eq!(held(119_999), (true, Some(at(120_000))));
    assert_eq!(held(900_000), (true, Some(at(901_000))), "the clock may have stepped forward");
    assert_eq!(held(119_999), (true, Some(at(120_000))), "it had");
    assert_eq!(held(120_000), (true, Some(at(121_000))));
    assert_eq!(held(121_000), (false, None));
}

#[test]
fn a_renewed_lease_goes_on_and_one_that_ended_is_not_renewed() {
    let mut pauses = Pauses::default();
    take(&mut pauses, 0, Some(x()), 0, 1_000).unwrap();
    pauses.end_expired(at(1_500));
    let renew = |pauses: &mut Pauses, model, now| pauses.take(&id(0), model, at(now + 1_000), true, at(now));
    assert_eq!(renew(&mut pauses, Some(model("acme/y")), 1_600), Err(PauseRefusal::Ended), "of another model");
    assert_eq!(renew(&mut pauses, None, 1_600), Ok(()));
    pauses.end_expired(at(2_599));
    assert!(pauses.hold_model(&x()));
    assert_eq!(pauses.leases().next().map(|(_, lease)| (lease.started_at, lease.ends_at)), Some((at(0), at(2_600))));
    pauses.end_expired(at(2_600));
    pauses.end_expired(at(3_600));
    assert_eq!(renew(&mut pauses, None, 3_600), Err(PauseRefusal::Ended));
    assert!(!pauses.hold_model(&x()));
}

#[test]
fn creates_start_when_the_last_lease_is_given_back() {
    let mut pauses = Pauses::default();
    for number in 0..2 {
        take(&mut pauses, number, None, 0, 120_000).unwrap();
    }
    for (number, is_held) in [(0, true), (0, true), (1, false), (1, false)] {
        pauses.release(&id(number), at(1));
        assert_eq!(pauses.hold_all(), is_held);
    }
}

#[test]
fn leases_are_bounded() {
    let mut pauses = Pauses::default();
    for number in 0..PAUSES_MAX {
        take(&mut pauses, u8::try_from(number).unwrap(), None, 0, 60_000).unwrap();
    }
    assert_eq!(take(&mut pauses, 200, None, 10_000, 1), Err(PauseRefusal::TooMany { retry_after_secs: 50 }));
    assert_eq!(take(&mut pauses, 5, None, 10_000, 1), Ok(()), "a repeated message");
}

#[test]
fn a_lease_lasts_no_longer_than_it_was_taken_for_after_the_clock_was_set_back() {
    let mut pauses = Pauses::default();
    take(&mut pauses, 0, None, 0, 120_000).unwrap();
    take(&mut pauses, 1, None, 9_000_000, 60_000).unwrap();
    pauses.set_back(at(1_000));
    let ends: Vec<UnixMillis> = pauses.leases().map(|(_, lease)| lease.ends_at).collect();
    assert_eq!(ends, [at(120_000), at(61_000)]);
    let paused = pauses.paused_millis(&x(), at(1_000));
    assert_eq!(pauses.paused_millis(&x(), at(3_000)), paused + 2_000);
}

/// One step: what happens to a lease, and after how many milliseconds.
fn step() -> impl Strategy<Value = (u8, u8, u8, i64, i64)> {
    (0_u8..4, 0_u8..4, 0_u8..3, 0_i64..900, 1_i64..3_000)
}

proptest! {
    #![proptest_config(crate::testing::property_config())]

    /// Compares what is counted with a look at each millisecond.
    #[test]
    fn paused_time_is_the_time_in_which_a_lease_is_held(steps in prop::collection::vec(step(), 1..40)) {
        let models = [x(), model("acme/y")];
        let (mut pauses, mut now, mut paused) = (Pauses::default(), 0, [0_i64; 2]);
        for (kind, number, of, wait, millis) in steps {
            for _ in 0..wait {
                for (model, paused) in models.iter().zip(&mut paused) {
                    *paused += i64::from(pauses.hold_all() || pauses.hold_model(model));
                }
                now += 1;
            }
            match kind {
                0 => pauses.release(&id(number), at(now)),
                1 => pauses.end_expired(at(now)),
                _ => {
                    let model = models.get(usize::from(of)).cloned();
                    let _ = pauses.take(&id(number), model, at(now + millis), kind == 2, at(now));
                }
            }
            for (model, paused) in models.iter().zip(&paused) {
                prop_assert_eq!(pauses.paused_millis(model, at(now)), *paused);
            }
            let stored: Pauses = serde_json::from_str(&serde_json::to_string(&pauses).unwrap()).unwrap();
            prop_assert_eq!(stored.paused_millis(&models[0], at(now)), paused[0], "after a restart");
        }
    }
}
