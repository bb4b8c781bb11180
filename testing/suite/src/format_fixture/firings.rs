//! The firings of the content: one in each state, with every kind of attempt, answer and task.

use std::sync::Arc;

use serde_json::json;

use super::content::{draft, settle_all, stored};
use super::jobs::adopted_job;
use crate::sample::{self, at};
use ecs_scheduler_core::decide::{DecisionDraft, DecisionId, DecisionRecord, Rule, TickOutcome, TickSpan};
use ecs_scheduler_core::firing::{Answer, Attempt, Firing, FiringId, FiringRetry, FiringState, Origin};
use ecs_scheduler_core::job::StoredJob;
use ecs_scheduler_core::launcher::{LaunchReport, LaunchToken, Refusal, StartedTask};
use ecs_scheduler_core::store::{Advance, FiringQuery, JournalEntry, Settlement, Store};
use ecs_scheduler_core::task::{ContainerEnd, Override, TaskId, TaskPhase, TaskSpec, TaskState};

pub(super) async fn fire_in_each_state(store: &dyn Store) {
    finish(store).await;
    let orders = plan(store, "orders", 110, false).await;
    let retried = vec![attempt(&orders, 1, Some(report(0, Some(refusal(true))))), attempt(&orders, 2, None)];
    advance(store, Firing { state: FiringState::Launching, attempts: retried, ..orders }, None).await;
    launch(store).await;
    lose(store).await;
    end_before_sending(store, "nightly", 150, FiringState::Expired, TickOutcome::LaunchFailed).await;
    end_before_sending(store, "nightly", 160, FiringState::Cancelled, TickOutcome::Coalesced).await;
    plan(store, "nightly", 170, true).await;
    fire_by_hand(store).await;
    let departed = plan(store, "departed", 180, false).await;
    let failed = attempt(&departed, 1, Some(Answer::Failed("the task definition is unknown".to_owned())));
    let sent = send(store, departed, vec![failed]).await;
    let refused = Firing { state: FiringState::Refused, note: Some("given up".to_owned()), ..sent };
    advance(store, refused, Some(TickOutcome::LaunchFailed)).await;
}

/// A firing all of whose tasks have ended, each in another way.
async fn finish(store: &dyn Store) {
    let planned = plan(store, "nightly", 100, false).await;
    let sent = send(store, planned, Vec::new()).await;
    let answered = attempt(&sent, 1, Some(report(3, None)));
    let launched = Firing {
        state: FiringState::Launched,
        attempts: vec![answered],
        tasks: [1, 2, 3].map(|number| pending(&sent, number)).to_vec(),
        ..sent
    };
    let launched = advance(store, launched, Some(TickOutcome::Launched)).await;
    let ends =
        [(Some(0), "EssentialContainerExited"), (Some(137), "UserInitiated"), (None, "TaskFailedToStart")];
    let end = |(task, (exit_code, stop_code)): (TaskState, (Option<i32>, &str))| {
        let mut state = task;
        state.phase = TaskPhase::Stopped;
        state.exit_code = exit_code;
        state.containers = vec![ContainerEnd::new("worker", exit_code), ContainerEnd::new("sidecar", None)];
        state.stop_code = Some(stop_code.to_owned());
        state.reason = Some("Essential container in task exited".to_owned());
        state.started_at = Some(at(130));
        state.stopped_at = Some(at(190));
        state
    };
    let tasks = launched.tasks.iter().cloned().zip(ends).map(end).collect();
    advance(store, Firing { state: FiringState::Finished, tasks, ..launched }, None).await;
}

/// A firing with some of its tasks, of which one runs and one is pending.
async fn launch(store: &dyn Store) {
    let planned = plan(store, "drainer", 130, false).await;
    let sent = send(store, planned, Vec::new()).await;
    let answered = attempt(&sent, 1, Some(report(2, Some(refusal(false)))));
    let mut running = pending(&sent, 1);
    running.phase = TaskPhase::Running;
    running.started_at = Some(at(135));
    let mut pending = pending(&sent, 2);
    pending.host_id = None;
    let tasks = vec![running, pending];
    let launched = Firing { state: FiringState::Launched, attempts: vec![answered], tasks, ..sent };
    advance(store, launched, Some(TickOutcome::Partial)).await;
}

/// A firing whose answer was lost.
async fn lose(store: &dyn Store) {
    let planned = plan(store, "drainer", 140, false).await;
    let sent = send(store, planned, Vec::new()).await;
    let lost = vec![attempt(&sent, 1, Some(Answer::Lost("the connection broke".to_owned())))];
    let unknown = Firing {
        state: FiringState::Unknown,
        attempts: lost,
        note: Some("its token is too old".to_owned()),
        ..sent
    };
    advance(store, unknown, Some(TickOutcome::Unknown)).await;
}

async fn end_before_sending(
    store: &dyn Store,
    id: &str,
    tick: i64,
    state: FiringState,
    outcome: TickOutcome,
) {
    let planned = plan(store, id, tick, false).await;
    advance(store, Firing { state, note: Some("too late".to_owned()), ..planned }, Some(outcome)).await;
}

