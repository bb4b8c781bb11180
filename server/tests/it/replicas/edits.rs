//! Edits while nobody owns a job: a scheduler is killed a second before a tick, and what is left takes edits before it has
//! the jobs. At the tick the reads of ECS fail for a moment as well. Each tick has one outcome and is launched once, by the
//! schedule that held at the tick.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{
    Clock, DecisionQuery, FiringQuery, JobId, Store, StoredJob, SystemClock, TickOutcome, Timestamp,
};
use ecs_scheduler_fake_aws::{FaultRule, InjectedFault, Service};
use futures::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::account::compare;
use super::fleet::{ReplicaProcess, SharedDb, sleep_for, until_seen, until_shared};
use crate::aws::cloud::{Cloud, Kind};
use crate::aws::stage::Stage;

const JOBS: usize = 32;
/// Each job is due every ten seconds; some are edited to be due at other seconds.
const EVERY: i64 = 10;
const EDITED_BY: i64 = 7;
/// When the scheduler is killed, when reads begin to fail and when they end, and when the edits come, from the tick.
const KILLED: SignedDuration = SignedDuration::from_secs(-1);
const BLIND: SignedDuration = SignedDuration::from_millis(-200);
const SEES: SignedDuration = SignedDuration::from_millis(1_500);
const EDITED: SignedDuration = SignedDuration::from_millis(1_600);

/// The fate of the jobs' owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fall {
    /// One of two replicas falls; the other takes the edits.
    OneOfTwo,
    /// The only scheduler falls, and is started again at once under another name.
    Renamed,
}

fn id(number: usize) -> JobId {
    JobId::new(&format!("job-{number}")).unwrap()
}

/// Tells whether the job's schedule is what is edited.
fn moves(number: usize) -> bool {
    number % 4 == 1
}

/// An edit of each kind in turn.
fn edit(number: usize) -> Value {
    match number % 4 {
        0 => json!({"description": "edited"}),
        1 => json!({"schedule": format!("{EDITED_BY}-59/{EVERY}")}),
        2 => json!({"description": "first"}),
        _ => json!({"maxCount": 40}),
    }
}

async fn create_jobs(stage: &Stage<'_>, replica: &ReplicaProcess) {
    let containers = json!([{"name": "main", "image": "busybox", "memory": 64, "essential": true}]);
    let family = stage.family("short");
    let definition = json!({"family": family, "containerDefinitions": containers});
    stage.cloud.ecs("RegisterTaskDefinition", definition).await;
    let job = json!({
        "taskDefinition": family, "schedule": format!("*/{EVERY}"), "launch": {"launchType": "EC2"},
        "overlap": "allow", "maxCount": 50, "catchUp": {"policy": "all", "max": 50}, "description": "first",
    });
    for number in 0..JOBS {
        replica.scheduler.create(id(number).as_str(), &job).await;
    }
}

/// Waits until a moment. When a process falls, and when an edit comes, is the input of these tests.
async fn until_moment(moment: Timestamp) {
    let left = moment.duration_since(SystemClock.now());
    sleep_for(Duration::try_from(left).unwrap_or_default()).await;
}

/// Returns the next tick that is at least three seconds away.
fn next_tick() -> Timestamp {
    let soon = SystemClock.now().as_second() + 3;
    Timestamp::from_second((soon / EVERY + 1) * EVERY).unwrap()
}

async fn stored(store: &dyn Store) -> Vec<StoredJob> {
    let ids: Vec<JobId> = (0..JOBS).map(id).collect();
    store.get(&ids).await.unwrap()
}

