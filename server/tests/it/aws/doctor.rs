//! `doctor`, and the look before a job is written, on a cluster with planted problems: they find each, and nothing else.

use ecs_scheduler_fake_aws::{FaultRule, InjectedFault, Service};
use reqwest::Method;
use serde_json::{Value, json};

use super::cloud::{Cloud, Kind};
use super::stage::Stage;
use crate::crash::site::until;

/// Runs `doctor` on jobs given as files; returns whether there was no problem, and the checks.
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

/// Returns the launch options of a job on instances, without the network that its definition needs: only AWS knows that.
fn on_instances_without_network(job: &Value) -> Value {
    let mut launch = job["launch"].clone();
    launch["launchType"] = "EC2".into();
    launch.as_object_mut().unwrap().remove("network");
    launch
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
    no_network["launch"] = on_instances_without_network(&no_network);
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
async fn doctor_takes_no_refusal_of_a_subnet_for_a_permission() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "astray").await;
    let mut astray = stage.job(&json!({}));
    astray["launch"]["network"]["subnets"] = json!(["subnet-0123456789abcdef9"]);
    let jobs = [("well", stage.job(&json!({}))), ("astray", astray)];
    let (healthy, seen) = examine(&stage, &jobs).await;
    assert!(healthy, "all subnets are there: {seen:#?}");
    let there = vec![stage.subnet.clone()];
    cloud.fake().configure(|settings| settings.ecs.subnets = Some(there));
    let (healthy, seen) = examine(&stage, &jobs).await;
    let found = problems(&seen, "");
    assert!(!healthy && found.len() == 1, "{found:#?}");
    assert!(found[0]["what"].as_str().unwrap().starts_with("ecs:RunTask"), "{found:#?}");
    assert!(found[0]["problem"].as_str().unwrap().contains("subnet-0123456789abcdef9"), "{found:#?}");
}

/// Jobs that ECS would refuse at each launch, with the place that is wrong.
fn refused_late(stage: &Stage<'_>) -> Vec<(Value, &'static str)> {
    let launch = |more: Value| {
        let mut job = stage.job(&json!({}));
        job["schedule"] = "@yearly".into();
        for (name, value) in more.as_object().unwrap() {
            job["launch"][name] = value.clone();
        }
        job["launch"].as_object_mut().unwrap().retain(|_, value| !value.is_null());
        job
    };
    let provider = |name: &str, weight: u32| json!({"capacityProvider": name, "weight": weight});
    let strategy = |items: Value| launch(json!({"launchType": null, "capacityProviderStrategy": items}));
    let spread = json!([{"type": "spread", "field": "instanceId"}]);
    let mut bigger = launch(json!({"overrides": {"cpu": "256", "memory": "512"}}));
    bigger["overrides"] = json!([{"containerName": "main", "memory": 4096}]);
    let mut unnamed = launch(json!({}));
    unnamed["overrides"] = json!([{"containerName": "main", "environment": {"": "x"}}]);
    vec![
        (launch(json!({"tags": {"note": "nightly; a,b (c) [d]"}})), "/launch/tags/note"),
        (
            strategy(json!([provider("FARGATE", 0), provider("FARGATE_SPOT", 0)])),
            "/launch/capacityProviderStrategy",
        ),
        (
            strategy(json!([provider("FARGATE", 1), provider("my-asg", 1)])),
            "/launch/capacityProviderStrategy",
        ),
        (launch(json!({"launchType": "EC2", "platformVersion": "LATEST"})), "/launch/platformVersion"),
        (launch(json!({"placementStrategy": spread})), "/launch/placementStrategy"),
        (
            launch(
                json!({"launchType": "EC2", "placementStrategy": spread, "capacityFallback": [{"launchType": "FARGATE"}]}),
            ),
            "/launch/placementStrategy",
        ),
        (
            launch(
                json!({"launchType": "EC2", "network": {"subnets": [stage.subnet], "assignPublicIp": true}}),
            ),
            "/launch/network/assignPublicIp",
        ),
        (launch(json!({"overrides": {"cpu": "256", "memory": "8192"}})), "/launch/overrides/memory"),
        (launch(json!({"overrides": {"cpu": "abc"}})), "/launch/overrides/cpu"),
        (bigger, "/overrides/0/memory"),
        (launch(json!({"network": {"subnets": ["birdzview"]}})), "/launch/network/subnets/0"),
        (launch(json!({"network": null})), "/launch/network"),
        (launch(json!({"platformVersion": "1.4"})), "/launch/platformVersion"),
        (launch(json!({"region": "narnia"})), "/launch/region"),
        (launch(json!({"tags": {"team": "aws:x"}})), "/launch/tags/team"),
        (
            strategy(json!([{"capacityProvider": "fargate"}])),
            "/launch/capacityProviderStrategy/0/capacityProvider",
        ),
        (
            launch(json!({"overrides": {"taskRoleArn": "arn:aws:iam::1:user/x"}})),
            "/launch/overrides/taskRoleArn",
        ),
        (
            launch(
                json!({"volumeConfigurations": [{"name": "scratch", "managedEbsVolume": {"roleArn": "arn:aws:iam::123456789012:role/ebs", "sizeInGiB": 0}}]}),
            ),
            "/launch/volumeConfigurations/0/managedEbsVolume/sizeInGiB",
        ),
        (unnamed, "/overrides/0/environment"),
    ]
}

