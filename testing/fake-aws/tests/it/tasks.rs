use std::collections::BTreeSet;

use serde_json::json;

use crate::help::{Rig, arns};

#[tokio::test]
async fn started_by_excludes_other_filters() {
    let rig = Rig::new().await;
    let mine = arns(&rig.run(json!({ "startedBy": "me" })).await.good());
    rig.run(json!({ "startedBy": "you" })).await.good();
    assert_eq!(rig.list(json!({ "startedBy": "me" })).await, mine);
    assert_eq!(
        rig.list(json!({ "startedBy": "me", "desiredStatus": "RUNNING", "maxResults": 5 })).await,
        mine
    );
    for other in ["family", "launchType", "serviceName", "containerInstance"] {
        let call = json!({ "cluster": "batch", "startedBy": "me", other: "x" });
        rig.ecs("ListTasks", call)
            .await
            .is("InvalidParameterException", "cannot specify startedBy with other arguments");
    }
}

#[tokio::test]
async fn lists_filter_by_desired_status() {
    let rig = Rig::new().await;
    let started = arns(&rig.run(json!({})).await.good());
    assert_eq!(rig.list(json!({})).await, started);
    assert_eq!(rig.list(json!({ "desiredStatus": "PENDING" })).await.len(), 0);
    assert_eq!(rig.list(json!({ "desiredStatus": "STOPPED" })).await.len(), 0);
    rig.pass(12);
    assert_eq!(rig.list(json!({})).await.len(), 0);
    assert_eq!(rig.list(json!({ "desiredStatus": "STOPPED" })).await, started);
    let answer = rig.ecs("ListTasks", json!({ "cluster": "batch", "desiredStatus": "GONE" })).await;
    answer.is("InvalidParameterException", "desiredStatus");
}

