//! `POST /jobs`: new jobs.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use ecs_scheduler_core::job::prepare_create;
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::{JobUid, NewJob, StoreError};

use crate::api::dto::{JobDocument, Reference};
use crate::api::idempotency::Claim;
use crate::api::job_document::{raw, refusal};
use crate::api::preflight::ValidationLevel;
use crate::api::problem::Problem;
use crate::api::request::{JsonBody, Query};
use crate::api::state::App;
use crate::api::view;

/// Creates a job.
#[utoipa::path(
    post, path = "/jobs", tag = "jobs", operation_id = "createJob",
    params(
        ("validate" = Option<String>, Query, description = "`aws` also checks the AWS resources of the job before it is created: its task definition and the sources of its trigger", pattern = "^aws$"),
        ("Idempotency-Key" = Option<String>, Header, description = "Idempotency key: the same key and body get the same response for 24 hours", min_length = 1, max_length = 255, pattern = "^[!-~]+$"),
    ),
    request_body(content = JobDocument, content_type = "application/json"),
    responses((status = 201, description = "Job created", body = Reference)),
)]
pub(in crate::api) async fn create(
    State(app): State<App>,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let validate = ValidationLevel::from_query(query)?;
    let body = JsonBody::read(&app.parsers, &headers, body).await?;
    match app.idempotency.claim(&headers, "create", &body).await? {
        Claim::NoKey => store(&app, &body, JobUid::random(), validate).await,
        Claim::Answered(response) => Ok(response),
        Claim::Claimed(key) => {
            let answer = store(&app, &body, key.uid(), validate).await;
            key.store_response(answer).await
        }
    }
}

async fn store(
    app: &App,
    body: &JsonBody,
    uid: JobUid,
    validate: ValidationLevel,
) -> Result<Response, Problem> {
    let kept = validate.keep(body).await;
    let (now, state) = (app.clock.now(), App::clone(app));
    let (job, document, mut warnings) = body
        .parse(move |document| {
            let prepared = prepare_create(document.into(), &state.context(Strictness::Strict), now);
            let prepared = prepared.map_err(|errors| refusal(&errors))?;
            let warnings = state.warnings(&prepared.job, now);
            Ok((prepared.job, raw(&prepared.document), warnings))
        })
        .await?;
    validate.check(app, &job).await?;
    let new = NewJob { id: job.id.clone(), uid, document, at: now };
    let task = job.task.clone();
    drop((job, kept));
    warnings.extend(validate.platform_warnings(app, &task).await);
    let stored = match app.store.create(new).await {
        // An earlier request with the same idempotency key created it, and its answer was lost.
        Err(StoreError::Exists(id)) => {
            let found = app.store.get(std::slice::from_ref(&id)).await?;
            let mine = found.into_iter().find(|job| job.uid == uid);
            mine.ok_or(StoreError::Exists(id))?
        }
        other => other?,
    };
    app.engine.nudge(&stored.id);
    let mut response = view::reference(app, StatusCode::CREATED, &stored, &warnings);
    let place =
        HeaderValue::try_from(format!("/jobs/{}", stored.id)).expect("a job's name is a header value");
    response.headers_mut().insert(LOCATION, place);
    Ok(response)
}
