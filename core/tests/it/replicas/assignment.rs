//! The assignment of shards as replicas join and leave.

use std::time::Duration;

use ecs_scheduler_core::Clock as _;
use ecs_scheduler_core::replica::JobOwner;
use ecs_scheduler_core::store::Shard;
use jiff::SignedDuration;

use super::cluster::{Cluster, job_of, owned};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_single_replica_owns_every_shard_at_once() {
    let cluster = Cluster::open(40).await;
    let a = cluster.join("a").await;
    assert!(cluster.until_owned(&[(&a, 16)]).await < SECOND);
    assert_eq!(a.replica.status().jobs, 40);
    cluster.pass(30.0).await;
    assert!(cluster.latest().await < SignedDuration::from_secs(1));
    cluster.close(vec![a]).await;
}

#[tokio::test(start_paused = true)]
async fn replicas_that_come_and_go_share_evenly_and_lose_nothing() {
    let cluster = Cluster::open(80).await;
    let a = cluster.join("a").await;
    cluster.pass(20.0).await;
    let b = cluster.join("b").await;
    assert!(cluster.until_owned(&[(&a, 8), (&b, 8)]).await < 4 * SECOND);
    cluster.pass(20.0).await;
    let c = cluster.join("c").await;
    assert!(cluster.until_owned(&[(&a, 6), (&b, 5), (&c, 5)]).await < 4 * SECOND);
    cluster.pass(20.0).await;
    a.replica.stop(10 * SECOND).await;
    assert!(cluster.until_owned(&[(&b, 8), (&c, 8)]).await < 4 * SECOND);
    cluster.pass(20.0).await;
    assert!(cluster.latest().await < SignedDuration::from_secs(5), "{:?}", cluster.latest().await);
    assert_eq!(b.replica.status().jobs + c.replica.status().jobs, 80);
    cluster.close(vec![b, c]).await;
}

#[tokio::test(start_paused = true)]
async fn shards_do_not_move_while_no_replica_joins_or_leaves() {
    let cluster = Cluster::open(10).await;
    let members = [cluster.join("a").await, cluster.join("b").await, cluster.join("c").await];
    cluster.pass(20.0).await;
    let before: Vec<_> = members.iter().map(|member| owned(&member.replica)).collect();
    for _ in 0..600 {
        cluster.pass(1.0).await;
        let now: Vec<_> = members.iter().map(|member| owned(&member.replica)).collect();
        assert_eq!(now, before);
    }
    let registers = cluster.shared.registers("fleet/shard/").await.unwrap();
    assert!(registers.iter().all(|(_, register)| register.version <= 5), "{registers:?}");
    cluster.close(members.into()).await;
}

