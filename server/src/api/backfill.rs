//! `/jobs/{id}/backfill`: past ticks of a job that fire now.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use ecs_scheduler_core::backfill::{
    self, Backfill, BackfillError, BackfillRequest, BackfillState, MAX_OVERLAP, MAX_TICKS, RefusedField,
};
use ecs_scheduler_core::job::FieldError;
use ecs_scheduler_core::{JobId, JobUid, Timestamp};
use serde_json::{Map, Value};

use super::caller::Caller;
use super::dto::{BackfillBody, BackfillPreview, BackfillView, PreviewedTick};
use super::idempotency::{Claim, ClaimedKey};
use super::problem::{Problem, ProblemType};
use super::request::{JsonBody, Members, Name};
use super::respond;
use super::state::App;

/// The maximum length of a reason and of the name of an actor.
const MAX_TEXT: usize = 1_024;
/// The members of the body.
const MEMBERS: [&str; 7] = ["from", "to", "max", "overlap", "dryRun", "reason", "actor"];

/// Starts a backfill: the ticks of the job's present schedule in a range of the past fire now, oldest first, with `origin` `backfill`.
/// With `dryRun`, only shows them.
///
/// The brake, a suspension, `maxCount` and `overlap` apply; a tick waits until all of its tasks may start.
#[utoipa::path(
    post, path = "/jobs/{id}/backfill", tag = "firings", operation_id = "startBackfill",
    params(
        ("id" = String, Path, description = "The job's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "Idempotency key: the same key and body start one backfill \
            within 24 hours. A dry run starts nothing and does not use it", min_length = 1, max_length = 255, pattern = "^[!-~]+$"),
    ),
    request_body(content = BackfillBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The ticks of a dry run", body = BackfillPreview),
        (status = 201, description = "Backfill started", body = BackfillView),
    ),
)]
pub(super) async fn start(
    State(app): State<App>,
    caller: Caller,
    name: Name,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let job = app.job(&name).await?;
    let body = JsonBody::read(&app.parsers, &headers, body).await?;
    let now = app.clock.now();
    let (request, is_dry) = body.parse(move |body| read_request(&body, now)).await?;
    let (uid, job) = (job.uid, job.id);
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
    match app.idempotency.claim(&headers, caller.id(), &format!("backfill/{uid}"), &body).await? {
        Claim::NoKey => begin(&app, &job, request).await,
        Claim::Answered(response) => Ok(response),
        Claim::Claimed(key) => {
            let answer = begin_once(&app, &job, &uid, request, &key).await;
            key.store_response(answer).await
        }
    }
}

async fn begin(app: &App, job: &JobId, request: BackfillRequest) -> Result<Response, Problem> {
    let started = app.engine.start_backfill(job, request).await.map_err(|error| refusal(job, error))?;
    Ok(created(started))
}

/// Starts a backfill, unless an earlier request with the same key has done so and its response was lost.
async fn begin_once(
    app: &App,
    job: &JobId,
    uid: &JobUid,
    mut request: BackfillRequest,
    key: &ClaimedKey,
) -> Result<Response, Problem> {
    let id = key.uid().to_string();
    match backfill::read(&*app.store, uid).await? {
        Some(known) if known.id == id => return Ok(created(known)),
        Some(later) if later.started > key.first_requested() => {
            let detail = format!(
                "Job {job} has had another backfill since the first request with this Idempotency-Key, so it is not known whether \
                 that request started one. Look for its firings, and use another key to start one."
            );
            return Err(Problem::new(ProblemType::Contended, detail));
        }
        Some(_) | None => {}
    }
    request.id = Some(id.clone());
    match app.engine.start_backfill(job, request).await {
        Ok(started) => Ok(created(started)),
        // The write of the earlier request, or one without an answer, has become durable in the meantime.
        Err(error) => match backfill::read(&*app.store, uid).await {
            Ok(Some(known)) if known.id == id => Ok(created(known)),
            Ok(_) | Err(_) => Err(refusal(job, error)),
        },
    }
}

fn created(started: Backfill) -> Response {
    let place = HeaderValue::try_from(format!("/jobs/{}/backfill", started.job));
    let mut response = respond::json(StatusCode::CREATED, &BackfillView::from(started));
    response.headers_mut().insert(LOCATION, place.expect("the name of a job is a header value"));
    response
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
    // The job was removed at this moment.
    let backfill = backfill.filter(|backfill| backfill.state != BackfillState::JobRemoved);
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

/// Reads a request, and whether it is a dry run.
///
/// # Errors
///
/// 400 with each wrong member, also those that the core checks.
fn read_request(body: &Map<String, Value>, now: Timestamp) -> Result<(BackfillRequest, bool), Problem> {
    let mut members = Members::new(body, &MEMBERS);
    let (from, to) = (members.required_moment("from"), members.required_moment("to"));
    let (max, overlap) = (members.number("max", MAX_TICKS), members.number("overlap", MAX_OVERLAP));
    let (reason, actor) = (members.text("reason", MAX_TEXT), members.text("actor", MAX_TEXT));
    let is_dry = members.switch("dryRun");
    let mut wrong = members.into_wrong();
    // A range with a missing end is not checked further.
    let range = from.zip(to).unwrap_or((Timestamp::UNIX_EPOCH, now));
    let mut request = BackfillRequest::new(range.0, range.1);
    if let Some(max) = max {
        request.max = max.get();
    }
    (request.overlap, request.reason, request.actor) = (overlap.unwrap_or(request.overlap), reason, actor);
    wrong.extend(request.wrong_fields(now).into_iter().map(wrong_field));
    if wrong.is_empty() { Ok((request, is_dry)) } else { Err(Problem::fields(&wrong)) }
}

fn wrong_field(RefusedField { pointer, message, .. }: RefusedField) -> FieldError {
    let name = if pointer.is_empty() { "_schema" } else { pointer.trim_start_matches('/') };
    FieldError { pointer: pointer.to_owned(), key: vec![name.to_owned()], message, hint: None }
}

fn refusal(job: &JobId, error: BackfillError) -> Problem {
    let unavailable = |text: String| Problem::new(ProblemType::Unavailable, text);
    match error {
        BackfillError::Refused(fields) => {
            Problem::fields(&fields.into_iter().map(wrong_field).collect::<Vec<_>>())
        }
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
