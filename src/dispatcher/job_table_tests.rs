use proptest::prelude::*;
use serde_json::Map;

use super::*;
use crate::dispatcher::job_terms::JobTerms;
use crate::dispatcher::{Action, Dispatcher, DispatcherLimits, StoredState};
use crate::messages::{Deadline, DispatcherReply, JobSpec, QueueShare};
use crate::policy::parse_policy;
use crate::types::credits::MicroCredits;
use crate::types::model::ModelId;
use crate::vendor::body::VendorBody;
use crate::vendor::reply::{VendorReply, VendorResponse};

const NOW: UnixMillis = UnixMillis(1_768_473_000_000);
const MAX_WAIT: i64 = 600_000;

fn job_id(number: usize) -> JobId {
    JobId::new(NOW.plus_millis(i64::try_from(number).unwrap() - 20_000), [0; 10])
}

fn model(number: usize) -> ModelId {
    ModelId::parse(["acme/model-x", "acme/model-y"][number % 2]).unwrap()
}

fn spec(number: usize, of_model: usize) -> JobSpec {
    JobSpec {
        job_id: job_id(number),
        model: model(of_model),
        input: Map::new(),
        image_count: 1,
        credits: MicroCredits::ZERO,
        max_seconds: 600,
    }
}

fn share(number: usize) -> QueueShare {
    let plan = ["default", "guest"][number % 2].to_owned();
    QueueShare { plan, weight: 1, concurrent_predictions: 2, max_waiting: 100_000 }
}

fn user(number: usize) -> UserKey {
    UserKey::new("i", &number.to_string())
}

/// A job of a user, whose plan and model follow from its number.
fn job(number: usize, of: usize) -> Job {
    Job::new(user(of), JobTerms::split(spec(number, number / 3)).0, share(of / 2), NOW)
}

/// One change of a job.
fn change(job: &mut Job, kind: u8, at: i64) {
    let at = NOW.plus_millis(at);
    match kind {
        0 => (job.state, job.submitted_at) = (JobState::Submitting, Some(at)),
        1 => {
            // A row without the vendor's id is damaged, and is in nobody's way.
            let vendor_id = (at.0 % 4 != 0).then(|| "v".to_owned());
            (job.state, job.poll_at, job.vendor_id) = (JobState::Running, at, vendor_id);
        }
        2 => job.state = JobState::Unknown,
        3 => (job.state, job.is_returned) = (JobState::Waiting, true),
        4 => (job.cancel_requested, job.cancel_at) = (true, at),
        5 => job.cancel_sent = true,
        6 => job.expiry_seen_at = Some(at),
        7 => (job.enqueued_at, job.paused_before_ms) = (at, at.0 % 3),
        8 => job.spec.drop_input(),
        _ => job.share.concurrent_predictions = 1,
    }
}

/// Compares everything that the table says with a scan of all jobs.
fn check(table: &JobTable) {
    let jobs = || table.rows.values();
    for state in [JobState::Waiting, JobState::Submitting, JobState::Running, JobState::Unknown] {
        let scanned: Vec<&Job> = jobs().filter(|job| job.state == state).collect();
        assert_eq!((table.count(state), table.in_state(state).collect::<Vec<_>>()), (scanned.len(), scanned));
    }
    let times = |at: &dyn Fn(&Job) -> Option<UnixMillis>| {
        let timed = jobs().filter_map(|job| Some((at(job)?, job.spec.job_id.clone())));
        timed.collect::<BTreeSet<_>>()
    };
    let has_vendor_id = |job: &Job| job.vendor_id.is_some();
    let polls = times(&|job| (has_vendor_id(job) && job.state == JobState::Running).then_some(job.poll_at));
    let cancels = times(&|job| (has_vendor_id(job) && job.needs_cancel()).then_some(job.cancel_at));
    assert!(table.polls().eq(polls.iter()) && table.cancels().eq(cancels.iter()));
    assert!(table.expiries().eq(times(&Job::expiry_check_at).iter()));
    for model in [model(0), model(1)] {
        let waits = times(&|job| job.wait_check_at(MAX_WAIT).filter(|_| job.spec.model == model));
        assert!(table.waits(&model).eq(waits.iter()));
        let first = table.first_waits().find(|(other, _)| **other == model).map(|(_, at)| at);
        assert_eq!(first, waits.first().map(|(at, _)| *at));
    }
    let counts = |is_counted: &dyn Fn(&Job) -> bool| {
        let counted = || jobs().filter(|job| is_counted(job));
        JobCounts {
            waiting: counted().filter(|job| job.state == JobState::Waiting).count(),
            held: counted().filter(|job| job.holds_slot()).count(),
            input_bytes: counted().map(|job| job.spec.input_bytes()).sum(),
        }
    };
    assert_eq!(table.counts(), counts(&|_| true));
    for key in (0..8).map(user) {
        assert_eq!(table.counts_of_user(&key), counts(&|job| job.user == key));
        let waits = jobs().any(|job| job.user == key && job.state == JobState::Waiting);
        assert_eq!(
            (table.waiting().has_waiting(&key), table.waiting().held_by(&key)),
            (waits, table.counts_of_user(&key).held)
        );
    }
    for plan in ["default", "guest"] {
        assert_eq!(table.counts_of_plan(plan), counts(&|job| job.share.plan == plan));
    }
    check_waiting(table);
}

