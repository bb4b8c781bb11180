//! `?dryRun=true` on writes of jobs: the effect of a write, its differences, the next ticks and the decision. Nothing is written.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use ecs_scheduler_core::StoredJob;
use ecs_scheduler_core::engine::EvalOverrides;
use ecs_scheduler_core::job::{EARLIER_SCHEDULES, Prepared};
use serde_json::{Map, Value};

use super::dto::{DryRunView, EvaluationView, Preview, WriteEffect};
use super::job_diff::differences;
use super::job_document::document;
use super::preflight::ValidationLevel;
use super::preview::DEFAULT_TICKS;
use super::problem::Problem;
use super::respond;
use super::state::App;

/// The time limit of the evaluation, shorter than that of a request: the rest of the answer needs no source.
const EVALUATION_TIMEOUT: Duration = Duration::from_secs(8);

/// Answers with the effect that a write would have: on the stored job, or as a new one.
///
/// # Errors
///
/// As the checks of `validate` fail.
pub(super) async fn respond(
    app: &App,
    stored: Option<&StoredJob>,
    prepared: Prepared,
    validate: ValidationLevel,
) -> Result<Response, Problem> {
    let Prepared { document: mut after, job } = prepared;
    after.remove(EARLIER_SCHEDULES);
    let before = stored.map(|stored| {
        let mut before = document(stored);
        before.remove(EARLIER_SCHEDULES);
        before
    });
    let evaluating = app.engine.evaluate(&job, stored, EvalOverrides::default());
    let (checked, platform, evaluated) = tokio::join!(
        validate.check(app, &job),
        validate.platform_warnings(app, &job.task),
        tokio::time::timeout(EVALUATION_TIMEOUT, evaluating),
    );
    checked?;
    let now = app.clock.now();
    let mut warnings = app.warnings(&job, now);
    warnings.extend(platform);
    if evaluated.is_err() {
        warnings.push(format!("the job could not be evaluated within {} s", EVALUATION_TIMEOUT.as_secs()));
    }
    let ticks = job.own_ticks().expect("a checked job has ticks");
    let schedule = after.get("schedule").cloned().unwrap_or(Value::Null);
    let Preview { description, next, warnings, .. } =
        Preview::new(schedule, ticks, warnings, now, DEFAULT_TICKS);
    let diff = differences(before.as_ref().unwrap_or(&Map::new()), &after);
    let effect = match &before {
        None => WriteEffect::Create,
        Some(_) if diff.is_empty() => WriteEffect::None,
        Some(_) => WriteEffect::Change,
    };
    let id = job.id.to_string();
    after.insert("id".to_owned(), id.as_str().into());
    let evaluation = evaluated.ok().map(EvaluationView::from);
    let view = DryRunView { id, effect, document: after, diff, description, next, evaluation, warnings };
    Ok(respond::json(StatusCode::OK, &view))
}
