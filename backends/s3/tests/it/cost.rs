//! How many requests things take: the table in `doc/stores/s3.md`.

use ecs_scheduler_core::{
    Advance, Firing, FiringState, JobStore as _, Settled, Settlement, Store, StoredJob, TickOutcome,
    Timestamp,
};
use ecs_scheduler_testing::sample;
use ecs_scheduler_testing::store_suite::StoreFixture as _;

use crate::bucket::{TestBucket, new_job};
use crate::emulator::moto;

const FIRST: &str = r#"{"taskCount": 1}"#;

/// Requests of each kind: PUT and LIST, which cost the same; GET; DELETE, which is free.
fn requests(bucket: &TestBucket) -> [u64; 3] {
    let puts = ["PutObject", "ListObjectsV2", "CreateBucket"].map(|operation| bucket.calls(operation));
    let deletes = ["DeleteObject", "DeleteObjects"].map(|operation| bucket.calls(operation));
    [puts.iter().sum(), bucket.calls("GetObject"), deletes.iter().sum()]
}

/// Counts the requests of an operation.
async fn count_requests(bucket: &TestBucket, what: impl Future) -> [u64; 3] {
    let before = requests(bucket);
    what.await;
    let after = requests(bucket);
    std::array::from_fn(|kind| after[kind] - before[kind])
}

async fn settle(store: &dyn Store, job: &StoredJob, outcome: TickOutcome, firing: Option<Firing>) {
    let tick = Timestamp::from_second(1_800_000_000).unwrap();
    let settled = job.progress.settled;
    let records = vec![sample::draft(outcome, tick)];
    let settlement = Settlement { new_cursor: settled, firing, ..sample::settlement(job, records) };
    let settled = store.settle(vec![settlement]).await.unwrap();
    assert!(matches!(settled[0], Settled::Recorded(_)));
}

#[tokio::test]
async fn operations_take_as_many_requests_as_documented() {
    let bucket = TestBucket::at(moto().await);
    bucket.create().await;
    let store = bucket.open().await;
    let opening = requests(&bucket);
    assert_eq!(opening, [7, 0, 0], "an empty bucket: three lists, a claim, and three writes of the probe");
    assert_eq!(count_requests(&bucket, store.health_check()).await, [0, 1, 0], "a health check");
    let job = store.create(new_job("a", FIRST)).await.unwrap();
    assert_eq!(count_requests(&bucket, store.create(new_job("b", FIRST))).await, [2, 0, 0], "a creation");
    let edit = store.replace(&job.id, job.revision, new_job("a", "{}").document, job.changed);
    assert_eq!(count_requests(&bucket, edit).await, [2, 0, 0], "an edit");
    let job = store.get(std::slice::from_ref(&job.id)).await.unwrap().remove(0);
    assert_eq!(
        count_requests(&bucket, settle(&*store, &job, TickOutcome::Idle, None)).await,
        [1, 0, 0],
        "a round without a launch"
    );
    let mut planned = sample::firing(&job.id, job.uid, Timestamp::UNIX_EPOCH);
    let life = async {
        settle(&*store, &job, TickOutcome::Pending, Some(planned.clone())).await;
        for state in [FiringState::Launching, FiringState::Launched, FiringState::Finished] {
            let to = Firing { state, ..planned.clone() };
            store.advance(Advance { from: planned.state, to: to.clone(), outcome: None }).await.unwrap();
            planned = to;
        }
    };
    assert_eq!(
        count_requests(&bucket, life).await,
        [4, 0, 0],
        "a firing from its plan to the end of its tasks"
    );
    assert_eq!(count_requests(&bucket, store.remove(&job.id, None)).await, [1, 0, 1], "a removal");
    let reads = async {
        store.list(ecs_scheduler_core::ListFrom::Skip(0), std::num::NonZeroUsize::MIN).await.unwrap();
        store.firings(&Default::default()).await.unwrap();
    };
    assert_eq!(count_requests(&bucket, reads).await, [0, 0, 0], "reads, which are served from memory");
}

#[tokio::test]
async fn a_snapshot_takes_three_requests_and_its_parts() {
    let bucket = TestBucket::at(moto().await);
    bucket.create().await;
    let mut options = bucket.options();
    options.log_store.snapshot_every = std::num::NonZeroUsize::new(10).unwrap();
    let store = ecs_scheduler_backend_s3::open(&bucket.aws, options).await.unwrap();
    let before = requests(&bucket);
    for number in 0..10 {
        store.create(new_job(&format!("j{number}"), FIRST)).await.unwrap();
    }
    // A list, a part, the manifest, and one removal of the old segments.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while requests(&bucket)[2] == before[2] {
        assert!(tokio::time::Instant::now() < deadline, "the old segments are removed");
        tokio::task::yield_now().await;
    }
    let after = requests(&bucket);
    assert_eq!([after[0] - before[0], after[1] - before[1], after[2] - before[2]], [20 + 3, 0, 1]);
}
