//! The property of edits: whatever is killed, edited and unreadable around a tick, every tick of a job gets one outcome, in time.
//!
//! It runs on every store. Virtual time stands still during each call, so that a store may work on its own threads, or in another process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::clock::Clock as _;
use ecs_scheduler_core::decide::{DecisionRecord, TickOutcome};
use ecs_scheduler_core::engine::{EngineOptions, FireRequest};
use ecs_scheduler_core::job::JobId;
use ecs_scheduler_core::registry::TriggerRegistry;
use ecs_scheduler_core::schedule::{Schedule, ScheduleSpec};
use ecs_scheduler_core::store::Store;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    ChaosLauncher, ChaosPlan, NetworkLink, RemoteStore, Schedulers, SimClock, SimRng, Simulation, StoreFaults,
};

/// When each life begins: 2026-01-01T00:00:30.5Z.
pub const BEGIN: Timestamp = Timestamp::constant(1_767_225_630, 500_000_000);
/// The schedules of the job. None of them is moved by another zone.
const SCHEDULES: [&str; 5] = ["0", "30", "0 */2", "15 */3", "cron(*/2 * * * ? *)"];
/// How many things happen in a life.
const STEPS: usize = 60;

/// Plays one life of a job on an empty store, by a seed: kills, stops, starts, edits of several kinds, firings by hand at a tick and
/// passing faults, at random moments. `shared` plays it with two replicas. Needs a runtime whose time is paused.
///
/// # Panics
///
/// Panics with the story when a tick has no outcome or two, or was decided late without a reason, and when `shared` is set and the
/// store cannot be shared.
pub async fn check_life_of_edits(store: Arc<dyn Store>, shared: bool, seed: u64) {
    let mut life = Life::new(store, shared, seed).await;
    for step in 0..STEPS {
        life.step(step).await;
    }
    life.end().await;
}

/// Times in which nothing kept ticks from being decided.
#[derive(Debug, Default)]
struct QuietTimes {
    since: Option<Timestamp>,
    past: Vec<(Timestamp, Timestamp)>,
}

impl QuietTimes {
    /// How late a tick may be decided in such a time: its jitter, and a moment.
    const LATE: SignedDuration = SignedDuration::from_secs(22);

    fn end(&mut self, now: Timestamp) {
        self.past.extend(self.since.take().filter(|since| *since < now).map(|since| (since, now)));
    }

    fn begin(&mut self, at: Timestamp) {
        self.since.get_or_insert(at);
    }

    /// Tells whether a tick and the time in which it should be decided were quiet.
    fn holds(&self, tick: Timestamp) -> bool {
        self.past.iter().any(|(from, until)| *from < tick && tick + Self::LATE <= *until)
    }
}

/// A job and its schedulers.
struct Life {
    seed: u64,
    shared: bool,
    rng: SimRng,
    world: Simulation,
    launcher: Arc<ChaosLauncher>,
    schedulers: Schedulers,
    job: JobId,
    document: Value,
    /// When each schedule began to count.
    versions: Vec<(Timestamp, String)>,
    quiet: QuietTimes,
    /// Whether the schedulers know the newest edit.
    edit_is_known: bool,
    /// Whether the launcher cannot be read now.
    fails: bool,
    story: String,
}

