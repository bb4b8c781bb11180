//! What is written by way of one replica takes effect on all.

use std::time::Duration;

use ecs_scheduler_core::store::{MIN_CHANGELOG, Shard};
use ecs_scheduler_core::{Clock as _, Event, FireError, FireRequest, JobId, Outcome, Revision};
use serde_json::json;

use super::cluster::{Yard, job_of, owned};

fn raw(document: &serde_json::Value) -> Box<serde_json::value::RawValue> {
    serde_json::value::to_raw_value(document).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_edit_takes_effect_on_the_owner_within_a_second() {
    let yard = Yard::open(0).await;
    let (a, b) = (yard.join("a").await, yard.join("b").await);
    yard.until_owned(&[(&a, 8), (&b, 8)]).await;
    let job = job_of(owned(&b.replica)[0]);
    let often = json!({"taskDefinition": "work", "schedule": "*", "overlap": "allow", "maxCount": 50});
    yard.world.create(job.as_str(), &often).await.unwrap();
    a.replica.nudge(&job);
    yard.pass(1.0).await;
    assert_eq!((a.replica.status().jobs, b.replica.status().jobs), (0, 1));
    yard.pass(5.0).await;
    let launched = yard.launcher.starts().len();
    assert!((4..=6).contains(&launched), "{launched}");
    let slow = raw(&json!({"taskDefinition": "work", "schedule": "@yearly"}));
    yard.shared.replace(&job, Revision(1), slow, yard.world.clock.now()).await.unwrap();
    a.replica.nudge(&job);
    yard.pass(1.0).await;
    let launched = yard.launcher.starts().len();
    yard.pass(10.0).await;
    assert_eq!(yard.launcher.starts().len(), launched);
    yard.shared.remove(&job, None).await.unwrap();
    yard.pass(1.0).await;
    assert_eq!(b.replica.status().jobs, 0);
}

#[tokio::test(start_paused = true)]
async fn more_edits_at_once_than_the_store_can_tell_all_take_effect() {
    let yard = Yard::open(0).await;
    let a = yard.join("a").await;
    yard.until_owned(&[(&a, 16)]).await;
    let shard = Shard::new(3).unwrap();
    let names = (0..).map(|number| JobId::new(&format!("many-{number}")).unwrap());
    let names = names.filter(|job| Shard::of(job) == shard).take(MIN_CHANGELOG + 50);
    for job in names {
        yard.world
            .create(job.as_str(), &json!({"taskDefinition": "work", "schedule": "@yearly"}))
            .await
            .unwrap();
    }
    yard.pass(1.0).await;
    assert_eq!(a.replica.status().jobs, MIN_CHANGELOG + 50);
    yard.close(vec![a]).await;
}

#[tokio::test(start_paused = true)]
async fn the_brake_of_one_replica_holds_on_all_within_a_second() {
    let yard = Yard::open(80).await;
    let (a, b) = (yard.join("a").await, yard.join("b").await);
    yard.until_owned(&[(&a, 8), (&b, 8)]).await;
    let mut heard = b.replica.subscribe();
    a.replica.brake("the queue is on fire".to_owned()).await.unwrap();
    yard.pass(1.0).await;
    assert_eq!(b.replica.status().brake.unwrap().reason, "the queue is on fire");
    let news = std::iter::from_fn(|| heard.try_recv().ok());
    assert!(news.into_iter().any(|event| matches!(event, Event::Brake { on: true, .. })));
    let launched = yard.launcher.starts().len();
    yard.pass(10.0).await;
    assert_eq!(yard.launcher.starts().len(), launched);
    b.replica.release().await.unwrap();
    yard.pass(1.0).await;
    assert_eq!(a.replica.status().brake, None);
    yard.pass(10.0).await;
    assert!(yard.launcher.starts().len() > launched + 100);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_fired_by_hand_where_it_is_looked_at() {
    let yard = Yard::open(0).await;
    let (a, b) = (yard.join("a").await, yard.join("b").await);
    yard.until_owned(&[(&a, 8), (&b, 8)]).await;
    let job = job_of(owned(&b.replica)[0]);
    yard.world.create(job.as_str(), &json!({"taskDefinition": "work", "schedule": "@yearly"})).await.unwrap();
    let there = a.replica.fire_now(&job, FireRequest::default()).await;
    assert_eq!(there.unwrap_err(), FireError::Elsewhere);
    let here = b.replica.fire_now(&job, FireRequest::default()).await.unwrap();
    assert_eq!(here.draft.outcome, Outcome::Pending);
    yard.pass(2.0).await;
    assert_eq!(yard.launcher.starts().len(), 1);
    a.replica.stop(Duration::from_secs(5)).await;
    b.replica.stop(Duration::from_secs(5)).await;
    let stopped = b.replica.fire_now(&job, FireRequest::default()).await;
    assert_eq!(stopped.unwrap_err(), FireError::Elsewhere);
}
