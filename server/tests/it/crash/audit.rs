//! Comparing the journal with the schedules, and with what really started.

use std::sync::Arc;

use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::job::EARLIER_SCHEDULES;
use ecs_scheduler_core::schedule::{Schedule, Strictness};
use ecs_scheduler_core::{
    Clock, DEFAULT_MAX_TASKS, EngineOptions, Firing, JobContext, Store, StoredJob, SystemClock,
    TriggerRegistry,
};
use ecs_scheduler_testing::{ChaosLauncher, InvariantReport, SimClock, Simulation};
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};

use super::site::Site;

/// Opens the database of a scheduler that has ended.
pub(crate) async fn open(site: &Site) -> Arc<dyn Store> {
    let file = site.path("data").join("scheduler.db");
    Arc::new(SqliteStore::open(file, SqliteOptions::default()).await.unwrap())
}

/// Checks that every tick has one outcome, that no firing is open, and that each firing started the tasks that the
/// journal says, no more and no fewer.
pub(crate) async fn audit(site: &Site) -> InvariantReport {
    let (audit, firings) = audit_journal(site).await;
    let mut starts = site.starts();
    for firing in firings {
        let started = starts.remove(firing.id.as_str()).unwrap_or(0);
        assert_eq!(started, firing.tasks.len(), "tasks that really started: {firing:?}");
    }
    assert!(starts.is_empty(), "started and in no journal: {starts:?}");
    audit
}

/// Checks that every tick has one outcome and that no firing is open, and returns the firings.
pub(crate) async fn audit_journal(site: &Site) -> (InvariantReport, Vec<Firing>) {
    audit_store(open(site).await).await
}

/// The same, of any store.
pub(crate) async fn audit_store(store: Arc<dyn Store>) -> (InvariantReport, Vec<Firing>) {
    let clock = Arc::new(SimClock::at(SystemClock.now()));
    let world = Simulation {
        launcher: Arc::new(ChaosLauncher::new(Arc::clone(&clock) as _, 0)),
        clock,
        store,
        registry: Arc::new(TriggerRegistry::new()),
        options: EngineOptions::default(),
    };
    let audit = world.audit(&|stored| schedule(stored, &world.registry)).await.unwrap();
    let firings = world.firings().await;
    for firing in &firings {
        assert!(!firing.state.is_open(), "still open: {firing:?}");
    }
    (audit, firings)
}

/// Returns the ticks of a job. Edits in these tests move none, so those of the newest version are those of all versions.
fn schedule(stored: &StoredJob, registry: &TriggerRegistry) -> Schedule {
    let mut document: Map<String, Value> = serde_json::from_str(stored.document.get()).unwrap();
    document.remove(EARLIER_SCHEDULES);
    let stored = StoredJob { document: to_raw_value(&document).unwrap(), ..stored.clone() };
    let context = JobContext {
        registry,
        max_tasks: DEFAULT_MAX_TASKS,
        strictness: Strictness::Lenient,
        launcher: None,
    };
    stored.parse(&context).unwrap().ticks().expect("each job has a schedule").clone()
}
