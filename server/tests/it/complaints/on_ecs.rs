//! Complaints about tasks on ECS, against the fake.

use ecs_scheduler_core::{Clock as _, SystemClock, Timestamp};
use ecs_scheduler_fake_aws::{Capacity, FaultRule, InjectedFault, Service};
use jiff::SignedDuration;
use serde_json::json;

use crate::aws::cloud::{Cloud, Kind};
use crate::aws::stage::Stage;
use crate::crash::site::until;
use crate::notify::receiver::{OK, Receiver, assert_signed};

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

#[tokio::test]
async fn job_is_not_launched_again_while_its_first_task_still_starts() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "starting").await;
    cloud.fake().configure(|settings| settings.ecs.life.pending = seconds(5));
    let playing = stage.start().await;
    playing.create("slow", &stage.job(&json!({}))).await;
    let is_running = async || stage.tasks("slow").await.iter().any(|task| task["lastStatus"] == "RUNNING");
    until("the task runs", is_running).await;
    let ticks = playing.list("/jobs/slow/decisions?outcome=satisfied", "decisions").await;
    let passed: u64 = ticks.iter().map(|row| row["ticks"].as_u64().unwrap_or(1)).sum();
    assert!(passed >= 3, "ticks passed while it started: {ticks:?}");
    assert_eq!(cloud.fake().launches().len(), 1);
}

#[tokio::test]
async fn notification_is_sent_for_tasks_that_never_start_with_cause_and_remedy() {
    let cloud = Cloud::start(Kind::Fake).await;
    let mut stage = Stage::set(&cloud, "broken").await;
    let receiver = Receiver::start(OK).await;
    stage.site.configure(&receiver.config());
    cloud.fake().configure(|settings| {
        let reason = "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref \
                      docker.io/library/nowhere:1: docker.io/library/nowhere:1: not found";
        settings.ecs.life.fails_to_start = Some(reason.to_owned());
    });
    let playing = stage.start().await;
    let more = json!({"schedule": "*/2", "notify": [{"to": "ops", "on": ["failing:2"]}]});
    playing.create("broken", &stage.job(&more)).await;
    until("a message arrives", async || receiver.count() > 0).await;
    let request = receiver.received().remove(0);
    assert_signed(&request);
    let data = request.json()["data"].clone();
    assert_eq!(data["job"], "broken", "{data}");
    assert!(data["count"].as_u64() >= Some(2) && data["remedy"].is_string(), "{data}");
    let firing = playing.firing("broken", "finished").await;
    let diagnosis = &firing["tasks"][0]["diagnosis"];
    assert_eq!(diagnosis["code"], "imageNotFound", "{firing}");
    assert!(
        data["text"].as_str().unwrap().ends_with(diagnosis["text"].as_str().unwrap()),
        "{data} {diagnosis}"
    );
}

#[tokio::test]
async fn task_that_would_run_for_ever_is_stopped_at_its_timeout() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "endless").await;
    let playing = stage.start().await;
    playing.create("endless", &stage.job(&json!({"schedule": "@yearly", "timeout": "2s"}))).await;
    playing.post("/jobs/endless/firings", &json!({})).await;
    let task = playing.firing("endless", "finished").await["tasks"][0].clone();
    assert_eq!(
        (&task["outcome"], &task["diagnosis"]["code"]),
        (&json!("stopped"), &json!("timeout")),
        "{task}"
    );
    assert_eq!(cloud.fake().calls(Service::Ecs, "StopTask").calls, 1);
}

#[tokio::test]
async fn tasks_of_a_job_that_skips_never_overlap() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "alone").await;
    cloud.fake().configure(|settings| settings.ecs.life.run = Some(seconds(2)));
    let playing = stage.start().await;
    playing.create("alone", &stage.job(&json!({"overlap": "skip"}))).await;
    playing.create("topped-up", &stage.job(&json!({"overlap": "topUp"}))).await;
    until("several are launched", async || cloud.fake().launches().len() >= 6).await;
    for job in ["alone", "topped-up"] {
        assert_eq!(cloud.fake().max_concurrent(&stage.started_by(job)), 1, "{job}");
    }
}

