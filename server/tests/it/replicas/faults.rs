//! Real processes on a real store: up to fifty jobs fire every second while replicas are killed, frozen, cut off from the
//! store and slowed down. Each tick fires once, each firing starts its task once, and the jobs
//! of the one that was struck are fired again within ten seconds.
//!
//! The oracle is the fake of AWS, in the test's own process: it remembers every task that it started, and when.
//! `make crash-replicas` does it at length.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::store::Shard;
use ecs_scheduler_core::{Clock, JobId, SystemClock, Timestamp};
use ecs_scheduler_fake_aws::{FaultRule, InjectedFault, Service, TaskLifecycle};
use ecs_scheduler_test_support::ProxyMode;
use ecs_scheduler_testing::SimRng;
use futures::future::join3;
use jiff::SignedDuration;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::account::Account;
use super::fleet::{ReplicaProcess, SharedDb, sleep_for, until_seen, until_shared};
use crate::aws::cloud::{Cloud, Kind};
use crate::aws::stage::Stage;
use crate::crash::hand_firings::{HandFirings, next_second};
use crate::crash::moving_edits::MovingEdits;

/// Asks for another number of faults than one of each kind, and for others: `make crash-replicas` sets it.
const FAULTS_VARIABLE: &str = "ECSS_REPLICA_FAULTS";
const SEED_VARIABLE: &str = "ECSS_REPLICA_SEED";
const SEED: u64 = 20_270_303;
/// How many jobs fire every second.
const JOBS: usize = 50;
/// How many do in the short form on the fake of DynamoDB: with fifty, the schedulers and the fake need all of two cores.
const JOBS_IN_SHORT: usize = 20;
/// How many do on an emulator of DynamoDB: it is written in Python, and does not get through more of them.
const JOBS_ON_EMULATOR: usize = 5;
/// In how long the jobs of a replica that falls are fired by another.
const TAKEOVER_BOUND: Duration = Duration::from_secs(10);
/// In how long they are fired while nothing falls, but the store is slow: three calls one after the other, each of which
/// may have to wait for one before it.
const SLOW_STORE_BOUND: Duration = Duration::from_secs(20);
/// By how much the store is slow, and for how long: longer than a lease.
const STORE_DELAY: Duration = Duration::from_secs(2);
const STORE_DELAY_TIME: Duration = Duration::from_secs(6);
/// How far decisions are behind the clock when nothing is to be made up for.
const MAX_LAG: SignedDuration = SignedDuration::from_secs(3);
/// How many reads of ECS fail with each fault: some jobs see it once, some several times, and none for as long as a replica
/// may take to return.
const FAILED_READS: u64 = 6;
/// How many jobs are edited with each fault without moving their ticks.
const EDITED: usize = 3;
/// The job whose ticks are moved by an edit with each fault, and which is fired by hand then. It fires each missed tick.
const MOVED: usize = 0;
/// The job that replaces its task every second; the task takes some seconds to stop. It never has more than one.
pub(super) const REPLACING: &str = "replacing";
const STOPPING: SignedDuration = SignedDuration::from_secs(3);
/// How long a task of that job runs that nobody replaces.
const REPLACED_RUN: SignedDuration = SignedDuration::from_secs(15);
/// After how many faults the number of replicas changes between two and three.
const FAULTS_PER_RESIZE: usize = 6;

/// A fault of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Killed,
    /// For longer than its lease; then it wakes.
    Frozen,
    /// Its traffic in both directions arrives after others have its jobs.
    HeldUp,
    /// The store is slow for everybody.
    SlowStore,
    /// Its connections break, and it gets no others.
    CutOff,
    /// The store is slow for this one only.
    SlowWay,
}

impl Fault {
    /// In how long the jobs of the one that is struck are fired again.
    const fn bound(self, db: &SharedDb) -> Duration {
        match self {
            Self::Killed | Self::Frozen | Self::HeldUp | Self::CutOff if !db.is_slow() => TAKEOVER_BOUND,
            Self::Killed | Self::Frozen | Self::HeldUp | Self::CutOff | Self::SlowStore | Self::SlowWay => {
                SLOW_STORE_BOUND
            }
        }
    }
}

