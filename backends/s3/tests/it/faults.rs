//! Behind a proxy that fails: what is acknowledged is there, and nothing is there twice.

use ecs_scheduler_core::testing::store_suite::Subject;
use ecs_scheduler_core::{JobStore as _, ListFrom, Registers as _, Revision, Store, StoreError, async_trait};
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::bucket::{Site, new_job};
use crate::emulator::moto;
use crate::proxy::{Act, Proxy, Seen};

const FIRST: &str = r#"{"taskCount": 1}"#;

/// Every fourth request meets the next one of all faults.
fn every_fourth(seen: &Seen<'_>) -> Act {
    const FAULTS: [Act; 5] =
        [Act::Lose, Act::Answer(503, "SlowDown"), Act::Cut, Act::Half, Act::Answer(500, "InternalError")];
    match seen.number % 4 {
        2 => FAULTS[seen.number / 4 % FAULTS.len()].clone(),
        _ => Act::Pass,
    }
}

/// A place that is reached through a proxy which fails at every fourth request.
struct Faulty(Site);

#[async_trait]
impl Subject for Faulty {
    async fn open(&self) -> Arc<dyn Store> {
        let proxy = Proxy::start(moto().await, every_fourth).await;
        Arc::new(self.0.behind(&proxy.address).try_open().await.expect("the store opens"))
    }
}

ecs_scheduler_core::store_durability_suite!(Faulty(Site::at(moto().await)));

#[tokio::test]
async fn every_kind_of_fault_at_every_kind_of_write_loses_nothing() {
    let site = Site::at(moto().await);
    let proxy = Proxy::start(moto().await, every_fourth).await;
    let store = site.behind(&proxy.address).try_open().await.unwrap();
    let mut acknowledged = Vec::new();
    for number in 0..20 {
        let id = format!("j{number:02}");
        if let Ok(job) = store.create(new_job(&id, FIRST)).await {
            let document = new_job(&id, r#"{"taskCount": 2}"#).document;
            let replaced = store.replace(&job.id, job.revision, document, job.changed).await.is_ok();
            acknowledged.push((job.id, replaced));
        }
        let _ = store
            .write("turn", &number.to_string(), store.read("turn").await.unwrap().map(|r| r.version), None)
            .await;
    }
    assert!(proxy.faults() > 15, "{} faults", proxy.faults());
    assert!(acknowledged.len() >= 15, "most succeed all the same: {}", acknowledged.len());
    drop(store);
    let store = site.try_open().await.unwrap();
    for (id, replaced) in acknowledged {
        let job = store.get(std::slice::from_ref(&id)).await.unwrap().pop().unwrap();
        assert!(!replaced || job.revision == Revision(2), "{id}: {:?}", job.revision);
    }
    let list = store.list(ListFrom::Skip(0), NonZeroUsize::MAX).await.unwrap();
    for job in list.jobs {
        let body = site.get(&format!("jobs/prod/{}.json", job.id)).await.unwrap();
        assert_eq!(body, job.document.get(), "document and job are the same");
    }
}

fn is_segment(seen: &Seen<'_>) -> bool {
    seen.method == "PUT" && seen.target.contains("/segment-")
}

#[tokio::test]
async fn a_segment_whose_answer_is_lost_is_acknowledged_once() {
    let site = Site::at(moto().await);
    let losing = |seen: &Seen<'_>| {
        if is_segment(seen) && seen.number.is_multiple_of(2) { Act::Lose } else { Act::Pass }
    };
    let proxy = Proxy::start(moto().await, losing).await;
    let store = site.behind(&proxy.address).try_open().await.unwrap();
    for version in 0..10 {
        let expected = (version > 0).then_some(version);
        assert_eq!(store.write("brake", "on", expected, None).await.unwrap(), version + 1);
    }
    assert!(proxy.faults() > 2);
}

#[tokio::test]
async fn a_write_that_another_one_races_with_is_made_again() {
    let site = Site::at(moto().await);
    let racing = |seen: &Seen<'_>| {
        let race =
            seen.number % 3 == 1 && matches!(seen.method, "PUT" | "DELETE") && seen.target.contains("prod");
        if race { Act::Answer(409, "ConditionalRequestConflict") } else { Act::Pass }
    };
    let proxy = Proxy::start(moto().await, racing).await;
    let store = site.behind(&proxy.address).try_open().await.unwrap();
    for number in 0..6 {
        let job = store.create(new_job(&format!("j{number}"), FIRST)).await.unwrap();
        store.remove(&job.id, None).await.unwrap();
    }
    assert!(proxy.faults() > 3);
}

#[tokio::test]
async fn a_bucket_that_answers_nothing_any_more_fails_writes_and_comes_back() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let site = Site::at(moto().await);
    let down = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&down);
    let rule = move |_: &Seen<'_>| {
        if seen.load(Ordering::SeqCst) { Act::Answer(503, "SlowDown") } else { Act::Pass }
    };
    let proxy = Proxy::start(moto().await, rule).await;
    let store = site.behind(&proxy.address).try_open().await.unwrap();
    store.write("brake", "on", None, None).await.unwrap();
    down.store(true, Ordering::SeqCst);
    let answer = store.write("brake", "off", Some(1), None).await;
    let Err(error @ StoreError::Fault { .. }) = answer else { panic!("{answer:?}") };
    assert!(error.is_transient(), "{error}");
    assert!(store.check().await.is_err());
    assert_eq!(store.read("brake").await.unwrap().unwrap().value, "on", "reads go on");
    down.store(false, Ordering::SeqCst);
    // The segment in doubt goes first, so this one comes too late: nobody is told a lie.
    let answer = store.write("brake", "off", Some(1), None).await;
    assert!(matches!(answer, Err(StoreError::Conflict(_))), "{answer:?}");
    assert_eq!(store.read("brake").await.unwrap().unwrap().value, "off");
}
