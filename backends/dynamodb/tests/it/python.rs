//! Tables of the Python version, before and after this store used them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ecs_scheduler_core::{
    JobStore as _, JobUid, Journal as _, ListFrom, Progress, Revision, Settled, StoreError, StoredJob,
    TickOutcome, Timestamp,
};
use ecs_scheduler_testing::ManualClock;
use serde_json::Value;

use crate::emulator::EmulatorKind;
use crate::help::{TestTables, at, document, draft, limit, name, new_job, settlement};

const FIXTURE: &str = include_str!("../fixtures/python-table.json");

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Returns the recorded items of the Python version: each name with its document.
fn recorded() -> BTreeMap<String, String> {
    let recorded: Value = serde_json::from_str(FIXTURE).unwrap();
    let items = recorded["items"].as_array().unwrap().iter();
    let text = |value: &Value| value["S"].as_str().unwrap().to_owned();
    items.map(|item| (text(&item["job-id"]), text(&item["json-data"]))).collect()
}

/// Creates a table with the recorded items of the Python version.
async fn python() -> TestTables {
    let tables = TestTables::on(EmulatorKind::Ministack);
    let recorded: Value = serde_json::from_str(FIXTURE).unwrap();
    tables.create_as_recorded(&recorded["table"]).await;
    for (id, text) in self::recorded() {
        tables.put(&id, &text).await;
    }
    tables
}

async fn open_at(tables: &TestTables, moment: i64) -> ecs_scheduler_backend_dynamodb::DynamoDbStore {
    tables.try_open(Arc::new(ManualClock::at(second(moment)))).await.unwrap()
}

async fn listed(store: &ecs_scheduler_backend_dynamodb::DynamoDbStore) -> Vec<StoredJob> {
    let list = store.list(ListFrom::Skip(0), limit(100)).await.unwrap();
    assert_eq!(list.total, list.jobs.len() as u64);
    list.jobs
}

fn texts(jobs: &[StoredJob]) -> BTreeMap<String, String> {
    jobs.iter().map(|job| (job.id.to_string(), job.document.get().to_owned())).collect()
}

#[tokio::test]
async fn jobs_of_the_python_version_are_listed_and_not_changed() {
    let tables = python().await;
    let store = open_at(&tables, 1000).await;
    let jobs = listed(&store).await;
    assert_eq!((jobs.len(), texts(&jobs)), (12, recorded()));
    assert!(jobs.is_sorted_by(|a, b| a.id < b.id), "the table has no order, so the jobs are ordered by name");
    for job in &jobs {
        assert_eq!(job.uid, JobUid::derived("dynamodb", &job.id));
        assert_eq!((job.revision, job.created, job.changed), (Revision(1), second(1000), second(1000)));
        assert_eq!(job.progress, Progress::default());
    }
    assert_eq!(tables.items().await, recorded(), "the items are unchanged, and have no other attribute");
    let again = listed(&open_at(&tables, 2000).await).await;
    assert!(again.iter().zip(&jobs).all(|(now, then)| now.uid == then.uid && now.changed == then.changed));
}

#[tokio::test]
async fn the_python_version_reads_our_documents() {
    let tables = python().await;
    let store = open_at(&tables, 1000).await;
    let text = r#"{"schedule": "0 0", "taskCount": 1, "timezone": "Europe/Zürich"}"#;
    store.create(new_job("ours", text)).await.unwrap();
    store.replace(&name("minimal"), Revision(1), document(text), second(5)).await.unwrap();
    store.remove(&name("wildcards"), None).await.unwrap();
    let job = listed(&store).await.remove(0);
    store.settle(vec![settlement(&job, vec![draft(TickOutcome::Idle, 1)])]).await.unwrap();
    let mut expected = recorded();
    expected.remove("wildcards");
    expected.insert("ours".to_owned(), text.to_owned());
    expected.insert("minimal".to_owned(), text.to_owned());
    assert_eq!(tables.items().await, expected);
}

#[tokio::test]
async fn a_document_that_the_python_version_changed_is_an_edit() {
    let tables = python().await;
    let store = open_at(&tables, 1000).await;
    let minimal = listed(&store).await.into_iter().find(|job| job.id == name("minimal")).unwrap();
    let settled = store.settle(vec![settlement(&minimal, vec![draft(TickOutcome::Idle, 1)])]).await.unwrap();
    assert!(matches!(settled[..], [Settled::Recorded(_)]));
    tables.put("minimal", r#"{"taskCount": 6}"#).await;
    let late = store.replace(&name("minimal"), Revision(1), document("{}"), second(9)).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "the edit is not overwritten: {late:?}");
    let edited = store.get(&[name("minimal")]).await.unwrap().remove(0);
    assert_eq!((edited.revision, edited.document.get()), (Revision(2), r#"{"taskCount": 6}"#));
    assert_eq!((edited.uid, edited.created, edited.changed), (minimal.uid, minimal.created, second(1000)));
    assert_eq!(edited.progress.settled, Some(at(1)));
    let place_of = |jobs: &[StoredJob]| jobs.iter().position(|job| job.id == name("minimal"));
    assert_eq!(place_of(&listed(&store).await), Some(3), "it keeps its position in the list");
}

#[tokio::test]
async fn documents_that_the_python_version_wrote_or_removed_are_found() {
    let tables = python().await;
    let store = open_at(&tables, 1000).await;
    tables.put("new", r#"{"taskCount": 5}"#).await;
    tables.put("everything", r#"{"taskCount": 7}"#).await;
    tables.delete("wildcards").await;
    assert_eq!(store.get(&[name("new")]).await.unwrap()[0].revision, Revision(1), "read by name");
    assert!(store.get(&[name("wildcards")]).await.unwrap().is_empty());
    tables.put("newer", "{}").await;
    tables.delete("minimal").await;
    let store = open_at(&tables, 2000).await;
    let jobs = listed(&store).await;
    assert_eq!(texts(&jobs), tables.items().await);
    let seen = |id: &str| {
        let job = jobs.iter().find(|job| job.id.as_str() == id).unwrap();
        (job.revision, job.created, job.changed)
    };
    assert_eq!(seen("new"), (Revision(1), second(1000), second(1000)));
    assert_eq!(seen("newer"), (Revision(1), second(2000), second(2000)));
    assert_eq!(seen("everything"), (Revision(2), second(1000), second(2000)));
    assert_eq!(jobs.last().unwrap().id, name("newer"));
    store.create(new_job("minimal", "{}")).await.unwrap();
}

#[tokio::test]
async fn an_item_that_is_not_a_job_is_skipped_and_not_changed() {
    let tables = python().await;
    tables.put("broken", "{not json").await;
    tables.put("bad name", "{}").await;
    for moment in [1000, 2000] {
        let store = open_at(&tables, moment).await;
        assert_eq!(listed(&store).await.len(), 12);
        assert!(store.get(&[name("broken")]).await.unwrap().is_empty());
        assert!(matches!(store.remove(&name("broken"), None).await, Err(StoreError::NotFound(_))));
        assert!(matches!(store.create(new_job("broken", "{}")).await, Err(StoreError::Exists(_))));
    }
    assert_eq!(tables.items().await["broken"], "{not json");
    tables.put("broken", "{}").await;
    let store = open_at(&tables, 3000).await;
    assert_eq!(listed(&store).await.len(), 13, "a corrected item is listed");
    tables.put("broken", "{not json").await;
    assert_eq!(listed(&store).await.len(), 12, "a broken item is not listed any more");
}
