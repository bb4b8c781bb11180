//! `/healthz` and `/readyz`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use ecs_scheduler_core::replica::SchedulerNode;
use ecs_scheduler_core::{Store, fault};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::caller::Caller;
use super::request::Query;
use super::respond;

/// The time limit of the store's health check.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// The process is alive.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Alive {
    status: &'static str,
}

/// Whether this scheduler is ready.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Readiness {
    /// `ready` if all `checks` succeed, otherwise `notReady`.
    status: &'static str,
    /// One entry each for the store and the engine, and for the replica if the store supports replicas.
    checks: Vec<Check>,
    /// Dependencies of tasks: `launcher`, `sources`, `clock`. Only failing ones are listed, unless `verbose` is given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<Check>,
}

/// The health of one part.
#[derive(Debug, Serialize, ToSchema)]
struct Check {
    /// A check: `store`, `engine` or `replica`; a dependency: `launcher`, `sources` or `clock`.
    name: &'static str,
    ok: bool,
    /// The problem and its remedy, or a note. With `ECSS_AUTH=tokens`, only for a token for all jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Check {
    fn new(name: &'static str, fault: Option<String>) -> Self {
        Self { name, ok: fault.is_none(), detail: fault }
    }
}

/// Reports that the process is alive.
#[utoipa::path(
    get, path = "/healthz", tag = "operation", operation_id = "healthz",
    responses((status = 200, description = "Healthy", body = Alive)),
)]
pub(super) async fn alive() -> Response {
    respond::json(StatusCode::OK, &Alive { status: "ok" })
}

/// Reports whether store and engine work, and which dependencies fail.
#[utoipa::path(
    get, path = "/readyz", tag = "operation", operation_id = "readyz",
    params(("verbose" = Option<String>, Query, description = "Also list healthy dependencies; any value")),
    responses(
        (status = 200, description = "Ready; `dependencies` lists failing dependencies", body = Readiness),
        (status = 503, description = "Not ready; `checks` lists the failed check with its reason", body = Readiness),
    ),
)]
pub(super) async fn ready(
    State(store): State<Arc<dyn Store>>,
    State(engine): State<SchedulerNode>,
    State(closing): State<CancellationToken>,
    caller: Caller,
    query: Query,
) -> Response {
    let store = match tokio::time::timeout(STORE_TIMEOUT, store.health_check()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(fault::chain(&error)),
        Err(_) => Some(format!("did not answer within {} s", STORE_TIMEOUT.as_secs())),
    };
    let status = engine.status();
    let mut dependencies: Vec<Check> =
        status.dependencies().into_iter().map(|(name, fault)| Check::new(name, fault)).collect();
    let stopping = closing.is_cancelled().then(|| "the scheduler is stopping".to_owned());
    let mut checks = vec![Check::new("store", store.or(status.store_fault)), Check::new("engine", stopping)];
    if let Some(replica) = engine.replica() {
        checks.push(Check::new("replica", replica.fault()));
    }
    if query.text("verbose").is_none() {
        dependencies.retain(|check| !check.ok);
    }
    if !caller.sees_faults() {
        checks.iter_mut().chain(&mut dependencies).for_each(|check| check.detail = None);
    }
    let ready = checks.iter().all(|check| check.ok);
    let (code, status) =
        if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "notReady") };
    let mut response = respond::json(code, &Readiness { status, checks, dependencies });
    if !ready {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}
