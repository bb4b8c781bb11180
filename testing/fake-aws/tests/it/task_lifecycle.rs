use ecs_scheduler_fake_aws::TaskLifecycle;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::help::{Rig, arns};

const SECOND: SignedDuration = SignedDuration::from_secs(1);

#[tokio::test]
async fn task_passes_its_statuses_with_rising_version() {
    let rig = Rig::new().await;
    let life = TaskLifecycle {
        deactivating: SECOND,
        stopping: SECOND,
        deprovisioning: SECOND,
        ..TaskLifecycle::default()
    };
    rig.fake.configure(|settings| settings.ecs.life = life);
    let arn = arns(&rig.run(json!({})).await.good())[0].clone();
    let mut seen = Vec::new();
    let mut version = 0;
    for _ in 0..20 {
        let task = rig.describe(&arn).await;
        let status = task["lastStatus"].as_str().unwrap().to_owned();
        if seen.last() != Some(&status) {
            assert!(task["version"].as_u64().unwrap() > version);
            version = task["version"].as_u64().unwrap();
            seen.push(status);
        }
        rig.pass(1);
    }
    let states =
        ["PROVISIONING", "PENDING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED"];
    assert_eq!(seen, states);
    let task = rig.describe(&arn).await;
    assert_eq!(task["startedAt"].as_f64().unwrap() - task["createdAt"].as_f64().unwrap(), 2.0);
    assert_eq!(task["stoppedAt"].as_f64().unwrap() - task["createdAt"].as_f64().unwrap(), 15.0);
    assert_eq!(task["stopCode"], "EssentialContainerExited");
    assert_eq!(task["desiredStatus"], "STOPPED");
    assert_eq!(task["containers"][0]["exitCode"], 0);
}

#[tokio::test]
async fn definition_lifecycle_wins_over_cluster_lifecycle() {
    let rig = Rig::new().await;
    rig.fake.ecs().register_simple("other");
    let quick = TaskLifecycle { run: Some(SECOND), ..TaskLifecycle::default() };
    let failing = TaskLifecycle { exit_codes: [("main".to_owned(), 3)].into(), ..TaskLifecycle::default() };
    rig.fake.configure(|settings| {
        settings.ecs.cluster_lives.insert("batch".to_owned(), quick);
        settings.ecs.definition_lives.insert("other".to_owned(), failing);
    });
    let first = arns(&rig.run(json!({})).await.good())[0].clone();
    let second = arns(&rig.run(json!({ "taskDefinition": "other" })).await.good())[0].clone();
    rig.pass(3);
    assert_eq!(rig.describe(&first).await["lastStatus"], "STOPPED");
    assert_eq!(rig.describe(&second).await["lastStatus"], "RUNNING");
    rig.pass(9);
    assert_eq!(rig.describe(&second).await["containers"][0]["exitCode"], 3);
}

#[tokio::test]
async fn task_that_fails_to_start_never_runs() {
    let rig = Rig::new().await;
    let reason = "CannotPullContainerError: no such image";
    rig.fake.configure(|settings| settings.ecs.life.fails_to_start = Some(reason.to_owned()));
    let arn = arns(&rig.run(json!({})).await.good())[0].clone();
    rig.pass(2);
    let task = rig.describe(&arn).await;
    assert_eq!((&task["lastStatus"], &task["stopCode"]), (&json!("STOPPED"), &json!("TaskFailedToStart")));
    assert_eq!(task["stoppedReason"], reason);
    assert_eq!((&task["startedAt"], &task["containers"][0]["exitCode"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn stopped_task_has_a_stop_code() {
    let rig = Rig::new().await;
    rig.fake.configure(|settings| settings.ecs.life.stopping = SECOND);
    let arn = arns(&rig.run(json!({})).await.good())[0].clone();
    rig.pass(5);
    let call = json!({ "cluster": "batch", "task": arn, "reason": "too slow" });
    let answer = rig.ecs("StopTask", call.clone()).await.good();
    assert_eq!(answer["task"]["desiredStatus"], "STOPPED");
    assert_eq!(answer["task"]["lastStatus"], "STOPPING");
    rig.pass(1);
    let task = rig.describe(&arn).await;
    assert_eq!((&task["lastStatus"], &task["stopCode"]), (&json!("STOPPED"), &json!("UserInitiated")));
    assert_eq!(
        (&task["stoppedReason"], &task["containers"][0]["exitCode"]),
        (&json!("too slow"), &json!(143))
    );
    let version = task["version"].clone();
    assert_eq!(rig.ecs("StopTask", call).await.good()["task"]["version"], version);
    let unknown = rig.ecs("StopTask", json!({ "cluster": "batch", "task": "f00" })).await;
    unknown.is("InvalidParameterException", "The referenced task was not found.");
}

#[tokio::test]
async fn task_stopped_before_running_never_starts() {
    let rig = Rig::new().await;
    let arn = arns(&rig.run(json!({})).await.good())[0].clone();
    rig.ecs("StopTask", json!({ "cluster": "batch", "task": arn })).await.good();
    rig.pass(30);
    let task = rig.describe(&arn).await;
    assert_eq!((&task["lastStatus"], &task["startedAt"]), (&json!("STOPPED"), &Value::Null));
}

#[tokio::test]
async fn test_ends_a_task_on_demand() {
    let rig = Rig::new().await;
    rig.fake.configure(|settings| settings.ecs.life.run = None);
    let arn = arns(&rig.run(json!({ "startedBy": "me" })).await.good())[0].clone();
    assert!(!rig.fake.ecs().finish(&arn, 7));
    rig.pass(1000);
    assert_eq!(rig.describe(&arn).await["lastStatus"], "RUNNING");
    assert!(rig.fake.ecs().finish(&arn, 7));
    let task = rig.describe(&arn).await;
    assert_eq!((&task["lastStatus"], &task["containers"][0]["exitCode"]), (&json!("STOPPED"), &json!(7)));
    rig.run(json!({ "startedBy": "me" })).await.good();
    assert_eq!(rig.fake.max_concurrent("me"), 1);
}