/// One of each kind that differs most.
const SHORT_RUN: [Fault; 4] = [Fault::Killed, Fault::Frozen, Fault::HeldUp, Fault::SlowStore];
const LONG_RUN: [Fault; 6] =
    [Fault::Killed, Fault::Frozen, Fault::CutOff, Fault::SlowStore, Fault::HeldUp, Fault::SlowWay];

/// A fault, its time and the affected jobs.
struct FaultEvent {
    fault: Fault,
    at: Timestamp,
    jobs: Vec<JobId>,
}

#[expect(clippy::disallowed_methods, reason = "the length of a test is no setting of the product")]
fn setting(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("the variable is a number"))
}

fn job_name(number: usize) -> String {
    format!("job-{number}")
}

/// Returns the last tick that a decision is about.
fn last_tick(decision: &Value) -> Timestamp {
    decision["nominal"].as_str().unwrap().parse().unwrap()
}

/// The stage on which all of it happens.
struct FaultRun<'a> {
    stage: &'a Stage<'a>,
    db: SharedDb,
    jobs: usize,
    replicas: Vec<ReplicaProcess>,
    events: Vec<FaultEvent>,
    edits: MovingEdits,
    by_hand: HandFirings,
}

impl FaultRun<'_> {
    async fn join(&mut self, number: usize) {
        self.replicas.push(ReplicaProcess::start(self.stage.cloud, &self.stage.name, &self.db, number).await);
    }

    /// Registers a task definition.
    async fn define(&self, name: &str) -> String {
        let containers = json!([{"name": "main", "image": "busybox", "memory": 64, "essential": true}]);
        let family = self.stage.family(name);
        let definition = json!({"family": family, "containerDefinitions": containers});
        self.stage.cloud.ecs("RegisterTaskDefinition", definition).await;
        family
    }

    /// Creates jobs that fire every second.
    async fn create_jobs(&self) {
        let family = self.define("short").await;
        let mut job = json!({
            "taskDefinition": family, "schedule": "*", "launch": {"launchType": "EC2"},
            "overlap": "allow", "maxCount": 900,
        });
        for number in 0..self.jobs {
            let mut job = job.clone();
            // Every other job fires each missed tick, the others fire one for all.
            if number.is_multiple_of(2) {
                job["catchUp"] = json!({"policy": "all", "max": 900});
            }
            self.replicas[number % self.replicas.len()].scheduler.create(&job_name(number), &job).await;
        }
        let family = self.define("slow").await;
        self.stage.cloud.fake().configure(|settings| {
            let life =
                TaskLifecycle { stopping: STOPPING, run: Some(REPLACED_RUN), ..settings.ecs.life.clone() };
            settings.ecs.definition_lives.insert(family.clone(), life);
        });
        let replaces = json!({"taskDefinition": family, "overlap": "replace", "maxCount": 1});
        job.as_object_mut().unwrap().extend(replaces.as_object().unwrap().clone());
        self.replicas[0].scheduler.create(REPLACING, &job).await;
    }

    /// Edits jobs through a replica that may not own them, and while nobody may own them. The edit of one moves its ticks.
    async fn edit_some(&self, first: usize) {
        let others = (first..first + EDITED).map(|number| number % self.jobs).filter(|job| *job != MOVED);
        let others: Vec<String> = others.map(job_name).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let scheduler = &self.replicas[0].scheduler;
        scheduler.edit_without_moving(&others, self.events.len()).await;
        let store = self.db.open().await;
        self.edits.edit(scheduler, &job_name(MOVED), async || Arc::clone(&store)).await;
    }

    /// Fires a job by hand at the next tick, through a replica that may not own it, and while nobody may own it.
    async fn fire_at_tick(&self) {
        let scheduler = &self.replicas[0].scheduler;
        self.by_hand.repeat(scheduler).await;
        self.by_hand.order_at(next_second(), scheduler, &[job_name(MOVED).as_str()]).await;
    }

    /// Lets a fault happen to a replica until the others have its jobs, and heals it. Meanwhile reads of ECS fail, and
    /// jobs are edited.
    async fn inject_fault(&mut self, victim: usize, fault: Fault, rng: &mut SimRng) {
        let victim = self.replicas.remove(victim);
        let shards = self.replicas[0].shares().await.remove(&victim.name).unwrap_or_default();
        // An edit may leave the other one without a tick for a while.
        let names =
            (0..self.jobs).filter(|job| *job != MOVED).map(|number| JobId::new(&job_name(number)).unwrap());
        let jobs = names.filter(|job| shards.contains(&Shard::from_job(job))).collect();
        self.events.push(FaultEvent { fault, at: SystemClock.now(), jobs });
        let unreadable =
            FaultRule::once(Service::Ecs, "ListTasks", InjectedFault::ServerError { status: 503 });
        self.stage.cloud.fake().faults().add(unreadable.times(1 + rng.below(FAILED_READS)));
        let others = &self.replicas;
        let edited = usize::try_from(rng.below(self.jobs as u64)).unwrap();
        let taken_over =
            async || join3(until_shared(others), self.edit_some(edited), self.fire_at_tick()).await;
        let healed = match fault {
            Fault::Killed => victim.kill_until(taken_over()).await.0,
            Fault::Frozen => {
                victim.scheduler.signal(Signal::STOP);
                taken_over().await;
                victim.scheduler.signal(Signal::CONT);
                victim
            }
            Fault::HeldUp | Fault::CutOff => {
                victim.proxy.set(if fault == Fault::CutOff { ProxyMode::Cut } else { ProxyMode::Held });
                taken_over().await;
                victim.until_ready(false).await;
                victim.proxy.set(ProxyMode::Open);
                victim
            }
            Fault::SlowStore => {
                for replica in others.iter().chain([&victim]) {
                    replica.proxy.set(ProxyMode::Delayed(STORE_DELAY));
                }
                sleep_for(STORE_DELAY_TIME).await;
                for replica in others.iter().chain([&victim]) {
                    replica.proxy.set(ProxyMode::Open);
                }
                victim
            }
            Fault::SlowWay => {
                victim.proxy.set(ProxyMode::Delayed(STORE_DELAY));
                sleep_for(STORE_DELAY_TIME).await;
                victim.proxy.set(ProxyMode::Open);
                victim
            }
        };
        self.replicas.push(healed);
        until_shared(&self.replicas).await;
        for replica in &self.replicas {
            replica.until_ready(true).await;
        }
    }

    /// Waits until everything that was missed is made up for.
    async fn until_prompt(&self) {
        let scheduler = &self.replicas[0].scheduler;
        let newest = format!("/decisions?limit={}", (self.jobs + 1) * 4);
        until_seen("what was missed is made up for", async || {
            let recently = SystemClock.now() - MAX_LAG;
            let newest = scheduler.list(&newest, "decisions").await;
            let recent = newest.iter().filter(|row| last_tick(row) >= recently);
            let jobs: BTreeSet<&str> = recent.map(|row| row["job"].as_str().unwrap()).collect();
            jobs.len() == self.jobs + 1
                && scheduler.list("/firings?state=planned", "firings").await.len() <= self.jobs + 1
        })
        .await;
    }

    /// Suspends every job, and waits until all that was due before has come to its end.
    async fn quiesce(&self) {
        let scheduler = &self.replicas[0].scheduler;
        let names: Vec<String> = (0..self.jobs).map(job_name).chain([REPLACING.to_owned()]).collect();
        for name in &names {
            let path = format!("/jobs/{name}/suspend");
            scheduler.post(&path, &json!({"reason": "end of the test"})).await;
        }
        let suspended = format!("/decisions?outcome=suspended&limit={}", names.len());
        until_seen("a tick of each job is seen as suspended", async || {
            scheduler.list(&suspended, "decisions").await.len() == names.len()
        })
        .await;
        for state in ["planned", "launching", "launched"] {
            until_seen("all firings end", async || {
                scheduler.list(&format!("/firings?state={state}&limit=1"), "firings").await.is_empty()
            })
            .await;
        }
    }

    /// Strikes so often. Where there are many faults, a third replica comes and goes.
    async fn inject_faults(&mut self, count: usize, rng: &mut SimRng) {
        let kinds: &[Fault] = if count > SHORT_RUN.len() { &LONG_RUN } else { &SHORT_RUN };
        for number in 0..count {
            if number > 0 && number.is_multiple_of(FAULTS_PER_RESIZE) {
                if self.replicas.len() == 2 {
                    self.join(2 + number).await;
                } else {
                    let leaving = self.replicas.remove(0);
                    assert!(leaving.scheduler.terminate().await.0.success());
                }
                until_shared(&self.replicas).await;
            }
            let victim = usize::try_from(rng.below(self.replicas.len() as u64)).unwrap();
            // At any moment between two beats of a replica's heart.
            sleep_for(Duration::from_millis(rng.below(1_500))).await;
            let fault = kinds[number % kinds.len()];
            println!("{fault:?}, of {} replicas {}", self.replicas.len(), self.replicas[victim].name);
            self.inject_fault(victim, fault, rng).await;
            self.until_prompt().await;
        }
    }

    /// Waits until everything that was due is done, and checks it.
    async fn finish(self) {
        self.fire_at_tick().await;
        self.by_hand.finish(&self.replicas[0].scheduler).await;
        self.quiesce().await;
        for replica in self.replicas {
            let (status, _) = replica.scheduler.terminate().await;
            assert!(status.success());
        }
        let (store, fake) = (self.db.open().await, self.stage.cloud.fake());
        let account = Account::audit(store, &self.edits, &self.by_hand, fake).await;
        let owner = self.stage.started_by(REPLACING);
        let replacements =
            fake.launches().iter().filter(|launch| launch.started_by.as_ref() == Some(&owner)).count();
        assert!(replacements > 1, "{replacements} tasks of {REPLACING}");
        assert_eq!(fake.max_concurrent(&owner), 1, "{replacements} tasks of {REPLACING}");
        let mut took: Vec<(Duration, &FaultEvent)> =
            self.events.iter().map(|event| (account.served_after(event.at, &event.jobs), event)).collect();
        took.sort_by_key(|(took, _)| *took);
        for (took, event) in &took {
            println!("{:?}: its {} jobs were all fired after {took:.1?}", event.fault, event.jobs.len());
        }
        println!(
            "{} faults, {} ticks, {} firings, {replacements} replacements: 0 lost, 0 doubled",
            self.events.len(),
            account.ticks,
            account.firings()
        );
        for (took, event) in &took {
            assert!(*took <= event.fault.bound(&self.db), "{:?}: after {took:?}", event.fault);
        }
    }
}

