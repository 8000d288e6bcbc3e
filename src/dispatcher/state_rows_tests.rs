use super::*;
use crate::dispatcher::DispatcherLimits;
use crate::dispatcher::accounts::Accounts;
use crate::dispatcher::fair_queue::Entry;
use crate::dispatcher::job_terms::JobTerms;
use crate::limit::request_window::{Lane, RequestWindow};
use crate::messages::{JobSpec, QueueShare};
use crate::policy::parse_policy;
use crate::types::credits::MicroCredits;
use crate::types::ids::{JobId, PauseId, UserKey};
use crate::types::model::ModelId;
use crate::types::time::{UnixSeconds, UtcDay};

const NOW: UnixMillis = UnixMillis(1_768_473_000_000);

/// A state in which every part has something.
fn state() -> StoredState {
    let mut state = StoredState {
        deficits: [(Entry::user(&UserKey::new("i", "s")), -2)].into(),
        pool_deficits: [("free".to_owned(), [(Entry::user(&UserKey::new("i", "s")), 3)].into())].into(),
        average_run_ms: 5,
        average_runs: [(ModelId::parse("acme/x").unwrap(), 6)].into(),
        clock: NOW,
        models: Some(vec![ModelId::parse("acme/x").unwrap()]),
        models_asked_at: UnixMillis(4),
        revoked_before: Some(UnixSeconds(5)),
        ..StoredState::default()
    };
    state.window.record(Lane::Create, 60, NOW);
    state.health.penalize_slots(UnixMillis(0));
    for name in ["", "free"] {
        state.accounts.reserve(name, UtcDay(20_468), MicroCredits::parse("5").unwrap());
    }
    state
}

/// Returns all rows of a state, sorted by name.
fn rows_of(state: &StoredState) -> Vec<(String, String)> {
    let rows = StoredRows::default().update(state, true, true);
    let mut rows: Vec<_> = rows.into_iter().map(|(name, doc)| (name, doc.unwrap())).collect();
    rows.sort();
    rows
}

