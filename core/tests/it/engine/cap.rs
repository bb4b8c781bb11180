//! A job never has more than `maxCount` tasks, every tick has one outcome, failed tasks start again once, and no notification is lost, for
//! every combination of policies, slow stops and any events in between.

mod policies;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::job::JobContext;
use ecs_scheduler_core::schedule::{Schedule, Strictness};
use ecs_scheduler_core::{
    Answer, Attempt, Clock, EngineOptions, Firing, FiringState, JobId, Launcher, MemoryStore, Notifier,
    Origin, SharedStore, Store, StoredJob, TickOutcome, Timestamp, TriggerRegistry,
};
use ecs_scheduler_testing::{ChaosLauncher, ChaosPlan, Fate, Schedulers, SimClock, Simulation, StoreFaults};
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::notify::{DeliveryFault, Recorder};
use super::support::asking_for;

/// How long the engines run.
const LENGTH: i64 = 600;
/// How often a task is asked to stop within that time at most, by one engine: at once, and after 1, 3 and 7 minutes.
const ASKED: usize = 4;

/// An event in the life of the job.
#[derive(Debug, Clone)]
enum Event {
    Fire {
        tasks: Option<u32>,
    },
    Crash {
        away: i64,
    },
    Stop {
        away: i64,
    },
    Lower {
        cap: u32,
    },
    /// From now on, tasks end as this says.
    Tasks {
        fate: Fate,
    },
    /// From now on, deliveries of notifications fail so.
    Channel {
        fault: Option<DeliveryFault>,
    },
}

#[derive(Debug, Clone)]
struct Story {
    overlap: &'static str,
    every: i64,
    count: u32,
    cap: u32,
    catch_up: &'static str,
    /// How often failed tasks start again.
    retries: u32,
    /// How many start failures open the breaker, if there is one.
    breaker: Option<u32>,
    /// Whether a channel gets notifications.
    notify: bool,
    /// Whether there are two replicas. Then a crash or a stop is that of one of them.
    shared: bool,
    plan: ChaosPlan,
    store: StoreFaults,
    seed: u64,
    /// By the second at which each happens.
    events: Vec<(i64, Event)>,
}

fn seconds(choices: &'static [u64]) -> impl Strategy<Value = Duration> {
    prop::sample::select(choices).prop_map(Duration::from_secs)
}

fn plans() -> impl Strategy<Value = ChaosPlan> {
    let rare = || prop::sample::select(&[0.0, 0.2][..]);
    let times = (
        seconds(&[0, 5, 30, 75, 150, 900]),
        seconds(&[3, 20, 90, 7_200]),
        seconds(&[0, 40]),
        seconds(&[1, 10]),
        seconds(&[0, 30]),
    );
    (times, rare(), rare(), rare(), rare(), rare()).prop_map(
        |(times, lose, hang, refuse, throttle, blind)| {
            let (stop, run, pending, observe_every, lag) = times;
            ChaosPlan {
                lose_answer: lose,
                hang: hang / 4.0,
                refuse,
                throttle,
                fail_reads: blind,
                delay: Duration::from_millis(200),
                stop,
                run,
                pending,
                observe_every,
                lag,
                ..ChaosPlan::default()
            }
        },
    )
}

fn events() -> impl Strategy<Value = Vec<(i64, Event)>> {
    let event = prop_oneof![
        4 => prop::option::of(1_u32..15).prop_map(|tasks| Event::Fire { tasks }),
        1 => (0_i64..90).prop_map(|away| Event::Crash { away }),
        1 => (0_i64..90).prop_map(|away| Event::Stop { away }),
    ];
    prop::collection::vec((1..LENGTH, event), 0..8)
}

