//! RunTask calls whose responses are lost, refused or late: the started tasks, and what is known of them.

use ecs_scheduler_backend_aws::Share;
use ecs_scheduler_backend_ecs::{EcsLauncher, EcsOptions};
use ecs_scheduler_core::{
    FaultKind, LaunchRecovery as _, Launcher as _, LostCall, TaskId, TaskValidation as _,
};
use ecs_scheduler_fake_aws::{Capacity, FaultRule, InjectedFault, Service};
use jiff::SignedDuration;
use serde_json::json;

use crate::help::{Rig, aws, beginning, ids, request, task, work};

fn fail_next(rig: &Rig, fault: InjectedFault) {
    rig.fake.faults().add(FaultRule::once(Service::Ecs, "RunTask", fault));
}

#[tokio::test]
async fn no_call_is_made_before_first_use() {
    let rig = Rig::new().await;
    let launcher = rig.launcher();
    assert!(launcher.check(&work("a", 1).task).is_ok());
    for operation in ["RunTask", "ListTasks", "DescribeTasks", "DescribeTaskDefinition"] {
        assert_eq!(rig.calls(operation), 0, "{operation}");
    }
}

#[tokio::test]
async fn repeat_after_lost_response_starts_no_more_tasks() {
    for fault in [
        InjectedFault::LostAfterEffect,
        InjectedFault::ResetBeforeEffect,
        InjectedFault::ServerError { status: 500 },
    ] {
        let rig = Rig::new().await;
        fail_next(&rig, fault.clone());
        let launcher = rig.launcher();
        let error = launcher.launch(&work("a", 3)).await.unwrap_err();
        assert!(error.outcome_unknown() && error.is_transient(), "{fault:?}: {error}");
        assert_eq!(rig.calls("RunTask"), 1, "{fault:?}: nobody else repeats it");
        let report = launcher.launch(&work("a", 3)).await.unwrap();
        assert_eq!((report.started.len(), rig.fake.launches().len()), (3, 3), "{fault:?}");
    }
}

#[tokio::test]
async fn throttled_call_had_no_effect() {
    let rig = Rig::new().await;
    fail_next(&rig, InjectedFault::Throttled);
    let error = rig.launcher().launch(&work("a", 1)).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::Throttled);
    assert!(!error.outcome_unknown());
    assert_eq!((rig.calls("RunTask"), rig.fake.launches().len()), (1, 0));
}

#[tokio::test]
async fn launch_that_gets_no_quota_in_time_was_not_sent() {
    let rig = Rig::new().await;
    let clock = rig.clock.clone();
    let share = Share { burst: 0.0, rate: 0.000_1 };
    let options = EcsOptions { share, ..EcsOptions::new("batch", "test", clock.clone()) };
    let launcher = EcsLauncher::new(aws(&rig.fake.url(), clock), options);
    launcher.launch(&work("a", 1)).await.unwrap();
    // Everything that the next call needs is known, so that it only waits.
    tokio::time::pause();
    let error = launcher.launch(&work("b", 1)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (FaultKind::Throttled, false), "{error}");
    assert_eq!(rig.calls("RunTask"), 1);
}

#[tokio::test]
async fn tasks_of_a_token_are_adopted_with_changed_parameters() {
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
async fn refused_tasks_use_fallback_capacity() {
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
async fn cluster_without_instances_is_a_retryable_refusal() {
    let rig = Rig::new().await;
    rig.fake.configure(|settings| settings.ecs.without_instances.push("batch".to_owned()));
    let report = rig.launcher().launch(&work("a", 2)).await.unwrap();
    assert_eq!(report.refused.len(), 2);
    assert!(report.refused[0].retryable && report.refused[0].reason == "CAPACITY", "{:?}", report.refused[0]);
}

#[tokio::test]
async fn unknown_cluster_is_not_retried() {
    let rig = Rig::new().await;
    let elsewhere = request("a", 1, 1, task("work", json!({"cluster": "nowhere"})));
    let error = rig.launcher().launch(&elsewhere).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::NotFound);
    assert!(!error.outcome_unknown() && !error.is_transient());
}

fn found(search: LostCall) -> Vec<TaskId> {
    match search {
        LostCall::Found(tasks) => tasks.into_iter().map(|task| task.task_id).collect(),
        LostCall::Nothing | LostCall::Unknown(_) => panic!("{search:?}"),
    }
}

#[tokio::test]
async fn launch_with_expired_token_is_found_by_search() {
    let rig = Rig::new().await;
    let launcher = rig.launcher();
    launcher.launch(&work("other", 2)).await.unwrap();
    fail_next(&rig, InjectedFault::LostAfterEffect);
    launcher.launch(&work("a", 3)).await.unwrap_err();
    let mut started: Vec<_> =
        rig.fake.launches()[2..].iter().map(|launch| TaskId::new(launch.task_arn.as_str())).collect();
    started.sort();
    assert!(launcher.stop(&started[0], "to be found among the stopped").await.is_ok());
    rig.pass(SignedDuration::from_mins(51));
    let restarted = rig.launcher();
    assert_eq!(found(restarted.find_lost_launch(&work("a", 3), beginning()).await.unwrap()), started);
    let population = restarted.population(&work("a", 1).job, &work("a", 1).task).await.unwrap();
    assert_eq!(population.tasks.len(), 4, "two of the other firing and two that still run");
}

#[tokio::test]
async fn absence_proves_no_launch_for_less_than_an_hour() {
    let rig = Rig::new().await;
    let launcher = rig.launcher();
    launcher.launch(&work("other", 2)).await.unwrap();
    fail_next(&rig, InjectedFault::ResetBeforeEffect);
    launcher.launch(&work("a", 1)).await.unwrap_err();
    rig.pass(SignedDuration::from_mins(51));
    assert_eq!(launcher.find_lost_launch(&work("a", 1), beginning()).await.unwrap(), LostCall::Nothing);
    rig.pass(SignedDuration::from_mins(10));
    assert!(matches!(
        launcher.find_lost_launch(&work("a", 1), beginning()).await.unwrap(),
        LostCall::Unknown(_)
    ));
}

#[tokio::test]
async fn failed_search_is_an_error() {
    let rig = Rig::new().await;
    rig.fake.faults().add(FaultRule::every(Service::Ecs, InjectedFault::Throttled));
    let error = rig.launcher().find_lost_launch(&work("a", 1), beginning()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}
