//! `/firings`, `/firings/{id}` and `/jobs/{id}/firings`: firings, newest first, and firing by hand.

use std::num::NonZeroUsize;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use ecs_scheduler_core::engine::{FireError, FireRequest, ManualFiring};
use ecs_scheduler_core::{
    DecisionId, Firing, FiringId, FiringQuery, FiringState, JobId, StoreError, StoredJob, TaskEnd,
    TickOutcome,
};

use super::caller::Caller;
use super::dto::{DecisionView, FireBody, FiringPage, FiringStateName, FiringView, TaskOutcomeName};
use super::history_filter::HistoryFilter;
use super::idempotency::{Claim, ClaimedKey};
use super::manual_firing;
use super::paged::{self, PageOf, Paged, Part, filtered_read_size};
use super::problem::{Problem, ProblemType};
use super::request::{JsonBody, Name, Query};
use super::respond::{self, MayChange};
use super::state::{App, AppState};

/// Lists the firings of all jobs.
#[utoipa::path(
    get, path = "/firings", tag = "firings", operation_id = "listFirings",
    params(
        ("state" = Option<FiringStateName>, Query, description = "Filter by state"),
        ("outcome" = Option<TaskOutcomeName>, Query, description = "Filter by outcome. With this filter, `from`, `to` or `label`, a \
            page reads at most 1,000 firings: it may show few or none, and `next` links to the rest"),
        ("from" = Option<String>, Query, description = "Only firings decided at this moment (RFC 3339) or later"),
        ("to" = Option<String>, Query, description = "Only firings decided before this moment (RFC 3339)"),
        ("label" = Option<String>, Query, description = "Only firings of jobs that have this label now: a name, or `name=value`"),
        ("after" = Option<String>, Query, description = "Cursor: list firings older than this one"),
        ("limit" = Option<u64>, Query, description = "Page size (default 100)", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Firings, newest first", body = FiringPage)),
)]
pub(super) async fn all(State(app): State<App>, caller: Caller, query: Query) -> Result<Response, Problem> {
    list(&app, None, query, &caller).await
}

/// Lists the firings of a job. They remain after the job is removed, until history is pruned.
#[utoipa::path(
    get, path = "/jobs/{id}/firings", tag = "firings", operation_id = "listJobFirings",
    params(
        ("id" = String, Path, description = "The job's name"),
        ("state" = Option<FiringStateName>, Query, description = "Filter by state"),
        ("outcome" = Option<TaskOutcomeName>, Query, description = "Filter by outcome. With this filter, `state`, `from`, `to` or `label`, a \
            page reads at most 1,000 firings: it may show few or none, and `next` links to the rest"),
        ("from" = Option<String>, Query, description = "Only firings decided at this moment (RFC 3339) or later"),
        ("to" = Option<String>, Query, description = "Only firings decided before this moment (RFC 3339)"),
        ("label" = Option<String>, Query, description = "Only firings of jobs that have this label now: a name, or `name=value`"),
        ("after" = Option<String>, Query, description = "Cursor: list firings older than this one"),
        ("limit" = Option<u64>, Query, description = "Page size (default 100)", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Firings, newest first", body = FiringPage)),
)]
pub(super) async fn of_job(
    State(app): State<App>,
    caller: Caller,
    name: Name,
    query: Query,
) -> Result<Response, Problem> {
    list(&app, Some(name.job()?), query, &caller).await
}

/// Returns a firing with its calls and tasks.
#[utoipa::path(
    get, path = "/firings/{id}", tag = "firings", operation_id = "getFiring",
    params(("id" = String, Path, description = "The firing's name")),
    responses((status = 200, description = "The firing", body = FiringView)),
)]
pub(super) async fn read(State(app): State<App>, name: Name) -> Result<Response, Problem> {
    let firing = find(&app, &FiringId::from_text(&name.0)).await?;
    let firing = firing.ok_or_else(|| no_firing(&name.0))?;
    Ok(respond::json(StatusCode::OK, &FiringView::from(firing)))
}

