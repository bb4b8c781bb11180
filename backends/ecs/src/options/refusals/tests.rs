use ecs_scheduler_core::TaskSpec;
use serde_json::{Value, json};

use crate::options::LaunchOptions;

mod documented;

fn examine(launch: &Value, overrides: &Value) -> (Vec<String>, Vec<String>) {
    let task = json!({"definition": "work", "options": launch, "overrides": overrides});
    let task: TaskSpec = serde_json::from_value(task).unwrap();
    let options = LaunchOptions::from_task(&task, 2).unwrap();
    let pointers = options.refusals(&task).into_iter().map(|error| error.pointer).collect();
    (pointers, options.warnings(&task))
}

fn refused(launch: &Value, overrides: &Value) -> Vec<String> {
    examine(launch, overrides).0
}

/// Returns the pointers of what is refused; a launch on Fargate gets the network that it needs.
fn pointers(launch: &Value) -> Vec<String> {
    let mut launch = launch.clone();
    let is_on_fargate = launch.to_string().contains("\"FARGATE");
    if is_on_fargate && launch["network"].is_null() {
        launch["network"] = json!({"subnets": ["subnet-0a1b2c3d"]});
    }
    refused(&launch, &json!([]))
}

fn share(provider: &str, weight: u32) -> Value {
    json!({"capacityProvider": provider, "weight": weight})
}

#[test]
fn tags_with_invalid_characters_are_refused() {
    let tag = |key: &str, value: &str| pointers(&json!({"tags": {key: value}}));
    for (key, value) in
        [("team", "data & more"), ("note", "nightly; a,b (c) [d]"), ("a\tb", "x"), ("a", "b\n"), ("क्ष", "x")]
    {
        assert_eq!(tag(key, value), [format!("/launch/tags/{key}")], "{key:?} {value:?}");
    }
    for (key, value) in [("team", ""), ("a b", "_.:/=+-@"), ("größe", "２０"), ("x", "a\u{a0}b")] {
        let none: [&str; 0] = [];
        assert_eq!(tag(key, value), none, "{key:?} {value:?}");
    }
    assert_eq!(tag("a/b", "?"), ["/launch/tags/a~1b"]);
    for value in ["aws:x", "Aws:x", "Ⓐ", "x\u{301}"] {
        assert_eq!(tag("team", value), ["/launch/tags/team"], "{value:?}");
    }
    let none: [&str; 0] = [];
    assert_eq!(tag("team", "not aws:x"), none);
}

#[test]
fn strategy_with_zero_weights_or_mixed_kinds_is_refused() {
    const PLACE: &str = "/launch/capacityProviderStrategy";
    let strategy = |items: Value| pointers(&json!({"capacityProviderStrategy": items}));
    assert_eq!(strategy(json!([share("FARGATE", 0), share("FARGATE_SPOT", 0)])), [PLACE]);
    assert_eq!(strategy(json!([share("FARGATE", 1), share("my-asg", 1)])), [PLACE]);
    let none: [&str; 0] = [];
    assert_eq!(strategy(json!([share("FARGATE", 0)])), none);
    assert_eq!(strategy(json!([share("FARGATE", 0), share("FARGATE_SPOT", 1)])), none);
    assert_eq!(strategy(json!([share("one-asg", 1), share("FARGATE_LIKE", 1)])), none);
    let fallback = json!({"launchType": "EC2", "capacityFallback": [{"capacityProviderStrategy": [share("a", 0), share("b", 0)]}]});
    assert_eq!(pointers(&fallback), ["/launch/capacityFallback/0/capacityProviderStrategy"]);
}

