//! A whole server in one process: the real router, engine and store, a launcher that starts tasks at once, and a clock
//! that moves with tokio's virtual time. Nothing listens; requests go straight to the router.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use ecs_scheduler::access::{AccessControl, OpenResource, TokenRegister};
use ecs_scheduler::api::{self, ApiState, Limits, PluginInfo};
use ecs_scheduler_core::engine::{Engine, EngineHandle, EngineOptions};
use ecs_scheduler_core::{
    Budget, BuildContext, ConfigError, EvalContext, Evaluation, Launcher, MemoryStore, Notifier, Store,
    Trigger, TriggerError, TriggerRegistry, TriggerType, async_trait,
};
use ecs_scheduler_testing::SimClock;
use http_body_util::BodyExt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

mod grant;
mod launcher;

pub(crate) use grant::{Grant, grant};
pub(crate) use launcher::InstantLauncher;

/// The moment at which tests begin, and at which nothing special happens anywhere.
pub(crate) const BEGIN: &str = "2026-06-01T12:00:00.5Z";

/// A server under test.
pub(crate) struct Server {
    pub(crate) router: Router,
    pub(crate) engine: EngineHandle,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) launcher: Arc<InstantLauncher>,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) closing: CancellationToken,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Server {
    /// Starts with an empty store.
    pub(crate) async fn start() -> Self {
        Self::over(Arc::new(MemoryStore::default()), Limits::default()).await
    }

    /// Starts over a store, with the given bounds.
    pub(crate) async fn over(store: Arc<dyn Store>, limits: Limits) -> Self {
        Self::at(store, limits, Arc::new(SimClock::at(BEGIN.parse().unwrap())), registry()).await
    }

    /// Starts with an empty store and other triggers.
    pub(crate) async fn with(registry: TriggerRegistry) -> Self {
        let clock = Arc::new(SimClock::at(BEGIN.parse().unwrap()));
        Self::at(Arc::new(MemoryStore::default()), Limits::default(), clock, registry).await
    }

    /// Starts with an empty store and another launcher.
    pub(crate) async fn on(launcher: Arc<dyn Launcher>) -> Self {
        let clock = Arc::new(SimClock::at(BEGIN.parse().unwrap()));
        let (store, unused) = (Arc::new(MemoryStore::default()), Arc::default());
        Self::assembled(store, Limits::default(), clock, registry(), unused, launcher, options(), None).await
    }

    /// Starts over a store, with clients that need a token except for these resources.
    pub(crate) async fn with_tokens(store: Arc<dyn Store>, open: &[OpenResource]) -> Self {
        let clock = Arc::new(SimClock::at(BEGIN.parse().unwrap()));
        let instant = Arc::<InstantLauncher>::default();
        let launcher = Arc::clone(&instant) as _;
        Self::assembled(store, Limits::default(), clock, registry(), instant, launcher, options(), Some(open))
            .await
    }

    /// Starts with an empty store and channels of notifications.
    pub(crate) async fn notifying(notifier: Arc<dyn Notifier>) -> Self {
        Self::with_options(EngineOptions { notifier: Some(notifier), ..options() }).await
    }

    /// Starts with an empty store and budgets.
    pub(crate) async fn with_budgets(budgets: &[Budget]) -> Self {
        Self::with_options(EngineOptions { budgets: budgets.into(), ..options() }).await
    }

    async fn with_options(options: EngineOptions) -> Self {
        let clock = Arc::new(SimClock::at(BEGIN.parse().unwrap()));
        let instant = Arc::<InstantLauncher>::default();
        let (store, launcher) = (Arc::new(MemoryStore::default()), Arc::clone(&instant) as _);
        Self::assembled(store, Limits::default(), clock, registry(), instant, launcher, options, None).await
    }

    async fn at(
        store: Arc<dyn Store>,
        limits: Limits,
        clock: Arc<SimClock>,
        registry: TriggerRegistry,
    ) -> Self {
        let instant = Arc::<InstantLauncher>::default();
        let launcher = Arc::clone(&instant) as _;
        Self::assembled(store, limits, clock, registry, instant, launcher, options(), None).await
    }

    #[expect(clippy::too_many_arguments, reason = "it is called by the named ways to start only")]
    async fn assembled(
        store: Arc<dyn Store>,
        limits: Limits,
        clock: Arc<SimClock>,
        registry: TriggerRegistry,
        instant: Arc<InstantLauncher>,
        launcher: Arc<dyn Launcher>,
        options: EngineOptions,
        open: Option<&[OpenResource]>,
    ) -> Self {
        let registry = Arc::new(registry);
        let access = open.map_or_else(AccessControl::default, |open| {
            let tokens = TokenRegister::new(Arc::clone(&store), Arc::clone(&clock) as _);
            AccessControl { tokens: Some(Arc::new(tokens)), open: open.to_vec() }
        });
        let engine = Engine {
            options: options.clone(),
            store: Arc::clone(&store),
            launcher,
            registry: Arc::clone(&registry),
            clock: Arc::clone(&clock) as _,
        };
        let engine = engine.start().await.unwrap();
        let closing = CancellationToken::new();
        let router = api::router(ApiState {
            store: Arc::clone(&store),
            engine: engine.clone().into(),
            registry,
            clock: Arc::clone(&clock) as _,
            max_tasks: options.max_tasks,
            launchers: vec![installed("instant")],
            stores: vec![installed("memory")],
            aws: None,
            hosts: vec!["scheduler.test".to_owned()],
            access,
            limits,
            closing: closing.clone(),
        });
        Self { router, engine, store, launcher: instant, clock, closing }
    }

    /// Stops the engine and starts again with the same store.
    pub(crate) async fn restart(self) -> Self {
        assert!(self.engine.stop(Duration::from_secs(60)).await, "the engine stops in time");
        Self::at(self.store, Limits::default(), self.clock, registry()).await
    }

    /// Sends a request, to `localhost` unless it names a host.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Reply {
        request.headers_mut().entry("host").or_insert(HeaderValue::from_static("localhost"));
        self.send_as_it_is(request).await
    }

    /// Sends a request as it is.
    pub(crate) async fn send_as_it_is(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Reply { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &[], "").await
    }

    /// Sends a JSON body.
    pub(crate) async fn json(&self, method: &str, path: &str, body: impl ToString) -> Reply {
        self.call(method, path, &[("content-type", "application/json")], body.to_string()).await
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }
}