/// Returns how many faults there are to be.
fn many() -> usize {
    setting(FAULTS_VARIABLE).map_or(SHORT_RUN.len(), |count| usize::try_from(count).unwrap())
}

async fn run_with_faults(db: SharedDb, jobs: usize, count: usize) {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "sharing").await;
    cloud.fake().configure(|settings| {
        let life = &mut settings.ecs.life;
        life.provisioning = SignedDuration::from_millis(50);
        life.pending = SignedDuration::from_millis(50);
        life.run = Some(SignedDuration::from_millis(400));
    });
    let seed = setting(SEED_VARIABLE).unwrap_or(SEED);
    let mut trial = FaultRun {
        stage: &stage,
        db,
        jobs,
        replicas: Vec::new(),
        events: Vec::new(),
        edits: MovingEdits::default(),
        by_hand: HandFirings::default(),
    };
    let began = Instant::now();
    trial.join(0).await;
    trial.join(1).await;
    trial.create_jobs().await;
    until_shared(&trial.replicas).await;
    trial.inject_faults(count, &mut SimRng::new(seed)).await;
    trial.finish().await;
    println!("seed {seed}, {} s", began.elapsed().as_secs());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_replicas_on_postgresql_fire_each_tick_once() {
    run_with_faults(SharedDb::postgresql(), JOBS, many()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_replicas_on_dynamodb_fire_each_tick_once() {
    let jobs = if setting(FAULTS_VARIABLE).is_some() { JOBS } else { JOBS_IN_SHORT };
    run_with_faults(SharedDb::dynamodb(Kind::Fake).await, jobs, many()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_replicas_on_a_dynamodb_emulator_fire_each_tick_once() {
    run_with_faults(SharedDb::dynamodb(Kind::Ministack).await, JOBS_ON_EMULATOR, SHORT_RUN.len()).await;
}
