use ecs_scheduler_core::TaskSpec;
use serde_json::{Value, json};

use super::{LaunchOptions, LaunchType};

fn task(launch: Value, overrides: Value) -> TaskSpec {
    let task = json!({"definition": "work", "options": launch, "overrides": overrides});
    serde_json::from_value(task).unwrap()
}

fn parse_error(launch: Value) -> (String, String) {
    let error = LaunchOptions::from_task(&task(launch, json!([])), 2).unwrap_err();
    (error.pointer, error.message)
}

#[test]
fn all_options_are_parsed() {
    let launch = json!({
        "region": "us-east-1", "cluster": "batch", "capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}],
        "capacityFallback": [{"launchType": "FARGATE"}],
        "network": {"subnets": ["subnet-0a1b2c3d"], "securityGroups": ["sg-0a1b2c3d"], "assignPublicIp": true},
        "platformVersion": "1.4.0", "placementConstraints": [{"type": "memberOf", "expression": "attribute:a == b"}],
        "placementStrategy": [{"type": "spread", "field": "instanceId"}], "group": "nightly", "tags": {"team": "data"},
        "propagateTags": "TASK_DEFINITION", "enableEcsManagedTags": true, "enableExecuteCommand": true,
        "volumeConfigurations": [{"name": "scratch", "managedEbsVolume": {"roleArn": "arn:aws:iam::1:role/ebs", "sizeInGiB": 20}}],
        "overrides": {"cpu": "512", "memory": "1024", "taskRoleArn": "arn:a", "executionRoleArn": "arn:b", "ephemeralStorage": 30},
    });
    let options = LaunchOptions::from_task(&task(launch, json!([])), 2).unwrap();
    assert_eq!(options.volume_configurations[0].managed_ebs_volume.size_in_gi_b, Some(20));
    assert_eq!(options.capacity(1).capacity_provider_strategy[0].capacity_provider, "FARGATE_SPOT");
    assert_eq!(options.overrides.ephemeral_storage, Some(30));
}

#[test]
fn errors_name_the_field() {
    let many = |n: usize| vec!["x"; n];
    for (launch, pointer) in [
        (json!({"clustr": "x"}), "/launch/clustr"),
        (json!({"launchType": "fargate"}), "/launch/launchType"),
        (
            json!({"launchType": "EC2", "capacityProviderStrategy": [{"capacityProvider": "a"}]}),
            "/launch/capacityProviderStrategy",
        ),
        (
            json!({"capacityProviderStrategy": [{"capacityProvider": "a", "weight": 1001}]}),
            "/launch/capacityProviderStrategy/0",
        ),
        (
            json!({"capacityProviderStrategy": [{"capacityProvider": "a", "base": 1}, {"capacityProvider": "b", "base": 1}]}),
            "/launch/capacityProviderStrategy",
        ),
        (json!({"capacityFallback": [{}]}), "/launch/capacityFallback/0"),
        (json!({"network": {"subnets": []}}), "/launch/network/subnets"),
        (json!({"network": {"subnets": many(17)}}), "/launch/network/subnets"),
        (json!({"network": {"subnets": ["a"], "securityGroups": many(6)}}), "/launch/network/securityGroups"),
        (json!({"network": {"subnets": [1]}}), "/launch/network/subnets/0"),
        (
            json!({"placementConstraints": [{"type": "memberOf"}]}),
            "/launch/placementConstraints/0/expression",
        ),
        (
            json!({"placementStrategy": [{"type": "random", "field": "cpu"}]}),
            "/launch/placementStrategy/0/field",
        ),
        (json!({"tags": {"ecss:job": "mine"}}), "/launch/tags/ecss:job"),
        (json!({"overrides": {"ephemeralStorage": 20}}), "/launch/overrides/ephemeralStorage"),
    ] {
        assert_eq!(parse_error(launch.clone()).0, pointer, "{launch}");
    }
}

#[test]
fn tags_leave_room_for_the_schedulers_tags() {
    let tags: serde_json::Map<_, _> = (0..49).map(|n| (format!("t{n}"), json!("x"))).collect();
    let task = task(json!({"tags": tags}), json!([]));
    assert_eq!(LaunchOptions::from_task(&task, 2).unwrap_err().pointer, "/launch/tags");
    assert!(LaunchOptions::from_task(&task, 0).is_ok());
}

#[test]
fn container_resources_are_checked() {
    let overrides = json!([{"containerName": "main", "resourceRequirements": [{"type": "GPU"}]}]);
    let error = LaunchOptions::from_task(&task(json!({}), overrides), 2).unwrap_err();
    assert_eq!(error.pointer, "/overrides/0/resourceRequirements/0");
}

#[test]
fn overrides_too_long_for_ecs_are_refused() {
    let of = |length: usize| {
        let overrides = json!([{"containerName": "main", "environment": {"A": "x".repeat(length)}}]);
        LaunchOptions::from_task(&task(json!({}), overrides), 2)
    };
    assert!(of(7_500).is_ok());
    let error = of(8_150).unwrap_err();
    assert_eq!(error.pointer, "/overrides");
    assert!(error.message.contains("8192"), "{}", error.message);
}

#[test]
fn each_attempt_always_has_the_same_capacity() {
    let launch = json!({
        "launchType": "FARGATE",
        "capacityFallback": [{"capacityProviderStrategy": [{"capacityProvider": "spot"}]}, {"launchType": "EC2"}],
    });
    let options = LaunchOptions::from_task(&task(launch, json!([])), 2).unwrap();
    let kinds = (1..=4).map(|attempt| options.capacity(attempt).launch_type).collect::<Vec<_>>();
    assert_eq!(kinds, [Some(LaunchType::Fargate), None, Some(LaunchType::Ec2), Some(LaunchType::Fargate)]);
    assert_eq!(options.capacity(2).capacity_provider_strategy[0].capacity_provider, "spot");
}