fn options() -> EngineOptions {
    EngineOptions { name: "test".to_owned(), ..EngineOptions::default() }
}

/// The built-in triggers that need nothing from outside, and a stand-in for the one of the recorded cases.
pub(crate) fn registry() -> TriggerRegistry {
    let mut registry = TriggerRegistry::new();
    registry.add(ecs_scheduler_trigger_cron::Cron).unwrap();
    registry.add(ecs_scheduler_trigger_compose::All).unwrap();
    registry.add(ecs_scheduler_trigger_compose::Any).unwrap();
    registry.add(ecs_scheduler_trigger_compose::Window).unwrap();
    registry.add(Queue).unwrap();
    registry
}

fn installed(kind: &str) -> PluginInfo {
    PluginInfo {
        kind: kind.to_owned(),
        summary: "for tests".to_owned(),
        active: true,
        schema: serde_json::json!({"type": "object"}),
    }
}

/// A queue that is always empty, configured as the `sqs` trigger of the Python version is.
struct Queue;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct QueueConfig {
    queue_name: Option<String>,
    messages_per_task: Option<u32>,
}

#[derive(Debug)]
struct EmptyQueue;

impl TriggerType for Queue {
    const KIND: &'static str = "sqs";
    const SUMMARY: &'static str = "stands in for a queue";
    type Config = QueueConfig;

    fn build(&self, config: QueueConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        if config.queue_name.is_none_or(|name| name.is_empty()) {
            return Err(ConfigError::new("sqs trigger type requires queueName field"));
        }
        if config.messages_per_task.is_some_and(|each| NonZeroU32::new(each).is_none()) {
            return Err(ConfigError::at("/messagesPerTask", "Must be at least 1."));
        }
        Ok(Arc::new(EmptyQueue))
    }
}

#[async_trait]
impl Trigger for EmptyQueue {
    async fn evaluate(&self, _: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        Ok(Evaluation::idle("0 messages"))
    }
}
