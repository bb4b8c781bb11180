//! Passing and lasting faults while tasks are counted, started and followed.

use ecs_scheduler_core::{
    Clock as _, FaultKind, LaunchRecovery as _, Launcher as _, LostCall, SystemClock, TaskId, TaskPhase,
    fault::chain,
};
use ecs_scheduler_fake_aws::{FaultRule, InjectedFault, Service};
use futures::future::join_all;
use jiff::SignedDuration;
use serde_json::json;

use crate::help::{Rig, beginning, ids, job, register, request, task, work};

const THROTTLED: &str =
    "Error retrieving subnet information for [subnet-1]: Rate exceeded (ErrorCode: Throttling)";

/// Makes the next call of an operation fail.
fn fail_next(rig: &Rig, operation: &str, fault: InjectedFault) {
    rig.fake.faults().add(FaultRule::once(Service::Ecs, operation, fault));
}

/// Makes every call that names this task invalid.
fn reject_task(rig: &Rig, task: &TaskId) {
    let error = InjectedFault::error("InvalidParameterException", "Identifier is wrong.");
    let rule = FaultRule::every(Service::Ecs, error).containing(task.as_str());
    rig.fake.faults().add(FaultRule { operation: Some("DescribeTasks".to_owned()), ..rule });
}

#[tokio::test]
async fn passing_faults_are_transient_when_tasks_are_counted() {
    let passing = [
        InjectedFault::error("InvalidParameterException", THROTTLED),
        InjectedFault::error("ThrottlingException", "Rate exceeded"),
        InjectedFault::error("ServiceUnavailable", "later"),
        InjectedFault::error(
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ),
        InjectedFault::error("RequestExpired", "Request has expired."),
        InjectedFault::error("InvalidSignatureException", "Signature expired"),
        InjectedFault::ServerError { status: 503 },
        InjectedFault::BlackHole,
        InjectedFault::ResetBeforeEffect,
    ];
    let cases = ["ListTasks", "DescribeTaskDefinition"]
        .map(|operation| passing.iter().map(move |fault| assert_transient_when_counted(operation, fault)));
    join_all(cases.into_iter().flatten()).await;
}

async fn assert_transient_when_counted(operation: &str, fault: &InjectedFault) {
    let rig = Rig::new().await;
    let rule = FaultRule::every(Service::Ecs, fault.clone());
    rig.fake.faults().add(FaultRule { operation: Some(operation.to_owned()), ..rule });
    let launcher = rig.launcher();
    let spec = task("work", json!({}));
    let error = launcher.population(&job("job"), &spec).await.expect_err("a fault is played");
    assert!(error.is_transient(), "{operation} {fault:?}: {}", chain(&error));
    rig.fake.faults().clear();
    let population = launcher.population(&job("job"), &spec).await.expect("it passes");
    assert!(population.definition.is_some_and(|name| name.ends_with("work:1")), "{operation} {fault:?}");
}

#[tokio::test]
async fn lasting_faults_are_not_transient() {
    let rig = Rig::new().await;
    let spec = task("work", json!({}));
    for (code, kind) in [
        ("AccessDeniedException", FaultKind::Denied),
        ("ClusterNotFoundException", FaultKind::NotFound),
        ("InvalidParameterException", FaultKind::Config),
    ] {
        fail_next(&rig, "ListTasks", InjectedFault::error(code, "no"));
        let error = rig.launcher().population(&job("job"), &spec).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{code}");
    }
}

#[tokio::test]
async fn throttle_reported_as_invalid_parameter_is_retried_with_same_token() {
    for (code, words, kind) in [
        ("InvalidParameterException", THROTTLED, FaultKind::Throttled),
        ("ExpiredTokenException", "expired", FaultKind::Unavailable),
        ("InvalidSignatureException", "Signature expired", FaultKind::Unavailable),
        ("RequestExpired", "Request has expired.", FaultKind::Unavailable),
        ("ServiceUnavailable", "", FaultKind::Unavailable),
    ] {
        let rig = Rig::new().await;
        fail_next(&rig, "RunTask", InjectedFault::error(code, words));
        let launcher = rig.launcher();
        let error = launcher.launch(&work("a", 2)).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (kind, false), "{code}");
        let report = launcher.launch(&work("a", 2)).await.unwrap();
        assert_eq!((report.started.len(), rig.fake.launches().len()), (2, 2), "{code}");
    }
}

