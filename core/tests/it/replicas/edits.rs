//! Writes through one replica take effect on all.

use std::time::Duration;

use ecs_scheduler_core::replica::SchedulerNode;
use ecs_scheduler_core::store::{MIN_CHANGELOG, Shard};
use ecs_scheduler_core::{Clock as _, Event, FireError, FireRequest, JobId, Revision, TickOutcome};
use serde_json::json;

use super::cluster::{Cluster, job_of, owned};

fn raw(document: &serde_json::Value) -> Box<serde_json::value::RawValue> {
    serde_json::value::to_raw_value(document).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_edit_takes_effect_on_the_owner_within_a_second() {
    let cluster = Cluster::open(0).await;
    let (a, b) = (cluster.join("a").await, cluster.join("b").await);
    cluster.until_owned(&[(&a, 8), (&b, 8)]).await;
    let job = job_of(owned(&b.replica)[0]);
    let often = json!({"taskDefinition": "work", "schedule": "*", "overlap": "allow", "maxCount": 50});
    cluster.world.create(job.as_str(), &often).await.unwrap();
    a.replica.nudge(&job);
    cluster.pass(1.0).await;
    assert_eq!((a.replica.status().jobs, b.replica.status().jobs), (0, 1));
    cluster.pass(5.0).await;
    let launched = cluster.launcher.starts().len();
    assert!((4..=6).contains(&launched), "{launched}");
    let slow = raw(&json!({"taskDefinition": "work", "schedule": "@yearly"}));
    cluster.shared.replace(&job, Revision(1), slow, cluster.world.clock.now()).await.unwrap();
    a.replica.nudge(&job);
    cluster.pass(1.0).await;
    let launched = cluster.launcher.starts().len();
    cluster.pass(10.0).await;
    assert_eq!(cluster.launcher.starts().len(), launched);
    cluster.shared.remove(&job, None).await.unwrap();
    cluster.pass(1.0).await;
    assert_eq!(b.replica.status().jobs, 0);
}

#[tokio::test(start_paused = true)]
async fn more_edits_than_the_change_log_keeps_all_take_effect() {
    let cluster = Cluster::open(0).await;
    let a = cluster.join("a").await;
    cluster.until_owned(&[(&a, 16)]).await;
    let shard = Shard::new(3).unwrap();
    let names = (0..).map(|number| JobId::new(&format!("many-{number}")).unwrap());
    let names = names.filter(|job| Shard::from_job(job) == shard).take(MIN_CHANGELOG + 50);
    for job in names {
        cluster
            .world
            .create(job.as_str(), &json!({"taskDefinition": "work", "schedule": "@yearly"}))
            .await
            .unwrap();
    }
    cluster.pass(1.0).await;
    assert_eq!(a.replica.status().jobs, MIN_CHANGELOG + 50);
    cluster.close(vec![a]).await;
}

#[tokio::test(start_paused = true)]
async fn the_brake_of_one_replica_holds_on_all_within_a_second() {
    let cluster = Cluster::open(80).await;
    let (a, b) = (cluster.join("a").await, cluster.join("b").await);
    cluster.until_owned(&[(&a, 8), (&b, 8)]).await;
    let [node_of_a, node_of_b] = [&a, &b].map(|member| SchedulerNode::from(member.replica.clone()));
    let mut events_of_b = node_of_b.subscribe();
    node_of_a.brake("the queue is on fire".to_owned()).await.unwrap();
    cluster.pass(1.0).await;
    assert_eq!(b.replica.status().brake.unwrap().reason, "the queue is on fire");
    let events = std::iter::from_fn(|| events_of_b.try_recv().ok());
    assert!(events.into_iter().any(|event| matches!(event, Event::Brake { on: true, .. })));
    let launched = cluster.launcher.starts().len();
    cluster.pass(10.0).await;
    assert_eq!(cluster.launcher.starts().len(), launched);
    node_of_b.release().await.unwrap();
    cluster.pass(1.0).await;
    assert_eq!(a.replica.status().brake, None);
    cluster.pass(10.0).await;
    assert!(cluster.launcher.starts().len() > launched + 100);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_fired_manually_by_its_owner_only() {
    let cluster = Cluster::open(0).await;
    let (a, b) = (cluster.join("a").await, cluster.join("b").await);
    cluster.until_owned(&[(&a, 8), (&b, 8)]).await;
    let job = job_of(owned(&b.replica)[0]);
    cluster
        .world
        .create(job.as_str(), &json!({"taskDefinition": "work", "schedule": "@yearly"}))
        .await
        .unwrap();
    let there = a.replica.fire_now(&job, FireRequest::default()).await;
    assert_eq!(there.unwrap_err(), FireError::Elsewhere);
    let here = b.replica.fire_now(&job, FireRequest::default()).await.unwrap();
    assert_eq!(here.draft.outcome, TickOutcome::Pending);
    cluster.pass(2.0).await;
    assert_eq!(cluster.launcher.starts().len(), 1);
    a.replica.stop(Duration::from_secs(5)).await;
    b.replica.stop(Duration::from_secs(5)).await;
    let stopped = b.replica.fire_now(&job, FireRequest::default()).await;
    assert_eq!(stopped.unwrap_err(), FireError::Elsewhere);
}
