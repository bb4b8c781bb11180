//! The policy that the program prints: enough for the selected jobs, and every statement is needed.

use std::collections::BTreeSet;
use std::iter;
use std::sync::Arc;

use ecs_scheduler_backend_aws::{AwsContext, AwsSettings};
use ecs_scheduler_backend_ecs::EcsLauncher;
use ecs_scheduler_core::{Clock, SystemClock, TriggerRegistry};
use ecs_scheduler_fake_aws::{EventFeed, Service};
use ecs_scheduler_trigger_cloudwatch::CloudWatch;
use ecs_scheduler_trigger_sqs::Sqs;
use futures::future::join_all;
use serde_json::{Value, json};

use super::cloud::{Cloud, Kind, REGION};
use super::stage::{Playing, Stage};
use crate::crash::site::until;

/// Sets a stage on which each permission is needed: a queue and a metric are read, tasks have roles, tags and volumes, one runs
/// already, tasks are replaced, and events arrive in a queue that is encrypted.
async fn set(cloud: &Cloud) -> Stage<'_> {
    let mut stage = Stage::set(cloud, "least").await;
    let definition = json!({
        "family": stage.family("work"),
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "taskRoleArn": "arn:aws:iam::123456789012:role/work",
        "executionRoleArn": "pull",
        "containerDefinitions": [{
            "name": "main", "image": "busybox", "essential": true,
            "logConfiguration": {"logDriver": "awslogs", "options": {
                "awslogs-group": "/least", "awslogs-region": REGION, "awslogs-stream-prefix": "ecs",
            }},
        }],
    });
    cloud.logs("CreateLogGroup", json!({"logGroupName": "/least"})).await;
    cloud.ecs("RegisterTaskDefinition", definition).await;
    let container = json!({"name": "main", "image": "busybox", "memory": 64});
    let definition = json!({
        "family": stage.family("disk"), "networkMode": "bridge", "containerDefinitions": [container],
        "volumes": [{"name": "scratch", "configuredAtLaunch": true}],
    });
    cloud.ecs("RegisterTaskDefinition", definition).await;
    let queue = stage.queue("orders").await;
    stage.send(&queue, 1).await;
    let events = stage.queue("events").await;
    let key = json!({"QueueUrl": events, "Attributes": {"KmsMasterKeyId": "alias/events"}});
    cloud.sqs("SetQueueAttributes", key).await;
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
    let ebs = json!({"roleArn": "arn:aws:iam::123456789012:role/ebs", "sizeInGiB": 20});
    let volume =
        json!({"launchType": "EC2", "volumeConfigurations": [{"name": "scratch", "managedEbsVolume": ebs}]});
    vec![
        ("with-disk", stage.job(&json!({"taskDefinition": stage.family("disk"), "launch": volume}))),
        ("by-queue", stage.job(&json!({"trigger": queue, "taskCount": 2}))),
        ("by-metric", stage.job(&json!({"trigger": metric}))),
        ("replaced", stage.job(&json!({"overlap": "replace", "schedule": "*/2"}))),
    ]
}

