//! Files of the Python version, before and after this store opened them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::{
    JobStore, JobUid, ListFrom, Progress, Revision, Store, StoreError, StoredJob, Timestamp,
};
use ecs_scheduler_testing::ManualClock;

use crate::support::{StoreFile, name, new_job};

const FIXTURE: &[u8] = include_bytes!("../fixtures/python-jobs.db");

/// Writes the Python version's file.
fn python() -> StoreFile {
    let store_file = StoreFile::new();
    std::fs::write(store_file.path(), FIXTURE).unwrap();
    store_file
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

async fn open_at(store_file: &StoreFile, second: i64) -> SqliteStore {
    let clock = Arc::new(ManualClock::at(at(second)));
    store_file.try_open(SqliteOptions { clock, ..SqliteOptions::default() }).await.unwrap()
}

/// Reads every row as the Python version does, in its order.
fn rows(store_file: &StoreFile) -> Vec<(String, String)> {
    let connection = store_file.connection();
    let mut rows = connection.prepare("SELECT id, data FROM jobs ORDER BY rowid").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

async fn listed(store: &SqliteStore) -> Vec<StoredJob> {
    let list = store.list(ListFrom::Skip(0), NonZeroUsize::new(100).unwrap()).await.unwrap();
    assert_eq!(list.total, list.jobs.len() as u64);
    list.jobs
}

fn texts(jobs: &[StoredJob]) -> Vec<(String, String)> {
    jobs.iter().map(|job| (job.id.to_string(), job.document.get().to_owned())).collect()
}

#[tokio::test]
async fn python_jobs_are_listed_unchanged_and_in_order() {
    let store_file = python();
    let before = rows(&store_file);
    let store = open_at(&store_file, 1000).await;
    let jobs = listed(&store).await;
    assert_eq!((jobs.len(), texts(&jobs)), (12, before.clone()));
    assert_eq!((jobs[0].id.as_str(), jobs[11].id.as_str()), ("minimal", "UPDATED_9"));
    for job in &jobs {
        assert_eq!(job.uid, JobUid::derived("sqlite", &job.id));
        assert_eq!((job.revision, job.created, job.changed), (Revision(1), at(1000), at(1000)));
        assert_eq!(job.progress, Progress::default());
    }
    store.close().await.unwrap();
    drop(store);
    assert_eq!(rows(&store_file), before, "the rows are as they were");
    let again = listed(&open_at(&store_file, 2000).await).await;
    assert!(again.iter().zip(&jobs).all(|(now, then)| now.uid == then.uid && now.changed == then.changed));
}

#[tokio::test]
async fn jobs_written_here_are_readable_by_the_python_version() {
    let store_file = python();
    let store = open_at(&store_file, 1000).await;
    let text = r#"{"schedule": "0 0", "taskCount": 1, "timezone": "Europe/Zürich"}"#;
    store.create(new_job("ours", text)).await.unwrap();
    let minimal = &listed(&store).await[0];
    store.replace(&minimal.id, minimal.revision, new_job("x", text).document, at(5)).await.unwrap();
    store.remove(&name("wildcards"), None).await.unwrap();
    drop(store);
    let rows = rows(&store_file);
    assert_eq!(rows.len(), 12);
    assert_eq!(rows[0], ("minimal".to_owned(), text.to_owned()));
    assert_eq!(rows[11], ("ours".to_owned(), text.to_owned()));
}

#[tokio::test]
async fn edits_by_the_python_version_are_reconciled_at_the_next_start() {
    let store_file = python();
    drop(open_at(&store_file, 1000).await);
    store_file
        .connection()
        .execute_batch(
            r#"INSERT INTO jobs VALUES ('new', '{"taskCount": 5}');
               UPDATE jobs SET data = '{"taskCount": 6}' WHERE id = 'minimal';
               DELETE FROM jobs WHERE id = 'everything';
               INSERT INTO jobs(id, data) VALUES ('everything', '{"taskCount": 7}');"#,
        )
        .unwrap();
    let store = open_at(&store_file, 2000).await;
    let jobs = listed(&store).await;
    assert_eq!(texts(&jobs), rows(&store_file));
    let seen = |id: &str| {
        let job = jobs.iter().find(|job| job.id.as_str() == id).unwrap();
        (job.revision, job.created, job.changed)
    };
    assert_eq!(seen("minimal"), (Revision(2), at(1000), at(2000)));
    assert_eq!(seen("new"), (Revision(1), at(2000), at(2000)));
    assert_eq!(seen("everything"), (Revision(1), at(2000), at(2000)));
    assert_eq!(seen("wildcards"), (Revision(1), at(1000), at(1000)));
    assert_eq!(jobs.last().unwrap().id.as_str(), "everything");
}

#[tokio::test]
async fn row_that_is_not_json_is_skipped_and_unchanged() {
    let store_file = python();
    let insert = "INSERT INTO jobs VALUES ('broken', '{not json'), ('bad name', '{}'), ('blob', x'ff00'), ('fine', '{}')";
    store_file.connection().execute_batch(insert).unwrap();
    for second in [1000, 2000] {
        let store = open_at(&store_file, second).await;
        let jobs = listed(&store).await;
        assert_eq!(jobs.len(), 13);
        assert_eq!(jobs[12].id.as_str(), "fine");
        let last = store.list(ListFrom::Skip(12), 5.try_into().unwrap()).await.unwrap();
        assert_eq!(last.jobs.len(), 1);
        assert!(store.get(&[name("broken"), name("blob")]).await.unwrap().is_empty());
        assert!(matches!(store.remove(&name("broken"), None).await, Err(StoreError::NotFound(_))));
        assert!(matches!(store.create(new_job("broken", "{}")).await, Err(StoreError::Exists(_))));
    }
    let kept: i64 = store_file
        .connection()
        .query_row("SELECT count(*) FROM jobs WHERE data = '{not json' OR data = x'ff00'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(kept, 2);
    store_file.connection().execute_batch("UPDATE jobs SET data = '{}' WHERE id = 'broken'").unwrap();
    assert_eq!(listed(&open_at(&store_file, 3000).await).await.len(), 14, "a corrected row is listed");
}
