//! Crashes on AWS: the program is killed while ECS loses answers, fails and throttles. Each firing
//! starts what it asked for once, and every task that was ever started is in the journal.
//!
//! The oracle is the fake, in the test's own process: it remembers every task that it started.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_backend_aws::{AwsContext, AwsSettings};
use ecs_scheduler_backend_ecs::{EcsLauncher, EcsOptions};
use ecs_scheduler_core::{Clock, EngineOptions, Firing, FiringState, Launcher, SystemClock};
use ecs_scheduler_fake_aws::{Fake, FaultRule, InjectedFault, Launch, Service};
use ecs_scheduler_testing::SimRng;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::cloud::{Cloud, Kind, REGION};
use super::stage::Stage;
use crate::crash::audit::{audit_journal, open};
use crate::crash::process::Scheduler;
use crate::crash::site::{DEADLINE, Site, until};
use crate::crash::{ROUNDS, rounds, steps};

/// The kills and the misfortunes come by this seed.
const SEED: u64 = 20_270_302;
/// The test of the steps, by its full name.
const STEPS: &str = "aws::crash::a_crash_at_any_step_asks_ecs_for_each_firing_once";

/// Makes ECS lose 20 % of its answers after the effect, fail 5 % of the calls and throttle 10 %, and its tasks short.
fn make_unreliable(fake: &Fake) {
    // Each rule gets what the one before it lets pass.
    for (probability, fault) in [
        (0.2, InjectedFault::LostAfterEffect),
        (0.05 / 0.8, InjectedFault::ServerError { status: 500 }),
        (0.1 / 0.75, InjectedFault::Throttled),
    ] {
        fake.faults().add(FaultRule::every(Service::Ecs, fault).sometimes(probability, SEED));
    }
    make_short(fake);
}

fn make_short(fake: &Fake) {
    fake.configure(|settings| {
        let life = &mut settings.ecs.life;
        life.provisioning = SignedDuration::from_millis(50);
        life.pending = SignedDuration::from_millis(50);
        life.run = Some(SignedDuration::from_millis(400));
    });
}

/// Registers a definition for EC2, whose quota is the higher one, and returns a job that starts it.
async fn job(stage: &Stage<'_>) -> Value {
    let containers = json!([{"name": "main", "image": "busybox", "memory": 64, "essential": true}]);
    let definition = json!({"family": stage.family("short"), "containerDefinitions": containers});
    stage.cloud.ecs("RegisterTaskDefinition", definition).await;
    json!({
        "taskDefinition": stage.family("short"),
        "launch": {"launchType": "EC2"},
        "overlap": "allow",
        "maxCount": 50,
        "overrides": [{"containerName": "main"}],
        // Firings pile up while the scheduler is killed, on a slow machine for longer than the default.
        "retry": {"launch": {"maxAge": "1d"}},
    })
}

/// The result of the audit of a test.
#[derive(Debug)]
struct Account {
    firings: usize,
    tasks: usize,
    calls: usize,
    lost_answers: u64,
    throttled: u64,
}

/// Compares the journal with what ECS really did.
async fn audit(site: &Site, fake: &Fake) -> Account {
    let (_, firings) = audit_journal(site).await;
    let mut real: HashMap<String, Vec<Launch>> = HashMap::new();
    for launch in fake.launches() {
        let tag =
            launch.tags.iter().find(|tag| tag.key == "ecss:firing").expect("each task has its firing's tag");
        real.entry(tag.value.clone()).or_default().push(launch);
    }
    for firing in &firings {
        let started = real.remove(firing.id.as_str()).unwrap_or_default();
        compare(firing, &started);
    }
    assert!(real.is_empty(), "started and in no journal: {real:#?}");
    let calls = fake.calls(Service::Ecs, "RunTask");
    Account {
        firings: firings.len(),
        tasks: fake.launches().len(),
        calls: usize::try_from(calls.calls).unwrap(),
        lost_answers: calls.lost,
        throttled: calls.throttled,
    }
}

/// Checks that a firing has what it asked for, once, and knows it.
fn compare(firing: &Firing, started: &[Launch]) {
    assert_eq!(firing.state, FiringState::Finished, "{firing:#?}");
    assert_eq!(started.len(), usize::try_from(firing.requested).unwrap(), "{firing:#?} started {started:#?}");
    let mut known: Vec<&str> = firing.tasks.iter().map(|task| task.task_id.as_str()).collect();
    let mut real: Vec<&str> = started.iter().map(|launch| launch.task_arn.as_str()).collect();
    known.sort_unstable();
    real.sort_unstable();
    assert_eq!(known, real, "{firing:#?}");
}

