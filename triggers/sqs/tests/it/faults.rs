use std::time::Duration;

use ecs_scheduler_backend_aws::Timeouts;
use ecs_scheduler_core::{Demand, FaultKind};
use ecs_scheduler_fake_aws::{FaultRule, Mishap, Service};
use futures::future::join_all;
use serde_json::json;

use crate::help::{self, World, by_name, evaluate, tick};

/// Long enough that no attempt is given up during a test, short enough that a test ends that goes wrong.
const PATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(3),
    attempt: Duration::from_secs(60),
    operation: Duration::from_secs(60),
};

/// Gives up soon.
const HASTY: Timeouts = Timeouts {
    connect: Duration::from_millis(300),
    attempt: Duration::from_millis(300),
    operation: Duration::from_secs(10),
};

#[tokio::test]
async fn a_queue_that_is_not_there_is_not_an_empty_queue() {
    let world = World::new().await;
    let (error, told) = world.failure(by_name("orders")).await;
    assert_eq!(error.kind(), FaultKind::NotFound);
    assert!(told.starts_with(
        "could not find queue \"orders\" in eu-central-1: there is none; check its name, region and accountId: "
    ));
    assert!(told.contains("NonExistentQueue") || told.contains("QueueDoesNotExist"), "{told}");
    world.queue("orders", 1);
    assert_eq!(world.evaluate(by_name("orders")).await.unwrap().queue.unwrap().visible, 1);
}

#[tokio::test]
async fn the_url_of_a_queue_that_is_gone_is_forgotten() {
    let world = World::new().await;
    let url = world.queue("orders", 1);
    let trigger = world.trigger(by_name("orders"));
    evaluate(&*trigger, tick("2026-11-22T12:00:00Z")).await.unwrap();
    world.call("DeleteQueue", &json!({"QueueUrl": url}));
    world::later().await;
    let gone = evaluate(&*trigger, tick("2026-11-22T12:01:00Z")).await.unwrap_err();
    assert_eq!(gone.kind(), FaultKind::NotFound);
    assert!(
        gone.to_string().starts_with("could not read the depth of queue \"orders\" in eu-central-1"),
        "{gone}"
    );
    world.queue("orders", 2);
    world::later().await;
    let found = evaluate(&*trigger, tick("2026-11-22T12:02:00Z")).await.unwrap();
    assert_eq!((found.queue.unwrap().visible, world.calls("GetQueueUrl")), (2, 2));
}

#[tokio::test]
async fn a_refusal_names_the_permission_that_is_missing() {
    let world = World::new().await;
    world.queue("orders", 1);
    for action in ["sqs:GetQueueUrl", "sqs:GetQueueAttributes"] {
        world.fake.configure(|settings| settings.permissions.denied = [action.to_owned()].into());
        let (error, told) = world.failure(by_name("orders")).await;
        assert_eq!(error.kind(), FaultKind::Denied);
        assert!(error.to_string().contains(&format!("allow {action} on it")), "{error}");
        assert!(told.contains("AccessDenied"), "{told}");
    }
}

#[tokio::test]
async fn the_permissions_that_it_lists_are_all_that_it_needs() {
    let world = World::new().await;
    world.queue("orders", 1);
    let lines = world.trigger(json!({"queueName": "orders", "region": "eu-central-1"})).permissions();
    let statements: Vec<_> = lines
        .iter()
        .map(|line| json!({"Effect": "Allow", "Action": line.action, "Resource": line.resource}))
        .collect();
    let policy = json!({"Version": "2012-10-17", "Statement": statements});
    world.fake.configure(|settings| settings.permissions.policy = Some(policy));
    assert_eq!(world.evaluate(by_name("orders")).await.unwrap().queue.unwrap().visible, 1);
}

