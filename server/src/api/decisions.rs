//! `/decisions` and `/jobs/{id}/decisions`: how ticks ended, newest first.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use ecs_scheduler_core::{DecisionId, DecisionQuery, JobId, Outcome};

use super::problem::Problem;
use super::request::{Name, Query};
use super::respond;
use super::state::{App, Shared};
use super::wire::{DecisionPage, DecisionView};

/// Lists the decisions about all jobs.
#[utoipa::path(
    get, path = "/decisions", tag = "decisions", operation_id = "listDecisions",
    params(
        ("outcome" = Option<String>, Query, description = "With this outcome only"),
        ("after" = Option<u64>, Query, description = "Behind this decision in the list: older than it", minimum = 0),
        ("limit" = Option<u64>, Query, description = "How many at most, 100 by default", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Decisions, newest first", body = DecisionPage)),
)]
pub(super) async fn all(State(app): State<App>, query: Query) -> Result<Response, Problem> {
    list(&app, "/decisions", None, query).await
}

/// Lists the decisions about a job. They stay when it is removed, until history is pruned.
#[utoipa::path(
    get, path = "/jobs/{id}/decisions", tag = "decisions", operation_id = "listJobDecisions",
    params(
        ("id" = String, Path, description = "The job's name"),
        ("outcome" = Option<String>, Query, description = "With this outcome only"),
        ("after" = Option<u64>, Query, description = "Behind this decision in the list: older than it", minimum = 0),
        ("limit" = Option<u64>, Query, description = "How many at most, 100 by default", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Decisions, newest first", body = DecisionPage)),
)]
pub(super) async fn of_job(State(app): State<App>, name: Name, query: Query) -> Result<Response, Problem> {
    let id = name.job()?;
    list(&app, &format!("/jobs/{id}/decisions"), Some(id), query).await
}

async fn list(
    shared: &Shared,
    path: &str,
    job: Option<JobId>,
    mut query: Query,
) -> Result<Response, Problem> {
    let outcome: Option<Outcome> = query.choice("outcome");
    let before = query.text("after").is_some().then(|| DecisionId(query.integer("after", 0, 0)));
    let limit = query.limit();
    let given = query.finish()?;
    let known = job.clone();
    let records = shared.parts.store.decisions(&DecisionQuery { job, outcome, before, limit }).await?;
    if records.is_empty() {
        ensure_job(shared, known).await?;
    }
    let last = records.last().filter(|_| records.len() == limit.get());
    let next = last.map(|record| given.next_link(path, &record.id.0.to_string()));
    let decisions = records.into_iter().map(DecisionView::from).collect();
    Ok(respond::json(StatusCode::OK, &DecisionPage { decisions, next }))
}

/// Tells an empty history from that of a job that never was.
///
/// # Errors
///
/// 404 when a job is named that does not exist.
pub(super) async fn ensure_job(shared: &Shared, job: Option<JobId>) -> Result<(), Problem> {
    if let Some(id) = job {
        shared.job(&Name(id.to_string())).await?;
    }
    Ok(())
}
