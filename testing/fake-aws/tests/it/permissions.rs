use serde_json::{Value, json};

use crate::help::{Rig, arns};

const CLUSTER: &str = "arn:aws:ecs:eu-central-1:123456789012:cluster/batch";

fn allow(rig: &Rig, statements: Value) {
    let policy = json!({ "Version": "2012-10-17", "Statement": statements });
    rig.fake.configure(|settings| settings.permissions.policy = Some(policy));
}

#[tokio::test]
async fn denied_action_has_the_message_of_iam() {
    let rig = Rig::new().await;
    let url = rig.fake.sqs().create_queue("orders");
    rig.fake.configure(|settings| {
        settings.permissions.denied = ["ecs:RunTask".to_owned(), "sqs:GetQueueAttributes".to_owned()].into();
    });
    let words = "is not authorized to perform: ecs:RunTask on resource: \
                 arn:aws:ecs:eu-central-1:123456789012:task-definition/work:1";
    rig.run(json!({})).await.is("AccessDeniedException", words);
    let answer = rig.sqs("GetQueueAttributes", json!({ "QueueUrl": url })).await;
    assert_eq!((answer.status, answer.query_error.as_deref()), (403, Some("AccessDenied;Sender")));
    let words = "perform: sqs:GetQueueAttributes on resource: arn:aws:sqs:eu-central-1:123456789012:orders";
    assert!(answer.message().contains(words), "{}", answer.body);
    assert_eq!(rig.fake.launches().len(), 0);
}

#[tokio::test]
async fn policy_allows_by_action_resource_and_cluster() {
    let rig = Rig::new().await;
    rig.fake.ecs().create_cluster("other");
    let run = json!({
        "Effect": "Allow", "Action": "ecs:RunTask",
        "Resource": "arn:aws:ecs:*:123456789012:task-definition/work:*",
        "Condition": { "ArnEquals": { "ecs:cluster": CLUSTER } },
    });
    let list = json!({
        "Effect": "Allow", "Action": ["ecs:ListTasks", "ecs:DescribeTasks"], "Resource": "*",
        "Condition": { "StringEquals": { "ecs:cluster": [CLUSTER] } },
    });
    allow(&rig, json!([run, list]));
    let arn = arns(&rig.run(json!({})).await.good())[0].clone();
    rig.describe(&arn).await;
    rig.run(json!({ "cluster": "other" }))
        .await
        .is("AccessDeniedException", "no identity-based policy allows");
    rig.run(json!({ "taskDefinition": "secret" }))
        .await
        .is("AccessDeniedException", "task-definition/secret");
    let stop = rig.ecs("StopTask", json!({ "cluster": "batch", "task": arn })).await;
    stop.is("AccessDeniedException", &format!("ecs:StopTask on resource: {arn}"));
    let list = rig.ecs("ListTasks", json!({ "cluster": "other" })).await;
    list.is("AccessDeniedException", "ecs:ListTasks");
}

#[tokio::test]
async fn passing_roles_and_tagging_need_permission() {
    let rig = Rig::new().await;
    let role = "arn:aws:iam::123456789012:role/task";
    let definition = json!({
        "family": "roled", "taskRoleArn": role, "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "requiresCompatibilities": ["FARGATE"], "containerDefinitions": [{ "name": "main", "image": "i" }],
    });
    rig.fake.ecs().register(&definition).unwrap();
    let run = json!({ "Effect": "Allow", "Action": "ecs:RunTask", "Resource": "*" });
    let pass = json!({
        "Effect": "Allow", "Action": "iam:PassRole", "Resource": role,
        "Condition": { "StringLike": { "iam:PassedToService": "ecs-tasks.amazonaws.com" } },
    });
    let tag = json!({
        "Effect": "Allow", "Action": "ecs:TagResource", "Resource": "*",
        "Condition": { "StringEquals": { "ecs:CreateAction": "RunTask" } },
    });
    let call = json!({ "taskDefinition": "roled", "tags": [{ "key": "a", "value": "b" }] });
    allow(&rig, json!([run]));
    rig.run(call.clone()).await.is("AccessDeniedException", &format!("iam:PassRole on resource: {role}"));
    allow(&rig, json!([run, pass]));
    rig.run(call.clone()).await.is("AccessDeniedException", "ecs:TagResource");
    allow(&rig, json!([run, pass, tag]));
    rig.run(call).await.good();
}
