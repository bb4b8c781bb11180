//! Tables of the Python version, before and after we had them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ecs_scheduler_core::{
    JobStore as _, JobUid, Journal as _, ListFrom, Outcome, Progress, Revision, Settled, StoreError,
    StoredJob, Timestamp,
};
use serde_json::Value;

use crate::emulator::Kind;
use crate::help::{Place, Stopped, at, document, draft, limit, name, new_job, settlement};

const FIXTURE: &str = include_str!("../fixtures/python-table.json");

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// What the Python version wrote: each name with its text.
fn recorded() -> BTreeMap<String, String> {
    let recorded: Value = serde_json::from_str(FIXTURE).unwrap();
    let items = recorded["items"].as_array().unwrap().iter();
    let text = |value: &Value| value["S"].as_str().unwrap().to_owned();
    items.map(|item| (text(&item["job-id"]), text(&item["json-data"]))).collect()
}

/// A place with the Python version's table in it, made as it was recorded.
async fn python() -> Place {
    let place = Place::on(Kind::Ministack);
    let recorded: Value = serde_json::from_str(FIXTURE).unwrap();
    place.create_as_recorded(&recorded["table"]).await;
    for (id, text) in self::recorded() {
        place.put(&id, &text).await;
    }
    place
}

async fn open_at(place: &Place, moment: i64) -> ecs_scheduler_backend_dynamodb::DynamoDbStore {
    place.try_open(Arc::new(Stopped(second(moment)))).await.unwrap()
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
async fn its_jobs_are_listed_unchanged_and_stay_as_they_are() {
    let place = python().await;
    let store = open_at(&place, 1000).await;
    let jobs = listed(&store).await;
    assert_eq!((jobs.len(), texts(&jobs)), (12, recorded()));
    assert!(jobs.is_sorted_by(|a, b| a.id < b.id), "its table has no order, so the names give one");
    for job in &jobs {
        assert_eq!(job.uid, JobUid::derived("dynamodb", &job.id));
        assert_eq!((job.revision, job.created, job.changed), (Revision(1), second(1000), second(1000)));
        assert_eq!(job.progress, Progress::default());
    }
    assert_eq!(place.items().await, recorded(), "the items are as they were, and have no other attribute");
    let again = listed(&open_at(&place, 2000).await).await;
    assert!(again.iter().zip(&jobs).all(|(now, then)| now.uid == then.uid && now.changed == then.changed));
}

#[tokio::test]
async fn it_reads_what_we_write() {
    let place = python().await;
    let store = open_at(&place, 1000).await;
    let text = r#"{"schedule": "0 0", "taskCount": 1, "timezone": "Europe/Zürich"}"#;
    store.create(new_job("ours", text)).await.unwrap();
    store.replace(&name("minimal"), Revision(1), document(text), second(5)).await.unwrap();
    store.remove(&name("wildcards"), None).await.unwrap();
    let job = listed(&store).await.remove(0);
    store.settle(vec![settlement(&job, vec![draft(Outcome::Idle, 1)])]).await.unwrap();
    let mut expected = recorded();
    expected.remove("wildcards");
    expected.insert("ours".to_owned(), text.to_owned());
    expected.insert("minimal".to_owned(), text.to_owned());
    assert_eq!(place.items().await, expected);
}

#[tokio::test]
async fn what_it_changed_is_an_edit_and_nothing_else_is_lost() {
    let place = python().await;
    let store = open_at(&place, 1000).await;
    let minimal = listed(&store).await.into_iter().find(|job| job.id == name("minimal")).unwrap();
    let settled = store.settle(vec![settlement(&minimal, vec![draft(Outcome::Idle, 1)])]).await.unwrap();
    assert!(matches!(settled[..], [Settled::Recorded(_)]));
    place.put("minimal", r#"{"taskCount": 6}"#).await;
    let late = store.replace(&name("minimal"), Revision(1), document("{}"), second(9)).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "its edit is not overwritten: {late:?}");
    let edited = store.get(&[name("minimal")]).await.unwrap().remove(0);
    assert_eq!((edited.revision, edited.document.get()), (Revision(2), r#"{"taskCount": 6}"#));
    assert_eq!((edited.uid, edited.created, edited.changed), (minimal.uid, minimal.created, second(1000)));
    assert_eq!(edited.progress.settled, Some(at(1)));
    let place_of = |jobs: &[StoredJob]| jobs.iter().position(|job| job.id == name("minimal"));
    assert_eq!(place_of(&listed(&store).await), Some(3), "it keeps its place in the list");
}

#[tokio::test]
async fn what_it_wrote_or_removed_meanwhile_is_seen() {
    let place = python().await;
    let store = open_at(&place, 1000).await;
    place.put("new", r#"{"taskCount": 5}"#).await;
    place.put("everything", r#"{"taskCount": 7}"#).await;
    place.delete("wildcards").await;
    assert_eq!(store.get(&[name("new")]).await.unwrap()[0].revision, Revision(1), "asked for by name");
    assert!(store.get(&[name("wildcards")]).await.unwrap().is_empty());
    place.put("newer", "{}").await;
    place.delete("minimal").await;
    let store = open_at(&place, 2000).await;
    let jobs = listed(&store).await;
    assert_eq!(texts(&jobs), place.items().await);
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
async fn an_item_that_is_no_job_is_left_out_and_left_alone() {
    let place = python().await;
    place.put("broken", "{not json").await;
    place.put("bad name", "{}").await;
    for moment in [1000, 2000] {
        let store = open_at(&place, moment).await;
        assert_eq!(listed(&store).await.len(), 12);
        assert!(store.get(&[name("broken")]).await.unwrap().is_empty());
        assert!(matches!(store.remove(&name("broken"), None).await, Err(StoreError::NotFound(_))));
        assert!(matches!(store.create(new_job("broken", "{}")).await, Err(StoreError::Exists(_))));
    }
    assert_eq!(place.items().await["broken"], "{not json");
    place.put("broken", "{}").await;
    let store = open_at(&place, 3000).await;
    assert_eq!(listed(&store).await.len(), 13, "a corrected item is listed");
    place.put("broken", "{not json").await;
    assert_eq!(listed(&store).await.len(), 12, "and is not any more when it is broken again");
}
