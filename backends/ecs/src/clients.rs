//! ECS clients by region, and the rate limits of their calls.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client as LogClient;
use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::retry::RetryConfig;
use ecs_scheduler_backend_aws::{
    AwsContext, AwsScope, Fault, Quota, RateLimiter, RateLimiters, RegionalClients, SdkConfig, Share,
};
use ecs_scheduler_core::FaultKind;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::cluster_faults::ClusterFaults;
use crate::refused_names::RefusedNames;

/// Time for which a read waits for quota before it goes ahead of other reads.
const READ_QUOTA_DEADLINE: Duration = Duration::from_secs(10);

/// The clients of one region.
#[derive(Debug, Clone)]
pub(crate) struct RegionClients {
    /// The scope of the clients, with the region named.
    pub(crate) scope: AwsScope,
    /// The client for calls that the SDK may repeat.
    pub(crate) client: Client,
    /// The client for RunTask, which only the engine's dispatch repeats.
    pub(crate) launch_client: Client,
}

/// The clients of all regions. Each is built on first use.
#[derive(Debug)]
pub(crate) struct Clients {
    aws: AwsContext,
    rate_limiters: RateLimiters,
    send_limiters: RateLimiters,
    regions: Mutex<HashMap<Option<String>, Arc<OnceCell<RegionClients>>>>,
    /// The clients of CloudWatch Logs, which may be in other regions than the tasks.
    log_clients: RegionalClients<LogClient>,
    pub(crate) refused_names: RefusedNames,
    /// The clusters whose tasks cannot be listed.
    pub(crate) list_faults: ClusterFaults,
    /// The clusters in which every task is refused.
    pub(crate) describe_faults: ClusterFaults,
    /// How many paced calls ECS has answered.
    answers: AtomicU64,
}

impl Clients {
    pub(crate) fn new(aws: AwsContext, share: Share) -> Self {
        Self {
            log_clients: RegionalClients::new(aws.clone()),
            aws,
            rate_limiters: RateLimiters::new(share),
            send_limiters: RateLimiters::new(share),
            regions: Mutex::default(),
            refused_names: RefusedNames::default(),
            list_faults: ClusterFaults::default(),
            describe_faults: ClusterFaults::default(),
            answers: AtomicU64::default(),
        }
    }

    pub(crate) fn aws(&self) -> &AwsContext {
        &self.aws
    }

    /// Returns the clients of a region; without one, of the default region.
    pub(crate) async fn client_for(&self, region: Option<&str>) -> Result<RegionClients, Fault> {
        let cell = Arc::clone(self.regions.lock().entry(region.map(str::to_owned)).or_default());
        cell.get_or_try_init(|| self.build(region)).await.cloned()
    }

    async fn build(&self, region: Option<&str>) -> Result<RegionClients, Fault> {
        let scope = AwsScope { region: region.map(str::to_owned), account: None };
        let config = self.aws.config(&scope).await?;
        let builder = || aws_sdk_ecs::config::Builder::from(&config).interceptor(self.aws.metering());
        let named = config.region().map(|region| region.as_ref().to_owned());
        Ok(RegionClients {
            scope: AwsScope { region: named, account: None },
            client: Client::from_conf(builder().build()),
            launch_client: Client::from_conf(builder().retry_config(RetryConfig::disabled()).build()),
        })
    }

    /// Returns the client of CloudWatch Logs in a region.
    pub(crate) async fn log_client(&self, scope: &AwsScope) -> Result<Arc<LogClient>, Fault> {
        let make = |config: &SdkConfig, _| {
            let builder = aws_sdk_cloudwatchlogs::config::Builder::from(config);
            LogClient::from_conf(builder.interceptor(self.aws.metering()).build())
        };
        self.log_clients.at(scope, make).await
    }

    /// Returns the rate limiter of a quota in a region.
    pub(crate) fn rate_limiter(&self, scope: &AwsScope, quota: Quota) -> Arc<RateLimiter> {
        self.rate_limiters.get(scope, quota)
    }

    /// Returns the limiter that a call passes right before it is sent. It has the same rate as
    /// [`Self::rate_limiter`], but it learns nothing from throttling.
    pub(crate) fn send_limiter(&self, scope: &AwsScope, quota: Quota) -> Arc<RateLimiter> {
        self.send_limiters.get(scope, quota)
    }

    /// Waits for quota of a scope, then makes a call that reads or stops. A throttled call lowers the rate.
    pub(crate) async fn call_paced<T>(
        &self,
        scope: &AwsScope,
        quota: Quota,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let limiter = self.rate_limiter(scope, quota);
        limiter.acquire(Instant::now() + READ_QUOTA_DEADLINE, 1).await;
        let answer = call.await;
        match &answer {
            Ok(_) => {
                self.answers.fetch_add(1, Ordering::Relaxed);
            }
            Err(fault) if fault.kind() == FaultKind::Throttled => limiter.throttled(),
            Err(_) => {}
        }
        answer
    }

    /// Returns how many paced calls were answered until now. It changes during an operation unless that is answered from a cache.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }
}
