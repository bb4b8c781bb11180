//! The index of the Python version, before and after this store has opened it.

use std::collections::BTreeMap;

use ecs_scheduler_core::{JobStore as _, Progress, Revision, Store as _};
use serde_json::{Value, json};

use crate::fixture::{TestCluster, at, document, fault_chain, listed, name, new_job};

const FIXTURE: &str = include_str!("../fixtures/python-jobs.json");

fn recorded() -> BTreeMap<String, Value> {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    serde_json::from_value(fixture["docs"].clone()).unwrap()
}

/// A cluster with the index of the Python version: three shards, dynamic mapping, an alias.
async fn python_cluster() -> TestCluster {
    let cluster = TestCluster::new().await;
    cluster.fake.with_state(|state| {
        let body = json!({ "settings": { "index": { "number_of_shards": 3 } }, "aliases": { "jobs": {} } });
        state.create("jobs-20240101-101010", &body);
        for (id, fields) in recorded() {
            state.index("jobs").restore(&id, &fields.to_string());
        }
    });
    cluster
}

/// Every document, as the Python version reads it.
fn documents(cluster: &TestCluster) -> BTreeMap<String, Value> {
    cluster.fake.with_state(|state| {
        let docs = state.index("jobs").docs().iter();
        docs.map(|(id, doc)| (id.clone(), serde_json::from_str(&doc.source).unwrap())).collect()
    })
}

#[tokio::test]
async fn jobs_of_the_python_version_are_listed_unchanged() {
    let cluster = python_cluster().await;
    let before = documents(&cluster);
    assert_eq!(before, recorded());
    let store = cluster.store().await;
    let jobs = listed(&store).await;
    assert_eq!(jobs.len(), 12);
    for job in &jobs {
        let text: Value = serde_json::from_str(job.document.get()).unwrap();
        assert_eq!(text, before[job.id.as_str()]);
        assert_eq!((job.revision, &job.progress), (Revision(1), &Progress::default()));
    }
    store.close().await.unwrap();
    assert_eq!(documents(&cluster), before, "the documents are as they were");
    let again = listed(&cluster.store().await).await;
    assert!(again.iter().zip(&jobs).all(|(now, then)| now.uid == then.uid && now.changed == then.changed));
    let writes = cluster.fake.count("PUT /jobs/_doc") + cluster.fake.count("PUT /jobs/_create");
    assert_eq!(writes, 0, "no document was written");
}

#[tokio::test]
async fn written_documents_have_the_shape_of_the_python_version() {
    let cluster = python_cluster().await;
    let store = cluster.store().await;
    let text = r#"{"schedule": "0 0", "taskCount": 1, "taskDefinition": "ours"}"#;
    store.create(new_job("ours", text)).await.unwrap();
    store.replace(&name("minimal"), Revision(1), document(text), at(5)).await.unwrap();
    store.remove(&name("wildcards"), None).await.unwrap();
    let mut expected = recorded();
    let ours: Value = serde_json::from_str(text).unwrap();
    expected.insert("ours".to_owned(), ours.clone());
    expected.insert("minimal".to_owned(), ours);
    expected.remove("wildcards");
    assert_eq!(documents(&cluster), expected);
    let kept = cluster.fake.with_state(|state| state.index("jobs").docs()["ours"].source.clone());
    assert_eq!(kept, text, "the text is unchanged");
}

#[tokio::test]
async fn changes_by_the_python_version_are_seen() {
    let cluster = python_cluster().await;
    cluster.store().await.close().await.unwrap();
    cluster.fake.with_state(|state| {
        let index = state.index("jobs");
        let any = ecs_scheduler_fake_elasticsearch::WriteCondition::Unconditional;
        index.put("new", r#"{"taskCount": 5}"#, any);
        index.put("minimal", r#"{"taskCount": 6}"#, any);
        index.delete("everything", any);
    });
    let jobs = listed(&cluster.store().await).await;
    let seen = |id: &str| {
        jobs.iter().find(|job| job.id.as_str() == id).map(|job| (job.revision, job.document.get()))
    };
    assert_eq!(jobs.len(), 12);
    assert_eq!(seen("new"), Some((Revision(1), r#"{"taskCount": 5}"#)));
    assert_eq!(seen("minimal"), Some((Revision(2), r#"{"taskCount": 6}"#)));
    assert_eq!(seen("everything"), None);
}

#[tokio::test]
async fn types_of_new_fields_are_no_longer_derived() {
    let cluster = python_cluster().await;
    let store = cluster.store().await;
    // The label is a number in one job and a text in the next.
    for (id, label) in [("one", "5"), ("two", "\"five\"")] {
        let text = format!(r#"{{"taskDefinition": "x", "labels": {{"size": {label}}}}}"#);
        store.create(new_job(id, &text)).await.unwrap();
    }
}

#[tokio::test]
async fn field_of_another_type_is_refused_with_the_remedy() {
    let cluster = python_cluster().await;
    let store = cluster.store().await;
    let error = store.create(new_job("late", r#"{"taskCount": "many"}"#)).await.unwrap_err();
    let message = fault_chain(&error);
    for part in ["could not write job \"late\" in index \"jobs\"", "reindex", "[taskCount] of type [long]"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(listed(&store).await.len(), 12);
}

#[tokio::test]
async fn document_over_the_limit_of_fields_is_refused_with_the_remedy() {
    let cluster = python_cluster().await;
    cluster.fake.with_state(|state| state.denied.insert("indices:admin/mapping/put"));
    let store = cluster.store().await;
    let labels: serde_json::Map<_, _> = (0..600).map(|n| (format!("label-{n}"), json!("x"))).collect();
    let text = json!({ "taskDefinition": "x", "labels": labels }).to_string();
    let message = fault_chain(&store.create(new_job("wide", &text)).await.unwrap_err());
    assert!(message.contains("limit of fields") && message.contains("reindex"), "{message}");
    assert_eq!(listed(&store).await.len(), 12);
}

#[tokio::test]
async fn field_with_the_derived_type_date_refuses_the_next_text() {
    let cluster = python_cluster().await;
    cluster.fake.with_state(|state| state.denied.insert("indices:admin/mapping/put"));
    let store = cluster.store().await;
    let labelled = |day: &str| json!({ "taskDefinition": "x", "labels": { "since": day } }).to_string();
    store.create(new_job("one", &labelled("2024-01-31"))).await.unwrap();
    let message = fault_chain(&store.create(new_job("two", &labelled("always"))).await.unwrap_err());
    assert!(message.contains("[labels.since] of type [date]") && message.contains("reindex"), "{message}");
}

#[tokio::test]
async fn document_with_an_invalid_job_id_is_ignored_and_left_unchanged() {
    let cluster = python_cluster().await;
    cluster.fake.with_state(|state| {
        state.index("jobs").put("not a job", "{}", ecs_scheduler_fake_elasticsearch::WriteCondition::Absent)
    });
    let store = cluster.store().await;
    assert_eq!(listed(&store).await.len(), 12);
    assert!(documents(&cluster).contains_key("not a job"));
}

#[tokio::test]
async fn reading_shows_jobs_of_the_python_version_and_writes_nothing() {
    let cluster = python_cluster().await;
    let seen = cluster.options().open_read_only().await.unwrap();
    let list = seen.list(ecs_scheduler_core::ListFrom::Skip(0), 100.try_into().unwrap()).await.unwrap();
    assert_eq!(list.total, 12);
    assert_eq!(cluster.fake.count("PUT"), 0);
    assert_eq!(cluster.options().diagnose().await.problem, None);
    assert_eq!(cluster.fake.with_state(|state| state.names().len()), 1, "no journal was created");
}
