//! Replicas that fall, freeze, are cut off and slowed down, while jobs fire every second.

use std::time::Duration;

use ecs_scheduler_core::testing::{Passage, SimRng};
use jiff::SignedDuration;

use super::cluster::{Mate, Yard};

const SECOND: Duration = Duration::from_secs(1);
/// In how long what a replica owned has another owner, whatever became of the first.
const TAKEN_OVER: Duration = Duration::from_secs(10);

async fn two(jobs: usize) -> (Yard, Mate, Mate) {
    let yard = Yard::open(jobs).await;
    let (a, b) = (yard.join("a").await, yard.join("b").await);
    yard.until_owned(&[(&a, 8), (&b, 8)]).await;
    yard.pass(7.0).await;
    (yard, a, b)
}

#[tokio::test(start_paused = true)]
async fn a_killed_replicas_shards_are_taken_over_within_ten_seconds() {
    for moment in [0.0, 0.4, 0.8, 1.2, 1.45] {
        let (yard, a, b) = two(80).await;
        yard.pass(moment).await;
        a.kill();
        assert!(yard.until_owned(&[(&b, 16)]).await < TAKEN_OVER);
        let latest = yard.latest().await;
        assert!(latest < SignedDuration::from_secs(10), "{latest:?}");
        yard.close(vec![b]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_frozen_replica_that_wakes_up_launches_nothing_and_joins_again() {
    for asleep in [3.0, 5.5, 8.0, 60.0, 4_000.0] {
        let (yard, a, b) = two(40).await;
        a.freeze();
        yard.pass(asleep).await;
        if asleep > 10.0 {
            assert_eq!((a.owned(), b.owned()), (0, 16));
        }
        a.wake();
        assert!(yard.until_owned(&[(&a, 8), (&b, 8)]).await < TAKEN_OVER, "after {asleep} s");
        yard.pass(20.0).await;
        yard.close(vec![a, b]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_cut_off_from_the_store_stops_before_others_take_over() {
    let (yard, a, b) = two(80).await;
    a.store.set(Passage::Cut(SECOND));
    let began = tokio::time::Instant::now();
    yard.until_owned(&[(&a, 0)]).await;
    let stopped = began.elapsed();
    assert_eq!(b.owned(), 8, "it stopped after {stopped:?}, before anybody took over");
    assert!(a.replica.fault().is_some());
    assert!(yard.until_owned(&[(&b, 16)]).await + stopped < TAKEN_OVER);
    a.store.set(Passage::Open);
    assert!(yard.until_owned(&[(&a, 8), (&b, 8)]).await < TAKEN_OVER);
    yard.pass(20.0).await;
    assert_eq!(a.replica.fault(), None);
    yard.close(vec![a, b]).await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_cut_off_from_the_launcher_keeps_its_shards() {
    let (yard, a, b) = two(40).await;
    a.launcher.set(Passage::Cut(SECOND));
    yard.pass(60.0).await;
    assert_eq!((a.owned(), b.owned()), (8, 8));
    a.launcher.set(Passage::Open);
    yard.pass(60.0).await;
    yard.close(vec![a, b]).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_slow_by_two_seconds_moves_no_shard() {
    let (yard, a, b) = two(40).await;
    for mate in [&a, &b] {
        mate.store.set(Passage::Slow(2 * SECOND));
    }
    for _ in 0..60 {
        yard.pass(1.0).await;
        assert_eq!((a.owned(), b.owned()), (8, 8));
    }
    for mate in [&a, &b] {
        mate.store.set(Passage::Open);
    }
    yard.pass(30.0).await;
    yard.close(vec![a, b]).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_stops_all_and_all_go_on_after_it() {
    let (yard, a, b) = two(40).await;
    for mate in [&a, &b] {
        mate.store.set(Passage::Cut(SECOND / 10));
    }
    yard.pass(120.0).await;
    assert_eq!((a.owned(), b.owned()), (0, 0));
    for mate in [&a, &b] {
        mate.store.set(Passage::Open);
    }
    assert!(yard.until_owned(&[(&a, 8), (&b, 8)]).await < TAKEN_OVER);
    yard.pass(20.0).await;
    yard.close(vec![a, b]).await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_lost_its_lease_owns_its_shards_under_a_new_fence() {
    let yard = Yard::open(40).await;
    let a = yard.join("a").await;
    yard.until_owned(&[(&a, 16)]).await;
    let fences = async || -> Vec<u64> {
        let registers = yard.shared.registers("fleet/shard/").await.unwrap();
        registers.into_iter().map(|(_, register)| register.version).collect()
    };
    let before = fences().await;
    a.store.set(Passage::Cut(SECOND / 10));
    yard.pass(20.0).await;
    assert_eq!(a.owned(), 0);
    a.store.set(Passage::Open);
    yard.until_owned(&[(&a, 16)]).await;
    let after = fences().await;
    assert!(
        before.len() == 16 && before.iter().zip(&after).all(|(old, new)| old < new),
        "{before:?} {after:?}"
    );
    yard.pass(20.0).await;
    yard.close(vec![a]).await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_killed_while_it_hands_over_loses_nothing() {
    for moment in [0.0, 0.05, 0.1, 0.3, 0.7] {
        let (yard, a, b) = two(80).await;
        let stopping = a.replica.clone();
        tokio::spawn(async move { stopping.stop(10 * SECOND).await });
        yard.pass(moment).await;
        a.kill();
        assert!(yard.until_owned(&[(&b, 16)]).await < TAKEN_OVER);
        yard.close(vec![b]).await;
    }
}

/// Sixty faults one after the other, on three replicas, as a seed says.
async fn hard_times(seed: u64) {
    let mut rng = SimRng::new(seed);
    let yard = Yard::open(40).await;
    let mut mates = vec![yard.join("r0").await, yard.join("r1").await, yard.join("r2").await];
    let mut born = 3;
    for _ in 0..60 {
        yard.pass(f64::from(u32::try_from(rng.below(12_000)).unwrap()) / 1_000.0).await;
        let victim = usize::try_from(rng.below(mates.len() as u64)).unwrap();
        match rng.below(6) {
            0 => mates.swap_remove(victim).kill(),
            1 => mates[victim].freeze(),
            2 => mates[victim].store.set(Passage::Cut(SECOND / 2)),
            3 => mates[victim].store.set(Passage::Slow(2 * SECOND)),
            4 => mates[victim].launcher.set(Passage::Cut(SECOND)),
            _ => {
                mates.swap_remove(victim).replica.stop(5 * SECOND).await;
            }
        }
        yard.pass(f64::from(u32::try_from(rng.below(20_000)).unwrap()) / 1_000.0).await;
        mates.iter().for_each(Mate::wake);
        while mates.len() < 2 || mates.len() < 4 && rng.chance(0.3) {
            mates.push(yard.join(&format!("r{born}")).await);
            born += 1;
        }
    }
    yard.pass(40.0).await;
    let shares: Vec<usize> = mates.iter().map(Mate::owned).collect();
    assert_eq!(shares.iter().sum::<usize>(), 16, "seed {seed}: {shares:?}");
    yard.close_excusing(mates).await;
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_faults_lose_nothing_and_double_nothing() {
    for seed in 0..3 {
        hard_times(seed).await;
    }
}
