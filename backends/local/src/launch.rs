//! Launch calls: the record of a launch is on disk before anything starts, and each token starts its tasks once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{
    FaultKind, LaunchError, LaunchReport, LaunchRequest, Refusal, StartedTask, TaskId, TaskPhase, TaskState,
    Timestamp,
};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::context::Context;
use crate::data_dir::LaunchRecord;
use crate::limits::{MAX_TASKS_PER_CALL, TOKEN_TTL};
use crate::resolved_task::{ResolvedContainer, resolve_task, unsupported_fields};
use crate::supervisor::Supervisor;
use crate::task_table::ReportCell;

/// The shortest time for which a token of an earlier launcher is kept: at the start, the clock may be ahead.
const MIN_RESUMED_TTL: Duration = Duration::from_hours(1);

/// Starts tasks once per token.
///
/// The work continues when the caller gives up: another call with the same token waits for it, and never repeats it.
pub(crate) async fn launch_once(
    context: &Arc<Context>,
    supervisors: &Arc<Mutex<JoinSet<()>>>,
    request: &LaunchRequest,
) -> Result<LaunchReport, LaunchError> {
    let invalid = |message: String| Err(LaunchError::new(FaultKind::Config, message));
    let token = request.token.as_str();
    let valid = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
    if token.is_empty() || token.len() > 64 || !token.bytes().all(valid) {
        return invalid(format!("could not launch for job \"{}\": its token is malformed", request.job));
    }
    if request.count > MAX_TASKS_PER_CALL {
        return invalid(format!(
            "could not launch {} tasks: at most {MAX_TASKS_PER_CALL} are allowed in a call",
            request.count
        ));
    }
    let cell = context.tasks.lock().report_cell(token, Instant::now());
    let (context, supervisors, request) = (context.clone(), supervisors.clone(), request.clone());
    let work = tokio::spawn(async move {
        let mut report = cell.clone().lock_owned().await;
        if let Some(report) = &*report {
            return Ok(report.clone());
        }
        let result = launch_new(&context, &supervisors, &request, &cell).await;
        match &result {
            Ok(new) if !new.started.is_empty() => *report = Some(new.clone()),
            Ok(_) | Err(_) => {
                drop(report);
                context.tasks.lock().remove_unused_token(request.token.as_str(), &cell);
            }
        }
        result
    });
    work.await.unwrap_or_else(|error| {
        Err(LaunchError::unanswered("the local launcher aborted a launch").with_source(error))
    })
}

/// Resumes the tasks that an earlier launcher accepted, and removes task folders without a record.
pub(crate) fn resume_tasks(
    context: &Arc<Context>,
    supervisors: &Mutex<JoinSet<()>>,
    records: Vec<LaunchRecord>,
) -> std::io::Result<()> {
    let recorded: HashSet<String> = records.iter().flat_map(|record| record.tasks.clone()).collect();
    for name in context.data.task_names()? {
        if !recorded.contains(&name) {
            context.data.task_dir(&name).remove()?;
        }
    }
    for record in records {
        let record = Arc::new(record);
        let ids: Vec<TaskId> = record.tasks.iter().map(|name| context.task_id(name)).collect();
        let report = make_report(&ids, &record.refused);
        let cell: ReportCell = Arc::new(tokio::sync::Mutex::new(Some(report)));
        context.tasks.lock().bind_token(
            &record.token,
            &cell,
            expiry(record.accepted_at, context.now()),
            ids.clone(),
        );
        for (name, id) in record.tasks.iter().zip(ids) {
            let dir = context.data.task_dir(name);
            // The folder of an ended task is removed before its record: without a folder, nothing can start.
            if !dir.exists() {
                continue;
            }
            let state = dir.read_state().unwrap_or_else(|| TaskState::pending(id.clone(), None));
            let ended = state.phase == TaskPhase::Stopped;
            let stop_requests = context.tasks.lock().insert(name, &record.job, state, Instant::now());
            if !ended {
                let supervisor = Supervisor::new(context.clone(), record.clone(), id, dir, stop_requests);
                supervisors.lock().spawn(supervisor.resume());
            }
        }
    }
    Ok(())
}

/// Returns when the token of an earlier launcher's call expires.
fn expiry(accepted_at: Timestamp, now: Timestamp) -> Instant {
    let age = Duration::try_from(now.duration_since(accepted_at)).unwrap_or(Duration::ZERO);
    Instant::now() + TOKEN_TTL.saturating_sub(age).max(MIN_RESUMED_TTL)
}