/// Prints the policy for the jobs in files.
async fn printed(stage: &Stage<'_>, region: &str) -> Value {
    let files: Vec<String> = jobs(stage)
        .into_iter()
        .map(|(id, mut job)| {
            job["id"] = id.into();
            let file = stage.site.path(id).with_extension("json");
            std::fs::write(&file, job.to_string()).unwrap();
            file.to_str().unwrap().to_owned()
        })
        .collect();
    let arguments = ["iam-policy", "--account", "123456789012", "--region", region];
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

/// Reads the output of a task of the job `replaced`, once it has one.
async fn read_output(playing: &Playing<'_>) -> Option<Value> {
    let firings = playing.list("/jobs/replaced/firings", "firings").await;
    let firing = firings.into_iter().find(|firing| firing["tasks"][0].is_object())?;
    let task = firing["tasks"][0]["taskId"].as_str().unwrap().rsplit('/').next().unwrap();
    let stream = json!({"logGroupName": "/least", "logStreamName": format!("ecs/main/{task}")});
    // It may be there from the read before.
    let _ = playing.stage.cloud.fake().call(Service::Logs, "CreateLogStream", &stream);
    Some(playing.get(&format!("/firings/{}/tasks/{task}/logs", firing["id"].as_str().unwrap())).await)
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
    let policy = printed(&stage, REGION).await;
    let playing = begin(&stage, &policy).await;
    playing.decision("by-queue", "satisfied").await;
    playing.decision("by-metric", "satisfied").await;
    // A replaced task has ended, and its end was observed.
    let firing = playing.firing("replaced", "finished").await;
    assert_eq!(firing["tasks"][0]["stopCode"], "UserInitiated", "{firing}");
    assert_eq!(read_output(&playing).await, Some(json!({"lines": []})));
    assert_eq!(failed(&stage).await, [] as [String; 0]);
}

#[tokio::test]
async fn every_statement_of_the_printed_policy_is_needed() {
    let cloud = Cloud::start(Kind::Fake).await;
    let policy = printed(&set(&cloud).await, REGION).await;
    let narrower = narrower(&policy);
    assert_eq!(narrower.len(), 15, "{policy:#}");
    join_all(narrower.iter().map(async |(action, policy)| {
        let cloud = Cloud::start(Kind::Fake).await;
        let stage = set(&cloud).await;
        let playing = begin(&stage, policy).await;
        until(&format!("something fails without {action}"), async || {
            read_output(&playing).await;
            !failed(&stage).await.is_empty()
        })
        .await;
    }))
    .await;
}

/// Lists the fields of a schema that hold text, by path.
fn texts(schema: &Value, at: &Value, path: &str, found: &mut BTreeSet<String>) {
    if let Some(name) = at["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        return texts(schema, &schema["$defs"][name], path, found);
    }
    for (name, property) in at["properties"].as_object().into_iter().flatten() {
        texts(schema, property, &format!("{path}.{name}"), found);
    }
    for word in ["items", "additionalProperties"] {
        if at[word].is_object() {
            texts(schema, &at[word], path, found);
        }
    }
    for choice in at["anyOf"].as_array().into_iter().flatten() {
        texts(schema, choice, path, found);
    }
    let is_text = at["type"] == "string" || many(&at["type"]).any(|kind| kind == "string");
    if is_text && at["enum"].is_null() {
        found.insert(path.to_owned());
    }
}

fn many(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Fields that name what the scheduler must be permitted to use, with what the policy says for the job below. The `region` of a
/// metric stands in no ARN.
const IN_POLICY: [(&str, &str); 12] = [
    ("launch.region", "arn:aws:ecs:eu-central-1:*:task-definition/all-work:*"),
    ("launch.cluster", "arn:aws:ecs:eu-central-1:*:cluster/elsewhere"),
    ("launch.tags", "ecs:TagResource"),
    ("launch.overrides.taskRoleArn", "arn:aws:iam::123456789012:role/path/task"),
    ("launch.overrides.executionRoleArn", "arn:aws:iam::123456789012:role/bare"),
    ("launch.volumeConfigurations.managedEbsVolume.roleArn", "arn:aws:iam::123456789012:role/ebs"),
    ("sqs.queueName", "arn:aws:sqs:eu-west-1:210987654321:named"),
    ("sqs.region", "arn:aws:sqs:eu-west-1:210987654321:named"),
    ("sqs.accountId", "arn:aws:iam::210987654321:role/read"),
    ("sqs.queueUrl", "arn:aws:sqs:us-east-1:123456789012:addressed"),
    ("cloudwatch.accountId", "arn:aws:iam::321098765432:role/read"),
    ("cloudwatch.region", "cloudwatch:GetMetricData"),
];

/// Fields that name nothing which the scheduler itself must be permitted to use: a place in the cluster or its network, what the
/// roles above use, what is counted, words.
const NOT_IN_POLICY: [&str; 29] = [
    "launch.capacityProviderStrategy.capacityProvider",
    "launch.capacityFallback.capacityProviderStrategy.capacityProvider",
    "launch.network.subnets",
    "launch.network.securityGroups",
    "launch.platformVersion",
    "launch.placementConstraints.expression",
    "launch.placementStrategy.field",
    "launch.group",
    "launch.volumeConfigurations.name",
    "launch.volumeConfigurations.managedEbsVolume.kmsKeyId",
    "launch.volumeConfigurations.managedEbsVolume.volumeType",
    "launch.volumeConfigurations.managedEbsVolume.snapshotId",
    "launch.volumeConfigurations.managedEbsVolume.filesystemType",
    "launch.overrides.cpu",
    "launch.overrides.memory",
    "cloudwatch.namespace",
    "cloudwatch.metricName",
    "cloudwatch.dimensions",
    "cloudwatch.stat",
    "cloudwatch.unit",
    "cloudwatch.expression",
    "cloudwatch.metrics.id",
    "cloudwatch.metrics.namespace",
    "cloudwatch.metrics.metricName",
    "cloudwatch.metrics.dimensions",
    "cloudwatch.metrics.stat",
    "cloudwatch.metrics.unit",
    "cloudwatch.period",
    "cloudwatch.delay",
];

#[tokio::test]
async fn every_field_that_names_a_resource_is_in_the_policy_and_no_field_is_forgotten() {
    let mut fields = BTreeSet::new();
    let launch = EcsLauncher::schema();
    texts(&launch, &launch, "launch", &mut fields);
    let aws = AwsContext::new(AwsSettings::new(Arc::new(SystemClock)));
    let mut registry = TriggerRegistry::default();
    registry.add(Sqs::new(aws.clone())).unwrap();
    registry.add(CloudWatch::new(aws)).unwrap();
    for kind in registry.kinds() {
        let schema = kind.schema();
        texts(&schema, &schema, kind.kind(), &mut fields);
    }
    let known = IN_POLICY.iter().map(|(field, _)| *field).chain(NOT_IN_POLICY);
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    assert_eq!(fields, known, "each field is either in the policy, or named here as one that need not be");

    let cloud = Cloud::start(Kind::Fake).await;
    let mut stage = Stage::set(&cloud, "all").await;
    stage.site.environment.push(("ECSS_AWS_ASSUME_ROLE", "arn:aws:iam::{{account}}:role/read".to_owned()));
    let triggers = json!([
        {"type": "sqs", "queueName": "named", "region": "eu-west-1", "accountId": "210987654321"},
        {"type": "sqs", "queueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/addressed"},
        {"type": "cloudwatch", "namespace": "Shop", "metricName": "Backlog", "threshold": 1, "region": "eu-west-1",
         "accountId": "321098765432"},
    ]);
    let mut job = stage.job(&json!({"id": "all", "trigger": {"type": "any", "of": triggers}}));
    job["launch"]["region"] = "eu-central-1".into();
    job["launch"]["cluster"] = "elsewhere".into();
    job["launch"]["tags"] = json!({"team": "data"});
    job["launch"]["overrides"] =
        json!({"taskRoleArn": "arn:aws:iam::123456789012:role/path/task", "executionRoleArn": "bare"});
    let ebs = json!({"roleArn": "arn:aws:iam::123456789012:role/ebs", "sizeInGiB": 20});
    job["launch"]["volumeConfigurations"] = json!([{"name": "scratch", "managedEbsVolume": ebs}]);
    let file = stage.site.path("all").with_extension("json");
    std::fs::write(&file, job.to_string()).unwrap();
    let output = stage.command(&["iam-policy", file.to_str().unwrap()]).await;
    let policy = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (field, expected) in IN_POLICY {
        assert!(policy.contains(&format!("\"{expected}\"")), "{field}: {expected} is not in {policy}");
    }
}

#[tokio::test]
async fn a_policy_without_the_roles_of_an_unknown_definition_comes_with_a_warning() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "roles").await;
    let warning = async |changes: Value| {
        let mut job = stage.job(&json!({"id": "late", "taskDefinition": "not-yet"}));
        for (name, value) in changes.as_object().unwrap() {
            job["launch"][name] = value.clone();
        }
        let file = stage.site.path("late").with_extension("json");
        std::fs::write(&file, job.to_string()).unwrap();
        let output = stage.command(&["iam-policy", file.to_str().unwrap()]).await;
        assert!(output.status.success());
        let policy: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(policy["Statement"].is_array(), "{policy}");
        String::from_utf8(output.stderr).unwrap()
    };
    let told = warning(json!({})).await;
    let lines: Vec<&str> = told.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert!(lines.len() == 1 && lines[0].contains("task definition \"not-yet\""), "{told}");
    assert!(lines[0].contains("iam:PassRole"), "{told}");
    let roles = json!({"overrides": {"taskRoleArn": "work", "executionRoleArn": "pull"}});
    assert!(!warning(roles).await.contains("not-yet"), "the job names both roles");
}

#[tokio::test]
async fn the_region_of_the_command_line_is_enough_and_gives_every_arn_its_partition() {
    let cloud = Cloud::start(Kind::Fake).await;
    let mut stage = set(&cloud).await;
    stage.site.environment.retain(|(name, _)| *name != "AWS_REGION");
    let policy = printed(&stage, "us-gov-west-1").await.to_string();
    assert!(policy.contains("arn:aws-us-gov:ecs:us-gov-west-1:123456789012:cluster/least"), "{policy}");
    assert!(!policy.contains("arn:aws:"), "{policy}");
}
