//! Values that the reference of AWS excludes.

use serde_json::{Value, json};

use super::{examine, pointers, refused, share};

const NONE: [&str; 0] = [];

/// Checks values of one field of `launch`: invalid ones are refused at the pointer, valid ones are not.
fn check(pointer: &str, launch: impl Fn(Value) -> Value, invalid: &[Value], valid: &[Value]) {
    for value in invalid {
        assert_eq!(pointers(&launch(value.clone())), [format!("/launch{pointer}")], "{value}");
    }
    for value in valid {
        assert_eq!(pointers(&launch(value.clone())), NONE, "{value}");
    }
}

#[test]
fn fargate_needs_a_network() {
    let spot = json!([share("FARGATE_SPOT", 1)]);
    for launch in [
        json!({"launchType": "FARGATE"}),
        json!({"capacityProviderStrategy": spot}),
        json!({"capacityFallback": [{"launchType": "FARGATE"}]}),
        json!({"launchType": "EC2", "capacityFallback": [{"capacityProviderStrategy": spot}]}),
    ] {
        assert_eq!(refused(&launch, &json!([])), ["/launch/network"], "{launch}");
    }
    for launch in
        [json!({}), json!({"launchType": "EC2"}), json!({"capacityProviderStrategy": [share("mine", 1)]})]
    {
        assert_eq!(refused(&launch, &json!([])), NONE, "{launch}");
    }
}

#[test]
fn managed_instances_need_a_capacity_provider() {
    let launch = json!({"launchType": "MANAGED_INSTANCES"});
    assert_eq!(pointers(&launch), ["/launch/launchType"]);
    let fallback = json!({"launchType": "EC2", "capacityFallback": [launch]});
    assert_eq!(pointers(&fallback), ["/launch/capacityFallback/0/launchType"]);
}

#[test]
fn platform_version_must_have_the_form_of_one() {
    check(
        "/platformVersion",
        |version| json!({"launchType": "FARGATE", "platformVersion": version}),
        &[json!("abc"), json!("1.4"), json!(""), json!("1.4.0 "), json!("1..0")],
        &[json!("LATEST"), json!("1.4.0"), json!("1.3.0"), json!("1.0.0")],
    );
    let on_ec2 = json!({"launchType": "EC2", "platformVersion": "abc"});
    assert_eq!(pointers(&on_ec2), ["/launch/platformVersion"], "one refusal for one field");
}

#[test]
fn region_must_have_the_form_of_one() {
    check(
        "/region",
        |region| json!({"region": region}),
        &[json!("eu west 1 "), json!("narnia"), json!(""), json!("eu-west")],
        &[json!("eu-west-1"), json!("us-gov-west-1"), json!("ap-southeast-10"), json!("eusc-de-east-1")],
    );
}

#[test]
fn capacity_providers_must_have_possible_names() {
    let names = |names: &[&str]| names.iter().map(|name| json!(name)).collect::<Vec<_>>();
    check(
        "/capacityProviderStrategy/0/capacityProvider",
        |name| json!({"capacityProviderStrategy": [{"capacityProvider": name}]}),
        &names(&["", "fargate", "Fargate_Spot", "a b", "aws-one", "ecs-one", "fargate2"]),
        &names(&["FARGATE", "FARGATE_SPOT", "my-asg", "My_1", "FARGATE_LIKE"]),
    );
    let fallback =
        json!({"launchType": "EC2", "capacityFallback": [{"capacityProviderStrategy": [share("", 1)]}]});
    assert_eq!(
        pointers(&fallback),
        ["/launch/capacityFallback/0/capacityProviderStrategy/0/capacityProvider"]
    );
}

#[test]
fn roles_must_be_names_or_arns_of_roles() {
    let arn = |resource: &str| json!(format!("arn:aws:iam::123456789012:{resource}"));
    let invalid = [
        arn("user/x"),
        arn("role/"),
        arn("role/a b"),
        json!("arn:aws:iam::1:role/x"),
        json!("arn:foo"),
        json!(""),
        json!("x".repeat(65)),
        json!("a:b"),
    ];
    let valid = [arn("role/x"), arn("role/path/x"), json!("x".repeat(64)), json!("path/a+b=c,d.e@f-g_h")];
    for field in ["taskRoleArn", "executionRoleArn"] {
        check(&format!("/overrides/{field}"), |role| json!({"overrides": {field: role}}), &invalid, &valid);
    }
    let other = json!("arn:aws-cn:iam::123456789012:role/x");
    check("", |role| json!({"overrides": {"taskRoleArn": role}}), &[], &[other]);
}

