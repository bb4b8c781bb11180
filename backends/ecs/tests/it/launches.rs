//! Answers that are lost, refused or late: what is started, and what is known of it.

use ecs_scheduler_core::{FaultKind, Launcher as _, Search, TaskId};
use ecs_scheduler_fake_aws::{Capacity, FaultRule, Mishap, Service};
use jiff::SignedDuration;
use serde_json::json;

use crate::help::{Rig, beginning, ids, request, task, work};

fn once(rig: &Rig, mishap: Mishap) {
    rig.fake.faults().add(FaultRule::once(Service::Ecs, "RunTask", mishap));
}

#[tokio::test]
async fn nothing_is_called_before_something_is_asked() {
    let rig = Rig::new().await;
    let launcher = rig.launcher();
    assert!(launcher.check(&work("a", 1).task).is_ok());
    for operation in ["RunTask", "ListTasks", "DescribeTasks", "DescribeTaskDefinition"] {
        assert_eq!(rig.calls(operation), 0, "{operation}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_its_repetition_starts_nothing_more() {
    for mishap in [Mishap::LostAfterEffect, Mishap::ResetBeforeEffect, Mishap::ServerError { status: 500 }] {
        let rig = Rig::new().await;
        once(&rig, mishap.clone());
        let launcher = rig.launcher();
        let error = launcher.launch(&work("a", 3)).await.unwrap_err();
        assert!(error.maybe_done() && error.is_transient(), "{mishap:?}: {error}");
        assert_eq!(rig.calls("RunTask"), 1, "{mishap:?}: nobody else repeats it");
        let report = launcher.launch(&work("a", 3)).await.unwrap();
        assert_eq!((report.started.len(), rig.fake.launches().len()), (3, 3), "{mishap:?}");
    }
}

#[tokio::test]
async fn a_throttled_call_surely_did_nothing() {
    let rig = Rig::new().await;
    once(&rig, Mishap::Throttled);
    let error = rig.launcher().launch(&work("a", 1)).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::Throttled);
    assert!(!error.maybe_done());
    assert_eq!((rig.calls("RunTask"), rig.fake.launches().len()), (1, 0));
}

#[tokio::test]
async fn the_tasks_of_a_token_are_adopted_although_the_parameters_changed() {
    let rig = Rig::new().await;
    let launcher = rig.launcher();
    let first = ids(&launcher.launch(&work("a", 2)).await.unwrap());
    let changed = request("a", 1, 2, task("work", json!({"group": "other"})));
    let mut second = ids(&launcher.launch(&changed).await.unwrap());
    second.sort();
    let mut expected = first;
    expected.sort();
    assert_eq!(second, expected);
    assert_eq!(rig.fake.launches().len(), 2);
}

#[tokio::test]
async fn what_has_no_room_here_is_tried_elsewhere() {
    let rig = Rig::new().await;
    rig.fake.configure(|settings| {
        let full = Capacity {
            of: Some("FARGATE".to_owned()),
            reason: "RESOURCE:CPU".to_owned(),
            at_most: Some(1),
            refuse: 0,
        };
        settings.ecs.capacity.insert("batch".to_owned(), vec![full]);
    });
    let launch = json!({
        "launchType": "FARGATE", "network": {"subnets": ["subnet-0a1b2c3d"]}, "capacityFallback": [{"launchType": "EC2"}],
    });
    let launcher = rig.launcher();
    let first = launcher.launch(&request("a", 1, 3, task("vpc", launch.clone()))).await.unwrap();
    assert_eq!(first.started.len(), 1);
    assert!(first.refused.iter().all(|refusal| refusal.retryable && refusal.reason == "RESOURCE:CPU"));
    assert_eq!(first.refused.len(), 2);
    let second = launcher.launch(&request("a", 2, 2, task("vpc", launch))).await.unwrap();
    assert_eq!((second.started.len(), second.refused.len()), (2, 0));
}

#[tokio::test]
async fn a_cluster_without_instances_is_want_of_room_and_not_a_mistake() {
    let rig = Rig::new().await;
    rig.fake.configure(|settings| settings.ecs.without_instances.push("batch".to_owned()));
    let report = rig.launcher().launch(&work("a", 2)).await.unwrap();
    assert_eq!(report.refused.len(), 2);
    assert!(report.refused[0].retryable && report.refused[0].reason == "CAPACITY", "{:?}", report.refused[0]);
}

#[tokio::test]
async fn an_unknown_cluster_is_nobodys_to_retry() {
    let rig = Rig::new().await;
    let elsewhere = request("a", 1, 1, task("work", json!({"cluster": "nowhere"})));
    let error = rig.launcher().launch(&elsewhere).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::NotFound);
    assert!(!error.maybe_done() && !error.is_transient());
}

fn found(search: Search) -> Vec<TaskId> {
    match search {
        Search::Found(tasks) => tasks.into_iter().map(|task| task.task_id).collect(),
        Search::Nothing | Search::Unclear(_) => panic!("{search:?}"),
    }
}

#[tokio::test]
async fn a_call_whose_token_is_forgotten_is_looked_up() {
    let rig = Rig::new().await;
    let launcher = rig.launcher();
    launcher.launch(&work("other", 2)).await.unwrap();
    once(&rig, Mishap::LostAfterEffect);
    launcher.launch(&work("a", 3)).await.unwrap_err();
    let mut started: Vec<_> =
        rig.fake.launches()[2..].iter().map(|launch| TaskId::new(launch.task_arn.as_str())).collect();
    started.sort();
    assert!(launcher.stop(&started[0], "to be found among the stopped").await.is_ok());
    rig.pass(SignedDuration::from_mins(51));
    let restarted = rig.launcher();
    assert_eq!(found(restarted.search(&work("a", 3), beginning()).await.unwrap()), started);
    let population = restarted.population(&work("a", 1).job, &work("a", 1).task).await.unwrap();
    assert_eq!(population.tasks.len(), 4, "two of the other firing and two that still run");
}

#[tokio::test]
async fn absence_proves_that_nothing_was_started_for_less_than_an_hour() {
    let rig = Rig::new().await;
    let launcher = rig.launcher();
    launcher.launch(&work("other", 2)).await.unwrap();
    once(&rig, Mishap::ResetBeforeEffect);
    launcher.launch(&work("a", 1)).await.unwrap_err();
    rig.pass(SignedDuration::from_mins(51));
    assert_eq!(launcher.search(&work("a", 1), beginning()).await.unwrap(), Search::Nothing);
    rig.pass(SignedDuration::from_mins(10));
    assert!(matches!(launcher.search(&work("a", 1), beginning()).await.unwrap(), Search::Unclear(_)));
}

#[tokio::test]
async fn a_search_that_cannot_be_made_is_an_error_and_no_answer() {
    let rig = Rig::new().await;
    rig.fake.faults().add(FaultRule::every(Service::Ecs, Mishap::Throttled));
    let error = rig.launcher().search(&work("a", 1), beginning()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}