#[tokio::test]
async fn launch_is_repeated_while_capacity_is_short_and_starts_once_there_is_room() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "full").await;
    let full = Capacity { of: None, reason: "RESOURCE:MEMORY".to_owned(), at_most: None, refuse: 4 };
    cloud.fake().configure(|settings| drop(settings.ecs.capacity.insert("full".to_owned(), vec![full])));
    let playing = stage.start().await;
    playing.create("full", &stage.job(&json!({"schedule": "@yearly", "taskCount": 2}))).await;
    playing.post("/jobs/full/firings", &json!({})).await;
    let firing = playing.firing("full", "launched").await;
    assert_eq!(
        (firing["tasks"].as_array().unwrap().len(), cloud.fake().launches().len()),
        (2, 2),
        "{firing}"
    );
    assert!(cloud.fake().calls(Service::Ecs, "RunTask").calls >= 3, "{firing}");
}

#[tokio::test]
async fn launch_whose_answer_is_lost_is_not_doubled_by_its_repeat() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "lost").await;
    let playing = stage.start().await;
    cloud
        .fake()
        .faults()
        .add(FaultRule::once(Service::Ecs, "RunTask", InjectedFault::LostAfterEffect).times(2));
    playing.create("lost", &stage.job(&json!({"schedule": "@yearly", "taskCount": 3}))).await;
    playing.post("/jobs/lost/firings", &json!({})).await;
    let firing = playing.firing("lost", "launched").await;
    assert_eq!(
        (firing["tasks"].as_array().unwrap().len(), cloud.fake().launches().len()),
        (3, 3),
        "{firing}"
    );
    assert!(cloud.fake().calls(Service::Ecs, "RunTask").calls >= 3, "{firing}");
}

#[tokio::test]
async fn edit_of_a_job_leaves_its_running_task_alone() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "edited").await;
    stage.define(&stage.family("next")).await;
    let playing = stage.start().await;
    playing.create("edited", &stage.job(&json!({}))).await;
    playing.settled("edited", 1).await;
    let edits = [
        json!({"description": "edited"}),
        json!({"taskDefinition": stage.family("next")}),
        json!({"schedule": "*/2"}),
        json!({"overlap": "skip"}),
    ];
    for edit in edits {
        playing.put("/jobs/edited", &edit).await;
        let edited = SystemClock.now();
        until("a tick of the new version is decided", async || {
            let newest = playing.list("/jobs/edited/decisions?limit=1", "decisions").await;
            newest[0]["nominal"].as_str().unwrap().parse::<Timestamp>().unwrap() > edited
        })
        .await;
    }
    playing.post("/jobs/edited/suspend", &json!({"reason": "lunch"})).await;
    playing.decision("edited", "suspended").await;
    let tasks = stage.tasks("edited").await;
    assert_eq!((tasks.len(), &tasks[0]["desiredStatus"]), (1, &json!("RUNNING")), "{tasks:#?}");
    assert_eq!(cloud.fake().calls(Service::Ecs, "StopTask").calls, 0);
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticks_of_a_replica_that_fails_are_fired_by_the_other_one() {
    use crate::crash::audit::audit_store;
    use crate::crash::moving_edits::MovingEdits;
    use crate::crash::site::DEADLINE;
    use crate::replicas::fleet::{ReplicaProcess, SharedDb, until_shared};

    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "failover").await;
    cloud.fake().configure(|settings| settings.ecs.life.run = Some(seconds(1)));
    let db = SharedDb::postgresql();
    let mut replicas = Vec::new();
    for number in 0..2 {
        replicas.push(ReplicaProcess::start(&cloud, &stage.name, &db, number).await);
    }
    until_shared(&replicas).await;
    let job = stage.job(&json!({
        "schedule": "*/2", "overlap": "allow", "maxCount": 100, "catchUp": {"policy": "all", "max": 100},
    }));
    for number in 0..8 {
        replicas[0].scheduler.create(&format!("job-{number}"), &job).await;
    }
    until("all fire", async || cloud.fake().launches().len() >= 8).await;
    replicas.remove(0).scheduler.kill().await;
    until_shared(&replicas).await;
    let before = cloud.fake().launches().len();
    until("the other one fires", async || cloud.fake().launches().len() >= before + 16).await;
    replicas[0].scheduler.quiesce_within(DEADLINE * 2).await;
    replicas.remove(0).scheduler.terminate().await;
    let (audit, firings) = audit_store(db.open().await, &MovingEdits::default()).await;
    let rows = db.open().await.decisions(&ecs_scheduler_core::DecisionQuery::default()).await.unwrap();
    let not_fired = rows.iter().filter(|row| row.draft.outcome.to_string() != "launched");
    let not_fired: Vec<_> = not_fired.filter(|row| row.draft.outcome.to_string() != "suspended").collect();
    assert!(not_fired.is_empty(), "{not_fired:#?}");
    assert_eq!((firings.len(), audit.tasks), (cloud.fake().launches().len(), firings.len()));
}