/// Returns a launch with one volume on EC2; `more` is merged into its configuration.
fn volume(more: &Value) -> Value {
    let mut ebs = json!({"roleArn": "arn:aws:iam::123456789012:role/ebs", "sizeInGiB": 200});
    ebs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"launchType": "EC2", "volumeConfigurations": [{"name": "scratch", "managedEbsVolume": ebs}]})
}

#[test]
fn amounts_of_volumes_must_suit_their_type() {
    for (more, field) in [
        (json!({"sizeInGiB": 0}), "sizeInGiB"),
        (json!({"sizeInGiB": 100_000}), "sizeInGiB"),
        (json!({"sizeInGiB": 3, "volumeType": "io1", "iops": 100}), "sizeInGiB"),
        (json!({"sizeInGiB": 124, "volumeType": "st1"}), "sizeInGiB"),
        (json!({"sizeInGiB": 1_025, "volumeType": "standard"}), "sizeInGiB"),
        (json!({"sizeInGiB": 0, "snapshotId": "snap-0123456789abcdef0"}), "sizeInGiB"),
        (json!({"volumeType": "gp9"}), "volumeType"),
        (json!({"volumeType": ""}), "volumeType"),
        (json!({"volumeType": "st1", "iops": 500}), "iops"),
        (json!({"volumeType": "io2"}), "iops"),
        (json!({"volumeType": "io1", "iops": 99}), "iops"),
        (json!({"volumeType": "io2", "iops": 256_001}), "iops"),
        (json!({"volumeType": "gp3", "iops": 2_999}), "iops"),
        (json!({"volumeType": "io2", "iops": 1_000, "throughput": 200}), "throughput"),
        (json!({"volumeType": "gp3", "throughput": 124}), "throughput"),
        (json!({"throughput": 2_001}), "throughput"),
    ] {
        let pointer = format!("/launch/volumeConfigurations/0/managedEbsVolume/{field}");
        assert_eq!(pointers(&volume(&more)), [pointer], "{more}");
    }
    for more in [
        json!({}),
        json!({"sizeInGiB": 65_536, "volumeType": "gp3", "iops": 16_000, "throughput": 1_000}),
        json!({"sizeInGiB": 4, "volumeType": "io2", "iops": 100}),
        json!({"sizeInGiB": 16_384, "volumeType": "sc1"}),
        json!({"sizeInGiB": 1, "volumeType": "standard"}),
        json!({"volumeType": "gp2", "iops": 600}),
        json!({"throughput": 125, "iops": 5}),
    ] {
        assert_eq!(pointers(&volume(&more)), NONE, "{more}");
    }
    let mut on_fargate = volume(&json!({"volumeType": "standard"}));
    on_fargate["launchType"] = "FARGATE".into();
    assert_eq!(pointers(&on_fargate), ["/launch/volumeConfigurations/0/managedEbsVolume/volumeType"]);
}

#[test]
fn names_in_volumes_must_be_possible() {
    for (field, invalid, valid) in [
        ("roleArn", "arn:foo", "arn:aws:iam::123456789012:role/ebs"),
        ("snapshotId", "nope", "snap-0a1b2c3d"),
        ("kmsKeyId", "x y", "arn:aws:kms:eu-west-1:123456789012:key/mrk-1234abcd"),
        ("kmsKeyId", "", "alias/aws/ebs"),
        ("filesystemType", "zfs", "xfs"),
    ] {
        let pointer = format!("/launch/volumeConfigurations/0/managedEbsVolume/{field}");
        assert_eq!(pointers(&volume(&json!({field: invalid}))), [pointer], "{invalid:?}");
        assert_eq!(pointers(&volume(&json!({field: valid}))), NONE, "{valid:?}");
    }
    for name in ["", "a b"] {
        let mut launch = volume(&json!({}));
        launch["volumeConfigurations"][0]["name"] = name.into();
        assert_eq!(pointers(&launch), ["/launch/volumeConfigurations/0/name"], "{name:?}");
    }
}