#[tokio::test]
async fn a_job_that_ecs_would_refuse_is_refused_when_it_is_written_and_names_the_place() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "late").await;
    let playing = stage.start().await;
    for (number, (mut job, pointer)) in refused_late(&stage).into_iter().enumerate() {
        job["id"] = format!("late-{number}").into();
        let (status, answer) = playing.try_post("/jobs", &job).await;
        assert_eq!(status, 400, "{job} {answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["errors"][0]["pointer"], pointer, "{job} {answer}");
    }
    let fifo = json!({"type": "sqs", "queueName": "orders.fifo", "messagesPerTask": 1});
    let guarded =
        json!({"type": "all", "of": [fifo, {"type": "window", "start": "0 8 * * *", "duration": "8h"}]});
    for (id, trigger, mode, warned) in [
        ("groups", &fifo, "oneShot", true),
        ("guarded", &guarded, "drain", true),
        ("total", &fifo, "total", false),
    ] {
        let job = json!({"id": id, "schedule": "@yearly", "trigger": trigger, "mode": mode});
        let (status, answer) = playing.try_post("/jobs", &stage.job(&job)).await;
        assert_eq!(status, 201, "{answer}");
        assert_eq!(answer.contains("FIFO queue"), warned, "{answer}");
    }
    let mut shell = stage.job(&json!({"id": "shell", "schedule": "@yearly"}));
    shell["launch"]["enableExecuteCommand"] = true.into();
    let (status, answer) = playing.try_post("/jobs?validate=aws", &shell).await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer.contains("/launch/enableExecuteCommand"), "{answer}");
    let arn = format!("arn:aws:ecs:eu-central-1:123456789012:task-definition/{}", stage.family("work"));
    let family = stage.job(&json!({"id": "family", "schedule": "@yearly", "taskDefinition": arn}));
    let (status, answer) = playing.try_post("/jobs?validate=aws", &family).await;
    assert_eq!(status, 201, "{answer}");
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
    planted["launch"] = on_instances_without_network(&planted);
    let (status, answer) = playing.try_post("/jobs?validate=aws", &planted).await;
    assert_eq!(status, 400, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let mut pointers: Vec<&str> =
        answer["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/launch/network", "/overrides/0/containerName", "/trigger"], "{answer:#}");

    let (status, answer) = playing.try_post("/jobs", &planted).await;
    assert_eq!(status, 201, "without being asked for, no check refuses it: {answer}");
    let well = stage.job(&json!({"id": "well", "schedule": "@yearly"}));
    let (status, answer) = playing.try_post("/jobs?validate=aws", &well).await;
    assert_eq!(status, 201, "{answer}");
    let ill = json!({"overrides": [{"containerName": "mian"}]});
    for method in [Method::PUT, Method::PATCH] {
        let (status, answer) = playing.send(method, "/jobs/well?validate=aws", &ill).await;
        assert_eq!(status, 400, "an edit, too: {answer}");
        assert!(answer.contains("/overrides/0/containerName"), "{answer}");
    }
}

