//! Firings of ten thousand tasks, which are larger than an item may be.

use ecs_scheduler_backend_dynamodb::{DynamoDbOptions, DynamoDbStore};
use ecs_scheduler_core::{
    Advance, Answer, Attempt, Clock as _, DecisionId, DecisionQuery, Firing, FiringQuery, FiringState,
    ImportBatch, JobStore as _, Journal as _, JournalEntry, LaunchReport, LaunchToken, PrunedJobs, Retention,
    Settled, Settlement, StartedTask, Store, StoreMaintenance as _, SystemClock, TaskId, TaskPhase,
    TaskState, TickOutcome, Timestamp,
};
use ecs_scheduler_fake_aws::{Fake, FakeOptions, ItemWrites};
use jiff::SignedDuration;
use uuid::Uuid;

use crate::emulator::EmulatorKind;
use crate::help::{TestTables, at, aws, draft, firing, new_job, settlement};

const TASKS: u32 = 10_000;
const PER_CALL: u32 = 10;

fn arn(kind: &str) -> String {
    format!("arn:aws:ecs:eu-central-1:123456789012:{kind}/production/{}", Uuid::new_v4().simple())
}

/// A moment of the task with this number.
fn moment(number: usize, seconds: i64) -> Timestamp {
    at(seconds) + SignedDuration::from_millis(i64::try_from(number).unwrap() * 1_237 % 600_000)
}

/// Adds the calls that start all tasks, with their answers.
fn launch(planned: &Firing) -> Firing {
    let hosts: Vec<String> = (0..100).map(|_| arn("container-instance")).collect();
    let mut to = Firing { state: FiringState::Launching, ..planned.clone() };
    for batch in 0..TASKS / PER_CALL {
        let host = |number: u32| Some(hosts[((batch * 7 + number) % 100) as usize].clone());
        let started: Vec<StartedTask> =
            (0..PER_CALL).map(|number| StartedTask::new(TaskId::new(arn("task")), host(number))).collect();
        let accepted_at = Some(moment(batch as usize, 1));
        to.tasks.extend(started.iter().map(|task| {
            let mut state = TaskState::pending(task.task_id.clone(), task.host_id.clone());
            state.accepted_at = accepted_at;
            state
        }));
        let token = LaunchToken::derive("test", &planned.uid, &planned.id, batch, 1);
        let answer = Some(Answer::Report(LaunchReport::new(started, Vec::new())));
        to.attempts.push(Attempt { batch, number: 1, count: PER_CALL, token, sent_at: at(1), answer });
    }
    to
}

/// Ends all tasks, with everything that ECS tells about them.
fn finish(launched: &Firing) -> Firing {
    let mut to = Firing { state: FiringState::Finished, ..launched.clone() };
    for (number, task) in to.tasks.iter_mut().enumerate() {
        task.phase = TaskPhase::Stopped;
        task.exit_code = Some(0);
        task.stop_code = Some("EssentialContainerExited".to_owned());
        task.reason = Some("Essential container in task exited".to_owned());
        task.availability_zone = Some("eu-central-1a".to_owned());
        let times = [
            &mut task.created_at,
            &mut task.pull_started_at,
            &mut task.pull_stopped_at,
            &mut task.started_at,
            &mut task.stopping_at,
            &mut task.stopped_at,
        ];
        for (second, time) in (2..).zip(times) {
            *time = Some(moment(number * 31, second));
        }
    }
    to
}

/// Moves the firing, and returns it as it is stored.
async fn advance(store: &impl ecs_scheduler_core::Store, from: &Firing, to: Firing) -> Firing {
    let outcome = (to.state == FiringState::Launched).then_some(TickOutcome::Launched);
    store.advance(Advance { from: from.state, to: to.clone(), outcome }).await.unwrap();
    let queries = [
        FiringQuery { id: Some(to.id.clone()), ..FiringQuery::default() },
        FiringQuery { job: Some(to.job.clone()), ..FiringQuery::default() },
    ];
    for query in queries {
        // A comparison of the texts would print megabytes.
        assert!(store.firings(&query).await.unwrap() == [to.clone()], "{query:?}");
    }
    let open = store.open_firings().await.unwrap();
    assert!(open == if to.state.is_open() { vec![to.clone()] } else { Vec::new() });
    to
}

