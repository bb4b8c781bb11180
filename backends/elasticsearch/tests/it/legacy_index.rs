//! The index of the Python version, before and after we had it.

use std::collections::BTreeMap;

use ecs_scheduler_core::{JobStore as _, Progress, Revision, Store as _};
use serde_json::{Value, json};

use crate::fixture::{Place, at, document, fault, listed, name, new_job};

const FIXTURE: &str = include_str!("../fixtures/python-jobs.json");

fn recorded() -> BTreeMap<String, Value> {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    serde_json::from_value(fixture["docs"].clone()).unwrap()
}

/// A cluster with the Python version's index: three shards, types guessed, an alias.
async fn python() -> Place {
    let place = Place::new().await;
    place.fake.world(|world| {
        let body = json!({ "settings": { "index": { "number_of_shards": 3 } }, "aliases": { "jobs": {} } });
        world.create("jobs-20240101-101010", &body);
        for (id, fields) in recorded() {
            world.index("jobs").restore(&id, &fields.to_string());
        }
    });
    place
}

/// What the Python version reads: every document.
fn documents(place: &Place) -> BTreeMap<String, Value> {
    place.fake.world(|world| {
        let docs = world.index("jobs").docs().iter();
        docs.map(|(id, doc)| (id.clone(), serde_json::from_str(&doc.source).unwrap())).collect()
    })
}

#[tokio::test]
async fn its_jobs_are_listed_unchanged() {
    let place = python().await;
    let before = documents(&place);
    assert_eq!(before, recorded());
    let store = place.store().await;
    let jobs = listed(&store).await;
    assert_eq!(jobs.len(), 12);
    for job in &jobs {
        let text: Value = serde_json::from_str(job.document.get()).unwrap();
        assert_eq!(text, before[job.id.as_str()]);
        assert_eq!((job.revision, &job.progress), (Revision(1), &Progress::default()));
    }
    store.close().await.unwrap();
    assert_eq!(documents(&place), before, "the documents are as they were");
    let again = listed(&place.store().await).await;
    assert!(again.iter().zip(&jobs).all(|(now, then)| now.uid == then.uid && now.changed == then.changed));
    let writes = place.fake.count("PUT /jobs/_doc") + place.fake.count("PUT /jobs/_create");
    assert_eq!(writes, 0, "no document was written");
}

#[tokio::test]
async fn what_we_write_has_the_same_shape() {
    let place = python().await;
    let store = place.store().await;
    let text = r#"{"schedule": "0 0", "taskCount": 1, "taskDefinition": "ours"}"#;
    store.create(new_job("ours", text)).await.unwrap();
    store.replace(&name("minimal"), Revision(1), document(text), at(5)).await.unwrap();
    store.remove(&name("wildcards"), None).await.unwrap();
    let mut expected = recorded();
    let ours: Value = serde_json::from_str(text).unwrap();
    expected.insert("ours".to_owned(), ours.clone());
    expected.insert("minimal".to_owned(), ours);
    expected.remove("wildcards");
    assert_eq!(documents(&place), expected);
    let kept = place.fake.world(|world| world.index("jobs").docs()["ours"].source.clone());
    assert_eq!(kept, text, "to the letter");
}

#[tokio::test]
async fn what_it_changed_meanwhile_is_seen() {
    let place = python().await;
    place.store().await.close().await.unwrap();
    place.fake.world(|world| {
        let index = world.index("jobs");
        let any = ecs_scheduler_fake_elasticsearch::Demand::Nothing;
        index.put("new", r#"{"taskCount": 5}"#, any);
        index.put("minimal", r#"{"taskCount": 6}"#, any);
        index.delete("everything", any);
    });
    let jobs = listed(&place.store().await).await;
    let seen = |id: &str| {
        jobs.iter().find(|job| job.id.as_str() == id).map(|job| (job.revision, job.document.get()))
    };
    assert_eq!(jobs.len(), 12);
    assert_eq!(seen("new"), Some((Revision(1), r#"{"taskCount": 5}"#)));
    assert_eq!(seen("minimal"), Some((Revision(2), r#"{"taskCount": 6}"#)));
    assert_eq!(seen("everything"), None);
}

#[tokio::test]
async fn types_of_new_fields_are_no_longer_guessed() {
    let place = python().await;
    let store = place.store().await;
    // A label that looks like a number in one job and like none in the next.
    for (id, label) in [("one", "5"), ("two", "\"five\"")] {
        let text = format!(r#"{{"taskDefinition": "x", "labels": {{"size": {label}}}}}"#);
        store.create(new_job(id, &text)).await.unwrap();
    }
}

#[tokio::test]
async fn a_field_whose_type_was_guessed_wrongly_says_so() {
    let place = python().await;
    let store = place.store().await;
    let error = store.create(new_job("late", r#"{"taskCount": "many"}"#)).await.unwrap_err();
    let message = fault(&error);
    for part in ["could not write job \"late\" in index \"jobs\"", "reindex", "[taskCount] of type [long]"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(listed(&store).await.len(), 12);
}

#[tokio::test]
async fn a_document_with_one_field_too_many_for_guessing_says_so() {
    let place = python().await;
    place.fake.world(|world| world.denied.insert("indices:admin/mapping/put"));
    let store = place.store().await;
    let labels: serde_json::Map<_, _> = (0..600).map(|n| (format!("label-{n}"), json!("x"))).collect();
    let text = json!({ "taskDefinition": "x", "labels": labels }).to_string();
    let message = fault(&store.create(new_job("wide", &text)).await.unwrap_err());
    assert!(message.contains("more fields than it may have") && message.contains("reindex"), "{message}");
    assert_eq!(listed(&store).await.len(), 12);
}

#[tokio::test]
async fn a_date_that_was_guessed_refuses_the_next_text() {
    let place = python().await;
    place.fake.world(|world| world.denied.insert("indices:admin/mapping/put"));
    let store = place.store().await;
    let labelled = |day: &str| json!({ "taskDefinition": "x", "labels": { "since": day } }).to_string();
    store.create(new_job("one", &labelled("2024-01-31"))).await.unwrap();
    let message = fault(&store.create(new_job("two", &labelled("always"))).await.unwrap_err());
    assert!(message.contains("[labels.since] of type [date]") && message.contains("reindex"), "{message}");
}

#[tokio::test]
async fn a_document_whose_id_no_job_can_have_is_left_out_and_left_alone() {
    let place = python().await;
    place.fake.world(|world| {
        world.index("jobs").put("not a job", "{}", ecs_scheduler_fake_elasticsearch::Demand::Absent)
    });
    let store = place.store().await;
    assert_eq!(listed(&store).await.len(), 12);
    assert!(documents(&place).contains_key("not a job"));
}

#[tokio::test]
async fn looking_shows_its_jobs_and_writes_nothing() {
    let place = python().await;
    let seen = place.options().look().await.unwrap();
    let list = seen.list(ecs_scheduler_core::ListFrom::Skip(0), 100.try_into().unwrap()).await.unwrap();
    assert_eq!(list.total, 12);
    assert_eq!(place.fake.count("PUT"), 0);
    assert_eq!(place.options().examine().await.problem, None);
    assert_eq!(place.fake.world(|world| world.names().len()), 1, "no journal was made");
}
