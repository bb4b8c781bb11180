//! A year of a thousand mixed jobs in virtual time: restarts, crashes, faults of store and launcher, changes of clocks.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::job::JobContext;
use ecs_scheduler_core::schedule::Schedule;
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::{
    Clock, EngineOptions, FiringState, Launcher, MemoryStore, StoredJob, Timestamp, TriggerRegistry,
};
use ecs_scheduler_testing::{ChaosLauncher, ChaosPlan, EngineRun, SimClock, SimRng, Simulation, StoreFaults};
use jiff::SignedDuration;
use serde_json::{Value, json};

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "America/Santiago",
    "Pacific/Apia",
];

fn job(rng: &mut SimRng) -> Value {
    let (minute, hour, day) = (rng.below(60), rng.below(24), 1 + rng.below(28));
    let schedule = match rng.below(8) {
        0 => json!(format!("0 {minute} {hour} {}", rng.pick(&["mon-fri", "tue", "sat,sun"]))),
        1 => json!(format!("0 30 2 {}", rng.pick(&["sun", "mon", "sat"]))),
        2 => json!(format!("cron({minute} {hour} ? * MON,THU *)")),
        3 => json!(format!("cron({minute} {hour} L * ? *)")),
        4 => json!(["@weekly", format!("0 {minute} {hour} * * {day}")]),
        5 => json!(format!("rate({} hours)", 72 + rng.below(96))),
        6 => json!(format!("0 {minute} */{} * * {day}", 1 + rng.below(8))),
        _ => json!(format!("0 0 {hour} * * last")),
    };
    let mut job = json!({
        "taskDefinition": "work", "schedule": schedule, "timezone": rng.pick(&ZONES),
        "taskCount": 1 + rng.below(3), "overlap": rng.pick(&["topUp", "skip", "allow", "replace"]),
        "catchUp": {"policy": rng.pick(&["latest", "latest", "all", "none"]), "window": "6h"},
    });
    if rng.chance(0.2) {
        job["jitter"] = json!("10m");
    }
    if rng.chance(0.2) {
        job["cooldown"] = json!("30h");
    }
    if rng.chance(0.05) {
        job["suspended"] = json!(true);
    }
    if rng.chance(0.2) {
        job["maxCount"] = json!(12);
        job["taskCount"] = json!(12);
    }
    job
}

struct Year {
    world: Simulation,
    launcher: Arc<ChaosLauncher>,
    rng: SimRng,
    lives: u64,
}

