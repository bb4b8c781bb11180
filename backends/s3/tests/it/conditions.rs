//! Conditional writes, pages, and many objects, on both emulators.

use ecs_scheduler_core::{FaultKind, JobStore as _, ListFrom, Revision, Store as _, StoreError};
use std::num::NonZeroUsize;

use crate::bucket::{TestBucket, new_job};
use crate::emulator::{ministack, moto};
use crate::proxy::{Proxy, ProxyAction, ProxyRequest};

const FIRST: &str = r#"{"taskCount": 1}"#;
const OTHER: &str = r#"{"taskCount": 7}"#;

async fn an_object_of_another_program_is_never_overwritten(bucket: TestBucket) {
    let store = bucket.try_open().await.unwrap();
    let job = store.create(new_job("a", FIRST)).await.unwrap();
    bucket.put("jobs/prod/a.json", OTHER).await;
    let answer = store.replace(&job.id, job.revision, job.document.clone(), job.changed).await;
    assert!(matches!(answer, Err(StoreError::Conflict(_))), "{answer:?}");
    assert_eq!(bucket.get("jobs/prod/a.json").await.unwrap(), OTHER);
    let found = store.get(std::slice::from_ref(&job.id)).await.unwrap().pop().unwrap();
    assert_eq!((found.revision, found.document.get()), (Revision(2), OTHER));
    bucket.put("jobs/prod/a.json", FIRST).await;
    let answer = store.remove(&job.id, Some(found.revision)).await;
    assert!(matches!(answer, Err(StoreError::Conflict(_))), "{answer:?}");
    assert_eq!(bucket.get("jobs/prod/a.json").await.unwrap(), FIRST);
    bucket.put("jobs/prod/b.json", OTHER).await;
    let answer = store.create(new_job("b", FIRST)).await;
    assert!(matches!(answer, Err(StoreError::Exists(_))), "{answer:?}");
    assert_eq!(bucket.get("jobs/prod/b.json").await.unwrap(), OTHER);
    store.remove(&job.id, None).await.unwrap();
    assert_eq!(bucket.get("jobs/prod/a.json").await, None);
}

#[tokio::test]
async fn an_object_of_another_program_is_never_overwritten_on_moto() {
    an_object_of_another_program_is_never_overwritten(TestBucket::at(moto().await)).await;
}

#[tokio::test]
async fn an_object_of_another_program_is_never_overwritten_on_ministack() {
    an_object_of_another_program_is_never_overwritten(TestBucket::at(ministack().await)).await;
}

#[tokio::test]
async fn more_jobs_than_a_page_of_the_list_are_all_found() {
    let bucket = TestBucket::at(moto().await);
    bucket.create().await;
    for first in (0..1_050).step_by(50) {
        let puts = (first..first + 50).map(|number| {
            let bucket = bucket.clone();
            tokio::spawn(async move { bucket.put(&format!("jobs/prod/j{number:04}.json"), FIRST).await })
        });
        for put in puts.collect::<Vec<_>>() {
            put.await.unwrap();
        }
    }
    let store = bucket.try_open().await.unwrap();
    let list = store.list(ListFrom::Skip(0), NonZeroUsize::MAX).await.unwrap();
    assert_eq!((list.total, list.jobs[1_049].id.as_str()), (1_050, "j1049"));
    store.close().await.unwrap();
    assert!(bucket.calls("ListObjectsV2") >= 4, "there were two pages");
}

#[tokio::test]
async fn a_server_that_ignores_conditions_is_refused_before_the_log_is_written() {
    for opened_before in [false, true] {
        let bucket = TestBucket::at(moto().await);
        if opened_before {
            bucket.try_open().await.unwrap().close().await.unwrap();
        }
        let proxy = Proxy::start(moto().await, |_| ProxyAction::DropConditions).await;
        let error = bucket.behind(&proxy.address).try_open().await.unwrap_err();
        let StoreError::Fault { kind: FaultKind::Config, message, .. } = error else { panic!("{error:?}") };
        assert!(message.contains("ignores the condition If-None-Match"), "{message}");
        assert!(message.contains("use a server that has them"), "{message}");
        let segments = u8::from(opened_before);
        let written = bucket.get(&format!("jobs/prod/.ecs-scheduler/segment-{:016}", segments + 1)).await;
        assert!(written.is_none(), "{written:?}");
    }
}

#[tokio::test]
async fn a_server_that_ignores_if_match_alone_is_refused() {
    let bucket = TestBucket::at(moto().await);
    bucket.try_open().await.unwrap().close().await.unwrap();
    // The second write of the probe is the one with an entity tag.
    let probes = std::sync::atomic::AtomicUsize::new(0);
    let rule = move |request: &ProxyRequest<'_>| {
        let probe = request.conditional && request.target.contains("/probe");
        let second = probe && probes.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1;
        if second { ProxyAction::DropConditions } else { ProxyAction::Pass }
    };
    let proxy = Proxy::start(moto().await, rule).await;
    let message = bucket.behind(&proxy.address).try_open().await.unwrap_err().to_string();
    assert!(message.contains("ignores the condition If-Match "), "{message}");
}

#[tokio::test]
async fn a_server_that_does_not_implement_conditional_writes_is_refused_with_the_remedy() {
    let bucket = TestBucket::at(moto().await);
    let rule = |request: &ProxyRequest<'_>| match request.method {
        "PUT" if request.conditional => ProxyAction::Answer(501, "NotImplemented"),
        _ => ProxyAction::Pass,
    };
    let proxy = Proxy::start(moto().await, rule).await;
    let error = bucket.behind(&proxy.address).try_open().await.unwrap_err();
    let StoreError::Fault { kind: FaultKind::Config, message, .. } = error else { panic!("{error:?}") };
    assert!(message.contains("conditional writes"), "{message}");
}

#[tokio::test]
async fn a_job_is_removed_where_the_server_does_not_implement_conditional_removals() {
    let bucket = TestBucket::at(moto().await);
    let rule = |request: &ProxyRequest<'_>| match request.method {
        "DELETE" if request.conditional => ProxyAction::Answer(501, "NotImplemented"),
        _ => ProxyAction::Pass,
    };
    let proxy = Proxy::start(moto().await, rule).await;
    let store = bucket.behind(&proxy.address).try_open().await.unwrap();
    let [job, other] = ["a", "b"].map(|id| new_job(id, FIRST));
    let (job, other) = (store.create(job).await.unwrap(), store.create(other).await.unwrap());
    store.remove(&job.id, Some(job.revision)).await.unwrap();
    assert_eq!(bucket.get("jobs/prod/a.json").await, None);
    bucket.put("jobs/prod/b.json", OTHER).await;
    let answer = store.remove(&other.id, Some(other.revision)).await;
    assert!(matches!(answer, Err(StoreError::Conflict(_))), "another program changed it: {answer:?}");
    assert_eq!(bucket.get("jobs/prod/b.json").await.unwrap(), OTHER);
    store.close().await.unwrap();
    let list = bucket.try_open().await.unwrap().list(ListFrom::Skip(0), NonZeroUsize::MAX).await.unwrap();
    assert_eq!((list.total, list.jobs[0].id.as_str()), (1, "b"));
}
