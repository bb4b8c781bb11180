use ecs_scheduler_fake_aws::Service;
use serde_json::{Value, json};

use crate::help::{Rig, SIGNED, arns, run_task, with};

#[tokio::test]
async fn started_task_has_the_parameters_of_the_call() {
    let rig = Rig::new().await;
    let overrides = json!({ "containerOverrides": [{ "name": "main", "command": ["echo"] }] });
    let tags = json!([{ "key": "job", "value": "nightly" }]);
    let more =
        json!({ "startedBy": "ecs-scheduler/nightly", "overrides": overrides, "tags": tags, "group": "g" });
    let task = rig.run(more).await.good()["tasks"][0].clone();
    assert_eq!(task["overrides"], overrides);
    assert_eq!(task["tags"], tags);
    assert_eq!(task["startedBy"], "ecs-scheduler/nightly");
    assert_eq!(task["group"], "g");
    assert_eq!(task["launchType"], "FARGATE");
    assert_eq!(task["lastStatus"], "PROVISIONING");
    assert_eq!(task["desiredStatus"], "RUNNING");
    assert_eq!(task["createdAt"], 1_767_225_600.0);
    assert_eq!(task["version"], 1);
    assert_eq!(task["containerInstanceArn"], Value::Null);
    let arn = task["taskArn"].as_str().unwrap();
    assert!(arn.starts_with("arn:aws:ecs:eu-central-1:123456789012:task/batch/"), "{arn}");
}

#[tokio::test]
async fn invalid_parameters_are_refused() {
    let rig = Rig::new().await;
    let item = |name: &str| json!({ "capacityProvider": name, "weight": 1 });
    let vpc = |subnets: usize, groups: usize| json!({ "awsvpcConfiguration": { "subnets": vec!["subnet-0a1b2c3d"; subnets], "securityGroups": vec!["sg-0a1b2c3d"; groups] } });
    let tags: Vec<Value> = (0..51).map(|n| json!({ "key": n.to_string(), "value": "" })).collect();
    let long = json!({ "containerOverrides": [{ "name": "main", "command": ["x".repeat(8192)] }] });
    for (more, part) in [
        (json!({ "count": 0 }), "count"),
        (json!({ "count": 11 }), "count"),
        (json!({ "startedBy": "a".repeat(129) }), "startedBy"),
        (json!({ "startedBy": "a:b" }), "startedBy"),
        (json!({ "overrides": long }), "8192"),
        (
            json!({ "overrides": { "containerOverrides": [{ "name": "nobody" }] } }),
            "nobody is not a container",
        ),
        (json!({ "tags": tags }), "tags"),
        (json!({ "tags": [{ "key": "aws:x", "value": "" }] }), "aws:"),
        (json!({ "launchType": "MOON" }), "Launch type"),
        (
            json!({ "capacityProviderStrategy": [item("FARGATE")] }),
            "both a launch type and capacity provider strategy",
        ),
        (
            json!({ "launchType": null, "capacityProviderStrategy": vec![item("FARGATE"); 21] }),
            "maximum of 20",
        ),
        (json!({ "launchType": null, "capacityProviderStrategy": [item("mine")] }), "not associated"),
        (
            json!({ "networkConfiguration": null }),
            "Network Configuration must be provided when networkMode 'awsvpc'",
        ),
        (json!({ "networkConfiguration": vpc(0, 0) }), "subnets"),
        (json!({ "networkConfiguration": vpc(17, 0) }), "subnets"),
        (json!({ "networkConfiguration": vpc(1, 6) }), "securityGroups"),
        (
            json!({ "launchType": "EC2", "placementConstraints": vec![json!({}); 11] }),
            "placement constraints is 10",
        ),
        (
            json!({ "launchType": "EC2", "placementStrategy": vec![json!({}); 6] }),
            "placement strategies is 5",
        ),
    ] {
        let answer = rig.run(more.clone()).await;
        assert_eq!(answer.status, 400, "{more}");
        answer.is("InvalidParameterException", part);
    }
    assert_eq!(rig.fake.launches().len(), 0);
}