async fn ten_thousand_tasks_are_recorded_and_removed(kind: EmulatorKind) {
    let tables = TestTables::on(kind);
    let store = tables.store().await;
    let job = store.create(new_job("nightly", "{}")).await.unwrap();
    let mut planned = Firing { requested: TASKS, ..firing(&job, 1) };
    planned.replaces = (0..TASKS).map(|_| TaskId::new(arn("task"))).collect();
    let settlement = Settlement {
        firing: Some(planned.clone()),
        ..settlement(&job, vec![draft(TickOutcome::Pending, 1)])
    };
    let settled = store.settle(vec![settlement]).await.unwrap();
    let [Settled::Recorded(ids)] = &settled[..] else { panic!("{settled:?}") };
    planned.decision = DecisionId(ids[0].0);
    let launching = advance(&store, &planned, launch(&planned)).await;
    let launched =
        advance(&store, &launching, Firing { state: FiringState::Launched, ..launching.clone() }).await;
    let run = store.get(std::slice::from_ref(&job.id)).await.unwrap().remove(0).progress;
    assert_eq!((run.last_run, run.last_run_tasks.len() >= 5_000), (Some(at(1)), true));
    let finished = advance(&store, &launched, finish(&launched)).await;
    assert!(tables.count_items("part#").await > 0);
    let read = tables.store().await;
    let by_state = FiringQuery { state: Some(FiringState::Finished), ..FiringQuery::default() };
    assert!(read.firings(&by_state).await.unwrap() == [finished.clone()]);
    // The state without old attempts and times is smaller, and leaves no part behind.
    let parts = tables.count_items("part#").await;
    let small = Firing { tasks: launched.tasks[..10].to_vec(), attempts: Vec::new(), ..finished.clone() };
    let small = Firing { replaces: Vec::new(), ..small };
    store.advance(Advance { from: FiringState::Finished, to: small, outcome: None }).await.unwrap_err();
    assert_eq!(tables.count_items("part#").await, parts, "a refused move changes nothing");
    let record = store.decisions(&DecisionQuery::default()).await.unwrap().remove(0);
    let entry = JournalEntry { record, firing: Some(finished.clone()) };
    store.remove(&job.id, None).await.unwrap();
    let retention =
        Retention { before: at(100), keep: 0, now: SystemClock.now(), batch: 100, jobs: PrunedJobs::All };
    assert_eq!(store.prune(retention).await.unwrap(), 1);
    assert_eq!(tables.count_items("part#").await, 0);
    // Another store's history has such firings, too.
    let other = TestTables::on(kind);
    let store = other.store().await;
    store.import(ImportBatch::History(vec![entry])).await.unwrap();
    let query = FiringQuery { id: Some(finished.id.clone()), ..FiringQuery::default() };
    let imported = store.firings(&query);
    assert!(imported.await.unwrap()[0].tasks == finished.tasks);
}

#[tokio::test]
async fn ten_thousand_tasks_are_recorded_and_removed_on_the_fake() {
    ten_thousand_tasks_are_recorded_and_removed(EmulatorKind::Fake).await;
}

#[tokio::test]
async fn ten_thousand_tasks_are_recorded_and_removed_on_dynoxide() {
    ten_thousand_tasks_are_recorded_and_removed(EmulatorKind::Dynoxide).await;
}

#[tokio::test]
async fn firing_that_becomes_smaller_leaves_no_part_behind() {
    let tables = TestTables::on(EmulatorKind::Fake);
    let store = tables.store().await;
    let mut from = planned_firing(&store).await;
    let large = launch(&from);
    for tasks in [TASKS as usize, TASKS as usize / 5, 0] {
        let to = Firing {
            attempts: large.attempts[..tasks / PER_CALL as usize].to_vec(),
            tasks: large.tasks[..tasks].to_vec(),
            ..large.clone()
        };
        from = advance(&store, &from, to).await;
        assert_eq!(tables.count_items("part#").await, 2 * tasks.div_ceil(250), "{tasks}");
    }
}

/// Stores a job with a planned firing.
async fn planned_firing(store: &impl Store) -> Firing {
    let job = store.create(new_job("nightly", "{}")).await.unwrap();
    let mut planned = Firing { requested: TASKS, ..firing(&job, 1) };
    let settlement = Settlement {
        firing: Some(planned.clone()),
        ..settlement(&job, vec![draft(TickOutcome::Pending, 1)])
    };
    let settled = store.settle(vec![settlement]).await.unwrap();
    let [Settled::Recorded(ids)] = &settled[..] else { panic!("{settled:?}") };
    planned.decision = DecisionId(ids[0].0);
    planned
}

/// A fake that counts the items that are written.
struct CountingTables {
    fake: Fake,
    store: DynamoDbStore,
    counted: ItemWrites,
}

impl CountingTables {
    async fn open() -> Self {
        let fake = Fake::start(FakeOptions::default()).await.unwrap();
        let store = DynamoDbStore::open(&aws(&fake.url()), DynamoDbOptions::new("jobs")).await.unwrap();
        Self { counted: fake.item_writes(), fake, store }
    }

