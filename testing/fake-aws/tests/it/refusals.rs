//! Calls that ECS refuses for one value.

use serde_json::{Value, json};

use crate::help::{Rig, with};

fn container(more: Value) -> Value {
    json!({ "overrides": { "containerOverrides": [with(json!({ "name": "main" }), more)] } })
}

fn device(kind: &str, value: &str) -> Value {
    container(json!({ "resourceRequirements": [{ "type": kind, "value": value }] }))
}

fn on_ec2(more: Value) -> Value {
    with(json!({ "launchType": "EC2" }), more)
}

#[tokio::test]
async fn invalid_values_are_refused() {
    let rig = Rig::new().await;
    let task = |more: Value| json!({ "overrides": more });
    let strategy = |names: &[&str]| {
        let items: Vec<_> =
            names.iter().map(|name| json!({ "capacityProvider": name, "weight": 1 })).collect();
        json!({ "launchType": null, "capacityProviderStrategy": items })
    };
    let constraints = |items: Value| on_ec2(json!({ "placementConstraints": items }));
    let spread = |field: &str| on_ec2(json!({ "placementStrategy": [{ "type": "spread", "field": field }] }));
    let apart = json!({ "type": "distinctInstance" });
    let file = |name: &str| json!({ "type": "s3", "value": format!("arn:aws:s3:::bucket/{name}") });
    let named = |name: &str| json!({ "name": name });
    for (more, code, part) in [
        (json!({ "platformVersion": "abc" }), "PlatformUnknown", "does not exist"),
        (json!({ "platformVersion": "" }), "PlatformUnknown", "does not exist"),
        (json!({ "platformVersion": "1.4" }), "PlatformUnknown", "does not exist"),
        (json!({ "platformVersion": "1.0.0" }), "PlatformUnknown", "does not exist"),
        (json!({ "tags": [{ "key": "a", "value": "aws:x" }] }), "InvalidParameter", "aws:"),
        (json!({ "tags": [{ "key": "a", "value": "Ⓐ" }] }), "InvalidParameter", "Tags can only"),
        (json!({ "propagateTags": "SERVICE" }), "InvalidParameter", "propagateTags"),
        (on_ec2(json!({ "launchType": "EXTERNAL" })), "InvalidParameter", "awsvpc"),
        (strategy(&[""]), "InvalidParameter", "blank"),
        (strategy(&["fargate"]), "InvalidParameter", "not associated"),
        (strategy(&["FARGATE", "FARGATE"]), "InvalidParameter", "Duplicate"),
        (constraints(json!([{ "type": "memberOf", "expression": "" }])), "InvalidParameter", "constraint"),
        (constraints(json!([{ "type": "memberOf" }])), "InvalidParameter", "constraint"),
        (constraints(json!([apart, apart])), "InvalidParameter", "constraint"),
        (spread(""), "InvalidParameter", "strategy"),
        (spread("nonsense"), "InvalidParameter", "strategy"),
        (task(json!({ "taskRoleArn": "arn:aws:iam::1:user/x" })), "Client", "Role is not valid"),
        (task(json!({ "executionRoleArn": "x".repeat(65) })), "Client", "Role is not valid"),
        (on_ec2(task(json!({ "cpu": "999999999" }))), "Client", "cpu"),
        (device("GPU", "1"), "Client", "not supported on Fargate"),
        (on_ec2(device("GPU", "x")), "Client", "not valid"),
        (on_ec2(device("FPGA", "1")), "InvalidParameter", "FPGA"),
        (container(json!({ "memory": 1 })), "Client", "memory"),
        (container(json!({ "memoryReservation": 0 })), "Client", "memoryReservation"),
        (container(json!({ "environment": [{ "name": "", "value": "x" }] })), "Client", "names"),
        (container(json!({ "environmentFiles": vec![file("a.env"); 11] })), "InvalidParameter", "at most 10"),
        (container(json!({ "environmentFiles": [file("a.txt")] })), "InvalidParameter", ".env"),
        (container(json!({ "name": "" })), "InvalidParameter", "is not a container"),
        (
            task(json!({ "containerOverrides": [named("main"), named("main")] })),
            "InvalidParameter",
            "Duplicate override",
        ),
    ] {
        rig.run(more.clone()).await.is(&format!("{code}Exception"), part);
    }
    assert_eq!(rig.fake.launches().len(), 0);
    for fine in [
        json!({ "platformVersion": "LATEST" }),
        json!({ "platformVersion": "1.3.0" }),
        constraints(json!([apart, { "type": "memberOf", "expression": "attribute:a == b" }])),
        spread("attribute:ecs.availability-zone"),
        on_ec2(device("GPU", "ALL")),
        container(json!({ "memory": 6, "environmentFiles": [file("a.env")] })),
        task(json!({ "taskRoleArn": "arn:aws:iam::123456789012:role/path/x", "executionRoleArn": "x" })),
    ] {
        rig.run(fine).await.good();
    }
}

#[tokio::test]
async fn invalid_volumes_are_refused() {
    let rig = Rig::new().await;
    let definition = json!({
        "family": "open", "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "volumes": [{ "name": "scratch", "configuredAtLaunch": true }],
        "containerDefinitions": [{ "name": "main", "image": "i" }],
    });
    rig.fake.ecs().register(&definition).unwrap();
    let volume = |more: Value| {
        let ebs = json!({ "roleArn": "arn:aws:iam::123456789012:role/ebs", "sizeInGiB": 200 });
        let configured = json!([{ "name": "scratch", "managedEBSVolume": with(ebs, more) }]);
        json!({ "taskDefinition": "open", "volumeConfigurations": configured })
    };
    for (more, field) in [
        (json!({ "sizeInGiB": 0 }), "sizeInGiB"),
        (json!({ "sizeInGiB": 100_000 }), "sizeInGiB"),
        (json!({ "sizeInGiB": null }), "sizeInGiB"),
        (json!({ "volumeType": "gp9" }), "volumeType"),
        (json!({ "volumeType": "standard" }), "volumeType"),
        (json!({ "volumeType": "st1", "iops": 500 }), "iops"),
        (json!({ "volumeType": "io2" }), "iops"),
        (json!({ "volumeType": "io2", "iops": 1_000, "throughput": 200 }), "throughput"),
        (json!({ "roleArn": "arn:foo" }), "roleArn"),
        (json!({ "snapshotId": "nope" }), "snapshotId"),
        (json!({ "filesystemType": "zfs" }), "filesystemType"),
        (json!({ "kmsKeyId": "x y" }), "kmsKeyId"),
        (json!({ "kmsKeyId": "" }), "kmsKeyId"),
        (json!({ "kmsKeyId": "ebs" }), "kmsKeyId"),
        (json!({ "kmsKeyId": "arn:aws:iam::123456789012:role/ebs" }), "kmsKeyId"),
    ] {
        rig.run(volume(more)).await.is("InvalidParameterException", field);
    }
    for key in [
        "alias/ebs",
        "arn:aws:kms:eu-central-1:123456789012:alias/ebs",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu-central-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab",
    ] {
        rig.run(volume(json!({ "volumeType": "io2", "iops": 1_000, "kmsKeyId": key }))).await.good();
    }
}
