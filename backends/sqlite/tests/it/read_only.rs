//! Stores that are open for reading only, beside a scheduler and without one.

use std::path::Path;
use std::sync::Arc;

use ecs_scheduler_backend_sqlite::{SqliteProvider, backup, lock};
use ecs_scheduler_core::{
    DecisionQuery, FaultKind, FiringQuery, ImportBatch, JobStore as _, Journal as _, ListFrom, OpenMode,
    PrunedJobs, Registers as _, Retention, Revision, SettingValues, Store, StoreError, StoreMaintenance as _,
    StoreProvider as _, StoreSetup, TickOutcome,
};
use ecs_scheduler_testing::ManualClock;
use ecs_scheduler_testing::sample::{at, count, document, draft, name, new_job, settlement};
use rusqlite::config::DbConfig;

use crate::support::StoreFile;

const PYTHON: &[u8] = include_bytes!("../fixtures/python-jobs.db");

async fn open(path: &Path, mode: OpenMode) -> Result<Arc<dyn Store>, StoreError> {
    let file = SqliteProvider.descriptor().settings[0];
    let settings = SettingValues::default().with(&file, path.to_str().unwrap());
    SqliteProvider.open(&StoreSetup::new(&settings, Arc::new(ManualClock::at(at(1_000)))), mode).await
}

async fn open_read_only(path: &Path) -> Arc<dyn Store> {
    open(path, OpenMode::ReadOnly).await.unwrap()
}

async fn ids(store: &dyn Store) -> Vec<String> {
    let list = store.list(ListFrom::Skip(0), count(1_000)).await.unwrap();
    assert_eq!(list.total, list.jobs.len() as u64);
    list.jobs.iter().map(|job| job.id.to_string()).collect()
}

/// Returns all that is stored of each job.
async fn jobs(store: &dyn Store) -> String {
    serde_json::to_string(&store.list(ListFrom::Skip(0), count(1_000)).await.unwrap().jobs).unwrap()
}

/// Returns the names of the files in the folder of a store, in order.
fn files(store_file: &StoreFile) -> Vec<String> {
    let files = std::fs::read_dir(store_file.path().parent().unwrap()).unwrap();
    let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn read_only_store_has_the_state_of_one_moment_beside_a_scheduler() {
    let store_file = StoreFile::new();
    let scheduler = store_file.store().await;
    for id in ["a", "b"] {
        let job = scheduler.create(new_job(id, "{}")).await.unwrap();
        scheduler.settle(vec![settlement(&job, vec![draft(TickOutcome::Idle, at(60))])]).await.unwrap();
    }
    scheduler.put_register("brake", "on", None, None).await.unwrap();
    let seen = open_read_only(&store_file.path()).await;
    scheduler.create(new_job("late", "{}")).await.unwrap();
    scheduler.remove(&name("a"), None).await.unwrap();
    scheduler.put_register("brake", "off", Some(1), None).await.unwrap();
    assert_eq!(ids(&*seen).await, ["a", "b"]);
    assert_eq!(seen.get(&["a", "b", "late"].map(name)).await.unwrap().len(), 2);
    assert_eq!(seen.list(ListFrom::After(name("a")), count(9)).await.unwrap().jobs.len(), 1);
    assert_eq!(seen.get_register("brake").await.unwrap().unwrap().value, "on");
    assert_eq!(seen.decisions(&DecisionQuery::default()).await.unwrap().len(), 2);
    assert_eq!(seen.firings(&FiringQuery::default()).await.unwrap().len(), 0);
    seen.health_check().await.unwrap();
    seen.close().await.unwrap();
    assert!(seen.list(ListFrom::Skip(0), count(1)).await.unwrap_err().to_string().contains("is closed"));
    drop(seen);
    assert_eq!(ids(&*open_read_only(&store_file.path()).await).await, ["b", "late"]);
    scheduler.health_check().await.unwrap();
    scheduler.close().await.unwrap();
}

#[tokio::test]
async fn read_only_store_refuses_each_write() {
    let store_file = StoreFile::new();
    let scheduler = store_file.store().await;
    let job = scheduler.create(new_job("a", "{}")).await.unwrap();
    let seen = open_read_only(&store_file.path()).await;
    let settled = seen.settle(vec![settlement(&job, Vec::new())]).await;
    for written in [
        seen.create(new_job("b", "{}")).await.map(drop),
        seen.replace(&job.id, Revision::FIRST, document("{}"), at(1)).await.map(drop),
        seen.remove(&job.id, None).await,
        settled.map(drop),
        seen.put_register("brake", "on", None, None).await.map(drop),
        seen.prune(Retention { before: at(1), keep: 0, now: at(1), batch: 1, jobs: PrunedJobs::All })
            .await
            .map(drop),
        seen.import(ImportBatch::Jobs(Vec::new())).await,
    ] {
        let error = written.unwrap_err();
        assert!(matches!(error, StoreError::Fault { kind: FaultKind::Config, .. }), "{error:?}");
        assert!(error.to_string().contains("open for reading only"), "{error}");
    }
    assert_eq!(ids(&scheduler).await, ["a"]);
}

#[tokio::test]
async fn scheduler_starts_while_a_read_only_store_is_open() {
    let store_file = StoreFile::new();
    let store = store_file.store().await;
    store.create(new_job("a", "{}")).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let seen = open_read_only(&store_file.path()).await;
    let scheduler = store_file.store().await;
    scheduler.create(new_job("b", "{}")).await.unwrap();
    assert_eq!(ids(&*seen).await, ["a"]);
}

#[tokio::test]
async fn locked_file_is_read_and_keeps_schedulers_away() {
    let store_file = StoreFile::new();
    drop(store_file.store().await);
    let held = lock(&store_file.path()).unwrap();
    assert_eq!(ids(&*open_read_only(&store_file.path()).await).await, [""; 0]);
    assert!(store_file.refusal().await.contains("in use by another scheduler"));
    drop(held);
    store_file.store().await;
}

#[tokio::test]
async fn python_file_is_read_without_a_change_to_it_or_its_folder() {
    let store_file = StoreFile::new();
    std::fs::write(store_file.path(), PYTHON).unwrap();
    let seen = open_read_only(&store_file.path()).await;
    let (read, listed) = (jobs(&*seen).await, ids(&*seen).await);
    assert_eq!((listed.len(), listed[0].as_str()), (12, "minimal"));
    assert_eq!(seen.decisions(&DecisionQuery::default()).await.unwrap().len(), 0);
    seen.close().await.unwrap();
    assert_eq!(std::fs::read(store_file.path()).unwrap(), PYTHON);
    assert_eq!(files(&store_file), ["jobs.db"]);
    assert_eq!(jobs(&*open(&store_file.path(), OpenMode::Serve).await.unwrap()).await, read);
}

/// Applies edits by another program to a store of three jobs, and compares what is read beside and after them.
async fn assert_prepared(edits: &str, triggers: bool, expected: &[&str]) {
    let store_file = StoreFile::new();
    let store = store_file.store().await;
    for id in ["a", "b", "c"] {
        store.create(new_job(id, "{}")).await.unwrap();
    }
    store.close().await.unwrap();
    drop(store);
    let editor = store_file.connection();
    editor.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, triggers).unwrap();
    editor.execute_batch(edits).unwrap();
    drop(editor);
    let before = std::fs::read(store_file.path()).unwrap();
    let seen = open_read_only(&store_file.path()).await;
    let read = jobs(&*seen).await;
    assert_eq!(ids(&*seen).await, expected);
    drop(seen);
    assert_eq!(std::fs::read(store_file.path()).unwrap(), before);
    assert_eq!(jobs(&*open(&store_file.path(), OpenMode::Serve).await.unwrap()).await, read);
}

