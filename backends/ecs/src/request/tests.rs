use std::collections::HashSet;
use std::num::NonZeroU32;

use aws_sdk_ecs::operation::run_task::RunTaskInput;
use ecs_scheduler_core::{FiringId, JobId, JobUid, LaunchRequest, LaunchToken};
use serde_json::{Value, json};

use super::{build_run_task, started_by};
use crate::options::LaunchOptions;

fn request(launch: Value, overrides: Value) -> LaunchRequest {
    let job = JobId::new("nightly").unwrap();
    let uid = JobUid::derived("test", &job);
    let firing = FiringId::from_text("0123456789ab");
    let token = LaunchToken::derive("test", &uid, &firing, 0, 1);
    let mut request = LaunchRequest::new(
        job,
        firing,
        token,
        serde_json::from_value(json!({"definition": "work", "options": launch, "overrides": overrides}))
            .unwrap(),
        NonZeroU32::new(3).unwrap(),
        "2027-03-01T09:00:00Z".parse().unwrap(),
    );
    request.started_by = "test/nightly".to_owned();
    request.definition = "arn:aws:ecs:eu-central-1:123456789012:task-definition/work:7".to_owned();
    request
}

fn call(request: &LaunchRequest, tagged: bool) -> RunTaskInput {
    let options = LaunchOptions::from_task(&request.task, 2).unwrap();
    build_run_task(request, &options, "default-cluster", tagged, &[]).build().unwrap()
}

#[test]
fn minimal_job_sends_required_fields_only() {
    let request = request(json!({}), json!([]));
    let call = call(&request, false);
    let expected = RunTaskInput::builder()
        .cluster("default-cluster")
        .task_definition(&request.definition)
        .count(3)
        .client_token(request.token.as_str())
        .started_by("test/nightly")
        .build()
        .unwrap();
    assert_eq!(call, expected);
}

#[test]
fn the_same_request_makes_the_same_call() {
    let launch =
        json!({"tags": {"b": "1", "a": "2"}, "network": {"subnets": ["s"]}, "overrides": {"cpu": "256"}});
    let overrides = json!([{"containerName": "main", "environment": {"Z": "1", "A": "2"}}]);
    let request = request(launch, overrides);
    let text = serde_json::to_string(&request).unwrap();
    let restored: LaunchRequest = serde_json::from_str(&text).unwrap();
    assert_eq!(call(&request, true), call(&restored, true));
}

#[test]
fn overridden_containers_get_job_and_firing_variables() {
    let overrides = json!([
        {"containerName": "main", "environment": {"ECS_SCHEDULER_OVERRIDE_TAG": "mine", "ZONE": "a"}, "command": ["run"], "cpu": 5},
        {"containerName": "side", "environment": {}},
    ]);
    let call = call(&request(json!({}), overrides), true);
    let containers = call.overrides().unwrap().container_overrides();
    let variables = |index: usize| -> Vec<(String, String)> {
        let all = containers[index].environment().iter();
        all.map(|one| (one.name().unwrap().to_owned(), one.value().unwrap().to_owned())).collect()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let own = [
        pair("ECS_SCHEDULER_OVERRIDE_TAG", "nightly"),
        pair("ECSS_FIRING_ID", "0123456789ab"),
        pair("ECSS_SCHEDULED_AT", "2027-03-01T09:00:00Z"),
    ];
    let [tag, firing, at] = own.clone();
    assert_eq!(variables(0), [tag, pair("ZONE", "a"), firing, at]);
    assert_eq!(variables(1), own);
    assert_eq!((containers[0].command(), containers[0].cpu()), (&["run".to_owned()][..], Some(5)));
}

#[test]
fn own_tags_follow_user_tags_and_can_be_disabled() {
    let request = request(json!({"tags": {"team": "data"}}), json!([]));
    let keys = |call: &RunTaskInput| -> Vec<String> {
        call.tags().iter().map(|tag| format!("{}={}", tag.key().unwrap(), tag.value().unwrap())).collect()
    };
    assert_eq!(keys(&call(&request, true)), ["team=data", "ecss:job=nightly", "ecss:firing=0123456789ab"]);
    assert_eq!(keys(&call(&request, false)), ["team=data"]);
}

#[test]
fn later_attempt_requests_fallback_capacity() {
    let launch = json!({"launchType": "FARGATE", "capacityFallback": [{"launchType": "EC2"}]});
    let mut request = request(launch, json!([]));
    assert_eq!(call(&request, true).launch_type().unwrap().as_str(), "FARGATE");
    request.attempt = 2;
    assert_eq!(call(&request, true).launch_type().unwrap().as_str(), "EC2");
}

#[test]
fn valid_started_by_is_unchanged() {
    assert_eq!(started_by("ecs-scheduler/nightly_1"), "ecs-scheduler/nightly_1");
    let longest = "x".repeat(128);
    assert_eq!(started_by(&longest), longest);
}

#[test]
fn invalid_started_by_is_shortened_and_stays_unique() {
    let names = ["a b/job", "a-b/job", "a.b/job"].map(str::to_owned).into_iter();
    let long = (0..20).map(|n| format!("{}/{n}", "x".repeat(200)));
    let all: Vec<_> = names.chain(long).collect();
    let made: HashSet<_> = all.iter().map(|name| started_by(name)).collect();
    assert_eq!(made.len(), all.len());
    for name in made {
        assert!(name.len() <= 128, "{name}");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "-_/".contains(c)), "{name}");
    }
}
