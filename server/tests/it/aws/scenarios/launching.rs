//! Scenarios about launches and their results.

use ecs_scheduler_core::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::aws::stage::Stage;
use crate::crash::site::until;

/// A job on a schedule has its tasks, and no more.
pub(super) async fn scheduled(stage: &Stage<'_>) {
    let playing = stage.start().await;
    playing.create("nightly", &stage.job(&json!({"taskCount": 2}))).await;
    let launched = playing.decision("nightly", "launched").await;
    assert_eq!(launched["launch"], 2, "{launched}");
    let tasks = playing.settled("nightly", 2).await;
    let firing = playing.firing("nightly", "launched").await;
    let mut told: Vec<&Value> =
        firing["tasks"].as_array().unwrap().iter().map(|task| &task["taskId"]).collect();
    let mut real: Vec<&Value> = tasks.iter().map(|task| &task["taskArn"]).collect();
    told.sort_by_key(ToString::to_string);
    real.sort_by_key(ToString::to_string);
    assert_eq!(told, real);
    for task in &tasks {
        let container = &task["overrides"]["containerOverrides"][0];
        assert_eq!(container["name"], "main", "{task}");
        assert_eq!(named(&container["environment"], "name", "ECSS_FIRING_ID"), firing["id"], "{task}");
        let at = named(&container["environment"], "name", "ECSS_SCHEDULED_AT");
        let at: jiff::Timestamp = at.as_str().unwrap().parse().unwrap();
        assert_eq!(json!(at), firing["nominal"], "{task}");
    }
    assert!(tasks.iter().all(|task| task["startedBy"] == stage.started_by("nightly").as_str()), "{tasks:#?}");
}

/// Overrides and tags of a job are on its tasks, with the variables that every task gets.
pub(super) async fn overridden(stage: &Stage<'_>) {
    let playing = stage.start().await;
    let mut job = stage.job(&json!({
        "overrides": [{"containerName": "main", "environment": {"SIZE": "large"}, "command": ["resize", "--all"]}],
    }));
    job["launch"]["tags"] = json!({"team": "media"});
    job["launch"]["overrides"] = json!({"cpu": "512", "memory": "1024"});
    playing.create("resize", &job).await;
    let task = playing.settled("resize", 1).await.remove(0);
    let firing = playing.firing("resize", "launched").await;

    assert_eq!((&task["overrides"]["cpu"], &task["overrides"]["memory"]), (&json!("512"), &json!("1024")));
    let container = &task["overrides"]["containerOverrides"][0];
    assert_eq!(container["name"], "main", "{container}");
    assert_eq!(container["command"], json!(["resize", "--all"]), "{container}");
    let variable = |name: &str| named(&container["environment"], "name", name);
    assert_eq!(variable("SIZE"), "large");
    assert_eq!(variable("ECS_SCHEDULER_OVERRIDE_TAG"), "resize");
    assert_eq!(variable("ECSS_FIRING_ID"), firing["id"]);
    let scheduled: jiff::Timestamp = variable("ECSS_SCHEDULED_AT").as_str().unwrap().parse().unwrap();
    assert_eq!(json!(scheduled), firing["nominal"]);

    let tag = |name: &str| named(&task["tags"], "key", name);
    assert_eq!(tag("team"), "media");
    assert_eq!(tag("ecss:job"), "resize");
    assert_eq!(tag("ecss:firing"), firing["id"]);
}

/// Returns the value in a list of names and values.
fn named(list: &Value, key: &str, name: &str) -> Value {
    let mut all = list.as_array().into_iter().flatten();
    all.find(|one| one[key] == name).map_or(Value::Null, |one| one["value"].clone())
}

/// A task on Fargate has the launch type, and a network interface in the subnet that the job names.
pub(super) async fn fargate(stage: &Stage<'_>) {
    let playing = stage.start().await;
    playing.create("isolated", &stage.job(&json!({}))).await;
    let task = playing.settled("isolated", 1).await.remove(0);
    assert_eq!(task["launchType"], "FARGATE", "{task}");
    let interface = &task["attachments"][0];
    assert_eq!(named(&interface["details"], "name", "subnetId"), stage.subnet.as_str(), "{task}");
}

/// Running tasks count, on any number of pages, also if another program started them.
pub(super) async fn crowded(stage: &Stage<'_>) {
    stage.run("crowd", 120).await;
    let playing = stage.start().await;
    playing.create("crowd", &stage.job(&json!({"taskCount": 121}))).await;
    let launched = playing.decision("crowd", "launched").await;
    assert_eq!((&launched["busy"], &launched["launch"]), (&json!(120), &json!(1)), "{launched}");
    playing.settled("crowd", 121).await;
}

