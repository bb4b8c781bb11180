//! Copies: made beside a store that is written, examined, put back.

use std::cell::Cell;
use std::path::PathBuf;

use ecs_scheduler_backend_sqlite::{Contents, backup, examine, restore};
use ecs_scheduler_core::{JobStore as _, Store as _};

use crate::support::{Place, name, new_job};

const PYTHON: &[u8] = include_bytes!("../fixtures/python-jobs.db");

fn beside(place: &Place, suffix: &str) -> PathBuf {
    let mut path = place.path().into_os_string();
    path.push(suffix);
    path.into()
}

fn rows(path: &PathBuf) -> u64 {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.query_row("SELECT count(*) FROM jobs", [], |row| row.get(0)).unwrap()
}

/// A place with a closed store of so many jobs.
async fn written(jobs: usize) -> Place {
    let place = Place::new();
    let store = place.store().await;
    for number in 0..jobs {
        store.create(new_job(&format!("job-{number}"), "{}")).await.unwrap();
    }
    store.close().await.unwrap();
    place
}

#[tokio::test]
async fn a_copy_is_of_one_moment_whatever_is_written_meanwhile() {
    let place = Place::new();
    let store = place.store().await;
    // More than is copied between two reports.
    let text = format!("{{\"a\": \"{}\"}}", "x".repeat(200_000));
    for number in 0..120 {
        store.create(new_job(&format!("job-{number}"), &text)).await.unwrap();
    }
    let copy = beside(&place, ".copy");
    let (writer, steps) = (place.connection(), Cell::new(0));
    let contents = backup(&place.path(), &copy, &|done, all| {
        assert!(done <= all);
        steps.set(steps.get() + 1);
        // Another connection writes between the steps, and is not held up.
        let sql = format!("INSERT INTO jobs VALUES ('late-{}', '{{}}')", steps.get());
        writer.execute(&sql, []).unwrap();
    });
    assert_eq!(contents.unwrap(), Contents { format: 1, jobs: 120, decisions: 0, firings: 0 });
    assert!(steps.get() >= 1 && !beside(&place, ".copy-wal").exists());
    assert_eq!(rows(&place.path()), 120 + steps.get());
}

#[tokio::test]
async fn a_copy_is_put_where_nothing_is() {
    let (place, other) = (written(5).await, Place::new());
    let copy = beside(&place, ".copy");
    backup(&place.path(), &copy, &|_, _| {}).unwrap();
    assert_eq!(restore(&copy, &other.path(), None).unwrap().jobs, 5);
    let store = other.store().await;
    assert_eq!(store.get(&[name("job-4")]).await.unwrap().len(), 1);
    assert!(!beside(&other, ".restoring").exists());
}

#[tokio::test]
async fn a_file_that_is_there_is_kept_under_another_name_or_the_copy_is_refused() {
    let (place, other) = (written(5).await, written(9).await);
    let (copy, aside) = (beside(&place, ".copy"), beside(&other, ".aside"));
    backup(&place.path(), &copy, &|_, _| {}).unwrap();
    let message = restore(&copy, &other.path(), None).unwrap_err().to_string();
    assert!(message.contains("exists, and nothing is overwritten"), "{message}");
    assert_eq!(rows(&other.path()), 9);
    // What is in the log only, as after a crash, goes along.
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
async fn a_damaged_file_goes_aside_with_its_log() {
    let (place, other) = (written(5).await, Place::new());
    let (copy, aside) = (beside(&place, ".copy"), beside(&other, ".aside"));
    backup(&place.path(), &copy, &|_, _| {}).unwrap();
    std::fs::write(other.path(), "garbage").unwrap();
    std::fs::write(beside(&other, "-wal"), "the newest writes").unwrap();
    restore(&copy, &other.path(), Some(&aside)).unwrap();
    assert_eq!(std::fs::read_to_string(&aside).unwrap(), "garbage");
    assert_eq!(std::fs::read_to_string(beside(&other, ".aside-wal")).unwrap(), "the newest writes");
    assert_eq!(rows(&other.path()), 5);
}

#[tokio::test]
async fn a_log_without_its_file_is_not_taken_for_the_copys() {
    let (place, other) = (written(5).await, Place::new());
    let copy = beside(&place, ".copy");
    backup(&place.path(), &copy, &|_, _| {}).unwrap();
    std::fs::write(beside(&other, "-wal"), "the newest writes").unwrap();
    let message = restore(&copy, &other.path(), None).unwrap_err().to_string();
    assert!(message.contains("without its database"), "{message}");
    assert!(!other.path().exists());
}

#[tokio::test]
async fn a_store_that_a_scheduler_has_is_neither_replaced_nor_taken_for_a_backup() {
    let (place, other) = (written(5).await, Place::new());
    let copy = beside(&place, ".copy");
    backup(&place.path(), &copy, &|_, _| {}).unwrap();
    let store = other.store().await;
    store.create(new_job("own", "{}")).await.unwrap();
    let message = restore(&copy, &other.path(), Some(&beside(&other, ".aside"))).unwrap_err().to_string();
    assert!(message.contains("in use by another scheduler"), "{message}");
    let message = examine(&other.path()).unwrap_err().to_string();
    assert!(message.contains("the newest writes are in"), "{message}");
    assert_eq!(store.get(&[name("own")]).await.unwrap().len(), 1);
}

#[test]
fn a_file_of_the_python_version_is_copied_and_examined_without_a_change() {
    let place = Place::new();
    std::fs::write(place.path(), PYTHON).unwrap();
    let expected = Contents { format: 0, jobs: 12, decisions: 0, firings: 0 };
    assert_eq!(examine(&place.path()).unwrap(), expected);
    assert_eq!(backup(&place.path(), &beside(&place, ".copy"), &|_, _| {}).unwrap(), expected);
    assert_eq!(std::fs::read(place.path()).unwrap(), PYTHON);
    assert!(!beside(&place, "-wal").exists() && !beside(&place, "-shm").exists());
}
