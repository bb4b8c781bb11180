//! Firings of ten thousand tasks, which are larger than an item may be.

use ecs_scheduler_core::{
    Advance, Answer, Attempt, Clock as _, DecisionId, DecisionQuery, Firing, FiringQuery, FiringState,
    ImportBatch, JobStore as _, Journal as _, JournalEntry, LaunchReport, LaunchToken, PrunedJobs, Retention,
    Settled, Settlement, StartedTask, Store as _, StoreMaintenance as _, SystemClock, TaskId, TaskPhase,
    TaskState, TickOutcome, Timestamp,
};
use jiff::SignedDuration;
use uuid::Uuid;

use crate::emulator::EmulatorKind;
use crate::help::{TestTables, at, draft, firing, new_job, settlement};

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
    let job = store.create(new_job("nightly", "{}")).await.unwrap();
    let mut planned = firing(&job, 1);
    let settlement = Settlement {
        firing: Some(planned.clone()),
        ..settlement(&job, vec![draft(TickOutcome::Pending, 1)])
    };
    let settled = store.settle(vec![settlement]).await.unwrap();
    let [Settled::Recorded(ids)] = &settled[..] else { panic!("{settled:?}") };
    planned.decision = DecisionId(ids[0].0);
    let mut large = launch(&planned);
    for (bytes, parts) in [(3_000_000, true), (1_000_000, true), (0, false)] {
        large.note = Some(crate::help::random_text(bytes));
        if bytes == 0 {
            (large.tasks, large.attempts) = (Vec::new(), Vec::new());
        }
        let from = if bytes == 3_000_000 { FiringState::Planned } else { FiringState::Launching };
        store.advance(Advance { from, to: large.clone(), outcome: None }).await.unwrap();
        assert!(store.open_firings().await.unwrap() == [large.clone()], "{bytes}");
        assert_eq!(tables.count_items("part#").await > 0, parts, "{bytes}");
    }
}