fn stories() -> impl Strategy<Value = Story> {
    let job = (
        prop::sample::select(&["replace", "replace", "topUp", "allow", "skip"][..]),
        prop::sample::select(&[5_i64, 10, 20, 60][..]),
        1_u32..15,
        1_u32..14,
        prop::sample::select(&["latest", "all", "none"][..]),
    );
    let store =
        prop::sample::select(&[0.0, 0.1][..]).prop_map(|share| StoreFaults { before: share, after: share });
    (job, plans(), store, any::<u64>(), events()).prop_map(|(job, plan, store, seed, mut events)| {
        let (overlap, every, count, cap, catch_up) = job;
        events.sort_by_key(|(second, _)| *second);
        let (retries, breaker, notify, shared) = (0, None, false, false);
        Story {
            overlap,
            every,
            count,
            cap,
            catch_up,
            retries,
            breaker,
            notify,
            shared,
            plan,
            store,
            seed,
            events,
        }
    })
}

/// A story in which the cap is lowered, and no call takes effect after the engine has read that.
fn stories_of_lower_caps() -> impl Strategy<Value = Story> {
    (stories(), 1..LENGTH, 1_u32..4).prop_map(|(story, second, cap)| {
        let plan = ChaosPlan {
            lose_answer: 0.0,
            hang: 0.0,
            throttle: 0.0,
            fail_reads: 0.0,
            delay: Duration::ZERO,
            ..story.plan
        };
        let fires = story.events.into_iter().filter(|(_, event)| matches!(event, Event::Fire { .. }));
        let mut events: Vec<_> = fires.chain([(second, Event::Lower { cap })]).collect();
        events.sort_by_key(|(second, _)| *second);
        let cap = story.cap.max(cap);
        Story { plan, events, cap, store: StoreFaults::default(), ..story }
    })
}

/// A story in which many tasks fail, and start again.
fn stories_of_retries() -> impl Strategy<Value = Story> {
    (stories(), 1_u32..4, prop::sample::select(&[0.4, 1.0][..])).prop_map(|(story, retries, exit_badly)| {
        let plan = ChaosPlan { exit_badly, ..story.plan };
        Story { retries, plan, ..story }
    })
}

struct Scene {
    world: Simulation,
    shared: Arc<dyn SharedStore>,
    launcher: Arc<ChaosLauncher>,
    recorder: Arc<Recorder>,
    job: JobId,
    began: Timestamp,
    /// After which moment which cap holds.
    caps: Vec<(Timestamp, u32)>,
    lives: usize,
}

impl Scene {
    async fn set(story: &Story) -> Self {
        // Ticks are on whole seconds, and what happens to the job is half a second later.
        let began: Timestamp = "2026-01-01T10:00:00.5Z".parse().unwrap();
        let clock = Arc::new(SimClock::at(began));
        let launcher = Arc::new(ChaosLauncher::new(Arc::clone(&clock) as Arc<dyn Clock>, story.seed));
        launcher.faults(story.plan.clone());
        let store = Arc::new(MemoryStore::default());
        let recorder = Recorder::new(&clock);
        let notifier = story.notify.then(|| Arc::clone(&recorder) as Arc<dyn Notifier>);
        let world = Simulation {
            clock,
            store: Arc::clone(&store) as Arc<dyn Store>,
            launcher: Arc::clone(&launcher) as Arc<dyn Launcher>,
            registry: Arc::new(TriggerRegistry::new()),
            options: EngineOptions { notifier, ..EngineOptions::default() },
        };
        world.create("job", &document(story, story.cap)).await.unwrap();
        let caps = vec![(Timestamp::MIN, story.cap)];
        let job = JobId::new("job").unwrap();
        Self { world, shared: store, launcher, recorder, job, began, caps, lives: 0 }
    }

    async fn start(&mut self, story: &Story, schedulers: &mut Schedulers) {
        self.lives += 1;
        let seed = story.seed.wrapping_add(self.lives as u64);
        schedulers.start(&self.world, story.store, seed).await;
    }

    async fn until(&self, second: i64) {
        let moment = self.began + SignedDuration::from_secs(second);
        self.world.clock.sleep_until(moment.max(self.world.clock.now())).await;
    }