#[test]
fn fargate_options_are_refused_on_other_capacity_and_fallbacks() {
    let network = json!({"subnets": ["subnet-0a1b2c3d"], "assignPublicIp": true});
    for (launch, pointer) in [
        (json!({"launchType": "EC2", "platformVersion": "LATEST"}), "/launch/platformVersion"),
        (
            json!({"capacityProviderStrategy": [share("my-asg", 1)], "platformVersion": "1.4.0"}),
            "/launch/platformVersion",
        ),
        (
            json!({"launchType": "FARGATE", "platformVersion": "1.4.0", "capacityFallback": [{"launchType": "EC2"}]}),
            "/launch/platformVersion",
        ),
        (json!({"launchType": "EC2", "network": network}), "/launch/network/assignPublicIp"),
        (
            json!({"launchType": "FARGATE", "network": network, "capacityFallback": [{"launchType": "EC2"}]}),
            "/launch/network/assignPublicIp",
        ),
        (
            json!({"launchType": "EC2", "overrides": {"ephemeralStorage": 30}}),
            "/launch/overrides/ephemeralStorage",
        ),
        (json!({"launchType": "EXTERNAL", "network": {"subnets": ["subnet-0a1b2c3d"]}}), "/launch/network"),
    ] {
        assert_eq!(pointers(&launch), [pointer], "{launch}");
    }
    let fargate = json!({
        "launchType": "FARGATE", "network": network, "platformVersion": "LATEST", "overrides": {"ephemeralStorage": 30},
        "capacityFallback": [{"capacityProviderStrategy": [share("FARGATE_SPOT", 1)]}],
    });
    let none: [&str; 0] = [];
    assert_eq!(pointers(&fargate), none);
    let unsaid = json!({"network": network, "platformVersion": "LATEST"});
    assert_eq!(pointers(&unsaid), none, "the cluster's default may be Fargate");
}

#[test]
fn placement_is_refused_on_fargate_and_fargate_fallbacks() {
    let spread = json!([{"type": "spread", "field": "instanceId"}]);
    let apart = json!([{"type": "distinctInstance"}]);
    let both = json!({"launchType": "FARGATE", "placementStrategy": spread, "placementConstraints": apart});
    assert_eq!(pointers(&both), ["/launch/placementConstraints", "/launch/placementStrategy"]);
    let fallback = json!({
        "launchType": "EC2", "placementStrategy": spread,
        "capacityFallback": [{"launchType": "FARGATE"}, {"capacityProviderStrategy": [share("FARGATE_SPOT", 1)]}],
    });
    assert_eq!(pointers(&fallback), ["/launch/placementStrategy"]);
    let none: [&str; 0] = [];
    assert_eq!(pointers(&json!({"launchType": "EC2", "placementStrategy": spread})), none);
    let packed = json!({"placementStrategy": [{"type": "binpack", "field": "disk"}]});
    assert_eq!(pointers(&packed), ["/launch/placementStrategy/0/field"]);
    assert_eq!(pointers(&json!({"placementStrategy": [{"type": "binpack", "field": "MEMORY"}]})), none);
}

#[test]
fn subnets_and_security_groups_must_be_ids() {
    let subnet = |name: &str| pointers(&json!({"network": {"subnets": ["subnet-0a1b2c3d", name]}}));
    for wrong in [
        "birdzview",
        "subnet-1",
        "subnet-0a1b2c3d,subnet-0a1b2c3e",
        "subnet-0a1b2c3d ",
        "subnet-0A1B2C3D",
        "",
        "sg-0a1b2c3d",
    ] {
        assert_eq!(subnet(wrong), ["/launch/network/subnets/1"], "{wrong:?}");
    }
    let none: [&str; 0] = [];
    assert_eq!(subnet("subnet-0123456789abcdef0"), none);
    let groups =
        json!({"network": {"subnets": ["subnet-0a1b2c3d"], "securityGroups": ["sg-0a1b2c3d", "default"]}});
    assert_eq!(pointers(&groups), ["/launch/network/securityGroups/1"]);
}

