use std::sync::Arc;

use ecs_scheduler_core::{EvalContext, JobId, Scaling, Trigger};
use futures::future::join_all;
use serde_json::json;

use crate::help::{World, by_name, evaluate, tick};

/// Evaluates a thousand jobs on fifty queues, each of its own, at one tick.
async fn round(world: &World, jobs: &[Arc<dyn Trigger>], nominal: &str) {
    let evaluations = join_all(jobs.iter().map(|job| evaluate(&**job, tick(nominal)))).await;
    for (index, evaluation) in evaluations.into_iter().enumerate() {
        assert_eq!(evaluation.unwrap().queue.unwrap().visible, u64::try_from(index % 50).unwrap());
    }
    let report = world.aws.meter().report();
    assert!(report.operations.iter().any(|operation| operation.operation == "GetQueueAttributes"));
}

#[tokio::test]
async fn a_thousand_jobs_on_fifty_queues_make_fifty_calls_a_round() {
    let world = World::new().await;
    let urls: Vec<String> = (0..50).map(|n| world.queue(&format!("queue-{n}"), n)).collect();
    // By name or by URL: a queue is one.
    let jobs: Vec<Arc<dyn Trigger>> = (0..1_000)
        .map(|n| match n % 3 {
            0 => world.trigger(json!({"queueUrl": urls[n % 50]})),
            _ => world.trigger(by_name(&format!("queue-{}", n % 50))),
        })
        .collect();
    round(&world, &jobs, "2026-11-22T12:00:00Z").await;
    assert_eq!((world.calls("GetQueueAttributes"), world.calls("GetQueueUrl")), (50, 50));
    round(&world, &jobs, "2026-11-22T12:00:30Z").await;
    assert_eq!((world.calls("GetQueueAttributes"), world.calls("GetQueueUrl")), (100, 50));
}

#[tokio::test]
async fn jobs_that_name_the_default_region_share_the_reading_of_those_that_do_not() {
    let world = World::new().await;
    world.queue("orders", 3);
    let plain = world.trigger(by_name("orders"));
    let named = world.trigger(json!({"queueName": "orders", "region": crate::help::REGION}));
    let noon = tick("2026-11-22T12:00:00Z");
    let (plain, named) = futures::join!(evaluate(&*plain, noon), evaluate(&*named, noon));
    assert_eq!(plain.unwrap().queue.unwrap().visible, named.unwrap().queue.unwrap().visible);
    assert_eq!(world.calls("GetQueueAttributes"), 1);
}

#[tokio::test]
async fn the_meter_knows_which_job_used_which_reading() {
    let world = World::new().await;
    world.queue("orders", 3);
    let trigger = world.trigger(by_name("orders"));
    for name in ["a", "b", "b"] {
        let job = JobId::new(name).unwrap();
        let cx = EvalContext { job: &job, tick: tick("2026-11-22T12:00:00Z"), scaling: Scaling::default() };
        trigger.evaluate(&cx).await.unwrap();
    }
    let report = world.aws.meter().report();
    let uses: Vec<_> =
        report.jobs.iter().map(|used| (used.job.as_str(), used.operation.as_str(), used.reads)).collect();
    assert_eq!(uses, [("a", "GetQueueAttributes", 1), ("b", "GetQueueAttributes", 2)]);
}
