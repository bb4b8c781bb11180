//! The server as a library: its plugins, its start and its stop.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::call_stats::CallMeter;
use ecs_scheduler_core::engine::{Engine, EngineOptions};
use ecs_scheduler_core::job::JobContext;
use ecs_scheduler_core::replica::{Replica, ReplicaId, ReplicaOptions, SchedulerNode, Timing};
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::{
    CheckResult, Clock, ConfigError, FaultKind, Launcher, LauncherProvider, OpenMode, ProviderDescriptor,
    Store, StoreError, StoreProvider, StoreSetup, SystemClock, Timestamp, TriggerRegistry, TriggerType,
    fault,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::access::AccessControl;
use crate::api::{ApiState, ConnectionLimits, Limits, PluginInfo};
use crate::config::{Config, Providers, ReplicaConfig, StoreConfig};
use crate::error::CommandError;
use crate::notify::{Channels, TopicPublisher};
use crate::shutdown::{DRAIN_TIMEOUT, ENGINE_TIMEOUT, STORE_TIMEOUT, Signals};
use crate::wiring::PluginContext;
use crate::{api, crontab_rule, descriptors, wiring};

mod authentication;

use authentication::Bootstrap;

/// The exit code after a second signal: that of a shell for an interrupted program.
const SECOND_SIGNAL_EXIT_CODE: u8 = 130;

/// The kind of the store in memory, which lasts as long as the process.
pub(crate) const MEMORY: &str = "memory";

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The scheduler, for a `main.rs`.
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
    /// Returns a builder with the built-in stores and launchers, and without triggers.
    #[must_use]
    pub fn builder() -> ServerBuilder {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let plugin_context = PluginContext::new(&clock);
        let mut providers = Providers::default();
        let registration_error = wiring::add_providers(&mut providers, &plugin_context).err();
        let (registry, providers) = (TriggerRegistry::new(), Arc::new(providers));
        ServerBuilder { registry, providers, registration_error, clock, plugin_context }
    }
}

/// Builds a server with its plugins.
#[derive(Debug)]
pub struct ServerBuilder {
    registry: TriggerRegistry,
    providers: Arc<Providers>,
    registration_error: Option<ConfigError>,
    clock: Arc<dyn Clock>,
    plugin_context: PluginContext,
}

impl ServerBuilder {
    /// Installs the built-in triggers.
    ///
    /// # Errors
    ///
    /// Fails when a trigger of the same type is installed already.
    pub fn standard(mut self) -> Result<Self, ConfigError> {
        wiring::add_triggers(&mut self.registry, &self.plugin_context)?;
        Ok(self)
    }

    /// Installs a trigger. A second one of the same type is an error that [`run`](Self::run) reports.
    #[must_use]
    pub fn trigger<T: TriggerType>(mut self, kind: T) -> Self {
        if let Err(error) = self.registry.add(kind) {
            self.registration_error.get_or_insert(error);
        }
        self
    }

    /// Installs a store. A second one of the same kind, and a setting that exists already, is an error that
    /// [`run`](Self::run) reports.
    #[must_use]
    pub fn store(mut self, provider: impl StoreProvider) -> Self {
        if let Err(error) = Arc::make_mut(&mut self.providers).add_store(provider) {
            self.registration_error.get_or_insert(error);
        }
        self
    }

    /// Installs a launcher. A second one of the same kind, and a setting that exists already, is an error that
    /// [`run`](Self::run) reports.
    #[must_use]
    pub fn launcher(mut self, provider: impl LauncherProvider) -> Self {
        if let Err(error) = Arc::make_mut(&mut self.providers).add_launcher(provider) {
            self.registration_error.get_or_insert(error);
        }
        self
    }

    /// Returns the installed stores and launchers.
    pub(crate) fn providers(&self) -> &Arc<Providers> {
        &self.providers
    }

    /// Returns the shared context of the built-in plugins.
    pub(crate) fn plugin_context(&self) -> &PluginContext {
        &self.plugin_context
    }

