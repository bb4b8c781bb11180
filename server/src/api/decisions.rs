//! `/decisions` and `/jobs/{id}/decisions`: the outcomes of ticks, newest first.

use std::num::NonZeroUsize;

use axum::extract::State;
use axum::response::Response;
use ecs_scheduler_core::{DecisionId, DecisionQuery, DecisionRecord, JobId, StoreError, TickOutcome};

use super::dto::{DecisionPage, DecisionView, OutcomeName};
use super::firings;
use super::paged::{self, PageOf, Paged, Part};
use super::problem::Problem;
use super::request::{Name, Query};
use super::state::{App, AppState};

/// Lists the decisions about all jobs.
#[utoipa::path(
    get, path = "/decisions", tag = "decisions", operation_id = "listDecisions",
    params(
        ("outcome" = Option<OutcomeName>, Query, description = "Filter by outcome"),
        ("after" = Option<u64>, Query, description = "Cursor: list decisions older than this one", minimum = 0),
        ("limit" = Option<u64>, Query, description = "Page size (default 100)", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Decisions, newest first", body = DecisionPage)),
)]
pub(super) async fn all(State(app): State<App>, query: Query) -> Result<Response, Problem> {
    list(&app, None, query).await
}

/// Lists the decisions about a job. They remain after the job is removed, until history is pruned.
#[utoipa::path(
    get, path = "/jobs/{id}/decisions", tag = "decisions", operation_id = "listJobDecisions",
    params(
        ("id" = String, Path, description = "The job's name"),
        ("outcome" = Option<OutcomeName>, Query, description = "Filter by outcome"),
        ("after" = Option<u64>, Query, description = "Cursor: list decisions older than this one", minimum = 0),
        ("limit" = Option<u64>, Query, description = "Page size (default 100)", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Decisions, newest first", body = DecisionPage)),
)]
pub(super) async fn of_job(State(app): State<App>, name: Name, query: Query) -> Result<Response, Problem> {
    list(&app, Some(name.job()?), query).await
}

async fn list(app: &AppState, job: Option<JobId>, mut query: Query) -> Result<Response, Problem> {
    let decisions = Decisions { outcome: query.choice("outcome") };
    let after = query.text("after").is_some().then(|| DecisionId(query.integer("after", 0, 0)));
    let limit = query.limit();
    paged::respond(app, &decisions, PageOf { job, after, limit, query: query.finish()? }).await
}

/// The decisions with an outcome, or all.
struct Decisions {
    outcome: Option<TickOutcome>,
}

impl Paged for Decisions {
    const NAME: &'static str = "decisions";
    type Cursor = DecisionId;
    type View = DecisionView;

    async fn read(
        &self,
        app: &AppState,
        job: Option<&JobId>,
        before: Option<DecisionId>,
        limit: NonZeroUsize,
    ) -> Result<Part<Self>, StoreError> {
        let asked = DecisionQuery { job: job.cloned(), outcome: self.outcome, before, limit };
        let mut views = Vec::new();
        for record in app.store.decisions(&asked).await? {
            views.push((record.id, with_note(app, record).await?));
        }
        Ok(Part::of_all(views, limit))
    }
}

/// Converts a decision, with the reason if its firing did not launch as requested.
async fn with_note(app: &AppState, record: DecisionRecord) -> Result<DecisionView, StoreError> {
    let launched = matches!(record.draft.outcome, TickOutcome::Launched);
    let firing = match record.firing.as_ref().filter(|_| !launched) {
        Some(id) => firings::find(app, id).await?,
        None => None,
    };
    let mut view = DecisionView::from(record);
    view.note = firing.and_then(|firing| firing.reason());
    Ok(view)
}
