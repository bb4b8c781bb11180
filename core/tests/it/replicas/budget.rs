//! Budgets of several replicas: the sum over all stays within the limit, and what a failed one held is free again.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{Budget, BudgetLimit, BudgetUse, ComputePrice, JobId, Timestamp};
use ecs_scheduler_testing::{ChaosPlan, NetworkFault, SimRng};

use super::cluster::{Cluster, Member};

const LIMIT: u32 = 9;
const JOBS: usize = 32;

/// Makes a cluster whose jobs share nine tasks; each job asks for one every five seconds, which runs for seven.
async fn cluster() -> Cluster {
    let mut budget = Budget::new("all", BTreeMap::new());
    budget.max_tasks = NonZeroU32::new(LIMIT);
    cluster_with(budget).await
}

/// Makes the same cluster with another budget.
async fn cluster_with(budget: Budget) -> Cluster {
    let mut cluster = Cluster::open(JOBS).await;
    cluster.world.options.budgets = Arc::from([budget]);
    cluster.launcher.faults(ChaosPlan {
        delay: Duration::from_millis(200),
        run: Duration::from_secs(7),
        ..ChaosPlan::default()
    });
    cluster
}

async fn uses(member: &Member) -> BudgetUse {
    let node = ecs_scheduler_core::replica::SchedulerNode::from(member.replica.clone());
    node.budgets().await.unwrap().remove(0)
}

/// Returns the most tasks that were alive at once, and the number of tasks of the job with the fewest.
fn most_and_fewest(cluster: &Cluster) -> (i64, usize) {
    let mut changes: Vec<(Timestamp, i64)> = Vec::new();
    let mut fewest = usize::MAX;
    for number in 0..JOBS {
        let lifetimes = cluster.launcher.task_lifetimes(&JobId::new(&format!("job-{number}")).unwrap());
        fewest = fewest.min(lifetimes.len());
        for (start, end) in lifetimes {
            changes.extend([(start, 1), (end, -1)]);
        }
    }
    // At one moment, ends come first.
    changes.sort_unstable();
    let mut alive = 0;
    let most = changes.iter().map(|(_, change)| {
        alive += change;
        alive
    });
    (most.max().unwrap_or(0), fewest)
}

#[tokio::test(start_paused = true)]
async fn two_replicas_share_a_budget_and_no_job_of_either_starves() {
    let cluster = cluster().await;
    let (a, b) = (cluster.join("a").await, cluster.join("b").await);
    cluster.until_owned(&[(&a, 8), (&b, 8)]).await;
    cluster.pass(600.0).await;
    let (most, fewest) = most_and_fewest(&cluster);
    assert!((i64::from(LIMIT) - 1..=i64::from(LIMIT)).contains(&most), "{most} at once");
    assert!(fewest >= 10, "the least served job started {fewest} tasks");
    let (of_a, of_b) = (uses(&a).await, uses(&b).await);
    assert_eq!(
        BudgetLimit::ALL.map(|limit| of_a.used(limit)),
        BudgetLimit::ALL.map(|limit| of_b.used(limit))
    );
    assert!((1..=u64::from(LIMIT)).contains(&of_a.used(BudgetLimit::MaxTasks)));
    cluster.stop(vec![a, b]).await;
}

#[tokio::test(start_paused = true)]
async fn replicas_share_vcpu_and_dollars_also_after_one_is_killed() {
    for limit in [BudgetLimit::MaxVcpu, BudgetLimit::DollarsPerDay] {
        let mut budget = Budget::new("all", BTreeMap::new());
        budget.price = Some(ComputePrice { vcpu_hour: 1_000_000, gib_hour: 0 });
        if limit == BudgetLimit::MaxVcpu {
            budget.max_cpu = NonZeroU64::new(256 * u64::from(LIMIT));
        } else {
            // A quarter of a dollar an hour: a task without a timeout may cost six dollars a day.
            budget.max_daily_price = NonZeroU64::new(6_000_000 * u64::from(LIMIT));
        }
        let cluster = cluster_with(budget).await;
        let (a, b) = (cluster.join("a").await, cluster.join("b").await);
        cluster.until_owned(&[(&a, 8), (&b, 8)]).await;
        cluster.pass(60.0).await;
        for used in [uses(&a).await, uses(&b).await] {
            let most = used.budget.limit(limit).unwrap();
            assert!((1..=most).contains(&used.used(limit)), "{} of {most}", used.used(limit));
        }
        a.kill();
        cluster.until_owned(&[(&b, 16)]).await;
        cluster.pass(120.0).await;
        let (most, fewest) = most_and_fewest(&cluster);
        assert!(most <= i64::from(LIMIT), "{most} at once");
        assert!(limit == BudgetLimit::DollarsPerDay || fewest > 0);
        cluster.stop(vec![b]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn reservations_of_a_killed_replica_are_free_after_its_tasks_have_ended() {
    for moment in [0.0, 0.3, 0.7, 1.1, 2.3, 3.9] {
        let cluster = cluster().await;
        let (a, b) = (cluster.join("a").await, cluster.join("b").await);
        cluster.until_owned(&[(&a, 8), (&b, 8)]).await;
        cluster.pass(20.0 + moment).await;
        a.kill();
        cluster.until_owned(&[(&b, 16)]).await;
        let before = cluster.launcher.starts().len();
        cluster.pass(120.0).await;
        let (most, fewest) = most_and_fewest(&cluster);
        assert!(most <= i64::from(LIMIT), "{most} at once");
        assert!(fewest > 0);
        let rate = cluster.launcher.starts().len() - before;
        assert!(rate > 90, "nine tasks of eight to nine seconds at a time: {rate} in two minutes");
        cluster.stop(vec![b]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_fault_of_the_network_lets_replicas_pass_a_limit() {
    for seed in 0..6 {
        let cluster = cluster().await;
        let members = [cluster.join("a").await, cluster.join("b").await, cluster.join("c").await];
        let mut rng = SimRng::new(seed);
        cluster.pass(15.0).await;
        for _ in 0..12 {
            let one = &members[usize::try_from(rng.below(3)).unwrap()];
            let second = Duration::from_secs(1);
            let fault = [NetworkFault::Frozen, NetworkFault::Cut(second), NetworkFault::Slow(second)]
                [usize::try_from(rng.below(3)).unwrap()];
            one.store.set(fault);
            cluster.pass(1.0 + f64::from(u32::try_from(rng.below(120)).unwrap()) / 10.0).await;
            one.wake();
            cluster.pass(3.0).await;
        }
        cluster.pass(60.0).await;
        let (most, fewest) = most_and_fewest(&cluster);
        assert!(most <= i64::from(LIMIT), "{most} at once, seed {seed}");
        assert!(fewest > 0, "seed {seed}");
        cluster.stop(members.into()).await;
    }
}