impl Life {
    async fn new(store: Arc<dyn Store>, shared: bool, seed: u64) -> Self {
        let clock = Arc::new(SimClock::at(BEGIN));
        let launcher = Arc::new(ChaosLauncher::new(Arc::clone(&clock) as _, seed));
        let link = NetworkLink::holding_time();
        let mut schedulers = Schedulers::Alone(None);
        let store = if shared {
            let store = store.shared().expect("the store can be shared");
            let store = Arc::new(RemoteStore::new(store, link));
            schedulers = Schedulers::replicas(Arc::clone(&store) as _);
            store
        } else {
            Arc::new(RemoteStore::of_one_process(store, link))
        };
        let world = Simulation {
            clock,
            store,
            launcher: Arc::clone(&launcher) as _,
            registry: Arc::new(TriggerRegistry::new()),
            options: EngineOptions::default(),
        };
        let document =
            json!({"taskDefinition": "job", "schedule": SCHEDULES[0], "overlap": "allow", "maxCount": 50});
        world.create("job", &document).await.expect("the store is empty");
        let mut life = Self {
            seed,
            shared,
            rng: SimRng::new(seed),
            versions: vec![(world.clock.now(), SCHEDULES[0].to_owned())],
            world,
            launcher,
            schedulers,
            job: JobId::new("job").expect("it is a name"),
            document,
            quiet: QuietTimes::default(),
            edit_is_known: true,
            fails: false,
            story: String::new(),
        };
        life.set_fault(false);
        life
    }

    fn set_fault(&mut self, fails: bool) {
        self.fails = fails;
        let fail_reads = if fails { 1.0 } else { 0.0 };
        self.launcher.faults(ChaosPlan { fail_reads, run: Duration::from_secs(5), ..ChaosPlan::default() });
    }

    /// Returns how long after a start or a crash the job may have no owner.
    fn hand_over(&self) -> SignedDuration {
        SignedDuration::from_secs(if self.shared { 30 } else { 0 })
    }

    async fn step(&mut self, step: usize) {
        let wait = SignedDuration::from_millis(i64::try_from(self.rng.below(40_000)).expect("it is small"));
        let mut until = self.world.clock.now() + wait;
        let action = self.rng.below(8);
        if action == 7 {
            let (_, schedule) = self.versions.last().expect("there is a first version");
            until = parse(schedule).next_after(until).expect("it fires again");
        }
        self.world.clock.sleep_until(until).await;
        self.story.push_str(&format!("{until} "));
        let running = self.schedulers.running();
        match action {
            0 | 1 => self.end_one(until).await,
            2 | 3 => {
                self.schedulers.start(&self.world, StoreFaults::default(), 0).await;
                self.edit_is_known = true;
                self.story.push_str("start\n");
            }
            4 => self.edit_without_moving(step).await,
            5 => self.edit_schedule().await,
            6 => {
                self.set_fault(!self.fails);
                self.story.push_str("fault\n");
            }
            _ => {
                self.schedulers.fire(&self.job, FireRequest::default()).await;
                self.story.push_str("fire\n");
            }
        }
        let is_announced = self.rng.chance(0.8) || self.shared;
        self.edit_is_known |= is_announced && self.schedulers.nudge(&self.job);
        let now = self.world.clock.now();
        let changed = self.schedulers.running() != running;
        if changed || self.fails || !self.edit_is_known {
            self.quiet.end(now);
        }
        if self.schedulers.running() > 0 && !self.fails && self.edit_is_known {
            self.quiet.begin(now + self.hand_over());
        }
    }

    /// Kills or stops a scheduler, if one runs.
    async fn end_one(&mut self, now: Timestamp) {
        let running = self.schedulers.running() as u64;
        let victim = usize::try_from(self.rng.below(running)).expect("there are two at most");
        self.quiet.end(now);
        if self.rng.chance(0.7) {
            self.schedulers.crash(victim).await;
            self.story.push_str("crash\n");
        } else {
            self.schedulers.stop_one(victim, Duration::from_secs(10)).await;
            self.story.push_str("stop\n");
        }
    }

    /// Makes an edit that moves no tick: the zones differ by whole hours, and a suspended job has ticks as well.
    async fn edit_without_moving(&mut self, step: usize) {
        let (field, value) = match self.rng.below(4) {
            0 => ("suspended", json!(self.document["suspended"] != true)),
            1 => ("timezone", json!(self.rng.pick(&["UTC", "Asia/Tokyo", "America/New_York"]))),
            2 => ("taskDefinition", json!(self.rng.pick(&["job", "other"]))),
            _ => ("description", json!(format!("step {step}"))),
        };
        self.document[field] = value;
        self.edit(field).await;
    }