    /// Opens the configured launcher.
    ///
    /// # Errors
    ///
    /// Fails with the problem and the remedy.
    pub(crate) async fn open_launcher(&self, config: &Config) -> Result<Arc<dyn Launcher>, CommandError> {
        self.plugin_context.configure(&config.aws);
        let setup = config.launcher_setup(Arc::clone(&self.clock));
        let opened = config.launcher.provider.open(&setup).await;
        let descriptor = config.launcher.provider.descriptor();
        opened.map_err(|error| open_error("could not open the launcher", &descriptor, error))
    }

    /// Opens the configured store for reading, without an effect on a scheduler that uses it. A file that does not exist is an
    /// empty store, because the first start creates it.
    ///
    /// # Errors
    ///
    /// Fails with the problem and the remedy.
    pub(crate) async fn open_store_read_only(&self, config: &Config) -> Result<Arc<dyn Store>, CommandError> {
        self.plugin_context.configure(&config.aws);
        match wiring::store_file(&config.store) {
            Some(_) => self.open_store_or_empty(&config.store).await,
            None => self.open_store(&config.store, OpenMode::ReadOnly).await,
        }
    }

    /// Checks the configured store with read-only calls.
    pub(crate) async fn diagnose_store(&self, config: &Config) -> Vec<CheckResult> {
        self.plugin_context.configure(&config.aws);
        let StoreConfig { provider, settings, .. } = &config.store;
        provider.diagnose(&StoreSetup::new(settings, Arc::clone(&self.clock))).await
    }

    /// Returns the clock.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Opens a store, which need not be the configured one.
    ///
    /// # Errors
    ///
    /// Fails with the problem and the remedy.
    pub(crate) async fn open_store(
        &self,
        config: &StoreConfig,
        mode: OpenMode,
    ) -> Result<Arc<dyn Store>, CommandError> {
        let descriptor = config.provider.descriptor();
        let opened = self.open(config, mode).await;
        opened.map_err(|error| open_error("could not open the store", &descriptor, error))
    }

    /// Opens a store to read from it; one that does not exist is empty.
    ///
    /// # Errors
    ///
    /// Fails with the problem and the remedy.
    pub(crate) async fn open_store_or_empty(
        &self,
        config: &StoreConfig,
    ) -> Result<Arc<dyn Store>, CommandError> {
        match self.open(config, OpenMode::ReadOnly).await {
            Err(StoreError::Fault { kind: FaultKind::NotFound, .. }) => Ok(wiring::empty_store()),
            Err(error) => Err(open_error("could not open the store", &config.provider.descriptor(), error)),
            Ok(opened) => Ok(opened),
        }
    }

    async fn open(&self, config: &StoreConfig, mode: OpenMode) -> Result<Arc<dyn Store>, StoreError> {
        let setup = StoreSetup::new(&config.settings, Arc::clone(&self.clock));
        config.provider.open(&setup, mode).await
    }

    /// Returns the installed triggers.
    ///
    /// # Errors
    ///
    /// Fails when a type or a kind was installed twice, or a setting of a store or launcher exists already.
    pub(crate) fn registry(&self) -> Result<Arc<TriggerRegistry>, CommandError> {
        match &self.registration_error {
            None => Ok(Arc::new(self.registry.clone())),
            Some(error) => Err(CommandError::failed(error.message.clone())),
        }
    }
}

/// Makes the error about a store or launcher that could not be opened. Only one whose settings are paths may fail for a path:
/// the system may deny a connection as well.
fn open_error(
    message: &str,
    descriptor: &ProviderDescriptor,
    error: impl std::error::Error + Send + Sync + 'static,
) -> CommandError {
    if descriptor.settings.iter().any(|setting| setting.path.is_some()) {
        return CommandError::opening(message, error);
    }
    CommandError::caused(message, error)
}

