//! A place in the fake, and small things.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_backend_elasticsearch::{Cluster, ElasticsearchOptions, IndexName, Patience};
use ecs_scheduler_backend_segments::LogStore;
use ecs_scheduler_core::testing::store_suite::Subject;
use ecs_scheduler_core::{
    Clock, JobId, JobStore as _, JobUid, ListFrom, NewJob, Store, StoreError, StoredJob, Timestamp,
    async_trait,
};
use serde_json::value::RawValue;

use ecs_scheduler_fake_elasticsearch::Fake;

/// Waits long enough for a busy machine, and pauses as good as never.
pub(crate) const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(10),
    answer: Duration::from_secs(20),
    pause: Duration::from_millis(1),
    operation: Duration::from_secs(60),
};

/// Gives up soon.
pub(crate) const HASTE: Patience = Patience { operation: Duration::from_millis(300), ..PATIENCE };

/// A cluster of its own with the index `jobs`.
pub(crate) struct Place {
    pub(crate) fake: Fake,
}

impl Place {
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

    /// Asserts that the store is refused; returns the whole message.
    pub(crate) async fn refusal(&self) -> String {
        let error = self.options().open().await.expect_err("the store is refused");
        ecs_scheduler_core::fault::chain(&error)
    }
}

pub(crate) fn options(cluster: Cluster, index: &str) -> ElasticsearchOptions {
    ElasticsearchOptions {
        patience: PATIENCE,
        clock: Arc::new(Stopped(at(1_800_000_000))),
        ..ElasticsearchOptions::new(cluster, IndexName::new(index).unwrap())
    }
}

/// A place that is made when it is first opened.
#[derive(Default)]
pub(crate) struct LazyPlace(tokio::sync::OnceCell<Place>);

#[async_trait]
impl Subject for LazyPlace {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.get_or_init(Place::new).await.store().await)
    }
}

/// A clock that stands.
#[derive(Debug)]
pub(crate) struct Stopped(pub(crate) Timestamp);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.0
    }
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn name(id: &str) -> JobId {
    JobId::new(id).expect("the name is sound")
}

pub(crate) fn document(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).expect("it is JSON")
}

pub(crate) fn new_job(id: &str, text: &str) -> NewJob {
    NewJob { id: name(id), uid: JobUid::random(), document: document(text), at: at(1) }
}

pub(crate) async fn listed(store: &LogStore) -> Vec<StoredJob> {
    let list = store.list(ListFrom::Skip(0), 1_000.try_into().unwrap()).await.unwrap();
    assert_eq!(list.total, list.jobs.len() as u64);
    list.jobs
}

/// Asserts that it is a fault; returns its chain.
pub(crate) fn fault(error: &StoreError) -> String {
    assert!(matches!(error, StoreError::Fault { .. }), "{error:?}");
    ecs_scheduler_core::fault::chain(error)
}