    /// Returns the number of items, bytes and units that were written since the last count.
    fn count(&mut self) -> (usize, usize, f64) {
        let (now, last) = (self.fake.item_writes(), self.counted);
        self.counted = now;
        (now.items - last.items, now.bytes - last.bytes, now.units - last.units)
    }

    /// Moves the firing.
    async fn advance(&self, from: FiringState, to: Firing) {
        self.store.advance(Advance { from, to, outcome: None }).await.unwrap();
    }
}

/// The firing after this number of calls; the next one is sent or not.
fn after_calls(all: &Firing, calls: usize, sent: bool) -> Firing {
    let mut to = all.clone();
    to.attempts.truncate(calls + usize::from(sent));
    to.tasks.truncate(calls * PER_CALL as usize);
    to.attempts.iter_mut().skip(calls).for_each(|attempt| attempt.answer = None);
    to
}

#[tokio::test]
async fn call_writes_as_much_after_a_thousand_calls_as_after_a_hundred() {
    let mut tables = CountingTables::open().await;
    let all = launch(&planned_firing(&tables.store).await);
    let mut from = FiringState::Planned;
    let mut costs = Vec::new();
    for calls in [5, 99, 500, 998] {
        tables.advance(from, after_calls(&all, calls, false)).await;
        from = FiringState::Launching;
        tables.count();
        tables.advance(from, after_calls(&all, calls, true)).await;
        tables.advance(from, after_calls(&all, calls + 1, false)).await;
        costs.push(tables.count());
    }
    println!("items, bytes and units of a call after 5, 99, 500 and 998 calls: {costs:?}");
    for (items, bytes, units) in costs {
        assert!(
            items <= 6 && bytes <= 80_000 && units <= 170.0,
            "{items} items, {bytes} bytes, {units} units"
        );
    }
    // When the launch ends, all tasks are recorded in the job.
    let finished = finish(&all);
    tables.advance(from, Firing { state: FiringState::Launched, ..all.clone() }).await;
    println!("the end of the launch: {:?}", tables.count());
    let job = tables.store.get(std::slice::from_ref(&all.job)).await.unwrap().remove(0);
    assert!(job.progress.last_run_tasks.len() >= 5_000);
    // One task ends, then all of the others.
    let mut one = Firing { state: FiringState::Launched, ..all.clone() };
    one.tasks[5_000] = finished.tasks[5_000].clone();
    tables.advance(FiringState::Launched, one).await;
    let (items, bytes, _) = tables.count();
    assert!(items <= 2 && bytes <= 60_000, "{items} items, {bytes} bytes");
    tables.advance(FiringState::Launched, finished.clone()).await;
    println!("the ends of all tasks: {:?}", tables.count());
    let query = FiringQuery { id: Some(all.id.clone()), ..FiringQuery::default() };
    assert!(tables.store.firings(&query).await.unwrap() == [finished]);
}

#[tokio::test]
async fn launch_of_a_thousand_tasks_writes_little_more_than_they_take() {
    let mut tables = CountingTables::open().await;
    let all = launch(&planned_firing(&tables.store).await);
    let mut from = FiringState::Planned;
    tables.count();
    for calls in 0..100 {
        tables.advance(from, after_calls(&all, calls, true)).await;
        from = FiringState::Launching;
        tables.advance(from, after_calls(&all, calls + 1, false)).await;
    }
    let (items, bytes, units) = tables.count();
    println!("a launch of 1,000 tasks: {items} items, {bytes} bytes, {units} units");
    assert!(bytes < 10_000_000, "{bytes} bytes");
}

#[tokio::test]
async fn firing_in_the_earlier_layout_is_read_and_gets_the_present_one() {
    for tasks in [2_000, TASKS as usize] {
        let tables = TestTables::on(EmulatorKind::Fake);
        let store = tables.store().await;
        let planned = planned_firing(&store).await;
        let launching = after_calls(&launch(&planned), tasks / PER_CALL as usize, false);
        let launching = advance(&store, &planned, launching).await;
        let parts = tables.rewrite_in_earlier_layout(&launching).await;
        assert_eq!(parts > 0, tasks > 2_000, "{parts} parts");
        let query = FiringQuery { id: Some(launching.id.clone()), ..FiringQuery::default() };
        assert!(store.firings(&query).await.unwrap() == [launching.clone()], "{tasks}");
        assert!(store.open_firings().await.unwrap() == [launching.clone()], "{tasks}");
        let launched = Firing { state: FiringState::Launched, ..launching.clone() };
        advance(&store, &launching, launched).await;
        assert_eq!(tables.count_items("part#").await, 2 * tasks.div_ceil(250), "the earlier parts are gone");
    }
}
