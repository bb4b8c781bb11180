//! Buckets that the Python version wrote.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use ecs_scheduler_core::{JobStore as _, ListFrom, Revision, Store as _};
use serde_json::{Value, json};

use crate::bucket::{TestBucket, new_job};
use crate::emulator::moto;

/// The recorded bucket with a prefix, in which other keys lie too, or without.
fn recorded(prefix: &str) -> BTreeMap<String, String> {
    let recorded: Value = serde_json::from_str(include_str!("../fixtures/python-bucket.json")).unwrap();
    let lists = recorded.as_object().unwrap();
    let wanted = if prefix.is_empty() { "without_prefix" } else { "with_prefix" };
    let (_, list) = lists.iter().find(|(name, _)| name.starts_with(wanted)).unwrap();
    let text = |object: &Value, member: &str| object[member].as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(|object| (text(object, "key"), text(object, "body"))).collect()
}

async fn filled(prefix: &'static str) -> (TestBucket, BTreeMap<String, String>) {
    let bucket = TestBucket { prefix, ..TestBucket::at(moto().await) };
    bucket.create().await;
    let objects = recorded(prefix);
    for (key, body) in &objects {
        bucket.put(key, body).await;
    }
    (bucket, objects)
}

async fn stored(bucket: &TestBucket) -> BTreeMap<String, Value> {
    let store = bucket.try_open().await.unwrap();
    let list = store.list(ListFrom::Skip(0), NonZeroUsize::MAX).await.unwrap();
    store.close().await.unwrap();
    list.jobs
        .into_iter()
        .map(|job| {
            assert_eq!(job.revision, Revision::FIRST);
            (job.id.to_string(), serde_json::from_str(job.document.get()).unwrap())
        })
        .collect()
}

fn expected(objects: &BTreeMap<String, String>, folder: &str) -> BTreeMap<String, Value> {
    let names = objects.iter().filter_map(|(key, body)| {
        let name = key.strip_prefix(folder)?.strip_suffix(".json").filter(|name| !name.contains('/'))?;
        Some((name.to_owned(), serde_json::from_str(body).unwrap()))
    });
    names.collect()
}

#[tokio::test]
async fn a_bucket_of_the_python_version_opens_with_every_job_unchanged() {
    for (prefix, folder) in [("jobs/prod", "jobs/prod/"), ("jobs/prod/", "jobs/prod/"), ("", "")] {
        let (bucket, objects) = filled(prefix).await;
        let jobs = stored(&bucket).await;
        assert_eq!(jobs.len(), 12, "{prefix:?}");
        assert_eq!(jobs, expected(&objects, folder), "{prefix:?}");
        for (key, body) in &objects {
            assert_eq!(bucket.get(key).await.as_ref(), Some(body), "{key} is unchanged");
        }
        assert_eq!(stored(&bucket).await, jobs, "and the same once more");
    }
}

#[tokio::test]
async fn unchanged_documents_are_not_read_again() {
    let (bucket, _) = filled("jobs/prod").await;
    stored(&bucket).await;
    let other = bucket.behind(moto().await);
    stored(&other).await;
    // The claims of both openings, and the segment that records the documents.
    assert!(other.calls("GetObject") <= 3, "{} reads", other.calls("GetObject"));
}

#[tokio::test]
async fn documents_are_written_as_the_python_version_writes_them() {
    let (bucket, objects) = filled("jobs/prod").await;
    let store = bucket.try_open().await.unwrap();
    for (key, body) in &objects {
        let Some(name) = key.strip_prefix("jobs/prod/").and_then(|name| name.strip_suffix(".json")) else {
            continue;
        };
        if name.contains('/') {
            continue;
        }
        let value: Value = serde_json::from_str(body).unwrap();
        store.create(new_job(&format!("again-{name}"), &value.to_string())).await.unwrap();
        assert_eq!(bucket.get(&format!("jobs/prod/again-{name}.json")).await.as_ref(), Some(body));
    }
    let document = json!({ "taskDefinition": "Grüße", "schedule": "*", "taskCount": 3 }).to_string();
    let job = store.create(new_job("edited", r#"{"b": 1}"#)).await.unwrap();
    let document = new_job("edited", &document).document;
    let job = store.replace(&job.id, job.revision, document.clone(), job.changed).await.unwrap();
    assert_eq!(job.document.get(), document.get(), "the store returns the document unchanged");
    let body = bucket.get("jobs/prod/edited.json").await.unwrap();
    assert_eq!(body, r#"{"schedule": "*", "taskCount": 3, "taskDefinition": "Gr\u00fc\u00dfe"}"#);
}

#[tokio::test]
async fn edits_of_the_python_version_between_two_starts_are_imported() {
    let (bucket, _) = filled("jobs/prod").await;
    stored(&bucket).await;
    let document = r#"{"schedule": "0", "taskCount": 5, "taskDefinition": "minimal"}"#;
    bucket.put("jobs/prod/minimal.json", document).await;
    bucket.put("jobs/prod/new.json", document).await;
    let client = bucket.client().await;
    client.delete_object().bucket(&bucket.name).key("jobs/prod/wildcards.json").send().await.unwrap();
    let store = bucket.try_open().await.unwrap();
    let names = ["minimal", "new", "wildcards"].map(|name| ecs_scheduler_core::JobId::new(name).unwrap());
    let found = store.get(&names).await.unwrap();
    let found: Vec<_> =
        found.iter().map(|job| (job.id.as_str(), job.revision.0, job.document.get())).collect();
    assert_eq!(found, [("minimal", 2, document), ("new", 1, document)]);
}
