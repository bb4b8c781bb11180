//! The store behind a faulty proxy: acknowledged changes are durable, and nothing is duplicated.

use ecs_scheduler_core::{
    JobStore as _, ListFrom, Registers as _, Revision, Store, StoreError, StoreMaintenance as _, async_trait,
};
use ecs_scheduler_testing::store_suite::StoreFixture;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::bucket::{TestBucket, new_job};
use crate::emulator::moto;
use crate::proxy::{Proxy, ProxyAction, ProxyRequest};

const FIRST: &str = r#"{"taskCount": 1}"#;

/// Injects the next of all faults into every fourth request.
fn every_fourth(request: &ProxyRequest<'_>) -> ProxyAction {
    const FAULTS: [ProxyAction; 5] = [
        ProxyAction::LoseAnswer,
        ProxyAction::Answer(503, "SlowDown"),
        ProxyAction::Cut,
        ProxyAction::Truncate,
        ProxyAction::Answer(500, "InternalError"),
    ];
    match request.number % 4 {
        2 => FAULTS[request.number / 4 % FAULTS.len()].clone(),
        _ => ProxyAction::Pass,
    }
}

/// A bucket behind a proxy that fails at every fourth request.
struct FaultyBucket(TestBucket);

#[async_trait]
impl StoreFixture for FaultyBucket {
    async fn open(&self) -> Arc<dyn Store> {
        let proxy = Proxy::start(moto().await, every_fourth).await;
        Arc::new(self.0.behind(&proxy.address).try_open().await.expect("the store opens"))
    }
}

ecs_scheduler_testing::store_durability_suite!(FaultyBucket(TestBucket::at(moto().await)));

#[tokio::test]
async fn every_kind_of_fault_at_every_kind_of_write_loses_nothing() {
    let bucket = TestBucket::at(moto().await);
    let proxy = Proxy::start(moto().await, every_fourth).await;
    let store = bucket.behind(&proxy.address).try_open().await.unwrap();
    let mut acknowledged = Vec::new();
    for number in 0..20 {
        let id = format!("j{number:02}");
        if let Ok(job) = store.create(new_job(&id, FIRST)).await {
            let document = new_job(&id, r#"{"taskCount": 2}"#).document;
            let replaced = store.replace(&job.id, job.revision, document, job.changed).await.is_ok();
            acknowledged.push((job.id, replaced));
        }
        let _ = store
            .put_register(
                "turn",
                &number.to_string(),
                store.get_register("turn").await.unwrap().map(|r| r.version),
                None,
            )
            .await;
    }
    assert!(proxy.faults() > 15, "{} faults", proxy.faults());
    assert!(acknowledged.len() >= 15, "most writes succeed: {}", acknowledged.len());
    drop(store);
    let store = bucket.try_open().await.unwrap();
    for (id, replaced) in acknowledged {
        let job = store.get(std::slice::from_ref(&id)).await.unwrap().pop().unwrap();
        assert!(!replaced || job.revision == Revision(2), "{id}: {:?}", job.revision);
    }
    let list = store.list(ListFrom::Skip(0), NonZeroUsize::MAX).await.unwrap();
    for job in list.jobs {
        let body = bucket.get(&format!("jobs/prod/{}.json", job.id)).await.unwrap();
        assert_eq!(body, job.document.get(), "document and job are the same");
    }
}

fn is_segment(request: &ProxyRequest<'_>) -> bool {
    request.method == "PUT" && request.target.contains("/segment-")
}

#[tokio::test]
async fn a_segment_whose_answer_is_lost_is_acknowledged_once() {
    let bucket = TestBucket::at(moto().await);
    let losing = |request: &ProxyRequest<'_>| {
        if is_segment(request) && request.number.is_multiple_of(2) {
            ProxyAction::LoseAnswer
        } else {
            ProxyAction::Pass
        }
    };
    let proxy = Proxy::start(moto().await, losing).await;
    let store = bucket.behind(&proxy.address).try_open().await.unwrap();
    for version in 0..10 {
        let expected = (version > 0).then_some(version);
        assert_eq!(store.put_register("brake", "on", expected, None).await.unwrap(), version + 1);
    }
    assert!(proxy.faults() > 2);
}

#[tokio::test]
async fn a_write_that_races_with_another_one_is_retried() {
    let bucket = TestBucket::at(moto().await);
    let racing = |request: &ProxyRequest<'_>| {
        let race = request.number % 3 == 1
            && matches!(request.method, "PUT" | "DELETE")
            && request.target.contains("prod");
        if race { ProxyAction::Answer(409, "ConditionalRequestConflict") } else { ProxyAction::Pass }
    };
    let proxy = Proxy::start(moto().await, racing).await;
    let store = bucket.behind(&proxy.address).try_open().await.unwrap();
    for number in 0..6 {
        let job = store.create(new_job(&format!("j{number}"), FIRST)).await.unwrap();
        store.remove(&job.id, None).await.unwrap();
    }
    assert!(proxy.faults() > 3);
}

#[tokio::test]
async fn writes_fail_while_the_bucket_is_down_and_recover() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let bucket = TestBucket::at(moto().await);
    let down = Arc::new(AtomicBool::new(false));
    let request = Arc::clone(&down);
    let rule = move |_: &ProxyRequest<'_>| {
        if request.load(Ordering::SeqCst) { ProxyAction::Answer(503, "SlowDown") } else { ProxyAction::Pass }
    };
    let proxy = Proxy::start(moto().await, rule).await;
    let store = bucket.behind(&proxy.address).try_open().await.unwrap();
    store.put_register("brake", "on", None, None).await.unwrap();
    down.store(true, Ordering::SeqCst);
    let answer = store.put_register("brake", "off", Some(1), None).await;
    let Err(error @ StoreError::Fault { .. }) = answer else { panic!("{answer:?}") };
    assert!(error.is_transient(), "{error}");
    assert!(store.health_check().await.is_err());
    assert_eq!(store.get_register("brake").await.unwrap().unwrap().value, "on", "reads continue");
    down.store(false, Ordering::SeqCst);
    // The uncertain segment is written first, so this write conflicts with it.
    let answer = store.put_register("brake", "off", Some(1), None).await;
    assert!(matches!(answer, Err(StoreError::Conflict(_))), "{answer:?}");
    assert_eq!(store.get_register("brake").await.unwrap().unwrap().value, "off");
}
