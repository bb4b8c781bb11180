//! State that the handlers share.

use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use ecs_scheduler_core::call_stats::CallMeter;
use ecs_scheduler_core::job::JobContext;
use ecs_scheduler_core::replica::SchedulerNode;
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::{Clock, Job, JobId, Store, StoredJob, Timestamp, TriggerRegistry};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::events::StreamPermits;
use super::forward::Forwarder;
use super::idempotency::Idempotency;
use super::job_summary::JobSummary;
use super::job_summary_cache::JobSummaryCache;
use super::metrics::ResponseCounters;
use super::notifications::TestLimiter;
use super::openapi::ServedDocument;
use super::plugins::{PluginInfo, Plugins};
use super::problem::Problem;
use super::recent_outcomes::OutcomeCache;
use super::request::{Name, Parsers};
use super::search_index::{IndexContext, SearchIndex};
use super::stats::AwsCalls;
use crate::access::AccessControl;

/// The maximum number of concurrent requests for `/readyz` and `/metrics`.
const MAX_PROBES: usize = 32;

/// The parts that the API needs.
#[derive(Debug, Clone)]
pub struct ApiState {
    /// The store of jobs and history.
    pub store: Arc<dyn Store>,
    /// The engine, or this replica of it.
    pub engine: SchedulerNode,
    /// The installed triggers.
    pub registry: Arc<TriggerRegistry>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// `ECSS_MAX_TASKS`.
    pub max_tasks: NonZeroU32,
    /// The installed launchers.
    pub launchers: Vec<PluginInfo>,
    /// The installed stores.
    pub stores: Vec<PluginInfo>,
    /// Counts of the calls to AWS.
    pub aws: Option<Arc<dyn CallMeter>>,
    /// The names under which clients reach this server, beside IP addresses and `localhost`;
    /// [`ANY_HOST`](crate::config::ANY_HOST) for all.
    pub hosts: Vec<String>,
    /// How clients authenticate; the default is not at all.
    pub access: AccessControl,
    /// The limits of this server.
    pub limits: Limits,
    /// Ends the live streams, so that a server can shut down.
    pub closing: CancellationToken,
}

/// Limits beyond which clients get 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of concurrent requests, until their answers are sent; 256.
    pub requests: usize,
    /// Bytes of request bodies held at once, beside the first 8 KiB of each; 32 MiB.
    pub bodies: usize,
    /// The maximum number of large pages that are written or sent at once; 8. Further ones wait.
    pub pages: usize,
    /// The maximum number of open event streams; 64.
    pub streams: usize,
    /// The time limit of one request; 10 s.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: 256,
            bodies: 32 * 1024 * 1024,
            pages: 8,
            streams: 64,
            deadline: Duration::from_secs(10),
        }
    }
}

/// The parts that the API needs, and its own caches and limits.
#[derive(Debug)]
pub(super) struct AppState {
    pub(super) store: Arc<dyn Store>,
    pub(super) engine: SchedulerNode,
    registry: Arc<TriggerRegistry>,
    pub(super) clock: Arc<dyn Clock>,
    max_tasks: NonZeroU32,
    plugins: Arc<Plugins>,
    aws: AwsCalls,
    pub(super) hosts: Vec<String>,
    pub(super) access: AccessControl,
    pub(super) limits: Limits,
    pub(super) closing: CancellationToken,
    pub(super) openapi: Arc<ServedDocument>,
    pub(super) requests: Arc<Semaphore>,
    /// A permit for each byte of request bodies.
    pub(super) bodies: Arc<Semaphore>,
    pub(super) parsers: Parsers,
    /// Permits for `/readyz` and `/metrics`.
    pub(super) probes: Arc<Semaphore>,
    pub(super) pages: Arc<Semaphore>,
    pub(super) streams: StreamPermits,
    pub(super) answered: Arc<ResponseCounters>,
    tests: Arc<TestLimiter>,
    forwarder: Forwarder,
    pub(super) idempotency: Idempotency,
    summaries: JobSummaryCache,
    pub(super) index: SearchIndex,
    pub(super) outcomes: OutcomeCache,
}

/// The state that handlers receive. A handler that needs one or two parts takes only these: `State<SchedulerNode>`.
#[derive(Debug, Clone)]
pub(super) struct App(Arc<AppState>);

impl Deref for App {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.0
    }
}

