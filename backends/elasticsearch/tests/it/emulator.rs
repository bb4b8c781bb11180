//! The conformance suites on two third-party emulators: `noida-db`, which reports Elasticsearch 8.15, and `osmem-server`,
//! which reports OpenSearch 3.8.

use std::sync::Arc;

use ecs_scheduler_backend_elasticsearch::Cluster;
use ecs_scheduler_core::{Store, async_trait};
use ecs_scheduler_test_support::{Emulator, EmulatorKind};
use ecs_scheduler_testing::store_suite::StoreFixture;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::fixture::options;

/// An index of its own in an emulator of its own.
struct EmulatorIndex {
    kind: EmulatorKind,
    index: String,
    emulator: OnceCell<Emulator>,
}

impl EmulatorIndex {
    fn new(kind: EmulatorKind) -> Self {
        Self { kind, index: format!("jobs-{}", Uuid::new_v4().simple()), emulator: OnceCell::new() }
    }
}

#[async_trait]
impl StoreFixture for EmulatorIndex {
    async fn open(&self) -> Arc<dyn Store> {
        let emulator = self.emulator.get_or_init(|| Emulator::start(self.kind)).await;
        let nodes = Cluster::nodes(emulator.address()).unwrap();
        let options = options(Cluster { nodes, ..Cluster::default() }, &self.index);
        Arc::new(options.open().await.expect("the store opens"))
    }
}

mod elasticsearch_look_alike {
    mod behaviour {
        ecs_scheduler_testing::store_suite!(super::super::EmulatorIndex::new(
            super::super::EmulatorKind::Noida
        ));
    }
    mod durability {
        ecs_scheduler_testing::store_durability_suite!(super::super::EmulatorIndex::new(
            super::super::EmulatorKind::Noida
        ));
    }
}

mod opensearch_look_alike {
    mod behaviour {
        ecs_scheduler_testing::store_suite!(super::super::EmulatorIndex::new(
            super::super::EmulatorKind::Osmem
        ));
    }
    mod durability {
        ecs_scheduler_testing::store_durability_suite!(super::super::EmulatorIndex::new(
            super::super::EmulatorKind::Osmem
        ));
    }
}
