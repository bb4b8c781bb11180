use std::time::Duration;

use ecs_scheduler_backend_aws::Timeouts;
use ecs_scheduler_core::{Demand, FaultKind};
use ecs_scheduler_fake_aws::{FaultRule, InjectedFault, Service};
use futures::future::join_all;
use serde_json::json;

use crate::help::{self, Rig, by_name, evaluate, tick};

/// Timeouts that no attempt reaches during a test, but that end a test that hangs.
const LONG_TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(3),
    attempt: Duration::from_secs(60),
    operation: Duration::from_secs(60),
};

/// Timeouts that end soon.
const SHORT_TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_millis(300),
    attempt: Duration::from_millis(300),
    operation: Duration::from_secs(10),
};

#[tokio::test]
async fn missing_queue_is_an_error() {
    let rig = Rig::new().await;
    let (error, error_chain) = rig.failure(by_name("orders")).await;
    assert_eq!(error.kind(), FaultKind::NotFound);
    assert!(error_chain.starts_with(
        "could not find queue \"orders\" in eu-central-1: there is none; check its name, region and accountId: "
    ));
    assert!(
        error_chain.contains("NonExistentQueue") || error_chain.contains("QueueDoesNotExist"),
        "{error_chain}"
    );
    rig.queue("orders", 1);
    assert_eq!(rig.evaluate(by_name("orders")).await.unwrap().queue.unwrap().visible, 1);
}

#[tokio::test]
async fn url_of_deleted_queue_is_evicted() {
    let rig = Rig::new().await;
    let url = rig.queue("orders", 1);
    let trigger = rig.trigger(by_name("orders"));
    evaluate(&*trigger, tick("2026-11-22T12:00:00Z")).await.unwrap();
    rig.call("DeleteQueue", &json!({"QueueUrl": url}));
    help::later().await;
    let gone = evaluate(&*trigger, tick("2026-11-22T12:01:00Z")).await.unwrap_err();
    assert_eq!(gone.kind(), FaultKind::NotFound);
    assert!(
        gone.to_string().starts_with("could not read the depth of queue \"orders\" in eu-central-1"),
        "{gone}"
    );
    rig.queue("orders", 2);
    help::later().await;
    let found = evaluate(&*trigger, tick("2026-11-22T12:02:00Z")).await.unwrap();
    assert_eq!((found.queue.unwrap().visible, rig.calls("GetQueueUrl")), (2, 2));
}

#[tokio::test]
async fn denied_call_names_the_missing_permission() {
    let rig = Rig::new().await;
    rig.queue("orders", 1);
    for action in ["sqs:GetQueueUrl", "sqs:GetQueueAttributes"] {
        rig.fake.configure(|settings| settings.permissions.denied = [action.to_owned()].into());
        let (error, error_chain) = rig.failure(by_name("orders")).await;
        assert_eq!(error.kind(), FaultKind::Denied);
        assert!(error.to_string().contains(&format!("allow {action} on it")), "{error}");
        assert!(error_chain.contains("AccessDenied"), "{error_chain}");
    }
}

#[tokio::test]
async fn listed_permissions_are_sufficient() {
    let rig = Rig::new().await;
    rig.queue("orders", 1);
    let lines = rig.trigger(json!({"queueName": "orders", "region": "eu-central-1"})).permissions();
    let statements: Vec<_> = lines
        .iter()
        .map(|line| json!({"Effect": "Allow", "Action": line.action, "Resource": line.resource}))
        .collect();
    let policy = json!({"Version": "2012-10-17", "Statement": statements});
    rig.fake.configure(|settings| settings.permissions.policy = Some(policy));
    assert_eq!(rig.evaluate(by_name("orders")).await.unwrap().queue.unwrap().visible, 1);
}

