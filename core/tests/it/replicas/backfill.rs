//! A backfill moves with its job to the next owner.

use ecs_scheduler_core::JobId;
use ecs_scheduler_core::backfill::{self, BackfillError, BackfillRequest, BackfillState};
use ecs_scheduler_core::replica::JobOwner;
use serde_json::json;

use super::cluster::Cluster;

#[tokio::test(start_paused = true)]
async fn a_backfill_moves_to_the_next_owner_and_fires_each_tick_once() {
    let cluster = Cluster::open(0).await;
    let document = json!({"taskDefinition": "work", "schedule": "0 0 *", "maxCount": 5});
    let stored = cluster.world.create("job-0", &document).await.unwrap();
    let (a, b) = (cluster.join("a").await, cluster.join("b").await);
    cluster.until_owned(&[(&a, 8), (&b, 8)]).await;
    let id = JobId::new("job-0").unwrap();
    let is_a = a.replica.owner(&id) == JobOwner::ThisReplica;
    let (owner, other) = if is_a { (a, b) } else { (b, a) };
    let request = BackfillRequest::new(
        "2026-02-01T00:00:00Z".parse().unwrap(),
        "2026-02-01T06:00:00Z".parse().unwrap(),
    );
    let elsewhere = other.replica.start_backfill(&id, request.clone()).await;
    assert!(matches!(elsewhere, Err(BackfillError::Elsewhere)), "{elsewhere:?}");
    owner.replica.start_backfill(&id, request).await.unwrap();
    let read = async || backfill::read(&*cluster.world.store, &stored.uid).await.unwrap().unwrap();
    while read().await.done.total() == 0 {
        cluster.pass(1.0).await;
    }
    let before = read().await;
    assert!((1..6).contains(&before.done.total()), "{before:?}");
    owner.kill();
    cluster.until_owned(&[(&other, 16)]).await;
    cluster.pass(600.0).await;
    let ended = read().await;
    assert_eq!((ended.state, ended.done.succeeded, ended.done.total()), (BackfillState::Finished, 6, 6));
    let mut ticks: Vec<_> = cluster.world.firings().await.iter().map(|firing| firing.nominal).collect();
    ticks.retain(|tick| *tick < "2026-03-01T00:00:00Z".parse().unwrap());
    ticks.sort();
    ticks.dedup();
    assert_eq!(ticks.len(), 6);
    assert_eq!(cluster.launcher.starts().len(), 6, "each tick has one task");
    assert_eq!(cluster.launcher.duplicate_launches(), []);
    assert!(backfill::registers(&*cluster.world.store).await.unwrap().is_empty());
}