    async fn edit_schedule(&mut self) {
        let schedule = *self.rng.pick(&SCHEDULES);
        self.document["schedule"] = json!(schedule);
        if self.rng.chance(0.3) {
            self.document["jitter"] = json!("20s");
        } else if let Some(document) = self.document.as_object_mut() {
            document.remove("jitter");
        }
        self.edit(schedule).await;
        self.versions.push((self.world.clock.now(), schedule.to_owned()));
    }

    async fn edit(&mut self, what: &str) {
        self.world.edit("job", &self.document).await.expect("nothing else edits the job");
        self.edit_is_known = false;
        self.story.push_str(what);
        self.story.push('\n');
    }

    /// Ends the faults, lets every tick be decided, and compares the ticks with their outcomes.
    async fn end(mut self) {
        self.set_fault(false);
        self.schedulers.start(&self.world, StoreFaults::default(), 0).await;
        self.schedulers.nudge(&self.job);
        let now = self.world.clock.now();
        self.quiet.end(now);
        self.quiet.begin(now + self.hand_over());
        let end = now + SignedDuration::from_mins(20);
        self.world.clock.sleep_until(end).await;
        self.quiet.end(end);
        let stopped = std::mem::replace(&mut self.schedulers, Schedulers::Alone(None));
        assert!(stopped.stop(Duration::from_secs(60)).await, "seed {}: it stops in time", self.seed);
        let expected = self.expected_ticks().await;
        let mut recorded: BTreeMap<Timestamp, u32> = BTreeMap::new();
        let decisions = self.world.decisions().await;
        for decision in decisions.iter().filter(|decision| decision.draft.span.count > 0) {
            for tick in self.check_decision(decision, &expected) {
                *recorded.entry(tick).or_insert(0) += 1;
            }
        }
        assert_eq!(expected, recorded, "seed {}\n{}", self.seed, self.story);
    }

    /// Returns the ticks of all versions up to the settled one, each once.
    async fn expected_ticks(&self) -> BTreeMap<Timestamp, u32> {
        let stored = self.world.store.get(std::slice::from_ref(&self.job)).await;
        let stored = stored.expect("the store can be read").pop().expect("the job is there");
        let settled = stored.progress.settled.expect("ticks were settled");
        let mut expected = BTreeMap::new();
        for (index, (from, schedule)) in self.versions.iter().enumerate() {
            let until = self.versions.get(index + 1).map_or(settled, |next| next.0).min(settled);
            expected.extend(
                parse(schedule).upcoming(*from).take_while(|tick| *tick <= until).map(|tick| (tick, 1)),
            );
        }
        expected
    }

    /// Checks that a decision was made in time, and returns its ticks.
    fn check_decision(
        &self,
        decision: &DecisionRecord,
        expected: &BTreeMap<Timestamp, u32>,
    ) -> Vec<Timestamp> {
        let Self { seed, story, .. } = self;
        let span = decision.draft.span;
        // Equal outcomes share a row, which was observed at the newest tick.
        let folds = decision.draft.outcome == TickOutcome::Suspended;
        let tick = if folds { span.last } else { span.first };
        let late = decision.draft.observed.duration_since(tick);
        let in_time = late <= QuietTimes::LATE || !self.quiet.holds(tick);
        assert!(in_time, "seed {seed}: {late:#} late: {decision:#?}\n{story}");
        let inside: Vec<Timestamp> = expected.range(span.first..=span.last).map(|(tick, _)| *tick).collect();
        assert_eq!(inside.len() as u64, span.count, "seed {seed}: {span:?} {inside:?}\n{story}");
        inside
    }
}

fn parse(schedule: &str) -> Schedule {
    Schedule::parse(&ScheduleSpec::written(&[schedule.to_owned()])).expect("the schedule is valid")
}
