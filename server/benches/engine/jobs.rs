//! Jobs to measure with, and their engine.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use ecs_scheduler::access::AccessControl;
use ecs_scheduler::api::{self, ApiState, Limits};
use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::{
    Clock, DEFAULT_MAX_TASKS, Engine, EngineHandle, EngineOptions, JobId, JobUid, Launcher, NewJob, Store,
    StoreError, SystemClock, TriggerRegistry,
};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use serde_json::value::to_raw_value;
use tokio_util::sync::CancellationToken;

/// How many jobs are on their way to the store at once.
const MAX_CONCURRENT_WRITES: usize = 1_024;

/// Opens a database.
pub(crate) async fn open(file: &Path) -> anyhow::Result<Arc<dyn Store>> {
    Ok(Arc::new(SqliteStore::open(file, SqliteOptions::default()).await?))
}

/// Stores `count` jobs, each with the schedule that is made for its number.
pub(crate) async fn fill(
    store: &dyn Store,
    count: usize,
    schedule: impl Fn(usize) -> String + Sync,
) -> Result<(), StoreError> {
    let creations = futures::stream::iter((0..count).map(|number| {
        let document = json!({
            "taskDefinition": "report", "schedule": schedule(number), "taskCount": 1,
            "overrides": [{"containerName": "main", "environment": {"CUSTOMER": format!("customer-{number}")}}],
        });
        let job = NewJob {
            id: JobId::new(&format!("job-{number:07}")).expect("it is a job's name"),
            uid: JobUid::random(),
            document: to_raw_value(&document).expect("a document is JSON"),
            at: SystemClock.now(),
        };
        store.create(job)
    }));
    creations.buffer_unordered(MAX_CONCURRENT_WRITES).try_for_each(|_| std::future::ready(Ok(()))).await
}

/// Starts an engine as the server does.
pub(crate) async fn engine(
    store: Arc<dyn Store>,
    launcher: Arc<dyn Launcher>,
) -> Result<EngineHandle, StoreError> {
    let registry = Arc::new(TriggerRegistry::new());
    Engine { options: EngineOptions::default(), store, launcher, registry, clock: Arc::new(SystemClock) }
        .start()
        .await
}

/// Makes the API of an engine, over a store that need not be the engine's.
pub(crate) fn api(store: &Arc<dyn Store>, engine: &EngineHandle) -> Router {
    api::router(ApiState {
        store: Arc::clone(store),
        engine: engine.clone().into(),
        registry: Arc::new(TriggerRegistry::new()),
        clock: Arc::new(SystemClock),
        max_tasks: DEFAULT_MAX_TASKS,
        launchers: Vec::new(),
        stores: Vec::new(),
        aws: None,
        hosts: Vec::new(),
        access: AccessControl::default(),
        limits: Limits::default(),
        closing: CancellationToken::new(),
    })
}