#[tokio::test]
async fn a_scheduler_that_is_killed_while_ecs_loses_answers_starts_each_firing_once() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "crashing").await;
    let job = job(&stage).await;
    make_unreliable(cloud.fake());
    let (jobs, every) = if rounds() > ROUNDS { (1_000, 10) } else { (100, 5) };
    let store = open(&stage.site).await;
    for number in 0..jobs {
        let seconds: Vec<String> =
            (number % every..60).step_by(every).map(|second| second.to_string()).collect();
        let mut job = job.clone();
        job["schedule"] = seconds.join(",").into();
        job["taskCount"] = (1 + number % 3).into();
        steps::create(&*store, &format!("job-{number}"), &job).await;
    }
    store.close().await.unwrap();
    drop(store);

    let began = Instant::now();
    let mut rng = SimRng::new(SEED);
    for number in 0..rounds() {
        // One life in four is not even waited for, so that recovery is interrupted too.
        let scheduler = if rng.chance(0.25) {
            Scheduler::spawn(&stage.site)
        } else {
            let scheduler = Scheduler::start(&stage.site).await;
            let description = json!({"description": format!("edit {number}")});
            scheduler.put("/jobs/job-0", &description).await;
            scheduler.put("/jobs/job-1", &description).await;
            scheduler
        };
        // Not a wait for something to happen: the point in time at which the power goes is the input of this test. Reads
        // fail too, and are tried again after a second.
        tokio::time::sleep(Duration::from_millis(30 + rng.below(2_970))).await;
        scheduler.kill().await;
    }
    // The misfortunes end with the kills: while calls are throttled, ever fewer are made, and firings have piled up.
    cloud.fake().faults().clear();
    let scheduler = Scheduler::start(&stage.site).await;
    scheduler.quiesce_within(DEADLINE * 10).await;
    scheduler.terminate().await;
    let account = audit(&stage.site, cloud.fake()).await;
    let (kills, took) = (rounds(), began.elapsed().as_secs());
    println!("killed {kills} times with {jobs} jobs, in {took} s: {account:?}");
    assert!(account.firings > 4 && account.lost_answers > 0 && account.throttled > 0, "{account:?}");
    assert!(account.calls > account.firings, "calls are repeated: {account:?}");
}

/// Returns the most tasks of one job that existed at one moment, as ECS tells.
async fn most_alive(stage: &Stage<'_>) -> usize {
    let mut changes: HashMap<String, Vec<(f64, isize)>> = HashMap::new();
    let arns: Vec<String> = stage.cloud.fake().launches().into_iter().map(|launch| launch.task_arn).collect();
    for some in arns.chunks(100) {
        let call = json!({"cluster": stage.name, "tasks": some});
        let described = stage.cloud.ecs("DescribeTasks", call).await;
        for task in described["tasks"].as_array().unwrap() {
            let job = task["startedBy"].as_str().unwrap().to_owned();
            let changes = changes.entry(job).or_default();
            changes.push((task["createdAt"].as_f64().unwrap(), 1));
            changes.push((task["stoppedAt"].as_f64().unwrap(), -1));
        }
    }
    let most = changes.into_values().map(|mut changes| {
        // At one moment the end of a task comes before the begin of another.
        changes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let alive = changes.iter().scan(0_isize, |alive, (_, change)| {
            *alive += change;
            Some(*alive)
        });
        alive.max().unwrap_or_default().unsigned_abs()
    });
    most.max().unwrap_or_default()
}

#[tokio::test]
async fn a_scheduler_that_is_killed_while_replaced_tasks_are_slow_to_stop_keeps_to_max_count() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "replacing").await;
    let mut job = job(&stage).await;
    make_short(cloud.fake());
    cloud.fake().configure(|settings| {
        settings.ecs.life.run = Some(SignedDuration::from_secs(6));
        settings.ecs.life.stopping = SignedDuration::from_secs(3);
    });
    for (name, value) in [("overlap", json!("replace")), ("maxCount", json!(1)), ("schedule", json!("*"))] {
        job[name] = value;
    }
    let store = open(&stage.site).await;
    for number in 0..4 {
        steps::create(&*store, &format!("job-{number}"), &job).await;
    }
    store.close().await.unwrap();
    drop(store);
    let mut rng = SimRng::new(SEED);
    for _ in 0..4 {
        let scheduler = Scheduler::start(&stage.site).await;
        scheduler.post("/jobs/job-0/firings", &json!({})).await;
        // Not a wait for something to happen: the point in time at which the power goes is the input of this test.
        tokio::time::sleep(Duration::from_millis(500 + rng.below(2_500))).await;
        scheduler.kill().await;
    }
    let scheduler = Scheduler::start(&stage.site).await;
    until("tasks are replaced", async || cloud.fake().launches().len() >= 8).await;
    scheduler.quiesce().await;
    scheduler.terminate().await;
    audit_journal(&stage.site).await;
    assert_eq!(most_alive(&stage).await, 1);
}

/// Makes the launcher of a process that plays the scheduler.
fn launcher(url: String) -> Arc<dyn Launcher> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let settings = AwsSettings {
        region: Some(REGION.to_owned()),
        endpoint: Some(url),
        credentials: Some(("AKIDEXAMPLE".to_owned(), "secret".to_owned())),
        ..AwsSettings::new(Arc::clone(&clock))
    };
    let options = EcsOptions::new("stepping", EngineOptions::default().name, clock);
    Arc::new(EcsLauncher::new(AwsContext::new(settings), options))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test tells its own child, which is no setting of the product"
)]
fn told_url() -> String {
    std::env::var("AWS_ENDPOINT_URL").expect("a player knows the address of AWS")
}

#[tokio::test]
async fn a_crash_at_any_step_asks_ecs_for_each_firing_once() {
    if let Some((site, last)) = steps::role() {
        return steps::play(&site, last, launcher(told_url())).await;
    }
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "stepping").await;
    let job = job(&stage).await;
    make_short(cloud.fake());
    let store = open(&stage.site).await;
    for (id, count) in [("one", 1), ("three", 3)] {
        let mut job = job.clone();
        job["schedule"] = "*".into();
        job["taskCount"] = count.into();
        steps::create(&*store, id, &job).await;
    }
    store.close().await.unwrap();
    drop(store);
    steps::die_at_every_step(STEPS, &stage.site).await;
    steps::finish(&stage.site, launcher(cloud.url())).await;
    let account = audit(&stage.site, cloud.fake()).await;
    assert!(account.firings > 4 && account.tasks > account.firings, "{account:?}");
}
