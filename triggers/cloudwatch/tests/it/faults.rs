use std::time::Duration;

use ecs_scheduler_backend_aws::Timeouts;
use ecs_scheduler_core::FaultKind;
use ecs_scheduler_fake_aws::{DataStatus, FaultRule, InjectedFault, Service};
use futures::future::join_all;
use serde_json::json;

use crate::help::{Rig, evaluate, metric};

/// Timeouts that end soon.
const SHORT_TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_millis(300),
    attempt: Duration::from_millis(300),
    operation: Duration::from_secs(10),
};

#[tokio::test]
async fn incomplete_data_fails_its_own_metric_only() {
    for (status, kind) in [
        (DataStatus::PartialData, FaultKind::Unavailable),
        (DataStatus::InternalError, FaultKind::Unavailable),
        (DataStatus::Forbidden, FaultKind::Denied),
    ] {
        let rig = Rig::new().await;
        for name in ["A", "B", "C"] {
            rig.put(name, 0, 50.0);
        }
        rig.fake.configure(|settings| {
            settings.cloudwatch.statuses = [("q1".to_owned(), status)].into();
        });
        let jobs = ["A", "B", "C"].map(|name| rig.trigger(metric(name, &json!({}))));
        let answers = join_all(jobs.iter().map(|job| evaluate(&**job))).await;
        let errors: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
        assert_eq!(errors.len(), 1, "{status:?}: {errors:?}");
        assert_eq!(errors[0].kind(), kind);
        let error_chain = format!("in eu-central-1: CloudWatch said {status:?}");
        assert!(errors[0].to_string().contains(&error_chain), "{}", errors[0]);
    }
}

#[tokio::test]
async fn denied_call_names_the_missing_permission() {
    let rig = Rig::new().await;
    rig.fake
        .configure(|settings| settings.permissions.denied = ["cloudwatch:GetMetricData".to_owned()].into());
    let (error, error_chain) = rig.failure(metric("A", &json!({}))).await;
    assert_eq!(error.kind(), FaultKind::Denied);
    assert!(error.to_string().contains("allow cloudwatch:GetMetricData"), "{error}");
    assert!(error_chain.contains("AccessDenied"), "{error_chain}");
}

#[tokio::test]
async fn aws_faults_are_transient_and_never_a_value() {
    for (fault, kind) in [
        (InjectedFault::Throttled, FaultKind::Throttled),
        (InjectedFault::ServerError { status: 503 }, FaultKind::Unavailable),
        (InjectedFault::ResetBeforeEffect, FaultKind::Unavailable),
        (InjectedFault::BlackHole, FaultKind::Unavailable),
    ] {
        let rig = Rig::with(SHORT_TIMEOUTS).await;
        rig.put("A", 0, 50.0);
        rig.fake.faults().add(FaultRule::every(Service::CloudWatch, fault.clone()));
        let (error, _) = rig.failure(metric("A", &json!({}))).await;
        assert_eq!((error.kind(), error.is_transient()), (kind, true), "{fault:?}: {error}");
        assert!(error.to_string().contains("App/A Average in eu-central-1"), "{error}");
    }
}

#[tokio::test]
async fn silent_scope_delays_no_other() {
    let rig = Rig::new().await;
    rig.put("A", 0, 50.0);
    let stuck = 8;
    rig.fake.faults().add(FaultRule::every(Service::CloudWatch, InjectedFault::BlackHole).times(stuck));
    // The maximum of concurrent calls in one scope: each delay has its own.
    let silent: Vec<_> =
        (0..20).map(|n| rig.trigger(metric("A", &json!({"region": "us-east-1", "delay": 60 * n})))).collect();
    let waiting = join_all(silent.iter().map(|trigger| evaluate(&**trigger)));
    let other = async {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(15);
        while rig.calls() < stuck {
            assert!(tokio::time::Instant::now() < deadline, "the silent region is not asked");
            tokio::task::yield_now().await;
        }
        rig.evaluate(metric("A", &json!({}))).await
    };
    tokio::select! {
        _ = waiting => panic!("a black hole answered"),
        answer = other => assert_eq!(answer.unwrap().observations[0].value, 50.0),
    }
}
