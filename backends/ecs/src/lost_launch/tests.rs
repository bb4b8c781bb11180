use std::num::NonZeroU32;

use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{ContainerOverride, KeyValuePair, Tag, Task, TaskOverride};
use ecs_scheduler_core::{FiringId, JobId, JobUid, LaunchRequest, LaunchToken, LostCall, TaskId, Timestamp};
use jiff::SignedDuration;

use super::classify_tasks;

const SENT: &str = "2027-03-01T09:00:00Z";

fn request() -> LaunchRequest {
    let job = JobId::new("nightly").unwrap();
    let firing = FiringId::from_text("mine");
    let token = LaunchToken::derive("test", &JobUid::derived("test", &job), &firing, 0, 1);
    let mut request = LaunchRequest::new(
        job,
        firing,
        token,
        serde_json::from_value(serde_json::json!({"definition": "work"})).unwrap(),
        NonZeroU32::MIN,
        sent(),
    );
    request.started_by = "test/nightly".to_owned();
    request.definition = "work:1".to_owned();
    request
}

fn sent() -> Timestamp {
    SENT.parse().unwrap()
}

fn after(minutes: i64) -> Timestamp {
    sent().saturating_add(SignedDuration::from_mins(minutes)).unwrap()
}

fn task(arn: &str, created_minutes: i64) -> aws_sdk_ecs::types::builders::TaskBuilder {
    Task::builder().task_arn(arn).created_at(DateTime::from_secs(after(created_minutes).as_second()))
}

fn firing_override(firing: &str) -> TaskOverride {
    let variable = KeyValuePair::builder().name("ECSS_FIRING_ID").value(firing).build();
    TaskOverride::builder()
        .container_overrides(ContainerOverride::builder().environment(variable).build())
        .build()
}

fn classified(tasks: &[Task], minutes: i64) -> LostCall {
    classify_tasks(tasks, &request(), sent(), after(minutes))
}

fn names(search: LostCall) -> Vec<TaskId> {
    match search {
        LostCall::Found(tasks) => tasks.into_iter().map(|task| task.task_id).collect(),
        LostCall::Nothing | LostCall::Unknown(_) => panic!("{search:?}"),
    }
}

#[test]
fn tasks_of_the_firing_are_found_by_tag_or_variable() {
    let tag = |value: &str| Tag::builder().key("ecss:firing").value(value).build();
    let tasks = [
        task("b", 0).overrides(firing_override("mine")).build(),
        task("a", 0).tags(tag("mine")).build(),
        task("other", 0).tags(tag("other")).build(),
        task("third", 0).overrides(firing_override("third")).build(),
        task("a", 0).tags(tag("mine")).build(),
    ];
    assert_eq!(names(classified(&tasks, 51)), [TaskId::new("a"), TaskId::new("b")]);
    assert_eq!(names(classified(&tasks, 600)).len(), 2, "what is found is found, however late");
}

#[test]
fn absent_tasks_prove_no_launch_for_less_than_an_hour() {
    assert_eq!(classified(&[], 58), LostCall::Nothing);
    assert!(matches!(classified(&[], 59), LostCall::Unknown(_)));
}

#[test]
fn unmarked_task_counts_unless_older_than_the_call() {
    assert_eq!(classified(&[task("old", -5).build()], 51), LostCall::Nothing);
    assert!(matches!(classified(&[task("new", 0).build()], 51), LostCall::Unknown(_)));
}