impl Year {
    async fn begin(seed: u64, jobs: usize) -> Self {
        let clock = Arc::new(SimClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
        let launcher = Arc::new(ChaosLauncher::new(Arc::clone(&clock) as Arc<dyn Clock>, seed));
        launcher.faults(ChaosPlan {
            fail_before: 0.05,
            throttle: 0.05,
            lose_answer: 0.1,
            hang: 0.01,
            refuse: 0.05,
            fail_reads: 0.01,
            run: Duration::from_mins(20),
            exit_badly: 0.05,
            observe_every: Duration::from_secs(120),
            ..ChaosPlan::default()
        });
        let world = Simulation {
            clock,
            store: Arc::new(MemoryStore::default()),
            launcher: Arc::clone(&launcher) as Arc<dyn Launcher>,
            registry: Arc::new(TriggerRegistry::new()),
            options: EngineOptions {
                // Nobody steps this clock, so there is no need to look at it twice a minute for a year.
                max_sleep: Duration::from_hours(1),
                prefetch_within: Duration::from_hours(2),
                rescan: Duration::from_hours(240),
                history_age: Duration::MAX,
                ..EngineOptions::default()
            },
        };
        let mut rng = SimRng::new(seed);
        for number in 0..jobs {
            world.create(&format!("job-{number}"), &job(&mut rng)).await.unwrap();
        }
        Self { world, launcher, rng, lives: 0 }
    }

    async fn boot(&mut self) -> EngineRun {
        self.lives += 1;
        let faults = StoreFaults { before: 0.01, after: 0.01 };
        self.world.boot(faults, self.rng.next()).await.unwrap()
    }

    /// Runs the year in engine runs of random length, with pauses of random length in between.
    async fn pass(&mut self, until: Timestamp) {
        while self.world.clock.now() < until {
            let life = self.boot().await;
            let hours = 24 + self.rng.below(24 * 30);
            let minutes = i64::try_from(hours * 60 + self.rng.below(60)).unwrap();
            let ends = self.world.clock.now() + SignedDuration::from_mins(minutes);
            self.world.clock.sleep_until(ends.min(until)).await;
            if self.rng.chance(0.7) {
                life.crash().await;
            } else {
                life.engine.stop(Duration::from_secs(30)).await;
            }
            let away = [1, 30, 120, 55 * 60, 3 * 3600, 26 * 3600];
            let away = SignedDuration::from_secs(*self.rng.pick(&away));
            self.world.clock.sleep_until(self.world.clock.now() + away).await;
        }
        let life = self.boot().await;
        let settled = self.world.clock.now() + SignedDuration::from_hours(3);
        self.world.clock.sleep_until(settled).await;
        assert!(life.engine.stop(Duration::from_secs(60)).await);
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

    /// Compares the journal with the tasks that the launcher really started.
    async fn check_starts(&self) -> usize {
        let firings: HashMap<_, _> =
            self.world.firings().await.into_iter().map(|firing| (firing.id.clone(), firing)).collect();
        let mut started = HashMap::new();
        let mut tokens = HashSet::new();
        for start in self.launcher.starts() {
            let firing = firings.get(&start.firing).expect("every start belongs to a journalled firing");
            *started.entry(start.firing.clone()).or_insert(0) += 1;
            tokens.insert(start.token.clone());
            let noted = firing.tasks.iter().any(|task| task.task_id == start.task);
            assert!(noted || firing.state == FiringState::Unknown, "task {} is in no record", start.task);
        }
        for (id, firing) in &firings {
            let count = started.get(id).copied().unwrap_or(0);
            assert!(count <= firing.requested, "firing {id} started {count} of {}", firing.requested);
            assert!(
                !matches!(firing.state, FiringState::Planned | FiringState::Launching),
                "{id} is still open"
            );
            if firing.state != FiringState::Unknown {
                assert_eq!(count, firing.started(), "firing {id}");
            }
        }
        started.len()
    }
}

async fn a_year(seed: u64, jobs: usize) -> String {
    let mut year = Year::begin(seed, jobs).await;
    year.pass("2027-01-01T00:00:00Z".parse().unwrap()).await;
    let audit = match year.world.audit(&|stored| year.schedule(stored)).await {
        Ok(audit) => audit,
        Err(problem) => panic!("seed {seed}: {problem}"),
    };
    let launched = year.check_starts().await;
    format!("seed {seed}: {audit:?}, {launched} firings launched, {} lives", year.lives)
}

#[tokio::test(start_paused = true)]
async fn year_of_a_thousand_jobs_with_crashes_and_faults_keeps_every_promise() {
    println!("{}", a_year(1, 1_000).await);
}

/// Runs a year and returns the content of the journal.
async fn history(seed: u64) -> String {
    let mut year = Year::begin(seed, 40).await;
    year.pass("2027-01-01T00:00:00Z".parse().unwrap()).await;
    format!("{:#?}\n{:#?}", year.world.decisions().await, year.world.firings().await)
}

#[test]
fn same_seed_gives_the_same_history() {
    let histories = [9, 9].map(|seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(history(seed))
    });
    let [one, other] = histories.each_ref().map(|history| history.lines());
    let differs = one.zip(other).position(|(one, other)| one != other);
    assert!(histories[0].len() > 10_000, "something happened in that year");
    assert_eq!(differs, None, "the first line that differs");
    assert_eq!(histories[0].len(), histories[1].len());
}

#[tokio::test(start_paused = true)]
async fn six_years_of_forty_jobs_with_crashes_and_faults_keep_every_promise() {
    for seed in 2..8 {
        println!("{}", a_year(seed, 40).await);
    }
}
