//! Misfortunes: each stops or delays the jobs that it concerns, launches nothing that was not asked for, and is named with
//! its remedy.

use ecs_scheduler_fake_aws::{FaultRule, InjectedFault, Service};
use reqwest::Method;
use serde_json::{Value, json};

use super::cloud::{Cloud, Kind};
use super::reads::once;
use super::stage::{Playing, Stage};
use crate::crash::site::until;

/// Creates a job that reads a queue with messages, and one that reads nothing.
async fn queue_job_and_plain_job(playing: &Playing<'_>) {
    let stage = playing.stage;
    let queue = stage.queue("orders").await;
    stage.send(&queue, 3).await;
    let trigger = json!({"type": "sqs", "queueName": stage.family("orders")});
    playing.create("orders", &stage.job(&json!({"trigger": trigger}))).await;
    playing.create("well", &stage.job(&json!({}))).await;
}

/// A fault of every reading of a queue.
fn whenever_read(fault: InjectedFault) -> FaultRule {
    FaultRule { operation: Some("GetQueueAttributes".to_owned()), ..FaultRule::every(Service::Sqs, fault) }
}

/// Checks that the job on a queue failed for this, started nothing, and that the other one has its task.
async fn only_the_queue_job_fails(playing: &Playing<'_>, words: &[&str]) {
    let failed = playing.decision("orders", "source_error").await;
    let why = failed["explanation"].as_str().unwrap();
    assert!(words.iter().all(|word| why.contains(word)), "{words:?} in {why}");
    assert_eq!(failed["launch"], 0, "{failed}");
    playing.settled("well", 1).await;
    assert_eq!(playing.stage.tasks("orders").await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_queue_that_may_not_be_read_stops_only_its_own_job_until_it_may() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "barred").await;
    let denied = "sqs:GetQueueAttributes";
    cloud.fake().configure(|settings| settings.permissions.denied = [denied.to_owned()].into());
    let playing = stage.start().await;
    queue_job_and_plain_job(&playing).await;
    only_the_queue_job_fails(&playing, &["barred-orders", denied, "allow"]).await;

    cloud.fake().configure(|settings| settings.permissions.denied.clear());
    playing.settled("orders", 1).await;
}

#[tokio::test]
async fn a_throttled_queue_delays_only_its_own_job() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "throttled").await;
    cloud.fake().faults().add(whenever_read(InjectedFault::Throttled));
    let playing = stage.start().await;
    queue_job_and_plain_job(&playing).await;
    only_the_queue_job_fails(&playing, &["throttled-orders", "hrottl"]).await;

    cloud.fake().faults().clear();
    playing.settled("orders", 1).await;
}

#[tokio::test]
async fn a_queue_that_never_answers_stops_only_its_own_job() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "silent").await;
    cloud.fake().faults().add(whenever_read(InjectedFault::BlackHole));
    let playing = stage.start().await;
    queue_job_and_plain_job(&playing).await;
    only_the_queue_job_fails(&playing, &["silent-orders", "timeout"]).await;
}

#[tokio::test]
async fn tasks_that_may_not_be_listed_stop_every_launch_on_their_cluster() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "unseen").await;
    let denied = "ecs:ListTasks";
    cloud.fake().configure(|settings| settings.permissions.denied = [denied.to_owned()].into());
    let playing = stage.start().await;
    playing.create("blind", &stage.job(&json!({}))).await;
    let failed = playing.decision("blind", "live_unknown").await;
    assert!(failed["explanation"].as_str().unwrap().contains(denied), "{failed}");
    assert_eq!(cloud.fake().launches().len(), 0);

    cloud.fake().configure(|settings| settings.permissions.denied.clear());
    playing.settled("blind", 1).await;
}

#[tokio::test]
async fn tasks_that_cannot_be_listed_for_a_while_are_logged_when_that_begins_and_when_it_ends() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "unlisted").await;
    let fault = FaultRule::every(Service::Ecs, InjectedFault::ServerError { status: 503 });
    cloud.fake().faults().add(FaultRule { operation: Some("ListTasks".to_owned()), ..fault });
    let playing = stage.start().await;
    playing.create("nightly", &stage.job(&json!({"schedule": once()}))).await;
    until("the tick was tried several times", async || {
        playing.get("/jobs/nightly").await["retrying"]["tries"].as_u64() >= Some(4)
    })
    .await;
    cloud.fake().faults().clear();
    playing.firing("nightly", "launched").await;
    let lines = |words: &str| -> Vec<String> {
        stage.site.log().lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
    };
    until("its end is logged", async || !lines("running tasks can be counted again").is_empty()).await;
    for words in [
        "could not poll a cluster",
        "the tasks of a cluster can be listed again",
        "running tasks cannot be counted",
        "running tasks can be counted again",
    ] {
        assert_eq!(lines(words).len(), 1, "{words}: {}", stage.site.log());
    }
    let begun = lines("running tasks cannot be counted").remove(0);
    assert!(begun.contains("nightly") && begun.contains("tick") && begun.contains("WARN"), "{begun}");
}

