//! Taking over jobs of another store, with a fault at each call in turn: what is there is a beginning of them, each as it was, and
//! whoever goes on behind it brings the rest.

use std::num::NonZeroUsize;

use ecs_scheduler_core::{Adoption, JobUid, ListFrom, Progress, Revision, Store, StoreError, StoredJob};

use crate::backend::{Fault, Place};
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

/// Takes over until it fails or the process ends.
async fn begin(place: &Place, jobs: &[StoredJob]) -> Result<(), StoreError> {
    let store = place.try_open().await?;
    store.adopt(Adoption::Jobs(jobs.to_vec())).await?;
    store.close().await
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_a_beginning_is_there_and_the_rest_can_follow() {
    for fault in [Fault::Fail, Fault::Lose, Fault::StopBefore, Fault::StopAfter] {
        for call in 1.. {
            let (place, jobs) = (Place::default(), jobs());
            place.plan(call, fault);
            let done = begin(&place, &jobs).await.is_ok();
            let calls = place.inner().calls;
            place.heal();
            let case = format!("{fault:?} at call {call}");
            let store = place.try_open().await.unwrap_or_else(|error| panic!("{case}: {error}"));
            let there = listed(&store).await;
            assert!(there.len() == jobs.len() || !done, "{case}: what was acknowledged is there");
            assert_eq!(describe(&there), describe(&jobs[..there.len()]), "{case}: a beginning, as it was");
            store.adopt(Adoption::Jobs(jobs[there.len()..].to_vec())).await.unwrap();
            store.close().await.unwrap();
            let store = place.try_open().await.unwrap();
            assert_eq!(describe(&listed(&store).await), describe(&jobs), "{case}: all of them");
            for job in &jobs {
                assert_eq!(place.document(job.id.as_str()).as_deref(), Some(job.document.get()), "{case}");
            }
            if call > calls {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_job_whose_document_somebody_else_wrote_is_refused_and_those_before_it_are_there() {
    let (place, jobs) = (Place::default(), jobs());
    let store = place.try_open().await.unwrap();
    place.put("x", OTHER);
    let answer = store.adopt(Adoption::Jobs(jobs.clone())).await;
    assert!(matches!(&answer, Err(StoreError::Exists(id)) if *id == name("x")), "{answer:?}");
    assert_eq!(describe(&listed(&store).await), describe(&jobs[..2]));
    assert_eq!((place.document("x").as_deref(), place.document("k")), (Some(OTHER), None));
    store.close().await.unwrap();
    let store = place.try_open().await.unwrap();
    assert_eq!(get(&store, "x").await.unwrap().document.get(), OTHER);
    assert_eq!(listed(&store).await.len(), 3);
}

#[tokio::test]
async fn a_job_that_is_there_is_refused_and_those_before_it_are_taken_over() {
    let (place, jobs) = (Place::default(), jobs());
    let store = place.try_open().await.unwrap();
    create(&store, "x").await.unwrap();
    let answer = store.adopt(Adoption::Jobs(jobs)).await;
    assert!(matches!(&answer, Err(StoreError::Exists(id)) if *id == name("x")), "{answer:?}");
    let ids: Vec<_> = listed(&store).await.into_iter().map(|job| job.id).collect();
    assert_eq!(ids, ["x", "m", "c"].map(name));
    assert_eq!(place.document("a"), None);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_somebody_changed_before_it_was_noted_is_an_edit() {
    let jobs = jobs();
    for call in 1..100 {
        let place = Place::default();
        place.plan(call, Fault::StopAfter);
        assert!(begin(&place, &jobs).await.is_err(), "the first document is written at one of the calls");
        place.heal();
        if place.document("m").is_none() {
            continue;
        }
        place.put("m", OTHER);
        let store = place.try_open().await.unwrap();
        let job = get(&store, "m").await.unwrap();
        assert_eq!((job.revision, job.document.get(), job.uid), (Revision(8), OTHER, jobs[0].uid));
        return;
    }
    panic!("the first document is never written");
}