#[test]
fn placement_must_have_expressions_and_fields_of_ecs() {
    check(
        "/placementConstraints/0/expression",
        |expression| json!({"placementConstraints": [{"type": "memberOf", "expression": expression}]}),
        &[json!(""), json!("  "), json!("x".repeat(2_001))],
        &[json!("attribute:a == b"), json!("x".repeat(2_000))],
    );
    check(
        "/placementStrategy/0/field",
        |field| json!({"placementStrategy": [{"type": "spread", "field": field}]}),
        &[json!(""), json!("nonsense"), json!("attribute:"), json!("cpu")],
        &[json!("instanceId"), json!("host"), json!("attribute:ecs.availability-zone")],
    );
}

#[test]
fn cpu_on_machines_has_bounds() {
    let cpu = |kind: &str, cpu: &str| pointers(&json!({"launchType": kind, "overrides": {"cpu": cpu}}));
    for (kind, units) in [("EC2", "999999999"), ("EC2", "127"), ("EXTERNAL", "196609")] {
        assert_eq!(cpu(kind, units), ["/launch/overrides/cpu"], "{kind} {units}");
    }
    for units in ["128", "196608", "0.125 vCPU"] {
        assert_eq!(cpu("EC2", units), NONE, "{units}");
    }
}

#[test]
fn overrides_of_containers_must_be_possible() {
    let file = |name: &str| json!({"type": "s3", "value": format!("arn:aws:s3:::bucket/{name}")});
    let device = |kind: &str, value: &str| json!({"resourceRequirements": [{"type": kind, "value": value}]});
    let on_ec2 = json!({"launchType": "EC2"});
    for (change, pointer) in [
        (json!({"containerName": ""}), "containerName"),
        (json!({"containerName": "a b"}), "containerName"),
        (json!({"environment": {"": "x"}}), "environment"),
        (json!({"memory": 0}), "memory"),
        (json!({"memory": 5}), "memory"),
        (json!({"memoryReservation": 1}), "memoryReservation"),
        (json!({"environmentFiles": vec![file("a.env"); 11]}), "environmentFiles"),
        (json!({"environmentFiles": [file("a.env"), file("a.txt")]}), "environmentFiles/1"),
        (
            json!({"environmentFiles": [{"type": "s3", "value": "arn:aws:sqs:::bucket/a.env"}]}),
            "environmentFiles/0",
        ),
        (device("GPU", "x"), "resourceRequirements/0/value"),
        (device("GPU", ""), "resourceRequirements/0/value"),
        (device("NeuronDevice", "1"), "resourceRequirements/0/value"),
    ] {
        let mut named = json!({"containerName": "main"});
        named.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(refused(&on_ec2, &json!([named])), [format!("/overrides/0/{pointer}")], "{change}");
    }
    for change in [
        json!({"memory": 6, "environment": {"A": ""}}),
        json!({"environmentFiles": vec![file("a.env"); 10]}),
        device("GPU", "1"),
        device("GPU", "ALL"),
    ] {
        let mut named = change.clone();
        named["containerName"] = "main".into();
        assert_eq!(refused(&on_ec2, &json!([named])), NONE, "{change}");
    }
    let on_fargate = json!({"launchType": "FARGATE", "network": {"subnets": ["subnet-0a1b2c3d"]}});
    let mut named = device("GPU", "1");
    named["containerName"] = "main".into();
    assert_eq!(refused(&on_fargate, &json!([named])), ["/overrides/0/resourceRequirements/0/type"]);
}

#[test]
fn doubled_entries_give_warnings() {
    let main = json!({"containerName": "main"});
    for (launch, overrides, part) in [
        (json!({"capacityProviderStrategy": [share("a", 1), share("a", 2)]}), json!([]), "\"a\" twice"),
        (
            json!({"launchType": "EC2", "capacityFallback": [{"capacityProviderStrategy": [share("a", 1), share("a", 2)]}]}),
            json!([]),
            "launch.capacityFallback.0.capacityProviderStrategy",
        ),
        (
            json!({"placementConstraints": [{"type": "distinctInstance"}, {"type": "distinctInstance"}]}),
            json!([]),
            "distinctInstance twice",
        ),
        (json!({}), json!([main, main]), "container \"main\""),
    ] {
        let (refused, warnings) = examine(&launch, &overrides);
        assert_eq!((refused.len(), warnings.len()), (0, 1), "{launch} {overrides}");
        assert!(warnings[0].contains(part), "{warnings:?}");
    }
    assert_eq!(
        examine(&json!({"capacityProviderStrategy": [share("a", 1), share("b", 2)]}), &json!([main])).1,
        NONE
    );
}
