//! A client and a pair of batchers for each scope, so that a scope that does not answer delays no other.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use ecs_scheduler_backend_aws::{RegionalClients, SdkConfig};
use ecs_scheduler_core::{BatchLimits, Batcher, FaultKind, Tick, TriggerError};
use lru::LruCache;
use parking_lot::Mutex;

use crate::address::{QueueAddress, QueueName, QueueRef};
use crate::demand::Depth;
use crate::limits;
use crate::source::{DepthSource, UrlSource};

/// Time for which evaluations are collected before a queue is read.
const BATCH_WINDOW: Duration = Duration::from_millis(2);

/// Reads a queue's counts, in one call for all jobs that need them in this round.
pub(crate) async fn depth(
    batchers: &RegionalClients<QueueBatchers>,
    queue: &QueueAddress,
    tick: Tick,
) -> Result<Depth, TriggerError> {
    let make = |config: &SdkConfig, region| {
        let config =
            aws_sdk_sqs::config::Builder::from(config).interceptor(batchers.aws().metering()).build();
        QueueBatchers::new(Client::from_conf(config), region)
    };
    batchers.at(&queue.scope, make).await?.depth(&queue.queue_ref, tick).await
}

/// The batchers of one region of one account.
pub(crate) struct QueueBatchers {
    urls: Batcher<UrlSource>,
    depths: Batcher<DepthSource>,
    url_cache: Mutex<LruCache<QueueName, Arc<str>>>,
}

impl fmt::Debug for QueueBatchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueBatchers").field("urls", &self.url_cache.lock().len()).finish_non_exhaustive()
    }
}

impl QueueBatchers {
    fn new(client: Client, region: String) -> Self {
        let mut batch_limits = BatchLimits::default();
        batch_limits.window = BATCH_WINDOW;
        batch_limits.max_wait = BATCH_WINDOW;
        batch_limits.max_concurrent_reads = limits::MAX_CONCURRENT_READS;
        batch_limits.timeout = limits::READ_TIMEOUT;
        batch_limits.max_waiting = limits::MAX_WAITING;
        Self {
            urls: Batcher::with_limits(
                UrlSource { client: client.clone(), region: region.clone() },
                batch_limits,
            ),
            depths: Batcher::with_limits(DepthSource { client, region }, batch_limits),
            url_cache: Mutex::new(LruCache::new(limits::MAX_CACHED_URLS)),
        }
    }

    async fn depth(&self, queue_ref: &QueueRef, tick: Tick) -> Result<Depth, TriggerError> {
        let name = match queue_ref {
            QueueRef::Url(url) => return self.depths.read_for(tick, Arc::from(url.as_str())).await,
            QueueRef::Name(name) => name,
        };
        let url = self.url(name, tick).await?;
        let depth = self.depths.read_for(tick, Arc::clone(&url)).await;
        if depth.as_ref().is_err_and(|error| error.kind() == FaultKind::NotFound) {
            // The queue is gone. A new queue of the same name may have another URL.
            self.url_cache.lock().pop(name);
        }
        depth
    }

    async fn url(&self, name: &QueueName, tick: Tick) -> Result<Arc<str>, TriggerError> {
        if let Some(url) = self.url_cache.lock().get(name) {
            return Ok(Arc::clone(url));
        }
        let url = self.urls.read_for(tick, name.clone()).await?;
        self.url_cache.lock().put(name.clone(), Arc::clone(&url));
        Ok(url)
    }
}
