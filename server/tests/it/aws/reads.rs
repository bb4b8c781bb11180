//! The number of calls in a busy minute: readings are shared, and running tasks are not listed for each job.

use std::sync::Arc;

use ecs_scheduler_core::{Clock, JobId, JobUid, NewJob, Store, SystemClock};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use super::cloud::{Cloud, Kind};
use super::stage::{Playing, Stage};
use crate::crash::audit::open;
use crate::crash::site::until;

/// Puts jobs into the store before the scheduler starts: all at once, since this is not measured here.
pub(crate) async fn create(stage: &Stage<'_>, jobs: impl Iterator<Item = (String, Value)>) {
    let store: Arc<dyn Store> = open(&stage.site).await;
    // Older than their tick, however long it takes to put them there.
    let at = SystemClock.now() - SignedDuration::from_mins(1);
    let jobs = jobs.map(|(id, document)| NewJob {
        id: JobId::new(&id).unwrap(),
        uid: JobUid::random(),
        document: to_raw_value(&document).unwrap(),
        at,
    });
    for created in join_all(jobs.map(|job| store.create(job))).await {
        created.unwrap();
    }
    store.close().await.unwrap();
}

/// Returns a schedule with one tick, now.
pub(crate) fn once() -> String {
    let at: Timestamp = SystemClock.now() + SignedDuration::from_secs(2);
    format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// Waits until the scheduler has decided about so many ticks.
async fn decided(playing: &Playing<'_>, ticks: u64) {
    until("every job is decided", async || {
        let metrics = playing.text("/metrics").await;
        let count =
            metrics.lines().find_map(|line| line.strip_prefix("ecs_scheduler_lateness_seconds_count "));
        count.is_some_and(|count| count.parse() == Ok(ticks))
    })
    .await;
}

#[tokio::test]
async fn a_thousand_jobs_on_fifty_queues_cost_fifty_readings_and_no_listing_of_their_own() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "queues").await;
    for number in 0..50 {
        let queue = stage.queue(&format!("q{number}")).await;
        // Twenty jobs each on two of the queues fire.
        stage.send(&queue, usize::from(number < 2)).await;
    }
    let schedule = once();
    let job = |number: usize| {
        let trigger = json!({"type": "sqs", "queueName": stage.family(&format!("q{}", number % 50))});
        (format!("job-{number}"), stage.job(&json!({"schedule": schedule, "trigger": trigger})))
    };
    create(&stage, (0..1_000).map(job)).await;
    let playing = stage.start().await;
    decided(&playing, 1_000).await;
    until("the tasks are there", async || cloud.fake().launches().len() == 40).await;
    let calls = cloud.calls().await;
    assert_eq!(calls["sqs:GetQueueAttributes"].calls, 50, "{calls:#?}");
    assert_eq!(calls["sqs:GetQueueUrl"].calls, 50, "{calls:#?}");
    assert_eq!(calls["ecs:RunTask"].calls, 40, "{calls:#?}");
    // One sweep of the cluster at the start: what is to run, and what is to stop.
    assert!(calls["ecs:ListTasks"].calls <= 2, "{calls:#?}");
    assert_eq!(calls["ecs:DescribeTaskDefinition"].calls, 1, "{calls:#?}");
}

#[tokio::test]
async fn ten_thousand_jobs_on_as_many_metrics_are_read_by_the_five_hundred() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "metrics").await;
    let now = SystemClock.now();
    for (number, minutes) in (0..10_000).flat_map(|number| [1, 2].map(|minutes| (number, minutes))) {
        let at = now - SignedDuration::from_mins(minutes);
        cloud.fake().cloudwatch().put("Shop", &format!("Backlog{number}"), &[], at, 1.0);
    }
    let schedule = once();
    let job = |number: usize| {
        let metric = format!("Backlog{number}");
        let trigger =
            json!({"type": "cloudwatch", "namespace": "Shop", "metricName": metric, "threshold": 5});
        (format!("job-{number}"), stage.job(&json!({"schedule": schedule, "trigger": trigger})))
    };
    create(&stage, (0..10_000).map(job)).await;
    let playing = stage.start().await;
    decided(&playing, 10_000).await;
    let calls = cloud.calls().await;
    // Twenty full ones. Whenever the machine brings no job along for a tenth of a second, what has gathered goes in a call
    // that is not full: more of them, but each still for a hundred jobs and more. That it is twenty where nothing is held
    // up is a test of the trigger itself.
    let readings = calls["cloudwatch:GetMetricData"].calls;
    assert!((20..=100).contains(&readings), "{calls:#?}");
    assert!(!calls.contains_key("ecs:RunTask"), "{calls:#?}");
}