/// Compares which jobs may start, with each plan and each model closed or not.
fn check_waiting(table: &JobTable) {
    let waiting = table.waiting();
    let jobs = || table.rows.values().filter(|job| job.state == JobState::Waiting);
    let returned: BTreeSet<_> =
        jobs().filter(|job| job.is_returned).map(|job| (job.enqueued_at, &job.spec.job_id)).collect();
    assert!(waiting.returned().eq(returned.into_iter().map(|(_, id)| id)));
    for closed in 0..4 {
        assert_eq!(waiting.has_model(&model(closed)), jobs().any(|job| job.spec.model == model(closed)));
        let is_open =
            |plan: &str, of: &ModelId| (closed < 2 || *of != model(closed)) && (closed % 2 == 0 || plan != "guest");
        let is_startable = |job: &&Job| {
            let held = table.rows.values().filter(|other| other.user == job.user && other.holds_slot()).count();
            held < usize::try_from(job.share.concurrent_predictions).unwrap()
                && is_open(&job.share.plan, &job.spec.model)
        };
        let mut seen = BTreeSet::new();
        let heads: Vec<&JobId> =
            jobs().filter(is_startable).filter(|job| seen.insert(&job.user)).map(|job| &job.spec.job_id).collect();
        assert_eq!(waiting.has_startable(is_open), !heads.is_empty());
        assert!(waiting.heads(is_open).iter().map(|head| &head.job_id).eq(heads));
    }
}

proptest! {
    #![proptest_config(crate::testing::property_config())]

    #[test]
    fn the_indexes_are_what_a_scan_of_all_jobs_finds(
        steps in prop::collection::vec((0_u8..12, 0_usize..20, 0_i64..50), 1..80)
    ) {
        let mut table = JobTable::new(Vec::new(), MAX_WAIT);
        for (kind, number, at) in steps {
            match kind {
                10 => drop(table.remove(&job_id(number))),
                11 => table.insert(job(number, number % 8)),
                _ if table.get(&job_id(number)).is_none() => table.insert(job(number, number % 8)),
                _ => drop(table.change(&job_id(number), |job| change(job, kind, at))),
            }
            check(&table);
        }
        let jobs: Vec<Job> = table.rows.values().cloned().collect();
        prop_assert_eq!(&JobTable::new(jobs, MAX_WAIT).indexes, &table.indexes, "nothing is left over");
    }
}

/// The slots, all held by jobs that run, and as many users.
const SLOTS: usize = 20;

/// Returns a machine with this many jobs: some run, the others wait.
fn machine(count: usize) -> Dispatcher {
    let plan =
        r#"{"requests_per_minute":60,"predictions_per_minute":10,"concurrent_predictions":2,"daily_credits":"50"}"#;
    let policy = format!(
        r#"{{"plans":{{"default":{plan}}},"models":{{"acme/model-x":{{"credits":"1","input":{{}}}}}},
        "key":{{"requests_per_minute":100000,"concurrent_predictions":{SLOTS}}}}}"#
    );
    let mut limits = DispatcherLimits::new(&parse_policy(&policy).unwrap());
    (limits.max_waiting, limits.pools) = (100_000, BTreeMap::new());
    let jobs = (0..count).map(|number| {
        let mut job = Job::new(user(number % SLOTS), JobTerms::split(spec(number, 0)).0, share(0), NOW);
        if number < SLOTS {
            (job.state, job.submitted_at, job.vendor_id) = (JobState::Running, Some(NOW), Some("v".into()));
            job.poll_at = NOW.plus_millis(5_000);
        }
        job
    });
    let mut machine = Dispatcher::load(limits, StoredState::default(), jobs.collect(), Vec::new());
    // The queue's positions are known.
    machine.queue_position(&job_id(count - 1), NOW);
    machine
}

fn reply(status: u16, body: &str) -> VendorReply {
    VendorReply::Response(VendorResponse {
        status,
        retry_after: None,
        rate_limit: crate::vendor::reply::RateLimit::default(),
        body: VendorBody::read(body.as_bytes()),
    })
}

/// Returns the map operations of a turn with this change.
fn turn(machine: &mut Dispatcher, millis: i64, change: impl FnOnce(&mut Dispatcher, UnixMillis)) -> usize {
    let (before, now) = (machine.jobs.visits.get(), NOW.plus_millis(millis));
    change(machine, now);
    let _ = machine.due(now);
    let _ = machine.take_changes();
    let _ = machine.next_due(now);
    machine.jobs.visits.get() - before
}

