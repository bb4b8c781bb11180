//! Comparing the journal with the schedules, and with what really started.

use std::collections::HashMap;
use std::sync::Arc;

use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::job::EARLIER_SCHEDULES;
use ecs_scheduler_core::schedule::{Schedule, Strictness};
use ecs_scheduler_core::{
    Clock, DEFAULT_MAX_TASKS, EngineOptions, Firing, JobContext, JobId, Store, StoredJob, SystemClock,
    TickOutcome, Timestamp, TriggerRegistry,
};
use ecs_scheduler_testing::{ChaosLauncher, InvariantReport, SimClock, Simulation};
use jiff::SignedDuration;
use parking_lot::Mutex;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};

use super::process::Scheduler;
use super::site::Site;

/// Opens the database of a scheduler that has ended.
pub(crate) async fn open(site: &Site) -> Arc<dyn Store> {
    let file = site.path("data").join("scheduler.db");
    Arc::new(SqliteStore::open(file, SqliteOptions::default()).await.unwrap())
}

/// Opens the database of a running scheduler.
pub(crate) async fn open_read_only(site: &Site) -> Arc<dyn Store> {
    let file = site.path("data").join("scheduler.db");
    Arc::new(SqliteStore::open_read_only(file, SqliteOptions::default()).await.unwrap())
}

/// The edits of a test that moved ticks: by job, the versions that were replaced, oldest first.
#[derive(Debug, Default)]
pub(crate) struct MovingEdits(Mutex<HashMap<JobId, Vec<Value>>>);

impl MovingEdits {
    /// Edits a job to be due at other seconds, by way of a scheduler. The store tells when the edit took effect.
    pub(crate) async fn edit(&self, scheduler: &Scheduler, store: &dyn Store, job: &str) {
        let id = JobId::new(job).unwrap();
        let stored = async || store.get(std::slice::from_ref(&id)).await.unwrap().remove(0);
        let before = stored().await;
        let document: Value = serde_json::from_str(before.document.get()).unwrap();
        let old = document["schedule"].clone();
        let new = if old == "*" { "*/2" } else { "*" };
        scheduler.put(&format!("/jobs/{job}"), &json!({"schedule": new})).await;
        let until = stored().await.changed;
        let mut versions = self.0.lock();
        let versions = versions.entry(id).or_default();
        let created = before.created.to_string();
        let from = versions.last().map_or_else(|| json!(created), |last| last["until"].clone());
        versions.push(json!({"from": from, "until": until.to_string(), "schedule": old}));
    }
}

/// Checks that every tick has one outcome, that no firing is open, and that each firing started the tasks that the
/// journal says, no more and no fewer.
pub(crate) async fn audit(site: &Site) -> InvariantReport {
    audit_edited(site, &MovingEdits::default()).await
}

/// The same, where edits moved ticks.
pub(crate) async fn audit_edited(site: &Site, edits: &MovingEdits) -> InvariantReport {
    let (audit, firings) = audit_store(open(site).await, edits).await;
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
    audit_store(open(site).await, &MovingEdits::default()).await
}

fn simulation(store: Arc<dyn Store>) -> Simulation {
    let clock = Arc::new(SimClock::at(SystemClock.now()));
    Simulation {
        launcher: Arc::new(ChaosLauncher::new(Arc::clone(&clock) as _, 0)),
        clock,
        store,
        registry: Arc::new(TriggerRegistry::new()),
        options: EngineOptions::default(),
    }
}

/// Checks that every tick was decided within this time, except for ticks that are `excused`, and returns how many were not.
pub(crate) async fn check_punctual(
    store: Arc<dyn Store>,
    within: SignedDuration,
    is_excused: impl Fn(&JobId, Timestamp) -> bool,
) -> usize {
    let mut decisions = simulation(store).decisions().await;
    // Jobs are suspended in the end; such ticks share a row.
    decisions.retain(|row| row.draft.span.count > 0 && row.draft.outcome != TickOutcome::Suspended);
    decisions.retain(|row| !is_excused(&row.job, row.draft.span.first));
    for row in &decisions {
        let late = row.draft.observed.duration_since(row.draft.span.first);
        assert!(late <= within, "decided {late:#} after its tick: {row:#?}");
    }
    decisions.len()
}

/// Checks that every tick has one outcome and that no firing is open, and returns the firings. Of any store.
pub(crate) async fn audit_store(
    store: Arc<dyn Store>,
    edits: &MovingEdits,
) -> (InvariantReport, Vec<Firing>) {
    let world = simulation(store);
    let audit = world.audit(&|stored| schedule(stored, &world.registry, edits)).await.unwrap();
    let firings = world.firings().await;
    for firing in &firings {
        assert!(!firing.state.is_open(), "still open: {firing:?}");
    }
    (audit, firings)
}

/// Returns the ticks of all versions of a job. Edits that are not listed move none.
fn schedule(stored: &StoredJob, registry: &TriggerRegistry, edits: &MovingEdits) -> Schedule {
    let mut document: Map<String, Value> = serde_json::from_str(stored.document.get()).unwrap();
    document.remove(EARLIER_SCHEDULES);
    if let Some(versions) = edits.0.lock().get(&stored.id) {
        document.insert(EARLIER_SCHEDULES.to_owned(), versions.clone().into());
    }
    let stored = StoredJob { document: to_raw_value(&document).unwrap(), ..stored.clone() };
    let context = JobContext {
        registry,
        max_tasks: DEFAULT_MAX_TASKS,
        strictness: Strictness::Lenient,
        launcher: None,
    };
    stored.parse(&context).unwrap().ticks().expect("each job has a schedule").clone()
}