#[tokio::test]
async fn provisioning_limit_is_a_retryable_refusal() {
    let rig = Rig::new().await;
    fail_next(
        &rig,
        "RunTask",
        InjectedFault::error("ClientException", "Tasks provisioning capacity limit exceeded."),
    );
    let report = rig.launcher().launch(&work("a", 1)).await.unwrap();
    assert!(report.refused[0].retryable && report.refused[0].reason == "CAPACITY", "{report:?}");
}

#[tokio::test]
async fn wrong_clock_error_names_the_skew() {
    let rig = Rig::new().await;
    let real = SystemClock.now();
    // The fake's clock is ten and a half minutes ahead of this machine's.
    let ahead = real.duration_since(beginning()) + SignedDuration::from_secs(630);
    let code = "InvalidSignatureException".to_owned();
    let message = "Signature expired".to_owned();
    fail_next(&rig, "RunTask", InjectedFault::Error { status: 400, code, message, ahead });
    let error = rig.launcher().launch(&work("a", 1)).await.unwrap_err();
    assert!(error.to_string().contains("set this machine's clock, which is 10m"), "{error}");
    assert!(error.to_string().contains("behind that of AWS"), "{error}");
}

#[tokio::test]
async fn unreadable_task_does_not_hide_others() {
    let rig = Rig::new().await;
    let launcher = rig.launcher();
    let mut tasks = Vec::new();
    for number in 0..10 {
        tasks.extend(ids(&launcher.launch(&work(&format!("k{number}"), 10)).await.unwrap()));
    }
    reject_task(&rig, &tasks[37]);
    let observed = launcher.observe(&tasks).await.unwrap();
    assert_eq!(observed.states.len(), 99);
    let [unread] = &observed.unread[..] else { panic!("{observed:?}") };
    assert_eq!(unread.tasks, [tasks[37].clone()], "ECS lists it, so it has not ended");
    let (cluster, _) = tasks[37].as_str().rsplit_once('/').unwrap();
    let gone = TaskId::new(format!("{cluster}/{}", "0".repeat(32)));
    reject_task(&rig, &gone);
    let observed = launcher.observe(&[gone]).await.unwrap();
    assert!(observed.states.is_empty() && observed.unread.is_empty(), "ECS does not list it: {observed:?}");

    let before = rig.calls("DescribeTasks");
    launcher.observe(&tasks).await.unwrap();
    assert_eq!(rig.calls("DescribeTasks") - before, 2, "it is asked for alone from now on");
    rig.fake.faults().clear();
    assert_eq!(launcher.observe(&tasks).await.unwrap().states.len(), 100);
    let before = rig.calls("DescribeTasks");
    launcher.observe(&tasks).await.unwrap();
    assert_eq!(rig.calls("DescribeTasks") - before, 1, "it is a task like the others again");
}

#[tokio::test]
async fn cluster_that_cannot_be_described_does_not_hide_the_tasks_of_another() {
    let rig = Rig::new().await;
    rig.fake.ecs().create_cluster("aaa");
    let launcher = rig.launcher();
    let near = ids(&launcher.launch(&work("near", 1)).await.unwrap()).remove(0);
    let spec = task("work", json!({"cluster": "aaa"}));
    let far = ids(&launcher.launch(&request("far", 1, 1, spec)).await.unwrap()).remove(0);
    let denied =
        InjectedFault::error("AccessDeniedException", "User: arn:aws:iam::1:user/a is not authorized");
    let rule = FaultRule::every(Service::Ecs, denied).containing("aaa");
    rig.fake.faults().add(FaultRule { operation: Some("DescribeTasks".to_owned()), ..rule });
    let observed = launcher.observe(&[far.clone(), near.clone()]).await.unwrap();
    assert_eq!(observed.states.iter().map(|state| &state.task_id).collect::<Vec<_>>(), [&near]);
    let [unread] = &observed.unread[..] else { panic!("{observed:?}") };
    assert_eq!(unread.tasks, std::slice::from_ref(&far));
    assert!(chain(&unread.error).contains("aaa"), "{}", chain(&unread.error));
    rig.fake.faults().clear();
    assert_eq!(launcher.observe(&[far, near]).await.unwrap().states.len(), 2);
}

