use serde_json::{Value, json};

use ecs_scheduler_core::TaskSpec;

use super::{ClusterCapacity, check_definition, check_options, compare_with_definition};
use crate::definitions::Definition;
use crate::options::{LaunchOptions, ProviderShare};
use crate::sizes::{ResourceReservation, Size};

fn definition(network_mode: &str, compatibilities: &[&str]) -> Definition {
    Definition {
        arn: "arn:aws:ecs:eu-central-1:123456789012:task-definition/work:1".to_owned(),
        active: true,
        network_mode: Some(network_mode.to_owned()),
        compatibilities: compatibilities.iter().map(|one| (*one).to_owned()).collect(),
        containers: vec![("main".to_owned(), true)],
        ..Definition::default()
    }
}

fn pointers(launch: Value, overrides: Value, definition: &Definition) -> Vec<String> {
    let task = json!({"definition": "work", "options": launch, "overrides": overrides});
    let task = serde_json::from_value(task).unwrap();
    let options = LaunchOptions::from_task(&task, 2).unwrap();
    compare_with_definition(&task, &options, definition).into_iter().map(|finding| finding.pointer).collect()
}

#[test]
fn matching_job_has_no_findings() {
    let fargate = definition("awsvpc", &["EC2", "FARGATE"]);
    let launch = json!({"launchType": "FARGATE", "network": {"subnets": ["subnet-0a1b2c3d"]}});
    let overrides = json!([{"containerName": "main", "environment": {}}]);
    assert_eq!(pointers(launch, overrides, &fargate), Vec::<String>::new());
    assert_eq!(pointers(json!({}), json!([]), &definition("bridge", &["EC2"])), Vec::<String>::new());
}

#[test]
fn fargate_needs_a_definition_made_for_it_and_awsvpc_needs_a_network() {
    let found = pointers(json!({"launchType": "FARGATE"}), json!([]), &definition("bridge", &["EC2"]));
    assert_eq!(found, ["/launch/launchType", "/launch/launchType"]);
    let found = pointers(json!({"launchType": "EC2"}), json!([]), &definition("awsvpc", &["EC2", "FARGATE"]));
    assert_eq!(found, ["/launch/network"]);
}

