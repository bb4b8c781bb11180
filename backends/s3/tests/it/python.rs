//! Buckets that the Python version wrote.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use ecs_scheduler_core::{JobStore as _, ListFrom, Revision, Store as _};
use serde_json::{Value, json};

use crate::bucket::{Site, new_job};
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

async fn filled(prefix: &'static str) -> (Site, BTreeMap<String, String>) {
    let site = Site { prefix, ..Site::at(moto().await) };
    site.create().await;
    let objects = recorded(prefix);
    for (key, body) in &objects {
        site.put(key, body).await;
    }
    (site, objects)
}

async fn stored(site: &Site) -> BTreeMap<String, Value> {
    let store = site.try_open().await.unwrap();
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
async fn a_bucket_of_the_python_version_opens_with_no_job_lost_or_changed() {
    for (prefix, folder) in [("jobs/prod", "jobs/prod/"), ("jobs/prod/", "jobs/prod/"), ("", "")] {
        let (site, objects) = filled(prefix).await;
        let jobs = stored(&site).await;
        assert_eq!(jobs.len(), 12, "{prefix:?}");
        assert_eq!(jobs, expected(&objects, folder), "{prefix:?}");
        for (key, body) in &objects {
            assert_eq!(site.get(key).await.as_ref(), Some(body), "{key} is as it was");
        }
        assert_eq!(stored(&site).await, jobs, "and the same once more");
    }
}

#[tokio::test]
async fn documents_that_did_not_change_are_not_read_again() {
    let (site, _) = filled("jobs/prod").await;
    stored(&site).await;
    let other = site.behind(moto().await);
    stored(&other).await;
    // Its claim and that of the opening before, and those documents that were noted behind the first.
    assert!(other.calls("GetObject") <= 3, "{} reads", other.calls("GetObject"));
}

#[tokio::test]
async fn what_is_written_is_what_the_python_version_would_have_written() {
    let (site, objects) = filled("jobs/prod").await;
    let store = site.try_open().await.unwrap();
    for (key, body) in &objects {
        let Some(name) = key.strip_prefix("jobs/prod/").and_then(|name| name.strip_suffix(".json")) else {
            continue;
        };
        if name.contains('/') {
            continue;
        }
        let value: Value = serde_json::from_str(body).unwrap();
        store.create(new_job(&format!("again-{name}"), &value.to_string())).await.unwrap();
        assert_eq!(site.get(&format!("jobs/prod/again-{name}.json")).await.as_ref(), Some(body));
    }
    let document = json!({ "taskDefinition": "Grüße", "schedule": "*", "taskCount": 3 }).to_string();
    let job = store.create(new_job("edited", r#"{"b": 1}"#)).await.unwrap();
    let document = new_job("edited", &document).document;
    let job = store.replace(&job.id, job.revision, document.clone(), job.changed).await.unwrap();
    assert_eq!(job.document.get(), document.get(), "here it stays to the letter");
    let body = site.get("jobs/prod/edited.json").await.unwrap();
    assert_eq!(body, r#"{"schedule": "*", "taskCount": 3, "taskDefinition": "Gr\u00fc\u00dfe"}"#);
}

#[tokio::test]
async fn what_the_python_version_changes_between_two_starts_is_taken_over() {
    let (site, _) = filled("jobs/prod").await;
    stored(&site).await;
    let document = r#"{"schedule": "0", "taskCount": 5, "taskDefinition": "minimal"}"#;
    site.put("jobs/prod/minimal.json", document).await;
    site.put("jobs/prod/new.json", document).await;
    let client = site.client().await;
    client.delete_object().bucket(&site.bucket).key("jobs/prod/wildcards.json").send().await.unwrap();
    let store = site.try_open().await.unwrap();
    let names = ["minimal", "new", "wildcards"].map(|name| ecs_scheduler_core::JobId::new(name).unwrap());
    let found = store.get(&names).await.unwrap();
    let found: Vec<_> =
        found.iter().map(|job| (job.id.as_str(), job.revision.0, job.document.get())).collect();
    assert_eq!(found, [("minimal", 2, document), ("new", 1, document)]);
}
