//! `doctor`, and the look before a job is written, on a cluster with planted problems: they find each, and nothing else.

use serde_json::{Value, json};

use super::cloud::{Cloud, Kind};
use super::stage::Stage;

/// Examines jobs given as files, and returns whether all was well and what was looked at.
async fn examine(stage: &Stage<'_>, jobs: &[(&str, Value)]) -> (bool, Vec<Value>) {
    let mut arguments = vec!["doctor".to_owned(), "--json".to_owned()];
    for (id, job) in jobs {
        let mut job = job.clone();
        job["id"] = (*id).into();
        let file = stage.site.path(id).with_extension("json");
        std::fs::write(&file, job.to_string()).unwrap();
        arguments.push(file.to_str().unwrap().to_owned());
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = stage.command(&arguments).await;
    let seen: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.success(), seen["examinations"].as_array().unwrap().clone())
}

/// Returns the problems whose subject or text holds this.
fn problems<'a>(seen: &'a [Value], word: &str) -> Vec<&'a Value> {
    seen.iter().filter(|look| look["ok"] == false && look.to_string().contains(word)).collect()
}

#[tokio::test]
async fn doctor_finds_nothing_where_nothing_is_wrong() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "healthy").await;
    let queue = stage.queue("orders").await;
    let jobs = [
        ("plain", stage.job(&json!({}))),
        ("queued", stage.job(&json!({"trigger": {"type": "sqs", "queueUrl": queue}}))),
    ];
    let (healthy, seen) = examine(&stage, &jobs).await;
    assert!(healthy, "{seen:#?}");
    assert!(seen.len() > jobs.len() && problems(&seen, "").is_empty(), "{seen:#?}");
    assert_eq!(cloud.fake().launches().len(), 0, "a look starts nothing");
}

#[tokio::test]
async fn doctor_finds_each_problem_of_a_job_and_no_other() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "ailing").await;
    let retired = stage.family("retired");
    stage.define(&retired).await;
    cloud.ecs("DeregisterTaskDefinition", json!({"taskDefinition": format!("{retired}:1")})).await;
    let mut no_network = stage.job(&json!({}));
    no_network["launch"].as_object_mut().unwrap().remove("network");
    let mut elsewhere = stage.job(&json!({}));
    elsewhere["launch"]["cluster"] = "no-such-cluster".into();
    let planted = [
        ("unregistered", stage.job(&json!({"taskDefinition": "ailing-mistyped"})), "ailing-mistyped"),
        ("retired", stage.job(&json!({"taskDefinition": format!("{retired}:1")})), "ACTIVE"),
        ("misnamed", stage.job(&json!({"overrides": [{"containerName": "mian"}]})), "mian"),
        ("offline", no_network, "subnets"),
        ("elsewhere", elsewhere, "no-such-cluster"),
        ("unqueued", stage.job(&json!({"trigger": {"type": "sqs", "queueName": "nowhere"}})), "nowhere"),
        (
            "unmeasured",
            stage.job(&json!({
                "trigger": {"type": "cloudwatch", "namespace": "Shop", "metricName": "Unheard", "threshold": 1},
            })),
            "Unheard",
        ),
    ];
    let mut jobs: Vec<(&str, Value)> = planted.iter().map(|(id, job, _)| (*id, job.clone())).collect();
    jobs.push(("well", stage.job(&json!({}))));
    let (healthy, seen) = examine(&stage, &jobs).await;
    assert!(!healthy);
    for (id, _, word) in &planted {
        let found = problems(&seen, &format!("job {id}:"));
        assert!(found.iter().any(|look| look["problem"].as_str().unwrap().contains(word)), "{id}: {seen:#?}");
    }
    assert_eq!(problems(&seen, "job well:"), [] as [&Value; 0]);
}

#[tokio::test]
async fn doctor_finds_each_permission_that_is_missing() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "denied").await;
    stage.queue("orders").await;
    let trigger = json!({"type": "sqs", "queueName": stage.family("orders")});
    let jobs = [("queued", stage.job(&json!({"trigger": trigger})))];
    for action in [
        "ecs:RunTask",
        "ecs:ListTasks",
        "ecs:DescribeTasks",
        "ecs:StopTask",
        "ecs:DescribeTaskDefinition",
        "sqs:GetQueueUrl",
        "sqs:GetQueueAttributes",
    ] {
        cloud.fake().configure(|settings| settings.permissions.denied = [action.to_owned()].into());
        let (healthy, seen) = examine(&stage, &jobs).await;
        assert!(!healthy && !problems(&seen, action).is_empty(), "without {action}: {seen:#?}");
    }
}

#[tokio::test]
async fn a_job_that_could_not_run_is_refused_where_it_is_wrong_if_that_is_asked_for() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "asked").await;
    let playing = stage.start().await;
    let mut planted = stage.job(&json!({
        "id": "planted",
        "schedule": "@yearly",
        "overrides": [{"containerName": "mian"}],
        "trigger": {"type": "sqs", "queueName": "nowhere"},
    }));
    planted["launch"].as_object_mut().unwrap().remove("network");
    let (status, answer) = playing.offer("/jobs?validate=aws", &planted).await;
    assert_eq!(status, 400, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let mut pointers: Vec<&str> =
        answer["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/launch/network", "/overrides/0/containerName", "/trigger"], "{answer:#}");

    let (status, answer) = playing.offer("/jobs", &planted).await;
    assert_eq!(status, 201, "without being asked for, AWS is not: {answer}");
    let well = stage.job(&json!({"id": "well", "schedule": "@yearly"}));
    let (status, answer) = playing.offer("/jobs?validate=aws", &well).await;
    assert_eq!(status, 201, "{answer}");
}
