//! `/decisions` and `/jobs/{id}/decisions`: how ticks ended, newest first.

use axum::extract::State;
use axum::response::Response;
use ecs_scheduler_core::{DecisionId, DecisionQuery, DecisionRecord, JobId, StoreError, TickOutcome};

use super::dto::{DecisionPage, DecisionView};
use super::firings;
use super::page_writer::PageWriter;
use super::problem::Problem;
use super::request::{Name, Query};
use super::state::{App, AppState};

/// Lists the decisions about all jobs.
#[utoipa::path(
    get, path = "/decisions", tag = "decisions", operation_id = "listDecisions",
    params(
        ("outcome" = Option<String>, Query, description = "Filter by outcome"),
        ("after" = Option<u64>, Query, description = "Cursor: list decisions older than this one", minimum = 0),
        ("limit" = Option<u64>, Query, description = "Page size (default 100)", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Decisions, newest first", body = DecisionPage)),
)]
pub(super) async fn all(State(app): State<App>, query: Query) -> Result<Response, Problem> {
    list(&app, "/decisions", None, query).await
}

/// Lists the decisions about a job. They remain after the job is removed, until history is pruned.
#[utoipa::path(
    get, path = "/jobs/{id}/decisions", tag = "decisions", operation_id = "listJobDecisions",
    params(
        ("id" = String, Path, description = "The job's name"),
        ("outcome" = Option<String>, Query, description = "Filter by outcome"),
        ("after" = Option<u64>, Query, description = "Cursor: list decisions older than this one", minimum = 0),
        ("limit" = Option<u64>, Query, description = "Page size (default 100)", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Decisions, newest first", body = DecisionPage)),
)]
pub(super) async fn of_job(State(app): State<App>, name: Name, query: Query) -> Result<Response, Problem> {
    let id = name.job()?;
    list(&app, &format!("/jobs/{id}/decisions"), Some(id), query).await
}

async fn list(app: &AppState, path: &str, job: Option<JobId>, mut query: Query) -> Result<Response, Problem> {
    let outcome: Option<TickOutcome> = query.choice("outcome");
    let before = query.text("after").is_some().then(|| DecisionId(query.integer("after", 0, 0)));
    let limit = query.limit().get();
    let given = query.finish()?;
    let mut writer = PageWriter::new(app, "decisions");
    let mut last = None;
    while let Some(size) = writer.next_read_limit(limit).await? {
        let before = last.or(before);
        let asked = DecisionQuery { job: job.clone(), outcome, before, limit: size };
        let records = app.store.decisions(&asked).await?;
        let ends = records.len() < size.get();
        let mut fits = true;
        for record in records {
            let id = record.id;
            fits = writer.add(&noted(app, record).await?);
            if !fits {
                break;
            }
            last = Some(id);
        }
        if ends || !fits {
            break;
        }
    }
    if last.is_none() {
        ensure_job(app, job).await?;
    }
    let next =
        last.filter(|_| writer.may_have_more(limit)).map(|id| given.next_link(path, &id.0.to_string()));
    Ok(writer.finish(&[("next", next)]))
}

/// Converts a decision, with the reason if its firing did not launch as requested.
async fn noted(app: &AppState, record: DecisionRecord) -> Result<DecisionView, StoreError> {
    let launched = matches!(record.draft.outcome, TickOutcome::Launched);
    let firing = match record.firing.as_ref().filter(|_| !launched) {
        Some(id) => firings::find(app, id).await?,
        None => None,
    };
    let mut view = DecisionView::from(record);
    view.note = firing.and_then(|firing| firing.reason());
    Ok(view)
}

/// Distinguishes an empty history from that of an unknown job.
///
/// # Errors
///
/// 404 when a job is named that does not exist.
pub(super) async fn ensure_job(app: &AppState, job: Option<JobId>) -> Result<(), Problem> {
    if let Some(id) = job {
        app.job(&Name(id.to_string())).await?;
    }
    Ok(())
}