#[tokio::test(start_paused = true)]
async fn any_remaining_replica_prunes_old_history() {
    let cluster = Cluster::open(0).await;
    let mut before = None;
    for name in ["a", "b"] {
        let member = cluster.join(name).await;
        if let Some(before) = before.replace(member) {
            before.replica.stop(10 * SECOND).await;
        }
        let now = cluster.world.clock.now();
        cluster.shared.put_register("answer", "201", None, Some(now)).await.unwrap();
        cluster.pass(70.0).await;
        assert!(cluster.shared.get_register("answer").await.unwrap().is_none(), "{name}");
    }
    cluster.close(before.into_iter().collect()).await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_knows_the_failing_jobs_of_the_others_within_seconds() {
    let cluster = Cluster::open(0).await;
    let (a, b) = (cluster.join("a").await, cluster.join("b").await);
    cluster.until_owned(&[(&a, 8), (&b, 8)]).await;
    let job = job_of(owned(&a.replica)[0]);
    let register = format!("failing-jobs/{}", Shard::from_job(&job));
    let names = |jobs: &[&str]| serde_json::to_string(jobs).unwrap();
    cluster.shared.put_register(&register, &names(&[job.as_str()]), None, None).await.unwrap();
    for member in [&a, &b] {
        member.replica.refresh_failing_names().await;
    }
    assert!(b.replica.fails_elsewhere(&job) && !a.replica.fails_elsewhere(&job), "a owns it");
    cluster.shared.put_register(&register, &names(&[]), Some(1), None).await.unwrap();
    b.replica.refresh_failing_names().await;
    assert!(b.replica.fails_elsewhere(&job), "the names are read every five seconds");
    cluster.pass(5.0).await;
    b.replica.refresh_failing_names().await;
    assert!(!b.replica.fails_elsewhere(&job));
    cluster.close(vec![a, b]).await;
}

#[tokio::test(start_paused = true)]
async fn seventeen_replicas_leave_one_without_a_shard() {
    let cluster = Cluster::open(10).await;
    let mut members = Vec::new();
    for number in 0..17 {
        members.push(cluster.join(&format!("replica-{number}")).await);
    }
    cluster.pass(30.0).await;
    let mut shares: Vec<usize> = members.iter().map(|member| member.owned()).collect();
    shares.sort_unstable();
    assert_eq!(shares, [[0].as_slice(), &[1; 16]].concat());
    cluster.close(members).await;
}

#[tokio::test(start_paused = true)]
async fn every_replica_knows_the_owner_of_a_job_and_the_other_replicas() {
    let cluster = Cluster::open(10).await;
    let (a, b) = (cluster.join("a").await, cluster.join_as("b", "b:5000").await);
    cluster.until_owned(&[(&a, 8), (&b, 8)]).await;
    cluster.pass(2.0).await;
    let there = JobOwner::OtherReplica { id: "b".parse().unwrap(), address: "http://b:5000".to_owned() };
    for shard in Shard::all() {
        let job = job_of(shard);
        let owners = (a.replica.owner(&job), b.replica.owner(&job));
        assert!(
            owners.0 == JobOwner::ThisReplica && matches!(owners.1, JobOwner::OtherReplica { .. })
                || owners == (there.clone(), JobOwner::ThisReplica),
            "{owners:?}"
        );
    }
    let seen = a.replica.replicas();
    let names: Vec<_> = seen.iter().map(|view| (view.id.as_str(), view.here, view.shards.len())).collect();
    assert_eq!(names, [("a", true, 8), ("b", false, 8)]);
    assert!(seen.iter().all(|view| view.live && view.silent < 3 * SECOND), "{seen:?}");
    let job = owned(&b.replica)[0];
    b.kill();
    cluster.pass(6.6).await;
    let silent = a.replica.replicas().into_iter().find(|view| view.id.as_str() == "b").map(|view| view.live);
    assert!(!silent.unwrap_or(false));
    cluster.pass(3.0).await;
    assert_eq!(a.replica.owner(&job_of(job)), JobOwner::ThisReplica);
    assert_eq!(a.replica.replicas().len(), 1);
    cluster.close(vec![a]).await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_restarted_under_its_name_reacquires_its_shards_at_once() {
    let cluster = Cluster::open(40).await;
    let a = cluster.join("a").await;
    cluster.pass(10.0).await;
    a.kill();
    let again = cluster.join("a").await;
    assert!(cluster.until_owned(&[(&again, 16)]).await < SECOND);
    cluster.close(vec![again]).await;
}

#[tokio::test(start_paused = true)]
async fn the_older_of_two_replicas_with_one_name_gives_way_until_the_other_is_gone() {
    let cluster = Cluster::open(40).await;
    let old = cluster.join("a").await;
    cluster.pass(10.0).await;
    let new = cluster.join_as("a", "elsewhere").await;
    cluster.until_owned(&[(&new, 16), (&old, 0)]).await;
    cluster.pass(60.0).await;
    assert_eq!((new.owned(), old.owned()), (16, 0));
    let fault = old.replica.fault().unwrap();
    assert!(fault.contains("http://elsewhere") && fault.contains("ECSS_REPLICA"), "{fault}");
    assert_eq!(new.replica.fault(), None);
    new.kill();
    assert!(cluster.until_owned(&[(&old, 16)]).await < 12 * SECOND);
    assert_eq!(old.replica.fault(), None);
    cluster.close(vec![old]).await;
}
