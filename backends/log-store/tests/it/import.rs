//! Importing jobs of another store, repeated with a fault at each call: the stored jobs are a prefix of them, each unchanged, and a
//! second import completes them.

use std::num::NonZeroUsize;

use ecs_scheduler_core::{ImportBatch, JobUid, ListFrom, Progress, Revision, Store, StoreError, StoredJob};

use crate::backend::{Fault, MemoryBackend};
use crate::sample::{at, create, document, get, name};

const OTHER: &str = r#"{"taskCount": 99}"#;

/// Jobs of another store, not in the order of their names.
fn jobs() -> Vec<StoredJob> {
    let job = |(number, id): (usize, &str)| StoredJob {
        id: name(id),
        uid: JobUid::random(),
        revision: Revision(7),
        document: document(&format!("{{\"taskCount\": {number}}}")),
        created: at(1),
        changed: at(2),
        progress: Progress { settled: Some(at(3)), ..Progress::default() },
    };
    ["m", "c", "x", "a", "k"].into_iter().enumerate().map(job).collect()
}

fn describe(jobs: &[StoredJob]) -> Vec<String> {
    jobs.iter().map(|job| format!("{job:?}")).collect()
}

async fn listed(store: &dyn Store) -> Vec<StoredJob> {
    store.list(ListFrom::Skip(0), NonZeroUsize::MAX).await.unwrap().jobs
}

/// Imports until a call fails.
async fn import_until_failure(backend: &MemoryBackend, jobs: &[StoredJob]) -> Result<(), StoreError> {
    let store = backend.try_open().await?;
    store.import(ImportBatch::Jobs(jobs.to_vec())).await?;
    store.close().await
}

#[tokio::test(start_paused = true)]
async fn an_import_that_fails_leaves_a_prefix_and_can_be_completed() {
    for fault in [Fault::Fail, Fault::LoseAnswer, Fault::StopBefore, Fault::StopAfter] {
        for call in 1.. {
            let (backend, jobs) = (MemoryBackend::default(), jobs());
            backend.inject_at(call, fault);
            let done = import_until_failure(&backend, &jobs).await.is_ok();
            let calls = backend.inner().calls;
            backend.clear_faults();
            let case = format!("{fault:?} at call {call}");
            let store = backend.try_open().await.unwrap_or_else(|error| panic!("{case}: {error}"));
            let there = listed(&store).await;
            assert!(there.len() == jobs.len() || !done, "{case}: acknowledged jobs are stored");
            assert_eq!(describe(&there), describe(&jobs[..there.len()]), "{case}: an unchanged prefix");
            store.import(ImportBatch::Jobs(jobs[there.len()..].to_vec())).await.unwrap();
            store.close().await.unwrap();
            let store = backend.try_open().await.unwrap();
            assert_eq!(describe(&listed(&store).await), describe(&jobs), "{case}: all of them");
            for job in &jobs {
                assert_eq!(backend.document(job.id.as_str()).as_deref(), Some(job.document.get()), "{case}");
            }
            if call > calls {
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_import_stops_at_a_job_whose_document_another_program_wrote() {
    let (backend, jobs) = (MemoryBackend::default(), jobs());
    let store = backend.try_open().await.unwrap();
    backend.put("x", OTHER);
    let answer = store.import(ImportBatch::Jobs(jobs.clone())).await;
    assert!(matches!(&answer, Err(StoreError::Exists(id)) if *id == name("x")), "{answer:?}");
    assert_eq!(describe(&listed(&store).await), describe(&jobs[..2]));
    assert_eq!((backend.document("x").as_deref(), backend.document("k")), (Some(OTHER), None));
    store.close().await.unwrap();
    let store = backend.try_open().await.unwrap();
    assert_eq!(get(&store, "x").await.unwrap().document.get(), OTHER);
    assert_eq!(listed(&store).await.len(), 3);
}

#[tokio::test]
async fn an_import_stops_at_a_job_that_exists() {
    let (backend, jobs) = (MemoryBackend::default(), jobs());
    let store = backend.try_open().await.unwrap();
    create(&store, "x").await.unwrap();
    let answer = store.import(ImportBatch::Jobs(jobs)).await;
    assert!(matches!(&answer, Err(StoreError::Exists(id)) if *id == name("x")), "{answer:?}");
    let ids: Vec<_> = listed(&store).await.into_iter().map(|job| job.id).collect();
    assert_eq!(ids, ["x", "m", "c"].map(name));
    assert_eq!(backend.document("a"), None);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_another_program_changed_before_it_was_recorded_is_an_edit() {
    let jobs = jobs();
    for call in 1..100 {
        let backend = MemoryBackend::default();
        backend.inject_at(call, Fault::StopAfter);
        assert!(
            import_until_failure(&backend, &jobs).await.is_err(),
            "the first document is written at one of the calls"
        );
        backend.clear_faults();
        if backend.document("m").is_none() {
            continue;
        }
        backend.put("m", OTHER);
        let store = backend.try_open().await.unwrap();
        let job = get(&store, "m").await.unwrap();
        assert_eq!((job.revision, job.document.get(), job.uid), (Revision(8), OTHER, jobs[0].uid));
        return;
    }
    panic!("the first document is never written");
}
