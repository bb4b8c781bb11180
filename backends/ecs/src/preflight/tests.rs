use std::sync::Arc;

use serde_json::{Value, json};

use super::compare_with_definition;
use crate::definitions::Definition;
use crate::options::LaunchOptions;
use crate::sizes::{Reservation, Size};

fn definition(network_mode: &str, compatibilities: &[&str]) -> Arc<Definition> {
    Arc::new(Definition {
        arn: "arn:aws:ecs:eu-central-1:123456789012:task-definition/work:1".to_owned(),
        active: true,
        network_mode: Some(network_mode.to_owned()),
        compatibilities: compatibilities.iter().map(|one| (*one).to_owned()).collect(),
        containers: vec![("main".to_owned(), true)],
        ..Definition::default()
    })
}

fn pointers(launch: Value, overrides: Value, definition: &Arc<Definition>) -> Vec<String> {
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
    let mut known = (*definition("bridge", &["EC2"])).clone();
    known.active = false;
    assert_eq!(pointers(json!({}), json!([]), &Arc::new(known)), ["/taskDefinition"]);
}

#[test]
fn a_shell_needs_a_task_role() {
    let plain = definition("bridge", &["EC2"]);
    let shell = json!({"enableExecuteCommand": true});
    assert_eq!(pointers(shell.clone(), json!([]), &plain), ["/launch/enableExecuteCommand"]);
    let mut with_role = shell.clone();
    with_role["overrides"] = json!({"taskRoleArn": "arn:aws:iam::123456789012:role/work"});
    assert_eq!(pointers(with_role, json!([]), &plain), Vec::<String>::new());
    let known = Definition { task_role: Some("work".to_owned()), ..(*plain).clone() };
    assert_eq!(pointers(shell, json!([]), &Arc::new(known)), Vec::<String>::new());
}

#[test]
fn sizes_of_job_and_definition_must_fit_together() {
    let need =
        Reservation { name: "main".to_owned(), cpu: None, memory: Some(512), memory_reservation: None };
    let known = Arc::new(Definition {
        size: Size { cpu: Some(256), memory: Some(512) },
        reservations: vec![need],
        ..(*definition("awsvpc", &["EC2", "FARGATE"])).clone()
    });
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
    let open = Arc::new(Definition { volumes: vec!["scratch".to_owned()], ..(*plain).clone() });
    assert_eq!(pointers(launch, json!([]), &open), Vec::<String>::new());
    assert_eq!(pointers(json!({}), json!([]), &open), ["/launch/volumeConfigurations"]);
}
