//! The server as a library: what is installed, how it starts, how it stops.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::engine::{Engine, EngineOptions};
use ecs_scheduler_core::replica::{Replica, ReplicaId, ReplicaOptions, Scheduler, Timing};
use ecs_scheduler_core::{
    Clock, ConfigError, Examination, Launcher, Store, StoreError, SystemClock, TriggerRegistry, TriggerType,
    fault,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{ApiState, CallStats, ConnectionLimits, Limits};
use crate::cli::error::CommandError;
use crate::config::{Config, ReplicaConfig, StoreConfig};
use crate::shutdown::{DRAIN, ENGINE, STORE, Signals};
use crate::wiring::Foundation;
use crate::{allocator, api, cli, descriptors, wiring};

/// The exit code after a second signal: that of a shell for an interrupted program.
const INSISTED: u8 = 130;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The scheduler: what a `main.rs` is made of.
///
/// # Example
///
/// ```no_run
/// use std::process::ExitCode;
///
/// fn main() -> Result<ExitCode, ecs_scheduler::ConfigError> {
///     Ok(ecs_scheduler::Server::builder().standard()?.run())
/// }
/// ```
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Begins with nothing installed.
    #[must_use]
    pub fn builder() -> ServerBuilder {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let foundation = Foundation::new(&clock);
        ServerBuilder { registry: TriggerRegistry::new(), mistake: None, clock, foundation }
    }
}

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// To read it; a scheduler that uses it goes on.
    Read,
    /// As to read it, but one that is missing is empty.
    Compare,
    /// To write to it; it is made when it is missing.
    Write,
}

/// What is to be installed.
#[derive(Debug)]
pub struct ServerBuilder {
    registry: TriggerRegistry,
    mistake: Option<ConfigError>,
    clock: Arc<dyn Clock>,
    foundation: Foundation,
}

impl ServerBuilder {
    /// Installs the built-in triggers.
    ///
    /// # Errors
    ///
    /// Fails when a trigger of the same type is installed already.
    pub fn standard(mut self) -> Result<Self, ConfigError> {
        wiring::triggers(&mut self.registry, &self.foundation)?;
        Ok(self)
    }

    /// Installs a trigger. A second one of the same type is an error that [`run`](Self::run) reports.
    #[must_use]
    pub fn trigger<T: TriggerType>(mut self, kind: T) -> Self {
        if let Err(error) = self.registry.add(kind) {
            self.mistake.get_or_insert(error);
        }
        self
    }

    /// Carries out the command line of this process, and returns its exit code. Errors go to standard error.
    #[must_use]
    pub fn run(self) -> ExitCode {
        allocator::use_small_pages();
        cli::run(self)
    }

    /// Returns what the built-in plugins stand on.
    pub(crate) fn foundation(&self) -> &Foundation {
        &self.foundation
    }

    /// Opens the launcher that is configured.
    ///
    /// # Errors
    ///
    /// Fails with what is wrong and the remedy.
    pub(crate) async fn launcher(&self, config: &Config) -> Result<Arc<dyn Launcher>, CommandError> {
        self.foundation.configure(&config.aws);
        wiring::launcher(config, Arc::clone(&self.clock), &self.foundation)
            .await
            .map_err(|error| CommandError::caused("could not open the launcher", error))
    }

    /// Opens the store that is configured, to read from it; a scheduler that uses it is not disturbed.
    ///
    /// # Errors
    ///
    /// Fails with what is wrong and the remedy, also when the scheduler that uses it lets nobody read beside it.
    pub(crate) async fn store_to_read(&self, config: &Config) -> Result<Arc<dyn Store>, StoreError> {
        self.foundation.configure(&config.aws);
        wiring::store_to_read(&config.store, Arc::clone(&self.clock), &self.foundation).await
    }

    /// Tries the store that is configured, by calls that change nothing.
    pub(crate) async fn examine_store(&self, config: &Config) -> Vec<Examination> {
        self.foundation.configure(&config.aws);
        wiring::examine_store(&config.store, Arc::clone(&self.clock), &self.foundation).await
    }

