//! How a launch is accepted: everything is on disk before anything starts.

use std::collections::HashSet;
use std::sync::Arc;

use ecs_scheduler_core::{
    FaultKind, LaunchError, LaunchReport, LaunchRequest, Refusal, StartedTask, TaskId, TaskPhase, TaskState,
};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::data_dir::LaunchRecord;
use crate::resolved_task::{PlannedContainer, plan, unsupported};
use crate::supervisor::Driver;
use crate::task_table::Slot;
use crate::{LocalLauncher, PER_CALL, Shared};

impl LocalLauncher {
    /// Starts tasks once per token.
    ///
    /// The work goes on although the caller gives up: another call with the same token waits for it, and never does it
    /// a second time.
    pub(crate) async fn accept(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        let invalid = |what: String| Err(LaunchError::new(FaultKind::Config, what));
        let token = request.token.as_str();
        let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
        if token.is_empty() || token.len() > 64 || !token.bytes().all(plain) {
            return invalid(format!("could not launch for job \"{}\": its token is malformed", request.job));
        }
        if request.count > PER_CALL {
            return invalid(format!("could not launch {} tasks: {PER_CALL} a call at most", request.count));
        }
        let slot = self.shared.book.lock().slot(token, self.shared.now());
        let (shared, drivers, request) = (self.shared.clone(), self.drivers.clone(), request.clone());
        let work = tokio::spawn(async move {
            let mut standing = slot.clone().lock_owned().await;
            if let Some(report) = &*standing {
                return Ok(report.clone());
            }
            let result = first_call(&shared, &drivers, &request, &slot).await;
            match &result {
                Ok(report) if !report.started.is_empty() => *standing = Some(report.clone()),
                Ok(_) | Err(_) => {
                    drop(standing);
                    shared.book.lock().forget(request.token.as_str(), &slot);
                }
            }
            result
        });
        work.await.unwrap_or_else(|error| {
            Err(LaunchError::unanswered("the local launcher broke off a launch").because(error))
        })
    }

    /// Takes up what an earlier launcher accepted, and removes folders that belong to nothing.
    pub(crate) fn take_up(&self, records: Vec<LaunchRecord>) -> std::io::Result<()> {
        let shared = &self.shared;
        let known: HashSet<String> = records.iter().flat_map(|record| record.tasks.clone()).collect();
        for name in shared.data.task_names()? {
            if !known.contains(&name) {
                shared.data.task(&name).remove()?;
            }
        }
        for record in records {
            let record = Arc::new(record);
            let ids: Vec<TaskId> = record.tasks.iter().map(|name| shared.task_id(name)).collect();
            let slot: Slot = Arc::new(tokio::sync::Mutex::new(Some(report_of(&ids, &record.refused))));
            shared.book.lock().remember(&record.token, &slot, record.accepted_at, ids.clone());
            for (name, id) in record.tasks.iter().zip(ids) {
                let dir = shared.data.task(name);
                // The folder of an ended task goes before its record does: without one, nothing can be started.
                if !dir.exists() {
                    continue;
                }
                let state = dir.read_state().unwrap_or_else(|| TaskState::pending(id.clone(), None));
                let ended = state.phase == TaskPhase::Stopped;
                let orders = shared.book.lock().enter(name, &record.job, state, shared.now());
                if !ended {
                    let driver = Driver::new(shared.clone(), record.clone(), id, dir, orders);
                    self.drivers.lock().spawn(driver.resume());
                }
            }
        }
        Ok(())
    }
}

async fn first_call(
    shared: &Arc<Shared>,
    drivers: &Mutex<JoinSet<()>>,
    request: &LaunchRequest,
    slot: &Slot,
) -> Result<LaunchReport, LaunchError> {
    let count = usize::try_from(request.count.get()).unwrap_or(usize::MAX);
    let (definition, containers) = match planned(shared, request) {
        Ok(planned) => planned,
        Err(refusal) => return Ok(LaunchReport { started: Vec::new(), refused: vec![refusal; count] }),
    };
    let room = shared.book.lock().reserve(count, shared.options.max_tasks);
    let full = Refusal {
        reason: "RESOURCE:CPU".to_owned(),
        detail: Some(format!("the local launcher holds {} tasks at once", shared.options.max_tasks)),
        retryable: true,
    };
    let refused = vec![full; count - room];
    if room == 0 {
        return Ok(LaunchReport { started: Vec::new(), refused });
    }
    let record = Arc::new(LaunchRecord {
        token: request.token.as_str().to_owned(),
        job: request.job.clone(),
        firing: request.firing.clone(),
        started_by: request.started_by.clone(),
        definition,
        accepted_at: shared.now(),
        boot: shared.boot.clone(),
        tasks: (0..room).map(|_| Uuid::new_v4().simple().to_string()).collect(),
        refused,
        containers,
    });
    let written = write(shared, &record).await;
    let mut book = shared.book.lock();
    book.release(room);
    written?;
    let ids: Vec<TaskId> = record.tasks.iter().map(|name| shared.task_id(name)).collect();
    book.remember(&record.token, slot, record.accepted_at, ids.clone());
    let mut drivers = drivers.lock();
    while drivers.try_join_next().is_some() {}
    for (name, id) in record.tasks.iter().zip(&ids) {
        let state = TaskState::pending(id.clone(), None);
        let orders = book.enter(name, &record.job, state, shared.now());
        let dir = shared.data.task(name);
        drivers.spawn(Driver::new(shared.clone(), record.clone(), id.clone(), dir, orders).follow());
    }
    Ok(report_of(&ids, &record.refused))
}

fn planned(shared: &Shared, request: &LaunchRequest) -> Result<(String, Vec<PlannedContainer>), Refusal> {
    let permanent = |reason: &str, detail: String| Refusal {
        reason: reason.to_owned(),
        detail: Some(detail),
        retryable: false,
    };
    let definition =
        shared.folder.lock().find(&request.definition).map_err(|detail| permanent("MISSING", detail))?;
    let containers = plan(&definition, request, &shared.options, &shared.definitions_folder)
        .map_err(|detail| permanent("InvalidParameterException", detail))?;
    for what in unsupported(&request.task) {
        if shared.told.lock().insert(format!("{} {what}", request.job)) {
            tracing::warn!(job = %request.job, field = what, "the local launcher cannot honour this; it is ignored");
        }
    }
    Ok((definition.name(), containers))
}

async fn write(shared: &Arc<Shared>, record: &Arc<LaunchRecord>) -> Result<(), LaunchError> {
    let (data, kept) = (shared.data.clone(), record.clone());
    let failed = |error: std::io::Error| {
        let what =
            format!("could not keep a launch for job \"{}\" in {}", record.job, shared.data.root().display());
        // A record that is surely gone starts nothing after a restart either.
        match shared.data.remove_launch(&record.token) {
            Ok(()) => LaunchError::new(FaultKind::Unavailable, what).because(error),
            Err(_) => LaunchError::unanswered(what).because(error),
        }
    };
    match tokio::task::spawn_blocking(move || data.write_launch(&kept)).await {
        Ok(written) => written.map_err(failed),
        Err(broken) => Err(failed(std::io::Error::other(broken))),
    }
}

fn report_of(ids: &[TaskId], refused: &[Refusal]) -> LaunchReport {
    let started = ids.iter().map(|id| StartedTask { task_id: id.clone(), host_id: None }).collect();
    LaunchReport { started, refused: refused.to_vec() }
}
