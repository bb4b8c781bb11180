//! Files of the Python version, before and after we had them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::{
    JobStore, JobUid, ListFrom, Progress, Revision, Store, StoreError, StoredJob, Timestamp,
};

use crate::support::{Place, Stopped, name, new_job};

const FIXTURE: &[u8] = include_bytes!("../fixtures/python-jobs.db");

/// A place with the Python version's file in it.
fn python() -> Place {
    let place = Place::new();
    std::fs::write(place.path(), FIXTURE).unwrap();
    place
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

async fn open_at(place: &Place, second: i64) -> SqliteStore {
    let clock = Arc::new(Stopped(at(second)));
    place.try_open(SqliteOptions { clock, ..SqliteOptions::default() }).await.unwrap()
}

/// What the Python version reads: every row, in the order in which it reads them.
fn rows(place: &Place) -> Vec<(String, String)> {
    let connection = place.connection();
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
async fn its_jobs_are_listed_unchanged_and_in_order() {
    let place = python();
    let before = rows(&place);
    let store = open_at(&place, 1000).await;
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
    assert_eq!(rows(&place), before, "the rows are as they were");
    let again = listed(&open_at(&place, 2000).await).await;
    assert!(again.iter().zip(&jobs).all(|(now, then)| now.uid == then.uid && now.changed == then.changed));
}

#[tokio::test]
async fn it_reads_what_we_write() {
    let place = python();
    let store = open_at(&place, 1000).await;
    let text = r#"{"schedule": "0 0", "taskCount": 1, "timezone": "Europe/Zürich"}"#;
    store.create(new_job("ours", text)).await.unwrap();
    let minimal = &listed(&store).await[0];
    store.replace(&minimal.id, minimal.revision, new_job("x", text).document, at(5)).await.unwrap();
    store.remove(&name("wildcards"), None).await.unwrap();
    drop(store);
    let rows = rows(&place);
    assert_eq!(rows.len(), 12);
    assert_eq!(rows[0], ("minimal".to_owned(), text.to_owned()));
    assert_eq!(rows[11], ("ours".to_owned(), text.to_owned()));
}

#[tokio::test]
async fn what_it_changed_meanwhile_is_seen() {
    let place = python();
    drop(open_at(&place, 1000).await);
    place
        .connection()
        .execute_batch(
            r#"INSERT INTO jobs VALUES ('new', '{"taskCount": 5}');
               UPDATE jobs SET data = '{"taskCount": 6}' WHERE id = 'minimal';
               DELETE FROM jobs WHERE id = 'everything';
               INSERT INTO jobs(id, data) VALUES ('everything', '{"taskCount": 7}');"#,
        )
        .unwrap();
    let store = open_at(&place, 2000).await;
    let jobs = listed(&store).await;
    assert_eq!(texts(&jobs), rows(&place));
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
async fn a_row_that_is_not_json_is_left_out_and_left_alone() {
    let place = python();
    let insert = "INSERT INTO jobs VALUES ('broken', '{not json'), ('bad name', '{}'), ('blob', x'ff00'), ('fine', '{}')";
    place.connection().execute_batch(insert).unwrap();
    for second in [1000, 2000] {
        let store = open_at(&place, second).await;
        let jobs = listed(&store).await;
        assert_eq!(jobs.len(), 13);
        assert_eq!(jobs[12].id.as_str(), "fine");
        let last = store.list(ListFrom::Skip(12), 5.try_into().unwrap()).await.unwrap();
        assert_eq!(last.jobs.len(), 1);
        assert!(store.get(&[name("broken"), name("blob")]).await.unwrap().is_empty());
        assert!(matches!(store.remove(&name("broken"), None).await, Err(StoreError::NotFound(_))));
        assert!(matches!(store.create(new_job("broken", "{}")).await, Err(StoreError::Exists(_))));
    }
    let kept: i64 = place
        .connection()
        .query_row("SELECT count(*) FROM jobs WHERE data = '{not json' OR data = x'ff00'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(kept, 2);
    place.connection().execute_batch("UPDATE jobs SET data = '{}' WHERE id = 'broken'").unwrap();
    assert_eq!(listed(&open_at(&place, 3000).await).await.len(), 14, "a corrected row is listed");
}
