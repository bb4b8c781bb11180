//! Documents that the Python version, or a person, writes beside the store.

use ecs_scheduler_core::{FaultKind, JobStore as _, ListFrom, Revision, Store as _, StoreError};
use std::num::NonZeroUsize;

use crate::backend::{Fault, MemoryBackend};
use crate::sample::{FIRST, SECOND, create, document, get, name, replace};

const OTHER: &str = r#"{"taskCount": 7}"#;

#[tokio::test]
async fn existing_documents_become_jobs_in_the_order_of_their_names() {
    let backend = MemoryBackend::default();
    for id in ["c", "a", "b"] {
        backend.put(id, FIRST);
    }
    let store = backend.try_open().await.unwrap();
    let list = store.list(ListFrom::Skip(0), NonZeroUsize::MAX).await.unwrap();
    let ids: Vec<_> = list.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert!(list.jobs.iter().all(|job| job.revision == Revision::FIRST && job.document.get() == FIRST));
}

#[tokio::test]
async fn documents_of_the_recorded_version_are_not_read_again() {
    let backend = MemoryBackend::default();
    backend.put("a", FIRST);
    let store = backend.try_open().await.unwrap();
    let uid = get(&store, "a").await.unwrap().uid;
    create(&store, "b").await.unwrap();
    store.close().await.unwrap();
    assert_eq!(backend.inner().reads, 1);
    let store = backend.try_open().await.unwrap();
    assert_eq!(backend.inner().reads, 1);
    assert_eq!(get(&store, "a").await.unwrap().uid, uid, "it is the same job");
}

#[tokio::test]
async fn edits_of_other_programs_while_the_store_was_closed_are_imported() {
    let backend = MemoryBackend::default();
    let store = backend.try_open().await.unwrap();
    for id in ["changed", "removed", "rewritten"] {
        create(&store, id).await.unwrap();
    }
    store.close().await.unwrap();
    backend.put("changed", OTHER);
    backend.put("rewritten", r#"{ "taskCount" : 1 }"#);
    backend.put("new", SECOND);
    backend.delete("removed");
    let store = backend.try_open().await.unwrap();
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
async fn a_document_that_is_not_json_is_skipped_and_opening_succeeds() {
    let backend = MemoryBackend::default();
    backend.put("bad", "{");
    backend.put("good", FIRST);
    let store = backend.try_open().await.unwrap();
    assert!(get(&store, "bad").await.is_none());
    assert!(get(&store, "good").await.is_some());
    let answer = create(&store, "bad").await;
    let Err(StoreError::Fault { kind, message, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!((kind, message.contains("correct it")), (FaultKind::Config, true));
}

#[tokio::test]
async fn a_replacement_after_another_programs_edit_conflicts_and_keeps_the_edit() {
    let backend = MemoryBackend::default();
    let store = backend.try_open().await.unwrap();
    create(&store, "a").await.unwrap();
    backend.put("a", OTHER);
    let answer = replace(&store, "a").await;
    assert!(matches!(answer, Err(StoreError::Conflict(_))), "{answer:?}");
    let job = get(&store, "a").await.unwrap();
    assert_eq!((job.revision, job.document.get()), (Revision(2), OTHER));
    store.replace(&job.id, job.revision, document(SECOND), job.changed).await.unwrap();
    assert_eq!(backend.document("a").unwrap(), SECOND);
}

#[tokio::test]
async fn an_edit_finds_that_another_program_created_or_removed_the_document() {
    let backend = MemoryBackend::default();
    let store = backend.try_open().await.unwrap();
    backend.put("theirs", OTHER);
    let answer = create(&store, "theirs").await;
    assert!(matches!(answer, Err(StoreError::Exists(_))), "{answer:?}");
    assert_eq!(get(&store, "theirs").await.unwrap().document.get(), OTHER);
    create(&store, "ours").await.unwrap();
    backend.delete("ours");
    let answer = replace(&store, "ours").await;
    assert!(matches!(answer, Err(StoreError::NotFound(_))), "{answer:?}");
    assert!(get(&store, "ours").await.is_none());
}

#[tokio::test]
async fn a_removal_conflicts_with_another_programs_edit_and_succeeds_after_its_removal() {
    let backend = MemoryBackend::default();
    let store = backend.try_open().await.unwrap();
    create(&store, "a").await.unwrap();
    backend.put("a", OTHER);
    let answer = store.remove(&name("a"), None).await;
    assert!(matches!(answer, Err(StoreError::Conflict(_))), "{answer:?}");
    backend.delete("a");
    store.remove(&name("a"), None).await.unwrap();
    assert!(get(&store, "a").await.is_none());
}

#[tokio::test]
async fn a_document_whose_answer_was_lost_is_read_back() {
    let backend = MemoryBackend::default();
    let store = backend.try_open().await.unwrap();
    for (fault, done) in [(Fault::LoseAnswer, true), (Fault::Fail, false)] {
        let call = backend.inner().calls + 1;
        backend.inject_at(call, fault);
        let id = if done { "lost" } else { "failed" };
        assert_eq!(create(&store, id).await.is_ok(), done, "{fault:?}");
        assert_eq!(get(&store, id).await.is_some(), done, "{fault:?}");
        assert_eq!(backend.document(id).is_some(), done, "{fault:?}");
    }
}

#[tokio::test]
async fn an_edit_completes_after_its_caller_was_cancelled() {
    let backend = MemoryBackend::default();
    let store = backend.try_open().await.unwrap();
    {
        let creation = create(&store, "a");
        futures::pin_mut!(creation);
        assert!(futures::poll!(creation).is_pending());
    }
    // A second creation of the name waits for the lock of the first.
    let answer = create(&store, "a").await;
    assert!(matches!(answer, Err(StoreError::Exists(_))), "{answer:?}");
    store.close().await.unwrap();
}