#[tokio::test]
async fn known_tasks_stay_running_while_every_describe_call_is_invalid() {
    let rig = Rig::new().await;
    let launcher = rig.launcher();
    let mut tasks = Vec::new();
    for number in 0..3 {
        tasks.extend(ids(&launcher.launch(&work(&format!("k{number}"), 10)).await.unwrap()));
    }
    launcher.observe(&tasks).await.unwrap();
    let error = InjectedFault::error("InvalidParameterException", "Invalid request.");
    rig.fake.faults().add(FaultRule {
        operation: Some("DescribeTasks".to_owned()),
        ..FaultRule::every(Service::Ecs, error)
    });
    let before = rig.calls("DescribeTasks");
    let states = launcher.observe(&tasks).await.unwrap().states;
    assert_eq!(states.len(), 30);
    assert!(states.iter().all(|state| state.phase != TaskPhase::Stopped));
    assert!(rig.calls("DescribeTasks") - before <= 12, "it is not asked for each task");
}

#[tokio::test]
async fn unreadable_task_leaves_lost_call_unclear() {
    let rig = Rig::new().await;
    let launcher = rig.launcher();
    let other = ids(&launcher.launch(&work("other", 1)).await.unwrap());
    rig.pass(SignedDuration::from_mins(51));
    assert_eq!(launcher.find_lost_launch(&work("a", 1), beginning()).await.unwrap(), LostCall::Nothing);
    reject_task(&rig, &other[0]);
    assert!(matches!(
        launcher.find_lost_launch(&work("a", 1), beginning()).await.unwrap(),
        LostCall::Unknown(_)
    ));
}

#[tokio::test]
async fn tasks_without_versions_are_followed_to_their_end() {
    let rig = Rig::new().await;
    rig.fake.configure(|settings| settings.ecs.without_versions = true);
    let launcher = rig.launcher();
    let tasks = ids(&launcher.launch(&work("a", 1)).await.unwrap());
    let phase = async || launcher.observe(&tasks).await.unwrap().states[0].phase;
    assert_eq!(phase().await, TaskPhase::Pending);
    rig.pass(SignedDuration::from_secs(10));
    assert_eq!(phase().await, TaskPhase::Running);
    assert!(rig.fake.ecs().finish(tasks[0].as_str(), 0));
    assert_eq!(phase().await, TaskPhase::Stopped);
}

#[tokio::test]
async fn family_means_newest_active_revision_after_a_refusal() {
    let rig = Rig::new().await;
    let second = register(&rig.fake, "work");
    let launcher = rig.launcher();
    let arn = "arn:aws:ecs:eu-central-1:123456789012:task-definition/work";
    for named in ["work", arn] {
        let population = launcher.population(&job("job"), &task(named, json!({}))).await.unwrap();
        assert_eq!(population.definition.as_deref(), Some(second.as_str()), "{named}");
    }
    let withdraw = json!({"taskDefinition": "work:2"});
    rig.fake.call(Service::Ecs, "DeregisterTaskDefinition", &withdraw).unwrap();
    let mut old = request("a", 1, 1, task("work", json!({})));
    old.definition = second;
    assert!(launcher.launch(&old).await.unwrap().is_refused_for_good());
    for named in ["work", arn] {
        let population = launcher.population(&job("job"), &task(named, json!({}))).await.unwrap();
        assert!(population.definition.is_some_and(|newest| newest.ends_with("/work:1")), "{named}");
    }
}
