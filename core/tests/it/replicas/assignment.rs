//! Who owns what as replicas come and go.

use std::time::Duration;

use ecs_scheduler_core::Clock as _;
use ecs_scheduler_core::replica::Owner;
use ecs_scheduler_core::store::Shard;
use jiff::SignedDuration;

use super::cluster::{Yard, job_of, owned};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_lonely_replica_owns_everything_at_once() {
    let yard = Yard::open(40).await;
    let a = yard.join("a").await;
    assert!(yard.until_owned(&[(&a, 16)]).await < SECOND);
    assert_eq!(a.replica.status().jobs, 40);
    yard.pass(30.0).await;
    assert!(yard.latest().await < SignedDuration::from_secs(1));
    yard.close(vec![a]).await;
}

#[tokio::test(start_paused = true)]
async fn one_two_three_two_replicas_share_evenly_and_lose_nothing() {
    let yard = Yard::open(80).await;
    let a = yard.join("a").await;
    yard.pass(20.0).await;
    let b = yard.join("b").await;
    assert!(yard.until_owned(&[(&a, 8), (&b, 8)]).await < 4 * SECOND);
    yard.pass(20.0).await;
    let c = yard.join("c").await;
    assert!(yard.until_owned(&[(&a, 6), (&b, 5), (&c, 5)]).await < 4 * SECOND);
    yard.pass(20.0).await;
    a.replica.stop(10 * SECOND).await;
    assert!(yard.until_owned(&[(&b, 8), (&c, 8)]).await < 4 * SECOND);
    yard.pass(20.0).await;
    assert!(yard.latest().await < SignedDuration::from_secs(5), "{:?}", yard.latest().await);
    assert_eq!(b.replica.status().jobs + c.replica.status().jobs, 80);
    yard.close(vec![b, c]).await;
}

#[tokio::test(start_paused = true)]
async fn shares_do_not_move_while_nobody_comes_or_goes() {
    let yard = Yard::open(10).await;
    let mates = [yard.join("a").await, yard.join("b").await, yard.join("c").await];
    yard.pass(20.0).await;
    let before: Vec<_> = mates.iter().map(|mate| owned(&mate.replica)).collect();
    for _ in 0..600 {
        yard.pass(1.0).await;
        let now: Vec<_> = mates.iter().map(|mate| owned(&mate.replica)).collect();
        assert_eq!(now, before);
    }
    let registers = yard.shared.registers("fleet/shard/").await.unwrap();
    assert!(registers.iter().all(|(_, register)| register.version <= 5), "{registers:?}");
    yard.close(mates.into()).await;
}

#[tokio::test(start_paused = true)]
async fn old_history_goes_whichever_replica_is_left() {
    let yard = Yard::open(0).await;
    let mut before = None;
    for name in ["a", "b"] {
        let mate = yard.join(name).await;
        if let Some(before) = before.replace(mate) {
            before.replica.stop(10 * SECOND).await;
        }
        let now = yard.world.clock.now();
        yard.shared.write("answer", "201", None, Some(now)).await.unwrap();
        yard.pass(70.0).await;
        assert!(yard.shared.read("answer").await.unwrap().is_none(), "{name}");
    }
    yard.close(before.into_iter().collect()).await;
}

#[tokio::test(start_paused = true)]
async fn seventeen_replicas_leave_one_without_a_shard() {
    let yard = Yard::open(10).await;
    let mut mates = Vec::new();
    for number in 0..17 {
        mates.push(yard.join(&format!("replica-{number}")).await);
    }
    yard.pass(30.0).await;
    let mut shares: Vec<usize> = mates.iter().map(|mate| mate.owned()).collect();
    shares.sort_unstable();
    assert_eq!(shares, [[0].as_slice(), &[1; 16]].concat());
    yard.close(mates).await;
}

#[tokio::test(start_paused = true)]
async fn every_replica_knows_who_looks_at_a_job_and_who_the_others_are() {
    let yard = Yard::open(10).await;
    let (a, b) = (yard.join("a").await, yard.join_as("b", "b:5000").await);
    yard.until_owned(&[(&a, 8), (&b, 8)]).await;
    yard.pass(2.0).await;
    let there = Owner::There { id: "b".parse().unwrap(), address: "http://b:5000".to_owned() };
    for shard in Shard::all() {
        let job = job_of(shard);
        let owners = (a.replica.owner(&job), b.replica.owner(&job));
        assert!(
            owners.0 == Owner::Here && matches!(owners.1, Owner::There { .. })
                || owners == (there.clone(), Owner::Here),
            "{owners:?}"
        );
    }
    let seen = a.replica.replicas();
    let names: Vec<_> = seen.iter().map(|view| (view.id.as_str(), view.here, view.shards.len())).collect();
    assert_eq!(names, [("a", true, 8), ("b", false, 8)]);
    assert!(seen.iter().all(|view| view.live && view.silent < 3 * SECOND), "{seen:?}");
    let job = owned(&b.replica)[0];
    b.kill();
    yard.pass(6.6).await;
    let silent = a.replica.replicas().into_iter().find(|view| view.id.as_str() == "b").map(|view| view.live);
    assert!(!silent.unwrap_or(false));
    yard.pass(3.0).await;
    assert_eq!(a.replica.owner(&job_of(job)), Owner::Here);
    assert_eq!(a.replica.replicas().len(), 1);
    yard.close(vec![a]).await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_restarted_under_its_name_takes_its_shards_back_at_once() {
    let yard = Yard::open(40).await;
    let a = yard.join("a").await;
    yard.pass(10.0).await;
    a.kill();
    let again = yard.join("a").await;
    assert!(yard.until_owned(&[(&again, 16)]).await < SECOND);
    yard.close(vec![again]).await;
}

#[tokio::test(start_paused = true)]
async fn of_two_live_replicas_of_one_name_the_older_gives_way_until_the_other_has_gone() {
    let yard = Yard::open(40).await;
    let old = yard.join("a").await;
    yard.pass(10.0).await;
    let new = yard.join_as("a", "elsewhere").await;
    yard.until_owned(&[(&new, 16), (&old, 0)]).await;
    yard.pass(60.0).await;
    assert_eq!((new.owned(), old.owned()), (16, 0));
    let trouble = old.replica.fault().unwrap();
    assert!(trouble.contains("http://elsewhere") && trouble.contains("ECSS_REPLICA"), "{trouble}");
    assert_eq!(new.replica.fault(), None);
    new.kill();
    assert!(yard.until_owned(&[(&old, 16)]).await < 12 * SECOND);
    assert_eq!(old.replica.fault(), None);
    yard.close(vec![old]).await;
}