    /// Returns the clock.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Opens a store, which need not be the configured one.
    ///
    /// # Errors
    ///
    /// Fails with what is wrong and the remedy.
    pub(crate) async fn store(
        &self,
        config: &StoreConfig,
        opening: Opening,
    ) -> Result<Arc<dyn Store>, CommandError> {
        let clock = Arc::clone(&self.clock);
        let opened = match opening {
            Opening::Read => wiring::store_to_read(config, clock, &self.foundation).await,
            Opening::Compare => wiring::store_to_compare(config, clock, &self.foundation).await,
            Opening::Write => wiring::store(config, clock, &self.foundation).await,
        };
        opened.map_err(|error| CommandError::caused("could not open the store", error))
    }

    /// Returns what is installed.
    ///
    /// # Errors
    ///
    /// Fails when a type was installed twice.
    pub(crate) fn registry(&self) -> Result<Arc<TriggerRegistry>, CommandError> {
        match &self.mistake {
            None => Ok(Arc::new(self.registry.clone())),
            Some(error) => Err(CommandError::failed(error.message.clone())),
        }
    }
}

/// Serves until a signal comes. `ready` is called once, with the address, when requests are answered.
///
/// # Errors
///
/// Fails when a part cannot be started, or when `ready` fails.
pub(crate) async fn serve(
    builder: ServerBuilder,
    config: Config,
    ready: impl AsyncFnOnce(SocketAddr) -> Result<(), CommandError>,
) -> Result<ExitCode, CommandError> {
    let mut signals =
        Signals::listen().map_err(|error| CommandError::caused("could not listen for signals", error))?;
    let running = tokio::select! {
        running = Running::start(builder, config) => running?,
        signal = signals.next() => {
            tracing::info!(signal, "ends before it was started");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let until_failure = async {
        ready(running.address).await?;
        std::future::pending().await
    };
    let outcome = tokio::select! {
        failure = until_failure => failure,
        signal = signals.next() => {
            tracing::info!(signal, "stopping");
            Ok(ExitCode::SUCCESS)
        }
    };
    tokio::select! {
        () = running.stop() => outcome,
        signal = signals.next() => {
            tracing::warn!(signal, "ends at once; launches under way are taken up at the next start");
            Ok(ExitCode::from(INSISTED))
        }
    }
}

/// A server that answers requests and looks at jobs.
struct Running {
    address: SocketAddr,
    engine: Scheduler,
    store: Arc<dyn Store>,
    closing: CancellationToken,
    http: JoinHandle<()>,
}

impl Running {
    async fn start(builder: ServerBuilder, config: Config) -> Result<Self, CommandError> {
        let registry = builder.registry()?;
        let launcher = builder.launcher(&config).await?;
        let ServerBuilder { clock, foundation, .. } = builder;
        let failed = |what: String| move |error| CommandError::caused(what, error);
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(failed(format!("could not listen on {}", config.listen)))?;
        let address = listener.local_addr().map_err(failed("could not learn the address".to_owned()))?;
        let store = wiring::store(&config.store, Arc::clone(&clock), &foundation)
            .await
            .map_err(|error| CommandError::caused("could not open the store", error))?;
        let parts = Parts { registry, store: Arc::clone(&store), launcher, clock, aws: foundation.calls() };
        let (engine, state) = assemble(parts, &config, address).await?;
        let closing = state.closing.clone();
        let limits = ConnectionLimits::within(descriptors::raise());
        let http = tokio::spawn(api::serve(listener, api::router(state), limits, closing.clone()));
        let jobs = engine.status().jobs;
        let version = env!("CARGO_PKG_VERSION");
        tracing::info!(
            version,
            name = config.name,
            store = store.kind(),
            jobs,
            "listening on http://{address}"
        );
        Ok(Self { address, engine, store, closing, http })
    }

    /// Stops accepting, lets requests and launches under way end, and closes the store.
    async fn stop(self) {
        self.closing.cancel();
        let requests = async {
            if tokio::time::timeout(DRAIN, self.http).await.is_err() {
                tracing::warn!("some requests did not end in time and are cut off");
            }
        };
        let stopped = match self.engine {
            // Other replicas answer: the sooner they have the jobs, the better.
            Scheduler::Replica(replica) => tokio::join!(requests, replica.stop(ENGINE)).1,
            Scheduler::Alone(engine) => {
                requests.await;
                engine.stop(ENGINE).await
            }
        };
        if !stopped {
            tracing::warn!("some launches did not end in time; they are taken up at the next start");
        }
        match tokio::time::timeout(STORE, self.store.close()).await {
            Ok(Ok(())) => tracing::info!("stopped"),
            Ok(Err(error)) => tracing::error!("could not close the store: {}", fault::chain(&error)),
            Err(_) => tracing::error!("could not close the store in time"),
        }
    }
}

/// What an engine and an API stand on.
pub(crate) struct Parts {
    pub(crate) registry: Arc<TriggerRegistry>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) launcher: Arc<dyn Launcher>,
    pub(crate) clock: Arc<dyn Clock>,
    /// What counts the calls to AWS.
    pub(crate) aws: Option<Arc<dyn CallStats>>,
}

/// Starts an engine, or joins the other replicas where the store can be shared, and puts what the API needs around it.
/// `address` is where the API will listen.
///
/// # Errors
///
/// Fails when the store cannot be read.
pub(crate) async fn assemble(
    parts: Parts,
    config: &Config,
    address: SocketAddr,
) -> Result<(Scheduler, ApiState), CommandError> {
    let Parts { registry, store, launcher, clock, aws } = parts;
    let options = EngineOptions {
        name: config.name.clone(),
        max_tasks: config.max_tasks,
        history_age: DAY * config.history_days.get(),
        ..EngineOptions::default()
    };
    let engine = Engine {
        options,
        store: Arc::clone(&store),
        launcher,
        registry: Arc::clone(&registry),
        clock: Arc::clone(&clock),
    };
    let engine = begin(engine, config, address)
        .await
        .map_err(|error| CommandError::caused("could not start the engine", error))?;
    let state = ApiState {
        store,
        engine: engine.clone(),
        registry,
        clock,
        max_tasks: config.max_tasks,
        launchers: wiring::launchers(&config.launcher),
        stores: wiring::stores(&config.store),
        aws,
        hosts: hosts(config),
        limits: Limits::default(),
        closing: CancellationToken::new(),
    };
    Ok((engine, state))
}

/// Returns the names by which this server is reached: those that are configured, and the one that other replicas use.
fn hosts(config: &Config) -> Vec<String> {
    let advertised = config.replica.advertise.as_deref().and_then(|url| url.strip_prefix("http://"));
    let advertised = advertised.map(|host| host.rsplit_once(':').map_or(host, |(host, _)| host));
    let advertised = advertised.map(|host| host.trim_end_matches('.').to_owned());
    config.allowed_hosts.iter().cloned().chain(advertised).collect()
}

/// Starts the engine alone, or as one of several replicas. The memory store is shared by nobody: it is in this process.
async fn begin(engine: Engine, config: &Config, address: SocketAddr) -> Result<Scheduler, StoreError> {
    let shared = Arc::clone(&engine.store).shared().filter(|_| config.store != StoreConfig::Memory);
    let Some(store) = shared else { return Ok(engine.start().await?.into()) };
    let ReplicaConfig { id, advertise } = config.replica.clone();
    let options = ReplicaOptions {
        id: id.unwrap_or_else(ReplicaId::random),
        address: advertise.unwrap_or_else(|| format!("http://{address}")),
        timing: Timing::default(),
    };
    tracing::info!(replica = %options.id, address = options.address, "one of several replicas");
    Ok(Replica { options, engine, store }.join().await?.into())
}
