use ecs_scheduler_fake_aws::{FaultRule, InjectedFault, Service};
use serde_json::{Value, json};

use crate::help::{Rig, with};

/// A fake with the group `/work` and the stream `ecs/main/1` of `count` events, a second apart.
async fn written(count: usize) -> Rig {
    let rig = Rig::new().await;
    rig.logs("CreateLogGroup", json!({ "logGroupName": "/work" })).await.good();
    rig.logs("CreateLogStream", stream(json!({}))).await.good();
    if count > 0 {
        let event =
            |number: usize| json!({ "timestamp": number * 1_000, "message": format!("line {number}") });
        let events: Vec<Value> = (0..count).map(event).collect();
        rig.logs("PutLogEvents", stream(json!({ "logEvents": events }))).await.good();
    }
    rig
}

fn stream(more: Value) -> Value {
    with(json!({ "logGroupName": "/work", "logStreamName": "ecs/main/1" }), more)
}

fn messages(page: &Value) -> Vec<&str> {
    page["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn forward_token_continues_and_returns_itself_at_the_end() {
    let rig = written(3).await;
    let get = async |token: &Value| {
        let call = stream(json!({ "startFromHead": true, "limit": 2, "nextToken": token }));
        rig.logs("GetLogEvents", call).await.good()
    };
    let first = get(&Value::Null).await;
    assert_eq!(messages(&first), ["line 0", "line 1"]);
    let second = get(&first["nextForwardToken"]).await;
    assert_eq!(messages(&second), ["line 2"]);
    let third = get(&second["nextForwardToken"]).await;
    assert_eq!((messages(&third).len(), &third["nextForwardToken"]), (0, &second["nextForwardToken"]));
    rig.logs("PutLogEvents", stream(json!({ "logEvents": [{ "timestamp": 9_000, "message": "late" }] })))
        .await
        .good();
    assert_eq!(messages(&get(&third["nextForwardToken"]).await), ["late"]);
}

#[tokio::test]
async fn newest_events_come_first_without_start_from_head() {
    let rig = written(5).await;
    let newest = rig.logs("GetLogEvents", stream(json!({ "limit": 2 }))).await.good();
    assert_eq!(messages(&newest), ["line 3", "line 4"]);
    let call = stream(json!({ "limit": 9, "nextToken": newest["nextBackwardToken"] }));
    let older = rig.logs("GetLogEvents", call).await.good();
    assert_eq!(messages(&older), ["line 0", "line 1", "line 2"]);
    let call = stream(json!({ "startTime": 1_000, "endTime": 3_000, "startFromHead": true }));
    assert_eq!(messages(&rig.logs("GetLogEvents", call).await.good()), ["line 1", "line 2"]);
}

#[tokio::test]
async fn page_has_at_most_a_mebibyte() {
    let rig = written(0).await;
    let text = "a".repeat(400_000);
    for at in 0..3 {
        let events = json!([{ "timestamp": at, "message": text }]);
        rig.logs("PutLogEvents", stream(json!({ "logEvents": events }))).await.good();
    }
    let page = rig.logs("GetLogEvents", stream(json!({ "startFromHead": true }))).await.good();
    assert_eq!(messages(&page).len(), 2);
}

#[tokio::test]
async fn pages_may_be_empty_although_events_follow() {
    let rig = written(1).await;
    rig.fake.configure(|settings| settings.logs.empty_pages = true);
    let (mut token, mut found, mut calls) = (Value::Null, 0, 0);
    loop {
        let call = stream(json!({ "startFromHead": true, "nextToken": token }));
        let page = rig.logs("GetLogEvents", call).await.good();
        (found, calls) = (found + messages(&page).len(), calls + 1);
        if page["nextForwardToken"] == token {
            break;
        }
        token = page["nextForwardToken"].clone();
    }
    assert_eq!((found, calls), (1, 4));
}

#[tokio::test]
async fn invalid_calls_are_refused() {
    let rig = written(1).await;
    let get = async |more: Value| rig.logs("GetLogEvents", stream(more)).await;
    get(json!({ "limit": 0 })).await.is("InvalidParameterException", "at 'limit'");
    get(json!({ "limit": 10_001 })).await.is("InvalidParameterException", "at 'limit'");
    get(json!({ "nextToken": "f/1" })).await.is("InvalidParameterException", "nextToken is invalid");
    let token = get(json!({})).await.good()["nextForwardToken"].clone();
    get(json!({ "nextToken": token })).await.is("InvalidParameterException", "startFromHead");
    get(json!({ "logGroupName": null })).await.is("InvalidParameterException", "Exactly one of");
    get(json!({ "logGroupName": "/other" }))
        .await
        .is("ResourceNotFoundException", "log group does not exist");
    get(json!({ "logStreamName": "other" }))
        .await
        .is("ResourceNotFoundException", "log stream does not exist");
    get(json!({ "logStreamName": "a:b" })).await.is("InvalidParameterException", "at 'logStreamName'");
    let events = json!([{ "timestamp": 2, "message": "b" }, { "timestamp": 1, "message": "a" }]);
    let put = rig.logs("PutLogEvents", stream(json!({ "logEvents": events }))).await;
    put.is("InvalidParameterException", "chronological order");
    rig.logs("CreateLogGroup", json!({ "logGroupName": "/work" }))
        .await
        .is("ResourceAlreadyExistsException", "already exists");
}

#[tokio::test]
async fn reads_are_denied_by_stream_and_throttled_by_quota() {
    let rig = written(1).await;
    let policy = |resource: &str| json!({ "Statement": [{ "Effect": "Allow", "Action": "logs:GetLogEvents", "Resource": resource }] });
    let of = |name: &str| format!("arn:aws:logs:eu-central-1:123456789012:log-group:{name}");
    rig.fake.configure(|settings| settings.permissions.policy = Some(policy(&of("/work:log-stream:ecs/*"))));
    rig.logs("GetLogEvents", stream(json!({}))).await.good();
    rig.fake.configure(|settings| settings.permissions.policy = Some(policy(&of("/other:*"))));
    let refused = rig.logs("GetLogEvents", stream(json!({}))).await;
    refused.is("AccessDeniedException", "logs:GetLogEvents on resource: arn:aws:logs:eu-central-1");
    rig.fake.configure(|settings| {
        settings.permissions.policy = None;
        settings.quotas.enforced = true;
    });
    for _ in 0..10 {
        rig.logs("GetLogEvents", stream(json!({}))).await.good();
    }
    rig.logs("GetLogEvents", stream(json!({}))).await.is("ThrottlingException", "Rate exceeded");
    rig.pass(1);
    rig.fake.faults().add(FaultRule::once(Service::Logs, "GetLogEvents", InjectedFault::Throttled));
    rig.logs("GetLogEvents", stream(json!({}))).await.is("ThrottlingException", "Rate exceeded");
}

#[tokio::test]
async fn log_driver_without_its_options_is_refused() {
    let rig = Rig::new().await;
    let register = async |options: Value, more: Value| {
        let log = json!({ "logDriver": "awslogs", "options": options });
        let container = json!({ "name": "main", "image": "busybox", "memory": 128, "logConfiguration": log });
        let call = json!({ "family": "logs", "containerDefinitions": [container] });
        rig.ecs("RegisterTaskDefinition", with(call, more)).await
    };
    let fargate = json!({
        "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512",
    });
    register(json!({ "awslogs-group": "/work" }), json!({})).await.is("ClientException", "awslogs-region");
    let options = json!({ "awslogs-group": "/work", "awslogs-region": "eu-central-1" });
    register(options.clone(), fargate).await.is("ClientException", "awslogs-stream-prefix");
    register(options, json!({})).await.good();
}