/// Fires a job now, independent of its schedule and trigger. Bounds, overlap and the brake apply as for a tick.
#[utoipa::path(
    post, path = "/jobs/{id}/firings", tag = "firings", operation_id = "fireJob",
    params(
        ("id" = String, Path, description = "The job's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "Idempotency key: the same key and body fire \
            once within 24 hours", min_length = 1, max_length = 255, pattern = "^[!-~]+$"),
    ),
    request_body(content = Option<FireBody>, content_type = "application/json"),
    responses(
        (status = 200, description = "Nothing was launched; the decision gives the reason", body = DecisionView),
        (status = 201, description = "Firing created", body = FiringView),
    ),
)]
pub(super) async fn fire(
    State(app): State<App>,
    name: Name,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let job = app.job(&name).await?;
    let body = JsonBody::read_optional(&app.parsers, &headers, body).await?;
    let (state, of) = (App::clone(&app), job.clone());
    let options = body.parse(move |body| manual_firing::read(&state, &of, &body)).await?;
    match app.idempotency.claim(&headers, caller.id(), &format!("fire/{}", job.uid), &body).await? {
        Claim::NoKey => launch(&app, &job.id, FireRequest { options, ..FireRequest::default() }).await,
        Claim::Answered(response) => Ok(response),
        Claim::Claimed(key) => {
            let answer = launch_once(&app, &job, options, &key).await;
            key.store_response(answer).await
        }
    }
}

/// Launches, unless an earlier request with the same key has done so and its response was lost.
async fn launch_once(
    app: &App,
    job: &StoredJob,
    options: ManualFiring,
    claimed: &ClaimedKey,
) -> Result<Response, Problem> {
    let (key, at) = (claimed.uid().to_string(), claimed.first_requested());
    let id = FiringId::for_manual(&job.uid, at, &key);
    if let Some(firing) = find(app, &id).await? {
        return Ok(created(firing));
    }
    match launch(app, &job.id, FireRequest { options, key: Some(key), at: Some(at) }).await {
        // The earlier request, or a settlement without an answer, has become durable in the meantime.
        Err(problem) => match find(app, &id).await {
            Ok(Some(firing)) => Ok(created(firing)),
            Ok(None) | Err(_) => Err(problem),
        },
        answered => answered,
    }
}

async fn launch(app: &App, job: &JobId, request: FireRequest) -> Result<Response, Problem> {
    let record = app.engine.fire_now(job, request).await.map_err(|error| refusal(job, error))?;
    let Some(id) = &record.firing else {
        let may_change = matches!(record.draft.outcome, TickOutcome::SourceError | TickOutcome::LiveUnknown);
        let mut response = respond::json(StatusCode::OK, &DecisionView::from(record));
        if may_change {
            response.extensions_mut().insert(MayChange);
        }
        return Ok(response);
    };
    let firing = find(app, id).await?;
    Ok(created(firing.ok_or_else(|| StoreError::NotFound(id.into()))?))
}

fn created(firing: Firing) -> Response {
    let place = HeaderValue::try_from(format!("/firings/{}", firing.id));
    let mut response = respond::json(StatusCode::CREATED, &FiringView::from(firing));
    response.headers_mut().insert(LOCATION, place.expect("hexadecimal digits are a header value"));
    response
}

fn refusal(job: &JobId, error: FireError) -> Problem {
    match error {
        FireError::NotFound => Problem::no_job(job.as_str()),
        FireError::Invalid => {
            Problem::new(ProblemType::Unprocessable, format!("Job {job} cannot fire: {error}."))
        }
        FireError::Changed => {
            Problem::new(ProblemType::Contended, format!("Job {job} did not fire: {error}."))
        }
        FireError::Unconfirmed => {
            Problem::new(ProblemType::Unavailable, format!("Job {job} may have fired: {error}."))
        }
        FireError::Store | FireError::Elsewhere | FireError::Stopping => {
            Problem::new(ProblemType::Unavailable, format!("Job {job} did not fire: {error}."))
        }
    }
}

/// Makes the problem of an unknown firing.
pub(super) fn no_firing(name: &str) -> Problem {
    Problem::new(ProblemType::NotFound, format!("Firing {name} does not exist."))
}

