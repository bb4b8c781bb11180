//! State that the handlers share.

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Method};
use ecs_scheduler_core::job::JobContext;
use ecs_scheduler_core::replica::Scheduler;
use ecs_scheduler_core::schedule::{ScheduleCache, Strictness};
use ecs_scheduler_core::{Clock, Job, JobUid, Revision, Store, StoredJob, Timestamp, TriggerRegistry};
use lru::LruCache;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::idempotency::KeyLimiter;
use super::job_summary::JobSummary;
use super::metrics::ResponseCounters;
use super::plugins::PluginInfo;
use super::problem::Problem;
use super::request::Name;
use super::stats::CallStats;
use super::{forward, openapi, respond};

/// How many jobs' summaries are kept for reading; more jobs than this are parsed when they are read.
const MAX_CACHED_SUMMARIES: NonZeroUsize = NonZeroUsize::new(16_384).expect("it is not zero");
/// How many requests for `/readyz` and `/metrics` are answered at once.
const MAX_PROBES: usize = 32;
/// How many distinct schedules are shared between those summaries.
const MAX_CACHED_SCHEDULES: usize = 16_384;

/// The parts that the API needs.
#[derive(Debug, Clone)]
pub struct ApiState {
    /// Where jobs and history are.
    pub store: Arc<dyn Store>,
    /// The engine, or this replica of it.
    pub engine: Scheduler,
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
    pub aws: Option<Arc<dyn CallStats>>,
    /// The names under which clients reach this server, beside IP addresses and `localhost`; [`ANY_HOST`](crate::config::ANY_HOST) for all.
    pub hosts: Vec<String>,
    /// The limits of this server.
    pub limits: Limits,
    /// Ends the live streams, so that a server can shut down.
    pub closing: CancellationToken,
}

/// Limits beyond which clients get 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests under way at once, until their answers are sent; 256.
    pub requests: usize,
    /// Large pages being made or sent at once; 8. Further ones wait.
    pub pages: usize,
    /// Live streams open at once; 64.
    pub streams: usize,
    /// How long one request may take; 10 s.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests: 256, pages: 8, streams: 64, deadline: Duration::from_secs(10) }
    }
}

/// The parts that the API needs, and its own caches and limits.
#[derive(Debug)]
pub(super) struct AppState {
    pub(super) store: Arc<dyn Store>,
    pub(super) engine: Scheduler,
    pub(super) registry: Arc<TriggerRegistry>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) max_tasks: NonZeroU32,
    pub(super) launchers: Vec<PluginInfo>,
    pub(super) stores: Vec<PluginInfo>,
    pub(super) aws: Option<Arc<dyn CallStats>>,
    pub(super) hosts: Vec<String>,
    pub(super) limits: Limits,
    pub(super) closing: CancellationToken,
    /// When it was made.
    pub(super) started: Timestamp,
    /// The bytes of the OpenAPI document.
    pub(super) openapi: Vec<u8>,
    /// `Allow` of every documented resource, by its path.
    allow: HashMap<String, HeaderValue>,
    /// The parameters of every documented operation, by method and path.
    parameters: HashMap<String, Vec<String>>,
    pub(super) requests: Arc<Semaphore>,
    /// Permits for `/readyz` and `/metrics`.
    pub(super) probes: Arc<Semaphore>,
    pub(super) pages: Arc<Semaphore>,
    pub(super) streams: Arc<Semaphore>,
    pub(super) answered: ResponseCounters,
    pub(super) schedules: ScheduleCache,
    /// Passes requests on to other replicas.
    pub(super) peers: reqwest::Client,
    pub(super) keys: KeyLimiter,
    summaries: Mutex<LruCache<(JobUid, Revision), Arc<JobSummary>>>,
}

/// The state as handlers receive it.
pub(super) type App = Arc<AppState>;

impl AppState {
    pub(super) fn new(state: ApiState, openapi: &Value) -> App {
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
            limits,
            closing,
        } = state;
        Arc::new(Self {
            openapi: respond::encode(openapi),
            allow: openapi::methods(openapi),
            parameters: openapi::parameters(openapi),
            requests: Arc::new(Semaphore::new(limits.requests)),
            probes: Arc::new(Semaphore::new(MAX_PROBES)),
            pages: Arc::new(Semaphore::new(limits.pages)),
            streams: Arc::new(Semaphore::new(limits.streams)),
            answered: ResponseCounters::default(),
            schedules: ScheduleCache::new(MAX_CACHED_SCHEDULES),
            peers: forward::client(),
            keys: KeyLimiter::default(),
            summaries: Mutex::new(LruCache::new(MAX_CACHED_SUMMARIES)),
            started: clock.now(),
            store,
            engine,
            registry,
            clock,
            max_tasks,
            launchers,
            stores,
            aws,
            hosts,
            limits,
            closing,
        })
    }

    /// Returns the methods of a resource; what is not documented can only be read.
    pub(super) fn allow(&self, path: &str) -> HeaderValue {
        self.allow.get(path).cloned().unwrap_or(HeaderValue::from_static("GET, HEAD, OPTIONS"))
    }

    /// Returns the parameters of an operation, none for a resource that is not documented; nothing where the viewer of the
    /// document has its own, or where there is no such operation.
    pub(super) fn parameters(&self, method: &Method, path: &str) -> Option<&[String]> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        match self.parameters.get(&format!("{method} {path}")) {
            Some(known) => Some(known.as_slice()),
            None if self.allow.contains_key(path) || path.starts_with("/docs") => None,
            None => Some(&[]),
        }
    }

    /// Returns the context for checking a document: strict for one from a client, lenient for one from the store.
    pub(super) fn context(&self, strictness: Strictness) -> JobContext<'_> {
        JobContext {
            registry: &self.registry,
            max_tasks: self.max_tasks,
            strictness,
            launcher: Some(self.engine.launcher()),
        }
    }

    /// Returns what is worth a warning in a job that was written.
    pub(super) fn warnings(&self, job: &Job, now: Timestamp) -> Vec<String> {
        let mut warnings = job.warnings(now);
        warnings.extend(self.engine.launcher().review(&job.task).unwrap_or_default());
        warnings
    }

    /// Reads a job.
    ///
    /// # Errors
    ///
    /// 404 when there is none, or what the store's fault becomes.
    pub(super) async fn job(&self, name: &Name) -> Result<StoredJob, Problem> {
        let id = name.job()?;
        let found = self.store.get(std::slice::from_ref(&id)).await?;
        found.into_iter().next().ok_or_else(|| Problem::no_job(&name.0))
    }

    /// Returns what is needed to show a job, parsed now or earlier.
    pub(super) fn job_summary(&self, job: &StoredJob) -> Arc<JobSummary> {
        let key = (job.uid, job.revision);
        if let Some(summary) = self.summaries.lock().get(&key) {
            return Arc::clone(summary);
        }
        let summary = Arc::new(JobSummary::from_stored(self, job));
        self.summaries.lock().put(key, Arc::clone(&summary));
        summary
    }
}
