//! Backups: created while the store is written, verified, restored.

use std::cell::Cell;
use std::path::PathBuf;

use ecs_scheduler_backend_sqlite::{BackupContents, backup, restore, verify};
use ecs_scheduler_core::{JobStore as _, Store as _};

use crate::support::{StoreFile, name, new_job};

const PYTHON: &[u8] = include_bytes!("../fixtures/python-jobs.db");

fn beside(store_file: &StoreFile, suffix: &str) -> PathBuf {
    let mut path = store_file.path().into_os_string();
    path.push(suffix);
    path.into()
}

fn rows(path: &PathBuf) -> u64 {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.query_row("SELECT count(*) FROM jobs", [], |row| row.get(0)).unwrap()
}

/// Writes and closes a store of so many jobs.
async fn written(jobs: usize) -> StoreFile {
    let store_file = StoreFile::new();
    let store = store_file.store().await;
    for number in 0..jobs {
        store.create(new_job(&format!("job-{number}"), "{}")).await.unwrap();
    }
    store.close().await.unwrap();
    store_file
}

#[tokio::test]
async fn backup_is_consistent_while_another_connection_writes() {
    let store_file = StoreFile::new();
    let store = store_file.store().await;
    // More bytes than are copied between two progress reports.
    let text = format!("{{\"a\": \"{}\"}}", "x".repeat(200_000));
    for number in 0..120 {
        store.create(new_job(&format!("job-{number}"), &text)).await.unwrap();
    }
    let copy = beside(&store_file, ".copy");
    let (writer, steps) = (store_file.connection(), Cell::new(0));
    let contents = backup(&store_file.path(), &copy, &|done, all| {
        assert!(done <= all);
        steps.set(steps.get() + 1);
        // Another connection writes between the steps and does not wait.
        let sql = format!("INSERT INTO jobs VALUES ('late-{}', '{{}}')", steps.get());
        writer.execute(&sql, []).unwrap();
    });
    assert_eq!(contents.unwrap(), BackupContents { format: 2, jobs: 120, decisions: 0, firings: 0 });
    assert!(steps.get() >= 1 && !beside(&store_file, ".copy-wal").exists());
    assert_eq!(rows(&store_file.path()), 120 + steps.get());
}

#[tokio::test]
async fn restore_without_an_existing_file_creates_it() {
    let (store_file, other) = (written(5).await, StoreFile::new());
    let copy = beside(&store_file, ".copy");
    backup(&store_file.path(), &copy, &|_, _| {}).unwrap();
    assert_eq!(restore(&copy, &other.path(), None).unwrap().jobs, 5);
    let store = other.store().await;
    assert_eq!(store.get(&[name("job-4")]).await.unwrap().len(), 1);
    assert!(!beside(&other, ".restoring").exists());
}

#[tokio::test]
async fn restore_over_an_existing_file_moves_it_aside_or_fails() {
    let (store_file, other) = (written(5).await, written(9).await);
    let (copy, aside) = (beside(&store_file, ".copy"), beside(&other, ".aside"));
    backup(&store_file.path(), &copy, &|_, _| {}).unwrap();
    let message = restore(&copy, &other.path(), None).unwrap_err().to_string();
    assert!(message.contains("exists, and nothing is overwritten"), "{message}");
    assert_eq!(rows(&other.path()), 9);
    // A row that is only in the log, as after a crash, is moved too.
    let writer = other.connection();
    writer.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(())).unwrap();
    writer.execute("INSERT INTO jobs VALUES ('late', '{}')", []).unwrap();
    restore(&copy, &other.path(), Some(&aside)).unwrap();
    drop(writer);
    assert_eq!((rows(&other.path()), rows(&aside)), (5, 10));
    let message = restore(&copy, &other.path(), Some(&aside)).unwrap_err().to_string();
    assert!(message.contains("could not move") && message.contains("exists"), "{message}");
}

#[tokio::test]
async fn restore_moves_a_damaged_file_aside_with_its_log() {
    let (store_file, other) = (written(5).await, StoreFile::new());
    let (copy, aside) = (beside(&store_file, ".copy"), beside(&other, ".aside"));
    backup(&store_file.path(), &copy, &|_, _| {}).unwrap();
    std::fs::write(other.path(), "garbage").unwrap();
    std::fs::write(beside(&other, "-wal"), "the newest writes").unwrap();
    restore(&copy, &other.path(), Some(&aside)).unwrap();
    assert_eq!(std::fs::read_to_string(&aside).unwrap(), "garbage");
    assert_eq!(std::fs::read_to_string(beside(&other, ".aside-wal")).unwrap(), "the newest writes");
    assert_eq!(rows(&other.path()), 5);
}

#[tokio::test]
async fn restore_refuses_a_log_without_its_database() {
    let (store_file, other) = (written(5).await, StoreFile::new());
    let copy = beside(&store_file, ".copy");
    backup(&store_file.path(), &copy, &|_, _| {}).unwrap();
    std::fs::write(beside(&other, "-wal"), "the newest writes").unwrap();
    let message = restore(&copy, &other.path(), None).unwrap_err().to_string();
    assert!(message.contains("without its database"), "{message}");
    assert!(!other.path().exists());
}

#[tokio::test]
async fn store_in_use_is_neither_replaced_nor_accepted_as_a_backup() {
    let (store_file, other) = (written(5).await, StoreFile::new());
    let copy = beside(&store_file, ".copy");
    backup(&store_file.path(), &copy, &|_, _| {}).unwrap();
    let store = other.store().await;
    store.create(new_job("own", "{}")).await.unwrap();
    let message = restore(&copy, &other.path(), Some(&beside(&other, ".aside"))).unwrap_err().to_string();
    assert!(message.contains("in use by another scheduler"), "{message}");
    let message = verify(&other.path()).unwrap_err().to_string();
    assert!(message.contains("the newest writes are in"), "{message}");
    assert_eq!(store.get(&[name("own")]).await.unwrap().len(), 1);
}

#[test]
fn python_file_is_backed_up_and_verified_unchanged() {
    let store_file = StoreFile::new();
    std::fs::write(store_file.path(), PYTHON).unwrap();
    let expected = BackupContents { format: 0, jobs: 12, decisions: 0, firings: 0 };
    assert_eq!(verify(&store_file.path()).unwrap(), expected);
    assert_eq!(backup(&store_file.path(), &beside(&store_file, ".copy"), &|_, _| {}).unwrap(), expected);
    assert_eq!(std::fs::read(store_file.path()).unwrap(), PYTHON);
    assert!(!beside(&store_file, "-wal").exists() && !beside(&store_file, "-shm").exists());
}