/// A firing by hand, which belongs to no tick.
async fn fire_by_hand(store: &dyn Store) {
    let job = stored(store, "paused").await;
    let id = FiringId::for_manual(&job.uid, at(175), "key");
    let firing = Firing { id, origin: Origin::Manual, ..firing(&job, 175, false) };
    let record = draft(TickOutcome::Pending, 175, Rule::Floor);
    let record = DecisionDraft { span: TickSpan { count: 0, ..record.span }, launch: 2, ..record };
    let settlement = sample::settlement(&job, vec![record]);
    let settled = settlement.expected_cursor;
    settle_all(store, Settlement { new_cursor: settled, firing: Some(firing.clone()), ..settlement }).await;
    let firing = find(store, &firing.id).await;
    let refused = Firing { state: FiringState::Refused, note: Some("not allowed".to_owned()), ..firing };
    advance(store, refused, Some(TickOutcome::Denied)).await;
}

/// The history of the job that comes from another store: a folded row, and an open firing.
pub(super) fn adopted_history() -> Vec<JournalEntry> {
    let job = adopted_job();
    let fired = firing(&job, -300, false);
    let record = |id: u64, draft, firing| DecisionRecord {
        id: DecisionId(id),
        job: job.id.clone(),
        uid: job.uid,
        draft,
        firing,
    };
    let folded = draft(TickOutcome::Satisfied, -310, Rule::Overlap);
    let folded = DecisionDraft { span: TickSpan { first: at(-350), count: 5, ..folded.span }, ..folded };
    let pending = DecisionDraft { launch: 2, ..draft(TickOutcome::Pending, -300, Rule::Need) };
    vec![
        JournalEntry { record: record(1, folded, None), firing: None },
        JournalEntry { record: record(2, pending, Some(fired.id.clone())), firing: Some(fired) },
    ]
}

/// Settles a tick with a firing; returns the firing as it is stored.
async fn plan(store: &dyn Store, id: &str, tick: i64, replace: bool) -> Firing {
    let job = stored(store, id).await;
    let firing = firing(&job, tick, replace);
    let record = DecisionDraft { launch: 2, ..draft(TickOutcome::Pending, tick, Rule::Need) };
    let settlement = sample::settlement(&job, vec![record]);
    settle_all(store, Settlement { firing: Some(firing.clone()), ..settlement }).await;
    find(store, &firing.id).await
}

async fn find(store: &dyn Store, id: &FiringId) -> Firing {
    let query = FiringQuery { id: Some(id.clone()), ..FiringQuery::default() };
    store.firings(&query).await.expect("firings are read").pop().expect("the firing exists")
}

/// Moves a firing from the state that the store has; returns it as it is stored then.
async fn advance(store: &dyn Store, to: Firing, outcome: Option<TickOutcome>) -> Firing {
    let from = find(store, &to.id).await.state;
    store.advance(Advance { from, to: to.clone(), outcome }).await.expect("the move is a legal one");
    to
}

async fn send(store: &dyn Store, planned: Firing, attempts: Vec<Attempt>) -> Firing {
    let attempts = if attempts.is_empty() { vec![attempt(&planned, 1, None)] } else { attempts };
    advance(store, Firing { state: FiringState::Launching, attempts, ..planned }, None).await
}

/// A planned firing with every field.
fn firing(job: &StoredJob, tick: i64, replace: bool) -> Firing {
    Firing {
        id: FiringId::for_tick(&job.uid, at(tick)),
        job: job.id.clone(),
        uid: job.uid,
        revision: job.revision,
        origin: Origin::Tick,
        nominal: at(tick),
        observed: at(tick + 1),
        decision: DecisionId::default(),
        state: FiringState::Planned,
        requested: 3,
        task: task(),
        definition: "worker:7".to_owned(),
        deadline: at(tick + 600),
        replace,
        replaces: if replace { vec![TaskId::new("t0")] } else { Vec::new() },
        timeout_secs: Some(5400),
        start_timeout_secs: Some(600),
        budgets: Vec::new(),
        size: ecs_scheduler_core::TaskSize::default(),
        retry: FiringRetry::default(),
        attempts: Vec::new(),
        tasks: Vec::new(),
        explanation: "1150 messages ÷ 100 per task → 12".to_owned(),
        note: None,
    }
}

fn task() -> Arc<TaskSpec> {
    let resources = json!({ "cpu": 256 }).as_object().cloned().unwrap_or_default();
    let options = json!({ "network": { "subnets": ["subnet-1"] } }).as_object().cloned().unwrap_or_default();
    Arc::new({
        let mut task = TaskSpec::new("worker");
        task.overrides = vec![{
            let mut change = Override::new("worker");
            change.environment = [("MODE".to_owned(), "full ✓".to_owned())].into();
            change.command = Some(vec!["run".to_owned(), "--all".to_owned()]);
            change.resources = resources;
            change
        }];
        task.options = options;
        task.succeeds_by = Some("worker".to_owned());
        task
    })
}

fn attempt(firing: &Firing, number: u32, answer: Option<Answer>) -> Attempt {
    Attempt {
        batch: 0,
        number,
        count: 3,
        token: LaunchToken::derive("scheduler", &firing.uid, &firing.id, 0, number),
        sent_at: firing.observed,
        answer,
    }
}

fn report(started: u32, refused: Option<Refusal>) -> Answer {
    let task = |number| StartedTask::new(TaskId::new(format!("t{number}")), Some("host-1".to_owned()));
    Answer::Report(LaunchReport::new((1..=started).map(task).collect(), refused.into_iter().collect()))
}

fn refusal(retryable: bool) -> Refusal {
    Refusal::new("RESOURCE:MEMORY", retryable).with_detail("no instance has room")
}

fn pending(firing: &Firing, number: u32) -> TaskState {
    let mut state =
        TaskState::new(TaskId::new(format!("t{number}")), Some("host-1".to_owned()), TaskPhase::Pending);
    state.accepted_at = Some(firing.observed);
    state
}