#[test]
fn unknown_sizes_are_refused() {
    for (launch, pointer) in [
        (json!({"overrides": {"cpu": "abc"}}), "/launch/overrides/cpu"),
        (json!({"overrides": {"memory": "2 TB"}}), "/launch/overrides/memory"),
        (
            json!({"launchType": "FARGATE", "overrides": {"cpu": "256", "memory": "8192"}}),
            "/launch/overrides/memory",
        ),
        (json!({"launchType": "FARGATE", "overrides": {"cpu": "300"}}), "/launch/overrides/cpu"),
        (
            json!({"launchType": "EC2", "overrides": {"cpu": "256", "memory": "8192"}, "capacityFallback": [{"launchType": "FARGATE"}]}),
            "/launch/overrides/memory",
        ),
    ] {
        assert_eq!(pointers(&launch), [pointer], "{launch}");
    }
    let none: [&str; 0] = [];
    assert_eq!(pointers(&json!({"launchType": "EC2", "overrides": {"cpu": "256", "memory": "8192"}})), none);
    assert_eq!(
        pointers(&json!({"launchType": "FARGATE", "overrides": {"cpu": ".5 vCPU", "memory": "1GB"}})),
        none
    );
}

#[test]
fn containers_bigger_than_their_task_are_refused() {
    let launch = json!({"overrides": {"cpu": "256", "memory": "512"}});
    for (change, pointer) in [
        (json!({"memory": 4096}), "/overrides/0/memory"),
        (json!({"memoryReservation": 4096}), "/overrides/0/memoryReservation"),
        (json!({"memory": 100, "memoryReservation": 200}), "/overrides/0/memoryReservation"),
        (json!({"cpu": 512}), "/overrides/0/cpu"),
        (
            json!({"resourceRequirements": [{"type": "FPGA", "value": "1"}]}),
            "/overrides/0/resourceRequirements/0/type",
        ),
        (
            json!({"environmentFiles": [{"type": "s3", "value": "s3://b/k.env"}]}),
            "/overrides/0/environmentFiles/0",
        ),
    ] {
        let mut change = change;
        change["containerName"] = "main".into();
        assert_eq!(refused(&launch, &json!([change])), [pointer], "{change}");
    }
    let two = json!([{"containerName": "a", "memory": 300}, {"containerName": "b", "memory": 300}]);
    assert_eq!(refused(&launch, &two), ["/launch/overrides/memory"]);
    let none: [&str; 0] = [];
    assert_eq!(refused(&launch, &json!([{"containerName": "a", "memory": 512, "cpu": 256}])), none);
}

#[test]
fn a_volume_needs_a_size_a_role_and_a_known_file_system() {
    let volume = json!({"name": "scratch", "managedEbsVolume": {"roleArn": "ebs", "filesystemType": "zfs"}});
    let pointer = |field: &str| format!("/launch/volumeConfigurations/0/managedEbsVolume/{field}");
    let expected = [pointer("roleArn"), pointer("filesystemType"), pointer("sizeInGiB")];
    assert_eq!(pointers(&json!({"volumeConfigurations": [volume]})), expected);
    assert_eq!(pointers(&json!({"overrides": {"taskRoleArn": "a role"}})), ["/launch/overrides/taskRoleArn"]);
}

#[test]
fn cluster_must_be_valid_and_arns_must_match_the_region() {
    let arn = "arn:aws:ecs:eu-west-1:123456789012:cluster/batch";
    let none: [&str; 0] = [];
    for fine in [
        json!({"cluster": "batch_1"}),
        json!({"cluster": arn}),
        json!({"cluster": arn, "region": "eu-west-1"}),
    ] {
        assert_eq!(pointers(&fine), none, "{fine}");
    }
    for wrong in [
        json!({"cluster": "my cluster"}),
        json!({"cluster": ""}),
        json!({"cluster": "arn:aws:ecs:eu-west-1:123456789012:service/batch"}),
        json!({"cluster": arn, "region": "eu-central-1"}),
    ] {
        assert_eq!(pointers(&wrong), ["/launch/cluster"], "{wrong}");
    }
    let task = json!({
        "definition": "arn:aws:ecs:eu-west-1:123456789012:task-definition/work", "options": {"region": "us-east-1"}, "overrides": [],
    });
    let task: TaskSpec = serde_json::from_value(task).unwrap();
    let refusals = LaunchOptions::from_task(&task, 2).unwrap().refusals(&task);
    assert_eq!(refusals[0].pointer, "/taskDefinition");
}
