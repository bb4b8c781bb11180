use std::time::Duration;

use ecs_scheduler_fake_aws::{FaultRule, InjectedFault, Service};
use jiff::SignedDuration;
use serde_json::json;

use crate::help::{Rig, SIGNED, arns, run_task};

impl Rig {
    async fn try_run(&self, token: &str) -> reqwest::Result<crate::help::Answer> {
        self.call(Service::Ecs, "RunTask", &run_task(json!({ "clientToken": token })), SIGNED).await
    }
}

#[tokio::test]
async fn lost_answer_leaves_the_task_and_its_token_finds_it() {
    let rig = Rig::new().await;
    rig.fake.faults().add(FaultRule::once(Service::Ecs, "RunTask", InjectedFault::LostAfterEffect));
    let error = rig.try_run("a").await.unwrap_err();
    assert!(error.is_request(), "{error:?}");
    assert_eq!(rig.fake.launches().len(), 1);
    let again = rig.try_run("a").await.unwrap().good();
    assert_eq!(arns(&again), [rig.fake.launches()[0].task_arn.clone()]);
    assert_eq!(rig.fake.launches().len(), 1);
    assert_eq!(rig.fake.calls(Service::Ecs, "RunTask").lost, 1);
}

#[tokio::test]
async fn reset_before_effect_starts_no_task() {
    let rig = Rig::new().await;
    rig.fake.faults().add(FaultRule::once(Service::Ecs, "RunTask", InjectedFault::ResetBeforeEffect));
    assert!(rig.try_run("a").await.is_err());
    assert_eq!(rig.fake.launches().len(), 0);
    rig.try_run("a").await.unwrap().good();
}

#[tokio::test]
async fn throttling_and_server_errors_follow_their_counts() {
    let rig = Rig::new().await;
    rig.fake
        .faults()
        .add(FaultRule::once(Service::Ecs, "RunTask", InjectedFault::Throttled).times(2).after(1));
    rig.fake.faults().add(FaultRule::once(
        Service::Ecs,
        "ListTasks",
        InjectedFault::ServerError { status: 500 },
    ));
    rig.try_run("a").await.unwrap().good();
    for _ in 0..2 {
        rig.try_run("b").await.unwrap().is("ThrottlingException", "Rate exceeded");
    }
    rig.try_run("b").await.unwrap().good();
    let answer = rig.ecs("ListTasks", json!({ "cluster": "batch" })).await;
    assert_eq!((answer.status, answer.error()), (500, "ServerException"));
    assert_eq!(rig.list(json!({})).await.len(), 2);
    let calls = rig.fake.calls(Service::Ecs, "RunTask");
    assert_eq!((calls.calls, calls.throttled, calls.failed, calls.lost), (4, 2, 2, 0));
}

#[tokio::test]
async fn any_error_is_injected_with_the_date_of_a_wrong_clock() {
    let rig = Rig::new().await;
    let message = "Error retrieving subnet information for [subnet-1]: Rate exceeded (ErrorCode: Throttling)";
    let error = InjectedFault::error("InvalidParameterException", message);
    rig.fake.faults().add(FaultRule::once(Service::Ecs, "RunTask", error));
    rig.try_run("a").await.unwrap().is("InvalidParameterException", message);

    let ahead = SignedDuration::from_mins(-10);
    let code = "InvalidSignatureException".to_owned();
    let error = InjectedFault::Error { status: 403, code, message: String::new(), ahead };
    rig.fake.faults().add(FaultRule::once(Service::Sqs, "GetQueueUrl", error));
    rig.fake.faults().add(FaultRule::once(Service::Ecs, "ListTasks", InjectedFault::Skewed { ahead }));
    let refused = rig.sqs("GetQueueUrl", json!({ "QueueName": "orders" })).await;
    assert_eq!((refused.status, refused.error()), (403, "com.amazonaws.sqs#InvalidSignatureException"));
    assert_eq!(refused.date, "Wed, 31 Dec 2025 23:50:00 GMT");
    let usual = rig.ecs("ListTasks", json!({ "cluster": "batch" })).await;
    assert_eq!((usual.status, usual.date.as_str()), (200, "Wed, 31 Dec 2025 23:50:00 GMT"));
    assert_eq!(rig.fake.launches().len(), 0);
    rig.try_run("a").await.unwrap().good();
}

#[tokio::test]
async fn same_seed_hits_the_same_calls() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let rig = Rig::new().await;
        rig.fake.faults().add(FaultRule::every(Service::Ecs, InjectedFault::Throttled).sometimes(0.5, 7));
        let mut fates = Vec::new();
        for _ in 0..40 {
            fates.push(rig.ecs("ListTasks", json!({ "cluster": "batch" })).await.status);
        }
        runs.push(fates);
    }
    assert_eq!(runs[0], runs[1]);
    let throttled = runs[0].iter().filter(|status| **status == 400).count();
    assert!((8..32).contains(&throttled), "{throttled}");
}

#[tokio::test]
async fn black_hole_never_answers_and_silent_fault_still_acts() {
    let rig = Rig::new().await;
    for (fault, tasks) in [(InjectedFault::BlackHole, 0), (InjectedFault::SilentAfterEffect, 1)] {
        rig.fake.faults().add(FaultRule::once(Service::Ecs, "RunTask", fault));
        let patience = tokio::time::timeout(Duration::from_millis(300), rig.try_run("a")).await;
        assert!(patience.is_err(), "an answer came");
        assert_eq!(rig.fake.launches().len(), tasks);
    }
}

#[tokio::test]
async fn slow_answer_arrives_after_its_delay() {
    let rig = Rig::new().await;
    let by = SignedDuration::from_millis(200);
    rig.fake.faults().add(FaultRule::once(Service::Ecs, "RunTask", InjectedFault::Slow { by }));
    let began = tokio::time::Instant::now();
    rig.try_run("a").await.unwrap().good();
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn rule_matches_only_requests_with_its_text() {
    let rig = Rig::new().await;
    let error = InjectedFault::error("InvalidParameterException", "wrong");
    rig.fake.faults().add(FaultRule::every(Service::Ecs, error).containing("\"clientToken\":\"b\""));
    rig.try_run("a").await.unwrap().good();
    rig.try_run("b").await.unwrap().is("InvalidParameterException", "wrong");
}

#[tokio::test]
async fn clear_removes_all_faults() {
    let rig = Rig::new().await;
    rig.fake.faults().add(FaultRule::every(Service::Ecs, InjectedFault::Throttled));
    assert_eq!(rig.fake.faults().left().len(), 1);
    rig.fake.faults().clear();
    rig.try_run("a").await.unwrap().good();
}