#[test]
fn fallbacks_are_checked() {
    let launch = json!({"launchType": "EC2", "capacityFallback": [{"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]}]});
    let found = pointers(launch, json!([]), &definition("bridge", &["EC2"]));
    assert_eq!(found, ["/launch/capacityFallback/0", "/launch/capacityFallback/0"]);
}

#[test]
fn a_network_is_refused_where_the_definition_takes_none() {
    let launch = json!({"network": {"subnets": ["subnet-0a1b2c3d"]}});
    assert_eq!(pointers(launch, json!([]), &definition("bridge", &["EC2"])), ["/launch/network"]);
}

#[test]
fn unknown_container_is_named_with_known_ones() {
    let overrides = json!([{"containerName": "web", "environment": {}}]);
    assert_eq!(
        pointers(json!({}), overrides, &definition("bridge", &["EC2"])),
        ["/overrides/0/containerName"]
    );
}

#[test]
fn an_inactive_definition_is_found() {
    let mut known = definition("bridge", &["EC2"]);
    known.active = false;
    let finding = |known: Option<&Definition>| {
        check_definition(&TaskSpec::new("work".to_owned()), Some("eu-central-1"), known)
    };
    assert!(finding(Some(&known)).unwrap().message.contains("task-definition/work:1 is not ACTIVE"));
    assert!(finding(None).unwrap().message.contains("no task definition \"work\" in region eu-central-1"));
    known.active = true;
    assert_eq!(finding(Some(&known)), None);
}

#[test]
fn a_shell_needs_a_task_role() {
    let plain = definition("bridge", &["EC2"]);
    let shell = json!({"enableExecuteCommand": true});
    assert_eq!(pointers(shell.clone(), json!([]), &plain), ["/launch/enableExecuteCommand"]);
    let mut with_role = shell.clone();
    with_role["overrides"] = json!({"taskRoleArn": "arn:aws:iam::123456789012:role/work"});
    assert_eq!(pointers(with_role, json!([]), &plain), Vec::<String>::new());
    let known = Definition { task_role: Some("work".to_owned()), ..plain.clone() };
    assert_eq!(pointers(shell, json!([]), &known), Vec::<String>::new());
}

#[test]
fn sizes_of_job_and_definition_must_fit_together() {
    let need = ResourceReservation {
        name: "main".to_owned(),
        cpu: None,
        memory: Some(512),
        memory_reservation: None,
    };
    let known = Definition {
        size: Size { cpu: Some(256), memory: Some(512) },
        reservations: vec![need],
        ..definition("awsvpc", &["EC2", "FARGATE"])
    };
    let fargate = |overrides: Value| json!({"launchType": "FARGATE", "network": {"subnets": ["subnet-0a1b2c3d"]}, "overrides": overrides});
    let main = |change: Value| json!([{"containerName": "main", "memory": change}]);
    for (launch, overrides, pointer) in [
        (fargate(json!({"memory": "8192"})), json!([]), "/launch/overrides/memory"),
        (fargate(json!({"cpu": "1024"})), json!([]), "/launch/overrides/cpu"),
        (fargate(json!({})), main(json!(4096)), "/overrides/0/memory"),
        (
            json!({"launchType": "EC2", "network": {"subnets": ["subnet-0a1b2c3d"]}, "overrides": {"memory": "256"}}),
            json!([]),
            "/launch/overrides/memory",
        ),
    ] {
        assert_eq!(pointers(launch.clone(), overrides.clone(), &known), [pointer], "{launch} {overrides}");
    }
    let larger = fargate(json!({"cpu": "512", "memory": "4096"}));
    assert_eq!(pointers(larger, main(json!(4096)), &known), Vec::<String>::new());
    assert_eq!(pointers(fargate(json!({})), json!([]), &known), Vec::<String>::new());
}

#[test]
fn volumes_must_be_those_that_the_definition_leaves_open() {
    let ebs = json!({"roleArn": "arn:aws:iam::123456789012:role/ebs", "sizeInGiB": 20});
    let launch = json!({"volumeConfigurations": [{"name": "scratch", "managedEbsVolume": ebs}]});
    let plain = definition("bridge", &["EC2"]);
    assert_eq!(pointers(launch.clone(), json!([]), &plain), ["/launch/volumeConfigurations/0/name"]);
    let open = Definition { volumes: vec!["scratch".to_owned()], ..plain.clone() };
    assert_eq!(pointers(launch, json!([]), &open), Vec::<String>::new());
    assert_eq!(pointers(json!({}), json!([]), &open), ["/launch/volumeConfigurations"]);
}

/// Returns the findings about a job that names no launch type, on a cluster with this default strategy; without permission to
/// read the cluster for none.
fn by_default(
    launch: Value,
    definition: &Definition,
    default_strategy: Option<&[&str]>,
) -> Vec<(String, String)> {
    let task = serde_json::from_value(json!({"definition": "work", "options": launch})).unwrap();
    let options = LaunchOptions::from_task(&task, 2).unwrap();
    let share = |name: &&str| ProviderShare { capacity_provider: (*name).to_owned(), weight: 1, base: 0 };
    let capacity = default_strategy.map(|names| ClusterCapacity {
        providers: names.iter().map(|name| (*name).to_owned()).collect(),
        default_strategy: names.iter().map(share).collect(),
    });
    let findings = check_options(&task, &options, Some(definition), capacity.as_ref());
    findings.into_iter().map(|finding| (finding.pointer, finding.message)).collect()
}

#[test]
fn tasks_without_launch_type_must_suit_the_default_of_the_cluster() {
    let network = |public: bool| json!({"subnets": ["subnet-0a1b2c3d"], "assignPublicIp": public});
    let bridge = definition("bridge", &["EC2"]);
    let vpc = definition("awsvpc", &["EC2"]);
    let fargate = definition("awsvpc", &["EC2", "FARGATE"]);
    let random = json!([{"type": "random"}]);
    let own: Option<&[&str]> = Some(&["my-asg"]);
    let on_fargate: Option<&[&str]> = Some(&["FARGATE"]);
    for (launch, known, default, pointer) in [
        (json!({"network": network(true)}), &vpc, Some(&[] as &[&str]), "/launch/network/assignPublicIp"),
        (json!({"network": network(true)}), &vpc, None, "/launch/network/assignPublicIp"),
        (json!({"network": network(true)}), &vpc, own, "/launch/network/assignPublicIp"),
        (json!({"platformVersion": "LATEST"}), &bridge, Some(&[]), "/launch/platformVersion"),
        (json!({"platformVersion": "LATEST"}), &bridge, None, "/launch/platformVersion"),
        (json!({"overrides": {"ephemeralStorage": 30}}), &bridge, own, "/launch/overrides/ephemeralStorage"),
        (
            json!({"network": network(false), "overrides": {"cpu": "256", "memory": "8192"}}),
            &fargate,
            on_fargate,
            "/launch/overrides/memory",
        ),
        (
            json!({"network": network(false), "placementStrategy": random}),
            &fargate,
            on_fargate,
            "/launch/placementStrategy",
        ),
    ] {
        let found = by_default(launch.clone(), known, default);
        assert_eq!(found.len(), 1, "{launch} {default:?}: {found:?}");
        assert_eq!(found[0].0, pointer, "{launch} {default:?}: {found:?}");
        let is_default_named = found[0].1.contains("the cluster's default");
        assert!(is_default_named, "{found:?}");
    }
    assert_eq!(by_default(json!({}), &bridge, Some(&[])), []);
    assert_eq!(by_default(json!({}), &bridge, own), []);
    assert_eq!(by_default(json!({"network": network(true)}), &fargate, on_fargate), []);
    assert_eq!(by_default(json!({"network": network(true)}), &fargate, None), [], "it may be Fargate");
    let found = by_default(json!({}), &bridge, on_fargate);
    assert!(
        found.iter().any(|(_, message)| message.starts_with("The definition does not support Fargate")),
        "{found:?}"
    );
}

#[test]
fn a_public_address_on_a_capacity_provider_of_the_cluster_needs_another_definition() {
    let launch = json!({
        "capacityProviderStrategy": [{"capacityProvider": "my-asg"}],
        "network": {"subnets": ["subnet-0a1b2c3d"], "assignPublicIp": true},
    });
    let found = pointers(launch.clone(), json!([]), &definition("awsvpc", &["EC2"]));
    assert_eq!(found, ["/launch/network/assignPublicIp"]);
    let managed = definition("awsvpc", &["EC2", "MANAGED_INSTANCES"]);
    assert_eq!(pointers(launch, json!([]), &managed), Vec::<String>::new());
}

#[test]
fn external_machines_take_no_definition_in_mode_awsvpc_and_no_network_is_asked_for() {
    let found =
        pointers(json!({"launchType": "EXTERNAL"}), json!([]), &definition("awsvpc", &["EC2", "EXTERNAL"]));
    assert_eq!(found, ["/launch/launchType"]);
}
