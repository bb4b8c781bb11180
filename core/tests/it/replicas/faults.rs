//! Replicas that crash, freeze, are cut off and slowed down, while jobs fire every second.

use std::time::Duration;

use ecs_scheduler_testing::{NetworkFault, SimRng};
use jiff::SignedDuration;

use super::cluster::{Cluster, Member};

const SECOND: Duration = Duration::from_secs(1);
/// The maximum time of a failover.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(10);

async fn join_two(jobs: usize) -> (Cluster, Member, Member) {
    let cluster = Cluster::open(jobs).await;
    let (a, b) = (cluster.join("a").await, cluster.join("b").await);
    cluster.until_owned(&[(&a, 8), (&b, 8)]).await;
    cluster.pass(7.0).await;
    (cluster, a, b)
}

#[tokio::test(start_paused = true)]
async fn shards_of_a_killed_replica_have_new_owners_within_ten_seconds() {
    for moment in [0.0, 0.4, 0.8, 1.2, 1.45] {
        let (cluster, a, b) = join_two(80).await;
        cluster.pass(moment).await;
        a.kill();
        assert!(cluster.until_owned(&[(&b, 16)]).await < FAILOVER_TIMEOUT);
        let latest = cluster.latest().await;
        assert!(latest < SignedDuration::from_secs(10), "{latest:?}");
        cluster.close(vec![b]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_frozen_replica_that_resumes_launches_nothing_and_rejoins() {
    for asleep in [3.0, 5.5, 8.0, 60.0, 4_000.0] {
        let (cluster, a, b) = join_two(40).await;
        a.freeze();
        cluster.pass(asleep).await;
        if asleep > 10.0 {
            assert_eq!((a.owned(), b.owned()), (0, 16));
        }
        a.wake();
        assert!(cluster.until_owned(&[(&a, 8), (&b, 8)]).await < FAILOVER_TIMEOUT, "after {asleep} s");
        cluster.pass(20.0).await;
        cluster.close(vec![a, b]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_cut_off_from_the_store_stops_before_failover() {
    let (cluster, a, b) = join_two(80).await;
    a.store.set(NetworkFault::Cut(SECOND));
    let began = tokio::time::Instant::now();
    cluster.until_owned(&[(&a, 0)]).await;
    let stopped = began.elapsed();
    assert_eq!(b.owned(), 8, "it stopped after {stopped:?}, before another replica took over");
    assert!(a.replica.fault().is_some());
    assert!(cluster.until_owned(&[(&b, 16)]).await + stopped < FAILOVER_TIMEOUT);
    a.store.set(NetworkFault::None);
    assert!(cluster.until_owned(&[(&a, 8), (&b, 8)]).await < FAILOVER_TIMEOUT);
    cluster.pass(20.0).await;
    assert_eq!(a.replica.fault(), None);
    cluster.close(vec![a, b]).await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_cut_off_from_the_launcher_keeps_its_shards() {
    let (cluster, a, b) = join_two(40).await;
    a.launcher.set(NetworkFault::Cut(SECOND));
    cluster.pass(60.0).await;
    assert_eq!((a.owned(), b.owned()), (8, 8));
    a.launcher.set(NetworkFault::None);
    cluster.pass(60.0).await;
    cluster.close(vec![a, b]).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_latency_of_two_seconds_moves_no_shard() {
    let (cluster, a, b) = join_two(40).await;
    for member in [&a, &b] {
        member.store.set(NetworkFault::Slow(2 * SECOND));
    }
    for _ in 0..60 {
        cluster.pass(1.0).await;
        assert_eq!((a.owned(), b.owned()), (8, 8));
    }
    for member in [&a, &b] {
        member.store.set(NetworkFault::None);
    }
    cluster.pass(30.0).await;
    cluster.close(vec![a, b]).await;
}

#[tokio::test(start_paused = true)]
async fn all_replicas_stop_during_a_store_outage_and_recover() {
    let (cluster, a, b) = join_two(40).await;
    for member in [&a, &b] {
        member.store.set(NetworkFault::Cut(SECOND / 10));
    }
    cluster.pass(120.0).await;
    assert_eq!((a.owned(), b.owned()), (0, 0));
    for member in [&a, &b] {
        member.store.set(NetworkFault::None);
    }
    assert!(cluster.until_owned(&[(&a, 8), (&b, 8)]).await < FAILOVER_TIMEOUT);
    cluster.pass(20.0).await;
    cluster.close(vec![a, b]).await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_lost_its_lease_reacquires_its_shards_under_a_new_fence() {
    let cluster = Cluster::open(40).await;
    let a = cluster.join("a").await;
    cluster.until_owned(&[(&a, 16)]).await;
    let fences = async || -> Vec<u64> {
        let registers = cluster.shared.registers("fleet/shard/").await.unwrap();
        registers.into_iter().map(|(_, register)| register.version).collect()
    };
    let before = fences().await;
    a.store.set(NetworkFault::Cut(SECOND / 10));
    cluster.pass(20.0).await;
    assert_eq!(a.owned(), 0);
    a.store.set(NetworkFault::None);
    cluster.until_owned(&[(&a, 16)]).await;
    let after = fences().await;
    assert!(
        before.len() == 16 && before.iter().zip(&after).all(|(old, new)| old < new),
        "{before:?} {after:?}"
    );
    cluster.pass(20.0).await;
    cluster.close(vec![a]).await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_killed_during_hand_over_loses_nothing() {
    for moment in [0.0, 0.05, 0.1, 0.3, 0.7] {
        let (cluster, a, b) = join_two(80).await;
        let stopping = a.replica.clone();
        tokio::spawn(async move { stopping.stop(10 * SECOND).await });
        cluster.pass(moment).await;
        a.kill();
        assert!(cluster.until_owned(&[(&b, 16)]).await < FAILOVER_TIMEOUT);
        cluster.close(vec![b]).await;
    }
}

/// Injects sixty random faults, one after the other, into about three replicas.
async fn chaos_run(seed: u64) {
    let mut rng = SimRng::new(seed);
    let cluster = Cluster::open(40).await;
    let mut members = vec![cluster.join("r0").await, cluster.join("r1").await, cluster.join("r2").await];
    let mut joined = 3;
    for _ in 0..60 {
        cluster.pass(f64::from(u32::try_from(rng.below(12_000)).unwrap()) / 1_000.0).await;
        let victim = usize::try_from(rng.below(members.len() as u64)).unwrap();
        match rng.below(6) {
            0 => members.swap_remove(victim).kill(),
            1 => members[victim].freeze(),
            2 => members[victim].store.set(NetworkFault::Cut(SECOND / 2)),
            3 => members[victim].store.set(NetworkFault::Slow(2 * SECOND)),
            4 => members[victim].launcher.set(NetworkFault::Cut(SECOND)),
            _ => {
                members.swap_remove(victim).replica.stop(5 * SECOND).await;
            }
        }
        cluster.pass(f64::from(u32::try_from(rng.below(20_000)).unwrap()) / 1_000.0).await;
        members.iter().for_each(Member::wake);
        while members.len() < 2 || members.len() < 4 && rng.chance(0.3) {
            members.push(cluster.join(&format!("r{joined}")).await);
            joined += 1;
        }
    }
    cluster.pass(40.0).await;
    let shares: Vec<usize> = members.iter().map(Member::owned).collect();
    assert_eq!(shares.iter().sum::<usize>(), 16, "seed {seed}: {shares:?}");
    cluster.close_excusing(members).await;
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_faults_lose_and_duplicate_nothing() {
    for seed in 0..3 {
        chaos_run(seed).await;
    }
}
