//! ECS clients by region, and the pace of their calls.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::retry::RetryConfig;
use ecs_scheduler_backend_aws::{Aws, Fault, Pacer, Pacers, Place, Quota, Share};
use ecs_scheduler_core::FaultKind;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::refused_names::Unreadable;

/// How long a read may wait for quota before it goes in front of other reads.
const READ_PATIENCE: Duration = Duration::from_secs(10);

/// The clients of one region.
#[derive(Debug, Clone)]
pub(crate) struct Regional {
    /// The region, named.
    pub(crate) place: Place,
    /// For calls that may be repeated by the SDK.
    pub(crate) client: Client,
    /// For RunTask, which nobody repeats but dispatch.
    pub(crate) launching: Client,
}

/// The clients of all regions, each made when it is first asked for.
#[derive(Debug)]
pub(crate) struct Clients {
    aws: Aws,
    pacers: Pacers,
    gates: Pacers,
    regions: Mutex<HashMap<Option<String>, Arc<OnceCell<Regional>>>>,
    pub(crate) unreadable: Unreadable,
}

impl Clients {
    pub(crate) fn new(aws: Aws, share: Share) -> Self {
        Self {
            aws,
            pacers: Pacers::new(share),
            gates: Pacers::new(share),
            regions: Mutex::default(),
            unreadable: Unreadable::default(),
        }
    }

    pub(crate) fn aws(&self) -> &Aws {
        &self.aws
    }

    /// Returns the clients of a region; without one, of the default region.
    pub(crate) async fn of(&self, region: Option<&str>) -> Result<Regional, Fault> {
        let cell = Arc::clone(self.regions.lock().entry(region.map(str::to_owned)).or_default());
        cell.get_or_try_init(|| self.make(region)).await.cloned()
    }

    async fn make(&self, region: Option<&str>) -> Result<Regional, Fault> {
        let place = Place { region: region.map(str::to_owned), account: None };
        let config = self.aws.config(&place).await?;
        let builder = || aws_sdk_ecs::config::Builder::from(&config).interceptor(self.aws.metering());
        let named = config.region().map(|region| region.as_ref().to_owned());
        Ok(Regional {
            place: Place { region: named, account: None },
            client: Client::from_conf(builder().build()),
            launching: Client::from_conf(builder().retry_config(RetryConfig::disabled()).build()),
        })
    }

    /// Returns the pacer of a quota in a region.
    pub(crate) fn pacer(&self, place: &Place, quota: Quota) -> Arc<Pacer> {
        self.pacers.get(place, quota)
    }

    /// Returns what a call passes right before it is sent: as the pacer, but it learns nothing.
    pub(crate) fn gate(&self, place: &Place, quota: Quota) -> Arc<Pacer> {
        self.gates.get(place, quota)
    }

    /// Waits for quota of a call that reads, or stops; what came of the call is learnt from.
    pub(crate) async fn paced<T>(
        &self,
        at: &Regional,
        quota: Quota,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let pacer = self.pacer(&at.place, quota);
        pacer.admit(Instant::now() + READ_PATIENCE, 1).await;
        let answer = call.await;
        if let Err(fault) = &answer
            && fault.kind() == FaultKind::Throttled
        {
            pacer.throttled();
        }
        answer
    }
}
