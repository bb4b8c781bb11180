//! The variables that name the firing to a task's containers.

use ecs_scheduler_core::{LaunchRequest, Launcher as _, TaskSpec, TaskValidation as _};
use ecs_scheduler_fake_aws::{FaultRule, InjectedFault, Service};
use serde_json::{Value, json};

use crate::help::{Rig, register, request, task, work};

/// Registers the definition `pair`, with the containers `main` and `side`.
fn pair(rig: &Rig) -> String {
    let container = |name: &str| json!({"name": name, "image": "busybox", "memory": 64});
    let containers = [container("main"), container("side")];
    let definition = json!({"family": "pair", "networkMode": "bridge", "containerDefinitions": containers});
    rig.fake.ecs().register(&definition).expect("the definition is complete")
}

fn overriding(definition: &str, overrides: Value) -> TaskSpec {
    let mut task = task(definition, json!({}));
    task.overrides = serde_json::from_value(overrides).expect("they are overrides");
    task
}

/// Returns the names of the variables that each container of the newest task has.
fn container_variables(rig: &Rig) -> Vec<(String, Vec<String>)> {
    let launch = rig.fake.launches().pop().expect("one was started");
    let containers = launch.overrides["containerOverrides"].as_array().cloned().unwrap_or_default();
    let one = |container: &Value| {
        let variables = container["environment"].as_array().cloned().unwrap_or_default();
        let names =
            variables.iter().map(|variable| variable["name"].as_str().expect("it has a name").to_owned());
        (container["name"].as_str().expect("it has a name").to_owned(), names.collect())
    };
    containers.iter().map(one).collect()
}

fn container_with(container: &str, variables: &[&str]) -> (String, Vec<String>) {
    (container.to_owned(), variables.iter().map(|name| (*name).to_owned()).collect())
}

const FIRING: [&str; 2] = ["ECSS_FIRING_ID", "ECSS_SCHEDULED_AT"];

#[tokio::test]
async fn every_container_gets_firing_variables_without_overrides() {
    let rig = Rig::new().await;
    let definition = pair(&rig);
    let launcher = rig.launcher();
    for name in ["pair", "pair:1", &definition] {
        let request = request(name, 1, 1, task(name, json!({})));
        launcher.launch(&request).await.unwrap();
        assert_eq!(
            container_variables(&rig),
            [container_with("main", &FIRING), container_with("side", &FIRING)],
            "{name}"
        );
        let launch = rig.fake.launches().pop().unwrap();
        let first = &launch.overrides["containerOverrides"][1]["environment"];
        assert_eq!(first[0]["value"], request.firing.as_str());
        assert_eq!(first[1]["value"], "2026-01-01T00:00:00Z");
    }
}

#[tokio::test]
async fn containers_without_override_get_firing_variables_too() {
    let rig = Rig::new().await;
    pair(&rig);
    let spec = overriding("pair", json!([{"containerName": "side", "environment": {"ZONE": "a"}}]));
    rig.launcher().launch(&request("a", 1, 1, spec)).await.unwrap();
    let side = ["ZONE", "ECS_SCHEDULER_OVERRIDE_TAG", FIRING[0], FIRING[1]];
    assert_eq!(container_variables(&rig), [container_with("side", &side), container_with("main", &FIRING)]);
}

#[tokio::test]
async fn disabled_variables_reach_overridden_containers_only() {
    let rig = Rig::new().await;
    pair(&rig);
    let launcher = rig.quiet_launcher();
    launcher.launch(&request("a", 1, 1, task("pair:1", json!({})))).await.unwrap();
    assert_eq!(container_variables(&rig), []);
    let spec = overriding("pair:1", json!([{"containerName": "side", "environment": {}}]));
    launcher.launch(&request("b", 1, 1, spec)).await.unwrap();
    assert_eq!(
        container_variables(&rig),
        [container_with("side", &["ECS_SCHEDULER_OVERRIDE_TAG", FIRING[0], FIRING[1]])]
    );
    assert_eq!(rig.calls("DescribeTaskDefinition"), 0);
}

