//! Documents that the Python version, or a person, writes beside the store.

use ecs_scheduler_core::{FaultKind, JobStore as _, ListFrom, Revision, Store as _, StoreError};
use std::num::NonZeroUsize;

use crate::backend::{Fault, Place};
use crate::sample::{FIRST, SECOND, create, document, get, name, replace};

const OTHER: &str = r#"{"taskCount": 7}"#;

#[tokio::test]
async fn documents_that_were_there_before_become_jobs_in_the_order_of_their_names() {
    let place = Place::default();
    for id in ["c", "a", "b"] {
        place.put(id, FIRST);
    }
    let store = place.try_open().await.unwrap();
    let list = store.list(ListFrom::Skip(0), NonZeroUsize::MAX).await.unwrap();
    let ids: Vec<_> = list.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert!(list.jobs.iter().all(|job| job.revision == Revision::FIRST && job.document.get() == FIRST));
}

#[tokio::test]
async fn documents_of_the_noted_version_are_not_read_again() {
    let place = Place::default();
    place.put("a", FIRST);
    let store = place.try_open().await.unwrap();
    let uid = get(&store, "a").await.unwrap().uid;
    create(&store, "b").await.unwrap();
    store.close().await.unwrap();
    assert_eq!(place.inner().reads, 1);
    let store = place.try_open().await.unwrap();
    assert_eq!(place.inner().reads, 1);
    assert_eq!(get(&store, "a").await.unwrap().uid, uid, "it is the same job");
}

#[tokio::test]
async fn what_others_did_while_the_store_was_closed_is_taken_over() {
    let place = Place::default();
    let store = place.try_open().await.unwrap();
    for id in ["changed", "removed", "rewritten"] {
        create(&store, id).await.unwrap();
    }
    store.close().await.unwrap();
    place.put("changed", OTHER);
    place.put("rewritten", r#"{ "taskCount" : 1 }"#);
    place.put("new", SECOND);
    place.take("removed");
    let store = place.try_open().await.unwrap();
    let changed = get(&store, "changed").await.unwrap();
    assert_eq!((changed.revision, changed.document.get()), (Revision(2), OTHER));
    let rewritten = get(&store, "rewritten").await.unwrap();
    assert_eq!((rewritten.revision, rewritten.document.get()), (Revision(1), FIRST), "it says the same");
    assert_eq!(get(&store, "new").await.unwrap().document.get(), SECOND);
    assert!(get(&store, "removed").await.is_none());
    for id in ["changed", "rewritten"] {
        let job = get(&store, id).await.unwrap();
        store.replace(&job.id, job.revision, document(SECOND), job.changed).await.unwrap();
    }
}

#[tokio::test]
async fn a_document_that_is_no_json_is_left_out_and_stops_nothing() {
    let place = Place::default();
    place.put("bad", "{");
    place.put("good", FIRST);
    let store = place.try_open().await.unwrap();
    assert!(get(&store, "bad").await.is_none());
    assert!(get(&store, "good").await.is_some());
    let answer = create(&store, "bad").await;
    let Err(StoreError::Fault { kind, message, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!((kind, message.contains("correct it")), (FaultKind::Config, true));
}

#[tokio::test]
async fn an_edit_by_somebody_else_wins_over_a_replacement_and_is_shown() {
    let place = Place::default();
    let store = place.try_open().await.unwrap();
    create(&store, "a").await.unwrap();
    place.put("a", OTHER);
    let answer = replace(&store, "a").await;
    assert!(matches!(answer, Err(StoreError::Conflict(_))), "{answer:?}");
    let job = get(&store, "a").await.unwrap();
    assert_eq!((job.revision, job.document.get()), (Revision(2), OTHER));
    store.replace(&job.id, job.revision, document(SECOND), job.changed).await.unwrap();
    assert_eq!(place.document("a").unwrap(), SECOND);
}

#[tokio::test]
async fn a_job_whose_document_somebody_else_made_or_removed_is_found_out() {
    let place = Place::default();
    let store = place.try_open().await.unwrap();
    place.put("theirs", OTHER);
    let answer = create(&store, "theirs").await;
    assert!(matches!(answer, Err(StoreError::Exists(_))), "{answer:?}");
    assert_eq!(get(&store, "theirs").await.unwrap().document.get(), OTHER);
    create(&store, "ours").await.unwrap();
    place.take("ours");
    let answer = replace(&store, "ours").await;
    assert!(matches!(answer, Err(StoreError::NotFound(_))), "{answer:?}");
    assert!(get(&store, "ours").await.is_none());
}

#[tokio::test]
async fn a_removal_of_what_somebody_else_changed_is_a_conflict_and_of_what_is_gone_succeeds() {
    let place = Place::default();
    let store = place.try_open().await.unwrap();
    create(&store, "a").await.unwrap();
    place.put("a", OTHER);
    let answer = store.remove(&name("a"), None).await;
    assert!(matches!(answer, Err(StoreError::Conflict(_))), "{answer:?}");
    place.take("a");
    store.remove(&name("a"), None).await.unwrap();
    assert!(get(&store, "a").await.is_none());
}

#[tokio::test]
async fn a_document_whose_answer_was_lost_is_read_back() {
    let place = Place::default();
    let store = place.try_open().await.unwrap();
    for (fault, done) in [(Fault::Lose, true), (Fault::Fail, false)] {
        let call = place.inner().calls + 1;
        place.plan(call, fault);
        let id = if done { "lost" } else { "failed" };
        assert_eq!(create(&store, id).await.is_ok(), done, "{fault:?}");
        assert_eq!(get(&store, id).await.is_some(), done, "{fault:?}");
        assert_eq!(place.document(id).is_some(), done, "{fault:?}");
    }
}

#[tokio::test]
async fn a_change_goes_on_when_nobody_waits_for_it() {
    let place = Place::default();
    let store = place.try_open().await.unwrap();
    {
        let creation = create(&store, "a");
        futures::pin_mut!(creation);
        assert!(futures::poll!(creation).is_pending());
    }
    // A second creation of the name waits for its turn behind the first.
    let answer = create(&store, "a").await;
    assert!(matches!(answer, Err(StoreError::Exists(_))), "{answer:?}");
    store.close().await.unwrap();
}