#[tokio::test]
async fn late_refusals_have_the_code_of_ecs() {
    let rig = Rig::new().await;
    let vpc =
        |more: Value| json!({ "awsvpcConfiguration": with(json!({ "subnets": ["subnet-0a1b2c3d"] }), more) });
    let item = |name: &str, weight: u32, base: u32| json!({ "capacityProvider": name, "weight": weight, "base": base });
    let strategy = |items: Value| json!({ "launchType": null, "capacityProviderStrategy": items });
    let container = |more: Value| json!({ "overrides": { "containerOverrides": [with(json!({ "name": "main" }), more)] } });
    let task = |more: Value| json!({ "overrides": more });
    for (more, code, part) in [
        (
            json!({ "tags": [{ "key": "note", "value": "nightly; a,b (c) [d]" }] }),
            "InvalidParameter",
            "Tags can only",
        ),
        (
            strategy(json!([item("FARGATE", 0, 0), item("FARGATE_SPOT", 0, 0)])),
            "InvalidParameter",
            "weight greater",
        ),
        (
            strategy(json!([item("FARGATE", 0, 5), item("FARGATE_SPOT", 0, 0)])),
            "InvalidParameter",
            "weight greater",
        ),
        (strategy(json!([item("FARGATE", 1, 5), item("FARGATE_SPOT", 1, 1)])), "InvalidParameter", "a base"),
        (strategy(json!([item("FARGATE", 1_001, 0)])), "InvalidParameter", "1000"),
        (json!({ "launchType": "EC2", "platformVersion": "LATEST" }), "InvalidParameter", "platform version"),
        (
            json!({ "launchType": "EC2", "networkConfiguration": vpc(json!({ "assignPublicIp": "ENABLED" })) }),
            "InvalidParameter",
            "public IP",
        ),
        (
            json!({ "networkConfiguration": vpc(json!({ "subnets": ["birdzview"] })) }),
            "InvalidParameter",
            "birdzview",
        ),
        (
            json!({ "networkConfiguration": vpc(json!({ "securityGroups": ["sg-0a1b2c3d "] })) }),
            "InvalidParameter",
            "InvalidGroupId",
        ),
        (
            json!({ "placementStrategy": [{ "type": "random" }] }),
            "InvalidParameter",
            "not supported on Fargate",
        ),
        (json!({ "enableExecuteCommand": true }), "InvalidParameter", "taskRoleArn"),
        (
            json!({ "volumeConfigurations": [{ "name": "scratch" }] }),
            "InvalidParameter",
            "configuredAtLaunch",
        ),
        (
            json!({ "launchType": "EC2", "overrides": { "ephemeralStorage": { "sizeInGiB": 30 } } }),
            "InvalidParameter",
            "Ephemeral storage",
        ),
        (task(json!({ "cpu": "abc" })), "Client", "cpu"),
        (task(json!({ "memory": "8192" })), "Client", "No Fargate configuration"),
        (task(json!({ "cpu": "300" })), "Client", "No Fargate configuration"),
        (container(json!({ "memory": 4096 })), "Client", "memory"),
        (container(json!({ "memoryReservation": 4096 })), "Client", "memory"),
        (container(json!({ "cpu": 1024 })), "Client", "cpu"),
    ] {
        rig.run(more.clone()).await.is(&format!("{code}Exception"), part);
    }
    assert_eq!(rig.fake.launches().len(), 0);
    for fine in [
        task(
            json!({ "cpu": "0.5 vCPU", "memory": "1 GB", "taskRoleArn": "arn:aws:iam::123456789012:role/work" }),
        ),
        container(json!({ "memory": 512, "cpu": 256 })),
        json!({ "taskDefinition": "arn:aws:ecs:eu-central-1:123456789012:task-definition/work" }),
    ] {
        rig.run(fine).await.good();
    }
    rig.fake.configure(|settings| settings.ecs.subnets = Some(vec!["subnet-0a1b2c3d".to_owned()]));
    rig.run(json!({})).await.is("InvalidParameterException", "does not exist");
}

#[tokio::test]
async fn values_at_the_limits_are_accepted() {
    let rig = Rig::new().await;
    let tags: Vec<Value> = (0..50).map(|n| json!({ "key": n.to_string(), "value": "" })).collect();
    let answer = rig.run(json!({ "count": 10, "startedBy": "a".repeat(128), "tags": tags })).await.good();
    assert_eq!(arns(&answer).len(), 10);
}

#[tokio::test]
async fn unknown_resources_have_the_errors_of_ecs() {
    let rig = Rig::new().await;
    rig.run(json!({ "cluster": "nowhere" })).await.is("ClusterNotFoundException", "Cluster not found.");
    rig.run(json!({ "taskDefinition": "nothing" })).await.is("ClientException", "TaskDefinition not found.");
    rig.run(json!({ "taskDefinition": "work:9" })).await.is("ClientException", "TaskDefinition not found.");
    rig.ecs("Fly", json!({})).await.is("UnknownOperationException", "Fly");
}