/// How a task ended is in its firing.
pub(super) async fn ended(stage: &Stage<'_>) {
    let fake = stage.cloud.fake();
    fake.configure(|settings| {
        let mut life = settings.ecs.life.clone();
        life.run = Some(jiff::SignedDuration::from_secs(1));
        life.exit_codes.insert("main".to_owned(), 3);
        settings.ecs.cluster_lives.insert(stage.name.clone(), life);
    });
    let playing = stage.start().await;
    playing.create("failing", &stage.job(&json!({}))).await;
    let firing = playing.firing("failing", "finished").await;
    let task = &firing["tasks"][0];
    assert_eq!((&task["state"], &task["exitCode"]), (&json!("stopped"), &json!(3)), "{task}");
    assert_eq!(task["stopCode"], "EssentialContainerExited", "{task}");
    assert!(task["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{task}");
    assert_eq!(
        (&task["diagnosis"]["code"], &firing["outcome"]),
        (&json!("exitCode"), &json!("failed")),
        "{firing}"
    );
    for time in ["createdAt", "pullStartedAt", "pullStoppedAt", "startedAt", "stoppingAt", "stoppedAt"] {
        assert!(task[time].is_string(), "{time}: {task}");
    }
    assert!(task["availabilityZone"].is_string(), "{task}");
}

/// The scheduler observes the end of a task by its event in a queue, while ECS still lists it as running; it deletes other messages.
pub(super) async fn variables_of_tasks(stage: &Stage<'_>) {
    let queue = stage.queue("events").await;
    let playing = stage.start_with(&[("ECSS_ECS_EVENTS_QUEUE", stage.family("events"))]).await;
    playing.create("told", &stage.job(&json!({}))).await;
    let task = playing.settled("told", 1).await.remove(0);
    let event = |kind: &str, status: &str, exit_code: i32| {
        json!({
            "version": "0", "id": "00000000-0000-0000-0000-000000000000", "source": "aws.ecs", "detail-type": kind,
            "detail": {
                "taskArn": task["taskArn"], "taskDefinitionArn": task["taskDefinitionArn"],
                "clusterArn": task["clusterArn"], "startedBy": task["startedBy"], "version": 1_000,
                "lastStatus": status, "desiredStatus": "STOPPED", "stopCode": "EssentialContainerExited",
                "stoppedReason": "Essential container in task exited", "stoppedAt": "2026-01-01T00:00:00Z",
                "containers": [{"name": "main", "exitCode": exit_code, "lastStatus": status}],
            },
        })
    };
    stage.send_text(&queue, &event("ECS Deployment State Change", "STOPPED", 9).to_string()).await;
    stage.send_text(&queue, "not an event").await;
    stage.send_text(&queue, &event("ECS Task State Change", "STOPPED", 3).to_string()).await;

    let firing = playing.firing("told", "finished").await;
    let told = &firing["tasks"][0];
    assert_eq!((&told["state"], &told["exitCode"]), (&json!("stopped"), &json!(3)), "{told}");
    assert_eq!(told["reason"], "Essential container in task exited", "{told}");
    until("the queue is empty", async || stage.messages(&queue).await == 0).await;
}

/// The output of a task is read from its log stream, by the API and by the command line.
pub(super) async fn output_of_tasks(stage: &Stage<'_>) {
    let family = stage.family("logged");
    let group = format!("/{family}");
    stage.define_logged(&family, &group).await;
    let playing = stage.start().await;
    playing.create("logged", &stage.job(&json!({"taskDefinition": family}))).await;
    playing.settled("logged", 1).await;
    let firing = playing.firing("logged", "launched").await;
    let id = firing["tasks"][0]["taskId"].as_str().unwrap().rsplit('/').next().unwrap();
    let path = format!("/firings/{}/tasks/{id}/logs", firing["id"].as_str().unwrap());
    stage.cloud.logs("CreateLogGroup", json!({"logGroupName": group})).await;
    let early = playing.get(&path).await;
    assert_eq!(early["status"], 404, "{early}");
    assert!(early["detail"].as_str().unwrap().contains("has not written anything yet"), "{early}");

    let stream = json!({"logGroupName": group, "logStreamName": format!("ecs/main/{id}")});
    stage.cloud.logs("CreateLogStream", stream.clone()).await;
    let now = jiff::Timestamp::from_millisecond(SystemClock.now().as_millisecond()).unwrap();
    let at = |line: i64| now - jiff::SignedDuration::from_secs(10 - line);
    let event =
        |line: i64| json!({"timestamp": at(line).as_millisecond(), "message": format!("line {line}\u{1b}")});
    let mut put = stream;
    put["logEvents"] = json!([event(1), event(2), event(3)]);
    stage.cloud.logs("PutLogEvents", put).await;

    let mut lines: Vec<Value> = Vec::new();
    let mut next = json!(path);
    while let Some(path) = next.as_str() {
        let mut page = playing.get(path).await;
        lines.append(page["lines"].as_array_mut().unwrap());
        next = page["next"].take();
    }
    let line =
        |line: i64| json!({"at": at(line), "container": "main", "text": format!("line {line}\u{fffd}")});
    assert_eq!(json!(lines), json!([line(1), line(2), line(3)]));
    assert_eq!(playing.get(&format!("{path}?tail=1")).await["lines"], json!([line(3)]));
    let since = playing.get(&format!("{path}?since={}", at(2))).await;
    assert_eq!(since["lines"], json!([line(2), line(3)]), "{since}");
    let printed = playing.jobs(&["logs", "logged", "--tail", "2"]).await;
    assert_eq!(printed, "line 2\u{fffd}\nline 3\u{fffd}\n");
}