#[tokio::test]
async fn edits_of_another_program_are_reconciled_in_a_copy() {
    let edits = "INSERT INTO jobs VALUES ('d', '{}'), ('bad', '{'); DELETE FROM jobs WHERE id = 'b';
                 UPDATE jobs SET data = '{\"taskCount\": 2}' WHERE id = 'a'";
    assert_prepared(edits, true, &["a", "c", "d"]).await;
}

#[tokio::test]
async fn vacuumed_file_is_read_as_it_is() {
    assert_prepared("DELETE FROM jobs WHERE id = 'a'; VACUUM", true, &["b", "c"]).await;
}

#[tokio::test]
async fn file_with_renumbered_rows_keeps_the_metadata_of_its_jobs_in_a_copy() {
    let edits = "UPDATE jobs SET rowid = 1000 - rowid; DELETE FROM jobs WHERE id = 'a'; VACUUM";
    assert_prepared(edits, false, &["c", "b"]).await;
}

#[tokio::test]
async fn file_that_is_no_store_is_refused_and_not_created() {
    let store_file = StoreFile::new();
    let missing = open(&store_file.path(), OpenMode::ReadOnly).await.unwrap_err();
    assert!(matches!(missing, StoreError::Fault { kind: FaultKind::NotFound, .. }), "{missing:?}");
    assert_eq!(files(&store_file), [""; 0]);
    drop(store_file.store().await);
    store_file.connection().pragma_update(None, "user_version", 99).unwrap();
    let newer = open(&store_file.path(), OpenMode::ReadOnly).await.unwrap_err().to_string();
    assert!(newer.contains("format 99"), "{newer}");
    std::fs::write(store_file.path(), "[jobs]\n".repeat(1_000)).unwrap();
    let other = open(&store_file.path(), OpenMode::ReadOnly).await.unwrap_err().to_string();
    assert!(other.contains("is no SQLite database"), "{other}");
}

#[tokio::test]
async fn backup_is_read_without_a_change_to_it() {
    let store_file = StoreFile::new();
    let store = store_file.store().await;
    store.create(new_job("a", "{}")).await.unwrap();
    let copy = store_file.path().with_file_name("copy.db");
    backup(&store_file.path(), &copy, &|_, _| {}).unwrap();
    let (before, beside) = (std::fs::read(&copy).unwrap(), files(&store_file));
    assert_eq!(ids(&*open_read_only(&copy).await).await, ["a"]);
    assert_eq!((std::fs::read(&copy).unwrap(), files(&store_file)), (before, beside));
}