fn pools() -> BTreeMap<String, Pool> {
    let plans = |credits: &str| {
        format!(
            r#"{{"requests_per_minute":1,"predictions_per_minute":1,"concurrent_predictions":1,"daily_credits":"1"{credits}}}"#
        )
    };
    let (free, other) = (plans(r#","pool_daily_credits":"9""#), plans(""));
    let policy =
        format!(r#"{{"plans":{{"free":{free},"default":{other}}},"models":{{"a/b":{{"credits":"1","input":{{}}}}}}}}"#);
    DispatcherLimits::new(&parse_policy(&policy).unwrap()).pools
}

fn read(rows: &[(String, String)]) -> LoadedState {
    LoadedState::read(rows, &[], &pools(), NOW)
}

#[test]
fn state_rows_format_unchanged() {
    let rows = rows_of(&state());
    let user = UserKey::new("i", "s");
    let turns = format!(r#"{{"deficits":{{"{}":-2}}}}"#, user.as_str());
    let pool = format!(r#"{{"pool_deficits":{{"free":{{"{}":3}}}}}}"#, user.as_str());
    let expected = [
        ("revocation", r#"{"revoked_by":5}"#),
        ("spending:", r#"{"accounts":[{"name":"","day":20468,"spent":0,"reserved":5000000}]}"#),
        ("spending:free", r#"{"accounts":[{"name":"free","day":20468,"spent":0,"reserved":5000000}]}"#),
        ("time", r#"{"clock":1768473000000,"average_run_ms":5,"average_runs":{"acme/x":6}}"#),
        ("turns", &turns),
        ("turns:free", &pool),
        ("vendor_health", r#"{"health":{"failures":0,"slot_penalty_until":60000,"creates_rest_until":0}}"#),
        ("vendor_models", r#"{"models":["acme/x"],"models_asked_at":4}"#),
        ("window", r#"{"window":{"sent":[[1768473000000,"c",1]],"closed_until":0}}"#),
    ];
    assert_eq!(rows, expected.map(|(name, doc)| (name.to_owned(), doc.to_owned())));
    assert_eq!(read(&rows), LoadedState { state: state(), ..LoadedState::default() });
    // After a rollback, the build before reads the first row as its document.
    assert_eq!(serde_json::from_str::<StoredState>(&rows[0].1).unwrap().revoked_before, Some(UnixSeconds(5)));
}

#[test]
fn the_document_of_the_build_before_is_carried_over_and_wins_over_older_rows() {
    let mut rows = vec![("main".to_owned(), serde_json::to_string(&state()).unwrap())];
    let loaded = read(&rows);
    assert_eq!((&loaded.state, loaded.unreadable.len()), (&state(), 0));
    assert_eq!(loaded.replaced, ["main"]);
    rows.push(("revocation".to_owned(), r#"{"revoked_by":9}"#.to_owned()));
    rows.push(("spending:other".to_owned(), r#"{"accounts":[]}"#.to_owned()));
    rows.push(("newer".to_owned(), String::new()));
    let loaded = read(&rows);
    assert_eq!(loaded.state, StoredState { revoked_before: Some(UnixSeconds(9)), ..state() });
    assert_eq!(loaded.replaced, ["main", "revocation", "spending:other"]);
}

#[test]
fn an_unreadable_row_is_lost_alone() {
    let rows = rows_of(&state());
    for at in 0..rows.len() {
        let mut damaged = rows.clone();
        damaged[at].1 = r#"{"window":{"sent":[[1,"lane of a newer version",1]]}}"#.to_owned();
        let loaded = read(&damaged);
        let kind = rows[at].0.split(':').next().unwrap();
        assert_eq!(loaded.unreadable, [kind]);
        let is_other = |(name, _): &(String, String)| *name != rows[at].0;
        let left: Vec<_> = rows_of(&loaded.state).into_iter().filter(is_other).collect();
        let expected: Vec<_> = rows.iter().filter(|row| is_other(row)).cloned().collect();
        assert_eq!(left, expected);
    }
}

#[test]
fn an_unreadable_member_of_the_document_of_the_build_before_is_lost_alone() {
    let text = serde_json::to_string(&state()).unwrap().replace(r#""c",1]"#, r#""lane of a newer version",1]"#);
    let loaded = read(&[("main".to_owned(), text)]);
    assert_eq!(loaded.unreadable, ["window"]);
    let window = RequestWindow::default();
    assert_eq!(StoredState { window: window.clone(), ..loaded.state.clone() }, StoredState { window, ..state() });
    assert_eq!(loaded.state.window.earliest(Lane::Create, 60, NOW), NOW.plus_millis(VENDOR_WINDOW_MILLIS));
}

/// A job of one day, that reserves 2 credits.
fn job(plan: &str) -> Job {
    let spec = JobSpec {
        job_id: JobId::new(NOW, [1; 10]),
        model: ModelId::parse("acme/x").unwrap(),
        input: Map::new(),
        image_count: 1,
        credits: MicroCredits::parse("2").unwrap(),
        max_seconds: 600,
    };
    let share = QueueShare { plan: plan.into(), weight: 1, concurrent_predictions: 1, max_waiting: 1 };
    Job::new(UserKey::new("i", "s"), JobTerms::split(spec).0, share, NOW)
}

/// The row of the clock was older than a pause, or could not be read, and the clock had been set back since. The pause did
/// not count before the clock had passed its start again: waits in it ended too early.
#[test]
fn the_clock_is_not_behind_a_pause() {
    let at = |millis| NOW.plus_millis(millis);
    let pause = PauseId::new(NOW, [1; 10]);
    let mut state = state();
    for paused_at in [at(30_000), at(40_000)] {
        state.pauses.take(&pause, None, at(90_000), false, paused_at).unwrap();
        assert_eq!(read(&rows_of(&state)).state.clock, paused_at, "taken, then renewed");
    }
    state.pauses.release(&pause, at(50_000));
    assert_eq!(read(&rows_of(&state)).state.clock, at(50_000));
}

#[test]
fn only_plans_with_daily_credits_have_an_account() {
    let mut state = state();
    state.accounts = Accounts::default();
    for name in ["", "default"] {
        state.accounts.reserve(name, NOW.utc_day(), MicroCredits::parse("5").unwrap());
    }
    let rows = rows_of(&state);
    let loaded = LoadedState::read(&rows, &[job("free"), job("default")], &pools(), NOW);
    let reserved = |name| loaded.state.accounts.usage(name, NOW.utc_day()).1.to_string();
    assert_eq!([reserved(""), reserved("default"), reserved("free")], ["5", "0", "2"], "the open job's");
    assert_eq!(loaded.replaced, ["spending:default"], "its row is deleted, or it would be wrong once it is needed");
}

#[test]
fn only_rows_that_changed_are_written() {
    let mut state = state();
    let mut stored = StoredRows::of(&state);
    let mut changed = |state: &StoredState| {
        stored.update(state, true, false).into_iter().map(|(name, doc)| (name, doc.is_some())).collect::<Vec<_>>()
    };
    state.clock = NOW.plus_millis(CLOCK_STORED_MILLIS);
    assert_eq!(changed(&state), [], "the clock alone is not worth a row");
    state.accounts.reserve("free", UtcDay(20_468), MicroCredits::parse("1").unwrap());
    assert_eq!(changed(&state), [("spending:free".into(), true), ("time".into(), true)]);
    assert_eq!(changed(&state), []);
    state.clock = NOW.plus_millis(CLOCK_STORED_MILLIS + 1);
    state.deficits.clear();
    assert_eq!(changed(&state), [("turns".into(), true)]);
    state.accounts = Accounts::default();
    assert_eq!(changed(&state), [("spending:".into(), false), ("spending:free".into(), false)]);
    state.average_run_ms = 9;
    assert_eq!(changed(&state), [], "averages are stored with the clock");
}
