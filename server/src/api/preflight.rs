//! `?validate=aws`: checks the AWS resources of a job before it is written.

use std::time::Duration;

use ecs_scheduler_core::job::{FieldError, Job, messages};
use ecs_scheduler_core::{EvalContext, FaultKind, TaskSpec, Tick, fault};

use super::problem::{Problem, ProblemType, WrongField};
use super::request::{JsonBody, KeptBody, Query};
use super::state::App;
use crate::budgets::find_uncounted;

/// The time limit of the checks, shorter than that of a request.
const VALIDATION_TIMEOUT: Duration = Duration::from_secs(8);

/// Time that a client which writes a job waits at most for warnings of the launcher's platform.
const WARNING_TIMEOUT: Duration = Duration::from_secs(2);

/// The extent of the checks before a job is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValidationLevel {
    /// The document.
    Document,
    /// Also its AWS resources: its task definition and the sources of its trigger.
    Resources,
}

impl ValidationLevel {
    /// Reads `validate`.
    ///
    /// # Errors
    ///
    /// 400 for another value than `aws`.
    pub(super) fn from_query(mut query: Query) -> Result<Self, Problem> {
        let how = match query.text("validate") {
            None => Self::Document,
            Some("aws") => Self::Resources,
            Some(_) => {
                query.refuse("validate", "Must be aws, or left out.");
                Self::Document
            }
        };
        query.finish().map(|_| how)
    }

    /// Waits until the job in a body may be kept during the checks; a level without checks needs no permission.
    pub(super) async fn keep(self, body: &JsonBody) -> Option<KeptBody> {
        match self {
            Self::Document => None,
            Self::Resources => Some(body.keep().await),
        }
    }

    /// Returns what the launcher's platform lacks for a job's task, as far as it answers in time. The checks of AWS resources have
    /// refused such a job.
    pub(super) async fn platform_warnings(self, app: &App, task: &TaskSpec) -> Vec<String> {
        if self == Self::Resources {
            return Vec::new();
        }
        let call = app.engine.launcher().platform_warnings(task);
        tokio::time::timeout(WARNING_TIMEOUT, call).await.unwrap_or_default()
    }

    /// Runs the checks of this level.
    ///
    /// # Errors
    ///
    /// 400 with the problems that would prevent the job from running, 503 if the checks cannot run now.
    pub(super) async fn check(self, app: &App, job: &Job) -> Result<(), Problem> {
        if self == Self::Document {
            return Ok(());
        }
        let checks = async { tokio::join!(task(app, job), trigger(app, job), budgets(app, job)) };
        let Ok((task, trigger, budgets)) = tokio::time::timeout(VALIDATION_TIMEOUT, checks).await else {
            let text = format!("Validation against AWS timed out after {} s.", VALIDATION_TIMEOUT.as_secs());
            return Err(Problem::new(ProblemType::Unavailable, text));
        };
        let (mut errors, found) = (task?, trigger?);
        // A definition that cannot be read has no size.
        if errors.iter().all(|error| error.pointer != "/taskDefinition") {
            errors.extend(budgets?);
        }
        errors.extend(found);
        if errors.is_empty() {
            return Ok(());
        }
        Err(Problem::invalid(messages(&errors), errors.iter().map(WrongField::from).collect()))
    }
}

async fn task(app: &App, job: &Job) -> Result<Vec<FieldError>, Problem> {
    match app.engine.launcher().preflight(&job.task).await {
        Ok(findings) => {
            Ok(findings.into_iter().map(|finding| field(&finding.pointer, finding.message)).collect())
        }
        Err(error) => field_error_or_unavailable("/taskDefinition", error.kind(), &error),
    }
}

/// Finds the budgets of the job that cannot count its task: it would never be launched.
async fn budgets(app: &App, job: &Job) -> Result<Vec<FieldError>, Problem> {
    let uses = app.engine.last_budgets();
    match find_uncounted(uses.iter().map(|used| &used.budget), job, app.engine.launcher()).await {
        Ok(texts) => Ok(texts.into_iter().map(|text| field("/labels", text)).collect()),
        Err(error) => field_error_or_unavailable("/taskDefinition", error.kind(), &error),
    }
}

async fn trigger(app: &App, job: &Job) -> Result<Vec<FieldError>, Problem> {
    let Some(trigger) = &job.trigger else { return Ok(Vec::new()) };
    let now = app.clock.now();
    let cx = EvalContext::new(&job.id, Tick::at(now), job.scaling);
    match trigger.evaluate(&cx).await {
        Ok(_) => Ok(Vec::new()),
        Err(error) => field_error_or_unavailable("/trigger", error.kind(), &error),
    }
}

/// Turns a transient error into 503, and any other one into an error of the field.
fn field_error_or_unavailable(
    pointer: &str,
    kind: FaultKind,
    error: &(dyn std::error::Error + 'static),
) -> Result<Vec<FieldError>, Problem> {
    let text = fault::chain(error);
    if kind.is_transient() {
        Err(Problem::new(ProblemType::Unavailable, text))
    } else {
        Ok(vec![field(pointer, text)])
    }
}

fn field(pointer: &str, message: String) -> FieldError {
    let key = pointer.split('/').skip(1).map(str::to_owned).collect();
    FieldError { pointer: pointer.to_owned(), key, message, hint: None }
}
