//! Changes of stored jobs, with conditions and retries.

use ecs_scheduler_core::job::{FieldError, JobContext, Prepared, replacement};
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::{JobId, StoreError, StoredJob, Timestamp};
use serde_json::{Map, Value};

use crate::api::caller::Caller;
use crate::api::if_match::IfMatch;
use crate::api::job_document::{document, raw, refusal};
use crate::api::problem::{Problem, ProblemType};
use crate::api::request::{JsonBody, Name};
use crate::api::state::{App, AppState};

/// The number of retries of an edit after concurrent edits of the same job.
const MAX_EDIT_ATTEMPTS: usize = 5;

/// Applies a change of a client to a job's document.
pub(in crate::api) type Prepare =
    fn(&JobId, &Map<String, Value>, Value, &JobContext<'_>, Timestamp) -> Result<Prepared, Vec<FieldError>>;

/// Replaces a job's document by the changed one, which is checked as strictly as a new one, and retries after a
/// concurrent edit. A change without effect creates no new version.
///
/// # Errors
///
/// 404, 400 for an invalid change, 403 for one that moves the job out of the caller's labels, 412 by the conditions, 409 after too many
/// concurrent edits.
pub(in crate::api) async fn edit(
    app: &App,
    caller: &Caller,
    name: &Name,
    conditions: &IfMatch,
    change: &JsonBody,
    prepare: Prepare,
) -> Result<StoredJob, Problem> {
    for _ in 0..MAX_EDIT_ATTEMPTS {
        let (job, now) = (own_job(app, caller, name).await?, app.clock.now());
        let (state, conditions) = (App::clone(app), conditions.clone());
        let changing = change.parse(move |change| {
            // An invalid change is an error independent of the condition (RFC 9110, section 13.2.1).
            let strict = state.context(Strictness::Strict);
            let prepared = prepare(&job.id, &document(&job), change.into(), &strict, now);
            let changed = prepared.map_err(|errors| refusal(&errors))?.document;
            conditions.check(&job)?;
            let changed = replacement(&job, changed, &state.context(Strictness::Lenient), now);
            let changed = changed.map_err(|error| refusal(&[error]))?;
            Ok((job, changed.as_ref().map(raw)))
        });
        let (job, changed) = changing.await?;
        let Some(changed) = changed else { return Ok(job) };
        caller.ensure_own(changed.get())?;
        if let Some(stored) = written(app.store.replace(&job.id, job.revision, changed, now).await, name)? {
            app.job_written(&stored.id);
            return Ok(stored);
        }
    }
    Err(contended(name))
}

/// Removes a job, and retries after a concurrent edit.
///
/// # Errors
///
/// 404, 412 by the conditions, 409 after too many concurrent edits.
pub(in crate::api) async fn remove(
    app: &AppState,
    caller: &Caller,
    name: &Name,
    conditions: &IfMatch,
) -> Result<JobId, Problem> {
    for _ in 0..MAX_EDIT_ATTEMPTS {
        let job = own_job(app, caller, name).await?;
        conditions.check(&job)?;
        if written(app.store.remove(&job.id, Some(job.revision)).await, name)?.is_some() {
            app.job_written(&job.id);
            return Ok(job.id);
        }
    }
    Err(contended(name))
}

/// Reads a job of the caller: its labels may have changed since the request was checked.
///
/// # Errors
///
/// 404 for an unknown job, or one of others.
pub(super) async fn own_job(app: &AppState, caller: &Caller, name: &Name) -> Result<StoredJob, Problem> {
    let job = app.job(name).await?;
    if caller.sees(job.document.get()) { Ok(job) } else { Err(Problem::no_job(&name.0)) }
}

/// Returns the result of a write; nothing after a concurrent edit.
fn written<T>(result: Result<T, StoreError>, name: &Name) -> Result<Option<T>, Problem> {
    match result {
        Err(StoreError::Conflict(_)) => Ok(None),
        Err(StoreError::NotFound(_)) => Err(Problem::no_job(&name.0)),
        other => Ok(Some(other?)),
    }
}

fn contended(name: &Name) -> Problem {
    Problem::new(
        ProblemType::Contended,
        format!("Job {} was modified concurrently {MAX_EDIT_ATTEMPTS} times in a row.", name.0),
    )
}