/// Serves until a signal arrives. `ready` is called once, with the address, when the server answers requests.
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
            tracing::info!(signal, "stopped before startup completed");
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
            tracing::warn!(signal, "stopping immediately; launches in progress resume at the next start");
            Ok(ExitCode::from(SECOND_SIGNAL_EXIT_CODE))
        }
    }
}

/// A running server: the API and the engine.
struct Running {
    address: SocketAddr,
    engine: SchedulerNode,
    store: Arc<dyn Store>,
    closing: CancellationToken,
    http: JoinHandle<()>,
    bootstrap: Option<Bootstrap>,
}

impl Running {
    async fn start(builder: ServerBuilder, config: Config) -> Result<Self, CommandError> {
        let registry = builder.registry()?;
        let launcher = builder.open_launcher(&config).await?;
        let failed = |what: String| move |error| CommandError::caused(what, error);
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(failed(format!("could not listen on {}", config.listen)))?;
        let address = listener.local_addr().map_err(failed("could not read the local address".to_owned()))?;
        let store = builder.open_store(&config.store, OpenMode::Serve).await?;
        let ServerBuilder { clock, plugin_context, providers, .. } = builder;
        let aws = plugin_context.calls();
        let topics = plugin_context.topics();
        let search = search_moved_jobs(&store, &registry, clock.now(), &config);
        let (access, bootstrap) = authentication::prepare(&config, &store, &clock, address);
        let services =
            Services { registry, providers, store: Arc::clone(&store), launcher, clock, aws, topics, access };
        let (engine, state) = start_services(services, &config, address).await?;
        let closing = state.closing.clone();
        // It is no part of the start, which a large store would delay.
        tokio::spawn(closing.clone().run_until_cancelled_owned(search));
        let limits = ConnectionLimits::for_descriptors(descriptors::raise_limit());
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
        Ok(Self { address, engine, store, closing, http, bootstrap })
    }

    /// Stops accepting connections, waits for requests and launches in progress, and closes the store.
    async fn stop(self) {
        self.closing.cancel();
        self.bootstrap.into_iter().for_each(Bootstrap::remove);
        let requests = async {
            if tokio::time::timeout(DRAIN_TIMEOUT, self.http).await.is_err() {
                tracing::warn!("some requests did not finish in time and were cut off");
            }
        };
        let stopped = match self.engine {
            // Other replicas continue to serve: hand over the jobs first.
            SchedulerNode::Replica(replica) => tokio::join!(requests, replica.stop(ENGINE_TIMEOUT)).1,
            SchedulerNode::Single(engine) => {
                requests.await;
                engine.stop(ENGINE_TIMEOUT).await
            }
        };
        if !stopped {
            tracing::warn!("some launches did not finish in time; they resume at the next start");
        }
        match tokio::time::timeout(STORE_TIMEOUT, self.store.close()).await {
            Ok(Ok(())) => tracing::info!("stopped"),
            Ok(Err(error)) => tracing::error!("could not close the store: {}", fault::chain(&error)),
            Err(_) => tracing::error!("could not close the store in time"),
        }
    }
}

/// Searches the store once for jobs that the rule for crontab lines has moved to other days.
fn search_moved_jobs(
    store: &Arc<dyn Store>,
    registry: &Arc<TriggerRegistry>,
    now: Timestamp,
    config: &Config,
) -> impl Future<Output = ()> + Send + 'static {
    let (store, registry) = (Arc::clone(store), Arc::clone(registry));
    let max_tasks = config.max_tasks;
    async move {
        let strictness = Strictness::Lenient;
        let cx = JobContext { registry: &registry, max_tasks, strictness, launcher: None, channels: None };
        crontab_rule::warn_at_start(&*store, now, &cx).await;
    }
}

