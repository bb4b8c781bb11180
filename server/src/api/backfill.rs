//! `/jobs/{id}/backfill`: past ticks of a job that fire now.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use ecs_scheduler_core::backfill::{self, BackfillError, BackfillRequest};
use ecs_scheduler_core::job::{DATETIME_FORMS, NOT_A_DATETIME};
use ecs_scheduler_core::{JobId, Timestamp, text};
use serde_json::{Map, Value, json};

use super::dto::{BackfillBody, BackfillPreview, BackfillView, PreviewedTick};
use super::problem::{Problem, ProblemType, WrongField};
use super::request::{JsonBody, Name, member, moment};
use super::respond;
use super::state::App;

/// The maximum length of a reason and of the name of an actor.
const MAX_TEXT: usize = 1_024;

/// Starts a backfill: the ticks of the job's present schedule in a range of the past fire now, oldest first, with `origin` `backfill`.
/// With `dryRun`, only shows them.
///
/// The brake, a suspension, `maxCount` and `overlap` apply; a tick waits until all of its tasks may start.
#[utoipa::path(
    post, path = "/jobs/{id}/backfill", tag = "firings", operation_id = "startBackfill",
    params(("id" = String, Path, description = "The job's name")),
    request_body(content = BackfillBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The ticks of a dry run", body = BackfillPreview),
        (status = 201, description = "Backfill started", body = BackfillView),
    ),
)]
pub(super) async fn start(
    State(app): State<App>,
    name: Name,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let job = app.job(&name).await?.id;
    let body = JsonBody::read(&app.parsers, &headers, body).await?;
    let (request, is_dry) = body.parse(read_request).await?;
    if is_dry {
        let (ticks, waiting) =
            app.engine.preview_backfill(&job, &request).await.map_err(|error| refusal(&job, error))?;
        let view = |(tick, draft): (Timestamp, ecs_scheduler_core::DecisionDraft)| PreviewedTick {
            tick,
            outcome: draft.outcome,
            tasks: draft.launch,
            explanation: draft.explanation,
        };
        let ticks: Vec<PreviewedTick> = ticks.into_iter().map(view).collect();
        let tasks = ticks.iter().map(|tick| u64::from(tick.tasks)).sum();
        let preview = BackfillPreview { job: job.to_string(), total: ticks.len(), tasks, waiting, ticks };
        return Ok(respond::json(StatusCode::OK, &preview));
    }
    let started = app.engine.start_backfill(&job, request).await.map_err(|error| refusal(&job, error))?;
    let mut response = respond::json(StatusCode::CREATED, &BackfillView::from(started));
    let place = HeaderValue::try_from(format!("/jobs/{job}/backfill"));
    response.headers_mut().insert(LOCATION, place.expect("the name of a job is a header value"));
    Ok(response)
}

/// Returns the backfill of a job that is under way, or else the last one, for 30 days after its end.
#[utoipa::path(
    get, path = "/jobs/{id}/backfill", tag = "firings", operation_id = "getBackfill",
    params(("id" = String, Path, description = "The job's name")),
    responses((status = 200, description = "The backfill", body = BackfillView)),
)]
pub(super) async fn read(State(app): State<App>, name: Name) -> Result<Response, Problem> {
    let job = app.job(&name).await?;
    let backfill = backfill::read(&*app.store, &job.uid).await?;
    let backfill = backfill.ok_or_else(|| refusal(&job.id, BackfillError::None))?;
    Ok(respond::json(StatusCode::OK, &BackfillView::from(backfill)))
}

/// Stops the backfill of a job: no further firing begins. Running tasks continue. One that has ended stays as it is.
#[utoipa::path(
    delete, path = "/jobs/{id}/backfill", tag = "firings", operation_id = "stopBackfill",
    params(("id" = String, Path, description = "The job's name")),
    responses((status = 200, description = "The stopped backfill", body = BackfillView)),
)]
pub(super) async fn stop(State(app): State<App>, name: Name) -> Result<Response, Problem> {
    let job = name.job()?;
    let stopped = app.engine.stop_backfill(&job).await.map_err(|error| refusal(&job, error))?;
    Ok(respond::json(StatusCode::OK, &BackfillView::from(stopped)))
}

/// Reads a request, and whether it is a dry run. The core checks the range.
fn read_request(body: Map<String, Value>) -> Result<(BackfillRequest, bool), Problem> {
    let BackfillBody { from, to, max, overlap, dry_run, reason, actor } = member("", body.into())?;
    let mut request = BackfillRequest::new(read_moment("/from", from)?, read_moment("/to", to)?);
    if let Some(max) = max {
        request.max = max.get();
    }
    if let Some(overlap) = overlap {
        request.overlap = overlap;
    }
    request.reason = read_text("/reason", reason)?;
    request.actor = read_text("/actor", actor)?;
    Ok((request, dry_run.unwrap_or(false)))
}

fn read_moment(pointer: &str, text: Option<String>) -> Result<Timestamp, Problem> {
    let Some(text) = text else { return Err(Problem::field(pointer, "Missing data for required field.")) };
    moment(&text).ok_or_else(|| Problem::field(pointer, format!("{NOT_A_DATETIME} {DATETIME_FORMS}")))
}

fn read_text(pointer: &str, given: Option<String>) -> Result<Option<String>, Problem> {
    let Some(given) = given.filter(|given| !given.trim().is_empty()) else { return Ok(None) };
    if given.chars().nth(MAX_TEXT).is_some() {
        return Err(Problem::field(pointer, format!("Longer than maximum length {MAX_TEXT}.")));
    }
    match text::refusal(&given) {
        Some(refusal) => Err(Problem::field(pointer, refusal)),
        None => Ok(Some(given)),
    }
}

fn refusal(job: &JobId, error: BackfillError) -> Problem {
    let unavailable = |text: String| Problem::new(ProblemType::Unavailable, text);
    match error {
        BackfillError::Refused { pointer: "", message } => {
            let error = WrongField { pointer: String::new(), message: message.clone() };
            Problem::invalid(json!({"_schema": [message]}), vec![error])
        }
        BackfillError::Refused { pointer, message } => Problem::field(pointer, message),
        BackfillError::NoJob => Problem::no_job(job.as_str()),
        BackfillError::Invalid => {
            Problem::new(ProblemType::Unprocessable, format!("Job {job} cannot be backfilled: {error}."))
        }
        BackfillError::None => {
            Problem::new(ProblemType::NotFound, format!("Job {job} has no backfill; start one with `POST`."))
        }
        BackfillError::UnderWay(other) => {
            let (done, total, unfinished) = (other.done.total(), other.total, other.unfinished.len());
            let text = format!(
                "Job {job} has a backfill from {} to {} that is {}: {done} of {total} ticks are done, {unfinished} firings are \
                 unfinished. Wait for its end, or stop it.",
                other.from,
                other.to,
                other.state.as_str(),
            );
            Problem::new(ProblemType::UnderWay, text)
        }
        BackfillError::TooMany | BackfillError::Elsewhere => unavailable(format!("Job {job}: {error}.")),
        BackfillError::Store(error) => Problem::from(error),
        error => unavailable(format!("Job {job}: {error}.")),
    }
}
