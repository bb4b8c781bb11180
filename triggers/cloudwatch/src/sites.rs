//! One client for each place, and batches for each combination of period and delay in it: what is in one batch has the same
//! window, and a place that does not answer holds up no other.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_sdk_cloudwatch::Client;
use ecs_scheduler_backend_aws::{Aws, Place};
use ecs_scheduler_core::{BatchLimits, Batcher, Tick, TriggerError};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::check::Plan;
use crate::limits;
use crate::query::{Key, Point};
use crate::source::{Metrics, Site};
use crate::window::Window;

/// All places in which metrics are read.
#[derive(Debug)]
pub(crate) struct Sites {
    aws: Aws,
    /// By place as jobs name it; a place that is named in two ways is one site.
    known: Mutex<HashMap<Place, Arc<Gathering>>>,
}

impl Sites {
    pub(crate) fn new(aws: Aws) -> Self {
        Self { aws, known: Mutex::default() }
    }

    pub(crate) fn aws(&self) -> &Aws {
        &self.aws
    }

    /// Reads the datapoints that a job looks at, newest first, together with whatever else is read for this round.
    pub(crate) async fn points(
        &self,
        plan: &Plan,
        window: Window,
        tick: Tick,
    ) -> Result<Arc<[Point]>, TriggerError> {
        let batcher = self.at(&plan.place).await?.batcher(plan.period, plan.delay);
        let key = Key { query: Arc::clone(&plan.query), window };
        Ok(batcher.read_for(tick, key).await?)
    }

    async fn at(&self, place: &Place) -> Result<Arc<Gathering>, TriggerError> {
        if let Some(site) = self.known.lock().get(place) {
            return Ok(Arc::clone(site));
        }
        let config = self.aws.config(place).await?;
        let region = config.region().map(|region| region.to_string()).unwrap_or_default();
        let full = Place { region: Some(region.clone()), account: place.account.clone() };
        let mut known = self.known.lock();
        let site = known.entry(full).or_insert_with(|| {
            let config =
                aws_sdk_cloudwatch::config::Builder::from(&config).interceptor(self.aws.metering()).build();
            Arc::new(Gathering::new(Site {
                client: Client::from_conf(config),
                meter: Arc::clone(self.aws.meter()),
                region,
                turns: Semaphore::new(limits::READS),
                refused: Mutex::new(LruCache::new(limits::REFUSED)),
            }))
        });
        let site = Arc::clone(site);
        known.insert(place.clone(), Arc::clone(&site));
        Ok(site)
    }
}

/// The batches of one place.
struct Gathering {
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