async fn run_with_faults(db: SharedDb, fall: Fall) {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "editing").await;
    cloud.fake().configure(|settings| {
        let life = &mut settings.ecs.life;
        life.provisioning = SignedDuration::from_millis(50);
        life.pending = SignedDuration::from_millis(50);
        life.run = Some(SignedDuration::from_millis(400));
    });
    let mut replicas = vec![ReplicaProcess::start(&cloud, &stage.name, &db, 0).await];
    if fall == Fall::OneOfTwo {
        replicas.push(ReplicaProcess::start(&cloud, &stage.name, &db, 1).await);
    }
    create_jobs(&stage, &replicas[0]).await;
    until_shared(&replicas).await;
    let store = db.open().await;
    let tick = next_tick();
    until_moment(tick + KILLED).await;
    replicas.pop().unwrap().scheduler.kill().await;
    if fall == Fall::Renamed {
        replicas.push(ReplicaProcess::start(&cloud, &stage.name, &db, 2).await);
    }
    until_moment(tick + BLIND).await;
    let unreadable = FaultRule::once(Service::Ecs, "ListTasks", InjectedFault::ServerError { status: 503 });
    cloud.fake().faults().add(unreadable.times(u64::MAX));
    until_moment(tick + SEES).await;
    cloud.fake().faults().clear();
    until_moment(tick + EDITED).await;
    let survivor = &replicas[0].scheduler;
    let edits = (0..JOBS).map(|number| async move {
        survivor.put(&format!("/jobs/{}", id(number)), &edit(number)).await;
    });
    join_all(edits).await;
    let edited = stored(&*store).await;
    until_seen("every job is settled beyond the tick", async || {
        let until = tick + SignedDuration::from_secs(EVERY);
        stored(&*store).await.iter().all(|job| job.progress.settled.is_some_and(|settled| settled >= until))
    })
    .await;
    for number in 0..JOBS {
        let path = format!("/jobs/{}/suspend", id(number));
        survivor.post(&path, &json!({"reason": "end of the test"})).await;
    }
    until_seen("all firings end", async || store.open_firings().await.unwrap().is_empty()).await;
    for replica in replicas {
        assert!(replica.scheduler.terminate().await.0.success());
    }
    for (number, edited) in edited.iter().enumerate() {
        check_ticks(&store, number, edited, tick).await;
    }
    let firings = store.firings(&FiringQuery::default()).await.unwrap();
    compare(&firings, cloud.fake().launches());
}

/// Checks that the ticks of a job's decisions are those of its schedules, each once, and that those up to a period behind the
/// tick were launched.
async fn check_ticks(store: &Arc<dyn Store>, number: usize, edited: &StoredJob, tick: Timestamp) {
    let query = DecisionQuery { job: Some(id(number)), ..DecisionQuery::default() };
    let mut records = store.decisions(&query).await.unwrap();
    records.reverse();
    let settled = store.get(&[id(number)]).await.unwrap()[0].progress.settled.unwrap();
    let holds = |second: i64| {
        let moved = moves(number) && Timestamp::from_second(second).unwrap() > edited.changed;
        second % EVERY == if moved { EDITED_BY } else { 0 }
    };
    let mut ticks = (edited.created.as_second() + 1..=settled.as_second()).filter(|second| holds(*second));
    for record in &records {
        let span = record.draft.span;
        for place in 0..span.count {
            let second = ticks.next();
            let bound = if place == 0 { Some(span.first) } else { None };
            let bound = if place + 1 == span.count { Some(span.last) } else { bound };
            let expected = bound.map_or(second, |bound| Some(bound.as_second()));
            assert_eq!(second, expected, "{}: {records:#?}", id(number));
        }
        if span.last <= tick + SignedDuration::from_secs(EVERY - 1) {
            assert_eq!(record.draft.outcome, TickOutcome::Launched, "{}: {record:#?}", id(number));
        }
    }
    assert_eq!(ticks.next(), None, "{}: a tick has no outcome: {records:#?}", id(number));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_while_a_fallen_replicas_jobs_have_no_owner_lose_no_tick_on_postgresql() {
    run_with_faults(SharedDb::postgresql(), Fall::OneOfTwo).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_while_a_fallen_replicas_jobs_have_no_owner_lose_no_tick_on_dynamodb() {
    run_with_faults(SharedDb::dynamodb(Kind::Fake).await, Fall::OneOfTwo).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_before_a_restarted_scheduler_has_its_jobs_lose_no_tick_on_postgresql() {
    run_with_faults(SharedDb::postgresql(), Fall::Renamed).await;
}