#[tokio::test]
async fn a_job_that_is_written_with_an_unknown_task_definition_comes_with_a_warning() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "lost").await;
    let playing = stage.start().await;
    let written = async |method: Method, path: &str, job: &Value| {
        let (status, answer) = playing.send(method, path, job).await;
        assert!(status == 200 || status == 201, "{answer}");
        serde_json::from_str::<Value>(&answer).unwrap()["warnings"].clone()
    };
    let lost =
        |id: &str| stage.job(&json!({"id": id, "schedule": "@yearly", "taskDefinition": "lost-mistyped"}));
    let expected = "There is no task definition \"lost-mistyped\" in region ";
    let warns = |warnings: &Value| {
        warnings.as_array().is_some_and(|all| all[0].as_str().unwrap().starts_with(expected))
    };
    let warnings = written(Method::POST, "/jobs", &lost("posted")).await;
    assert!(warns(&warnings), "{warnings}");
    let well = stage.job(&json!({"id": "well", "schedule": "@yearly"}));
    assert_eq!(written(Method::POST, "/jobs", &well).await, Value::Null);
    for method in [Method::PUT, Method::PATCH] {
        let warnings = written(method, "/jobs/well", &json!({"taskDefinition": "lost-mistyped"})).await;
        assert!(warns(&warnings), "{warnings}");
    }
    let file = stage.site.path("lost").with_extension("json");
    std::fs::write(&file, lost("by-hand").to_string()).unwrap();
    let shown = playing.jobs(&["create", file.to_str().unwrap()]).await;
    assert!(shown.contains(expected), "{shown}");

    cloud.fake().faults().add(FaultRule::every(Service::Ecs, InjectedFault::BlackHole));
    let mut unanswered = lost("unanswered");
    unanswered["taskDefinition"] = "lost-unanswered".into();
    assert_eq!(written(Method::POST, "/jobs", &unanswered).await, Value::Null, "ECS does not answer");
}

#[tokio::test]
async fn a_job_on_the_default_capacity_of_its_cluster_is_checked_for_that() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "default").await;
    let share = json!([{"capacityProvider": "FARGATE", "weight": 1}]);
    let cluster = json!({
        "clusterName": "on-fargate", "capacityProviders": ["FARGATE"], "defaultCapacityProviderStrategy": share,
    });
    cloud.ecs("CreateCluster", cluster).await;
    let playing = stage.start().await;
    let job = |cluster: &str, more: Value| {
        let mut job = stage.job(&json!({"id": "defaulted", "schedule": "@yearly"}));
        let launch = job["launch"].as_object_mut().unwrap();
        launch.remove("launchType");
        launch.insert("cluster".to_owned(), cluster.into());
        launch.extend(more.as_object().unwrap().clone());
        job
    };
    let random = json!([{"type": "random"}]);
    for (job, pointer) in [
        (job("default", json!({"platformVersion": "LATEST"})), "/launch/platformVersion"),
        (
            job("default", json!({"overrides": {"ephemeralStorage": 30}})),
            "/launch/overrides/ephemeralStorage",
        ),
        (
            job("on-fargate", json!({"overrides": {"cpu": "256", "memory": "8192"}})),
            "/launch/overrides/memory",
        ),
        (job("on-fargate", json!({"placementStrategy": random})), "/launch/placementStrategy"),
    ] {
        let (status, answer) = playing.try_post("/jobs?validate=aws", &job).await;
        assert_eq!(status, 400, "{job}: {answer}");
        assert!(answer.contains(pointer) && answer.contains("the cluster's default"), "{answer}");
        let (healthy, seen) = examine(&stage, &[("defaulted", job)]).await;
        assert!(!healthy && !problems(&seen, pointer).is_empty(), "{seen:#?}");
    }
    let well = job("on-fargate", json!({"platformVersion": "LATEST"}));
    let (status, answer) = playing.try_post("/jobs?validate=aws", &well).await;
    assert_eq!(status, 201, "{answer}");
}

#[tokio::test]
async fn containers_that_get_no_firing_variables_for_lack_of_room_are_named_once() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "narrow").await;
    let container = |name: &str| json!({"name": name, "image": "busybox", "memory": 64, "essential": true});
    let definition = json!({
        "family": "narrow-pair", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
        "cpu": "256", "memory": "512", "containerDefinitions": [container("main"), container("side")],
    });
    cloud.ecs("RegisterTaskDefinition", definition).await;
    let playing = stage.start().await;
    let full = stage.job(&json!({
        "id": "full", "taskDefinition": "narrow-pair", "overlap": "allow",
        "overrides": [{"containerName": "main", "environment": {"TEXT": "x".repeat(7_700)}}],
    }));
    let (status, answer) = playing.try_post("/jobs", &full).await;
    assert!(status == 201 && answer.contains("ECS takes at most 8192"), "{status}: {answer}");
    until("three launches", async || cloud.fake().launches().len() >= 3).await;
    let log = stage.site.log();
    let lines: Vec<&str> =
        log.lines().filter(|line| line.contains("leave no room for ECSS_FIRING_ID")).collect();
    assert!(lines.len() == 1 && lines[0].contains("side") && lines[0].contains("WARN"), "{lines:#?}");
}