    async fn play(&mut self, story: &Story) -> Schedulers {
        let mut schedulers = Schedulers::Alone(None);
        if story.shared {
            schedulers = Schedulers::replicas(Arc::clone(&self.shared));
            self.start(story, &mut schedulers).await;
        }
        self.start(story, &mut schedulers).await;
        for (second, event) in &story.events {
            self.until(*second).await;
            let away = match event {
                Event::Crash { away } => {
                    schedulers.crash(0).await;
                    away
                }
                Event::Stop { away } => {
                    schedulers.stop_one(0, Duration::from_secs(30)).await;
                    away
                }
                Event::Fire { .. } | Event::Lower { .. } | Event::Tasks { .. } | Event::Channel { .. } => {
                    self.change(&schedulers, story, event).await;
                    continue;
                }
            };
            self.world.clock.sleep_until(self.world.clock.now() + SignedDuration::from_secs(*away)).await;
            self.start(story, &mut schedulers).await;
        }
        self.until(LENGTH).await;
        schedulers
    }

    async fn change(&mut self, schedulers: &Schedulers, story: &Story, event: &Event) {
        match event {
            Event::Fire { tasks } => {
                schedulers.fire(&self.job, asking_for(tasks.and_then(NonZeroU32::new))).await;
            }
            Event::Lower { cap } => {
                self.world.edit("job", &document(story, *cap)).await.unwrap();
                schedulers.nudge(&self.job);
                self.caps.push((self.world.clock.now(), *cap));
            }
            Event::Tasks { fate } => self.launcher.define("work", *fate),
            Event::Channel { fault } => self.recorder.set_fault("ops", fault.clone()),
            Event::Crash { .. } | Event::Stop { .. } => {
                unreachable!("the engine that it is about is at work")
            }
        }
    }

    /// Checks that no start leaves more tasks alive than the cap that holds then allows. A start at the very moment at which
    /// the cap is lowered may have been before it.
    fn check_cap(&self) {
        let lives = self.launcher.task_lifetimes(&self.job);
        for (at, _) in &lives {
            let alive = lives.iter().filter(|(from, to)| from <= at && at < to).count();
            let cap = self.caps.iter().rev().find(|(since, _)| since < at).unwrap().1;
            assert!(alive <= cap as usize, "{alive} tasks at {at}, with maxCount {cap}");
        }
    }

    fn check_stops(&self) {
        let stops = self.launcher.stops();
        for (task, _) in &stops {
            let asked = stops.iter().filter(|(other, _)| other == task).count();
            assert!(asked <= ASKED * self.lives, "{task} was asked to stop {asked} times");
        }
    }

    /// Checks that the recorded outcomes are as many as there were ticks, and that none is left open behind its firing.
    async fn check_journal(&self) {
        let stored = self.world.store.get(std::slice::from_ref(&self.job)).await.unwrap().remove(0);
        let decisions = self.world.decisions().await;
        let recorded: u64 = decisions.iter().map(|record| record.draft.span.count).sum();
        let ticks = stored.progress.settled.map(|last| self.schedule(&stored).count_in(stored.created, last));
        assert_eq!(Some(recorded), ticks.or(Some(0)), "outcomes and ticks");
        let firings = self.world.firings().await;
        let open = |state| matches!(state, FiringState::Planned | FiringState::Launching);
        let pending = decisions.iter().filter(|record| record.draft.outcome == TickOutcome::Pending);
        assert_eq!(pending.count(), firings.iter().filter(|firing| open(firing.state)).count());
    }

