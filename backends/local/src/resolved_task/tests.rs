use std::num::NonZeroU32;

use ecs_scheduler_core::{FiringId, JobId, JobUid, LaunchToken, TaskSpec, Timestamp};
use serde_json::json;

use super::*;

fn definition() -> LocalDefinition {
    let text = json!({
        "family": "work",
        "containerDefinitions": [
            {"name": "main", "entryPoint": ["sh", "-c"], "command": ["one"], "workingDirectory": "scripts"},
            {"name": "side", "command": ["two"], "essential": false},
        ],
    });
    crate::definition::parse(Path::new("work.json"), &text.to_string()).unwrap()
}

fn request(overrides: serde_json::Value) -> LaunchRequest {
    let job = JobId::new("nightly").unwrap();
    let uid = JobUid::derived("test", &job);
    let firing = FiringId::for_tick(&uid, Timestamp::UNIX_EPOCH);
    let token = LaunchToken::derive("test", &uid, &firing, 0, 1);
    let mut request = LaunchRequest::new(
        job,
        firing,
        token,
        {
            let mut task = TaskSpec::new("work");
            task.overrides = serde_json::from_value(overrides).unwrap();
            task.options = serde_json::from_value(json!({"cluster": "x"})).unwrap();
            task
        }
        .into(),
        NonZeroU32::MIN,
        Timestamp::UNIX_EPOCH,
    );
    request.started_by = "test/nightly".to_owned();
    request.definition = "work:1".to_owned();
    request
}

fn resolved(overrides: serde_json::Value) -> Result<Vec<ResolvedContainer>, String> {
    resolve_task(&definition(), &request(overrides), &options(), Path::new("/defs"))
}

fn options() -> LocalOptions {
    LocalOptions { environment: BTreeMap::new(), ..LocalOptions::new("/defs", "/data") }
}

#[test]
fn override_replaces_the_command_and_tags_its_container_only() {
    let containers = resolved(json!([{"containerName": "main", "command": ["three", "four"]}])).unwrap();
    assert_eq!(containers[0].argv, ["sh", "-c", "three", "four"]);
    assert_eq!(containers[1].argv, ["two"]);
    assert_eq!(containers[0].environment["ECS_SCHEDULER_OVERRIDE_TAG"], "nightly");
    assert!(!containers[1].environment.contains_key("ECS_SCHEDULER_OVERRIDE_TAG"));
    for container in &containers {
        assert_eq!(container.environment["ECSS_JOB_ID"], "nightly");
        assert_eq!(container.environment["ECSS_SCHEDULED_AT"], "1970-01-01T00:00:00Z");
    }
    assert_eq!(containers[0].working_directory.as_deref(), Some(Path::new("/defs/scripts")));
    assert_eq!(containers[1].working_directory, None);
}

#[test]
fn override_of_an_unknown_container_is_an_invalid_parameter() {
    let reason = resolved(json!([{"containerName": "mian"}])).unwrap_err();
    assert_eq!(
        reason,
        "override for container named \"mian\" is not a container in task definition work:1; \
         its containers are main, side"
    );
    let reason = resolved(json!([{"containerName": "side", "command": []}])).unwrap_err();
    assert!(reason.starts_with("container \"side\" has no command"), "{reason}");
    let reason = resolved(json!([{"containerName": "side", "command": [""]}])).unwrap_err();
    assert!(reason.contains("command of container \"side\" is empty"), "{reason}");
    let reason = resolved(json!([{"containerName": "side", "environment": {"1": ""}}])).unwrap_err();
    assert!(reason.contains("\"1\" is not a valid variable name"), "{reason}");
}

#[test]
fn unsupported_fields_are_listed() {
    let request = request(json!([{"containerName": "main", "cpu": 512}]));
    assert_eq!(unsupported_fields(&request.task), ["overrides of main: cpu", "launch: cluster"]);
}

#[test]
fn containers_without_override_get_firing_variables_unless_disabled() {
    let overrides = || request(json!([{"containerName": "main"}]));
    for on in [true, false] {
        let options = LocalOptions { variables: on, ..options() };
        let containers = resolve_task(&definition(), &overrides(), &options, Path::new("/defs")).unwrap();
        for name in ["ECSS_FIRING_ID", "ECSS_SCHEDULED_AT"] {
            let present = containers.iter().map(|container| container.environment.contains_key(name));
            assert_eq!(present.collect::<Vec<_>>(), [true, on], "{name}");
        }
    }
}

#[test]
fn the_size_is_that_of_the_job_or_of_the_definition_or_of_all_containers() {
    let define = |more: serde_json::Value, side: serde_json::Value| {
        let mut side = side;
        side["name"] = json!("side");
        side["command"] = json!(["two"]);
        let main =
            json!({"name": "main", "command": ["one"], "cpu": 128, "memory": 300, "memoryReservation": 200});
        let mut text = json!({"family": "work", "containerDefinitions": [main, side]});
        text.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        crate::definition::parse(Path::new("work.json"), &text.to_string()).unwrap()
    };
    let task = |options: serde_json::Value| {
        let mut task = request(json!([])).task.as_ref().clone();
        task.options = options.as_object().unwrap().clone();
        task
    };
    let whole = define(json!({"cpu": ".25 vCPU", "memory": "1024"}), json!({}));
    assert_eq!(measure(&whole, &task(json!({}))), TaskSize::new(Some(256), Some(1_024)));
    let larger = task(json!({"overrides": {"cpu": "512", "memory": "2 GB"}}));
    assert_eq!(measure(&whole, &larger), TaskSize::new(Some(512), Some(2_048)));
    let parts = define(json!({}), json!({"memory": 50}));
    assert_eq!(measure(&parts, &task(json!({}))), TaskSize::new(None, Some(250)), "one has no CPU units");
    let changed = request(json!([{"containerName": "side", "cpu": 64}])).task;
    assert_eq!(measure(&parts, &changed), TaskSize::new(Some(192), Some(250)));
}