#[tokio::test]
async fn aws_faults_are_transient_and_never_zero() {
    let rig = Rig::with(SHORT_TIMEOUTS).await;
    let url = rig.queue("orders", 1);
    let table = [
        (InjectedFault::Throttled, FaultKind::Throttled),
        (InjectedFault::ServerError { status: 503 }, FaultKind::Unavailable),
        (InjectedFault::ResetBeforeEffect, FaultKind::Unavailable),
        (InjectedFault::BlackHole, FaultKind::Unavailable),
    ];
    for (second, (fault, kind)) in (10..).zip(table) {
        rig.fake.faults().add(FaultRule::every(Service::Sqs, fault.clone()));
        let trigger = rig.trigger(json!({"queueUrl": url}));
        let error = evaluate(&*trigger, tick(&format!("2026-11-22T12:00:{second}Z"))).await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (kind, true), "{fault:?}: {error}");
        assert!(error.to_string().contains("queue \"orders\""), "{error}");
        rig.fake.faults().clear();
    }
    let well = evaluate(&*rig.trigger(json!({"queueUrl": url})), tick("2026-11-22T12:01:00Z")).await.unwrap();
    assert_eq!(well.demand, Demand::Floor);
}

#[tokio::test]
async fn unreadable_queue_fails_its_own_jobs_only() {
    let rig = Rig::new().await;
    rig.queue("there", 12);
    let there = rig.trigger(by_name("there"));
    let missing = rig.trigger(by_name("missing"));
    let noon = tick("2026-11-22T12:00:00Z");
    let answers =
        join_all((0..20).map(|n| evaluate(if n % 2 == 0 { &*there } else { &*missing }, noon))).await;
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.is_ok(), n % 2 == 0);
    }
    assert_eq!((rig.calls("GetQueueAttributes"), rig.calls("GetQueueUrl")), (1, 2));
}

#[tokio::test]
async fn silent_scope_delays_no_other() {
    let rig = Rig::with(LONG_TIMEOUTS).await;
    rig.queue("orders", 12);
    // More silent queues in one region than are read at once.
    let stuck: u64 = 32;
    let hole = FaultRule::every(Service::Sqs, InjectedFault::BlackHole).times(stuck);
    rig.fake.faults().add(hole);
    let silent: Vec<_> = (0..100)
        .map(|n| {
            rig.trigger(json!({"queueUrl": format!("https://sqs.us-east-1.amazonaws.com/123456789012/q{n}")}))
        })
        .collect();
    let noon = tick("2026-11-22T12:00:00Z");
    let waiting = join_all(silent.iter().map(|trigger| evaluate(&**trigger, noon)));
    let other = async {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while rig.calls("GetQueueAttributes") < stuck {
            assert!(tokio::time::Instant::now() < deadline, "the silent queues are not asked for");
            tokio::task::yield_now().await;
        }
        assert!(rig.fake.faults().left().iter().all(|rule| rule.times == Some(0)));
        evaluate(&*rig.trigger(by_name("orders")), noon).await
    };
    tokio::select! {
        _ = waiting => panic!("a black hole answered"),
        answer = other => assert_eq!(answer.unwrap().queue.unwrap().visible, 12),
    }
}

#[tokio::test]
async fn unreadable_vpc_endpoint_queue_error_names_the_host_rule() {
    let rig = Rig::new().await;
    rig.queue("orders", 3);
    let endpoint = "https://vpce-0a1b-2c3d.sqs.eu-central-1.vpce.amazonaws.com/123456789012";
    let at_endpoint = json!({"queueUrl": format!("{endpoint}/orders")});
    assert_eq!(
        rig.evaluate(at_endpoint).await.unwrap().queue.unwrap().visible,
        3,
        "the region's own host answers"
    );
    let (_, error_chain) = rig.failure(json!({"queueUrl": format!("{endpoint}/missing")})).await;
    assert!(
        error_chain.contains("the host of queueUrl is not called")
            && error_chain.contains("AWS_ENDPOINT_URL_SQS"),
        "{error_chain}"
    );
    let public = "https://sqs.eu-central-1.amazonaws.com/123456789012/missing";
    let (_, error_chain) = rig.failure(json!({"queueUrl": public})).await;
    assert!(!error_chain.contains("AWS_ENDPOINT_URL_SQS"), "{error_chain}");
}
