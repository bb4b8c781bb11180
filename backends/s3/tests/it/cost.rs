//! How many requests things take: the table in `doc/stores/s3.md`.

use ecs_scheduler_core::testing::store_suite::Subject as _;
use ecs_scheduler_core::{
    Advance, DecisionDraft, DecisionId, Firing, FiringId, FiringState, JobStore as _, Origin, Outcome,
    Settled, Settlement, Store, StoredJob, TaskSpec, TickSpan, Timestamp,
};

use crate::emulator::moto;
use crate::site::{Site, new_job};

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

fn firing(job: &StoredJob, tick: Timestamp) -> Firing {
    Firing {
        id: FiringId::of_tick(&job.uid, tick),
        job: job.id.clone(),
        uid: job.uid,
        revision: job.revision,
        origin: Origin::Tick,
        nominal: tick,
        observed: tick,
        decision: DecisionId::default(),
        state: FiringState::Planned,
        requested: 1,
        task: TaskSpec {
            definition: "worker".to_owned(),
            overrides: Vec::new(),
            options: Default::default(),
        },
        definition: "worker:7".to_owned(),
        deadline: tick,
        replaces: Vec::new(),
        timeout_secs: None,
        start_timeout_secs: None,
        attempts: Vec::new(),
        tasks: Vec::new(),
        explanation: "one is needed".to_owned(),
        note: None,
    }
}

async fn settle(store: &dyn Store, job: &StoredJob, outcome: Outcome, firing: Option<Firing>) {
    let tick = Timestamp::from_second(1_800_000_000).unwrap();
    let record = DecisionDraft {
        span: TickSpan { first: tick, last: tick, count: 1 },
        observed: tick,
        outcome,
        demand: None,
        busy: None,
        launch: 1,
        explanation: "one is needed".to_owned(),
        steps: Vec::new(),
        observations: Vec::new(),
    };
    let settlement = Settlement {
        job: job.id.clone(),
        uid: job.uid,
        expected: job.progress.settled,
        settled: job.progress.settled,
        records: vec![record],
        firing,
    };
    let settled = store.settle(vec![settlement]).await.unwrap();
    assert!(matches!(settled[0], Settled::Recorded(_)));
}

#[tokio::test]
async fn operations_take_as_many_requests_as_the_page_says() {
    let site = Site::at(moto().await);
    site.create().await;
    let store = site.open().await;
    let opening = requests(&site);
    assert_eq!(opening, [4, 0, 0], "an empty bucket: three lists and a claim");
    assert_eq!(takes(&site, store.check()).await, [0, 1, 0], "a look whether all is well");
    let job = store.create(new_job("a", FIRST)).await.unwrap();
    assert_eq!(takes(&site, store.create(new_job("b", FIRST))).await, [2, 0, 0], "a creation");
    let edit = store.replace(&job.id, job.revision, new_job("a", "{}").document, job.changed);
    assert_eq!(takes(&site, edit).await, [2, 0, 0], "an edit");
    assert_eq!(
        takes(&site, settle(&*store, &job, Outcome::Idle, None)).await,
        [1, 0, 0],
        "a round without a launch"
    );
    let mut planned = firing(&job, Timestamp::UNIX_EPOCH);
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
