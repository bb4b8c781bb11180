//! One client for each place, and batches for each combination of period and delay in it: what is in one batch has the same
//! window, and a place that does not answer holds up no other.

use std::fmt;
use std::sync::Arc;

use aws_sdk_cloudwatch::Client;
use ecs_scheduler_backend_aws::{SdkConfig, Sites};
use ecs_scheduler_core::{BatchLimits, Batcher, Tick, TriggerError};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::limits;
use crate::query::{Key, Point};
use crate::query_plan::Plan;
use crate::source::{Metrics, Site};
use crate::window::Window;

/// Reads the datapoints that a job looks at, newest first, together with whatever else is read for this round.
pub(crate) async fn points(
    sites: &Sites<Gathering>,
    plan: &Plan,
    window: Window,
    tick: Tick,
) -> Result<Arc<[Point]>, TriggerError> {
    let make = |config: &SdkConfig, region| {
        let metering = sites.aws().metering();
        let config = aws_sdk_cloudwatch::config::Builder::from(config).interceptor(metering).build();
        Gathering::new(Site {
            client: Client::from_conf(config),
            meter: Arc::clone(sites.aws().meter()),
            region,
            turns: Semaphore::new(limits::READS),
            refused: Mutex::new(LruCache::new(limits::REFUSED)),
        })
    };
    let batcher = sites.at(&plan.place, make).await?.batcher(plan.period, plan.delay);
    let key = Key { query: Arc::clone(&plan.query), window };
    Ok(batcher.read_for(tick, key).await?)
}

/// The batches of one place.
pub(crate) struct Gathering {
    site: Arc<Site>,
    /// By period and delay in seconds. One that is pushed out lives on for as long as somebody waits for it.
    batchers: Mutex<LruCache<(u32, u32), Batcher<Metrics>>>,
}

impl fmt::Debug for Gathering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathering").field("region", &self.site.region).finish_non_exhaustive()
    }
}

impl Gathering {
    fn new(site: Site) -> Self {
        Self { site: Arc::new(site), batchers: Mutex::new(LruCache::new(limits::CLASSES)) }
    }

    fn batcher(&self, period: u32, delay: u32) -> Batcher<Metrics> {
        let mut batchers = self.batchers.lock();
        let batcher = batchers.get_or_insert((period, delay), || {
            let batches = BatchLimits {
                window: limits::WINDOW,
                longest: limits::LONGEST_WINDOW,
                reads: limits::READS,
                timeout: limits::PATIENCE,
                waiting: limits::WAITING,
            };
            Batcher::with(Metrics { site: Arc::clone(&self.site) }, batches)
        });
        batcher.clone()
    }
}