    /// Checks that each firing has one retry at most, whose tasks start once, and that the two know each other.
    async fn check_retries(&self, story: &Story) {
        let firings = self.world.firings().await;
        let by_id: HashMap<_, &Firing> = firings.iter().map(|firing| (&firing.id, firing)).collect();
        let mut retried = HashSet::new();
        for retry in firings.iter().filter(|firing| firing.origin == Origin::Retry) {
            let of = by_id[retry.retry.of.as_ref().expect("a retry names a firing")];
            assert!(retried.insert(&of.id), "{} has two retries", of.id);
            // A crash may come between the record of the retry and the end of the firing.
            let is_known = of.retry.by.as_ref() == Some(&retry.id);
            assert!(is_known || (of.state.is_open() && of.retry.at.is_some()), "{of:#?} {retry:#?}");
            assert_eq!((retry.nominal, retry.retry.number), (of.nominal, of.retry.number + 1), "{retry:#?}");
            assert!(retry.retry.number <= story.retries && retry.requested <= of.started(), "{retry:#?}");
        }
        let failed = |firing: &&Firing| firing.tasks.iter().any(|task| task.exit_code == Some(1));
        let ended = firings.iter().filter(|firing| firing.state == FiringState::Finished).filter(failed);
        for firing in ended.filter(|firing| firing.retry.number < story.retries) {
            let is_decided = firing.retry.by.is_some() || firing.retry.note.is_some();
            assert!(is_decided, "neither a retry nor a reason: {firing:#?}");
        }
        assert!(
            firings.iter().filter_map(|firing| firing.retry.by.as_ref()).all(|by| by_id.contains_key(by))
        );
        let mut started: HashMap<_, u32> = HashMap::new();
        for start in self.launcher.starts() {
            *started.entry(start.firing).or_default() += 1;
        }
        assert!(started.keys().all(|firing| by_id.contains_key(firing)), "started and in no journal");
        for firing in &firings {
            let started = started.get(&firing.id).copied().unwrap_or(0);
            assert!(started <= firing.requested, "{started} tasks: {firing:#?}");
            // Tasks of a call whose answer is lost for good are in no journal.
            let is_lost = |attempt: &Attempt| matches!(attempt.answer, Some(Answer::Lost(_)));
            let is_known = matches!(firing.state, FiringState::Launched | FiringState::Finished)
                && !firing.attempts.iter().any(is_lost);
            assert!(!is_known || firing.started() == started, "{started} tasks: {firing:#?}");
        }
        assert_eq!(self.launcher.duplicate_launches(), []);
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

fn document(story: &Story, cap: u32) -> Value {
    let mut document = json!({
        "taskDefinition": "work", "schedule": format!("rate({} seconds)", story.every),
        "overlap": story.overlap, "taskCount": story.count, "maxCount": cap,
        "catchUp": {"policy": story.catch_up},
    });
    if let Some(failures) = story.breaker {
        document["breaker"] = json!({"failures": failures, "delay": "5s"});
    }
    if story.notify {
        let on = ["failing:1", "failing:3", "recovered", "missed", "suspended", "unknown"];
        document["notify"] = json!([{"to": "ops", "on": on}]);
    }
    if story.retries > 0 {
        let task = json!({"attempts": story.retries, "backoff": "10s"});
        (document["retry"], document["succeedsBy"]) = (json!({"task": task}), json!("main"));
    }
    document
}

/// Plays a story in virtual time and checks the invariants.
fn tell(story: &Story) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let mut scene = Scene::set(story).await;
        let schedulers = scene.play(story).await;
        schedulers.stop(Duration::from_secs(60)).await;
        scene.check(story).await;
    });
}

impl Scene {
    async fn check(&self, story: &Story) {
        self.check_cap();
        self.check_stops();
        self.check_journal().await;
        self.check_retries(story).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_job_never_has_more_tasks_than_its_cap_and_every_tick_has_one_outcome(story in stories()) {
        tell(&story);
    }

    #[test]
    fn a_cap_that_is_lowered_holds_for_firings_that_wait(story in stories_of_lower_caps()) {
        tell(&story);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn failed_tasks_start_again_once_whatever_comes_between(story in stories_of_retries()) {
        tell(&story);
    }
}

proptest! {
    // Replicas call the store all the time, also in virtual time.
    #![proptest_config(ProptestConfig { cases: 2, ..ProptestConfig::default() })]

    #[test]
    fn failed_tasks_start_again_once_whichever_of_two_replicas_falls(story in stories_of_retries()) {
        tell(&Story { shared: true, ..story });
    }
}