/// Launches the tasks of a token that has no report yet.
async fn launch_new(
    context: &Arc<Context>,
    supervisors: &Mutex<JoinSet<()>>,
    request: &LaunchRequest,
    cell: &ReportCell,
) -> Result<LaunchReport, LaunchError> {
    let count = usize::try_from(request.count.get()).unwrap_or(usize::MAX);
    let (definition, containers) = match resolve_request(context, request) {
        Ok(resolved) => resolved,
        Err(refusal) => return Ok(LaunchReport::new(Vec::new(), vec![refusal; count])),
    };
    let max_tasks = context.options.max_tasks;
    let capacity = context.tasks.lock().reserve_capacity(count, max_tasks);
    let at_capacity = Refusal::new("RESOURCE:CPU", true)
        .with_detail(format!("the local launcher runs at most {max_tasks} tasks at once"));
    let refused = vec![at_capacity; count - capacity];
    if capacity == 0 {
        return Ok(LaunchReport::new(Vec::new(), refused));
    }
    let record = Arc::new(LaunchRecord {
        token: request.token.as_str().to_owned(),
        job: request.job.clone(),
        firing: request.firing.clone(),
        started_by: request.started_by.clone(),
        definition,
        accepted_at: context.now(),
        boot: context.boot.clone(),
        tasks: (0..capacity).map(|_| Uuid::new_v4().simple().to_string()).collect(),
        refused,
        containers,
    });
    let written = write_record(context, &record).await;
    let mut tasks = context.tasks.lock();
    tasks.release_capacity(capacity);
    written?;
    let ids: Vec<TaskId> = record.tasks.iter().map(|name| context.task_id(name)).collect();
    tasks.bind_token(&record.token, cell, Instant::now() + TOKEN_TTL, ids.clone());
    let mut supervisors = supervisors.lock();
    while supervisors.try_join_next().is_some() {}
    for (name, id) in record.tasks.iter().zip(&ids) {
        let state = TaskState::pending(id.clone(), None);
        let stop_requests = tasks.insert(name, &record.job, state, Instant::now());
        let dir = context.data.task_dir(name);
        let supervisor = Supervisor::new(context.clone(), record.clone(), id.clone(), dir, stop_requests);
        supervisors.spawn(supervisor.run());
    }
    Ok(make_report(&ids, &record.refused))
}

fn resolve_request(
    context: &Context,
    request: &LaunchRequest,
) -> Result<(String, Vec<ResolvedContainer>), Refusal> {
    let permanent = |reason: &str, detail: String| Refusal::new(reason, false).with_detail(detail);
    let definition = context
        .definitions
        .lock()
        .find(&request.definition)
        .map_err(|detail| permanent("MISSING", detail))?;
    let containers = resolve_task(&definition, request, &context.options, &context.definitions_folder)
        .map_err(|detail| permanent("InvalidParameterException", detail))?;
    for field in unsupported_fields(&request.task) {
        if context.logged_ignored.lock().insert(format!("{} {field}", request.job)) {
            tracing::warn!(job = %request.job, field, "the local launcher cannot honour this field; it is ignored");
        }
    }
    Ok((definition.name(), containers))
}

async fn write_record(context: &Arc<Context>, record: &Arc<LaunchRecord>) -> Result<(), LaunchError> {
    let (data, written) = (context.data.clone(), record.clone());
    let failed = |error: std::io::Error| {
        let root = context.data.root().display();
        let message = format!("could not write the record of a launch for job \"{}\" to {root}", record.job);
        // A record that is certainly removed starts nothing after a restart either.
        match context.data.remove_launch(&record.token) {
            Ok(()) => LaunchError::new(FaultKind::Unavailable, message).with_source(error),
            Err(_) => LaunchError::unanswered(message).with_source(error),
        }
    };
    match tokio::task::spawn_blocking(move || data.write_launch(&written)).await {
        Ok(result) => result.map_err(failed),
        Err(panicked) => Err(failed(std::io::Error::other(panicked))),
    }
}

fn make_report(ids: &[TaskId], refused: &[Refusal]) -> LaunchReport {
    let started = ids.iter().map(|id| StartedTask::new(id.clone(), None)).collect();
    LaunchReport::new(started, refused.to_vec())
}
