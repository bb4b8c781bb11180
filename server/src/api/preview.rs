//! `/schedules/preview` and `/jobs/{id}/next`: the description and the next ticks of a schedule.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use ecs_scheduler_core::Timestamp;
use ecs_scheduler_core::job::{DATETIME_FORMS, JobContext, NOT_A_DATETIME, prepare_create};
use ecs_scheduler_core::schedule::{PLACEHOLDER_JOB, Schedule, Strictness};
use serde_json::{Map, Value};

use super::dto::{Preview, PreviewRequest};
use super::job_document::{document, refusal};
use super::job_summary::print;
use super::problem::{Problem, ProblemType};
use super::request::{self, JsonBody, Name, Query, ensure_known};
use super::respond;
use super::state::App;

/// The maximum and the default number of ticks of a preview.
const MAX_TICKS: u64 = 1_000;
pub(super) const DEFAULT_TICKS: u64 = 10;
/// The members that a preview shares with a job.
const OF_A_JOB: [&str; 6] = ["id", "schedule", "timezone", "scheduleStart", "scheduleEnd", "jitter"];
/// The warning about ticks that depend on a job's name without one; the remedy follows.
pub(crate) const WITHOUT_JOB: &str =
    "each `?` has its value for a job named \"preview\"; for the ticks of your job, give its name as";
const MEMBERS: [&str; 8] =
    ["id", "schedule", "timezone", "scheduleStart", "scheduleEnd", "jitter", "after", "count"];

/// Previews the ticks of a schedule without storing it.
#[utoipa::path(
    post, path = "/schedules/preview", tag = "schedules", operation_id = "previewSchedule",
    request_body(content = PreviewRequest, content_type = "application/json"),
    responses((status = 200, description = "The next ticks, a description and warnings", body = Preview)),
)]
pub(super) async fn preview(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = JsonBody::read(&app.parsers, &headers, body).await?;
    let preview = body.parse(move |given| preview_of(&app, given)).await?;
    Ok(respond::json(StatusCode::OK, &preview))
}

fn preview_of(app: &App, mut given: Map<String, Value>) -> Result<Preview, Problem> {
    ensure_known(&given, &MEMBERS)?;
    let after = after(&mut given, app.clock.now())?;
    let count = count(&mut given)?;
    let mut document: Map<String, Value> =
        given.into_iter().filter(|(name, _)| OF_A_JOB.contains(&name.as_str())).collect();
    // `?` resolves by the job's name.
    let has_name = document.contains_key("id");
    document.entry("id").or_insert_with(|| PLACEHOLDER_JOB.into());
    // A schedule is over if it has no tick after the start of the preview.
    let cx = JobContext { launcher: None, ..app.context(Strictness::Strict) };
    let prepared = prepare_create(document.into(), &cx, after).map_err(|errors| refusal(&errors))?;
    let written = prepared.document.get("schedule").cloned().unwrap_or(Value::Null);
    let ticks = prepared
        .job
        .ticks()
        .ok_or_else(|| Problem::field("/schedule", "Missing data for required field."))?;
    let mut warnings = prepared.job.warnings(after);
    if !has_name && ticks.depends_on_job() {
        warnings.push(format!("{WITHOUT_JOB} `id`"));
    }
    Ok(Preview::new(written, ticks, warnings, after, count))
}

/// Lists the next ticks of a job.
#[utoipa::path(
    get, path = "/jobs/{id}/next", tag = "schedules", operation_id = "nextTicks",
    params(
        ("id" = String, Path, description = "The job's name"),
        ("count" = Option<u64>, Query, description = "Number of ticks (default 10)", minimum = 1, maximum = 1000),
        ("after" = Option<String>, Query, description = "Start time (default now)", format = DateTime),
    ),
    responses((status = 200, description = "The next ticks, a description and warnings", body = Preview)),
)]
pub(super) async fn next(State(app): State<App>, name: Name, mut query: Query) -> Result<Response, Problem> {
    let count = query.bounded("count", DEFAULT_TICKS, 1, MAX_TICKS);
    let after = query.moment("after").unwrap_or_else(|| app.clock.now());
    query.finish()?;
    let stored = app.job(&name).await?;
    let summary = app.job_summary(&stored);
    let Some(ticks) = &summary.ticks else {
        return Err(Problem::new(
            ProblemType::Unprocessable,
            format!("The stored job {} is not valid.", stored.id),
        ));
    };
    let written = document(&stored).remove("schedule").unwrap_or(Value::Null);
    let warnings = stored.parse(&app.context(Strictness::Lenient)).map(|job| job.warnings(after));
    let warnings = warnings.unwrap_or_default();
    Ok(respond::json(StatusCode::OK, &Preview::new(written, ticks, warnings, after, count)))
}

impl Preview {
    /// Lists the first `count` ticks after a moment, and adds the notes about the schedule to the warnings.
    pub(super) fn new(
        schedule: Value,
        ticks: &Schedule,
        mut warnings: Vec<String>,
        after: Timestamp,
        count: u64,
    ) -> Self {
        let zone = ticks.time_zone();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        warnings.extend(ticks.notes());
        Self {
            schedule,
            description: ticks.describe(),
            next: ticks.upcoming(after).take(count).map(|tick| print(tick, zone)).collect(),
            warnings,
            tzdb: ecs_scheduler_core::schedule::tzdb_version().to_owned(),
        }
    }
}

fn after(given: &mut Map<String, Value>, now: Timestamp) -> Result<Timestamp, Problem> {
    let Some(value) = given.remove("after") else { return Ok(now) };
    let moment = value.as_str().and_then(request::moment);
    moment.ok_or_else(|| Problem::field("/after", format!("{NOT_A_DATETIME} {DATETIME_FORMS}")))
}

fn count(given: &mut Map<String, Value>) -> Result<u64, Problem> {
    let Some(value) = given.remove("count") else { return Ok(DEFAULT_TICKS) };
    let Some(count) = value.as_u64() else { return Err(Problem::field("/count", "Not a valid integer.")) };
    if !(1..=MAX_TICKS).contains(&count) {
        return Err(Problem::field("/count", format!("Must be between 1 and {MAX_TICKS}.")));
    }
    Ok(count)
}