#[tokio::test]
async fn trouble_of_aws_is_transient_and_never_zero() {
    let world = World::with(HASTY).await;
    let url = world.queue("orders", 1);
    let table = [
        (Mishap::Throttled, FaultKind::Throttled),
        (Mishap::ServerError { status: 503 }, FaultKind::Unavailable),
        (Mishap::ResetBeforeEffect, FaultKind::Unavailable),
        (Mishap::BlackHole, FaultKind::Unavailable),
    ];
    for (second, (mishap, kind)) in (10..).zip(table) {
        world.fake.faults().add(FaultRule::every(Service::Sqs, mishap.clone()));
        let trigger = world.trigger(json!({"queueUrl": url}));
        let error = evaluate(&*trigger, tick(&format!("2026-11-22T12:00:{second}Z"))).await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (kind, true), "{mishap:?}: {error}");
        assert!(error.to_string().contains("queue \"orders\""), "{error}");
        world.fake.faults().clear();
    }
    let well =
        evaluate(&*world.trigger(json!({"queueUrl": url})), tick("2026-11-22T12:01:00Z")).await.unwrap();
    assert_eq!(well.demand, Demand::Floor);
}

#[tokio::test]
async fn a_queue_that_cannot_be_read_fails_its_own_jobs_only() {
    let world = World::new().await;
    world.queue("there", 12);
    let there = world.trigger(by_name("there"));
    let missing = world.trigger(by_name("missing"));
    let noon = tick("2026-11-22T12:00:00Z");
    let answers =
        join_all((0..20).map(|n| evaluate(if n % 2 == 0 { &*there } else { &*missing }, noon))).await;
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.is_ok(), n % 2 == 0);
    }
    assert_eq!((world.calls("GetQueueAttributes"), world.calls("GetQueueUrl")), (1, 2));
}

#[tokio::test]
async fn a_place_that_does_not_answer_holds_up_no_other() {
    let world = World::with(PATIENT).await;
    world.queue("orders", 12);
    // More silent queues in one region than are read at once anywhere.
    let stuck: u64 = 32;
    let hole = FaultRule::every(Service::Sqs, Mishap::BlackHole).times(stuck);
    world.fake.faults().add(hole);
    let silent: Vec<_> = (0..100)
        .map(|n| {
            world.trigger(
                json!({"queueUrl": format!("https://sqs.us-east-1.amazonaws.com/123456789012/q{n}")}),
            )
        })
        .collect();
    let noon = tick("2026-11-22T12:00:00Z");
    let waiting = join_all(silent.iter().map(|trigger| evaluate(&**trigger, noon)));
    let other = async {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while world.calls("GetQueueAttributes") < stuck {
            assert!(tokio::time::Instant::now() < deadline, "the silent queues are not asked for");
            tokio::task::yield_now().await;
        }
        assert!(world.fake.faults().left().iter().all(|rule| rule.times == Some(0)));
        evaluate(&*world.trigger(by_name("orders")), noon).await
    };
    tokio::select! {
        _ = waiting => panic!("a black hole answered"),
        answer = other => assert_eq!(answer.unwrap().queue.unwrap().visible, 12),
    }
}

#[tokio::test]
async fn a_queue_behind_a_vpc_endpoint_that_cannot_be_read_says_that_its_host_is_not_called() {
    let world = World::new().await;
    world.queue("orders", 3);
    let endpoint = "https://vpce-0a1b-2c3d.sqs.eu-central-1.vpce.amazonaws.com/123456789012";
    let at_endpoint = json!({"queueUrl": format!("{endpoint}/orders")});
    assert_eq!(
        world.evaluate(at_endpoint).await.unwrap().queue.unwrap().visible,
        3,
        "the region's own host answers"
    );
    let (_, told) = world.failure(json!({"queueUrl": format!("{endpoint}/missing")})).await;
    assert!(
        told.contains("the host of queueUrl is not called") && told.contains("AWS_ENDPOINT_URL_SQS"),
        "{told}"
    );
    let public = "https://sqs.eu-central-1.amazonaws.com/123456789012/missing";
    let (_, told) = world.failure(json!({"queueUrl": public})).await;
    assert!(!told.contains("AWS_ENDPOINT_URL_SQS"), "{told}");
}