/// The parts that an engine and an API need.
pub(crate) struct Services {
    pub(crate) registry: Arc<TriggerRegistry>,
    pub(crate) providers: Arc<Providers>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) launcher: Arc<dyn Launcher>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Counts the calls to AWS.
    pub(crate) aws: Option<Arc<dyn CallMeter>>,
    /// Publishes notifications to topics of Amazon SNS.
    pub(crate) topics: Option<Arc<dyn TopicPublisher>>,
    /// How clients of the API authenticate.
    pub(crate) access: AccessControl,
}

/// Starts an engine, or joins the other replicas if the store can be shared, and builds the state of the API. `address`
/// is the address of the API.
///
/// # Errors
///
/// Fails when the store cannot be read.
pub(crate) async fn start_services(
    services: Services,
    config: &Config,
    address: SocketAddr,
) -> Result<(SchedulerNode, ApiState), CommandError> {
    let Services { registry, providers, store, launcher, clock, aws, topics, access } = services;
    let options = EngineOptions {
        name: config.name.clone(),
        max_tasks: config.max_tasks,
        history_age: DAY * config.history_days.get(),
        notifier: Channels::notifier(&config.notify, &config.name, &clock, topics),
        budgets: config.budgets.clone().into(),
        ..EngineOptions::default()
    };
    let engine = Engine {
        options,
        store: Arc::clone(&store),
        launcher,
        registry: Arc::clone(&registry),
        clock: Arc::clone(&clock),
    };
    let engine = start_engine(engine, config, address)
        .await
        .map_err(|error| CommandError::caused("could not start the engine", error))?;
    let state = ApiState {
        store,
        engine: engine.clone(),
        registry,
        clock,
        max_tasks: config.max_tasks,
        launchers: list_launchers(&providers, config.launcher.kind),
        stores: list_stores(&providers, config.store.kind),
        aws,
        hosts: hosts(config),
        access,
        limits: Limits::default(),
        closing: CancellationToken::new(),
    };
    Ok((engine, state))
}

/// Lists the launchers of this build; the one in use is marked.
fn list_launchers(providers: &Providers, in_use: &str) -> Vec<PluginInfo> {
    let schema = |kind| providers.launcher(kind).map(|launcher| launcher.options_schema());
    let info = |launcher: ProviderDescriptor| {
        plugin_info(&launcher, in_use, schema(launcher.kind).unwrap_or_default())
    };
    providers.present_launchers().into_iter().map(info).collect()
}

/// Lists the stores of this build; the one in use is marked.
fn list_stores(providers: &Providers, in_use: &str) -> Vec<PluginInfo> {
    let info = |store: ProviderDescriptor| {
        let variables = store.settings.iter().filter_map(|setting| {
            let schema = json!({ "type": "string", "description": setting.brief() });
            Some((setting.variable?.to_owned(), schema))
        });
        let properties: Value = variables.collect();
        let schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
        plugin_info(&store, in_use, schema)
    };
    providers.present_stores().into_iter().map(info).collect()
}

fn plugin_info(descriptor: &ProviderDescriptor, in_use: &str, schema: Value) -> PluginInfo {
    let ProviderDescriptor { kind, summary, .. } = *descriptor;
    PluginInfo { kind: kind.to_owned(), summary: summary.to_owned(), active: kind == in_use, schema }
}

/// Returns the names by which this server is reached: those that are configured, and the one that other replicas use.
fn hosts(config: &Config) -> Vec<String> {
    let advertised = config.replica.advertise.as_deref().and_then(|url| url.strip_prefix("http://"));
    let advertised = advertised.map(|host| host.rsplit_once(':').map_or(host, |(host, _)| host));
    let advertised = advertised.map(|host| host.trim_end_matches('.').to_owned());
    config.allowed_hosts.iter().cloned().chain(advertised).collect()
}

/// Starts the engine alone, or as one of several replicas. No other process can use the memory store.
async fn start_engine(
    engine: Engine,
    config: &Config,
    address: SocketAddr,
) -> Result<SchedulerNode, StoreError> {
    let shared = Arc::clone(&engine.store).shared().filter(|_| config.store.kind != MEMORY);
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
