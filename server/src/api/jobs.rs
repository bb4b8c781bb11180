//! `/jobs`: the list, and new jobs.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use ecs_scheduler_core::job::prepare_create;
use ecs_scheduler_core::schedule::Dialect;
use ecs_scheduler_core::{JobUid, ListFrom, NewJob, StoreError};
use serde_json::Value;

use super::entries::Entries;
use super::idempotency::{self, Claim, Guard};
use super::page::Page;
use super::preflight::Validate;
use super::problem::Problem;
use super::request::{self, Query};
use super::state::App;
use super::wire::{JobDocument, JobPage, Reference};
use super::{job, view};

/// Lists jobs in the order of their creation.
#[utoipa::path(
    get, path = "/jobs", tag = "jobs", operation_id = "listJobs",
    params(
        ("skip" = Option<u64>, Query, description = "How many to leave out", minimum = 0),
        ("count" = Option<u64>, Query, description = "How many to return, 10 by default; 10,000 and 4 MiB at most come at once, with a link to the rest", minimum = 1),
    ),
    responses((status = 200, description = "A page of jobs, with links to its neighbours", body = JobPage)),
)]
pub(super) async fn list(State(app): State<App>, query: Query) -> Result<Response, Problem> {
    let page = Page::of(query)?;
    let now = app.parts.clock.now();
    let mut entries = Entries::begin(&app, "jobs");
    let mut from = ListFrom::Skip(page.skip);
    let mut total = None;
    while let Some(limit) = entries.room(page.size()).await? {
        let list = match app.parts.store.list(from, limit).await {
            // The last one was removed meanwhile: the page ends with it.
            Err(StoreError::NotFound(_)) => break,
            list => list?,
        };
        total.get_or_insert(list.total);
        let fits = list.jobs.iter().all(|job| entries.write(|body| view::write(&app, job, now, body)));
        match list.jobs.last() {
            Some(last) if fits && list.jobs.len() == limit.get() => from = ListFrom::After(last.id.clone()),
            _ => break,
        }
    }
    let total = total.unwrap_or(0);
    let next = page.next(entries.count(), total);
    Ok(entries.finish(&[("prev", page.prev(total)), ("next", next)]))
}

/// Creates a job.
#[utoipa::path(
    post, path = "/jobs", tag = "jobs", operation_id = "createJob",
    params(
        ("validate" = Option<String>, Query, description = "`aws` also looks at what the job names before it is created: its task definition, the sources of its trigger", pattern = "^aws$"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repetition safe: the same key and body have the same answer for 24 hours", min_length = 1, max_length = 255, pattern = "^[!-~]+$"),
    ),
    request_body(content = JobDocument, content_type = "application/json"),
    responses((status = 201, description = "It was created", body = Reference)),
)]
pub(super) async fn create(
    State(app): State<App>,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let validate = Validate::of(query)?;
    let document = Value::Object(request::object(&headers, body).await?);
    match idempotency::claim(&app, &headers, "create", &document).await? {
        Claim::None => store(&app, document, JobUid::random(), validate).await,
        Claim::Answered(response) => Ok(response),
        Claim::Mine(guard) => {
            let answer = store(&app, document, guard.uid(), validate).await;
            Guard::settle(guard, &app, answer).await
        }
    }
}

async fn store(app: &App, document: Value, uid: JobUid, validate: Validate) -> Result<Response, Problem> {
    let now = app.parts.clock.now();
    let prepared = prepare_create(document, &app.context(Dialect::Written), now)
        .map_err(|errors| job::refusal(&errors))?;
    validate.look(app, &prepared.job).await?;
    let warnings = app.warnings(&prepared.job, now);
    let new = NewJob { id: prepared.job.id.clone(), uid, document: job::raw(&prepared.document), at: now };
    let stored = match app.parts.store.create(new).await {
        // An earlier request with the same idempotency key created it, and its answer was lost.
        Err(StoreError::Exists(id)) => {
            let found = app.parts.store.get(std::slice::from_ref(&id)).await?;
            let mine = found.into_iter().find(|job| job.uid == uid);
            mine.ok_or(StoreError::Exists(id))?
        }
        other => other?,
    };
    app.parts.engine.nudge(&stored.id);
    let mut response = view::reference(app, StatusCode::CREATED, &stored, &warnings);
    let place =
        HeaderValue::try_from(format!("/jobs/{}", stored.id)).expect("a job's name is a header value");
    response.headers_mut().insert(LOCATION, place);
    Ok(response)
}
