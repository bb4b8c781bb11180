//! The policy that the program prints: enough for the jobs at hand, and nothing in it is too much.

use std::iter;

use ecs_scheduler_core::{Clock, SystemClock};
use ecs_scheduler_fake_aws::EventFeed;
use futures::future::join_all;
use serde_json::{Value, json};

use super::cloud::{Cloud, Kind, REGION};
use super::stage::{Playing, Stage};
use crate::crash::site::until;

/// Sets a stage on which each permission is needed: a queue and a metric are read, tasks have roles and tags, one runs
/// already, tasks are replaced, and events arrive in a queue.
async fn set(cloud: &Cloud) -> Stage<'_> {
    let mut stage = Stage::set(cloud, "least").await;
    let definition = json!({
        "family": stage.family("work"),
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "taskRoleArn": "arn:aws:iam::123456789012:role/work",
        "executionRoleArn": "arn:aws:iam::123456789012:role/pull",
        "containerDefinitions": [{"name": "main", "image": "busybox", "essential": true}],
    });
    cloud.ecs("RegisterTaskDefinition", definition).await;
    let queue = stage.queue("orders").await;
    stage.send(&queue, 1).await;
    let events = stage.queue("events").await;
    cloud.fake().configure(|settings| {
        let feed = EventFeed { queue: events, ..EventFeed::default() };
        settings.ecs.events.insert("least".to_owned(), feed);
    });
    stage.site.environment.push(("ECSS_ECS_EVENTS_QUEUE", stage.family("events")));
    for minutes in 0..3 {
        let at = SystemClock.now() - jiff::SignedDuration::from_mins(minutes);
        cloud.put_metric("Shop", "Backlog", at, 9.0).await;
    }
    stage.run("by-queue", 1).await;
    stage
}

/// The jobs, by name.
fn jobs(stage: &Stage<'_>) -> Vec<(&'static str, Value)> {
    let queue = json!({"type": "sqs", "queueName": stage.family("orders")});
    let metric = json!({"type": "cloudwatch", "namespace": "Shop", "metricName": "Backlog", "threshold": 1});
    vec![
        ("by-queue", stage.job(&json!({"trigger": queue, "taskCount": 2}))),
        ("by-metric", stage.job(&json!({"trigger": metric}))),
        ("replaced", stage.job(&json!({"overlap": "replace", "schedule": "*/2"}))),
    ]
}

/// Prints the policy for the jobs in files.
async fn printed(stage: &Stage<'_>) -> Value {
    let files: Vec<String> = jobs(stage)
        .into_iter()
        .map(|(id, mut job)| {
            job["id"] = id.into();
            let file = stage.site.path(id).with_extension("json");
            std::fs::write(&file, job.to_string()).unwrap();
            file.to_str().unwrap().to_owned()
        })
        .collect();
    let arguments = ["iam-policy", "--account", "123456789012", "--region", REGION];
    let arguments: Vec<&str> = arguments.into_iter().chain(files.iter().map(String::as_str)).collect();
    let output = stage.command(&arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Starts the scheduler with the jobs, under a policy.
async fn begin<'a>(stage: &'a Stage<'a>, policy: &Value) -> Playing<'a> {
    let fake = stage.cloud.fake();
    fake.configure(|settings| settings.permissions.policy = Some(policy.clone()));
    let playing = stage.start().await;
    for (id, job) in jobs(stage) {
        playing.create(id, &job).await;
    }
    playing
}

/// Tells which operations were ever denied; nothing else makes a call fail here.
async fn failed(stage: &Stage<'_>) -> Vec<String> {
    let calls = stage.cloud.calls().await;
    calls.into_iter().filter(|(_, calls)| calls.failed > 0).map(|(operation, _)| operation).collect()
}

/// Returns the policy without one action of one statement, for each in turn, with the action's name.
fn narrower(policy: &Value) -> Vec<(String, Value)> {
    let statements = policy["Statement"].as_array().unwrap();
    let each = statements.iter().enumerate().flat_map(|(at, statement)| {
        let actions = statement["Action"].as_array().unwrap();
        iter::repeat(at).zip(actions.iter().enumerate())
    });
    each.map(|(at, (number, action))| {
        let mut policy = policy.clone();
        policy["Statement"][at]["Action"].as_array_mut().unwrap().remove(number);
        (action.as_str().unwrap().to_owned(), policy)
    })
    .collect()
}

#[tokio::test]
async fn the_printed_policy_suffices() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = set(&cloud).await;
    let policy = printed(&stage).await;
    let playing = begin(&stage, &policy).await;
    playing.decision("by-queue", "satisfied").await;
    playing.decision("by-metric", "satisfied").await;
    // A replaced task has ended, and that was heard of.
    let firing = playing.firing("replaced", "finished").await;
    assert_eq!(firing["tasks"][0]["stopCode"], "UserInitiated", "{firing}");
    assert_eq!(failed(&stage).await, [] as [String; 0]);
}

#[tokio::test]
async fn whatever_is_taken_from_the_printed_policy_something_fails() {
    let cloud = Cloud::start(Kind::Fake).await;
    let policy = printed(&set(&cloud).await).await;
    let narrower = narrower(&policy);
    assert_eq!(narrower.len(), 12, "{policy:#}");
    join_all(narrower.iter().map(async |(action, policy)| {
        let cloud = Cloud::start(Kind::Fake).await;
        let stage = set(&cloud).await;
        let _playing = begin(&stage, policy).await;
        until(&format!("something fails without {action}"), async || !failed(&stage).await.is_empty()).await;
    }))
    .await;
}