#[tokio::test]
async fn the_containers_of_a_revision_are_read_once() {
    let rig = Rig::new().await;
    let launcher = rig.launcher();
    for key in ["a", "b", "c"] {
        launcher.launch(&request(key, 1, 1, task("work:1", json!({})))).await.unwrap();
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(120)).await;
        tokio::time::resume();
    }
    assert_eq!(rig.calls("DescribeTaskDefinition"), 1);
    assert_eq!(container_variables(&rig), [container_with("main", &FIRING)]);
}

#[tokio::test]
async fn exact_revision_starts_without_permission_to_read_definitions() {
    let rig = Rig::new().await;
    rig.fake.configure(|settings| {
        settings.permissions.denied = ["ecs:DescribeTaskDefinition".to_owned()].into();
    });
    let launcher = rig.launcher();
    for key in ["a", "b"] {
        let report = launcher.launch(&request(key, 1, 1, task("work:1", json!({})))).await.unwrap();
        assert_eq!(report.started.len(), 1);
        assert_eq!(container_variables(&rig), []);
    }
    assert_eq!(rig.calls("DescribeTaskDefinition"), 1, "it is not asked again at once");
}

#[tokio::test]
async fn launch_is_retried_while_definitions_are_unavailable() {
    let rig = Rig::new().await;
    rig.fake.faults().add(FaultRule::every(Service::Ecs, InjectedFault::ServerError { status: 503 }));
    let launcher = rig.launcher();
    let error = launcher.launch(&work("a", 1)).await.unwrap_err();
    assert!(error.is_transient() && !error.outcome_unknown(), "{error}");
    assert_eq!(rig.calls("RunTask"), 0);
    rig.fake.faults().clear();
    launcher.launch(&work("a", 1)).await.unwrap();
    assert_eq!(container_variables(&rig), [container_with("main", &FIRING)]);
}

/// A request whose overrides leave no room for the variables of another container.
fn full() -> LaunchRequest {
    let environment = json!({"TEXT": "x".repeat(7_700)});
    let overrides = json!([{"containerName": "main", "environment": environment}]);
    request("full", 1, 1, overriding("pair", overrides))
}

#[tokio::test]
async fn overrides_without_room_are_launched_unchanged_and_reported() {
    let rig = Rig::new().await;
    pair(&rig);
    let launcher = rig.launcher();
    launcher.check(&full().task).unwrap();
    launcher.launch(&full()).await.unwrap();
    let main = ["TEXT", "ECS_SCHEDULER_OVERRIDE_TAG", FIRING[0], FIRING[1]];
    assert_eq!(container_variables(&rig), [container_with("main", &main)]);

    let findings = launcher.preflight(&full().task).await.unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].pointer, "/overrides");
    assert!(findings[0].message.contains("ECS takes at most 8192"), "{findings:?}");
    assert!(rig.quiet_launcher().preflight(&full().task).await.unwrap().is_empty());
}

#[tokio::test]
async fn repeated_call_uses_containers_of_its_own_revision() {
    let rig = Rig::new().await;
    let old = pair(&rig);
    let launcher = rig.launcher();
    rig.fake.faults().add(FaultRule::once(Service::Ecs, "RunTask", InjectedFault::LostAfterEffect));
    let request = request("a", 1, 1, {
        let mut task = task(&old, json!({}));
        task.definition = "pair".to_owned();
        task
    });
    let mut request = request;
    request.definition = old;
    launcher.launch(&request).await.unwrap_err();
    register(&rig.fake, "pair");
    // Another scheduler takes over and does not know of the first call.
    assert_eq!(rig.launcher().launch(&request).await.unwrap().started.len(), 1);
    assert_eq!(rig.fake.launches().len(), 1);
    assert_eq!(container_variables(&rig), [container_with("main", &FIRING), container_with("side", &FIRING)]);
}
