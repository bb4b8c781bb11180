use std::time::Duration;

use ecs_scheduler_backend_aws::Timeouts;
use ecs_scheduler_core::FaultKind;
use ecs_scheduler_fake_aws::{DataStatus, FaultRule, Mishap, Service};
use futures::future::join_all;
use serde_json::json;

use crate::help::{World, evaluate, metric};

/// Gives up soon.
const HASTY: Timeouts = Timeouts {
    connect: Duration::from_millis(300),
    attempt: Duration::from_millis(300),
    operation: Duration::from_secs(10),
};

#[tokio::test]
async fn what_is_not_complete_is_an_error_of_its_own_metric() {
    for (status, kind) in [
        (DataStatus::PartialData, FaultKind::Unavailable),
        (DataStatus::InternalError, FaultKind::Unavailable),
        (DataStatus::Forbidden, FaultKind::Denied),
    ] {
        let world = World::new().await;
        for name in ["A", "B", "C"] {
            world.put(name, 0, 50.0);
        }
        world.fake.configure(|settings| {
            settings.cloudwatch.statuses = [("q1".to_owned(), status)].into();
        });
        let jobs = ["A", "B", "C"].map(|name| world.trigger(metric(name, &json!({}))));
        let answers = join_all(jobs.iter().map(|job| evaluate(&**job))).await;
        let errors: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
        assert_eq!(errors.len(), 1, "{status:?}: {errors:?}");
        assert_eq!(errors[0].kind(), kind);
        let told = format!("in eu-central-1: CloudWatch said {status:?}");
        assert!(errors[0].to_string().contains(&told), "{}", errors[0]);
    }
}

#[tokio::test]
async fn a_refusal_names_the_permission_that_is_missing() {
    let world = World::new().await;
    world
        .fake
        .configure(|settings| settings.permissions.denied = ["cloudwatch:GetMetricData".to_owned()].into());
    let (error, told) = world.failure(metric("A", &json!({}))).await;
    assert_eq!(error.kind(), FaultKind::Denied);
    assert!(error.to_string().contains("allow cloudwatch:GetMetricData"), "{error}");
    assert!(told.contains("AccessDenied"), "{told}");
}

#[tokio::test]
async fn trouble_of_aws_is_transient_and_never_a_value() {
    for (mishap, kind) in [
        (Mishap::Throttled, FaultKind::Throttled),
        (Mishap::ServerError { status: 503 }, FaultKind::Unavailable),
        (Mishap::ResetBeforeEffect, FaultKind::Unavailable),
        (Mishap::BlackHole, FaultKind::Unavailable),
    ] {
        let world = World::with(HASTY).await;
        world.put("A", 0, 50.0);
        world.fake.faults().add(FaultRule::every(Service::CloudWatch, mishap.clone()));
        let (error, _) = world.failure(metric("A", &json!({}))).await;
        assert_eq!((error.kind(), error.is_transient()), (kind, true), "{mishap:?}: {error}");
        assert!(error.to_string().contains("App/A Average in eu-central-1"), "{error}");
    }
}

#[tokio::test]
async fn a_place_that_does_not_answer_holds_up_no_other() {
    let world = World::new().await;
    world.put("A", 0, 50.0);
    let stuck = 8;
    world.fake.faults().add(FaultRule::every(Service::CloudWatch, Mishap::BlackHole).times(stuck));
    // As many calls as one place makes at once: each delay has its own.
    let silent: Vec<_> = (0..20)
        .map(|n| world.trigger(metric("A", &json!({"region": "us-east-1", "delay": 60 * n}))))
        .collect();
    let waiting = join_all(silent.iter().map(|trigger| evaluate(&**trigger)));
    let other = async {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(15);
        while world.calls() < stuck {
            assert!(tokio::time::Instant::now() < deadline, "the silent region is not asked");
            tokio::task::yield_now().await;
        }
        world.evaluate(metric("A", &json!({}))).await
    };
    tokio::select! {
        _ = waiting => panic!("a black hole answered"),
        answer = other => assert_eq!(answer.unwrap().observations[0].value, 50.0),
    }
}