/// Returns the map operations of each kind of turn in a table of `count` jobs.
fn costs(count: usize) -> Vec<(&'static str, usize)> {
    let machine = &mut machine(count);
    let create = |machine: &mut Dispatcher, now| {
        let deadline = Deadline::after(now, 1_600);
        machine.enqueue(&user(0), vec![spec(count, 0)], &share(0), deadline, false, now).unwrap();
        let DispatcherReply::Jobs(updates) = machine.report_jobs(&[job_id(count)], now) else { panic!("no report") };
        assert!(updates[0].queue.is_some(), "it waits");
    };
    let processing = reply(200, r#"{"job_id":"v","status":"processing"}"#);
    vec![
        ("nothing due", turn(machine, 0, |_, _| ())),
        ("create", turn(machine, 1, create)),
        ("cancel of a waiting job", turn(machine, 2, |machine, now| drop(machine.cancel(&job_id(count), now)))),
        ("cancel of a running job", turn(machine, 3, |machine, now| drop(machine.cancel(&job_id(3), now)))),
        ("webhook", turn(machine, 4, |machine, now| machine.receive_webhook(&job_id(4), now))),
        ("answer to a poll", turn(machine, 5, |machine, now| machine.finish_poll(&job_id(4), &processing, now))),
        (
            "answer to a cancel",
            turn(machine, 6, |machine, now| machine.finish_cancel(&job_id(3), &reply(204, ""), now)),
        ),
        ("alarm with five polls due", turn(machine, 5_000, |_, _| ())),
        ("alarm while all connections are in use", turn(machine, 5_100, |_, _| ())),
        (
            "end, and the start of the next",
            turn(machine, 5_200, |machine, now| {
                machine.finish_poll(&job_id(0), &reply(200, r#"{"job_id":"v","status":"succeeded"}"#), now);
                machine.in_flight.polls.clear();
            }),
        ),
        (
            "answer to a create",
            turn(machine, 5_300, |machine, now| {
                let started = machine.in_flight.submits.keys().next().cloned().unwrap();
                machine.finish_submit(&started, &reply(201, r#"{"job_id":"v","status":"processing"}"#), now);
            }),
        ),
    ]
}

#[test]
fn a_turn_makes_as_many_map_operations_with_ten_thousand_jobs_as_with_a_hundred() {
    let (few, many) = (costs(100), costs(10_000));
    for ((name, few), (_, many)) in few.iter().zip(&many) {
        assert!(many <= &(few + 5) && *many < 200, "{name}: {few} with 100 jobs, {many} with 10,000");
    }
}

#[test]
fn positions_cost_one_pass_a_second_and_then_nothing() {
    let count = 10_000;
    let machine = &mut machine(count);
    let mut cost = |millis: i64, number: usize| {
        let before = machine.jobs.visits.get();
        assert!(machine.queue_position(&job_id(number), NOW.plus_millis(millis)).is_some());
        machine.jobs.visits.get() - before
    };
    assert!((1..10).contains(&cost(0, 5_000)) && (1..10).contains(&cost(999, 5_001)));
    let pass = cost(1_000, 5_002);
    assert!((count..4 * count).contains(&pass), "{pass} for {count} jobs");
    assert!((1..10).contains(&cost(1_001, 5_003)));
}

/// All of them earn, so a start looks at each (docs/decisions/0008-turns.md has what that costs).
#[test]
fn a_start_is_decided_among_the_users_who_may_start_however_many_jobs_they_have() {
    for users in [100, 1_000] {
        let mut machine = machine(SLOTS);
        for number in 0..5 * users {
            let terms = JobTerms::split(spec(SLOTS + number, 0)).0;
            machine.jobs.insert(Job::new(user(SLOTS + number % users), terms, share(0), NOW));
        }
        let before = machine.jobs.visits.get();
        let heads = machine.jobs.waiting().heads(|_, _| true);
        assert_eq!(heads.len(), users);
        assert_eq!(machine.pick_next_job(NOW).as_ref(), heads.first().map(|head| &head.job_id));
        assert!(machine.jobs.visits.get() - before < 10, "it looks at no job");
    }
}

#[test]
fn the_actions_of_a_turn_are_in_the_order_of_their_times() {
    let machine = &mut machine(SLOTS);
    for (number, millis) in [(7, 30), (2, 20), (9, 10)] {
        machine.jobs.change(&job_id(number), |job| job.poll_at = NOW.plus_millis(millis));
    }
    let polled: Vec<JobId> = machine
        .due(NOW.plus_millis(1_000))
        .into_iter()
        .filter_map(|action| if let Action::Poll { job_id, .. } = action { Some(job_id) } else { None })
        .collect();
    assert_eq!(polled, [9, 2, 7].map(job_id));
}
