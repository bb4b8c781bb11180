//! A fake cluster for each test, and small helpers.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_backend_elasticsearch::{Cluster, ClusterTimeouts, ElasticsearchOptions, IndexName};
use ecs_scheduler_backend_log_store::LogStore;
use ecs_scheduler_core::{JobStore as _, ListFrom, Store, StoreError, StoredJob, Timestamp, async_trait};
use ecs_scheduler_testing::ManualClock;
pub(crate) use ecs_scheduler_testing::sample::{document, name, new_job};
use ecs_scheduler_testing::store_suite::StoreFixture;

use ecs_scheduler_fake_elasticsearch::Fake;

/// Long timeouts for a busy machine, and almost no backoff.
pub(crate) const TIMEOUTS: ClusterTimeouts = ClusterTimeouts {
    connect: Duration::from_secs(10),
    response: Duration::from_secs(20),
    backoff: Duration::from_millis(1),
    operation: Duration::from_secs(60),
};

/// An operation fails soon.
pub(crate) const SHORT_TIMEOUTS: ClusterTimeouts =
    ClusterTimeouts { operation: Duration::from_millis(300), ..TIMEOUTS };

/// A fake cluster, in which the tests use the index `jobs`.
pub(crate) struct TestCluster {
    pub(crate) fake: Fake,
}

impl TestCluster {
    pub(crate) async fn new() -> Self {
        Self { fake: Fake::start().await }
    }

    pub(crate) fn cluster(&self) -> Cluster {
        Cluster { nodes: Cluster::nodes(&self.fake.hosts()).unwrap(), ..Cluster::default() }
    }

    pub(crate) fn options(&self) -> ElasticsearchOptions {
        options(self.cluster(), "jobs")
    }

    pub(crate) async fn store(&self) -> LogStore {
        self.options().open().await.expect("the store opens")
    }

    /// Asserts that opening fails; returns the error chain.
    pub(crate) async fn open_error(&self) -> String {
        let error = self.options().open().await.expect_err("the store is refused");
        ecs_scheduler_core::fault::chain(&error)
    }
}

pub(crate) fn options(cluster: Cluster, index: &str) -> ElasticsearchOptions {
    ElasticsearchOptions {
        timeouts: TIMEOUTS,
        clock: Arc::new(ManualClock::at(at(1_800_000_000))),
        ..ElasticsearchOptions::new(cluster, IndexName::new(index).unwrap())
    }
}

/// A cluster that starts with the first open.
#[derive(Default)]
pub(crate) struct LazyCluster(tokio::sync::OnceCell<TestCluster>);

#[async_trait]
impl StoreFixture for LazyCluster {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.get_or_init(TestCluster::new).await.store().await)
    }
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) async fn listed(store: &LogStore) -> Vec<StoredJob> {
    let list = store.list(ListFrom::Skip(0), 1_000.try_into().unwrap()).await.unwrap();
    assert_eq!(list.total, list.jobs.len() as u64);
    list.jobs
}

/// Asserts that the error is a fault; returns its chain.
pub(crate) fn fault_chain(error: &StoreError) -> String {
    assert!(matches!(error, StoreError::Fault { .. }), "{error:?}");
    ecs_scheduler_core::fault::chain(error)
}
