//! One client and one pair of batchers for each place, so that a place that does not answer holds up no other.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use ecs_scheduler_backend_aws::{SdkConfig, Sites};
use ecs_scheduler_core::{BatchLimits, Batcher, FaultKind, Tick, TriggerError};
use lru::LruCache;
use parking_lot::Mutex;

use crate::address::{Address, Given, Name};
use crate::demand::Depth;
use crate::limits;
use crate::source::{Depths, Urls};

/// For how long evaluations are gathered before a queue is read.
const WINDOW: Duration = Duration::from_millis(2);

/// Reads a queue's counts, together with whoever else needs them for this round.
pub(crate) async fn depth(sites: &Sites<Site>, queue: &Address, tick: Tick) -> Result<Depth, TriggerError> {
    let make = |config: &SdkConfig, region| {
        let config = aws_sdk_sqs::config::Builder::from(config).interceptor(sites.aws().metering()).build();
        Site::new(Client::from_conf(config), region)
    };
    sites.at(&queue.place, make).await?.depth(&queue.given, tick).await
}

/// One region of one account.
pub(crate) struct Site {
    urls: Batcher<Urls>,
    depths: Batcher<Depths>,
    found: Mutex<LruCache<Name, Arc<str>>>,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("urls", &self.found.lock().len()).finish_non_exhaustive()
    }
}

impl Site {
    fn new(client: Client, region: String) -> Self {
        let batches = BatchLimits {
            window: WINDOW,
            longest: WINDOW,
            reads: limits::READS,
            timeout: limits::PATIENCE,
            waiting: limits::WAITING,
        };
        Self {
            urls: Batcher::with(Urls { client: client.clone(), region: region.clone() }, batches),
            depths: Batcher::with(Depths { client, region }, batches),
            found: Mutex::new(LruCache::new(limits::URLS)),
        }
    }

    async fn depth(&self, given: &Given, tick: Tick) -> Result<Depth, TriggerError> {
        let name = match given {
            Given::Url(url) => return Ok(self.depths.read_for(tick, Arc::from(url.as_str())).await?),
            Given::Name(name) => name,
        };
        let url = self.url(name, tick).await?;
        let depth = self.depths.read_for(tick, Arc::clone(&url)).await;
        if depth.as_ref().is_err_and(|error| error.kind() == FaultKind::NotFound) {
            // The queue is gone; one of the same name that is made later may have another URL.
            self.found.lock().pop(name);
        }
        Ok(depth?)
    }

    async fn url(&self, name: &Name, tick: Tick) -> Result<Arc<str>, TriggerError> {
        if let Some(url) = self.found.lock().get(name) {
            return Ok(Arc::clone(url));
        }
        let url = self.urls.read_for(tick, name.clone()).await?;
        self.found.lock().put(name.clone(), Arc::clone(&url));
        Ok(url)
    }
}