pub(super) async fn find(app: &AppState, id: &FiringId) -> Result<Option<Firing>, StoreError> {
    let query = FiringQuery { id: Some(id.clone()), limit: NonZeroUsize::MIN, ..FiringQuery::default() };
    Ok(app.store.firings(&query).await?.into_iter().next())
}

async fn list(
    app: &AppState,
    job: Option<JobId>,
    mut query: Query,
    caller: &Caller,
) -> Result<Response, Problem> {
    let filter = HistoryFilter::from_query(&mut query).only_visible_to(caller);
    let (state, outcome) = (query.choice("state"), query.choice("outcome"));
    let after = cursor(&mut query);
    let (limit, query) = (query.limit(), query.finish()?);
    let before_decision = if job.is_none() && after.is_none() { filter.start(app).await? } else { None };
    let firings = Firings { state, outcome, filter, before_decision };
    paged::respond(app, &firings, PageOf { job, after, limit, query }).await
}

/// Reads `after`: 32 hexadecimal digits.
fn cursor(query: &mut Query) -> Option<FiringId> {
    let text = query.text("after")?;
    if text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Some(FiringId::from_text(text));
    }
    query.refuse("after", "Not the id of a firing.");
    None
}

/// The firings in a state, with an outcome and that pass a filter, or all.
struct Firings {
    state: Option<FiringState>,
    outcome: Option<TaskEnd>,
    filter: HistoryFilter,
    /// The list begins with older firings than this decision.
    before_decision: Option<DecisionId>,
}

impl Paged for Firings {
    const NAME: &'static str = "firings";
    type Cursor = FiringId;
    type View = FiringView;

    async fn read(
        &self,
        app: &AppState,
        job: Option<&JobId>,
        before: Option<FiringId>,
        limit: NonZeroUsize,
    ) -> Result<Part<Self>, StoreError> {
        let query = FiringQuery {
            job: job.cloned(),
            before,
            before_decision: self.before_decision,
            limit,
            ..FiringQuery::default()
        };
        // The states of one job have no index in every store.
        let checks_state = job.is_some() && self.state.is_some();
        if checks_state || self.outcome.is_some() || !self.filter.is_empty() {
            return self.read_filtered(app, query).await;
        }
        let query = FiringQuery { state: self.state, ..query };
        let firings = app.store.firings(&query).await?.into_iter();
        Ok(Part::of_all(firings.map(|firing| (firing.id.clone(), FiringView::from(firing))).collect(), limit))
    }
}

impl Firings {
    /// Reads firings, and returns those that pass. No store has an index of outcomes, which follow from the tasks, of times and of labels.
    async fn read_filtered(&self, app: &AppState, query: FiringQuery) -> Result<Part<Self>, StoreError> {
        let wanted = query.limit;
        let finished = self.outcome.map(|_| FiringState::Finished);
        if self.state.zip(finished).is_some_and(|(state, finished)| state != finished) {
            return Ok(Part::of_all(Vec::new(), wanted));
        }
        let limit = filtered_read_size(wanted);
        let state = self.state.or(finished);
        let asked = FiringQuery { state: state.filter(|_| query.job.is_none()), limit, ..query };
        let mut firings = app.store.firings(&asked).await?;
        let end = firings.iter().position(|firing| self.filter.ends_before(firing.observed));
        firings.truncate(end.unwrap_or(firings.len()));
        let has_more = end.is_some();
        let labelled = self.filter.labelled(app, firings.iter().map(|firing| &firing.job)).await?;
        let passes = |firing: &Firing| {
            state.is_none_or(|state| firing.state == state)
                && self.outcome.is_none_or(|outcome| firing.end() == Some(outcome))
                && self.filter.has_firing(firing)
                && self.filter.passes_labels(labelled.as_ref(), &firing.job, firing.uid)
        };
        let rows = firings.into_iter().map(|firing| {
            let id = firing.id.clone();
            (id, passes(&firing).then(|| FiringView::from(firing)))
        });
        Ok(Part { has_more, ..Part::filtered(rows.collect(), limit, wanted) })
    }
}
