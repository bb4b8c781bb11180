//! The running fake, and its control from the same process.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ecs_scheduler_core::{Clock, SystemClock};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::clock::MovableClock;
use crate::cloudwatch::CloudWatchControl;
use crate::control;
use crate::ecs::EcsControl;
use crate::fault::Faults;
use crate::launch_log::{Calls, Launch};
use crate::logs::LogsControl;
use crate::resettable_conn::{ConnHandle, ResettableListener};
use crate::scope::AwsScope;
use crate::server::Shared;
use crate::sns::SnsControl;
use crate::sqs::SqsControl;
use crate::state::{Call, FakeState, Settings};
use crate::{ItemWrites, Refused, Service};

/// The settings of a new fake.
#[derive(Debug, Clone)]
pub struct FakeOptions {
    /// The port on 127.0.0.1; 0 = a free one.
    pub port: u16,
    /// The clock that the fake's own follows.
    pub clock: Arc<dyn Clock>,
    /// The region of resources that are made without HTTP. `eu-central-1`.
    pub region: String,
    /// The first settings.
    pub settings: Settings,
}

impl Default for FakeOptions {
    fn default() -> Self {
        let region = "eu-central-1".to_owned();
        Self { port: 0, clock: Arc::new(SystemClock), region, settings: Settings::default() }
    }
}

/// A fake that listens on 127.0.0.1 until it is dropped.
#[derive(Debug)]
pub struct Fake {
    shared: Arc<Shared>,
    address: SocketAddr,
    scope: AwsScope,
    server: JoinHandle<()>,
}

impl Fake {
    /// Starts a fake inside the current tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails when the port cannot be listened on.
    pub async fn start(options: FakeOptions) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let changed = Arc::new(Notify::new());
        let shared = Arc::new(Shared {
            clock: MovableClock::new(options.clock, Arc::clone(&changed)),
            faults: Faults::default(),
            region: options.region.clone(),
            state: Mutex::new(FakeState::new(options.settings, format!("http://{address}"))),
            changed,
        });
        let router = control::router(Arc::clone(&shared)).into_make_service_with_connect_info::<ConnHandle>();
        let server = tokio::spawn(async move {
            let never = axum::serve(ResettableListener(listener), router).await;
            never.expect("the accept loop of axum never ends");
        });
        Ok(Self { shared, address, scope: AwsScope::in_region(options.region), server })
    }

    /// Returns the address of all services, as in `http://127.0.0.1:40001`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the clock, so that a test can move it.
    #[must_use]
    pub fn clock(&self) -> &MovableClock {
        &self.shared.clock
    }

    /// Returns the fault rules, so that a test can add some.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Changes the settings.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.state.lock().settings);
    }

    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.shared.state.lock().settings.clone()
    }

    /// Returns the control of ECS.
    #[must_use]
    pub fn ecs(&self) -> EcsControl<'_> {
        EcsControl(self)
    }

    /// Returns the control of SQS.
    #[must_use]
    pub fn sqs(&self) -> SqsControl<'_> {
        SqsControl(self)
    }

    /// Returns the control of SNS.
    #[must_use]
    pub fn sns(&self) -> SnsControl<'_> {
        SnsControl(self)
    }

    /// Returns the control of `CloudWatch`.
    #[must_use]
    pub fn cloudwatch(&self) -> CloudWatchControl<'_> {
        CloudWatchControl(self)
    }

    /// Returns the control of `CloudWatch Logs`.
    #[must_use]
    pub fn logs(&self) -> LogsControl<'_> {
        LogsControl(self)
    }

    /// Returns every task that was ever started, in the order of their starts.
    #[must_use]
    pub fn launches(&self) -> Vec<Launch> {
        self.shared.state.lock().launch_log.launches().to_vec()
    }

    /// Returns the maximum number of tasks that were alive at once under a `startedBy`; an empty one stands for none.
    #[must_use]
    pub fn max_concurrent(&self, started_by: &str) -> usize {
        self.all_max_concurrent().get(started_by).copied().unwrap_or(0)
    }

    /// Returns the maximum number of tasks that were alive at once, by `startedBy`.
    #[must_use]
    pub fn all_max_concurrent(&self) -> BTreeMap<String, usize> {
        self.with_state(|state, _| state.launch_log.max_alive())
    }

    /// Returns the counters of an operation that came over HTTP, as in `RunTask`.
    #[must_use]
    pub fn calls(&self, service: Service, operation: &str) -> Calls {
        *self.shared.state.lock().launch_log.counters(service, operation)
    }

    /// Returns the items of `DynamoDB` that were written since the start.
    #[must_use]
    pub fn item_writes(&self) -> ItemWrites {
        self.shared.state.lock().dynamodb.item_writes
    }

    /// Calls an operation without HTTP: no faults, no quotas, no counters.
    ///
    /// # Errors
    ///
    /// Fails as the service would.
    pub fn call(&self, service: Service, operation: &str, body: &Value) -> Result<Value, Refused> {
        let call = Call { scope: self.scope.clone(), service, operation: operation.to_owned(), key: None };
        let answer = self.with_state(|state, now| state.perform(&call, body, now));
        answer.map_err(|failure| Refused { code: failure.code, message: failure.message })
    }

    /// Stores metrics, of AWS's own namespaces too.
    pub(crate) fn put_metrics(&self, body: &Value) -> Result<Value, Refused> {
        let answer = self.with_state(|state, now| state.cloudwatch.put(&self.scope, body, now.as_second()));
        answer.map_err(|failure| Refused { code: failure.code, message: failure.message })
    }

    /// Runs a function on the present state.
    pub(crate) fn with_state<T>(&self, work: impl FnOnce(&mut FakeState, jiff::Timestamp) -> T) -> T {
        let result = self.shared.with_state(work);
        self.shared.changed.notify_waiters();
        result
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}
