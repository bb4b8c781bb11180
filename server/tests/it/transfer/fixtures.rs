//! Stores with something in them.

use std::fs::File;
use std::path::Path;

use ecs_scheduler::transfer::dump::{FORMAT, Header};
use ecs_scheduler::transfer::{DumpWriter, StoreReader, TransferSource as _};
use ecs_scheduler_backend_sqlite::SqliteStore;
use ecs_scheduler_core::decide::{Rule, Step};
use ecs_scheduler_core::engine::BRAKE_REGISTER;
use ecs_scheduler_core::{
    Advance, DecisionDraft, Demand, Firing, FiringState, JobId, JobUid, MemoryStore, NewJob, Settlement,
    Store, TaskId, TaskState, TickOutcome, Timestamp,
};
use ecs_scheduler_testing::sample;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::new(1_800_000_000 + second, 987_654_321).unwrap()
}

/// Makes a store of so many jobs, each with a history: idle outcomes, a firing that runs, one that is planned.
pub(crate) async fn store_of(jobs: usize) -> MemoryStore {
    let store = MemoryStore::default();
    for number in 0..jobs {
        // Not in the order of the names, and with a line break in the text.
        let id = format!("job-{}", number * 7919 % 10_007);
        let text = format!("{{\"taskCount\": 1,\n \"description\": \"Grüße {number}\"}}");
        add(&store, NewJob { at: at(0), ..sample::new_job(&id, &text) }, number).await;
    }
    ecs_scheduler_core::Registers::put_register(&store, BRAKE_REGISTER, "{\"on\":false}", None, None)
        .await
        .unwrap();
    store
}

async fn add(store: &dyn Store, new: NewJob, number: usize) {
    let job = store.create(new).await.unwrap();
    let replaced = store.replace(&job.id, job.revision, job.document.clone(), at(1)).await.unwrap();
    let mut settled = None;
    for (tick, outcome) in [
        (10, TickOutcome::Idle),
        (20, TickOutcome::Idle),
        (30, TickOutcome::Launched),
        (40, TickOutcome::Pending),
    ] {
        let firing = (tick >= 30).then(|| firing(&replaced.id, replaced.uid, tick));
        let records = vec![draft(outcome, tick)];
        let settlement =
            Settlement { expected_cursor: settled, firing, ..sample::settlement(&replaced, records) };
        settled = settlement.new_cursor;
        store.settle(vec![settlement]).await.unwrap();
    }
    if number.is_multiple_of(2) {
        let planned = firing(&job.id, job.uid, 30);
        let launching = Firing { state: FiringState::Launching, ..planned };
        let move_to = |from, to| Advance { from, to, outcome: None };
        store.advance(move_to(FiringState::Planned, launching.clone())).await.unwrap();
        let task = TaskState::pending(TaskId::new("t"), Some("host".to_owned()));
        let launched = Firing { state: FiringState::Launched, tasks: vec![task], ..launching };
        store.advance(move_to(FiringState::Launching, launched)).await.unwrap();
    }
}

fn draft(outcome: TickOutcome, tick: i64) -> DecisionDraft {
    let reason = "a line
and another"
        .to_owned();
    DecisionDraft {
        observed: at(tick + 1),
        demand: Some(Demand::Floor),
        busy: Some(1),
        tries: 1,
        explanation: "because ✓".to_owned(),
        steps: vec![Step { rule: Rule::Demand, before: 0, after: 1, reason }],
        ..sample::draft(outcome, at(tick))
    }
}

fn firing(job: &JobId, uid: JobUid, tick: i64) -> Firing {
    Firing {
        revision: ecs_scheduler_core::Revision(2),
        observed: at(tick + 1),
        timeout_secs: Some(60),
        ..sample::firing(job, uid, at(tick))
    }
}

/// Reads every line of a store.
pub(crate) async fn lines(store: &dyn Store) -> Vec<String> {
    let mut reader = StoreReader::open(store).await.unwrap();
    let (mut lines, mut entries) = (Vec::new(), 0);
    while let Some(item) = reader.next().await.unwrap() {
        entries += u64::from(matches!(item, ecs_scheduler::transfer::TransferItem::Entry(_)));
        lines.push(item.to_line(entries).unwrap());
    }
    lines
}

/// Writes a dump of a store.
pub(crate) async fn dump(store: &dyn Store, file: &Path) {
    let header = Header {
        format: FORMAT,
        store: store.kind().to_owned(),
        name: "test".to_owned(),
        at: at(0),
        version: "0".to_owned(),
    };
    let mut writer = DumpWriter::new(File::create(file).unwrap(), &header).unwrap();
    let mut reader = StoreReader::open(store).await.unwrap();
    while let Some(item) = reader.next().await.unwrap() {
        writer.add(&item).unwrap();
    }
    writer.finish().unwrap();
}

pub(crate) async fn sqlite(file: &Path) -> SqliteStore {
    SqliteStore::open(file, Default::default()).await.unwrap()
}