/// Gives handlers a part of the state.
macro_rules! parts {
    ($($field:ident: $part:ty),+ $(,)?) => {
        $(impl FromRef<App> for $part {
            fn from_ref(app: &App) -> Self {
                Clone::clone(&app.$field)
            }
        })+
    };
}

parts!(
    store: Arc<dyn Store>,
    engine: SchedulerNode,
    access: AccessControl,
    registry: Arc<TriggerRegistry>,
    clock: Arc<dyn Clock>,
    plugins: Arc<Plugins>,
    aws: AwsCalls,
    closing: CancellationToken,
    openapi: Arc<ServedDocument>,
    parsers: Parsers,
    streams: StreamPermits,
    answered: Arc<ResponseCounters>,
    tests: Arc<TestLimiter>,
    forwarder: Forwarder,
    idempotency: Idempotency,
);

impl App {
    pub(super) fn new(state: ApiState, openapi: &Value) -> Self {
        let ApiState {
            store,
            engine,
            registry,
            clock,
            max_tasks,
            launchers,
            stores,
            aws,
            hosts,
            access,
            limits,
            closing,
        } = state;
        Self(Arc::new(AppState {
            openapi: Arc::new(ServedDocument::new(openapi)),
            requests: Arc::new(Semaphore::new(limits.requests)),
            bodies: Arc::new(Semaphore::new(limits.bodies)),
            parsers: Parsers::default(),
            probes: Arc::new(Semaphore::new(MAX_PROBES)),
            pages: Arc::new(Semaphore::new(limits.pages)),
            streams: StreamPermits::new(limits.streams),
            answered: Arc::default(),
            tests: Arc::default(),
            forwarder: Forwarder::new(engine.clone(), limits.deadline),
            idempotency: Idempotency::new(Arc::clone(&store), Arc::clone(&clock), limits.deadline),
            summaries: JobSummaryCache::new(),
            index: SearchIndex::default(),
            outcomes: OutcomeCache::default(),
            plugins: Arc::new(Plugins { launchers, stores }),
            aws: AwsCalls { meter: aws, started: clock.now() },
            store,
            engine,
            registry,
            clock,
            max_tasks,
            hosts,
            access,
            limits,
            closing,
        }))
    }
}

impl AppState {
    /// Returns the context for checking a document: strict for one from a client, lenient for one from the store.
    pub(super) fn context(&self, strictness: Strictness) -> JobContext<'_> {
        JobContext {
            registry: &self.registry,
            max_tasks: self.max_tasks,
            strictness,
            launcher: Some(self.engine.launcher()),
            channels: Some(self.engine.channels()),
        }
    }

    /// Returns the warnings about a written job.
    pub(super) fn warnings(&self, job: &Job, now: Timestamp) -> Vec<String> {
        let mut warnings = job.warnings(now);
        warnings.extend(self.engine.launcher().review(&job.task).unwrap_or_default());
        warnings
    }

    /// Reads a job.
    ///
    /// # Errors
    ///
    /// 404 for an unknown job, or the problem for the store's fault.
    pub(super) async fn job(&self, name: &Name) -> Result<StoredJob, Problem> {
        let id = name.job()?;
        let found = self.store.get(std::slice::from_ref(&id)).await?;
        found.into_iter().next().ok_or_else(|| Problem::no_job(&name.0))
    }

    /// Tells whether a job of this name exists.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub(super) async fn has_job(&self, name: &Name) -> Result<bool, Problem> {
        let Ok(id) = name.job() else { return Ok(false) };
        Ok(!self.store.get(std::slice::from_ref(&id)).await?.is_empty())
    }

    /// Returns the parts that the index of jobs reads.
    pub(super) fn index_context(&self) -> IndexContext<'_> {
        IndexContext {
            store: &self.store,
            engine: &self.engine,
            clock: &*self.clock,
            summaries: &self.summaries,
            jobs: self.context(Strictness::Lenient),
        }
    }

    /// Tells the engine and the index that a job was written.
    pub(super) fn job_written(&self, id: &JobId) {
        self.index.mark_written(id);
        self.engine.nudge(id);
    }

    /// Returns the installed kinds of trigger.
    pub(super) fn trigger_kinds(&self) -> impl Iterator<Item = &str> {
        self.registry.kinds().map(|kind| kind.kind())
    }

    /// Returns the summary of a job, parsed now or earlier.
    pub(super) fn job_summary(&self, job: &StoredJob) -> Arc<JobSummary> {
        self.summaries.get(job, &self.context(Strictness::Lenient), &*self.clock)
    }
}