#[tokio::test]
async fn family_means_its_newest_active_revision() {
    let rig = Rig::new().await;
    let second = rig.fake.ecs().register_simple("work");
    let started = |answer: Value| answer["tasks"][0]["taskDefinitionArn"].as_str().unwrap().to_owned();
    assert_eq!(started(rig.run(json!({})).await.good()), second);
    rig.ecs("DeregisterTaskDefinition", json!({ "taskDefinition": "work:2" })).await.good();
    assert!(started(rig.run(json!({})).await.good()).ends_with("work:1"));
    rig.run(json!({ "taskDefinition": "work:2" })).await.is("ClientException", "TaskDefinition is inactive");
    rig.ecs("DeregisterTaskDefinition", json!({ "taskDefinition": "work:1" })).await.good();
    rig.run(json!({})).await.is("ClientException", "TaskDefinition not found.");
}

#[tokio::test]
async fn fargate_needs_a_compatible_definition() {
    let rig = Rig::new().await;
    let bridge = json!({ "family": "old", "containerDefinitions": [{ "name": "main", "image": "i" }] });
    rig.fake.ecs().register(&bridge).unwrap();
    let call = json!({ "taskDefinition": "old", "networkConfiguration": null });
    rig.run(call.clone()).await.is("InvalidParameterException", "does not support launch_type FARGATE");
    let on_ec2 = json!({ "taskDefinition": "old", "networkConfiguration": null, "launchType": "EC2" });
    let task = rig.run(on_ec2).await.good()["tasks"][0].clone();
    assert_eq!(task["lastStatus"], "PENDING");
    assert!(task["containerInstanceArn"].as_str().unwrap().contains(":container-instance/batch/"));
    let network = json!({ "taskDefinition": "old", "launchType": "EC2" });
    rig.run(network).await.is("InvalidParameterException", "not valid for the given networkMode");
}

#[tokio::test]
async fn tasks_without_capacity_fail_and_the_rest_is_placed() {
    let rig = Rig::new().await;
    let limits = json!({ "batch": [
        { "of": "EC2", "reason": "RESOURCE:MEMORY", "atMost": 2 },
        { "of": "FARGATE", "reason": "Capacity is unavailable at this time.", "refuse": 1 },
    ] });
    rig.fake.configure(|settings| settings.ecs.capacity = serde_json::from_value(limits).unwrap());
    let answer = rig.run(json!({ "launchType": "EC2", "count": 3 })).await.good();
    assert_eq!(arns(&answer).len(), 2);
    assert_eq!(answer["failures"].as_array().unwrap().len(), 1);
    assert_eq!(answer["failures"][0]["reason"], "RESOURCE:MEMORY");
    let answer = rig.run(json!({ "count": 2 })).await.good();
    assert_eq!((arns(&answer).len(), answer["failures"].as_array().unwrap().len()), (1, 1));
    rig.pass(60);
    assert_eq!(arns(&rig.run(json!({ "launchType": "EC2", "count": 2 })).await.good()).len(), 2);
    rig.fake.configure(|settings| settings.ecs.without_instances.push("batch".to_owned()));
    rig.run(json!({ "launchType": "EC2" }))
        .await
        .is("InvalidParameterException", "No Container Instances were found");
}

#[tokio::test]
async fn strategy_fills_base_and_then_follows_weights() {
    let rig = Rig::new().await;
    let strategy = json!([
        { "capacityProvider": "FARGATE", "base": 2, "weight": 1 },
        { "capacityProvider": "FARGATE_SPOT", "weight": 3 },
    ]);
    let call = json!({ "launchType": null, "capacityProviderStrategy": strategy, "count": 10 });
    let answer = rig.run(call).await.good();
    let tasks = answer["tasks"].as_array().unwrap();
    let on_demand = tasks.iter().filter(|task| task["capacityProviderName"] == "FARGATE").count();
    assert_eq!((tasks.len(), on_demand), (10, 3));
}

#[tokio::test]
async fn unsigned_call_is_refused() {
    let rig = Rig::new().await;
    let answer = rig.call(Service::Ecs, "RunTask", &run_task(json!({})), "nothing").await.unwrap();
    answer.is("MissingAuthenticationTokenException", "");
}

#[tokio::test]
async fn regions_that_aws_cannot_have_are_refused() {
    let rig = Rig::new().await;
    for region in ["narnia", "eu-central", "EU-central-1"] {
        let signature = SIGNED.replace("eu-central-1", region);
        let answer = rig.call(Service::Ecs, "RunTask", &run_task(json!({})), &signature).await.unwrap();
        answer.is("UnrecognizedClientException", region);
    }
}

#[tokio::test]
async fn regions_and_accounts_are_isolated() {
    let rig = Rig::new().await;
    for signature in
        [SIGNED.replace("eu-central-1", "us-east-1"), SIGNED.replace("AKIDEXAMPLE", "000000000001")]
    {
        let answer = rig.call(Service::Ecs, "RunTask", &run_task(json!({})), &signature).await.unwrap();
        answer.is("ClusterNotFoundException", "");
    }
}
