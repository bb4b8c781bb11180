//! A client for each scope, and a batcher for each combination of period and delay in it. The readings of one batch
//! have the same window, and a scope that does not answer delays no other.

use std::fmt;
use std::sync::Arc;

use aws_sdk_cloudwatch::Client;
use ecs_scheduler_backend_aws::{RegionalClients, SdkConfig};
use ecs_scheduler_core::{BatchLimits, Batcher, Tick, TriggerError};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::limits;
use crate::query::{Point, ReadingKey};
use crate::query_plan::QueryPlan;
use crate::source::{CloudWatchRegion, MetricSource};
use crate::window::ReadWindow;

/// Reads the datapoints that a job evaluates, newest first, in one call for all jobs of this round.
pub(crate) async fn points(
    batchers: &RegionalClients<MetricBatchers>,
    plan: &QueryPlan,
    window: ReadWindow,
    tick: Tick,
) -> Result<Arc<[Point]>, TriggerError> {
    let make = |config: &SdkConfig, region| {
        let metering = batchers.aws().metering();
        let config = aws_sdk_cloudwatch::config::Builder::from(config).interceptor(metering).build();
        MetricBatchers::new(CloudWatchRegion {
            client: Client::from_conf(config),
            meter: Arc::clone(batchers.aws().meter()),
            region,
            permits: Semaphore::new(limits::MAX_CONCURRENT_READS),
            refused: Mutex::new(LruCache::new(limits::MAX_REFUSED)),
        })
    };
    let batcher = batchers.at(&plan.scope, make).await?.batcher(plan.period, plan.delay);
    let key = ReadingKey { query: Arc::clone(&plan.query), window };
    batcher.read_for(tick, key).await
}

/// The batchers of one scope.
pub(crate) struct MetricBatchers {
    region_client: Arc<CloudWatchRegion>,
    /// By period and delay in seconds. An evicted batcher lives on while a caller waits for it.
    batchers: Mutex<LruCache<(u32, u32), Batcher<MetricSource>>>,
}

impl fmt::Debug for MetricBatchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricBatchers").field("region", &self.region_client.region).finish_non_exhaustive()
    }
}

impl MetricBatchers {
    fn new(region_client: CloudWatchRegion) -> Self {
        Self {
            region_client: Arc::new(region_client),
            batchers: Mutex::new(LruCache::new(limits::MAX_BATCHERS)),
        }
    }

    fn batcher(&self, period: u32, delay: u32) -> Batcher<MetricSource> {
        let mut batchers = self.batchers.lock();
        let batcher = batchers.get_or_insert((period, delay), || {
            let mut batch_limits = BatchLimits::default();
            batch_limits.window = limits::BATCH_WINDOW;
            batch_limits.max_wait = limits::MAX_BATCH_WINDOW;
            batch_limits.max_concurrent_reads = limits::MAX_CONCURRENT_READS;
            batch_limits.timeout = limits::READ_TIMEOUT;
            batch_limits.max_waiting = limits::MAX_WAITING;
            Batcher::with_limits(
                MetricSource { region_client: Arc::clone(&self.region_client) },
                batch_limits,
            )
        });
        batcher.clone()
    }
}
