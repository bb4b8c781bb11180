//! How many requests things take: the table in `doc/stores/s3.md`.

use ecs_scheduler_core::testing::sample;
use ecs_scheduler_core::testing::store_suite::Subject as _;
use ecs_scheduler_core::{
    Advance, Firing, FiringState, JobStore as _, Outcome, Settled, Settlement, Store, StoredJob, Timestamp,
};

use crate::bucket::{Site, new_job};
use crate::emulator::moto;

const FIRST: &str = r#"{"taskCount": 1}"#;

/// Requests of each kind: PUT and LIST, which cost the same; GET; DELETE, which is free.
fn requests(site: &Site) -> [u64; 3] {
    let puts = ["PutObject", "ListObjectsV2", "CreateBucket"].map(|operation| site.calls(operation));
    let deletes = ["DeleteObject", "DeleteObjects"].map(|operation| site.calls(operation));
    [puts.iter().sum(), site.calls("GetObject"), deletes.iter().sum()]
}

/// Counts what something takes.
async fn takes(site: &Site, what: impl Future) -> [u64; 3] {
    let before = requests(site);
    what.await;
    let after = requests(site);
    std::array::from_fn(|kind| after[kind] - before[kind])
}

async fn settle(store: &dyn Store, job: &StoredJob, outcome: Outcome, firing: Option<Firing>) {
    let tick = Timestamp::from_second(1_800_000_000).unwrap();
    let settled = job.progress.settled;
    let records = vec![sample::draft(outcome, tick)];
    let settlement = Settlement { settled, firing, ..sample::settlement(job, records) };
    let settled = store.settle(vec![settlement]).await.unwrap();
    assert!(matches!(settled[0], Settled::Recorded(_)));
}

#[tokio::test]
async fn operations_take_as_many_requests_as_the_page_says() {
    let site = Site::at(moto().await);
    site.create().await;
    let store = site.open().await;
    let opening = requests(&site);
    assert_eq!(
        opening,
        [7, 0, 0],
        "an empty bucket: three lists, a claim, and three writes to learn of conditions"
    );
    assert_eq!(takes(&site, store.check()).await, [0, 1, 0], "a look whether all is well");
    let job = store.create(new_job("a", FIRST)).await.unwrap();
    assert_eq!(takes(&site, store.create(new_job("b", FIRST))).await, [2, 0, 0], "a creation");
    let edit = store.replace(&job.id, job.revision, new_job("a", "{}").document, job.changed);
    assert_eq!(takes(&site, edit).await, [2, 0, 0], "an edit");
    let job = store.get(std::slice::from_ref(&job.id)).await.unwrap().remove(0);
    assert_eq!(
        takes(&site, settle(&*store, &job, Outcome::Idle, None)).await,
        [1, 0, 0],
        "a round without a launch"
    );
    let mut planned = sample::firing(&job.id, job.uid, Timestamp::UNIX_EPOCH);
    let life = async {
        settle(&*store, &job, Outcome::Pending, Some(planned.clone())).await;
        for state in [FiringState::Launching, FiringState::Launched, FiringState::Finished] {
            let to = Firing { state, ..planned.clone() };
            store.advance(Advance { from: planned.state, to: to.clone(), outcome: None }).await.unwrap();
            planned = to;
        }
    };
    assert_eq!(takes(&site, life).await, [4, 0, 0], "a firing from its plan to the end of its tasks");
    assert_eq!(takes(&site, store.remove(&job.id, None)).await, [1, 0, 1], "a removal");
    let reads = async {
        store.list(ecs_scheduler_core::ListFrom::Skip(0), std::num::NonZeroUsize::MIN).await.unwrap();
        store.firings(&Default::default()).await.unwrap();
    };
    assert_eq!(takes(&site, reads).await, [0, 0, 0], "reading, which is from memory");
}

#[tokio::test]
async fn a_snapshot_takes_three_requests_and_its_parts() {
    let site = Site::at(moto().await);
    site.create().await;
    let mut options = site.options();
    options.segments.snapshot_every = std::num::NonZeroUsize::new(10).unwrap();
    let store = ecs_scheduler_backend_s3::open(&site.aws, options).await.unwrap();
    let before = requests(&site);
    for number in 0..10 {
        store.create(new_job(&format!("j{number}"), FIRST)).await.unwrap();
    }
    // A list, a part, the manifest, and one removal of all that went.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while requests(&site)[2] == before[2] {
        assert!(tokio::time::Instant::now() < deadline, "the old segments go");
        tokio::task::yield_now().await;
    }
    let after = requests(&site);
    assert_eq!([after[0] - before[0], after[1] - before[1], after[2] - before[2]], [20 + 3, 0, 1]);
}
