//! `/evaluate` and `/jobs/{id}/evaluate`: dry runs of decisions. Sources are read, nothing is launched.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use std::num::NonZeroU32;
use std::time::Duration;

use ecs_scheduler_core::engine::EvalOverrides;
use ecs_scheduler_core::job::{FieldError, prepare_create};
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::{Evaluation, Observation, QueueReading, Timestamp, per_task};
use serde_json::{Map, Value};

use super::caller::Caller;
use super::dto::{EvaluateJobRequest, EvaluateRequest, EvaluationView, GivenBody, GivenObservations};
use super::job_document::{document, raw, refusal};
use super::problem::{Problem, ProblemType};
use super::request::{JsonBody, Name, ensure_known, member};
use super::respond;
use super::state::App;

/// The visibility timeout of a queue if none was read.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>: 30 s.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(30);

/// Dry-runs the decision for a stored job.
#[utoipa::path(
    post, path = "/jobs/{id}/evaluate", tag = "decisions", operation_id = "evaluateJob",
    params(("id" = String, Path, description = "The job's name")),
    request_body(content = Option<EvaluateJobRequest>, content_type = "application/json"),
    responses((status = 200, description = "The decision", body = EvaluationView)),
)]
pub(super) async fn stored(
    State(app): State<App>,
    name: Name,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let stored = app.job(&name).await?;
    let body = JsonBody::read_optional(&app.parsers, &headers, body).await?;
    let given = body.parse(|mut body| {
        ensure_known(&body, &["given"])?;
        read_given(&mut body)
    });
    let given = given.await?;
    let context = app.context(Strictness::Lenient);
    let job = stored.parse_at(&context, app.clock.now()).map_err(|errors| {
        let why: Vec<String> = errors.iter().map(FieldError::to_string).collect();
        Problem::new(ProblemType::Unprocessable, format!("The stored job is not valid: {}.", why.join("; ")))
    })?;
    let given = assumed_inputs(&given, &document(&stored), app.clock.now());
    let draft = app.engine.evaluate(&job, Some(&stored), given).await;
    Ok(respond::json(StatusCode::OK, &EvaluationView::from(draft)))
}

/// Dry-runs the decision for a job document, which need not be stored.
#[utoipa::path(
    post, path = "/evaluate", tag = "decisions", operation_id = "evaluate",
    request_body(content = EvaluateRequest, content_type = "application/json"),
    responses((status = 200, description = "The decision", body = EvaluationView)),
)]
pub(super) async fn given_job(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = JsonBody::read(&app.parsers, &headers, body).await?;
    let (state, _kept) = (App::clone(&app), body.keep().await);
    let reading = body.parse(move |mut body| {
        ensure_known(&body, &["job", "given"])?;
        let given = read_given(&mut body)?;
        let document =
            body.remove("job").ok_or_else(|| Problem::field("/job", "Missing data for required field."))?;
        let now = state.clock.now();
        let prepared = prepare_create(document, &state.context(Strictness::Strict), now);
        let prepared = prepared.map_err(|errors| {
            let errors: Vec<FieldError> = errors.into_iter().map(under_job).collect();
            refusal(&errors)
        })?;
        caller.ensure_own(raw(&prepared.document).get())?;
        Ok((prepared.job, assumed_inputs(&given, &prepared.document, now)))
    });
    let (job, given) = reading.await?;
    let draft = app.engine.evaluate(&job, None, given).await;
    Ok(respond::json(StatusCode::OK, &EvaluationView::from(draft)))
}

/// Prefixes the pointer of an error about a job with the job's place in the body.
fn under_job(mut error: FieldError) -> FieldError {
    error.pointer.insert_str(0, "/job");
    error.key.insert(0, "job".to_owned());
    error
}

fn read_given(body: &mut Map<String, Value>) -> Result<GivenBody, Problem> {
    let Some(value) = body.remove("given").filter(|value| !value.is_null()) else {
        return Ok(GivenBody::default());
    };
    member("/given", value)
}

/// Makes the evaluation that the trigger would make of the given values.
fn assumed_inputs(given: &GivenBody, document: &Map<String, Value>, now: Timestamp) -> EvalOverrides {
    let mut evaluation = given.observations.map(|counts| evaluate_counts(counts, document, now));
    if let Some(demand) = given.demand {
        let mut asked = Evaluation::tasks(demand, format!("given: {demand} asked for"));
        if let Some(counted) = evaluation {
            asked.observations = counted.observations;
            asked.queue = counted.queue;
        }
        evaluation = Some(asked);
    }
    EvalOverrides { evaluation, busy: given.busy }
}

/// Makes the evaluation of a trigger that counts a queue.
fn evaluate_counts(counts: GivenObservations, document: &Map<String, Value>, now: Timestamp) -> Evaluation {
    let GivenObservations { visible, in_flight } = counts;
    let each = messages_per_task(document);
    let reading = QueueReading::new(visible.into(), in_flight.into(), VISIBILITY_TIMEOUT, each);
    let observed = |name: &str, count: u32| Observation::new(name, "given", count.into(), "messages", now);
    let reason = format!("given: {visible} messages ÷ {each} per task, rounded up");
    Evaluation::tasks(per_task(visible.into(), each), reason)
        .with_observation(observed("visible", visible))
        .with_observation(observed("inFlight", in_flight))
        .with_queue_reading(reading)
}

/// Reads the number of messages per task from the triggers' field for it; 1 by default.
fn messages_per_task(document: &Map<String, Value>) -> NonZeroU32 {
    let given = document.get("trigger").and_then(|trigger| trigger.get("messagesPerTask"));
    let given = given.and_then(Value::as_u64);
    given.and_then(|each| u32::try_from(each).ok()).and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
}
