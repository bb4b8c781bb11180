use std::sync::Arc;

use serde_json::{Value, json};

use super::judge;
use crate::definitions::Definition;
use crate::options::LaunchOptions;

fn definition(network_mode: &str, compatibilities: &[&str]) -> Arc<Definition> {
    Arc::new(Definition {
        arn: "arn:aws:ecs:eu-central-1:123456789012:task-definition/work:1".to_owned(),
        active: true,
        network_mode: Some(network_mode.to_owned()),
        compatibilities: compatibilities.iter().map(|one| (*one).to_owned()).collect(),
        containers: vec![("main".to_owned(), true)],
        task_role: None,
        execution_role: None,
    })
}

fn pointers(launch: Value, overrides: Value, definition: &Arc<Definition>) -> Vec<String> {
    let task = json!({"definition": "work", "options": launch, "overrides": overrides});
    let task = serde_json::from_value(task).unwrap();
    let options = LaunchOptions::of(&task, 2).unwrap();
    judge(&task, &options, definition).into_iter().map(|finding| finding.pointer).collect()
}

#[test]
fn a_job_that_fits_its_definition_has_no_findings() {
    let fargate = definition("awsvpc", &["EC2", "FARGATE"]);
    let launch = json!({"launchType": "FARGATE", "network": {"subnets": ["a"]}});
    let overrides = json!([{"containerName": "main", "environment": {}}]);
    assert_eq!(pointers(launch, overrides, &fargate), Vec::<String>::new());
    assert_eq!(pointers(json!({}), json!([]), &definition("bridge", &["EC2"])), Vec::<String>::new());
}

#[test]
fn fargate_needs_a_definition_made_for_it_and_a_network() {
    let found = pointers(json!({"launchType": "FARGATE"}), json!([]), &definition("bridge", &["EC2"]));
    assert_eq!(found, ["/launch/launchType", "/launch/launchType"]);
    let found = pointers(json!({"launchType": "FARGATE"}), json!([]), &definition("awsvpc", &["FARGATE"]));
    assert_eq!(found, ["/launch/network"]);
}

#[test]
fn fallbacks_are_looked_at_too() {
    let launch = json!({"launchType": "EC2", "capacityFallback": [{"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]}]});
    let found = pointers(launch, json!([]), &definition("bridge", &["EC2"]));
    assert_eq!(found, ["/launch/capacityFallback/0", "/launch/capacityFallback/0"]);
}

#[test]
fn a_network_is_refused_where_the_definition_takes_none() {
    let launch = json!({"network": {"subnets": ["a"]}});
    assert_eq!(pointers(launch, json!([]), &definition("bridge", &["EC2"])), ["/launch/network"]);
}

#[test]
fn an_unknown_container_is_named_with_those_that_are_there() {
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
