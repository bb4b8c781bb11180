//! Comparing the journal with the schedules, and with what really started.

use std::sync::Arc;

use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::job::EARLIER_SCHEDULES;
use ecs_scheduler_core::schedule::{Schedule, Strictness};
use ecs_scheduler_core::{
    Clock, DEFAULT_MAX_TASKS, DecisionRecord, EngineOptions, Firing, JobContext, Store, StoredJob,
    SystemClock, TriggerRegistry,
};
use ecs_scheduler_testing::{ChaosLauncher, InvariantReport, SimClock, Simulation};
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};

use super::hand_firings::HandFirings;
use super::moving_edits::MovingEdits;
use super::site::Site;

/// Opens the database of a scheduler that has ended.
pub(crate) async fn open(site: &Site) -> Arc<dyn Store> {
    let file = site.path("data").join("scheduler.db");
    Arc::new(SqliteStore::open(file, SqliteOptions::default()).await.unwrap())
}

/// Opens the database of a running scheduler, as it is now.
pub(crate) async fn open_read_only(site: &Site) -> Arc<dyn Store> {
    let file = site.path("data").join("scheduler.db");
    Arc::new(SqliteStore::open_read_only(file, SqliteOptions::default()).await.unwrap())
}

/// Checks that every tick has one outcome, that no firing is open, and that each firing started the tasks that the
/// journal says, no more and no fewer.
pub(crate) async fn audit(site: &Site) -> InvariantReport {
    let (audit, firings) = audit_journal(site).await;
    compare_starts(site, firings);
    audit
}

/// The same, where edits moved ticks and jobs were fired by hand: each such firing is there once.
pub(crate) async fn audit_edited(site: &Site, edits: &MovingEdits, by_hand: &HandFirings) -> InvariantReport {
    let (audit, firings) = audit_store(open(site).await, edits).await;
    by_hand.check(&firings);
    compare_starts(site, firings);
    audit
}

fn compare_starts(site: &Site, firings: Vec<Firing>) {
    let mut starts = site.starts();
    for firing in firings {
        let started = starts.remove(firing.id.as_str()).unwrap_or(0);
        assert_eq!(started, firing.tasks.len(), "tasks that really started: {firing:?}");
    }
    assert!(starts.is_empty(), "started and in no journal: {starts:?}");
}

/// Checks that every tick has one outcome and that no firing is open, and returns the firings.
pub(crate) async fn audit_journal(site: &Site) -> (InvariantReport, Vec<Firing>) {
    audit_store(open(site).await, &MovingEdits::default()).await
}

/// The same, of any store, where edits moved ticks.
pub(crate) async fn audit_store(
    store: Arc<dyn Store>,
    edits: &MovingEdits,
) -> (InvariantReport, Vec<Firing>) {
    let clock = Arc::new(SimClock::at(SystemClock.now()));
    let world = Simulation {
        launcher: Arc::new(ChaosLauncher::new(Arc::clone(&clock) as _, 0)),
        clock,
        store,
        registry: Arc::new(TriggerRegistry::new()),
        options: EngineOptions::default(),
    };
    let decisions = world.decisions().await;
    let ticks = |stored: &StoredJob| schedule(stored, &world.registry, edits, &decisions);
    let audit = world.audit(&ticks).await.unwrap();
    let firings = world.firings().await;
    for firing in &firings {
        assert!(!firing.state.is_open(), "still open: {firing:?}");
    }
    (audit, firings)
}

/// Returns the ticks of all versions of a job. Edits that are not among these moved none.
fn schedule(
    stored: &StoredJob,
    registry: &TriggerRegistry,
    edits: &MovingEdits,
    decisions: &[DecisionRecord],
) -> Schedule {
    let mut document: Map<String, Value> = serde_json::from_str(stored.document.get()).unwrap();
    document.remove(EARLIER_SCHEDULES);
    edits.add_versions(&mut document, stored, decisions);
    let stored = StoredJob { document: to_raw_value(&document).unwrap(), ..stored.clone() };
    let context = JobContext {
        registry,
        max_tasks: DEFAULT_MAX_TASKS,
        strictness: Strictness::Lenient,
        launcher: None,
        channels: None,
    };
    stored.parse(&context).unwrap().ticks().expect("each job has a schedule").clone()
}