#[tokio::test]
async fn lists_are_paged() {
    let rig = Rig::new().await;
    for _ in 0..12 {
        rig.run(json!({ "count": 10 })).await.good();
    }
    let first = rig.ecs("ListTasks", json!({ "cluster": "batch" })).await.good();
    assert_eq!(first["taskArns"].as_array().unwrap().len(), 100);
    let (mut seen, mut pages, mut token) = (BTreeSet::new(), 0, None::<String>);
    loop {
        let call = json!({ "cluster": "batch", "maxResults": 50, "nextToken": token });
        let page = rig.ecs("ListTasks", call).await.good();
        seen.extend(page["taskArns"].as_array().unwrap().iter().map(|arn| arn.as_str().unwrap().to_owned()));
        pages += 1;
        token = page["nextToken"].as_str().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!((seen.len(), pages), (120, 3));
    for wrong in [json!({ "maxResults": 101 }), json!({ "maxResults": 0 }), json!({ "nextToken": "x" })] {
        let answer = rig.ecs("ListTasks", crate::help::with(json!({ "cluster": "batch" }), wrong)).await;
        answer.is("InvalidParameterException", "");
    }
    let token = first["nextToken"].clone();
    let elsewhere = json!({ "cluster": "batch", "startedBy": "me", "nextToken": token });
    rig.ecs("ListTasks", elsewhere).await.is("InvalidParameterException", "token");
}

#[tokio::test]
async fn new_task_is_listed_after_the_lag() {
    let rig = Rig::new().await;
    rig.fake.configure(|settings| settings.ecs.list_lag = jiff::SignedDuration::from_secs(3));
    let started = arns(&rig.run(json!({})).await.good());
    assert_eq!(rig.list(json!({})).await.len(), 0);
    assert_eq!(rig.describe(&started[0]).await["taskArn"], started[0]);
    rig.pass(3);
    assert_eq!(rig.list(json!({})).await, started);
}

#[tokio::test]
async fn describe_accepts_a_hundred_tasks_and_reports_missing_ones() {
    let rig = Rig::new().await;
    let known = arns(&rig.run(json!({})).await.good())[0].clone();
    let id = known.rsplit('/').next().unwrap();
    let answer = rig.ecs("DescribeTasks", json!({ "cluster": "batch", "tasks": [id, "f00"] })).await.good();
    assert_eq!(arns(&answer), [known]);
    assert_eq!(answer["tasks"][0]["tags"], json!([]));
    let missing = "arn:aws:ecs:eu-central-1:123456789012:task/batch/f00";
    assert_eq!(answer["failures"], json!([{ "arn": missing, "reason": "MISSING" }]));
    let many = json!({ "cluster": "batch", "tasks": vec!["f00"; 101] });
    rig.ecs("DescribeTasks", many).await.is("InvalidParameterException", "100");
    rig.ecs("DescribeTasks", json!({ "cluster": "batch" })).await.is("InvalidParameterException", "empty");
}

#[tokio::test]
async fn stopped_task_is_shown_for_an_hour() {
    let rig = Rig::new().await;
    let arn = arns(&rig.run(json!({})).await.good())[0].clone();
    rig.pass(12 + 3599);
    assert_eq!(rig.describe(&arn).await["lastStatus"], "STOPPED");
    rig.pass(1);
    let answer = rig.ecs("DescribeTasks", json!({ "cluster": "batch", "tasks": [arn] })).await.good();
    assert_eq!(answer["failures"][0]["reason"], "MISSING");
    assert_eq!(rig.list(json!({ "desiredStatus": "STOPPED" })).await.len(), 0);
    assert_eq!(rig.fake.launches().len(), 1);
}

#[tokio::test]
async fn clusters_and_definitions_are_described() {
    let rig = Rig::new().await;
    rig.run(json!({ "count": 2 })).await.good();
    let call = json!({ "clusters": ["batch", "nowhere"] });
    let answer = rig.ecs("DescribeClusters", call).await.good();
    assert_eq!(answer["clusters"][0]["pendingTasksCount"], 2);
    assert_eq!(answer["failures"][0]["reason"], "MISSING");
    let answer = rig.ecs("DescribeTaskDefinition", json!({ "taskDefinition": "work" })).await.good();
    assert_eq!(answer["taskDefinition"]["revision"], 1);
    let unknown = rig.ecs("DescribeTaskDefinition", json!({ "taskDefinition": "none" })).await;
    unknown.is("ClientException", "Unable to describe task definition.");
    rig.fake.ecs().register_simple("work");
    let answer = rig
        .ecs("ListTaskDefinitions", json!({ "familyPrefix": "work", "sort": "DESC", "maxResults": 1 }))
        .await;
    let body = answer.good();
    assert!(body["taskDefinitionArns"][0].as_str().unwrap().ends_with("work:2"));
    assert!(body["nextToken"].is_string());
}

#[tokio::test]
async fn tags_are_added_and_listed() {
    let rig = Rig::new().await;
    let arn = arns(&rig.run(json!({ "tags": [{ "key": "a", "value": "1" }] })).await.good())[0].clone();
    let more = json!([{ "key": "a", "value": "2" }, { "key": "b", "value": "3" }]);
    rig.ecs("TagResource", json!({ "resourceArn": arn, "tags": more })).await.good();
    let listed = rig.ecs("ListTagsForResource", json!({ "resourceArn": arn })).await.good();
    assert_eq!(listed["tags"], more);
    assert_eq!(rig.describe(&arn).await["tags"], more);
}

#[tokio::test]
async fn one_overlong_name_fails_the_whole_call() {
    let rig = Rig::new().await;
    let arn = arns(&rig.run(json!({})).await.good())[0].clone();
    let call = json!({ "cluster": "batch", "tasks": [arn, "0".repeat(37)] });
    rig.ecs("DescribeTasks", call).await.is("InvalidParameterException", "taskId longer than 36.");
}

#[tokio::test]
async fn versions_are_omitted_if_configured() {
    let rig = Rig::new().await;
    rig.fake.configure(|settings| settings.ecs.without_versions = true);
    let started = rig.run(json!({})).await.good();
    assert!(started["tasks"][0]["version"].is_null(), "{started}");
    let shown = rig.describe(&arns(&started)[0]).await;
    assert!(shown["version"].is_null() && !shown["lastStatus"].is_null(), "{shown}");
}
