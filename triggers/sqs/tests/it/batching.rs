use std::sync::Arc;

use ecs_scheduler_core::{EvalContext, JobId, Scaling, Trigger};
use futures::future::join_all;
use serde_json::json;

use crate::help::{Rig, by_name, evaluate, tick};

/// Evaluates a thousand jobs on fifty queues, each with its own trigger, at one tick.
async fn round(rig: &Rig, jobs: &[Arc<dyn Trigger>], nominal: &str) {
    let evaluations = join_all(jobs.iter().map(|job| evaluate(&**job, tick(nominal)))).await;
    for (index, evaluation) in evaluations.into_iter().enumerate() {
        assert_eq!(evaluation.unwrap().queue.unwrap().visible, u64::try_from(index % 50).unwrap());
    }
    let report = rig.aws.meter().report();
    assert!(report.operations.iter().any(|operation| operation.operation == "GetQueueAttributes"));
}

#[tokio::test]
async fn thousand_jobs_on_fifty_queues_make_fifty_calls_a_round() {
    let rig = Rig::new().await;
    let urls: Vec<String> = (0..50).map(|n| rig.queue(&format!("queue-{n}"), n)).collect();
    // A queue by name and by URL is the same queue.
    let jobs: Vec<Arc<dyn Trigger>> = (0..1_000)
        .map(|n| match n % 3 {
            0 => rig.trigger(json!({"queueUrl": urls[n % 50]})),
            _ => rig.trigger(by_name(&format!("queue-{}", n % 50))),
        })
        .collect();
    round(&rig, &jobs, "2026-11-22T12:00:00Z").await;
    assert_eq!((rig.calls("GetQueueAttributes"), rig.calls("GetQueueUrl")), (50, 50));
    round(&rig, &jobs, "2026-11-22T12:00:30Z").await;
    assert_eq!((rig.calls("GetQueueAttributes"), rig.calls("GetQueueUrl")), (100, 50));
}

#[tokio::test]
async fn explicit_and_implicit_default_region_share_a_reading() {
    let rig = Rig::new().await;
    rig.queue("orders", 3);
    let plain = rig.trigger(by_name("orders"));
    let named = rig.trigger(json!({"queueName": "orders", "region": crate::help::REGION}));
    let noon = tick("2026-11-22T12:00:00Z");
    let (plain, named) = futures::join!(evaluate(&*plain, noon), evaluate(&*named, noon));
    assert_eq!(plain.unwrap().queue.unwrap().visible, named.unwrap().queue.unwrap().visible);
    assert_eq!(rig.calls("GetQueueAttributes"), 1);
}

#[tokio::test]
async fn meter_records_the_readings_of_each_job() {
    let rig = Rig::new().await;
    rig.queue("orders", 3);
    let trigger = rig.trigger(by_name("orders"));
    for name in ["a", "b", "b"] {
        let job = JobId::new(name).unwrap();
        let cx = EvalContext::new(&job, tick("2026-11-22T12:00:00Z"), Scaling::default());
        trigger.evaluate(&cx).await.unwrap();
    }
    let report = rig.aws.meter().report();
    let uses: Vec<_> =
        report.jobs.iter().map(|used| (used.job.as_str(), used.operation.as_str(), used.reads)).collect();
    assert_eq!(uses, [("a", "GetQueueAttributes", 1), ("b", "GetQueueAttributes", 2)]);
}