#[tokio::test]
async fn a_definition_that_may_not_be_started_stops_only_its_own_job() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "narrow").await;
    stage.define(&stage.family("secret")).await;
    let all_but_one = json!({"Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "ecs:RunTask", "Resource": "arn:aws:ecs:*:*:task-definition/narrow-secret:*"},
    ]});
    cloud.fake().configure(|settings| settings.permissions.policy = Some(all_but_one));
    let playing = stage.start().await;
    playing.create("barred", &stage.job(&json!({"taskDefinition": stage.family("secret")}))).await;
    playing.create("well", &stage.job(&json!({}))).await;
    let refused = playing.firing("barred", "refused").await;
    assert!(refused.to_string().contains("ecs:RunTask"), "{refused}");
    playing.settled("well", 1).await;
    assert_eq!(stage.tasks("barred").await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_definition_that_does_not_exist_stops_only_its_own_job() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "absent").await;
    let playing = stage.start().await;
    playing.create("lost", &stage.job(&json!({"taskDefinition": "absent-mistyped"}))).await;
    playing.create("well", &stage.job(&json!({}))).await;
    let failed = playing.decision("lost", "launch_failed").await;
    let refused = playing.get(&format!("/firings/{}", failed["firing"].as_str().unwrap())).await;
    assert_eq!(refused["state"], "refused", "{refused}");
    assert!(refused["note"].as_str().unwrap().contains("absent-mistyped"), "{refused}");
    playing.settled("well", 1).await;
}

#[tokio::test]
async fn a_launch_that_is_throttled_fails_or_is_never_answered_still_starts_its_tasks_once() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "unlucky").await;
    for fault in [
        InjectedFault::Throttled,
        InjectedFault::ServerError { status: 503 },
        InjectedFault::LostAfterEffect,
        InjectedFault::ResetBeforeEffect,
        InjectedFault::SilentAfterEffect,
    ] {
        cloud.fake().faults().add(FaultRule::once(Service::Ecs, "RunTask", fault));
    }
    let playing = stage.start().await;
    playing.create("patient", &stage.job(&json!({"taskCount": 2}))).await;
    playing.firing("patient", "launched").await;
    playing.settled("patient", 2).await;
    let calls = cloud.fake().calls(Service::Ecs, "RunTask");
    assert_eq!((calls.calls, calls.throttled, calls.lost), (6, 1, 3), "{calls:?}");
    assert_eq!(cloud.fake().launches().len(), 2);
}

#[tokio::test]
async fn reported_aws_calls_are_those_that_arrived() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "counted").await;
    let playing = stage.start().await;
    queue_job_and_plain_job(&playing).await;
    playing.settled("orders", 1).await;
    playing.settled("well", 1).await;
    for job in ["orders", "well"] {
        playing.post(&format!("/jobs/{job}/suspend"), &json!({"reason": "enough"})).await;
    }
    for (service, name, operation) in [
        (Service::Sqs, "SQS", "GetQueueUrl"),
        (Service::Sqs, "SQS", "GetQueueAttributes"),
        (Service::Ecs, "ECS", "RunTask"),
        (Service::Ecs, "ECS", "DescribeTaskDefinition"),
    ] {
        until(&format!("{operation} is counted as it arrived"), async || {
            let stats = playing.get("/stats/aws").await;
            let mut lines = stats["operations"].as_array().unwrap().iter();
            let line = lines.find(|line| line["service"] == name && line["operation"] == operation);
            let arrived = cloud.fake().calls(service, operation).calls;
            line.is_some_and(|line| line["calls"] == arrived) && arrived > 0
        })
        .await;
    }
    let stats = playing.get("/stats/aws").await;
    let mut jobs = stats["jobs"].as_array().unwrap().iter();
    let used = jobs.find(|line| line["job"] == "orders" && line["operation"] == "GetQueueAttributes");
    assert!(used.is_some_and(|line| line["reads"].as_u64() > Some(0)), "{stats}");
}

#[tokio::test]
async fn output_that_the_scheduler_may_not_read_names_the_permission_and_is_no_fault_of_the_server() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "unreadable").await;
    let (family, denied) = (stage.family("logged"), "logs:GetLogEvents");
    cloud.logs("CreateLogGroup", json!({"logGroupName": "/unreadable"})).await;
    stage.define_logged(&family, "/unreadable").await;
    cloud.fake().configure(|settings| settings.permissions.denied = [denied.to_owned()].into());
    let playing = stage.start().await;
    let job = stage.job(&json!({"taskDefinition": family, "schedule": "0 0 1 1 *", "taskCount": 1}));
    playing.create("logged", &job).await;
    let firing = playing.fire("logged", "once").await.expect("it starts a task");
    let task = async || playing.get(&format!("/firings/{firing}")).await["tasks"][0]["taskId"].clone();
    until("the firing has its task", async || task().await.is_string()).await;
    let task = task().await;
    let task = task.as_str().unwrap().rsplit('/').next().unwrap();
    let path = format!("/firings/{firing}/tasks/{task}/logs");
    let (status, problem) = playing.send(Method::GET, &path, &Value::Null).await;
    assert_eq!(status, 502, "{problem}");
    assert!(problem.contains("/problems/denied") && problem.contains(denied), "{problem}");
    assert!(
        !stage.site.log().contains("could not read the output"),
        "a request that is refused is no error of the server"
    );
}
