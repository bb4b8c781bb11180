//! A store that never answers about one shard: the other shards go on.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::store::Shard;
use ecs_scheduler_core::{Clock as _, FireError, FireRequest, SharedStore};
use jiff::SignedDuration;

use super::cluster::{Cluster, job_of};
use crate::hanging_store::HangingStore;

#[tokio::test(start_paused = true)]
async fn shard_whose_store_calls_hang_delays_no_other_shard_and_loses_nothing() {
    let store = Arc::new(HangingStore::default());
    let cluster = Cluster::open_on(80, Arc::clone(&store) as Arc<dyn SharedStore>).await;
    let replica = cluster.join("a").await;
    cluster.until_owned(&[(&replica, 16)]).await;
    cluster.pass(7.0).await;
    let shards: Vec<Shard> = Shard::all().collect();
    let (hung, other) = (job_of(shards[3]), job_of(shards[4]));
    store.hang_shard(Some(shards[3]));
    let since = cluster.world.clock.now();
    cluster.pass(90.0).await;
    let began = tokio::time::Instant::now();
    let fired = replica.replica.fire_now(&other, FireRequest::default()).await.unwrap();
    assert_eq!(fired.draft.launch, 1);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let refused = replica.replica.fire_now(&hung, FireRequest::default());
    let refused =
        tokio::time::timeout(Duration::from_secs(70), refused).await.expect("it is answered").unwrap_err();
    assert!(matches!(refused, FireError::Unconfirmed | FireError::Store), "{refused:?}");
    let firings = cluster.world.firings().await;
    let others =
        firings.iter().filter(|firing| Shard::from_job(&firing.job) != shards[3] && firing.nominal > since);
    let late = others.map(|firing| firing.observed.duration_since(firing.nominal)).max().unwrap();
    assert!(late < SignedDuration::from_millis(100), "{late:?}");
    store.recover();
    cluster.pass(40.0).await;
    assert_eq!(replica.owned(), 16);
    cluster.close(vec![replica]).await;
}
