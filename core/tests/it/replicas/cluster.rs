//! A cluster of replicas, and the oracle that checks whether a tick or task was lost or duplicated.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::job::JobContext;
use ecs_scheduler_core::schedule::{Schedule, Strictness};
use ecs_scheduler_core::{
    Clock, EngineOptions, Firing, FiringState, Launcher, MemoryStore, Origin, SharedStore, Store, StoredJob,
    TickOutcome, Timestamp, TriggerRegistry,
};
use ecs_scheduler_testing::member::join;
pub(crate) use ecs_scheduler_testing::member::{Member, job_of, owned};
use ecs_scheduler_testing::{ChaosLauncher, ChaosPlan, SimClock, Simulation};
use jiff::SignedDuration;
use serde_json::json;

pub(crate) struct Cluster {
    pub(crate) world: Simulation,
    pub(crate) shared: Arc<dyn SharedStore>,
    pub(crate) launcher: Arc<ChaosLauncher>,
    began: Timestamp,
}

impl Cluster {
    /// Makes a cluster with this many jobs, each of which fires every five seconds and launches one task per tick.
    pub(crate) async fn open(jobs: usize) -> Self {
        Self::open_on(jobs, Arc::new(MemoryStore::default())).await
    }

    /// Does the same on this store.
    pub(crate) async fn open_on(jobs: usize, store: Arc<dyn SharedStore>) -> Self {
        let began: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let clock = Arc::new(SimClock::at(began));
        let launcher = Arc::new(ChaosLauncher::new(Arc::clone(&clock) as Arc<dyn Clock>, 7));
        launcher.faults(ChaosPlan {
            delay: Duration::from_millis(200),
            run: Duration::from_secs(20),
            ..ChaosPlan::default()
        });
        let world = Simulation {
            clock,
            store: Arc::clone(&store) as Arc<dyn Store>,
            launcher: Arc::clone(&launcher) as Arc<dyn Launcher>,
            registry: Arc::new(TriggerRegistry::new()),
            options: EngineOptions::default(),
        };
        for number in 0..jobs {
            let schedule = format!("{}/5", number % 5);
            let job = json!({
                "taskDefinition": "work", "schedule": schedule, "overlap": "allow", "maxCount": 50,
                "catchUp": {"policy": "all", "max": 100},
            });
            world.create(&format!("job-{number}"), &job).await.unwrap();
        }
        Self { world, shared: store, launcher, began }
    }

    pub(crate) async fn join(&self, name: &str) -> Member {
        self.join_as(name, name).await
    }

    /// Joins a replica with this address.
    pub(crate) async fn join_as(&self, name: &str, address: &str) -> Member {
        join(&self.world, &self.shared, name, address).await
    }

    /// Advances time by this many seconds.
    pub(crate) async fn pass(&self, seconds: f64) {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }

    /// Waits until these replicas own these numbers of shards; returns the elapsed time.
    pub(crate) async fn until_owned(&self, members: &[(&Member, usize)]) -> Duration {
        let began = tokio::time::Instant::now();
        loop {
            let now: Vec<usize> = members.iter().map(|(member, _)| member.owned()).collect();
            if members.iter().zip(&now).all(|((_, wanted), owned)| wanted == owned) {
                return began.elapsed();
            }
            assert!(began.elapsed() < Duration::from_secs(60), "after a minute they own {now:?}");
            self.pass(0.05).await;
        }
    }

    /// Stops the remaining members.
    pub(crate) async fn stop(self, members: Vec<Member>) {
        for member in members {
            member.replica.stop(Duration::from_secs(10)).await;
        }
        assert_eq!(self.launcher.duplicate_launches(), []);
    }

    /// Lets open firings end, stops the remaining members, and checks that nothing was lost or duplicated: every tick up to now
    /// has an outcome, and launched one task.
    pub(crate) async fn close(self, members: Vec<Member>) {
        assert_eq!(self.close_excusing(members).await, 0, "every tick fires");
    }

    /// Does the same after replicas were cut off from the launcher and could not count running tasks: returns how many ticks
    /// have the outcome `live_unknown` and did not fire.
    pub(crate) async fn close_excusing(self, members: Vec<Member>) -> u64 {
        self.pass(30.0).await;
        let until = self.world.clock.now() - SignedDuration::from_secs(20);
        for member in members {
            member.replica.stop(Duration::from_secs(10)).await;
        }
        let audit = self.world.audit(&|stored| self.schedule(stored)).await.unwrap();
        assert_eq!(self.launcher.duplicate_launches(), []);
        let mut started = HashMap::new();
        for start in self.launcher.starts() {
            *started.entry(start.firing).or_insert(0) += 1;
        }
        let firings = self.world.firings().await;
        let of_tick = |firing: &&Firing| firing.origin == Origin::Tick && firing.nominal <= until;
        let due = firings.iter().filter(of_tick).count() as u64;
        let mut wanted = 0;
        for stored in self.jobs().await {
            wanted += self.schedule(&stored).count_in(self.began, until);
        }
        let decisions = self.world.decisions().await;
        let excused = decisions.iter().filter(|record| record.draft.outcome == TickOutcome::LiveUnknown);
        let excused: u64 = excused
            .filter(|record| record.draft.span.last <= until)
            .map(|record| record.draft.span.count)
            .sum();
        assert_eq!(due + excused, wanted, "every tick fires: {audit:?}");
        for firing in firings.iter().filter(|firing| firing.nominal <= until) {
            assert_eq!(started.get(&firing.id), Some(&1), "{firing:?}");
            assert!(matches!(firing.state, FiringState::Launched | FiringState::Finished), "{firing:?}");
        }
        assert!(started.values().all(|tasks| *tasks == 1));
        excused
    }

    /// Returns the maximum lateness of a tick.
    pub(crate) async fn latest(&self) -> SignedDuration {
        let firings = self.world.firings().await;
        firings.iter().map(|firing| firing.observed.duration_since(firing.nominal)).max().unwrap()
    }

    async fn jobs(&self) -> Vec<StoredJob> {
        let all = std::num::NonZeroUsize::new(10_000).unwrap();
        self.world.store.list(ecs_scheduler_core::ListFrom::Skip(0), all).await.unwrap().jobs
    }

    fn schedule(&self, stored: &StoredJob) -> Schedule {
        let context = JobContext {
            registry: &self.world.registry,
            max_tasks: NonZeroU32::new(50).unwrap(),
            strictness: Strictness::Lenient,
            launcher: None,
            channels: None,
        };
        stored.parse(&context).unwrap().ticks().unwrap().clone()
    }
}
